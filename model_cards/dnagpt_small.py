"""Write the dnagpt-small of the package from a finished run: weights and card.

    python model_cards/train_dnagpt_small.py genomes/dnagpt-tiny.yaml first --minutes 97
    python model_cards/train_dnagpt_small.py genomes/reweighted.yaml small --minutes 118 \
        --start first --seed 8
    python model_cards/dnagpt_small.py small
    python benchmarks/benchmark_held_out.py dnagpt_hf/weights/dnagpt-small \
        genomes/dnagpt-tiny.yaml --cache-folder cache > held_out.jsonl
    python model_cards/dnagpt_small.py small held_out.jsonl

`reweighted.yaml` is the first manifest with the weights that the card states. The results are
stored in `dnagpt-small.json`; without arguments, the program writes the card alone from them.
Weights are stored in bfloat16 and loaded in float32.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from dnagpt_tiny import ROOT, pretraining_card, write_card, write_facts, write_folder
from safetensors.torch import load_file, save_file

NAME = "dnagpt-small"
FOLDER = ROOT / "dnagpt_hf" / "weights" / NAME
FACTS = ROOT / "model_cards" / f"{NAME}.json"

TRAINING = """\
Pre-trained with the three objectives of the paper on the training regions of `dnagpt-tiny`: 119
million bases of six species, whose files and sources are in `examples/manifests/dnagpt-tiny.yaml`.
Held out, never trained on: 1 Mb of human chromosome 20, 2 Mb of Arabidopsis chromosome 1, yeast
chromosomes I and VIII, 0.5 Mb of E. coli, a piece of chromosome arm 3L of the fruit fly and one of
chromosome IV of the worm.

The program was `model_cards/train_dnagpt_small.py`, run twice: 4,728 steps of 16 rows of 512 tokens
(116 million bases, 1.6 hours of one core of an AMD EPYC), and then {steps:,} more from these
weights, on other positions ({megabases:.0f} million bases, {hours:.1f} hours of one core of an
Intel Xeon), in bfloat16. The second run drew more of Arabidopsis (weight 0.24) and fruit fly (0.14)
and less of yeast (0.13), E. coli (0.13) and the worm (0.10) than the manifest states. Muon trained
the matrices of the layers (learning rate 2.5e-3, scaled to the size of AdamW's steps), AdamW with
betas (0.9, 0.98) all other weights (4e-3): in each run 100 steps of warm-up, then constant rates,
which fell to 0 in the last two fifths; weight decay 0.05, λ = 1. Four fifths of the records are
plain sequence, 2 in 25 have the question of GC content, and 3 in 25 that of sequence order. The
activation is the square of ReLU. Size and recipe follow from short runs (`docs/pretraining.md` in
the repository)."""


def card(facts: dict[str, Any]) -> str:
    """Write the card from the contents of `FACTS`."""
    return pretraining_card(
        NAME,
        facts,
        summary="DNAGPT with 3.6 million parameters, pre-trained on parts of six genomes.",
        use="It is a better model of DNA than `dnagpt-tiny`",
        training=TRAINING,
    )


def main(run: Path, results_file: Path | None) -> None:
    if results_file is None:
        write_folder(run, FOLDER)
        weights = FOLDER / "model.safetensors"
        halves = {name: one.to(torch.bfloat16) for name, one in load_file(weights).items()}
        save_file(halves, weights, metadata={"format": "pt"})
        weights.chmod(0o644)
        return
    results = [json.loads(line) for line in results_file.read_text().splitlines() if line]
    training = json.loads((run / "training.json").read_text(encoding="utf-8"))
    write_facts(FACTS, {**training, "results": results})


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    if len(sys.argv) != 2:
        write_card(card(json.loads(FACTS.read_text(encoding="utf-8"))), NAME)
