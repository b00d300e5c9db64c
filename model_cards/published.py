"""Write the cards of the four models of the paper, one file each:

python model_cards/published.py
"""

from pathlib import Path

from dnagpt_hf.checkpoints.card import UNMEASURED, render_model_card
from dnagpt_hf.presets import PRESETS, Preset, preset_config

FOLDER = Path(__file__).resolve().parent
PUBLISHED = {name: preset for name, preset in PRESETS.items() if preset.source == "Fig. S3"}


def card(preset: Preset) -> str:
    """Write the card of a model, whether its weights are published or not."""
    name, file = preset.name, preset.released_file
    results = f"{UNMEASURED} The paper reports results of its own; see its tables S1 to S4."
    if file is not None:
        origin = (
            f"The authors publish these weights as `{file}`. They are not part of `dnagpt_hf`: "
            f"download the file from the authors and run `dnagpt convert {file} {name}`."
        )
        results += (
            " The code was compared: on the same weights, token ids, logits, predicted numbers "
            "and greedy continuations equal those of the authors' code."
        )
    else:
        origin = (
            "The authors have not published these weights. "
            f"`dnagpt init {name} FOLDER` makes a folder of these sizes with untrained ones."
        )
    return render_model_card(
        name,
        preset_config(name),
        preset=name,
        origin=origin,
        released=file is not None,
        results=results,
    )


if __name__ == "__main__":
    for name, preset in PUBLISHED.items():
        (FOLDER / f"{name}.md").write_text(card(preset), encoding="utf-8")
