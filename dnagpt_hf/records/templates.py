"""Templates that turn a record of a file into a text of the token language, and into token ids."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dnagpt_hf.messages import count
from dnagpt_hf.records.reading import Record, is_missing

if TYPE_CHECKING:
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

Truncation = Literal["left", "right"]

_PART = re.compile(
    r"<\{(?P<named_token>[^{}]*)\}>|\{(?P<columns>[^{}]*)\}|(?P<token><[^<>]*>)|[^<{]+|.", re.DOTALL
)
_MORE = ("…", "...")
_NUMBER_INSTRUCTION = "<M>"
# the model reads numbers as float32
_FLOAT32_MAX = (2 - 2**-23) * 2.0**127


@dataclass(frozen=True)
class Slot:
    """A column in a template.

    Args:
        column: name of the column.
        is_number: whether the column holds numbers, because it follows `<M>`.
        is_token: whether the column names a token, because angle brackets stand around it.
    """

    column: str
    is_number: bool = False
    is_token: bool = False

    def __str__(self) -> str:
        return f"<{{{self.column}}}>" if self.is_token else f"{{{self.column}}}"

    @property
    def is_sequence(self) -> bool:
        """Tell whether the column holds a text of the token language, such as DNA."""
        return not self.is_number and not self.is_token

    @property
    def beginning(self) -> str:
        """Beginning of the names of several columns; empty where the slot names one column."""
        # only numbers can stand side by side
        marks = [mark for mark in _MORE if self.is_number and self.column.endswith(mark)]
        return self.column.removesuffix(marks[0]) if marks else ""


class Template:
    """A text of the token language with names of columns in braces.

    Args:
        text (`str`):
            For example `<{species}>{sequence}<+><M>{halflife}<=><M>`. What follows `<M>` is a
            number, or a list of them; several columns of numbers may stand in one pair of braces,
            `{UTR5LEN, CDSLEN}`, or be named by their beginning, `{UTR5…}`. Angle brackets round
            the braces make a token of the value: `R`, or the name of a species that has a token.

    Raises:
        ValueError: a brace has no partner or holds no name.

    Example:

        >>> template = Template("<{species}>{sequence}<+><M>{halflife}<=><M>")
        >>> template.fill({"species": "Homo sapiens", "sequence": "ACGT", "halflife": "0.50"})
        '<R>ACGT<+><M>0.5<=><M>'
        >>> template.columns
        ('species', 'sequence', 'halflife')
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.parts: list[str | Slot] = []
        follows_instruction = False
        for match in _PART.finditer(text):
            kind, part = match.lastgroup, match[0]
            if kind == "columns":
                self.parts.extend(_column_slots(match["columns"], follows_instruction))
            elif kind == "named_token":
                self.parts.append(Slot(match["named_token"].strip(), is_token=True))
            elif "{" in part or "}" in part:
                raise ValueError(f"template {text!r}: a brace has no partner: write {{column}}")
            else:
                self.parts.append(part)
            if kind in ("token", "named_token"):
                follows_instruction = part == _NUMBER_INSTRUCTION
        if any(slot.column == "" for slot in self.slots):
            raise ValueError(f"template {text!r}: braces hold no name of a column")

    def resolve(self, columns: Iterable[str]) -> Template:
        """Write out the columns that are named by their beginning.

        Columns that the template names otherwise, such as that of the answer, are left out.

        Args:
            columns: those of the data, in their order.

        Raises:
            ValueError: none of them begins so.

        Example:

            >>> Template("<M>{half…}<=><M>{y}").resolve(["half_1", "y", "half_2"]).text
            '<M>{half_1} {half_2}<=><M>{y}'
        """
        names = list(columns)
        unnamed = [name for name in names if name not in self.columns]
        template = self
        for slot in self.slots:
            if not slot.beginning:
                continue
            found = [f"{{{name}}}" for name in unnamed if name.startswith(slot.beginning)]
            if not found:
                raise ValueError(
                    f"template {self.text!r}: no column begins with {slot.beginning!r}, there are "
                    f"only {', '.join(names)}"
                )
            texts = [" ".join(found) if part == slot else str(part) for part in template.parts]
            template = Template("".join(texts))
        return template

    @property
    def slots(self) -> list[Slot]:
        """Slots of the template, in their order."""
        return [part for part in self.parts if isinstance(part, Slot)]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a record must have."""
        return tuple(dict.fromkeys(slot.column for slot in self.slots))

    @property
    def asks_for_number(self) -> bool:
        """Whether the text ends in `<M>`, so that a number is to follow."""
        return self.text.rstrip().endswith(_NUMBER_INSTRUCTION)

    def fill(self, values: Mapping[str, Any]) -> str:
        """Make the text of a record.

        Args:
            values: the record's columns.

        Raises:
            ValueError: a column is missing or empty, or is no number where one is needed.
        """
        return "".join(self.texts(values))

    def texts(self, values: Mapping[str, Any]) -> list[str]:
        """Make the text of each of `parts`, which `fill` joins.

        Args:
            values: the record's columns.

        Raises:
            ValueError: as in `fill`.

        Example:

            >>> Template("<R>{sequence}<=>").texts({"sequence": "ACGT"})
            ['<R>', 'ACGT', '<=>']
        """
        return [part if isinstance(part, str) else _value(part, values) for part in self.parts]


def _value(slot: Slot, values: Mapping[str, Any]) -> str:
    column = slot.column
    if column not in values:
        raise ValueError(f"there is no column {column!r}, only {', '.join(values)}")
    value = values[column]
    if slot.is_token:
        return _token(column, value)
    if slot.is_number:
        numbers = value if isinstance(value, list) else str(value).split()
        if not numbers:
            raise ValueError(f"column {column!r} is empty: a number is needed")
        return " ".join(repr(parse_number(column, number)) for number in numbers)
    if not isinstance(value, str):
        raise ValueError(f"column {column!r} holds {value!r}, not a text")
    if not value.strip():
        raise ValueError(f"its {column} is empty")
    return value


def parse_number(column: str, value: Any) -> float:
    """Read the number of a cell, the one check that numbers of records are finite.

    Args:
        column: name of the column, for messages.
        value: the cell, a text or a number.

    Raises:
        ValueError: it holds none, or one that is not finite in float32.

    Example:

        >>> parse_number("halflife", "0.50")
        0.5
    """
    if is_missing(value):
        raise ValueError(f"column {column!r} holds {value!r}, a missing value: a number is needed")
    try:
        # Python reads 1_000 and True as numbers, which no table means
        number = float("nan") if isinstance(value, bool) or "_" in str(value) else float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not abs(number) <= _FLOAT32_MAX:
        raise ValueError(f"column {column!r} holds {value!r}, not a finite number")
    return number


def _column_slots(columns: str, is_number: bool) -> Iterator[str | Slot]:
    """Make a slot of a column, or for numbers of each of `a, b`, with spaces between them."""
    for index, column in enumerate(columns.split(",") if is_number else [columns]):
        if index:
            yield " "
        yield Slot(column.strip(), is_number)


def _token(column: str, value: Any) -> str:
    """Return the token that a cell names by `R`, `<R>`, or a species such as `Homo sapiens`."""
    from dnagpt_hf.tokenization_dnagpt import SPECIES

    name = str(value).strip().removeprefix("<").removesuffix(">")
    if len(name) == 1:
        return f"<{name}>"
    wanted = "_".join(name.lower().split())
    for token, species in SPECIES.items():
        if species.lower() == wanted:
            return token
    raise ValueError(
        f"column {column!r} holds {value!r}, which is no token: write a letter such as R, or one "
        f"of {', '.join(SPECIES.values())}"
    )


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
