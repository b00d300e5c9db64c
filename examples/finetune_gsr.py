"""Fine-tune a DNAGPT to recognize genomic signals: poly(A) signals, start codons and others.

From two FASTA files, one of sequences with a true signal in the middle and one of sequences with
the same letters and no signal. Both have 300 bp on either side; the signal is cut out before
training:

    python examples/finetune_gsr.py --positives hs_AATAAA_polyA.fa \
        --negatives hs_negAATAAA_polyA.fa --species R --signal_length 6 --model dnagpt-tiny \
        --output_dir human-pas

All variants of a DeepGSR folder, with the recipe of the paper (Fig. S4) for DNAGPT-M:

    python examples/finetune_gsr.py --positives "PAS/hs_[ACGT]*.fa" --negatives "PAS/hs_neg*.fa" \
        --model dnagpt-m --output_dir human-pas

Duplicates are removed, and the other records are split 6 : 1.5 : 2.5. `--head classification`
trains a classification head in place of an answer in the token language, `--lora` an adapter. Every
argument of `TrainingArguments` works. Then use the model:

    dnagpt predict human-pas new.fa
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from transformers import HfArgumentParser

from dnagpt_hf import finetune


@dataclass
class SignalArguments:
    """The files, and the signal in the middle of their sequences."""

    positives: list[str] = field(metadata={"help": "FASTA files with a signal, or patterns."})
    negatives: list[str] = field(metadata={"help": "FASTA files without one, or patterns."})
    species: str = field(default="R", metadata={"help": "Token of the species, R for human."})
    signal_length: int = field(default=6, metadata={"help": "Bases of the signal, 3 for ATG."})
    flank: int = field(default=300, metadata={"help": "Bases on either side of it."})


def main(arguments: Sequence[str]) -> None:
    parser = HfArgumentParser(SignalArguments, description=__doc__)  # type: ignore[arg-type]
    own, others = parser.parse_args_into_dataclasses(arguments, return_remaining_strings=True)
    end = own.flank + own.signal_length
    stated = {
        "task": "gsr",
        "template": f"<{own.species}>{{sequence}}<=><B>{{label}}",
        "sequences": {
            "sequence": {"cut_out": [own.flank, end], "length": end + own.flank},
        },
        "data": [
            {"files": own.positives, "set": {"label": "signal"}},
            {"files": own.negatives, "set": {"label": "none"}},
        ],
    }
    tuned = finetune(stated, arguments=others)
    print(f"{tuned.folder}: on the {tuned.split} split")
    for name, value in tuned.metrics.items():
        print(f"{name:>12} {value:.4f}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (OSError, ValueError) as error:
        sys.exit(f"finetune_gsr.py: error: {error}")
