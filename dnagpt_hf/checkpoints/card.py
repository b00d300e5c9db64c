"""The model card of a checkpoint folder, filled in from its configuration and preset."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard

from dnagpt_hf.atomic_files import write_text
from dnagpt_hf.checkpoints.card_metadata import CARD, card_metadata, is_noncommercial
from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
from dnagpt_hf.messages import markdown_table
from dnagpt_hf.presets import PRESETS, Preset, get_preset, preset_config

_TEMPLATE = Path(__file__).with_name("model_card_template.md")
_UNMEASURED = (
    "None were measured with these weights: no accuracy on any task, no loss on held-out sequence, "
    "and nothing about generated sequences."
)
# fields of a recipe that the card shows
_RECIPE_FIELDS = (
    *("epochs", "warmup", "learning_rate", "scheduler", "optimizer", "betas", "weight_decay"),
    *("max_grad_norm", "gradient_accumulation_steps", "batch_size", "precision"),
    "number_loss_weight",
)


def render_model_card(
    name: str,
    config: DNAGPTConfig,
    *,
    origin: str,
    released: bool | None,
    summary: str | None = None,
    preset: str | None = None,
    training: str | None = None,
    results: str | None = None,
    measured: Sequence[EvalResult] = (),
    classifies: bool = False,
    base_model: str | None = None,
    datasets: Sequence[str] = (),
) -> str:
    """Write the text of a `README.md` with metadata for the Hugging Face Hub.

    Args:
        name: name of the model, usually that of its folder.
        config: sizes that the card states.
        origin: sentences on the origin of the weights.
        released: the weights are the authors', or derived from theirs, and so under the PolyForm
            Noncommercial license; otherwise the card states Apache-2.0, or, for `None`, that the
            license is not known.
        summary: one sentence on the model, in place of the preset's.
        preset: name of the preset whose data and recipe the card describes, if one fits.
        training: description of the training in place of the preset's recipe.
        results: measured results in Markdown; without them the card says that there are none.
        measured: the same as the Hub lists them ([`~card_metadata.evaluation_results`]).
        classifies: the model has a classification head in place of both others.
        base_model: the model that it was made from; listed if it is a name on the Hub.
        datasets: training data; listed are names on the Hub.
    """
    known = get_preset(preset) if preset is not None else None
    if training is None:
        training = describe_training(known) if known else "Not known from the file."
    metadata = card_metadata(
        name,
        released=released,
        classifies=classifies,
        base_model=base_model,
        datasets=datasets,
        results=measured,
    )
    head = "SequenceClassification" if classifies else "CausalLM"
    architecture = "DNAGPTForSequenceClassification" if classifies else "DNAGPTForMultiTask"
    card = ModelCard.from_template(
        metadata,
        template_path=str(_TEMPLATE),
        name=name,
        config=config,
        parameters=count_parameters(config, architecture),
        dynamic=config.dynamic_kmer,
        summary=summary or (known.summary if known else "A DNAGPT model."),
        origin=origin,
        released=released,
        classifies=classifies,
        auto_class=f"AutoModelFor{head}",
        task=json.dumps(config.task["template"], ensure_ascii=False) if config.task else None,
        dna="GTAGCTTTCCAA" if config.kmer_size == 6 else "GTAGCT"[: config.kmer_size],
        training=training,
        results=results or _UNMEASURED,
    )
    return f"{card}\n"


def write_card(
    folder: str | os.PathLike[str],
    config: DNAGPTConfig,
    *,
    base_model: str | None,
    **card: Any,
) -> None:
    """Write the card of a model that was trained here.

    Args:
        folder: checkpoint folder, whose name is that of the model.
        config: configuration of the model.
        base_model: model from which the training started, whose license the weights inherit;
            `None` for new weights.
        card: further arguments of [`render_model_card`].
    """
    path = Path(folder)
    released = False if base_model is None else is_noncommercial(base_model)
    text = render_model_card(
        path.resolve().name, config, base_model=base_model, released=released, **card
    )
    write_text(path / CARD, text)


def render_preset_card(preset: str) -> str:
    """Write the card of a published model, as it stands in `model_cards/`."""
    known = get_preset(preset)
    results = f"{_UNMEASURED} The paper reports results of its own; see its tables S1 to S4."
    if known.released_file is not None:
        origin = (
            f"The authors publish these weights as `{known.released_file}`. They are not part of "
            "`dnagpt_hf`: download the file from the authors and run "
            f"`dnagpt convert {known.released_file} {preset}`."
        )
        results += (
            " The code was compared: on the same weights, token ids, logits, predicted numbers "
            "and greedy continuations equal those of the authors' code."
        )
    else:
        origin = (
            "The authors have not published these weights. "
            f"`dnagpt init {preset} FOLDER` makes a folder of these sizes with untrained ones."
        )
    return render_model_card(
        preset,
        preset_config(preset),
        preset=preset,
        origin=origin,
        released=known.released_file is not None,
        results=results,
    )


def write_preset_cards(folder: str | os.PathLike[str]) -> None:
    """Write the cards of the four models of the paper, one file each."""
    for preset in PRESETS.values():
        if preset.source == "Fig. S3":
            path = Path(folder) / f"{preset.name}.md"
            path.write_text(render_preset_card(preset.name), encoding="utf-8")


def count_parameters(config: DNAGPTConfig, architecture: str = "DNAGPTForMultiTask") -> int:
    """Count the parameters of a model, padded rows of the vocabulary included.

    Args:
        config: sizes of the model.
        architecture: name of its class.

    Example:

        >>> f"{count_parameters(preset_config('dnagpt-m')):,}"
        '119,953,920'
    """
    import torch

    from dnagpt_hf import modeling_dnagpt

    # without storage, so that a model of any size is built at once
    with torch.device("meta"):
        model = getattr(modeling_dnagpt, architecture)(config)
    return int(model.num_parameters())


def describe_settings(settings: Mapping[str, object]) -> str:
    """List settings of a training in Markdown; those that are not set are left out.

    Example:

        >>> print(describe_settings({"learning rate": 5e-4, "adapter": None, "splits": {"a": 1}}))
        - learning rate: `0.0005`
        - splits: `{"a": 1}`
    """
    return "\n".join(
        f"- {name}: `{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}`"
        for name, value in settings.items()
        if value is not None and value is not False
    )


def describe_training(preset: Preset) -> str:
    """Describe data and recipes of a preset in Markdown, with the source of every figure."""
    if preset.released_file is None and not preset.source.startswith("Fig."):
        return "Not trained yet. The recipe that the preset proposes was chosen for this package."
    rows = []
    for field in _RECIPE_FIELDS:
        row = [field.replace("_", " ")]
        for recipe in (preset.pretraining, preset.finetuning):
            value = getattr(recipe, field)
            row += ["not stated" if value is None else str(value), recipe.source_of(field)]
        rows.append(row)
    header = ["setting", "pre-training", "source", "fine-tuning", "source"]
    table = markdown_table(header, rows, "lllll")
    notes = "\n".join(f"- {note}" for note in preset.notes)
    return (
        f"Pre-trained on {preset.data} ({preset.source_of('data')}), to predict the next token, "
        "the GC content of a segment and whether a sequence is reversed. Windows with more than "
        f"5 % N were left out (section 9).\n\n{table}\n\nThe sources disagree in places:\n\n{notes}"
    )
