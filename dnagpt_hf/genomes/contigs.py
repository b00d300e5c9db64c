"""Contigs of a FASTA file, read by slices from a memory map.

Pages of a mapped file that were read are in the system's page cache, which all processes share and
which shrinks where memory is short.
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
# longer parts are on several pages: one request for all of them is faster than one for each
_PAGE = 1 << 12


@dataclass(frozen=True)
class MappedFile:
    """The bytes of a file, which each process maps at its first reading.

    Args:
        path: the file.
        num_bytes: its length.
        modified: time of its last change, in nanoseconds.
    """

    path: Path
    num_bytes: int
    modified: int

    def __reduce__(self) -> tuple[Any, ...]:
        # one map for all contigs of a file in a process
        return _shared_file, (self.path, self.num_bytes, self.modified)

    @cached_property
    def mapped(self) -> mmap.mmap:
        """The memory map of the whole file.

        Raises:
            GenomeError: the file has changed since it was opened.
        """
        with open(self.path, "rb") as stream:
            status = os.fstat(stream.fileno())
            if (status.st_size, status.st_mtime_ns) != (self.num_bytes, self.modified):
                raise self._changed()
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        if "MADV_RANDOM" in dir(mmap):
            # windows are drawn at random: reading ahead would be of no use
            mapped.madvise(mmap.MADV_RANDOM)
        return mapped

    def read(self, start: int, end: int) -> bytes:
        """Read the bytes `start` to `end`.

        Raises:
            GenomeError: the length of the file has changed since it was opened.
        """
        mapped = self.mapped
        # reading behind the end of a file that was cut would end the process (SIGBUS)
        if mapped.size() != self.num_bytes:
            raise self._changed()
        if end - start > _PAGE and "MADV_WILLNEED" in dir(mmap):
            page = start - start % mmap.PAGESIZE
            mapped.madvise(mmap.MADV_WILLNEED, page, end - page)
        return mapped[start:end]

    def release_pages(self, start: int, end: int) -> None:
        """Release pages from this process's memory; they stay in the page cache."""
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
        name: name of the record, up to the first white space.
        file: the (uncompressed) file.
        num_bases: number of bases.
        offset: byte of the first base.
        line_bases: number of bases on a full line.
        line_bytes: number of bytes of a full line, line end included.

    Raises:
        GenomeError: in reading, a character is no nucleotide letter (the message names file, record
            and position), or the file has changed.
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
        bases = self._read(start, end, NORMALIZED)
        if 0 in bases:
            # raises an error that names the character and its position
            normalize_bases(self.letters(start, end), f"{self.path}: record {self.name}", start)
        return np.frombuffer(bases, np.uint8)

    def letters(self, start: int, end: int) -> NDArray[np.uint8]:
        """Read letters as they are in the file, without line ends.

        Raises:
            GenomeError: line ends are not at the bytes that the index states.
        """
        return np.frombuffer(self._read(start, end), np.uint8)

    def _read(self, start: int, end: int, table: bytes | None = None) -> bytes:
        if end <= start:
            return b""
        # one pass translates letters and drops line ends
        read = self.file.read(self.byte_of(start), self.byte_of(end - 1) + 1)
        letters = read.translate(table, _LINE_ENDS)
        if len(letters) != end - start:
            raise GenomeError(
                f"{self.path}: record {self.name} has lines of different lengths, or the index is "
                "of another file: write lines of one length and delete the index"
            )
        return letters

    def release_pages(self, start: int, end: int) -> None:
        """Release pages with bases from this process's memory; the system keeps them cached."""
        if start < end:
            self.file.release_pages(self.byte_of(start), self.byte_of(end - 1) + 1)

    def byte_of(self, position: int) -> int:
        """Compute the byte of the base at a position."""
        line, column = divmod(position, self.line_bases)
        return self.offset + line * self.line_bytes + column

    def part(self, start: int, end: int) -> ContigPart:
        """Cut the bases `start` to `end`, without `end`, as a part that is read as a contig is.

        Raises:
            ValueError: the part does not lie in the contig.
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
        """Region of the part in samtools' form: `chr1:1001-2000`, counted from 1, ends included."""
        return f"{self.contig.name}:{self.start + 1}-{self.end}"

    def __len__(self) -> int:
        return self.end - self.start

    def __getitem__(self, part: slice) -> Bases:
        start, end, step = part.indices(len(self))
        return self.contig[self.start + start : self.start + max(start, end) : step]
