"""Sequences as arrays of bases.

A sequence is a `uint8` array of upper-case ASCII letters: A, C, G, T and N. Positions count from 0,
and intervals exclude their end.
"""

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Bases = NDArray[np.uint8]

G, C, N = b"GCN"
# the paper drops windows with more than 5 % undetermined bases
MAX_N_FRACTION = 0.05


# soft masks are read as upper case, U as T, ambiguity codes as N; 0 marks other characters
_LETTERS, _BASES = b"ACGTUNRYSWKMBDHV", b"ACGTTNNNNNNNNNNN"
_NORMALIZED = np.zeros(256, dtype=np.uint8)
_NORMALIZED[list(_LETTERS + _LETTERS.lower())] = list(_BASES + _BASES)
# the same as a table of bytes.translate, the fastest look-up for the bytes of a file
NORMALIZED = _NORMALIZED.tobytes()
_COMPLEMENT = bytes.maketrans(b"ACGTURYKMBVDHacgturykmbvdh", b"TGCAAYRMKVBHDtgcaayrmkvbhd")
# an array of bases, or letters
BasesT = TypeVar("BasesT", Bases, bytes)


class GenomeError(ValueError):
    """A genome file that cannot be used; the message names the file and the record."""


class Interval(NamedTuple):
    """Bases `start` to `end`, without `end`."""

    start: int
    end: int


def normalize_bases(letters: bytes | Bases, source: str = "sequence", start: int = 0) -> Bases:
    """Reduce letters to A, C, G, T and N.

    Lower case (soft masks) is read as upper case, U as T, and IUPAC ambiguity codes as N.

    Args:
        letters: ASCII letters.
        source: name of the sequence for errors.
        start: position of the first letter in it.

    Raises:
        GenomeError: a character is no nucleotide letter.

    Example:

        >>> normalize_bases(b"acgUR").tobytes()
        b'ACGTN'
    """
    array = np.frombuffer(letters, dtype=np.uint8) if isinstance(letters, bytes) else letters
    bases = _NORMALIZED.take(array)
    if not bases.all():
        position = int(np.argmin(bases))
        raise GenomeError(
            f"{source}: {chr(array[position])!r} at position {start + position + 1:,} is no "
            "nucleotide letter: use A, C, G, T, U, N or IUPAC codes"
        )
    return bases


def reverse_complement(bases: BasesT) -> BasesT:
    """Read the other strand in its own direction.

    Args:
        bases: an array of bases, or letters in either case, IUPAC codes included. Other characters
            stay as they are.

    Example:

        >>> reverse_complement(b"AACGn")
        b'nCGTT'
    """
    if isinstance(bases, bytes):
        return bases.translate(_COMPLEMENT)[::-1]
    return np.frombuffer(bases.tobytes().translate(_COMPLEMENT)[::-1], dtype=np.uint8)


def gc_content(bases: Bases) -> float:
    """Compute the fraction of G and C among the bases that are not N; NaN if there are none.

    Example:

        >>> gc_content(normalize_bases(b"GCANNNN"))
        0.6666666666666666
    """
    known = len(bases) - np.count_nonzero(bases == N)
    gc = np.count_nonzero(bases == G) + np.count_nonzero(bases == C)
    # some releases of NumPy count in integers of their own
    return int(gc) / int(known) if known else float("nan")
