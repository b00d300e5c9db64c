"""Fine-tune a DNAGPT to predict mRNA abundance from a promoter and eight half-life features.

From a table with Xpresso's columns (UTR5LEN, CDSLEN, INTRONLEN, UTR3LEN, UTR5GC, CDSGC, UTR3GC,
ORFEXONDENSITY, PROMOTER of 20,000 bp, EXPRESSION), with its window of 10,500 bp and its split:

    python examples/finetune_mrna.py --data "{xpresso: human.txt, split: xpresso}" \
        --model dnagpt-m --output_dir human-mrna

From your own annotation, genome and expression table. The features are computed (`dnagpt data
genes` writes the same table to a file):

    python examples/finetune_mrna.py --species I --window 0 1500 --model dnagpt-tiny \
        --data "{genes: TAIR10.gff.gz, genome: TAIR10.fa.gz, expression: leaf.csv, id: gene_id, \
                 target: logMaxTPM, promoter: [1000, 500]}" --expression_is_logarithm \
        --output_dir leaf-mrna

Lengths, exon density and expression are transformed to logarithms, as in Xpresso. Numbers are
standardized by the training split, and predictions are put back. Every argument of
`TrainingArguments` works.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from transformers import HfArgumentParser

from dnagpt_hf import finetune
from dnagpt_hf.finetuning.settings import builtin_task


@dataclass
class AbundanceArguments:
    """The species, and the window of its promoters."""

    species: str = field(default="R", metadata={"help": "Token of the species, R for human."})
    window: list[int] = field(
        default_factory=lambda: [3000, 13500],
        metadata={"help": "Start and end of the window of the promoter column."},
    )
    expression_is_logarithm: bool = field(
        default=False, metadata={"help": "The expression is a logarithm already."}
    )


def main(arguments: Sequence[str]) -> None:
    parser = HfArgumentParser(AbundanceArguments, description=__doc__)  # type: ignore[arg-type]
    own, others = parser.parse_args_into_dataclasses(arguments, return_remaining_strings=True)
    task = builtin_task("mrna")
    if own.expression_is_logarithm:
        del task["transforms"]["EXPRESSION"]
    stated = {
        **task,
        "template": task["template"].replace("{species}", own.species),
        "sequences": {"PROMOTER": {"window": own.window}},
    }
    tuned = finetune(stated, arguments=others)
    print(f"{tuned.folder}: on the {tuned.split} split")
    for name, value in tuned.metrics.items():
        print(f"{name:>12} {value:.4f}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (OSError, ValueError) as error:
        sys.exit(f"finetune_mrna.py: error: {error}")
