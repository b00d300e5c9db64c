"""Contigs of a FASTA file, read by slices from a memory map.

What is read of a mapped file lies in the system's page cache, shared by all processes, and gives
way where memory is short.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.genomes.bases import NORMALIZED, Bases, GenomeError, normalize_bases

_LINE_ENDS = b"\r\n"
# what is longer lies on several pages: one request for all of them is faster than one for each
_PAGE = 1 << 12


@dataclass(frozen=True)
class MappedFile:
    """The bytes of a file, which each process maps when it first reads them.

    Args:
        path: the file.
        num_bytes: its length.
        modified: when it was last changed, in nanoseconds.
    """

    path: Path
    num_bytes: int
    modified: int

    def __reduce__(self) -> tuple[Any, ...]:
        # one map for all contigs of a file in a process
        return _shared_file, (self.path, self.num_bytes, self.modified)

    @cached_property
    def mapped(self) -> mmap.mmap:
        """All of it.

        Raises:
            GenomeError: the file is not as it was when it was opened.
        """
        with open(self.path, "rb") as stream:
            status = os.fstat(stream.fileno())
            if (status.st_size, status.st_mtime_ns) != (self.num_bytes, self.modified):
                raise self._changed()
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        if "MADV_RANDOM" in dir(mmap):
            # windows are drawn from anywhere: what stands around them is not needed
            mapped.madvise(mmap.MADV_RANDOM)
        return mapped

    def read(self, start: int, end: int) -> bytes:
        """Bytes `start` to `end`.

        Raises:
            GenomeError: the file has another length than when it was opened.
        """
        return self._requested(start, end)[start:end]

    def view(self, start: int, end: int) -> NDArray[np.uint8]:
        """The same as an array that is not copied: to be used at once."""
        return np.frombuffer(self._requested(start, end), np.uint8, end - start, start)

    def _requested(self, start: int, end: int) -> mmap.mmap:
        mapped = self.mapped
        # reading behind the end of a file that has become shorter would end the process
        if mapped.size() != self.num_bytes:
            raise self._changed()
        if end - start > _PAGE and "MADV_WILLNEED" in dir(mmap):
            page = start - start % mmap.PAGESIZE
            mapped.madvise(mmap.MADV_WILLNEED, page, end - page)
        return mapped

    def release_pages(self, start: int, end: int) -> None:
        """Take bytes out of this process's memory; they stay in the page cache."""
        if "MADV_DONTNEED" in dir(mmap):
            page = start - start % mmap.PAGESIZE
            self.mapped.madvise(mmap.MADV_DONTNEED, page, end - page)

    def _changed(self) -> GenomeError:
        return GenomeError(f"{self.path} has changed since it was opened: start again")


@lru_cache(maxsize=1024)
def _shared_file(path: Path, num_bytes: int, modified: int) -> MappedFile:
    return MappedFile(path, num_bytes, modified)


@dataclass(frozen=True, slots=True)
class Contig:
    """One record of a FASTA file: `len(contig)` bases, read by `contig[start:end]`.

    Args:
        name: its name, up to the first white space.
        file: the (uncompressed) file.
        num_bases: its length.
        offset: byte at which its first base stands.
        line_bases: bases on a full line.
        line_bytes: bytes of a full line, its end included.

    Raises:
        GenomeError: from reading, if a character is no nucleotide letter, with file, record and
            position; or if the file has changed.
    """

    name: str
    file: MappedFile
    num_bases: int
    offset: int
    line_bases: int
    line_bytes: int

    @property
    def path(self) -> Path:
        """The (uncompressed) file."""
        return self.file.path

    def __len__(self) -> int:
        return self.num_bases

    def __getitem__(self, part: slice) -> Bases:
        start, end, step = part.indices(self.num_bases)
        if step != 1:
            raise ValueError(f"contig {self.name} is read forwards: slice it without a step")
        if end <= start:
            return np.empty(0, np.uint8)
        # one pass brings letters to bases and drops line ends
        bases = self.file.read(self.byte_of(start), self.byte_of(end - 1) + 1)
        bases = bases.translate(NORMALIZED, _LINE_ENDS)
        if len(bases) != end - start:
            raise self._uneven()
        if 0 in bases:
            # says what it is and where it stands
            normalize_bases(self.letters(start, end), f"{self.path}: record {self.name}", start)
        return np.frombuffer(bases, np.uint8)

    def letters(self, start: int, end: int) -> NDArray[np.uint8]:
        """Letters as they stand in the file, line ends left out: fast for many at a time.

        Raises:
            GenomeError: lines do not end where the index has their ends.
        """
        if end <= start:
            return np.empty(0, np.uint8)
        first, last = start // self.line_bases, (end - 1) // self.line_bases
        read = self.file.view(self.offset + first * self.line_bytes, self.byte_of(end - 1) + 1)
        # full lines as rows of a matrix, whose last columns are line ends
        num_lines = last - first
        lines = read[: num_lines * self.line_bytes].reshape(num_lines, self.line_bytes)
        if (lines[:, self.line_bases :] > max(_LINE_ENDS)).any():
            raise self._uneven()
        letters = np.empty(end - first * self.line_bases, np.uint8)
        full = num_lines * self.line_bases
        letters[:full].reshape(num_lines, self.line_bases)[:] = lines[:, : self.line_bases]
        letters[full:] = read[num_lines * self.line_bytes :]
        return letters[start - first * self.line_bases :]

    def release_pages(self, start: int, end: int) -> None:
        """Take bases that were read out of this process's memory; the system keeps them cached."""
        if start < end:
            self.file.release_pages(self.byte_of(start), self.byte_of(end - 1) + 1)

    def _uneven(self) -> GenomeError:
        return GenomeError(
            f"{self.path}: record {self.name} has lines of different lengths, or the index is of "
            "another file: write lines of one length and delete the index"
        )

    def byte_of(self, position: int) -> int:
        """Where the base at a position stands in the file."""
        line, column = divmod(position, self.line_bases)
        return self.offset + line * self.line_bytes + column

    def part(self, start: int, end: int) -> ContigPart:
        """Bases `start` to `end`, without `end`.

        Raises:
            ValueError: they do not lie in the contig.
        """
        if not 0 <= start <= end <= self.num_bases:
            raise ValueError(
                f"contig {self.name} has {self.num_bases:,} bases: no part {start:,} to {end:,}"
            )
        return ContigPart(self, start, end)


@dataclass(frozen=True, slots=True)
class ContigPart:
    """A part of a contig, read as the contig is."""

    contig: Contig
    start: int
    end: int

    @property
    def name(self) -> str:
        """As samtools writes it: `chr1:1001-2000`, positions from 1, the last one included."""
        return f"{self.contig.name}:{self.start + 1}-{self.end}"

    def __len__(self) -> int:
        return self.end - self.start

    def __getitem__(self, part: slice) -> Bases:
        start, end, step = part.indices(len(self))
        return self.contig[self.start + start : self.start + max(start, end) : step]
