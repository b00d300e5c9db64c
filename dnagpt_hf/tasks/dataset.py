"""The records of a task: read, freed of duplicates, split, standardized and described."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

from dnagpt_hf.messages import count
from dnagpt_hf.records.encoding import Truncation
from dnagpt_hf.records.missing import is_missing
from dnagpt_hf.records.reading import Record
from dnagpt_hf.records.templates import Template
from dnagpt_hf.tasks.examples import (
    Examples,
    Head,
    describe,
    encode_records,
    fit_standardization,
    to_head_targets,
)
from dnagpt_hf.tasks.sources import ALL, SPLITS
from dnagpt_hf.tasks.splits import FRACTIONS, ClassTooSmall, divide, duplicates
from dnagpt_hf.tasks.task import Task

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
    task, records = _with_columns(task, records)
    splits: list[str] = []
    left_out: Counter[str] = Counter()
    task, examples = encode_records(
        task,
        tokenizer,
        _all_records(task, records, splits, left_out),
        head=head,
        max_length=max_length,
        truncation=truncation,
        group=group,
    )
    kept, found = _without_duplicates(task, examples, splits, duplicate_records)
    found = {
        "records read": len(examples) + left_out.total(),
        "records without a value": dict(left_out),
        **found,
    }
    examples, splits = examples.select(kept), [splits[index] for index in kept]
    splits = _split(task, examples, splits, set(records), fractions, seed)
    by_split = {
        split: examples.select([index for index, one in enumerate(splits) if one == split])
        for split in SPLITS
        if split in splits
    }
    for split in ("train", "validation", *(split for split in records if split in SPLITS)):
        if split not in by_split:
            raise ValueError(
                f"the {split} split would be empty: give records for it, or other sizes (split)"
            )
    # the name of the key is that of earlier releases
    report = {**found, "parts": {split: describe(task, one) for split, one in by_split.items()}}
    if standardize and not task.standardization:
        scales = fit_standardization(
            by_split["train"], task.answer_list, int(tokenizer.number_token_id)
        )
        task = replace(task, standardization=scales)
    targets = {name: to_head_targets(task, one, tokenizer, head) for name, one in by_split.items()}
    return TaskData(task, targets, report)


def read_examples(
    task: Task,
    tokenizer: DNAGPTTokenizer,
    records: Iterable[Record],
    *,
    head: Head = "language",
    max_length: int,
    truncation: Truncation | None = None,
) -> Examples:
    """Read labelled records for a task that a model has been trained on.

    Args:
        task: the task with its labels and its standardization.
        tokenizer: the model's tokenizer.
        records: records with the columns of the template, answers included. Those of which a
            label or a number is missing are left out, with a warning.
        head: the head that answers.
        max_length: positions of the model.
        truncation: end at which too long a sequence is cut; by default it is an error.

    Raises:
        RecordError: a record cannot be used.
        ValueError: the template names no column of answers, or there are no records.
    """
    if not task.is_answered:
        raise ValueError(
            f"template {task.template!r} has no column behind <=>, with which to compare: write "
            "it as <R>{sequence}<=><B>{label}"
        )
    records = complete_records(task, records, Counter())
    task, examples = encode_records(
        task, tokenizer, records, head=head, max_length=max_length, truncation=truncation
    )
    return to_head_targets(task, examples, tokenizer, head)


def _all_records(
    task: Task,
    records: Mapping[str, Iterable[Record]],
    splits: list[str],
    left_out: Counter[str],
) -> Iterator[Record]:
    """Read the complete records of all splits, and note the split of each."""
    for split, split_records in records.items():
        for record in complete_records(task, split_records, left_out):
            splits.append(split)
            yield record


def complete_records(
    task: Task, records: Iterable[Record], left_out: Counter[str]
) -> Iterator[Record]:
    """Leave out records of which a label or a number is missing.

    Args:
        task: the task, whose template says which columns are needed.
        records: labeled records.
        left_out: gets the number of those that are left out, by the column that they lack.
    """
    answers = {answer.column: answer for answer in task.answer_list}
    numbers = [slot.column for slot in Template(task.template).slots if slot.is_number]
    needed = list(dict.fromkeys([*numbers, *answers]))
    before = left_out.copy()
    for record in records:
        values = record.values
        lacking = [
            column
            for column in needed
            if column in values
            and (answers[column].is_missing if column in answers else is_missing)(values[column])
        ]
        if lacking:
            left_out[lacking[0]] += 1
        else:
            yield record
    for column, number in (left_out - before).items():
        logger.warning("left out %s without a value of %s", count(number, "record"), column)


def _with_columns(
    task: Task, records: Mapping[str, Iterable[Record]]
) -> tuple[Task, Mapping[str, Iterable[Record]]]:
    """Resolve columns that the template names by their beginning, with the first record."""
    if "…}" not in task.template and "...}" not in task.template:
        return task, records
    split, stream = next(iter(records.items()))
    stream = iter(stream)
    first = next(stream, None)
    if first is None:
        raise ValueError(f"the data hold no records ({split})")
    template = Template(task.template).resolve(first.values)
    return replace(task, template=template.text), {**records, split: chain([first], stream)}


def _without_duplicates(
    task: Task, examples: Examples, splits: Sequence[str], policy: Duplicates
) -> tuple[list[int], dict[str, Any]]:
    """Choose the examples that stay, by their indices, and report the duplicates."""
    is_class = [not answer.is_number for answer in task.answer_list]
    classes = [tuple(row) for row in examples.targets[:, is_class]] if any(is_class) else None
    found = duplicates(examples.keys, splits, classes)
    removed = {index for indices in found.values() for index in indices}
    counts = {f"duplicates {kind}": len(indices) for kind, indices in found.items()}
    report = {"duplicate records": policy, **counts}
    if removed and policy == "error":
        raise examples.prompts[min(removed)].record.error(
            "its sequence, or its reverse complement, stands twice, as do those of "
            f"{len(removed) - 1} other records: remove them (duplicates: remove)"
        )
    if policy == "keep":
        removed = set()
    return [index for index in range(len(examples)) if index not in removed], report


def _split(
    task: Task,
    examples: Examples,
    splits: list[str],
    given: set[str],
    fractions: Sequence[float],
    seed: int,
) -> list[str]:
    """Assign examples to splits where the source has no splits, or none for validation."""
    if not 2 <= len(fractions) <= len(SPLITS):
        raise ValueError(f"split is {list(fractions)}: give sizes of two or three splits")
    if ALL in given:
        source, names = ALL, SPLITS
    elif "validation" not in given and "train" in given:
        source, names, fractions = "train", SPLITS[:2], list(fractions)[:2]
    else:
        return splits
    indices = [index for index, split in enumerate(splits) if split == source]
    classes = None
    if len(task.answer_list) == 1 and not task.answer_list[0].is_number:
        labels = task.answer_list[0].labels
        classes = [labels[int(examples.targets[index, 0])] for index in indices]
    groups = [examples.groups[index] for index in indices] if examples.groups else None
    try:
        division = divide(
            len(indices), fractions=fractions, seed=seed, classes=classes, groups=groups
        )
    except ClassTooSmall as error:
        record = examples.prompts[indices[error.index]].record
        raise ValueError(f"{record.source}, line {record.line}: {error}") from None
    assigned = list(splits)
    for index, number in zip(indices, division, strict=True):
        assigned[index] = names[number]
    return assigned
