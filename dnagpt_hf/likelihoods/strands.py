"""Strands of a sequence, cut into k-mers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.genomes.bases import Bases, reverse_complement

if TYPE_CHECKING:
    from dnagpt_hf.genomes.contigs import Contig, ContigPart

BEHIND_THE_END = 0
"""Value that stands behind the last base of a strand where k-mers reach further."""

BASES = b"ACGT"
Array = NDArray[Any]


@dataclass(frozen=True)
class Strand:
    """One strand of a sequence, read in its own direction.

    Args:
        sequence: a contig, or an array of bases.
        is_reverse: whether it is the reverse complement of the sequence.
    """

    sequence: Contig | ContigPart | Bases
    is_reverse: bool = False

    def __len__(self) -> int:
        return len(self.sequence)

    def __getitem__(self, part: slice) -> Bases:
        start, end, step = part.indices(len(self))
        if step != 1:
            raise ValueError("a strand is read forwards: slice it without a step")
        if not self.is_reverse:
            return self.sequence[start:end]
        return reverse_complement(self.sequence[len(self) - max(start, end) : len(self) - start])

    def kmers(self, start: int, count: int, kmer_size: int, phases: int = 1) -> Bases:
        """Cut k-mers side by side, in each phase one base further to the right.

        Args:
            start: first base of the first phase.
            count: k-mers of each phase.
            kmer_size: bases of a k-mer.
            phases: number of phases.

        Returns:
            uint8 `(phases, count, kmer_size)`; 0 behind the end of the strand.

        Example:

            >>> strand = Strand(np.frombuffer(b"AACGT", np.uint8))
            >>> strand.kmers(0, 2, 3, phases=2).tobytes()
            b'AACGT\\x00ACGT\\x00\\x00'
        """
        width = count * kmer_size
        read = padded(self[start : start + width + phases - 1], width + phases - 1)
        # (phases, bases of a phase)
        rows = np.lib.stride_tricks.sliding_window_view(read, width)
        return rows.reshape(phases, count, kmer_size)


def padded(bases: Bases, length: int) -> Bases:
    """Fill an array of bases up to a length."""
    whole = np.full(length, BEHIND_THE_END, np.uint8)
    whole[: len(bases)] = bases
    return whole


_DIGITS = np.full(256, -1, np.int64)
_DIGITS[list(BASES)] = range(len(BASES))


def digits_of(bases: Bases) -> Array:
    """Number bases in the order A, C, G, T; −1 stands for N and behind the end.

    Example:

        >>> digits_of(np.frombuffer(b"ACGTN", np.uint8)).tolist()
        [0, 1, 2, 3, -1]
    """
    digits: Array = _DIGITS[bases]
    return digits
