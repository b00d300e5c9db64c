"""Records as batches for a model: encoded, checked, sorted by length, and back in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import torch

from dnagpt_hf.data.records import Record
from dnagpt_hf.data.templates import Template

if TYPE_CHECKING:
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

T = TypeVar("T")
Truncation = Literal["left", "right"]

# So many records, or tokens per token of a batch, are read ahead to be sorted by length.
_RECORDS_AHEAD = 1024
_BATCHES_AHEAD = 16


@dataclass(frozen=True)
class EncodedRecord:
    """A record in the token language.

    Args:
        record: the record.
        input_ids: int64 array of shape `(length,)`.
        number_values: float32 array of shape `(length,)`, 0 where there is no number.
        values: its columns as they were encoded, cut where the record was too long.
    """

    record: Record
    input_ids: np.ndarray[Any, Any]
    number_values: np.ndarray[Any, Any]
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RecordEncoder:
    """Turns records into ids by a template.

    Args:
        tokenizer: the model's tokenizer.
        template: how a record becomes a text.
        max_length: positions of the model.
        truncation: end at which too long a sequence is cut; by default it is an error.

    Raises:
        ValueError: the template has a token that the tokenizer does not know.

    Example:

        >>> from dnagpt_hf import DNAGPTTokenizer
        >>> encoder = RecordEncoder(DNAGPTTokenizer(), Template("<R>{sequence}"), max_length=512)
        >>> record = Record({"sequence": "ACGTACGT"}, "a", "a.fa", 1, 1)
        >>> encoder(record).input_ids.shape
        (3,)
    """

    tokenizer: DNAGPTTokenizer
    template: Template
    max_length: int
    truncation: Truncation | None = None

    def __post_init__(self) -> None:
        for part in self.template.parts:
            if isinstance(part, str) and part.startswith("<"):
                try:
                    self.tokenizer(part)
                except ValueError as error:
                    raise ValueError(f"template {self.template.text!r}: {error}") from error

    def __call__(self, record: Record) -> EncodedRecord:
        """Encode one record.

        Raises:
            RecordError: the record lacks a column, is not in the token language or is too long.
        """
        try:
            values = dict(record.values)
            encoded = self._encode(record, values)
            while len(encoded.input_ids) > self.max_length:
                # neighbouring columns share a token, so that one cut may not be enough
                self._cut(values, len(encoded.input_ids))
                encoded = self._encode(record, values)
        except ValueError as error:
            raise record.error(self._problem(record, error)) from error
        if not len(encoded.input_ids):
            raise record.error("it holds no tokens")
        return encoded

    def _encode(self, record: Record, values: dict[str, Any]) -> EncodedRecord:
        # arrays rather than lists, and no warning on a length that is checked here
        text = self.template.fill(values)
        encoding = self.tokenizer(text, return_tensors="np", verbose=False)
        return EncodedRecord(
            record,
            encoding["input_ids"][0].astype(np.int64),
            encoding["number_values"][0].astype(np.float32),
            values,
        )

    def _problem(self, record: Record, error: ValueError) -> str:
        """The message of an error, with a position in its column rather than in the whole text."""
        for slot in self.template.slots:
            value = record.values.get(slot.column)
            if isinstance(value, str) and not slot.is_number:
                try:
                    self.tokenizer(value, verbose=False)
                except ValueError as in_column:
                    return f"{slot.column}: {in_column}"
        return str(error)

    def _cut(self, values: dict[str, Any], length: int) -> None:
        """Shorten the longest sequence of a record by the tokens that are too many."""
        kmer_size = self.tokenizer.kmer_size
        problem = (
            f"{length:,} tokens (up to {length * kmer_size:,} bp) exceed the model's "
            f"{self.max_length:,} positions"
        )
        if self.truncation is None:
            raise ValueError(
                f"{problem}: shorten it, or cut its left or right end with truncation (--truncate)"
            )
        columns = [slot.column for slot in self.template.slots if not slot.is_number]
        longest = max(columns, key=lambda column: len(values[column]), default="")
        sequence = "".join(str(values.get(longest, "")).split())
        bases = (-(-len(sequence) // kmer_size) - (length - self.max_length)) * kmer_size
        if "<" in sequence or bases <= 0:
            raise ValueError(f"{problem}, and no sequence in it can be cut to make it fit")
        values[longest] = sequence[-bases:] if self.truncation == "left" else sequence[:bases]


def map_in_batches(
    function: Callable[[list[EncodedRecord]], list[T]],
    records: Iterable[EncodedRecord],
    *,
    max_records: int = 64,
    max_tokens: int = 16_384,
) -> Iterator[tuple[EncodedRecord, T]]:
    """Apply `function` to batches of records of similar lengths; results keep the records' order.

    Args:
        function: one result for each record of a batch.
        records: a stream, of which a bounded part is in memory.
        max_records: most records of a batch.
        max_tokens: most tokens of a batch, padding included; a longer record is a batch alone.

    Example:

        >>> def encode(name, length):
        ...     record = Record({}, name, "a.fa", 1, 1)
        ...     return EncodedRecord(record, np.zeros(length), np.zeros(length))
        >>> records = [encode("a", 5), encode("b", 9), encode("c", 5)]
        >>> sizes = map_in_batches(lambda batch: [len(batch)] * len(batch), records, max_tokens=10)
        >>> [(encoded.record.name, size) for encoded, size in sizes]
        [('a', 2), ('b', 1), ('c', 2)]
    """
    if max_records < 1 or max_tokens < 1:
        raise ValueError(
            f"batches of {max_records} records and {max_tokens} tokens hold nothing: "
            "give numbers above 0"
        )
    for window in _windows(records, max_tokens * _BATCHES_AHEAD):
        results: dict[int, T] = {}
        for batch in _by_length(window, max_records, max_tokens):
            results.update(zip(batch, function([window[i] for i in batch]), strict=True))
        for number, encoded in enumerate(window):
            yield encoded, results.pop(number)


def padded_batch(batch: list[EncodedRecord], pad_token_id: int) -> dict[str, torch.Tensor]:
    """Inputs of a model, padded on the left, so that every record ends in the last column.

    Returns:
        `dict`: `input_ids`, `attention_mask` and `number_values` of shape `(batch, length)`.
    """
    length = max(len(encoded.input_ids) for encoded in batch)
    input_ids = np.full((len(batch), length), pad_token_id, dtype=np.int64)
    attention_mask = np.zeros((len(batch), length), dtype=np.int64)
    number_values = np.zeros((len(batch), length), dtype=np.float32)
    for row, encoded in enumerate(batch):
        start = length - len(encoded.input_ids)
        input_ids[row, start:] = encoded.input_ids
        attention_mask[row, start:] = 1
        number_values[row, start:] = encoded.number_values
    return {
        "input_ids": torch.from_numpy(input_ids),
        "attention_mask": torch.from_numpy(attention_mask),
        "number_values": torch.from_numpy(number_values),
    }


def _windows(records: Iterable[EncodedRecord], max_tokens: int) -> Iterator[list[EncodedRecord]]:
    window: list[EncodedRecord] = []
    tokens = 0
    for encoded in records:
        window.append(encoded)
        tokens += len(encoded.input_ids)
        if len(window) >= _RECORDS_AHEAD or tokens >= max_tokens:
            yield window
            window, tokens = [], 0
    if window:
        yield window


def _by_length(
    window: list[EncodedRecord], max_records: int, max_tokens: int
) -> Iterator[list[int]]:
    """Places in the window, longest first, so that too large a batch fails at once."""
    batch: list[int] = []
    longest = 0
    for place in sorted(range(len(window)), key=lambda i: -len(window[i].input_ids)):
        if batch and (len(batch) == max_records or longest * (len(batch) + 1) > max_tokens):
            yield batch
            batch = []
        if not batch:
            longest = len(window[place].input_ids)
        batch.append(place)
    if batch:
        yield batch
