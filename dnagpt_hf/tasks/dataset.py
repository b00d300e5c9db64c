"""The records of a task, read, divided, freed of duplicates, and described."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from dnagpt_hf.records.encoding import Truncation
from dnagpt_hf.records.reading import Record
from dnagpt_hf.records.templates import Template
from dnagpt_hf.tasks.columns import ALL, PARTS
from dnagpt_hf.tasks.examples import (
    ExampleEncoder,
    Examples,
    Head,
    fit_standardization,
    standardized,
)
from dnagpt_hf.tasks.splits import FRACTIONS, ClassTooSmall, divide, duplicates
from dnagpt_hf.tasks.task import Task

if TYPE_CHECKING:
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer


@dataclass(frozen=True)
class TaskData:
    """A task with its examples.

    Args:
        task: the task, with tokens for all labels and its standardisation.
        parts: examples of the parts `train`, `validation` and `test`; the last may be missing.
        report: counts, balance of labels, lengths and duplicates, as plain data.
    """

    task: Task
    parts: Mapping[str, Examples]
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
    duplicate_records: str = "remove",
    standardize: bool = True,
) -> TaskData:
    """Read all records of a task and make its parts.

    Args:
        task: what is asked.
        tokenizer: the model's tokenizer.
        records: those of each part; or of `"all"`, which are divided. Where there is a training
            part alone it is divided like all; where only validation is missing, it is taken from
            the training part.
        head: how the model answers.
        max_length: positions of the model.
        truncation: end at which too long a sequence is cut; by default it is an error.
        group: column whose values are not divided.
        fractions: sizes of training, validation and test part.
        seed: of the division.
        duplicate_records: `"remove"` them, `"keep"` them, or `"error"`.
        standardize: whether numbers are standardised by the training part; a task that has its
            standardisation keeps it.

    Raises:
        RecordError: a record cannot be used.
        ValueError: a part is empty, or a class is too small to be divided.
    """
    task, records = _with_columns(task, records)
    if head == "classification":
        # a head that cannot answer the task is an error before anything is read
        problem_type(task)
    encoder = ExampleEncoder(
        task, tokenizer, head=head, max_length=max_length, truncation=truncation, group=group
    )
    if set(records) == {"train"}:
        records = {ALL: records["train"]}
    examples, parts, labels = _read(encoder, records)
    task, examples = _fix_labels(task, examples, labels, tokenizer)
    examples, parts, found = _without_duplicates(task, examples, parts, duplicate_records)
    parts = _divided(task, examples, parts, set(records), fractions, seed)
    by_part = {
        part: examples.select([n for n, one in enumerate(parts) if one == part])
        for part in PARTS
        if part in parts
    }
    for part in ("train", "validation", *(part for part in records if part in PARTS)):
        if part not in by_part:
            raise ValueError(
                f"the {part} part has no records: give data for it, or other sizes of parts (split)"
            )
    number = int(tokenizer.number_token_id)
    report = {
        **found,
        "parts": {part: describe(task, one, tokenizer.kmer_size) for part, one in by_part.items()},
    }
    if standardize and not task.standardization:
        scales = fit_standardization(by_part["train"], task.answer_list, number)
        task = replace(task, standardization=scales)
    by_part = {part: as_asked(task, one, tokenizer, head) for part, one in by_part.items()}
    return TaskData(task, by_part, report)


def read_examples(
    task: Task,
    tokenizer: DNAGPTTokenizer,
    records: Iterable[Record],
    *,
    head: Head = "language",
    max_length: int,
    truncation: Truncation | None = None,
) -> Examples:
    """Labelled records for a task that a model has been trained on, ready to be asked.

    Args:
        task: the task with its labels and its standardisation.
        tokenizer: the model's tokenizer.
        records: records with the columns of the template, answers included.
        head: how the model answers.
        max_length: positions of the model.
        truncation: end at which too long a sequence is cut; by default it is an error.

    Raises:
        RecordError: a record cannot be used.
        ValueError: the task does not say what is answered, or there are no records.
    """
    if not task.is_answered:
        raise ValueError(
            f"template {task.template!r} has no column behind <=>, with which to compare: write "
            "it as <R>{sequence}<=><B>{label}"
        )
    encoder = ExampleEncoder(
        task, tokenizer, head=head, max_length=max_length, truncation=truncation
    )
    examples, _ = encoder(records)
    if not len(examples):
        raise ValueError("the data hold no records")
    return as_asked(task, examples, tokenizer, head)


def as_asked(task: Task, examples: Examples, tokenizer: DNAGPTTokenizer, head: Head) -> Examples:
    """Examples with standardised numbers, and targets of the kind that the head answers."""
    if head == "classification" and problem_type(task) == "multi_label_classification":
        examples = _held_labels(task, examples)
    if not task.standardization:
        return examples
    return standardized(examples, task.input_standardization, int(tokenizer.number_token_id))


def describe(task: Task, examples: Examples, kmer_size: int) -> dict[str, Any]:
    """Number of records, tokens in their prompts, and the balance or range of each answer."""
    lengths = examples.lengths
    description: dict[str, Any] = {
        "records": len(examples),
        "tokens": {
            "least": int(lengths.min()),
            "median": float(np.median(lengths)),
            "most": int(lengths.max()),
        },
    }
    for place, answer in enumerate(task.answer_list):
        values = examples.targets[:, place]
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


def problem_type(task: Task) -> str:
    """What a classification head is to do, in the words of Transformers.

    Several answers that are no numbers become several labels, each of which holds or not.

    Raises:
        ValueError: answers are of different kinds.

    Example:

        >>> problem_type(Task("{x}<=><B>{a}<B>{b}", answers={"A": "yes", "N": "no"}))
        'multi_label_classification'
    """
    kinds = {answer.is_number for answer in task.answer_list}
    if len(kinds) > 1:
        raise ValueError(
            f"template {task.template!r} asks for classes and numbers, and a classification head "
            "gives one kind: use head: language"
        )
    if kinds == {True}:
        return "regression"
    if len(task.answer_list) == 1:
        return "single_label_classification"
    for answer in task.answer_list:
        if len(answer.tokens) > 2:
            raise ValueError(
                f"column {answer.column!r} has {len(answer.tokens)} classes, and a head over "
                "several columns says yes or no to each: use head: language"
            )
    return "multi_label_classification"


def _held_labels(task: Task, examples: Examples) -> Examples:
    """Targets that say of each column whether its positive label holds."""
    positive = [answer.labels.index(task.positive_label(answer)) for answer in task.answer_list]
    return replace(examples, targets=(examples.targets == positive).astype(np.float64))


def _with_columns(
    task: Task, records: Mapping[str, Iterable[Record]]
) -> tuple[Task, dict[str, Iterable[Record]]]:
    """The task with columns that its template names by their beginning written out."""
    if "…}" not in task.template and "...}" not in task.template:
        return task, dict(records)
    streams = {part: iter(part_records) for part, part_records in records.items()}
    part, stream = next(iter(streams.items()))
    first = next(stream, None)
    if first is None:
        raise ValueError(f"the data hold no records ({part})")
    template = Template(task.template).resolve(first.values)
    return replace(task, template=template.text), {**streams, part: chain([first], stream)}


def _read(
    encoder: ExampleEncoder, records: Mapping[str, Iterable[Record]]
) -> tuple[Examples, list[str], dict[str, list[str]]]:
    """All examples in one, the part of each, and the labels of each answer."""
    parts: list[str] = []

    def marked() -> Iterable[Record]:
        for part, part_records in records.items():
            for record in part_records:
                parts.append(part)
                yield record

    examples, labels = encoder(marked())
    if not len(examples):
        raise ValueError("the data hold no records")
    return examples, parts, labels


def _fix_labels(
    task: Task, examples: Examples, labels: Mapping[str, list[str]], tokenizer: DNAGPTTokenizer
) -> tuple[Task, Examples]:
    """Tokens for labels that had none, and targets in the order of the tokens."""
    task = task.with_labels(labels, tokenizer)
    targets = examples.targets.copy()
    for place, answer in enumerate(task.answer_list):
        if not answer.is_number:
            found = labels[answer.column]
            places = np.array([answer.labels.index(label) for label in found], dtype=float)
            targets[:, place] = places[targets[:, place].astype(int)]
    return task, replace(examples, targets=targets)


def _without_duplicates(
    task: Task, examples: Examples, parts: list[str], policy: str
) -> tuple[Examples, list[str], dict[str, Any]]:
    is_class = [not answer.is_number for answer in task.answer_list]
    classes = [tuple(row) for row in examples.targets[:, is_class]] if any(is_class) else None
    found = duplicates(examples.keys, parts, classes)
    counts = {f"duplicates {kind}": len(numbers) for kind, numbers in found.items()}
    gone = sorted(number for numbers in found.values() for number in numbers)
    report = {"records read": len(examples), "duplicate records": policy, **counts}
    if gone and policy == "error":
        source, line = examples.places[gone[0]]
        raise ValueError(
            f"{source}, record {examples.names[gone[0]]} (line {line}): its sequence, or its "
            f"reverse complement, stands twice, as do those of {len(gone) - 1} other records: "
            "remove them (duplicates: remove)"
        )
    if policy == "keep" or not gone:
        return examples, parts, report
    lost = set(gone)
    kept = [number for number in range(len(examples)) if number not in lost]
    return examples.select(kept), [parts[number] for number in kept], report


def _divided(
    task: Task,
    examples: Examples,
    parts: list[str],
    given: set[str],
    fractions: Sequence[float],
    seed: int,
) -> list[str]:
    """The part of each record, once records of all parts are divided."""
    if not 2 <= len(fractions) <= len(PARTS):
        raise ValueError(f"split is {list(fractions)}: give sizes of two or three parts")
    if ALL in given:
        source, names = ALL, list(PARTS)
    elif "validation" not in given and "train" in given:
        source, names, fractions = "train", list(PARTS[:2]), list(fractions)[:2]
    else:
        return parts
    numbers = [number for number, part in enumerate(parts) if part == source]
    one_class = len(task.answer_list) == 1 and not task.answer_list[0].is_number
    classes = None
    if one_class:
        labels = task.answer_list[0].labels
        classes = [labels[int(examples.targets[number, 0])] for number in numbers]
    groups = [examples.groups[number] for number in numbers] if examples.groups else None
    try:
        division = divide(
            len(numbers), fractions=fractions, seed=seed, classes=classes, groups=groups
        )
    except ClassTooSmall as error:
        source, line = examples.places[numbers[error.number]]
        raise ValueError(f"{source}, line {line}: {error}") from None
    divided = list(parts)
    for number, place in zip(numbers, division, strict=True):
        divided[number] = names[place]
    return divided
