"""Records as token ids and numbers, in one view or several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.messages import count
from dnagpt_hf.records.reading import Record
from dnagpt_hf.records.templates import Template
from dnagpt_hf.tasks.views import FIRST, View

if TYPE_CHECKING:
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

Truncation = Literal["left", "right"]


@dataclass(frozen=True)
class EncodedRecord:
    """A record in the token language, in one view.

    Args:
        record: the record.
        input_ids: integers of shape `(length,)`.
        number_values: float32 array of shape `(length,)`, 0 where there is no number.
        values: its columns as they were encoded, cut where the record was too long.
        view: the view in which its sequences were read.
    """

    record: Record
    input_ids: np.ndarray[Any, Any]
    number_values: np.ndarray[Any, Any]
    values: Mapping[str, Any] = field(default_factory=dict)
    view: View = FIRST


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
        views: the views in which a record is read, the sequences as they stand first.
        remedy: advice where a record is too long, for the error.

    Raises:
        ValueError: the template has a token that the tokenizer does not know.

    Example:

        >>> from dnagpt_hf import DNAGPTTokenizer
        >>> encoder = RecordEncoder(DNAGPTTokenizer(), Template("<R>{sequence}"), max_length=512)
        >>> record = Record({"sequence": "ACGTACGT"}, "a", "a.fa", 1, 1)
        >>> encoder(record).input_ids.shape
        (3,)
        >>> encoder = replace(encoder, views=(View(), View(1), View(0, is_reverse=True)))
        >>> [one.values["sequence"] for one in encoder.in_views(record)]
        ['ACGTACGT', 'CGTACGT', 'ACGTACGT']
    """

    tokenizer: DNAGPTTokenizer
    template: Template
    max_length: int
    truncation: Truncation | None = None
    prepare: Callable[[Mapping[str, Any]], dict[str, Any]] = dict
    standardization: Sequence[tuple[float, float]] = ()
    views: Sequence[View] = (FIRST,)
    remedy: str = "shorten it, or cut its left or right end with truncation (--truncate)"

    def __post_init__(self) -> None:
        for part in self.template.parts:
            if isinstance(part, str) and part.startswith("<"):
                try:
                    self.tokenizer(part)
                except ValueError as error:
                    raise ValueError(f"template {self.template.text!r}: {error}") from error

    def __call__(self, record: Record) -> EncodedRecord:
        """Encode one record in the first view.

        Raises:
            RecordError: the record lacks a column, is not in the token language or is too long.
        """
        return self._in_views(record, self.views[:1])[0]

    def in_views(self, record: Record) -> list[EncodedRecord]:
        """Encode one record in all views.

        Raises:
            RecordError: as above, or a sequence holds instructions and there are several views.
        """
        return self._in_views(record, self.views)

    @property
    def unit(self) -> int:
        """Bases of a token, where a remainder has none."""
        fills_none = not self.tokenizer.dynamic_kmer and self.tokenizer.remainder != "pad"
        return self.tokenizer.kmer_size if fills_none else 1

    def _in_views(self, record: Record, views: Sequence[View]) -> list[EncodedRecord]:
        try:
            values = self.prepare(record.values)
            read = [self._encode(record, self._read(values, view), view) for view in views]
        except ValueError as error:
            raise record.error(self._problem(record, error)) from error
        if not len(read[0].input_ids):
            raise record.error("it holds no tokens")
        number = self.tokenizer.number_token_id
        return [standardize(encoded, self.standardization, number) for encoded in read]

    def _read(self, values: Mapping[str, Any], view: View) -> dict[str, Any]:
        """Read the sequences of a record, of which the first view leaves all as it is."""
        read = dict(values)
        if view == FIRST:
            return read
        for column in self._sequences:
            try:
                read[column] = view.read("".join(values[column].split()), self.unit)
            except ValueError as error:
                raise ValueError(f"{column}: {error}") from None
        return read

    def _encode(self, record: Record, values: dict[str, Any], view: View) -> EncodedRecord:
        ids, numbers = self._tokens(values)
        while len(ids) > self.max_length:
            # neighboring columns share a token, so that one cut may not be enough
            self._cut(values, len(ids), view)
            ids, numbers = self._tokens(values)
        return EncodedRecord(record, ids, numbers, values, view)

    def _tokens(self, values: Mapping[str, Any]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        # arrays rather than lists, and no warning on a length that is checked here
        text = self.template.fill(values)
        encoding = self.tokenizer(text, return_tensors="np", verbose=False)
        return (
            encoding["input_ids"][0].astype(np.int64),
            encoding["number_values"][0].astype(np.float32),
        )

    @property
    def _sequences(self) -> list[str]:
        """Columns of the template that hold texts of the token language."""
        return [slot.column for slot in self.template.slots if slot.is_sequence]

    def _problem(self, record: Record, error: ValueError) -> str:
        """Explain an error by the position in its column rather than in the whole text."""
        for column in self._sequences:
            value = record.values.get(column)
            if isinstance(value, str):
                try:
                    self.tokenizer(value, verbose=False)
                except ValueError as in_column:
                    return f"{column}: {in_column}"
        return str(error)

    def cuts_start(self, view: View) -> bool:
        """Tell the end at which a view is cut: the same bases of a record, on both strands."""
        return (self.truncation == "left") != view.is_reverse

    def _cut(self, values: dict[str, Any], length: int, view: View) -> None:
        """Shorten the longest sequence of a record to `max_length` tokens."""
        kmer_size = self.tokenizer.kmer_size
        problem = (
            f"{length:,} tokens (up to {length * kmer_size:,} bp) exceed the model's "
            f"{self.max_length:,} positions"
        )
        if self.truncation is None:
            raise ValueError(f"{problem}: {self.remedy}")
        longest = max(self._sequences, key=lambda column: len(values[column]), default="")
        sequence = "".join(str(values.get(longest, "")).split())
        bases = (-(-len(sequence) // kmer_size) - (length - self.max_length)) * kmer_size
        if "<" in sequence or bases <= 0:
            raise ValueError(f"{problem}, and no sequence in it can be cut to make it fit")
        values[longest] = sequence[-bases:] if self.cuts_start(view) else sequence[:bases]


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
    values = encoded.number_values.copy()
    values[is_number] = standardized(encoded.record, values[is_number], standardization)
    return replace(encoded, number_values=values)


def standardized(
    record: Record, numbers: NDArray[np.float32], standardization: Sequence[tuple[float, float]]
) -> NDArray[np.float32]:
    """Standardize the numbers of a record, `(numbers,)`.

    Raises:
        RecordError: there is another count of them.
    """
    if len(numbers) != len(standardization):
        raise record.error(
            f"it holds {count(len(numbers), 'number')}, where the training data have "
            f"{len(standardization)}: give every record as many"
        )
    means, deviations = np.asarray(standardization).T
    return ((numbers - means) / deviations).astype(np.float32)
