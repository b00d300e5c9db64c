"""Views of a sequence: its phases, as k-mers begin at other bases, and its two strands.

    views: {phases: all, strands: both}

The same motif falls into other k-mers in each phase, and a model whose k-mers do not overlap has to
learn each of them. A task with several views shows a record in one of them in each epoch of
training, and averages the scores of all in prediction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from dnagpt_hf.genomes.bases import reverse_complement


class View(NamedTuple):
    """One way to read a sequence.

    Args:
        phase: bases at its beginning that are left out, where the sequence has more.
        is_reverse: read its reverse complement, from whose beginning the phase counts.

    Example:

        >>> View(phase=2, is_reverse=True).read("AACGTTT")
        'ACGTT'
    """

    phase: int = 0
    is_reverse: bool = False

    def read(self, sequence: str, unit: int = 1) -> str:
        """Read a sequence without white space.

        Args:
            sequence: letters of DNA.
            unit: bases of a token, where others at the end of a phase have none.

        Raises:
            ValueError: instructions stand in it, which have no other phase or strand.
        """
        if "<" in sequence:
            raise ValueError(
                "it holds instructions (<…>), which have neither phases nor strands: ask for the "
                "first view alone (--views first)"
            )
        if self.is_reverse:
            sequence = reverse_complement(sequence.encode()).decode()
        return sequence[self._part(len(sequence), unit)]

    def positions(self, length: int, unit: int = 1) -> NDArray[np.int64]:
        """Give the positions, in a sequence of some length, of the bases in the order of reading.

        Example:

            >>> View(phase=2, is_reverse=True).positions(7).tolist()
            [4, 3, 2, 1, 0]
        """
        return np.arange(length)[:: -1 if self.is_reverse else 1][self._part(length, unit)]

    def _part(self, length: int, unit: int) -> slice:
        kept = (length - self.phase) // unit * unit
        # a sequence without a whole token in the phase is read whole
        return slice(self.phase, self.phase + kept) if self.phase and kept > 0 else slice(None)


FIRST = View()


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class Views:
    """The views that a task has of each record.

    Args:
        phases: `"all"` phases of the k-mers, or the `"first"`.
        strands: `"both"` strands, or the `"forward"` one.
    """

    phases: Literal["all", "first"] = "first"
    strands: Literal["both", "forward"] = "forward"

    def expand(self, kmer_size: int) -> tuple[View, ...]:
        """List the views, the sequence as it stands first.

        Example:

            >>> len(Views(phases="all", strands="both").expand(3))
            6
        """
        phases = range(kmer_size if self.phases == "all" else 1)
        strands = (False, True) if self.strands == "both" else (False,)
        return tuple(View(phase, is_reverse) for is_reverse in strands for phase in phases)


ONE_VIEW = Views()
# of a prediction: the first alone, others than those of the task, or those of the task
ViewChoice = Literal["first"] | Views | Mapping[str, str] | None
