"""Records of a task in the token language, kept in flat arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from dnagpt_hf.messages import count
from dnagpt_hf.records.encoding import EncodedRecord, RecordEncoder, Truncation
from dnagpt_hf.records.missing import is_missing
from dnagpt_hf.records.reading import Record
from dnagpt_hf.records.templates import parse_number
from dnagpt_hf.tasks.splits import sequence_key
from dnagpt_hf.tasks.task import Answer, Task

if TYPE_CHECKING:
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

Head = Literal["language", "classification"]


@dataclass(frozen=True)
class Examples(Dataset[dict[str, Any]]):
    """Encoded records with their targets.

    Args:
        prompts: the prompts; their records have a name and a line, but no values.
        keys: key of the sequences of each, by which duplicates are found.
        groups: value of the column that keeps records together, if there is one.
        targets: index of the label, or the number, of each answer, `(records, answers)`, float64.
    """

    prompts: list[EncodedRecord]
    keys: list[bytes]
    groups: list[str]
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
            [self.groups[index] for index in indices] if self.groups else [],
            self.targets[indices],
        )

    def numbers(self, number_token_id: int, expected: int | None = None) -> NDArray[np.float32]:
        """Give the numbers of the prompts, `(records, numbers)`.

        Args:
            number_token_id: id of a number.
            expected: numbers of each record; by default as many as the first has.

        Raises:
            RecordError: a record has another count of numbers.
        """
        rows = []
        for prompt in self.prompts:
            rows.append(prompt.number_values[prompt.input_ids == number_token_id])
            expected = len(rows[0]) if expected is None else expected
            if len(rows[-1]) != expected:
                raise prompt.record.error(
                    f"it holds {count(len(rows[-1]), 'number')}, where the training data have "
                    f"{expected}: give every record as many"
                )
        return np.array(rows)

    def standardized(
        self, standardization: Sequence[tuple[float, float]], number_token_id: int
    ) -> Examples:
        """Copy the examples with standardized numbers in their prompts; targets stay as they are.

        Args:
            standardization: mean and standard deviation of each number of a prompt.
            number_token_id: id of a number.

        Raises:
            RecordError: a record has another count of numbers.
        """
        numbers = self.numbers(number_token_id, len(standardization))
        if not standardization:
            return self
        means, deviations = np.asarray(standardization).T
        prompts = []
        for prompt, row in zip(self.prompts, (numbers - means) / deviations, strict=True):
            values = prompt.number_values.copy()
            values[prompt.input_ids == number_token_id] = row
            prompts.append(replace(prompt, number_values=values))
        return replace(self, prompts=prompts)


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

    A prompt ends at the first answer, or at `<=>` for a classification head. Keys are those of its
    sequences, as they are prepared for the template.

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
    template = task.input
    if head == "language":
        template, max_length = task.prompt, prompt_length(task, tokenizer, max_length)
    encode = RecordEncoder(tokenizer, template, max_length, truncation, task.prepare)
    prompts, keys, groups = [], [], []
    answers: list[list[float | str]] = []
    for record in records:
        encoded = encode(record)
        try:
            answers.append([_answer(task, answer, record) for answer in task.answer_list])
            keys.append(_key(encode, record))
            if group is not None:
                groups.append(_group(record, group))
        except ValueError as error:
            raise record.error(str(error)) from error
        # ids in 4 bytes, and no values: all records stay in memory
        ids = encoded.input_ids.astype(np.int32)
        prompts.append(EncodedRecord(replace(record, values={}), ids, encoded.number_values))
    if not prompts:
        raise ValueError("the data hold no records")
    by_answer = list(zip(*answers, strict=True))
    labels = {answer.column: one for answer, one in zip(task.answer_list, by_answer, strict=True)}
    task = task.with_labels(labels, tokenizer)
    targets = [
        values if answer.is_number else [answer.labels.index(label) for label in values]
        for answer, values in zip(task.answer_list, by_answer, strict=True)
    ]
    return task, Examples(prompts, keys, groups, np.array(targets, dtype=np.float64).T)


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


def _key(encode: RecordEncoder, record: Record) -> bytes:
    """Make a key of the sequences of a record, or of all its columns where it has no sequence."""
    prepared = encode.prepare(record.values)
    slots = encode.template.slots
    sequences = ["".join(prepared[slot.column].split()) for slot in slots if slot.is_sequence]
    if sequences:
        return sequence_key(sequences)
    return repr([str(prepared[slot.column]) for slot in slots]).encode()


def prompt_length(task: Task, tokenizer: DNAGPTTokenizer, max_length: int) -> int:
    """Give the longest prompt behind which all answers fit, in tokens.

    The last answer is predicted, not read, so that it takes no position.

    Args:
        task: the task.
        tokenizer: the model's tokenizer.
        max_length: positions of the model.
    """
    return max_length - len(answer_token_ids(task, tokenizer)) + 1


def answer_token_ids(task: Task, tokenizer: DNAGPTTokenizer) -> list[int | None]:
    """List the token ids from the first answer on; `None` stands for an answer.

    Example:

        >>> from dnagpt_hf import DNAGPTTokenizer
        >>> task = Task("{x}<=><B>{a}<M>{y}", answers={"A": "1", "N": "0"})
        >>> answer_token_ids(task, DNAGPTTokenizer())
        [None, 18, None]
    """
    ids: list[int | None] = []
    for answer in task.answer_list:
        before = answer.before.strip()
        ids += [int(token) for token in tokenizer(before)["input_ids"]] if before else []
        ids.append(None)
    return ids


def fit_standardization(
    examples: Examples, answers: Sequence[Answer], number_token_id: int
) -> tuple[tuple[float, float], ...]:
    """Fit mean and standard deviation of each number of the records, those of the answers last.

    A number that is the same everywhere has a standard deviation of 1.

    Raises:
        RecordError: records hold different counts of numbers.
    """
    columns = list(examples.numbers(number_token_id).T.astype(np.float64))
    columns += [
        examples.targets[:, index] for index, answer in enumerate(answers) if answer.is_number
    ]
    return tuple(
        (float(values.mean()), float(values.std()) if np.ptp(values) else 1.0) for values in columns
    )


def to_head_targets(
    task: Task, examples: Examples, tokenizer: DNAGPTTokenizer, head: Head
) -> Examples:
    """Copy the examples with standardized numbers, and with targets of the kind of the head.

    The targets of a head with several labels are 1 for each column whose positive label holds.
    """
    if head == "classification" and task.problem_type == "multi_label_classification":
        positive = [answer.labels.index(task.positive_label(answer)) for answer in task.answer_list]
        examples = replace(examples, targets=(examples.targets == positive).astype(np.float64))
    if not task.standardization:
        return examples
    return examples.standardized(task.input_standardization, int(tokenizer.number_token_id))


def describe(task: Task, examples: Examples) -> Mapping[str, Any]:
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
