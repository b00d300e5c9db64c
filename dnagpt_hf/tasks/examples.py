"""Records of a task in the token language, kept in flat arrays."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from dnagpt_hf.records.encoding import EncodedRecord, RecordEncoder, Truncation
from dnagpt_hf.records.reading import Record
from dnagpt_hf.records.templates import parse_number
from dnagpt_hf.tasks.splits import sequence_key
from dnagpt_hf.tasks.task import Answer, Task

if TYPE_CHECKING:
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

Head = Literal["language", "classification"]
IGNORED_TOKEN = -100


@dataclass
class Examples(Dataset[dict[str, Any]]):
    """Encoded records with their targets.

    Args:
        names: name of each record.
        places: file and line of each record, for messages.
        keys: key of its sequences, by which duplicates are found.
        groups: value of the column that keeps records together, if there is one.
        input_ids: ids of all prompts one behind the other, int32.
        number_values: the numbers among them, float32, not standardised.
        offsets: where each prompt starts, and the end of the last, `(records + 1,)`.
        targets: number of the label, or the number, of each answer, `(records, answers)`, float64.
    """

    names: list[str]
    places: list[tuple[str, int]]
    keys: list[bytes]
    groups: list[str] | None
    input_ids: NDArray[np.int32]
    number_values: NDArray[np.float32]
    offsets: NDArray[np.int64]
    targets: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """`input_ids` and `number_values`, `(length,)`, and `targets`, `(answers,)`."""
        where = slice(self.offsets[index], self.offsets[index + 1])
        return {
            "input_ids": self.input_ids[where].astype(np.int64),
            "number_values": self.number_values[where],
            "targets": self.targets[index],
        }

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each prompt."""
        return np.diff(self.offsets)

    def select(self, numbers: Sequence[int] | NDArray[np.int64]) -> Examples:
        """Some of the records, in the order given."""
        chosen = np.asarray(numbers, dtype=np.int64)
        lengths = self.lengths[chosen]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
        flat = np.repeat(self.offsets[:-1][chosen], lengths) + within
        return Examples(
            names=[self.names[number] for number in chosen],
            places=[self.places[number] for number in chosen],
            keys=[self.keys[number] for number in chosen],
            groups=None if self.groups is None else [self.groups[number] for number in chosen],
            input_ids=self.input_ids[flat],
            number_values=self.number_values[flat],
            offsets=offsets,
            targets=self.targets[chosen],
        )


class ExampleEncoder:
    """Turns the records of a task into examples.

    Args:
        task: what is asked.
        tokenizer: the model's tokenizer.
        head: `"language"` for prompts up to the first answer, `"classification"` for inputs up to
            `<=>`.
        max_length: positions of the model; answers take theirs of them.
        truncation: end at which too long a sequence is cut; by default it is an error.
        group: column whose values keep records together in a split.

    Raises:
        ValueError: the template has a token that the tokenizer does not know.
    """

    def __init__(
        self,
        task: Task,
        tokenizer: DNAGPTTokenizer,
        *,
        head: Head = "language",
        max_length: int,
        truncation: Truncation | None = None,
        group: str | None = None,
    ) -> None:
        self.task = task
        self.head = head
        self.group = group
        self.tokenizer = tokenizer
        template = task.input
        if head == "language":
            template, max_length = task.prompt, prompt_positions(task, tokenizer, max_length)
        self.encode = RecordEncoder(tokenizer, template, max_length, truncation, task.prepare)
        self.sequences = [slot.column for slot in template.slots if slot.is_sequence]
        self.others = [slot.column for slot in template.slots if not slot.is_sequence]

    def __call__(self, records: Iterable[Record]) -> tuple[Examples, dict[str, list[str]]]:
        """All records, and the labels of each answer that is no number.

        Targets of such answers are the places of their labels in the list, in the order of their
        first appearance where the task does not state them.

        Raises:
            RecordError: a record lacks a column, cannot be read, or its answer is none.
        """
        names: list[str] = []
        places: list[tuple[str, int]] = []
        keys: list[bytes] = []
        groups: list[str] = []
        ids, numbers = array("i"), array("f")
        offsets = array("q", [0])
        targets: list[list[float]] = []
        answers = self.task.answer_list
        labels: dict[str, dict[str, int]] = {
            answer.column: {label: place for place, label in enumerate(answer.labels)}
            for answer in answers
            if not answer.is_number
        }
        for record in records:
            encoded = self.encode(record)
            try:
                targets.append([self._target(answer, record, labels) for answer in answers])
                if self.group is not None:
                    groups.append(self._group(record))
                keys.append(self._key(record))
            except ValueError as error:
                raise record.error(str(error)) from error
            names.append(record.name)
            places.append((record.source, record.line))
            ids.frombytes(encoded.input_ids.astype(np.int32).tobytes())
            numbers.frombytes(encoded.number_values.astype(np.float32).tobytes())
            offsets.append(len(ids))
        examples = Examples(
            names=names,
            places=places,
            keys=keys,
            groups=groups if self.group is not None else None,
            input_ids=np.frombuffer(ids, dtype=np.int32) if ids else np.zeros(0, np.int32),
            number_values=np.frombuffer(numbers, np.float32) if ids else np.zeros(0, np.float32),
            offsets=np.frombuffer(offsets, dtype=np.int64),
            targets=np.asarray(targets, dtype=np.float64).reshape(len(names), len(answers)),
        )
        return examples, {column: list(places) for column, places in labels.items()}

    def _target(
        self, answer: Answer, record: Record, labels: Mapping[str, dict[str, int]]
    ) -> float:
        values = record.values
        if answer.column not in values:
            raise ValueError(f"there is no column {answer.column!r}, only {', '.join(values)}")
        value = values[answer.column]
        if answer.is_number:
            prepared = self.task.prepare({answer.column: value})
            return parse_number(answer.column, prepared[answer.column])
        known = labels[answer.column]
        if answer.tokens:
            return float(known[answer.tokens[answer.token(value)]])
        label = str(value).strip()
        if not label or value is None:
            raise ValueError(f"column {answer.column!r} is empty: a label is needed")
        return float(known.setdefault(label, len(known)))

    def _group(self, record: Record) -> str:
        if self.group not in record.values:
            raise ValueError(
                f"there is no column {self.group!r} to keep records together, only "
                f"{', '.join(record.values)}"
            )
        return str(record.values[str(self.group)])

    def _key(self, record: Record) -> bytes:
        """Of its sequences; of all that it holds where there is no sequence."""
        prepared = self.task.prepare(record.values)
        if not self.sequences:
            return repr([str(prepared[column]) for column in self.others]).encode()
        return sequence_key(["".join(prepared[column].split()) for column in self.sequences])


def prompt_positions(task: Task, tokenizer: DNAGPTTokenizer, positions: int) -> int:
    """How many positions of a model a prompt may take, so that all answers can be given.

    The last answer is only read off, and takes none.
    """
    return positions - len(answer_stream(task, tokenizer)) + 1


def answer_stream(task: Task, tokenizer: DNAGPTTokenizer) -> list[int | None]:
    """Token ids between and of the answers of a record; `None` stands for an answer.

    Example:

        >>> from dnagpt_hf import DNAGPTTokenizer
        >>> task = Task("{x}<=><B>{a}<M>{y}", answers={"A": "1", "N": "0"})
        >>> answer_stream(task, DNAGPTTokenizer())
        [None, 18, None]
    """
    stream: list[int | None] = []
    for answer in task.answer_list:
        before = answer.before.strip()
        stream += [int(token) for token in tokenizer(before)["input_ids"]] if before else []
        stream.append(None)
    return stream


def fit_standardization(
    examples: Examples, answers: Sequence[Answer], number_token_id: int
) -> tuple[tuple[float, float], ...]:
    """Mean and standard deviation of each number of the records, those of the answers last.

    A number that is the same everywhere has a deviation of 1.

    Raises:
        ValueError: records do not hold the same count of numbers.
    """
    columns = list(_number_columns(examples, number_token_id).T.astype(np.float64))
    columns += [
        examples.targets[:, place] for place, answer in enumerate(answers) if answer.is_number
    ]
    return tuple(
        (float(values.mean()), float(values.std()) if np.ptp(values) else 1.0) for values in columns
    )


def standardized(
    examples: Examples, standardization: Sequence[tuple[float, float]], number_token_id: int
) -> Examples:
    """Examples whose prompts hold standardised numbers; targets stay as they are.

    Raises:
        ValueError: a record holds another count of numbers.
    """
    columns = _number_columns(examples, number_token_id, len(standardization))
    if not standardization:
        return examples
    means, deviations = np.asarray(standardization).T
    values = examples.number_values.copy()
    values[examples.input_ids == number_token_id] = ((columns - means) / deviations).ravel()
    return replace(examples, number_values=values)


def _number_columns(
    examples: Examples, number_token_id: int, wanted: int | None = None
) -> NDArray[np.float32]:
    """`(records, numbers)`, of as many numbers as the first record has, or as are wanted."""
    is_number = examples.input_ids == number_token_id
    counts = np.add.reduceat(is_number, examples.offsets[:-1], dtype=np.int64)
    wanted = int(counts[0]) if wanted is None else wanted
    for index in np.flatnonzero(counts != wanted)[:1]:
        source, line = examples.places[index]
        raise ValueError(
            f"{source}, record {examples.names[index]} (line {line}): it holds {counts[index]} "
            f"numbers, where the training data have {wanted}: give every record as many"
        )
    return examples.number_values[is_number].reshape(len(examples), wanted)


def encoded_record(examples: Examples, index: int) -> EncodedRecord:
    """An example as the batches of prediction take it; its record has a name and a place only."""
    source, line = examples.places[index]
    example = examples[index]
    return EncodedRecord(
        Record({}, examples.names[index], source, index + 1, line),
        example["input_ids"],
        example["number_values"],
    )
