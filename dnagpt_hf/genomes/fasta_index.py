"""Indexes of FASTA files in samtools' form (`.fai`): the bytes of each record and its lines."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from tempfile import TemporaryDirectory

from dnagpt_hf.genomes.bases import GenomeError
from dnagpt_hf.genomes.contigs import Contig, MappedFile

logger = logging.getLogger(__name__)


def write_index(plain: Path, index: Path, source: Path) -> None:
    """Write the index of a file.

    Args:
        plain: the file.
        index: the index.
        source: name of the file for errors.

    Raises:
        GenomeError: the file is not FASTA, has a name twice, or a record has lines of different
            lengths.
    """
    from pyfaidx import Faidx, FastaIndexingError

    with TemporaryDirectory() as folder:
        # pyfaidx takes a name that ends in .gz for a compressed file, whatever is in it
        link = Path(folder, "genome.fa")
        link.symlink_to(plain)
        try:
            # it makes the index as it opens a file that has none
            Faidx(str(link), indexname=str(index)).close()
        # the last of these is raised where blank lines stand behind a record
        except (FastaIndexingError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).replace(str(link), "the file").split())
            raise GenomeError(f"{source}: {_explained(reason)}") from error


def _explained(reason: str) -> str:
    """Turn a message of pyfaidx into the problem of the file and its remedy."""
    if blank := re.search(r"indexing at entry (.*)Please report .* \[\((\d+),", reason):
        return (
            f"record {blank[1]} has blank lines (from line {int(blank[2]) + 1} of the file): "
            "remove them, as seqtk seq -l 60 does"
        )
    if uneven := re.search(r"Inconsistent line found in >(\S+) at line (\d+)", reason):
        return (
            f"record {uneven[1]} has lines of different lengths or blank ones (line {uneven[2]} of "
            "the file): write lines of one length, as seqtk seq -l 60 does"
        )
    if twice := re.search(r'Duplicate key "(.*)"', reason):
        return f"record {twice[1]} occurs twice: rename one"
    if nameless := re.search(r"Bad sequence name .* at line (\d+)", reason):
        return f"line {int(nameless[1]) + 1}: a record without a name: write one behind its >"
    if "codec can't decode" in reason:
        return "no FASTA file: it is not UTF-8 text; save it as UTF-8"
    return f"no FASTA file: {reason}"


def read_index(index: Path, plain: Path, older: bool = False) -> dict[str, Contig] | None:
    """Read the contigs of a file from its index.

    Args:
        index: the index.
        plain: the file.
        older: whether the index may be older than the file.

    Returns:
        Contigs by name, or `None` if there is no index, or it does not fit the file as it is.
    """
    status = plain.stat()
    try:
        if index.stat().st_mtime_ns < status.st_mtime_ns and not older:
            return None
        lines = index.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError):
        return None
    file = MappedFile(plain, status.st_size, status.st_mtime_ns)
    contigs: dict[str, Contig] = {}
    end = _first_record(file)
    for line in lines:
        fields = line.split("\t")
        if len(fields) != 5 or not all(field.isdecimal() for field in fields[1:]):
            break
        contig = Contig(fields[0], file, *map(int, fields[1:]))
        next_record = _end_of(contig, end)
        if next_record is None or contig.name in contigs:
            break
        contigs[contig.name] = contig
        end = next_record
    else:
        # an index that was cut off has only some of the records
        if contigs and end == file.num_bytes:
            return contigs
    logger.warning("%s is not the index of %s as that is now: it is not used", index, plain)
    return None


def _first_record(file: MappedFile) -> int:
    """Find the first byte behind comments and blank lines at the beginning of a file."""
    start = 0
    while file.mapped[start : start + 1] in (b";", b"\n", b"\r"):
        start = file.mapped.find(b"\n", start) + 1 or file.num_bytes
    return start


def _end_of(contig: Contig, start: int) -> int | None:
    """Find the byte behind a record that starts at a byte; `None` if there is no such record."""
    mapped, size = contig.file.mapped, contig.file.num_bytes
    behind = mapped.find(b"\n", start) + 1 or size
    # white space as pyfaidx sees it, which reads text
    header = mapped[start:behind].decode(errors="replace")
    if header[:1] != ">" or header[1:].split()[:1] != [contig.name] or contig.offset != behind:
        return None
    end = contig.offset
    if contig.num_bases:
        if not 0 < contig.line_bases <= contig.line_bytes:
            return None
        end = contig.byte_of(contig.num_bases - 1) + 1
        first_line = mapped[contig.offset + contig.line_bases : contig.offset + contig.line_bytes]
        if contig.num_bases > contig.line_bases and first_line not in (b"\n", b"\r\n"):
            return None
        if end > size or mapped[end - 1] in b"\r\n":
            return None
    while end < size and mapped[end] in b"\r\n":
        end += 1
    return end if end == size or mapped[end : end + 1] == b">" else None
