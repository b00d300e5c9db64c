"""VCF and BCF: records as lines of text, which get further entries of INFO and stay as they are."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast

from dnagpt_hf.messages import on_one_line
from dnagpt_hf.records.files import RecordError, shorten
from dnagpt_hf.variants.records import NO_ALT, PREFIX, VariantRecord

COLUMNS = ("CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
_INFO = COLUMNS.index("INFO")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DEFINITION = re.compile(rb"##(FILTER|INFO|FORMAT)=<(?:[^\"]*,)?ID=([^,>]+)")
_OWN_ENTRY = PREFIX.encode()
# lines that an earlier run wrote
_OWN_HEADER = (f"##INFO=<ID={PREFIX}".encode(), f"##{PREFIX.lower()}variants=".encode())


class VcfFile:
    """A VCF file, plain or compressed with bgzip or gzip.

    Args:
        path: the file.
        source: its name in messages.

    Raises:
        RecordError: the file has no header of VCF; while it is read: it is cut off, or a line has
            fewer than eight columns or no position.
    """

    def __init__(self, path: Path, source: str) -> None:
        self.path, self.source = path, source
        self.header: list[bytes] = []
        for _, line in self._lines():
            if not line.startswith(b"#"):
                break
            self.header.append(line.rstrip(b"\r\n"))
            if line.startswith(b"#CHROM"):
                return
        where = f"{source}, line {len(self.header) + 1}"
        raise RecordError(
            f"{where}: no header of VCF that ends in the line #CHROM POS ID REF ALT …"
        )

    def __iter__(self) -> Iterator[VariantRecord]:
        """Read the records in their order."""
        for number, line in self._lines():
            if number > len(self.header):
                yield parse_line(line.rstrip(b"\r\n"), self.source, number)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        number = 0
        try:
            with _open(self.path) as stream:
                for number, line in enumerate(stream, start=1):
                    yield number, line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise RecordError(
                f"{self.source} is cut off or damaged after line {number}: {error}"
            ) from error


class BcfFile:
    """A BCF file, whose records are read as lines of VCF.

    Args:
        path: the file.
        source: its name in messages.

    Raises:
        RecordError: the file is no BCF, or is cut off.
        ImportError: cyvcf2 is not installed.
    """

    def __init__(self, path: Path, source: str) -> None:
        self.path, self.source = path, source
        header = str(self._open().raw_header)
        self.header = header.rstrip("\n").encode().split(b"\n")

    def __iter__(self) -> Iterator[VariantRecord]:
        """Read the records in their order."""
        number = 0
        try:
            for number, record in enumerate(self._open(), start=1):
                yield parse_line(str(record).rstrip("\n").encode(), self.source, number)
        except RecordError:
            raise
        except Exception as error:
            raise RecordError(
                f"{self.source} is cut off or damaged after record {number}: {on_one_line(error)}"
            ) from error

    def _open(self) -> Any:
        cyvcf2 = import_cyvcf2()
        try:
            return cyvcf2.VCF(str(self.path))
        except Exception as error:
            raise RecordError(f"{self.source} is not read as BCF: {on_one_line(error)}") from error


def _open(path: Path) -> IO[bytes]:
    with open(path, "rb") as stream:
        is_compressed = stream.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(path)) if is_compressed else open(path, "rb")


def parse_line(line: bytes, source: str, number: int) -> VariantRecord:
    """Read the position and the alleles of a line of VCF.

    Args:
        line: the line, without its end.
        source: name of its file in messages.
        number: its number in the file.

    Raises:
        RecordError: the line is empty, or lacks columns, a position or an allele.

    Example:

        >>> parse_line(b"chr1\\t7\\t.\\tA\\tC,<DEL>\\t.\\tPASS\\tAC=2", "calls.vcf", 3).alts
        ('C', '<DEL>')
    """
    fields = line.split(b"\t", _INFO + 1)
    if len(fields) <= _INFO:
        found = f"{len(fields)} columns" if line.strip() else "an empty line"
        raise RecordError(
            f"{source}, line {number}: {found} where a record of VCF has at least eight, separated "
            "by tabs"
        )
    if not fields[1].isdigit():
        raise RecordError(
            f"{source}, line {number}: the position {shorten(text(fields[1]))!r} is no number"
        )
    if not all([fields[3], *fields[4].split(b",")]):
        raise RecordError(
            f"{source}, line {number}: an allele is empty: write . where there is none"
        )
    alts = () if fields[4] == b"." else tuple(text(fields[4]).split(","))
    alts = tuple(alt.upper() if alt.isalpha() else alt for alt in alts)
    ref = text(fields[3]).upper()
    return VariantRecord(text(fields[0]), int(fields[1]) - 1, ref, alts, line, number)


def text(field: bytes) -> str:
    """Decode a field, whatever it holds."""
    return field.decode("utf-8", "replace")


def annotated_line(line: bytes, info: str) -> tuple[bytes, bool]:
    """Add entries to INFO, in place of those of an earlier run; all else stays as it is.

    Returns:
        `tuple`: the line, and true if entries were replaced.

    Example:

        >>> annotated_line(b"1\\t7\\t.\\tA\\tC\\t.\\t.\\tAC=2\\tGT\\t0/1", "DNAGPT_LLR=-1")
        (b'1\\t7\\t.\\tA\\tC\\t.\\t.\\tAC=2;DNAGPT_LLR=-1\\tGT\\t0/1', False)
    """
    fields = line.split(b"\t", _INFO + 1)
    entries = [] if fields[_INFO] in (b"", b".") else fields[_INFO].split(b";")
    kept = [entry for entry in entries if not entry.startswith(_OWN_ENTRY)]
    fields[_INFO] = b";".join([*kept, *([info.encode()] if info else [])]) or b"."
    return b"\t".join(fields), len(kept) < len(entries)


def annotated_header(
    header: Sequence[bytes],
    lines: Iterable[str],
    contigs: Mapping[str, int | None] | None = None,
) -> tuple[list[bytes], bool]:
    """Add lines to a header, in place of those of an earlier run.

    Args:
        header: the lines of the header, the last of which names the columns.
        lines: lines to add.
        contigs: contigs to add where the header does not name them, as BCF needs, and their
            lengths.

    Returns:
        `tuple`: the lines, and true if some were replaced.
    """
    kept = [line for line in header[:-1] if not line.startswith(_OWN_HEADER)]
    known = {
        line[len(b"##contig=<") :].rstrip(b">").split(b",")[0].removeprefix(b"ID=")
        for line in kept
        if line.startswith(b"##contig=<")
    }
    added = (contigs or {}).items()
    missing = {name: size for name, size in added if name.encode() not in known}
    new = [one.encode() for one in (*_contig_lines(missing), *lines)]
    return [*kept, *new, header[-1]], len(kept) < len(header) - 1


def missing_definitions(
    header: Iterable[bytes], records: Iterable[VariantRecord]
) -> dict[str, bytes]:
    """Define the filters and the keys of INFO and FORMAT that a VCF file has and its header lacks.

    Args:
        header: the lines of the header.
        records: the records of the file.

    Returns:
        `dict`: for each of them, such as `FORMAT/DP`, a line of the header that calls it text.
    """
    known = {(b"FILTER", b"PASS")}
    known |= {(found[1], found[2]) for found in map(_DEFINITION.match, header) if found}
    lines: dict[str, bytes] = {}
    for record in records:
        for kind, name, form in _keys(cast(bytes, record.content)):
            if name not in (b"", b".") and (kind, name) not in known:
                known.add((kind, name))
                parts = kind, name, form
                lines[f"{text(kind)}/{text(name)}"] = b'##%s=<ID=%s%s,Description="">' % parts
    return lines


def _keys(line: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """List the filters and keys of a line, each with its type."""
    filters, info, *samples = line.split(b"\t", len(COLUMNS) + 1)[_INFO - 1 :]
    for name in filters.split(b";"):
        yield b"FILTER", name, b""
    for entry in info.split(b";"):
        name, equals, _ = entry.partition(b"=")
        yield b"INFO", name, b",Number=.,Type=String" if equals else b",Number=0,Type=Flag"
    for name in samples[0].split(b":") if samples else ():
        yield b"FORMAT", name, b",Number=.,Type=String"


def plain_header(contigs: Mapping[str, int | None]) -> list[bytes]:
    """Write the header of a VCF file without samples."""
    lines = ["##fileformat=VCFv4.2", *_contig_lines(contigs), "#" + "\t".join(COLUMNS)]
    return [line.encode() for line in lines]


def _contig_lines(contigs: Mapping[str, int | None]) -> list[str]:
    lengths = {name: "" if size is None else f",length={size}" for name, size in contigs.items()}
    return [f"##contig=<ID={name}{length}>" for name, length in lengths.items()]


def plain_line(chrom: str, position: int, ref: str, alts: Sequence[str], id: str = "") -> bytes:
    """Write a line of VCF that has a position, counted from 0, and alleles alone."""
    alleles = f"{ref}\t{','.join(alts) or NO_ALT}"
    return f"{chrom}\t{position + 1}\t{id or '.'}\t{alleles}\t.\t.\t.".encode()


def import_cyvcf2() -> Any:
    """Import cyvcf2.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import cyvcf2
    except ImportError as error:
        raise ImportError(
            "BCF files need cyvcf2: pip install 'dnagpt_hf[variants]', or use .vcf"
        ) from error
    return cyvcf2
