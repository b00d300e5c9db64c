"""Opening FASTA files: unpacked and indexed once, then read by slices."""

from __future__ import annotations

import codecs
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from dnagpt_hf.atomic_files import new_file
from dnagpt_hf.genomes.bases import GenomeError
from dnagpt_hf.genomes.contig_names import ContigNames, read_aliases
from dnagpt_hf.genomes.contigs import Contig
from dnagpt_hf.genomes.fasta_index import read_index, write_index
from dnagpt_hf.records.compression import DAMAGED, RecordError, decompressed

logger = logging.getLogger(__name__)

_BLOCK = 1 << 24
_START = 1 << 16
# some file systems keep times to two seconds only
_COARSEST_TIME = 2 * 10**9


@dataclass(frozen=True)
class Genome:
    """A FASTA file and its contigs.

    Args:
        path: the file.
        contigs: contigs by name, in the order of the file.
        names: names of the contigs in other files.
    """

    path: Path
    contigs: dict[str, Contig]
    names: ContigNames


def open_genome(
    path: str | os.PathLike[str] | Genome,
    cache_folder: Path | None = None,
    *,
    chrom_aliases: str | os.PathLike[str] | None = None,
) -> Genome:
    """Open a FASTA file, plain or compressed.

    Args:
        path: the file. A compressed file is unpacked once, and so is one with a byte order mark or
            unusual line ends. A genome that is open stays as it is.
        cache_folder: folder for the index and the unpacked file; by default next to the file.
        chrom_aliases: file with other names of contigs, as [`read_aliases`] reads it; names with
            and without `chr` are the same anyway.

    Raises:
        GenomeError: the file is missing, damaged or not FASTA; has no record or one twice; or a
            record is empty or has lines of different lengths.
        RecordError: the file of other names is not clear.

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
        is_plain = _is_plain(source)
    except RecordError as error:
        raise GenomeError(str(error)) from error
    except OSError as error:
        raise GenomeError(f"{source} cannot be read: {error.strerror}") from error
    plain = Path(os.path.abspath(source)) if is_plain else _unpacked(source, cache_folder)
    if not plain.stat().st_size:
        raise GenomeError(f"{source} is empty: give a FASTA file")
    contigs = _indexed(plain, source, cache_folder)
    for name, contig in contigs.items():
        if not len(contig):
            raise GenomeError(f"{source}: record {name} is empty: remove it from the file")
    aliases = None if chrom_aliases is None else read_aliases(chrom_aliases, contigs)
    return Genome(source, contigs, ContigNames(contigs, aliases))


def _is_plain(source: Path) -> bool:
    """Tell whether a file can be indexed as it is: no compression, mark or unusual line ends."""
    with open(source, "rb") as raw:
        if decompressed(raw, str(source)) is not raw:
            return False
        start = raw.read(_START)
    return not start.startswith(codecs.BOM_UTF8) and _replacement_of_cr(start) == b"\r"


def _replacement_of_cr(start: bytes) -> bytes:
    """Choose what CR becomes: LF where it ends lines alone, and nothing where it is doubled."""
    if b"\n" not in start:
        return b"\n"
    return b"" if b"\r\r" in start else b"\r"


def _unpacked(source: Path, cache_folder: Path | None) -> Path:
    """Unpack a compressed file, unless an unpacked file of its present state exists."""
    plain = _derived(source, f"{source.name}.unpacked", cache_folder)
    modified = source.stat().st_mtime_ns
    if not _is_of(plain, modified):
        with _making(source, plain):
            if not _is_of(plain, modified):
                logger.info("unpacking %s to %s", source, plain)
                with new_file(plain, overwrite=True, shared=True) as partial:
                    _unpack(source, partial)
                    os.utime(partial, ns=(modified, modified))
    return Path(os.path.abspath(plain))


def _is_of(plain: Path, modified: int) -> bool:
    """Test whether a file was unpacked from one whose last change was at that time."""
    return plain.is_file() and abs(plain.stat().st_mtime_ns - modified) < _COARSEST_TIME


def _unpack(source: Path, target: Path) -> None:
    """Write what can be indexed: decompressed, without a mark, with line ends of LF."""
    try:
        with open(source, "rb") as raw, open(target, "wb") as plain:
            stream = decompressed(raw, str(source))
            block = stream.read(_START).removeprefix(codecs.BOM_UTF8)
            end = _replacement_of_cr(block)
            while block:
                plain.write(block.replace(b"\r", end))
                block = stream.read(_BLOCK)
    except DAMAGED as error:
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
        lock = place.with_name(f".{place.name}.lock")
        with FileLock(lock):
            try:
                yield
            finally:
                # whoever waits for it, or makes it anew, finds the file that was made
                with suppress(OSError):
                    lock.unlink()
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
                with new_file(place, overwrite=True, shared=True) as partial:
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
