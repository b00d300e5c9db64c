"""The records of a task as examples: encoded, freed of duplicates, split, and standardized."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.messages import count
from dnagpt_hf.records.reading import Record
from dnagpt_hf.records.templates import Template
from dnagpt_hf.tasks.encoding import Truncation, standardized
from dnagpt_hf.tasks.examples import Examples, complete_records, encode_records, targets_of_head
from dnagpt_hf.tasks.sources import ALL, SPLITS
from dnagpt_hf.tasks.splits import FRACTIONS, divide, duplicates
from dnagpt_hf.tasks.task import Head, Task

if TYPE_CHECKING:
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

logger = logging.getLogger(__name__)

Duplicates = Literal["remove", "keep", "error"]


@dataclass(frozen=True)
class TaskData:
    """A task with its examples.

    Args:
        task: the task, with tokens for all labels and its standardization.
        splits: examples of the splits `train`, `validation` and `test`; the last may be missing.
        report: counts, balance of labels, lengths and duplicates, as plain data.
    """

    task: Task
    splits: Mapping[str, Examples]
    report: Mapping[str, Any]


def prepare_task(
    task: Task,
    tokenizer: DNAGPTTokenizer,
    records: Mapping[str, Iterable[Record]],
    *,
    head: Head = "language",
    max_length: int,
    truncation: Truncation | None = None,
    group: str | None = None,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    duplicate_records: Duplicates = "remove",
    standardize: bool = True,
) -> TaskData:
    """Read all records of a task and split them.

    Args:
        task: the task.
        tokenizer: the model's tokenizer.
        records: the records of each split, or of `"all"`, which are split here. A training split
            alone is split likewise; where only validation is missing, it is taken from training.
            Records of which a label or a number is missing are left out, and counted.
        head: the head that answers.
        max_length: positions of the model.
        truncation: end at which too long a sequence is cut; by default it is an error.
        group: column whose values keep records together in a split.
        fractions: sizes of training, validation and test split.
        seed: of the random split.
        duplicate_records: `"remove"` them, `"keep"` them, or `"error"`.
        standardize: whether numbers are standardized by the training split; a task that has a
            standardization keeps it.

    Raises:
        RecordError: a record cannot be used.
        ValueError: a split would be empty, or a class is too small to be split.
    """
    if head == "classification":
        # a task that the head cannot answer is an error before any record is read
        _ = task.problem_type
    if set(records) == {"train"}:
        records = {ALL: records["train"]}
    beginning, stream = next((split, iter(stream)) for split, stream in records.items())
    first = next(stream, None)
    if first is None:
        raise ValueError(f"the data hold no records ({beginning})")
    # columns that the template names by their beginning
    task = replace(task, template=Template(task.template).resolve(first.values).text)
    records = {**records, beginning: chain([first], stream)}
    origins: list[str] = []
    left_out: Counter[str] = Counter()

    def complete() -> Iterator[Record]:
        for split, stream in records.items():
            for record in complete_records(task, stream, left_out):
                origins.append(split)
                yield record

    task, examples = encode_records(
        task,
        tokenizer,
        complete(),
        head=head,
        max_length=max_length,
        truncation=truncation,
        group=group,
    )
    report: dict[str, Any] = {
        "records read": len(examples) + left_out.total(),
        "records without a value": dict(left_out),
        "duplicate records": duplicate_records,
    }
    removed = _duplicates(task, examples, origins, duplicate_records, report)
    kept = np.setdiff1d(np.arange(len(examples)), removed)
    examples = examples.select(kept.tolist())
    assigned = _split(task, examples, np.array(origins)[kept], set(records), fractions, seed, group)
    splits = {
        split: examples.select(np.flatnonzero(assigned == split).tolist())
        for split in SPLITS
        if split in assigned
    }
    for split in ("train", "validation", *(split for split in records if split in SPLITS)):
        if split not in splits:
            left = f" without {count(len(removed), 'duplicate')}" if len(removed) else ""
            raise ValueError(
                f"the {split} split would be empty{left}: give records for it, or other sizes "
                "(split)"
            )
    # the name of the key is that of earlier releases
    report["parts"] = {split: _describe(task, one) for split, one in splits.items()}
    _warn_of_unseen_labels(task, report["parts"])
    if standardize and not task.standardization:
        task = replace(task, standardization=_fit(task, splits["train"]))
        splits = {name: _standardized(task, one) for name, one in splits.items()}
    return TaskData(
        task, {name: targets_of_head(task, one, head) for name, one in splits.items()}, report
    )


def _duplicates(
    task: Task,
    examples: Examples,
    origins: Sequence[str],
    policy: Duplicates,
    report: dict[str, Any],
) -> list[int]:
    """Find the examples to remove, by their indices, and report the duplicates."""
    is_class = [not answer.is_number for answer in task.answer_list]
    classes = [tuple(row) for row in examples.targets[:, is_class]] if any(is_class) else None
    found = duplicates(examples.keys, origins, classes)
    report.update({f"duplicates {kind}": len(indices) for kind, indices in found.items()})
    removed = [index for indices in found.values() for index in indices]
    if removed and policy == "error":
        raise examples.records[min(removed)].error(
            "its sequence, or its reverse complement, stands twice, as do those of "
            f"{len(removed) - 1} other records: remove them (duplicates: remove)"
        )
    return [] if policy == "keep" else removed


def _split(
    task: Task,
    examples: Examples,
    origins: NDArray[np.str_],
    given: set[str],
    fractions: Sequence[float],
    seed: int,
    group: str | None,
) -> NDArray[np.str_]:
    """Assign examples to splits where the source has no splits, or none for validation."""
    if not 2 <= len(fractions) <= len(SPLITS):
        raise ValueError(f"split is {list(fractions)}: give sizes of two or three splits")
    if ALL in given:
        source, names = ALL, SPLITS
    elif "validation" not in given and "train" in given:
        source, names, fractions = "train", SPLITS[:2], list(fractions)[:2]
    else:
        return origins
    indices = np.flatnonzero(origins == source)
    records = [examples.records[index] for index in indices]
    answer, *others = task.answer_list
    classes = groups = None
    if group is not None:
        groups = [record.values[group] for record in records]
    elif not others and not answer.is_number:
        classes = [answer.labels[int(label)] for label in examples.targets[indices, 0]]
        needed = sum(fraction > 0 for fraction in fractions)
        for label, number in Counter(classes).items():
            if number < needed:
                raise records[classes.index(label)].error(
                    f"class {label!r} has {number} of {len(records):,} records, too few for "
                    f"{needed} splits: add records, leave the class out, or give the splits as "
                    "files"
                )
    parts = divide(len(records), fractions=fractions, seed=seed, classes=classes, groups=groups)
    assigned = origins.astype(object)
    assigned[indices] = np.array(names, dtype=object)[parts]
    return assigned


def _describe(task: Task, examples: Examples) -> Mapping[str, Any]:
    """Count records, tokens of their prompts, and the labels or the range of each answer."""
    lengths = examples.lengths
    description: dict[str, Any] = {
        "records": len(examples),
        "tokens": {
            "least": int(lengths.min()),
            "median": float(np.median(lengths)),
            "most": int(lengths.max()),
        },
    }
    for index, answer in enumerate(task.answer_list):
        values = examples.targets[:, index]
        if answer.is_number:
            description[answer.column] = {
                "mean": float(values.mean()),
                "standard deviation": float(values.std()),
                "least": float(values.min()),
                "most": float(values.max()),
            }
        else:
            counts = np.bincount(values.astype(int), minlength=len(answer.labels))
            description[answer.column] = dict(zip(answer.labels, counts.tolist(), strict=True))
    return description


def _warn_of_unseen_labels(task: Task, described: Mapping[str, Mapping[str, Any]]) -> None:
    for answer in task.answer_list:
        if answer.is_number:
            continue
        for label, number in described["train"][answer.column].items():
            elsewhere = [split for split in described if described[split][answer.column][label]]
            if not number and elsewhere:
                logger.warning(
                    "%s: label %r of the %s split has no record in the training split, so that "
                    "it is not learned",
                    answer.column,
                    label,
                    " and ".join(elsewhere),
                )


def _fit(task: Task, examples: Examples) -> tuple[tuple[float, float], ...]:
    """Fit mean and standard deviation of each number of the records, those of the answers last.

    A number that is the same everywhere has a standard deviation of 1.
    """
    columns = list(examples.number_table().T.astype(np.float64))
    is_number = [answer.is_number for answer in task.answer_list]
    columns += list(examples.targets.T[is_number])
    return tuple(
        (float(values.mean()), float(values.std()) if np.ptp(values) else 1.0) for values in columns
    )


def _standardized(task: Task, examples: Examples) -> Examples:
    scales = task.input_standardization
    if not scales:
        return examples
    of_records = zip(examples.records, examples.numbers, strict=True)
    return replace(examples, numbers=[standardized(*one, scales) for one in of_records])
