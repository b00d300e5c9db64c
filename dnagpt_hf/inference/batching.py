"""Batches of records for a model: sorted by length, padded, and restored to their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
import torch

from dnagpt_hf.records.files import RecordError
from dnagpt_hf.records.reading import Record
from dnagpt_hf.records.templates import EncodedRecord

T = TypeVar("T")

# records, or batches of tokens, that are read ahead to be sorted by length
_RECORDS_AHEAD = 1024
_BATCHES_AHEAD = 16


def map_in_batches(
    function: Callable[[list[EncodedRecord]], list[T]],
    records: Iterable[EncodedRecord],
    *,
    max_records: int = 64,
    max_tokens: int = 16_384,
) -> Iterator[tuple[EncodedRecord, T]]:
    """Apply a function to batches of records of similar lengths; results keep the records' order.

    Args:
        function: from a batch to one result for each of its records.
        records: a stream; a bounded number of records is in memory.
        max_records: most records of a batch.
        max_tokens: most tokens of a batch, padding included; a longer record is a batch alone.

    Example:

        >>> from dnagpt_hf.records.reading import Record
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
            f"batches of {max_records} records and {max_tokens} tokens are empty: "
            "give numbers above 0"
        )
    for window in _windows(records, max_tokens * _BATCHES_AHEAD):
        results: dict[int, T] = {}
        for batch in _by_length(window, max_records, max_tokens):
            results.update(zip(batch, function([window[i] for i in batch]), strict=True))
        for number, encoded in enumerate(window):
            yield encoded, results.pop(number)


def padded_batch(batch: list[EncodedRecord], pad_token_id: int) -> dict[str, torch.Tensor]:
    """Pad a batch on the left, so that every record ends in the last column.

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


class NotFiniteError(RecordError):
    """An output of a model that holds NaN or an infinity; the message names the record."""


def check_finite(record: Record, values: np.ndarray[Any, Any]) -> None:
    """Refuse an output of a model that holds NaN or an infinity.

    Raises:
        NotFiniteError: a value is not finite.
    """
    if not np.isfinite(values).all():
        raise NotFiniteError(
            record.error(
                "the model's output is not finite: its weights are damaged, or their data type "
                "is too narrow (--dtype float32)"
            )
        )


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
    """Group indices of a window, longest record first, so that too large a batch fails at once."""
    batch: list[int] = []
    longest = 0
    for index in sorted(range(len(window)), key=lambda i: -len(window[i].input_ids)):
        if batch and (len(batch) == max_records or longest * (len(batch) + 1) > max_tokens):
            yield batch
            batch = []
        if not batch:
            longest = len(window[index].input_ids)
        batch.append(index)
    if batch:
        yield batch
