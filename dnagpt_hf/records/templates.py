"""Templates that turn a record of a file into a text of the token language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dnagpt_hf.records.reading import is_missing
from dnagpt_hf.records.species import named_token

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
    from dnagpt_hf.tokenization_dnagpt import SPECIES

    token = named_token(value)
    if token is None:
        raise ValueError(
            f"column {column!r} holds {value!r}, which is no token: write a letter such as R, or "
            f"one of {', '.join(SPECIES.values())}"
        )
    return token
