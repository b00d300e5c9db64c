"""Batches of records for a model: sorted by length, padded, and restored to their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch

from dnagpt_hf.records.files import RecordError
from dnagpt_hf.records.reading import Record
from dnagpt_hf.tasks.encoding import EncodedRecord

T = TypeVar("T")
# the views of a record, which are read together
Views = Sequence[EncodedRecord]

# records, or batches of tokens, that are read ahead to be sorted by length
_RECORDS_AHEAD = 1024
_BATCHES_AHEAD = 16


def map_in_batches(
    function: Callable[[list[Views]], list[T]],
    records: Iterable[Views],
    *,
    max_records: int = 64,
    max_tokens: int = 16_384,
) -> Iterator[tuple[EncodedRecord, T]]:
    """Apply a function to batches of records of similar lengths; results keep the records' order.

    Args:
        function: from a batch to one result for each of its records.
        records: a stream of records in all their views; a bounded number is in memory.
        max_records: most records of a batch, each as often as it has views.
        max_tokens: most tokens of a batch, padding included; a longer record is a batch alone.

    Yields:
        Each record in its first view, and its result.

    Example:

        >>> from dnagpt_hf.records.reading import Record
        >>> def encode(name, length):
        ...     record = Record({}, name, "a.fa", 1, 1)
        ...     return [EncodedRecord(record, np.zeros(length), np.zeros(length))]
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
        for number, (first, *_) in enumerate(window):
            yield first, results.pop(number)


def padded_batch(batch: Sequence[EncodedRecord], pad_token_id: int) -> dict[str, torch.Tensor]:
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


def padded_views(batch: Iterable[Views], pad_token_id: int) -> dict[str, torch.Tensor]:
    """Pad the views of records as [`padded_batch`] does; those of a record follow each other."""
    return padded_batch([one for views in batch for one in views], pad_token_id)


def _length(views: Views) -> int:
    return max(len(one.input_ids) for one in views)


def _windows(records: Iterable[Views], max_tokens: int) -> Iterator[list[Views]]:
    window: list[Views] = []
    tokens = 0
    for views in records:
        window.append(views)
        tokens += len(views) * _length(views)
        if len(window) >= _RECORDS_AHEAD or tokens >= max_tokens:
            yield window
            window, tokens = [], 0
    if window:
        yield window


def _by_length(window: list[Views], max_records: int, max_tokens: int) -> Iterator[list[int]]:
    """Group indices of a window, longest record first, so that too large a batch fails at once."""
    batch: list[int] = []
    longest = rows = 0
    for index in sorted(range(len(window)), key=lambda i: -_length(window[i])):
        rows += len(window[index])
        if batch and (rows > max_records or longest * rows > max_tokens):
            yield batch
            batch, rows = [], len(window[index])
        if not batch:
            longest = _length(window[index])
        batch.append(index)
    if batch:
        yield batch
