"""Records of a task in the token language, with their targets."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from dnagpt_hf.atomic_files import new_file
from dnagpt_hf.messages import count
from dnagpt_hf.records.reading import Record, is_missing
from dnagpt_hf.records.templates import (
    EncodedRecord,
    RecordEncoder,
    Template,
    Truncation,
    parse_number,
)
from dnagpt_hf.tasks.splits import sequence_key
from dnagpt_hf.tasks.task import Answer, Head, Task

if TYPE_CHECKING:
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Examples(Dataset[dict[str, Any]]):
    """Encoded records with their targets.

    Args:
        prompts: the prompts; of their values, records keep that of the group alone.
        keys: key of the sequences of each, by which duplicates are found.
        targets: index of the label, or the number, of each answer, `(records, answers)`, float64.
    """

    prompts: list[EncodedRecord]
    keys: list[bytes]
    targets: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.prompts)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Give `input_ids` and `number_values`, `(length,)`, and `targets`, `(answers,)`."""
        prompt = self.prompts[index]
        return {
            "input_ids": prompt.input_ids,
            "number_values": prompt.number_values,
            "targets": self.targets[index],
        }

    @property
    def names(self) -> list[str]:
        """Names of the records."""
        return [prompt.record.name for prompt in self.prompts]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each prompt, `(records,)`."""
        return np.array([len(prompt.input_ids) for prompt in self.prompts])

    def select(self, indices: Sequence[int]) -> Examples:
        """Select examples, in the order of `indices`."""
        return Examples(
            [self.prompts[index] for index in indices],
            [self.keys[index] for index in indices],
            self.targets[indices],
        )

    def numbers(self, number_token_id: int) -> NDArray[np.float32]:
        """Give the numbers of the prompts, `(records, numbers)`.

        Raises:
            RecordError: a record has another count of numbers than the first one.
        """
        rows: list[NDArray[np.float32]] = []
        for prompt in self.prompts:
            rows.append(prompt.number_values[prompt.input_ids == number_token_id])
            if len(rows[-1]) != len(rows[0]):
                raise prompt.record.error(
                    f"it holds {count(len(rows[-1]), 'number')}, where the training data have "
                    f"{len(rows[0])}: give every record as many"
                )
        return np.array(rows)


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
        tokenizer, template, max_length, truncation, prepare, task.input_standardization
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
    """Encode the prompts and answers of records.

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
    prompts, keys = [], []
    answers: list[list[float | str]] = []
    for record in records:
        encoded = encode(record)
        try:
            answers.append([_answer(task, answer, record) for answer in task.answer_list])
            keys.append(record_key(task, record))
            values = {} if group is None else {group: _group(record, group)}
        except ValueError as error:
            raise record.error(str(error)) from error
        # ids in 4 bytes, and no other values: all records stay in memory
        ids = encoded.input_ids.astype(np.int32)
        prompts.append(EncodedRecord(replace(record, values=values), ids, encoded.number_values))
    if not prompts:
        raise ValueError("the data hold no records")
    by_answer = list(zip(*answers, strict=True))
    labels = {answer.column: one for answer, one in zip(task.answer_list, by_answer, strict=True)}
    task = task.with_labels(labels, tokenizer)
    targets = [
        values if answer.is_number else [answer.labels.index(label) for label in values]
        for answer, values in zip(task.answer_list, by_answer, strict=True)
    ]
    return task, Examples(prompts, keys, np.array(targets, dtype=np.float64).T)


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


class TrainingOverlap:
    """Counts the records on which a model was trained, among those that it is measured on.

    A checkpoint folder keeps 64 bits of the key of each training record, and no sequences. The
    name of the file begins with an underscore, so that it is not published.

    Args:
        folder: the checkpoint folder; without the file, no record is known.
    """

    FILE = "_trained_on.npy"

    def __init__(self, folder: Path) -> None:
        path = folder / self.FILE
        self.hashes = np.load(path, allow_pickle=False) if path.is_file() else _hashes([])
        self.records = self.known = 0

    @classmethod
    def save(cls, folder: Path, examples: Examples) -> None:
        """Write the hashes of the training split into a checkpoint folder."""
        with (
            new_file(folder / cls.FILE, overwrite=True, shared=True) as partial,
            # NumPy adds an ending to a name, but not to a stream
            open(partial, "wb") as stream,
        ):
            np.save(stream, _hashes(examples.keys))

    def add(self, keys: Sequence[bytes]) -> None:
        """Count records by their keys."""
        self.records += len(keys)
        self.known += int(np.isin(_hashes(keys), self.hashes).sum())

    def warn(self, source: str) -> None:
        """Warn of records of a file that were trained on, if there are any."""
        if self.known:
            logger.warning(
                "%s: the model was trained on %s of these %s, which say little about new ones: "
                "measure it on others, such as the test split of its task",
                source,
                f"{self.known:,}",
                count(self.records, "record"),
            )


def _hashes(keys: Sequence[bytes]) -> NDArray[np.uint64]:
    return np.sort(np.array([int.from_bytes(key[:8], "little") for key in keys], np.uint64))


def targets_of_head(task: Task, examples: Examples, head: Head) -> Examples:
    """Give a head with several labels targets of 1 where the positive label of a column holds."""
    if head == "language" or task.problem_type != "multi_label_classification":
        return examples
    positive = [answer.labels.index(task.positive_label(answer)) for answer in task.answer_list]
    return replace(examples, targets=(examples.targets == positive).astype(np.float64))
