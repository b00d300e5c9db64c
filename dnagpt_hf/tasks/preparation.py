"""Parts of sequences and functions of numbers, by which a task prepares its columns."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, Strict
from pydantic.dataclasses import dataclass
from pydantic_core import core_schema

_LOGARITHM = re.compile(
    r"\s*(log|log2|log10)\(\s*x\s*(?:\+\s*([+-]?\d*\.?\d+(?:[eE][+-]?\d+)?)\s*)?\)\s*"
)
_FUNCTIONS = {"log": math.log, "log2": math.log2, "log10": math.log10}
# of a base in a sequence, from 0
_Interval = Annotated[tuple[Annotated[int, Field(ge=0)], int], Strict(False)]


class Transform(str):
    """A function of a number, written `log10(x + 0.1)`, `log2(x + 1)` or `log(x)`.

    Raises:
        ValueError: the text is none of these functions.

    Example:

        >>> Transform("log10(x + 0.1)")(0.9)
        0.0
    """

    def __new__(cls, text: str) -> Transform:
        if not _LOGARITHM.fullmatch(text):
            raise ValueError(
                f"unknown transform {text!r}: write log10(x + 0.1), with log, log2 or log10 "
                "and any number"
            )
        return super().__new__(cls, text)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())

    def __call__(self, number: float) -> float:
        """Evaluate the function.

        Raises:
            ValueError: the function is not defined at the number.
        """
        function, added = _LOGARITHM.fullmatch(self).groups()  # type: ignore[union-attr]
        if not number + float(added or 0) > 0:
            raise ValueError(f"{number} has no {self}: it is too small")
        return float(_FUNCTIONS[function](number + float(added or 0)))


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class SequenceCut:
    """The part of a sequence that a model reads.

    Args:
        window: `(start, end)` in bases, 0-based and half-open; by default the whole sequence.
        cut_out: `(start, end)` of bases that are removed, in the coordinates of the whole
            sequence: the motif of a genomic signal, for example.
        length: required length of the sequence, in bases; by default any length goes.

    Raises:
        ValueError: an end does not lie behind its start, or a value is no number of bases.

    Example:

        >>> SequenceCut(cut_out=(3, 6))("AAATAGCCC")
        'AAACCC'
    """

    window: _Interval | None = None
    cut_out: _Interval | None = None
    length: Annotated[int, Field(ge=1)] | None = None

    def __post_init__(self) -> None:
        for name in ("window", "cut_out"):
            start, end = getattr(self, name) or (0, 1)
            if not start < end:
                raise ValueError(f"{name} is {[start, end]}: it ends after its start")

    def __call__(self, sequence: str) -> str:
        """Cut a sequence.

        Raises:
            ValueError: the sequence is too short.
        """
        if self.length is not None and len(sequence) != self.length:
            raise ValueError(
                f"sequence of {len(sequence):,} bp, but the task needs {self.length:,} bp"
            )
        return "".join(sequence[start:end] for start, end in self._intervals(len(sequence)))

    def positions(self, length: int) -> NDArray[np.int64]:
        """Give the positions, in a whole sequence of some length, of the bases that are read.

        Example:

            >>> SequenceCut(window=(0, 6), cut_out=(2, 5)).positions(8).tolist()
            [0, 1, 5]
        """
        return np.concatenate([np.arange(*interval) for interval in self._intervals(length)])

    def _intervals(self, length: int) -> list[tuple[int, int]]:
        """Give the two intervals of the window on either side of `cut_out`."""
        start, end = self.window or (0, length)
        for name, (_, needed) in (("window", (start, end)), ("cut_out", self.cut_out or (0, 0))):
            if needed > length:
                raise ValueError(
                    f"sequence of {length:,} bp is shorter than the end of {name}, {needed:,} bp"
                )
        first, last = self.cut_out or (end, end)
        return [(start, max(start, min(first, end))), (min(max(last, start), end), end)]
