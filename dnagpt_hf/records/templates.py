"""Templates that turn a record of a file into a text of the token language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dnagpt_hf.records.missing import is_missing

_PART = re.compile(r"<\{([^{}]*)\}>|\{([^{}]*)\}|(<[^<>]*>)")
_MORE = ("…", "...")
_NUMBER_INSTRUCTION = "<M>"
# the model reads numbers as float32
_FLOAT32_MAX = (2 - 2**-23) * 2.0**127


@dataclass(frozen=True)
class Slot:
    """The place of a column in a template.

    Args:
        column: name of the column.
        is_number: whether the column holds numbers, because it follows `<M>`.
        is_token: whether the column names a token, because angle brackets stand around it.
    """

    column: str
    is_number: bool = False
    is_token: bool = False

    @property
    def is_sequence(self) -> bool:
        """Whether the column holds a text of the token language, such as DNA."""
        return not self.is_number and not self.is_token

    @property
    def text(self) -> str:
        """The place as written in a template."""
        return f"<{{{self.column}}}>" if self.is_token else f"{{{self.column}}}"


class Template:
    """A text of the token language with names of columns in braces.

    Args:
        text (`str`):
            For example `<{species}>{sequence}<+><M>{halflife}<=><M>`. What follows `<M>` is a
            number, or a list of them; several columns of numbers may stand in one pair of braces,
            `{UTR5LEN, CDSLEN}`, or be named by their beginning, `{UTR5…}`. Angle brackets round
            the braces make a token of the value: `R`, or the name of a species that has a token.

    Raises:
        ValueError: if a brace has no partner or holds no name.

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
        last_token, end = "", 0
        for match in _PART.finditer(text):
            self.parts.append(text[end : match.start()])
            name, columns, token = match.groups()
            if token is not None:
                self.parts.append(token)
                last_token = token
            elif name is not None:
                self.parts.append(Slot(name.strip(), is_token=True))
                last_token = ""
            elif last_token == _NUMBER_INSTRUCTION:
                self.parts.extend(_number_slots(columns))
            else:
                self.parts.append(Slot(columns.strip()))
            end = match.end()
        self.parts.append(text[end:])
        self.parts = [part for part in self.parts if part != ""]
        literals = "".join(part for part in self.parts if isinstance(part, str))
        if "{" in literals or "}" in literals:
            raise ValueError(f"template {text!r}: a brace has no partner: write {{column}}")
        if any(slot.column == "" for slot in self.slots):
            raise ValueError(f"template {text!r}: braces hold no name of a column")

    def resolve(self, columns: Iterable[str]) -> Template:
        """Write out the columns that are named by their beginning.

        Columns that the template names otherwise, such as that of the answer, are not meant.

        Args:
            columns: those of the data, in their order.

        Raises:
            ValueError: none of them begins so.

        Example:

            >>> Template("<M>{half…}<=><M>{y}").resolve(["half_1", "y", "half_2"]).text
            '<M>{half_1} {half_2}<=><M>{y}'
        """
        names, parts = list(columns), []
        for part in self.parts:
            if not isinstance(part, Slot):
                parts.append(part)
                continue
            # only numbers can stand side by side
            marks = [mark for mark in _MORE if part.is_number and part.column.endswith(mark)]
            beginning = part.column.removesuffix(marks[0]) if marks else ""
            found = [
                name
                for name in names
                if beginning and name.startswith(beginning) and name not in self.columns
            ]
            if beginning and not found:
                raise ValueError(
                    f"template {self.text!r}: no column begins with {beginning!r}, there are only "
                    f"{', '.join(names)}"
                )
            parts.append(" ".join(f"{{{name}}}" for name in found) or part.text)
        return Template("".join(parts))

    @property
    def slots(self) -> list[Slot]:
        """The places of columns, in their order."""
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
    if slot.column not in values:
        raise ValueError(f"there is no column {slot.column!r}, only {', '.join(values)}")
    value = values[slot.column]
    if slot.is_token:
        return _token(slot.column, value)
    if slot.is_number:
        numbers = value if isinstance(value, list) else str(value).split()
        if not numbers:
            raise ValueError(f"column {slot.column!r} is empty: a number is needed")
        return " ".join(repr(parse_number(slot.column, number)) for number in numbers)
    if not isinstance(value, str):
        raise ValueError(f"column {slot.column!r} holds {value!r}, not a text")
    if not value.strip():
        raise ValueError(f"its {slot.column} is empty")
    return value


def parse_number(column: str, value: Any) -> float:
    """Read the number of a cell, the one check that numbers of records are finite.

    Raises:
        ValueError: it holds none, or one that is not finite in float32.
    """
    if is_missing(value):
        raise ValueError(f"column {column!r} holds {value!r}, a missing value: a number is needed")
    problem = f"column {column!r} holds {value!r}, not a finite number"
    # Python reads 1_000 and True as numbers, which no table means
    if isinstance(value, bool) or "_" in str(value):
        raise ValueError(problem)
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(problem) from None
    if not abs(number) <= _FLOAT32_MAX:
        raise ValueError(problem)
    return number


def _number_slots(columns: str) -> Iterator[str | Slot]:
    """A place for each of the columns `a, b`, with spaces between them."""
    for index, column in enumerate(columns.split(",")):
        if index:
            yield " "
        yield Slot(column.strip(), is_number=True)


def _token(column: str, value: Any) -> str:
    """The token that a cell names: `R`, `<R>`, or a species such as `Homo sapiens`."""
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
