"""FASTA files as contigs that are read by slices, without being read whole.

A file is mapped into memory: what is read of it lies in the system's page cache, shared by all
processes, and gives way where memory is short. pyfaidx's index tells where each contig lies.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import mmap
import os
import shutil
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.atomic import new_file
from dnagpt_hf.data.genomes import Bases, GenomeError, normalise_bases

logger = logging.getLogger(__name__)

_GZIP_MAGIC = b"\x1f\x8b"
_BLOCK = 1 << 24


@dataclass(frozen=True)
class Contig:
    """One record of a FASTA file: `len(contig)` bases, read by `contig[start:end]`.

    Args:
        name: its name, up to the first white space.
        path: the (uncompressed) file.
        num_bases: its length.
        offset: byte at which its first base stands.
        line_bases: bases on a full line.
        line_bytes: bytes of a full line, its end included.
    """

    name: str
    path: Path
    num_bases: int
    offset: int
    line_bases: int
    line_bytes: int

    def __len__(self) -> int:
        return self.num_bases

    def __getitem__(self, part: slice) -> Bases:
        start, end, step = part.indices(self.num_bases)
        if step != 1:
            raise ValueError(f"contig {self.name} is read forwards: slice it without a step")
        return normalise_bases(
            self.letters(start, end), source=f"{self.path}: record {self.name}", start=start
        )

    def letters(self, start: int, end: int) -> NDArray[np.uint8]:
        """Letters as they stand in the file, line ends left out."""
        if end <= start:
            return np.empty(0, np.uint8)
        first, before = divmod(start, self.line_bases)
        last = (end - 1) // self.line_bases
        begin = self.offset + first * self.line_bytes
        stop = self.offset + last * self.line_bytes + (end - 1) % self.line_bases + 1
        mapped = _mapped(self.path)
        if stop > len(mapped):
            raise GenomeError(
                f"{self.path}: record {self.name} ends behind the end of the file: it was cut off "
                "or its index is of another file; delete the index, or fetch the file again"
            )
        if first == last:
            return mapped[begin + before : stop]
        # full lines as rows of a matrix, whose last columns are line ends
        lines = mapped[begin : begin + (last - first) * self.line_bytes]
        full = lines.reshape(-1, self.line_bytes)[:, : self.line_bases].reshape(-1)
        tail = mapped[begin + (last - first) * self.line_bytes : stop]
        return np.concatenate([full[before:], tail])

    def part(self, start: int, end: int) -> ContigPart:
        """Bases `start` to `end`, without `end`."""
        return ContigPart(self, start, end)


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Genome:
    """A FASTA file and its contigs by name, in the order of the file."""

    path: Path
    contigs: dict[str, Contig]


def open_genome(path: str | os.PathLike[str], cache_folder: Path | None = None) -> Genome:
    """Open a FASTA file, plain or compressed with bgzip or gzip.

    Args:
        path: the file. A compressed one is unpacked once, next to it or into the cache folder.
        cache_folder: where indexes and unpacked files are kept; by default next to the file.

    Raises:
        GenomeError: the file is missing, damaged or no FASTA, has no record or one twice, or a
            record is empty or has lines of different lengths.
    """
    source = Path(path)
    if not source.is_file():
        raise GenomeError(f"{source}: no such file")
    with open(source, "rb") as stream:
        is_compressed = stream.read(2) == _GZIP_MAGIC
    plain = _unpacked(source, cache_folder) if is_compressed else source.resolve()
    contigs = _indexed(plain, source, cache_folder)
    if not contigs:
        raise GenomeError(f"{source}: no FASTA file: it has no record")
    for name, contig in contigs.items():
        if not len(contig):
            raise GenomeError(f"{source}: record {name} is empty: remove it from the file")
    return Genome(source, contigs)


@lru_cache(maxsize=1024)
def _mapped(path: Path) -> NDArray[np.uint8]:
    """The bytes of a file; one map for each file and process."""
    with open(path, "rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    if "MADV_RANDOM" in dir(mmap):
        # windows are drawn from anywhere: what stands behind them is not needed
        mapped.madvise(mmap.MADV_RANDOM)
    return np.frombuffer(mapped, dtype=np.uint8)


def _unpacked(source: Path, cache_folder: Path | None) -> Path:
    """The plain file of a compressed one, made if it is missing or older."""
    name = source.name
    for suffix in (".gz", ".bgz", ".bgzf"):
        name = name.removesuffix(suffix)
    plain = _derived(source, name if name != source.name else f"{name}.fa", cache_folder)
    if plain.is_file() and plain.stat().st_mtime >= source.stat().st_mtime:
        return plain.resolve()
    logger.info("unpacking %s to %s", source, plain)
    try:
        with (
            gzip.open(source, "rb") as stream,
            new_file(plain, overwrite=True) as partial,
            open(partial, "wb") as target,
        ):
            shutil.copyfileobj(stream, target, _BLOCK)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise GenomeError(
            f"{source} is cut off or damaged ({error}): fetch the file again"
        ) from error
    except OSError as error:
        raise GenomeError(
            f"{source} cannot be unpacked to {plain} ({error.strerror}): give a cache folder that "
            "is writable and has room"
        ) from error
    return plain.resolve()


def _derived(source: Path, name: str, cache_folder: Path | None) -> Path:
    """Where something made from a file is kept: next to it, or in the cache folder."""
    if cache_folder is None:
        return source.with_name(name)
    cache_folder.mkdir(parents=True, exist_ok=True)
    if source.parent.resolve() == cache_folder.resolve():
        return source.with_name(name)
    # files of two folders may have the same name
    folder = hashlib.sha256(os.fsencode(source.parent.resolve())).hexdigest()[:8]
    return cache_folder / f"{folder}-{name}"


def _indexed(plain: Path, source: Path, cache_folder: Path | None) -> dict[str, Contig]:
    """Contigs by pyfaidx's index, which is made anew where it is missing or does not fit."""
    if not plain.stat().st_size:
        raise GenomeError(f"{source} is empty")
    place = _derived(plain, f"{plain.name}.fai", cache_folder)
    for index in (Path(f"{plain}.fai"), place):
        if index.is_file() and index.stat().st_mtime >= plain.stat().st_mtime:
            contigs = _contigs_of(index, plain)
            if contigs is not None:
                return contigs
    try:
        with new_file(place, overwrite=True) as partial:
            _write_index(plain, partial, source)
    except OSError as error:
        raise GenomeError(
            f"{source}: no index can be written at {place} ({error.strerror}): give a cache folder "
            "that is writable"
        ) from error
    contigs = _contigs_of(place, plain)
    if contigs is None:
        raise GenomeError(f"{source}: it changed while its index was made: start again")
    return contigs


def _write_index(plain: Path, index: Path, source: Path) -> None:
    from pyfaidx import Faidx, FastaIndexingError

    try:
        # pyfaidx makes the index as it opens a file that has none
        Faidx(str(plain), indexname=str(index)).close()
    except (FastaIndexingError, ValueError) as error:
        raise GenomeError(f"{source}: no FASTA file: {' '.join(str(error).split())}") from error


def _contigs_of(index: Path, plain: Path) -> dict[str, Contig] | None:
    """What an index says, or `None` if it is not that of the file."""
    contigs: dict[str, Contig] = {}
    size = plain.stat().st_size
    with open(plain, "rb") as stream:
        for line in index.read_text(encoding="utf-8").splitlines():
            fields = line.split("\t")
            if len(fields) != 5 or not all(field.isdigit() for field in fields[1:]):
                return None
            contig = Contig(fields[0], plain, *map(int, fields[1:]))
            if contig.name in contigs or not _fits(contig, stream, size):
                return None
            contigs[contig.name] = contig
    return contigs


def _fits(contig: Contig, stream: Any, size: int) -> bool:
    """Whether a header with this name stands before a contig, and a header or nothing behind it."""
    if not contig.num_bases:
        return True
    if not 0 < contig.line_bases <= contig.line_bytes:
        return False
    header = f">{contig.name}".encode()
    lookback = min(contig.offset, len(header) + 4096)
    stream.seek(contig.offset - lookback)
    before = stream.read(lookback)
    if not before.endswith(b"\n") or not before[:-1].rpartition(b"\n")[2].startswith(header):
        return False
    last = (contig.num_bases - 1) // contig.line_bases
    end = contig.offset + last * contig.line_bytes + (contig.num_bases - 1) % contig.line_bases + 1
    stream.seek(end)
    return end <= size and stream.read(4).strip(b"\r\n")[:1] in (b"", b">")
