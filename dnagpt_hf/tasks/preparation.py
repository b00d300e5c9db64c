"""What is done to the columns of a record before they enter the token language."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.records.templates import parse_number

_LOGARITHM = re.compile(r"(log|log2|log10)\(\s*x\s*(?:\+\s*([0-9.eE+-]+)\s*)?\)")
_FUNCTIONS = {"log": math.log, "log2": math.log2, "log10": math.log10}


@dataclass(frozen=True)
class Transform:
    """A function of a number, written `log10(x + 0.1)`, `log2(x + 1)` or `log(x)`.

    Args:
        text: how it is written.

    Raises:
        ValueError: it is none of these.

    Example:

        >>> Transform("log10(x + 0.1)")(0.9)
        0.0
    """

    text: str

    def __post_init__(self) -> None:
        match = _LOGARITHM.fullmatch(self.text.strip())
        try:
            added = float((match and match[2]) or 0)
        except ValueError:
            match = None
        if match is None:
            raise ValueError(
                f"unknown transform {self.text!r}: write log10(x + 0.1), with log, log2 or log10 "
                "and any number"
            )
        object.__setattr__(self, "_function", _FUNCTIONS[match[1]])
        object.__setattr__(self, "_added", added)

    def __call__(self, number: float) -> float:
        """The value at a number.

        Raises:
            ValueError: there is none.
        """
        if not number + self._added > 0:  # type: ignore[attr-defined]
            raise ValueError(f"{number} has no {self.text}: it is too small")
        return float(self._function(number + self._added))  # type: ignore[attr-defined]


@dataclass(frozen=True)
class SequenceCut:
    """Which part of a sequence is read.

    Args:
        window: `(start, end)` in bases, 0-based and half-open; by default all of it.
        length: how long a sequence must be, in bases; by default any length goes.
        cut_out: `(start, end)` of what is taken out of it, in the coordinates of the whole
            sequence: the motif of a genomic signal, for example.

    Raises:
        ValueError: the end does not lie behind the start, or something is no number of bases.

    Example:

        >>> SequenceCut(cut_out=(3, 6))("AAATAGCCC")
        'AAACCC'
    """

    window: tuple[int, int] | None = None
    cut_out: tuple[int, int] | None = None
    length: int | None = None

    def __post_init__(self) -> None:
        for name in ("window", "cut_out"):
            value = getattr(self, name)
            if value is None:
                continue
            is_pair = isinstance(value, tuple | list) and len(value) == 2
            if not is_pair or any(type(place) is not int for place in value):
                raise ValueError(f"{name} is {value}: give [start, end] in bases")
            if not 0 <= value[0] < value[1]:
                raise ValueError(
                    f"{name} is {list(value)}: it starts at 0 or later and ends after its start"
                )
            object.__setattr__(self, name, tuple(value))
        if self.length is not None and (type(self.length) is not int or self.length < 1):
            raise ValueError(f"length is {self.length!r}: give a number of bases")

    def __call__(self, sequence: str) -> str:
        """The part of a sequence.

        Raises:
            ValueError: the sequence is too short for it.
        """
        if self.length is not None and len(sequence) != self.length:
            raise ValueError(
                f"sequence of {len(sequence):,} bp, but the task needs {self.length:,} bp"
            )
        return "".join(sequence[start:end] for start, end in self._parts(len(sequence)))

    def places(self, length: int) -> NDArray[np.int64]:
        """Places in a whole sequence of the bases that are read.

        Example:

            >>> SequenceCut(window=(0, 6), cut_out=(2, 5)).places(8).tolist()
            [0, 1, 5]
        """
        return np.concatenate([np.arange(*part) for part in self._parts(length)])

    def _parts(self, length: int) -> list[tuple[int, int]]:
        """The two stretches on either side of what is cut out."""
        start, end = self.window or (0, length)
        for name, (_, needed) in (("window", (start, end)), ("cut_out", self.cut_out or (0, 0))):
            if needed > length:
                raise ValueError(
                    f"sequence of {length:,} bp is shorter than the end of {name}, {needed:,} bp"
                )
        first, last = self.cut_out or (end, end)
        return [(start, max(start, min(first, end))), (min(max(last, start), end), end)]


@dataclass(frozen=True)
class Preparation:
    """How the columns of a task are prepared.

    Args:
        sequences: the part of a sequence that is read, by column.
        transforms: functions of numbers, by column.

    Example:

        >>> prepare = Preparation({"dna": SequenceCut((0, 4))}, {"rpkm": Transform("log2(x)")})
        >>> prepare({"dna": "ACGTACGT", "rpkm": "8", "name": "a"})
        {'dna': 'ACGT', 'rpkm': 3.0, 'name': 'a'}
    """

    sequences: Mapping[str, SequenceCut]
    transforms: Mapping[str, Transform]

    def __call__(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a record, prepared.

        Raises:
            ValueError: a sequence is too short, or a number is none or has no transform.
        """
        prepared = dict(values)
        for column, cut in self.sequences.items():
            if isinstance(values.get(column), str):
                try:
                    prepared[column] = cut("".join(values[column].split()))
                except ValueError as error:
                    raise ValueError(f"{column}: {error}") from None
        for column, transform in self.transforms.items():
            if column in values:
                number = parse_number(column, values[column])
                try:
                    prepared[column] = transform(number)
                except ValueError as error:
                    raise ValueError(f"column {column!r}: {error}") from None
        return prepared
