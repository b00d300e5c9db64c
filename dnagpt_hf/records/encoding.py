"""Records as token ids and numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dnagpt_hf.messages import count
from dnagpt_hf.records.reading import Record
from dnagpt_hf.records.templates import Template

if TYPE_CHECKING:
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

Truncation = Literal["left", "right"]


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
    """Encodes records as token ids and numbers by a template.

    Args:
        tokenizer: the model's tokenizer.
        template: the text of a record, with its columns in braces.
        max_length: positions of the model.
        truncation: end at which a sequence that is too long is cut; by default it is an error.
        prepare: computes the values for the template from those of a record.
        standardization: mean and standard deviation of each number of a record, in their order, by
            which numbers are standardized; by default they are encoded unchanged.

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
    prepare: Callable[[Mapping[str, Any]], dict[str, Any]] = dict
    standardization: Sequence[tuple[float, float]] = ()

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
            values = self.prepare(record.values)
            encoded = self._encode(record, values)
            while len(encoded.input_ids) > self.max_length:
                # neighboring columns share a token, so that one cut may not be enough
                self._cut(values, len(encoded.input_ids))
                encoded = self._encode(record, values)
        except ValueError as error:
            raise record.error(self._problem(record, error)) from error
        if not len(encoded.input_ids):
            raise record.error("it holds no tokens")
        return standardize(encoded, self.standardization, self.tokenizer.number_token_id)

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
        """Explain an error by the position in its column rather than in the whole text."""
        for slot in self.template.slots:
            value = record.values.get(slot.column)
            if isinstance(value, str) and slot.is_sequence:
                try:
                    self.tokenizer(value, verbose=False)
                except ValueError as in_column:
                    return f"{slot.column}: {in_column}"
        return str(error)

    def _cut(self, values: dict[str, Any], length: int) -> None:
        """Shorten the longest sequence of a record to `max_length` tokens."""
        kmer_size = self.tokenizer.kmer_size
        problem = (
            f"{length:,} tokens (up to {length * kmer_size:,} bp) exceed the model's "
            f"{self.max_length:,} positions"
        )
        if self.truncation is None:
            raise ValueError(
                f"{problem}: shorten it, or cut its left or right end with truncation (--truncate)"
            )
        columns = [slot.column for slot in self.template.slots if slot.is_sequence]
        longest = max(columns, key=lambda column: len(values[column]), default="")
        sequence = "".join(str(values.get(longest, "")).split())
        bases = (-(-len(sequence) // kmer_size) - (length - self.max_length)) * kmer_size
        if "<" in sequence or bases <= 0:
            raise ValueError(f"{problem}, and no sequence in it can be cut to make it fit")
        values[longest] = sequence[-bases:] if self.truncation == "left" else sequence[:bases]


def standardize(
    encoded: EncodedRecord, standardization: Sequence[tuple[float, float]], number_token_id: int
) -> EncodedRecord:
    """Standardize the numbers of a record.

    Args:
        encoded: the record.
        standardization: mean and standard deviation of each number; empty leaves them as they are.
        number_token_id: id of a number.

    Raises:
        RecordError: the record holds another count of numbers.
    """
    if not standardization:
        return encoded
    is_number = encoded.input_ids == number_token_id
    if is_number.sum() != len(standardization):
        raise encoded.record.error(
            f"it holds {count(int(is_number.sum()), 'number')}, where the training data have "
            f"{len(standardization)}: give every record as many"
        )
    means, deviations = np.asarray(standardization).T
    values = encoded.number_values.copy()
    values[is_number] = (values[is_number] - means) / deviations
    return replace(encoded, number_values=values)
