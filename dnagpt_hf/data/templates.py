"""Templates that turn a record of a file into a text of the token language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_PART = re.compile(r"\{([^{}]*)\}|(<[^<>]*>)")
_NUMBER_INSTRUCTION = "<M>"
# the model reads numbers as float32
_FLOAT32_MAX = (2 - 2**-23) * 2.0**127


@dataclass(frozen=True)
class Slot:
    """The place of a column in a template.

    Args:
        column: name of the column.
        is_number: whether the column holds numbers, because it follows `<M>`.
    """

    column: str
    is_number: bool


class Template:
    """A text of the token language with names of columns in braces.

    Args:
        text (`str`):
            For example `<R>{sequence}<+><M>{halflife}<=><M>`. What follows `<M>` is a number, or
            a list of them.

    Raises:
        ValueError: if a brace has no partner or holds no name.

    Example:

        >>> template = Template("<R>{sequence}<+><M>{halflife}<=><M>")
        >>> template.fill({"sequence": "ACGT", "halflife": "0.50"})
        '<R>ACGT<+><M>0.5<=><M>'
        >>> template.columns
        ('sequence', 'halflife')
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.parts: list[str | Slot] = []
        last_token, end = "", 0
        for match in _PART.finditer(text):
            self.parts.append(text[end : match.start()])
            column, token = match.groups()
            if token is None:
                self.parts.append(Slot(column.strip(), last_token == _NUMBER_INSTRUCTION))
            else:
                self.parts.append(token)
                last_token = token
            end = match.end()
        self.parts.append(text[end:])
        self.parts = [part for part in self.parts if part != ""]
        literals = "".join(part for part in self.parts if isinstance(part, str))
        if "{" in literals or "}" in literals:
            raise ValueError(f"template {text!r}: a brace has no partner: write {{column}}")
        if any(slot.column == "" for slot in self.slots):
            raise ValueError(f"template {text!r}: braces hold no name of a column")

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
        """The text of a record.

        Args:
            values: the record's columns.

        Raises:
            ValueError: a column is missing or empty, or is no number where one is needed.
        """
        return "".join(self.texts(values))

    def texts(self, values: Mapping[str, Any]) -> list[str]:
        """The text of each of `parts`, of which `fill` makes one.

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
    if slot.is_number:
        numbers = value if isinstance(value, list) else str(value).split()
        if not numbers:
            raise ValueError(f"column {slot.column!r} is empty: a number is needed")
        return " ".join(_number(slot.column, number) for number in numbers)
    if not isinstance(value, str):
        raise ValueError(f"column {slot.column!r} holds {value!r}, not a text")
    if not value.strip():
        raise ValueError(f"its {slot.column} is empty")
    return value


def _number(column: str, value: Any) -> str:
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
    return repr(number)
