"""Opening FASTA files: unpacked and indexed once, then read by slices."""

from __future__ import annotations

import codecs
import gzip
import logging
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from dnagpt_hf.atomic_files import new_file
from dnagpt_hf.genomes.bases import GenomeError
from dnagpt_hf.genomes.contigs import Contig
from dnagpt_hf.genomes.fasta_index import read_index, write_index
from dnagpt_hf.records.files import RecordError, is_gzip

logger = logging.getLogger(__name__)

_BLOCK = 1 << 24
# some file systems keep times to two seconds only
_COARSEST_TIME = 2 * 10**9


@dataclass(frozen=True)
class Genome:
    """A FASTA file and its contigs by name, in the order of the file."""

    path: Path
    contigs: dict[str, Contig]


def open_genome(path: str | os.PathLike[str] | Genome, cache_folder: Path | None = None) -> Genome:
    """Open a FASTA file, plain or compressed with bgzip or gzip.

    Args:
        path: the file. A compressed file is unpacked once. A genome that is open stays as it is.
        cache_folder: folder for the index and the unpacked file; by default next to the file.

    Raises:
        GenomeError: the file is missing, damaged or not FASTA; has no record or one twice; or a
            record is empty or has lines of different lengths.

    Example:

        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "genome.fa")
        >>> _ = path.write_text(">chr1 first\\nACGTacgt\\nNN\\n")
        >>> genome = open_genome(path)
        >>> genome.contigs["chr1"][2:9].tobytes()
        b'GTACGTN'
    """
    if isinstance(path, Genome):
        return path
    source = Path(path)
    if not source.is_file():
        problem = "is a folder: give a FASTA file" if source.is_dir() else "no such file"
        raise GenomeError(f"{source}: {problem}")
    try:
        with open(source, "rb") as stream:
            is_compressed = is_gzip(stream, str(source))
    except RecordError as error:
        raise GenomeError(str(error)) from error
    except OSError as error:
        raise GenomeError(f"{source} cannot be read: {error.strerror}") from error
    plain = _unpacked(source, cache_folder) if is_compressed else Path(os.path.abspath(source))
    _check_start(plain, source)
    contigs = _indexed(plain, source, cache_folder)
    for name, contig in contigs.items():
        if not len(contig):
            raise GenomeError(f"{source}: record {name} is empty: remove it from the file")
    return Genome(source, contigs)


def _check_start(plain: Path, source: Path) -> None:
    """Refuse what editors and other systems make of a FASTA file; positions would be wrong."""
    with open(plain, "rb") as stream:
        start = stream.read(1 << 16)
    if not start:
        raise GenomeError(f"{source} is empty: give a FASTA file")
    if start.startswith(codecs.BOM_UTF8):
        raise GenomeError(f"{source} begins with a byte order mark: save it as UTF-8 without one")
    if b"\r" in start and b"\n" not in start:
        raise GenomeError(f"{source} has line ends of CR alone: write LF, as tr '\\r' '\\n' does")


def _unpacked(source: Path, cache_folder: Path | None) -> Path:
    """Unpack a compressed file, unless an unpacked file of its present state exists."""
    plain = _derived(source, f"{source.name}.unpacked", cache_folder)
    modified = source.stat().st_mtime_ns
    if not _is_of(plain, modified):
        with _making(source, plain):
            if not _is_of(plain, modified):
                logger.info("unpacking %s to %s", source, plain)
                with new_file(plain, overwrite=True) as partial:
                    _unpack(source, partial)
                    os.utime(partial, ns=(modified, modified))
    return Path(os.path.abspath(plain))


def _is_of(plain: Path, modified: int) -> bool:
    """Test whether a file was unpacked from one whose last change was at that time."""
    return plain.is_file() and abs(plain.stat().st_mtime_ns - modified) < _COARSEST_TIME


def _unpack(source: Path, target: Path) -> None:
    try:
        with gzip.open(source, "rb") as stream, open(target, "wb") as plain:
            shutil.copyfileobj(stream, plain, _BLOCK)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise GenomeError(
            f"{source} is cut off or damaged ({error}): fetch the file again"
        ) from error


def _derived(source: Path, name: str, cache_folder: Path | None) -> Path:
    """Name a file that is derived from another: next to it, or in the cache folder."""
    if cache_folder is None or source.parent.resolve() == cache_folder.resolve():
        return source.with_name(name)
    # files of two folders may have the same name
    folder = sha256(os.fsencode(source.parent.resolve())).hexdigest()[:8]
    return cache_folder / f"{folder}-{name}"


@contextmanager
def _making(source: Path, place: Path) -> Iterator[None]:
    """Lock a file that one process makes while the others wait for it."""
    from filelock import FileLock

    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(place.with_name(f".{place.name}.lock")):
            yield
    except OSError as error:
        raise GenomeError(
            f"{source}: {place} cannot be written ({error.strerror or error}): give a cache folder "
            "that is writable and has room"
        ) from error


def _indexed(plain: Path, source: Path, cache_folder: Path | None) -> dict[str, Contig]:
    """Read contigs by an index, which is made anew where it is missing or does not fit."""
    place = _derived(plain, f"{plain.name}.fai", cache_folder)
    beside = Path(f"{plain}.fai")
    for index in dict.fromkeys((beside, place)):
        contigs = read_index(index, plain)
        if contigs is not None:
            return contigs
    try:
        with _making(source, place):
            contigs = read_index(place, plain)
            if contigs is None:
                with new_file(place, overwrite=True) as partial:
                    write_index(plain, partial, source)
                    contigs = read_index(partial, plain)
                    if contigs is None:
                        raise GenomeError(
                            f"{source}: a record has a last line that is longer than the others, "
                            "or the file has just changed: write lines of one length, as seqtk "
                            "seq -l 60 does"
                        )
    except GenomeError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        # an index that was copied before its file may be as good
        contigs = read_index(beside, plain, older=True)
        if contigs is None:
            raise
    return contigs
