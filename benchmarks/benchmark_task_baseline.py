"""Measure a k-mer baseline on the records of a fine-tuning, in the same splits.

    python benchmarks/benchmark_task_baseline.py examples/configs/finetune-human-pas.yaml

The records are read and split as `dnagpt finetune` does with the same file. A logistic regression
(a ridge regression for numbers) reads counts of 4-mers in the left and in the right half of each
sequence, and its numbers; `--numbers-only` leaves the sequence out. It is fitted to the training
split and measured on the test split. Prints one JSON line per file.
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path

import numpy as np

from dnagpt_hf import DNAGPTTokenizer, open_checkpoint
from dnagpt_hf.evaluation.bootstrap import bootstrap_intervals
from dnagpt_hf.evaluation.metrics import (
    classification_metrics,
    regression_metrics,
)
from dnagpt_hf.finetuning.run import read_task
from dnagpt_hf.finetuning.settings import parse_finetuning_settings
from dnagpt_hf.tasks.examples import Examples
from dnagpt_hf.tasks.sources import TEXT_KEYS
from dnagpt_hf.yaml_files import read_yaml

sys.path.append(str(Path(__file__).resolve().parents[1] / "examples"))
from baselines import KmerBaseline


def columns(
    examples: Examples, tokenizer: DNAGPTTokenizer, numbers_only: bool
) -> tuple[list[str], np.ndarray | None]:
    """Extract the sequences of the prompts, and their numbers, `(records, numbers)`."""
    numbers = examples.numbers(tokenizer.number_token_id)
    first_kmer = len(tokenizer.get_vocab()) - 1 - sum(5**k for k in lengths(tokenizer))
    sequences = []
    for ids in (prompt.input_ids for prompt in examples.prompts):
        is_kmer = (ids >= first_kmer) & (ids != tokenizer.number_token_id)
        sequences.append("" if numbers_only else tokenizer.decode_dna(ids[is_kmer]))
    return sequences, numbers if numbers.shape[1] else None


def lengths(tokenizer: DNAGPTTokenizer) -> range:
    """List the lengths of the k-mers of a vocabulary."""
    return range(1 if tokenizer.dynamic_kmer else tokenizer.kmer_size, tokenizer.kmer_size + 1)


def measure(path: Path, numbers_only: bool) -> dict:
    settings = parse_finetuning_settings([], read_yaml(path, TEXT_KEYS), path.parent)
    checkpoint = open_checkpoint(settings.tuning.model)
    tokenizer = checkpoint.tokenizer
    data = read_task(settings, checkpoint)
    answer = data.task.answer_list[0]
    problem = "regression" if answer.is_number else "single_label_classification"
    model = KmerBaseline(parts=1 if numbers_only else 2, problem_type=problem)
    train, test = data.splits["train"], data.splits["test"]
    model.fit(*inputs(train, tokenizer, numbers_only, answer.is_number))
    sequences, numbers = columns(test, tokenizer, numbers_only)
    if answer.is_number:
        metrics = partial(regression_metrics, test.targets[:, 0], model.predict(sequences, numbers))
    else:
        label = data.task.positive_label(answer)
        positive = None if label is None else answer.labels.index(label)
        targets = test.targets[:, 0].astype(int)
        probabilities = model.predict_proba(sequences, numbers)
        metrics = partial(classification_metrics, targets, probabilities, positive=positive)
    intervals = bootstrap_intervals(metrics, len(test))
    return {
        "task": data.task.name,
        "numbers_only": numbers_only,
        "records": len(test),
        **{name: round(value, 4) for name, value in metrics().items()},
        "intervals_95": {name: [round(one, 4) for one in pair] for name, pair in intervals.items()},
    }


def inputs(
    examples: Examples, tokenizer: DNAGPTTokenizer, numbers_only: bool, is_number: bool
) -> tuple:
    """Extract sequences, targets and numbers for the fit of the baseline."""
    sequences, numbers = columns(examples, tokenizer, numbers_only)
    targets = examples.targets[:, 0]
    return sequences, targets if is_number else targets.astype(int), numbers


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path, help="TASK.yaml of a fine-tuning")
    parser.add_argument("--numbers-only", action="store_true", help="leave the sequence out")
    arguments = parser.parse_args()
    for path in arguments.files:
        print(json.dumps(measure(path, arguments.numbers_only)), flush=True)


if __name__ == "__main__":
    main()
