"""Write the dnagpt-tiny-pas of the package from a finished fine-tuning: weights and card.

    dnagpt finetune examples/configs/finetune-human-pas.yaml
    dnagpt baseline examples/configs/finetune-human-pas.yaml
    python model_cards/dnagpt_tiny_pas.py human-pas human-pas-baseline/baseline.json

The figures of the card are those of `metrics.json` of the run, and of the baseline. They are stored
in `dnagpt-tiny-pas.json`; without arguments, the program writes the card alone from them.
"""

import json
import sys
from pathlib import Path
from typing import Any

from dnagpt_tiny import ROOT, write_card, write_facts, write_folder

from dnagpt_hf import DNAGPTConfig
from dnagpt_hf.checkpoints.card import evaluation_results, render_model_card
from dnagpt_hf.evaluation.report import metrics_table

NAME = "dnagpt-tiny-pas"
FOLDER = ROOT / "dnagpt_hf" / "weights" / NAME
FACTS = ROOT / "model_cards" / f"{NAME}.json"

TRAINING = """\
Fine-tuned from `dnagpt-tiny` with `dnagpt finetune examples/configs/finetune-human-pas.yaml`:
{epochs} epochs, AdamW, learning rate {learning_rate}, batches of {batch_size}, on one core of a
processor. The records are windows of 606 bp of the human genome with a poly(A) signal, or the same
six letters without its function, in the middle: DeepGSR's files for 15 variants of the signal, and
those of HybPAS for AATAAA. The six letters are cut out before the model reads the rest. Duplicates,
on either strand, were removed before the records were divided into training ({train:,}),
validation ({validation:,}) and test split ({test:,})."""

RESULTS = """\
On the test split, which the model has not seen. The epoch was chosen by the validation split.

{table}

A logistic regression on counts of 4-mers in either half, fitted to the same training split, has
an accuracy of {accuracy:.3f}, MCC {mcc:.3f} and AUROC {auroc:.3f} there.

The paper gives an accuracy of 0.906 to 0.927 for its models on all variants of DeepGSR's human
signals (tables S2 to S4), on another split; an independent run of the authors' released classifier
0.912 on AATAAA. This model has a hundredth of their weights. Sequences of the test split on
chromosomes X, 20 and 22 may have been read in the pre-training of `dnagpt-tiny`, without labels.
Not measured: other species, and the natural frequency of signals in the genome, where almost every
AATAAA is no signal."""


def card(facts: dict[str, Any]) -> str:
    """Write the card from the contents of `FACTS`."""
    config = DNAGPTConfig.from_pretrained(FOLDER)
    return render_model_card(
        NAME,
        config,
        summary="`dnagpt-tiny`, fine-tuned to distinguish human poly(A) signals from the same six "
        "letters without their function.",
        origin="Trained for the package `dnagpt_hf`, with which it comes. Right after "
        f"installation, `dnagpt predict {NAME} sequences.fa` predicts whether there is a human "
        "poly(A) signal in the middle of 606 bp. It is small enough for any machine, and no "
        "substitute for the models of the paper.",
        released=False,
        training=TRAINING.format(epochs=8, learning_rate="5e-4", batch_size=16, **facts["records"]),
        results=RESULTS.format(table=metrics_table(facts["evaluation"]), **facts["baseline"]),
        measured=evaluation_results(
            facts["evaluation"]["metrics"],
            "human poly(A) signals of DeepGSR and HybPAS",
            task="text-classification",
            task_name="a poly(A) signal in the middle of 606 bp",
            split="test",
        ),
    )


def main(run: Path, baseline_file: Path) -> None:
    baselines = json.loads(baseline_file.read_text(encoding="utf-8"))["baselines"]
    kmers = baselines["kmers"]["metrics"]
    data = json.loads((run / "data.json").read_text(encoding="utf-8"))
    facts = {
        "records": {part: one["records"] for part, one in data["parts"].items()},
        "evaluation": json.loads((run / "metrics.json").read_text(encoding="utf-8")),
        "baseline": {name: kmers[name] for name in ("accuracy", "mcc", "auroc")},
    }
    write_folder(run, FOLDER)
    write_facts(FACTS, facts)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    write_card(card(json.loads(FACTS.read_text(encoding="utf-8"))), NAME)
