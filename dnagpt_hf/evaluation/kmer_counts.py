"""Counts of k-mers in many sequences at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.genomes.bases import normalize_bases

LONGEST_KMER = 8
# so many bases are counted at once that their windows stay in the cache
_BASES_AT_ONCE = 1 << 17
_UNKNOWN = 4
_CODES = np.full(256, _UNKNOWN, dtype=np.uint8)
_CODES[np.frombuffer(b"ACGT", dtype=np.uint8)] = np.arange(4)


def count_kmers(sequences: Sequence[str], kmer_size: int = 4, parts: int = 1) -> NDArray[np.int32]:
    """Count the overlapping k-mers of sequences, each cut into equal parts that count apart.

    Lower case counts as upper case, U as T. Windows that hold N or another IUPAC code, and those
    across the border of two parts, are not counted.

    Args:
        sequences: any number of sequences, of any lengths.
        kmer_size: bases of a k-mer, 1 to 8.
        parts: parts of a sequence; their lengths differ by one base at most.

    Returns:
        Array of shape `(sequences, parts * 4**kmer_size)`: k-mers in alphabetical order, those of
        the first part first.

    Raises:
        ValueError: kmer_size or parts is out of range, or a sequence holds what is no nucleotide
            letter.

    Example:

        >>> count_kmers(["AACNAA", "acgtu"], kmer_size=1, parts=2).tolist()
        [[2, 1, 0, 0, 2, 0, 0, 0], [1, 1, 0, 0, 0, 0, 1, 2]]
    """
    if not 1 <= kmer_size <= LONGEST_KMER:
        raise ValueError(f"k-mers of {kmer_size} bases: choose 1 to {LONGEST_KMER}")
    if parts < 1:
        raise ValueError(f"{parts} parts of a sequence: choose 1 or more")
    counts = np.empty((len(sequences), parts * 4**kmer_size), dtype=np.int32)
    for start, end in _groups(sequences):
        codes = _codes(sequences[start:end], start)
        lengths = np.array([len(sequence) for sequence in sequences[start:end]])
        borders = _borders(lengths, parts)
        group = _count(codes, borders, kmer_size)
        counts[start:end] = group.reshape(end - start, -1)
    return counts


def _groups(sequences: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Numbers of the first sequence and behind the last one of those that are counted at once."""
    start = bases = 0
    for end, sequence in enumerate(sequences, start=1):
        bases += len(sequence)
        if bases >= _BASES_AT_ONCE or end == len(sequences):
            yield start, end
            start, bases = end, 0


def _codes(sequences: Sequence[str], first: int) -> NDArray[np.uint8]:
    """All bases in a row: 0 to 3 for A, C, G and T, 4 for what is not determined."""
    try:
        # the letters of all are checked in one go, and one by one only to name the wrong one
        return _CODES[normalize_bases("".join(sequences).encode("latin-1", "replace"))]
    except ValueError:
        for number, sequence in enumerate(sequences, start=first + 1):
            normalize_bases(sequence.encode("latin-1", "replace"), f"sequence {number:,}")
        raise


def _borders(lengths: NDArray[np.int64], parts: int) -> NDArray[np.int64]:
    """Where the parts of sequences that stand in a row end."""
    ends = np.cumsum(lengths)
    within = lengths[:, None] * np.arange(1, parts + 1) // parts
    # (sequences, parts) to one dimension
    return ((ends - lengths)[:, None] + within).reshape(-1)


def _count(
    codes: NDArray[np.uint8], borders: NDArray[np.int64], kmer_size: int
) -> NDArray[np.int64]:
    """Counts of shape `(parts, 4**kmer_size)` for the parts that end at `borders`."""
    kmers = 4**kmer_size
    windows = max(len(codes) - kmer_size + 1, 0)
    numbers = codes[:windows].astype(np.uint32)
    for offset in range(1, kmer_size):
        numbers <<= 2
        numbers |= codes[offset : windows + offset]
    part = np.repeat(np.arange(len(borders)) * kmers, np.diff(borders, prepend=0))
    bins = part[:windows] + numbers
    # what is not counted gets a bin of its own behind the others
    unknown = np.flatnonzero(codes == _UNKNOWN)
    for offset in range(kmer_size):
        bins[_inside(unknown - offset, windows)] = len(borders) * kmers
    for offset in range(1, kmer_size):
        bins[_inside(borders - offset, windows)] = len(borders) * kmers
    counts = np.bincount(bins, minlength=len(borders) * kmers + 1)
    return counts[:-1].reshape(len(borders), kmers)


def _inside(places: NDArray[np.int64], end: int) -> NDArray[np.int64]:
    return places[(places >= 0) & (places < end)]
