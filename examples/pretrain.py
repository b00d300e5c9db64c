"""Pre-train a DNAGPT on genomes with the three objectives of the paper.

A small model, on the genomes of a manifest:

    python examples/pretrain.py --preset dnagpt-tiny --genomes manifest.yaml --output_dir my-model \
        --max_steps 1000 --learning_rate 1e-3

A preset of the paper with its recipe, on eight GPUs:

    torchrun --nproc-per-node 8 examples/pretrain.py --preset dnagpt-m --genomes dnagpt-m.yaml \
        --output_dir dnagpt-m --per_device_train_batch_size 8 --eval_strategy steps

Every argument of `TrainingArguments` works; `--help` lists them all. A run that was stopped resumes
from its last checkpoint when the same command is given again. `dnagpt pretrain CONFIG.yaml` is the
same program with its settings in a file.
"""

import sys
from collections.abc import Sequence

from dnagpt_hf import pretrain


def main(arguments: Sequence[str]) -> None:
    pretrain(arguments=arguments)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ValueError as error:
        sys.exit(f"pretrain.py: error: {error}")
