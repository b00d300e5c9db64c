"""Records of a task in the token language, with their targets."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from dnagpt_hf.messages import count
from dnagpt_hf.records.reading import Record, is_missing
from dnagpt_hf.records.templates import Template, parse_number
from dnagpt_hf.tasks.answers import Answer
from dnagpt_hf.tasks.encoding import EncodedRecord, RecordEncoder, Truncation
from dnagpt_hf.tasks.splits import sequence_key
from dnagpt_hf.tasks.task import Head, Task

if TYPE_CHECKING:
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Examples(Dataset[dict[str, Any]]):
    """Encoded records with their targets, each in all its views.

    All of them stay in memory: ids are kept in as few bytes as the vocabulary allows, and numbers,
    which are the same in all views, once.

    Args:
        records: the records; of their values they keep that of the group alone.
        ids: ids of the prompt of each record in each view, unsigned `(length,)`.
        numbers: numbers of each prompt, in their order, float32 `(numbers,)`.
        keys: key of the sequences of each, by which duplicates are found.
        targets: index of the label, or the number, of each answer, `(records, answers)`, float64.
        number_token_id: id of a number.
    """

    records: list[Record]
    ids: list[tuple[NDArray[Any], ...]]
    numbers: list[NDArray[np.float32]]
    keys: list[bytes]
    targets: NDArray[np.float64]
    number_token_id: int

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Give the example of [`example`] in the first view."""
        return self.example(index)

    def example(self, index: int, view: int = 0) -> dict[str, Any]:
        """Give `input_ids` and `number_values`, `(length,)`, and `targets`, `(answers,)`."""
        ids = self.ids[index][view]
        return {
            "input_ids": ids,
            "number_values": self._number_values(index, ids),
            "targets": self.targets[index],
        }

    def in_views(self, index: int) -> list[EncodedRecord]:
        """Give the prompt of a record in all views."""
        return [
            EncodedRecord(self.records[index], ids, self._number_values(index, ids))
            for ids in self.ids[index]
        ]

    def _number_values(self, index: int, ids: NDArray[Any]) -> NDArray[np.float32]:
        values = np.zeros(len(ids), np.float32)
        if len(self.numbers[index]):
            values[ids == self.number_token_id] = self.numbers[index]
        return values

    @property
    def names(self) -> list[str]:
        """Names of the records."""
        return [record.name for record in self.records]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each prompt in its first view, `(records,)`."""
        return np.array([len(first) for first, *_ in self.ids])

    @property
    def num_views(self) -> int:
        """Number of views of each record."""
        return len(self.ids[0]) if self.ids else 1

    def select(self, indices: Sequence[int]) -> Examples:
        """Select examples, in the order of `indices`."""
        return replace(
            self,
            records=[self.records[index] for index in indices],
            ids=[self.ids[index] for index in indices],
            numbers=[self.numbers[index] for index in indices],
            keys=[self.keys[index] for index in indices],
            targets=self.targets[indices],
        )

    def number_table(self) -> NDArray[np.float32]:
        """Give the numbers of the prompts, `(records, numbers)`.

        Raises:
            RecordError: a record has another count of numbers than the first one.
        """
        for record, numbers in zip(self.records, self.numbers, strict=True):
            if len(numbers) != len(self.numbers[0]):
                raise record.error(
                    f"it holds {count(len(numbers), 'number')}, where the training data have "
                    f"{len(self.numbers[0])}: give every record as many"
                )
        return np.array(self.numbers)


class RandomViews(Dataset[dict[str, Any]]):
    """Examples for training: each in one of its views, another one in each epoch.

    The view is a pure function of (seed, epoch, index), so that a run that was stopped goes on as
    it would have.

    Args:
        examples: the examples.
        seed: seed of the draws.

    Attributes:
        epoch: the epoch, counted from 0. It lies in memory that processes share, so that the
            workers of a `DataLoader`, which may outlive an epoch, follow.
    """

    def __init__(self, examples: Examples, seed: int = 0) -> None:
        self.examples, self.seed = examples, seed
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    @property
    def epoch(self) -> int:
        return int(self._epoch)

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Give an example as [`Examples.example`] does."""
        views = self.examples.num_views
        if views == 1:
            return self.examples.example(index)
        draw = Random(self.seed << 128 | self.epoch << 64 | index).random()
        return self.examples.example(index, int(views * draw))


def gaps_between_answers(task: Task, tokenizer: DNAGPTTokenizer) -> list[list[int]]:
    """List the token ids before each answer that the prompt or the answer before it leaves.

    Example:

        >>> from dnagpt_hf import DNAGPTTokenizer
        >>> task = Task("{x}<=><B>{a}<M>{y}", answers={"A": "1", "N": "0"})
        >>> gaps_between_answers(task, DNAGPTTokenizer())
        [[], [18]]
    """
    texts = [answer.before.strip() for answer in task.answer_list]
    return [list(map(int, tokenizer(text)["input_ids"])) if text else [] for text in texts]


def prompt_encoder(
    task: Task,
    tokenizer: DNAGPTTokenizer,
    *,
    head: Head = "language",
    max_length: int,
    truncation: Truncation | None = None,
) -> RecordEncoder:
    """Make the encoder of what a model reads before it answers.

    Args:
        task: template and preparation of columns.
        tokenizer: the model's tokenizer.
        head: the head that answers. One for classification reads the template up to `<=>`.
        max_length: positions of the model. Answers in the token language take some of them, but
            not the last one, which is predicted and not read.
        truncation: end at which too long a sequence is cut; by default it is an error.

    Raises:
        ValueError: the template has a token that the tokenizer does not know.
    """
    template = task.input
    if head == "language":
        template = task.prompt
        max_length -= sum(len(gap) + 1 for gap in gaps_between_answers(task, tokenizer)) - 1
    # the numbers that are to be predicted may be missing
    prepare = partial(task.prepare, columns=template.columns)
    return RecordEncoder(
        tokenizer,
        template,
        max_length,
        truncation,
        prepare,
        task.input_standardization,
        task.views.expand(tokenizer.kmer_size),
    )


def encode_records(
    task: Task,
    tokenizer: DNAGPTTokenizer,
    records: Iterable[Record],
    *,
    head: Head = "language",
    max_length: int,
    truncation: Truncation | None = None,
    group: str | None = None,
) -> tuple[Task, Examples]:
    """Encode the prompts of records in all views of a task, and their answers.

    Keys are those of the sequences as they are prepared for the template.

    Args:
        task: the task.
        tokenizer: the model's tokenizer.
        records: labelled records.
        head: the head that answers.
        max_length: positions of the model.
        truncation: end at which too long a sequence is cut; by default it is an error.
        group: column whose values keep records together in a split.

    Returns:
        The task with tokens for all labels, and the examples with numbers as they are.

    Raises:
        RecordError: a record lacks a column, cannot be read, or holds none of the answers.
        ValueError: there are no records, a column has too few or too many labels, or the template
            has a token that the tokenizer does not know.
    """
    encode = prompt_encoder(
        task, tokenizer, head=head, max_length=max_length, truncation=truncation
    )
    id_type = np.min_scalar_type(len(tokenizer) - 1)
    number_token_id = int(tokenizer.number_token_id)
    kept, ids, numbers, keys = [], [], [], []
    answers: list[list[float | str]] = []
    for record in records:
        views = encode.in_views(record)
        first = views[0]
        try:
            answers.append([_answer(task, answer, record) for answer in task.answer_list])
            keys.append(record_key(task, record))
            values = {} if group is None else {group: _group(record, group)}
        except ValueError as error:
            raise record.error(str(error)) from error
        kept.append(replace(record, values=values))
        ids.append(tuple(view.input_ids.astype(id_type) for view in views))
        numbers.append(first.number_values[first.input_ids == number_token_id])
    if not kept:
        raise ValueError("the data hold no records")
    by_answer = list(zip(*answers, strict=True))
    labels = {answer.column: one for answer, one in zip(task.answer_list, by_answer, strict=True)}
    task = task.with_labels(labels, tokenizer)
    targets = [
        values if answer.is_number else [answer.labels.index(label) for label in values]
        for answer, values in zip(task.answer_list, by_answer, strict=True)
    ]
    table = np.array(targets, dtype=np.float64).T
    return task, Examples(kept, ids, numbers, keys, table, number_token_id)


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
    complete = complete_records(task, records, Counter())
    task, examples = encode_records(
        task, tokenizer, complete, head=head, max_length=max_length, truncation=truncation
    )
    return targets_of_head(task, examples, head)


def complete_records(
    task: Task, records: Iterable[Record], left_out: Counter[str]
) -> Iterator[Record]:
    """Leave out records of which a label or a number is missing.

    Args:
        task: the task, whose template says which columns are needed.
        records: labeled records.
        left_out: gets the number of those that are left out, by the column that they lack.
    """
    numbers = {slot.column: is_missing for slot in Template(task.template).slots if slot.is_number}
    needed = {**numbers, **{answer.column: answer.is_missing for answer in task.answer_list}}
    before = left_out.copy()
    for record in records:
        values = record.values
        lacking = (name for name, lacks in needed.items() if name in values and lacks(values[name]))
        column = next(lacking, None)
        if column is None:
            yield record
        else:
            left_out[column] += 1
    for column, number in (left_out - before).items():
        logger.warning("left out %s without a value of %s", count(number, "record"), column)


def _cell(record: Record, column: str, purpose: str = "") -> Any:
    if column not in record.values:
        raise ValueError(f"there is no column {column!r}{purpose}, only {', '.join(record.values)}")
    return record.values[column]


def _answer(task: Task, answer: Answer, record: Record) -> float | str:
    """Read the number or label of an answer."""
    value = _cell(record, answer.column)
    if answer.is_number:
        return parse_number(answer.column, task.prepare({answer.column: value})[answer.column])
    if answer.tokens:
        return answer.label(value)
    if is_missing(value):
        raise ValueError(
            f"column {answer.column!r} holds {value!r}, a missing value: a label is needed"
        )
    return str(value).strip()


def _group(record: Record, column: str) -> str:
    """Read the value that keeps records together, which a missing one would do by chance."""
    value = _cell(record, column, " to keep records together")
    if is_missing(value):
        raise ValueError(
            f"column {column!r}, which keeps records together, holds {value!r}, a missing value: "
            "give each such record a value of its own"
        )
    return str(value)


def record_key(task: Task, record: Record) -> bytes:
    """Make a key of the sequences of a record, or of all its columns where it has no sequence.

    Args:
        task: the task, which says what a model reads of a record.
        record: the record, which could be encoded.
    """
    slots = task.input.slots
    prepared = task.prepare(record.values, columns=task.input.columns)
    sequences = ["".join(prepared[slot.column].split()) for slot in slots if slot.is_sequence]
    if sequences:
        return sequence_key(sequences)
    return sequence_key([repr([str(prepared[slot.column]) for slot in slots])])


def targets_of_head(task: Task, examples: Examples, head: Head) -> Examples:
    """Give a head with several labels targets of 1 where the positive label of a column holds."""
    if head == "language" or task.problem_type != "multi_label_classification":
        return examples
    positive = [answer.labels.index(task.positive_label(answer)) for answer in task.answer_list]
    return replace(examples, targets=(examples.targets == positive).astype(np.float64))
