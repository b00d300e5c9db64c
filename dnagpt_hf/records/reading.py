"""Records of FASTA, CSV, TSV, JSON lines, plain text and parquet, read as a stream.

A text file may be compressed with gzip or bgzip, which is told from its first bytes, and `-` is
standard input. At no time is more than one record in memory, or of parquet a few hundred.

Example:

    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "promoters.fa"
    >>> _ = path.write_text(">first a promoter\\nACGT\\nACG\\n")
    >>> with RecordReader(path) as records:
    ...     for record in records:
    ...         print(record.name, record.values["sequence"], record.line)
    first ACGTACG 1
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any

from dnagpt_hf.records.parquet import PARQUET_MAGIC, ParquetRows
from dnagpt_hf.records.text_lines import RecordError, TextLines

__all__ = [
    "FORMATS",
    "STANDARD_STREAM",
    "Record",
    "RecordError",
    "RecordReader",
    "format_of_name",
    "name_column",
    "shorten",
]

FORMATS = ("fasta", "csv", "tsv", "jsonl", "text", "parquet")
STANDARD_STREAM = "-"

_COMPRESSED_SUFFIXES = (".gz", ".bgz", ".bgzf")
_FORMAT_OF_SUFFIX = {
    **dict.fromkeys((".fa", ".fasta", ".fna", ".ffn", ".fas"), "fasta"),
    ".csv": "csv",
    **dict.fromkeys((".tsv", ".tab"), "tsv"),
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
}
_NAME_COLUMNS = ("name", "id")
# csv refuses fields of more than 131,072 characters, which a promoter table can exceed. A limit
# remains, so that a stray quotation mark does not read a whole file as one field.
_LONGEST_FIELD = 1 << 29


@dataclass(frozen=True)
class Record:
    """A record of a file, with its place in the file.

    Args:
        values: columns of a table or entries of a JSON object; `name`, `description` and
            `sequence` for FASTA, `sequence` for text.
        name: its name, or its number where it has none.
        source: name of its file.
        number: its number in the file, from 1.
        line: line of the (decompressed) file on which it starts, from 1; of parquet its row.
    """

    values: Mapping[str, Any]
    name: str
    source: str
    number: int
    line: int

    def error(self, problem: str) -> RecordError:
        """Make an error that names the record.

        Example:

            >>> raise Record({}, "chr1", "genome.fa", 1, 1).error("its sequence is empty")
            Traceback (most recent call last):
                ...
            dnagpt_hf.records.text_lines.RecordError: genome.fa, record chr1 (line 1): its \
sequence is empty
        """
        name = shorten(" ".join(self.name.split()))
        return RecordError(f"{self.source}, record {name} (line {self.line}): {problem}")


class RecordReader:
    """Reads the records of one file, once, in their order. Use it in a `with` statement.

    Args:
        path (`str` or `os.PathLike`): The file; `-` for standard input.
        format (`str`, *optional*):
            One of `FORMATS`. By default the ending of the name decides, then the first line.
        text_by_default (`bool`, defaults to `False`):
            Read a file as text, one sequence per line, if its first line fits no other format.
            Otherwise this is an error, since the line might be the header of a table of one column.

    Raises:
        RecordError: while it is read: not text, cut off, malformed or without a record.
        OSError: the file cannot be opened.

    Example:

        >>> from dnagpt_hf import bundled
        >>> with RecordReader(bundled("dnagpt-tiny") / "README.md", format="text") as records:
        ...     next(iter(records)).line
        1
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        format: str | None = None,
        text_by_default: bool = False,
    ) -> None:
        if format is not None and format not in FORMATS:
            raise ValueError(f"unknown format {format!r}: choose one of {', '.join(FORMATS)}")
        is_standard = os.fspath(path) == STANDARD_STREAM
        self.source = "standard input" if is_standard else os.fspath(path)
        self._format = format or (None if is_standard else format_of_name(self.source))
        self._text_by_default = text_by_default
        self._raw = open(0 if is_standard else path, "rb", closefd=not is_standard)  # noqa: SIM115
        self._lines = TextLines(self._raw, self.source)
        self._rows = ParquetRows(self._raw, self.source)

    def __enter__(self) -> RecordReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._raw.close()

    @property
    def size(self) -> int | None:
        """Bytes of the file as it is stored, or `None` for a stream."""
        return os.fstat(self._raw.fileno()).st_size if self._raw.seekable() else None

    @property
    def position(self) -> int:
        """Bytes read so far, of the file as it is stored; 0 for a stream."""
        if self._rows.total:
            # what stands where in a parquet file has no order
            return (self.size or 0) * self._rows.number // self._rows.total
        return self._raw.tell() if self._raw.seekable() else 0

    def __iter__(self) -> Iterator[Record]:
        is_parquet = self._format is None and self._raw.peek(4)[:4] == PARQUET_MAGIC
        rows = self._read_parquet() if is_parquet or self._format == "parquet" else self._read()
        number = 0
        for number, (values, name, line) in enumerate(rows, start=1):
            yield Record(values, name or str(number), self.source, number, line)
        if number == 0:
            raise RecordError(f"{self.source} has a header, but no records")

    @property
    def _line(self) -> int:
        return self._lines.number

    def _read(self) -> Iterator[tuple[dict[str, Any], str, int]]:
        lines = iter(self._lines)
        first = next((line for line in lines if line.strip()), None)
        if first is None:
            raise RecordError(f"{self.source} is empty")
        self._format = self._format or self._sniff(first)
        read = {
            "fasta": self._read_fasta,
            "csv": self._read_table,
            "tsv": self._read_table,
            "jsonl": self._read_json_lines,
            "text": self._read_text,
        }
        return read[self._format](first, lines)

    def _read_parquet(self) -> Iterator[tuple[dict[str, Any], str, int]]:
        for values in self._rows:
            named_by = name_column(list(values))
            yield values, str(values[named_by]) if named_by else "", self._rows.number

    def _sniff(self, first: str) -> str:
        start = first.lstrip()[0]
        if start in ">{":
            return "fasta" if start == ">" else "jsonl"
        if "\t" in first:
            return "tsv"
        if "," in first or ";" in first:
            return "csv"
        if self._text_by_default:
            return "text"
        raise RecordError(
            f"{self.source}: its first line {shorten(first)!r} does not tell what it is: state "
            f"its format, one of {', '.join(FORMATS)}"
        )

    def _read_fasta(
        self, first: str, lines: Iterator[str]
    ) -> Iterator[tuple[dict[str, Any], str, int]]:
        header, start = first.strip(), self._line
        if not header.startswith(">"):
            raise RecordError(
                f"{self.source}, line {start}: expected a FASTA header, which starts with '>', "
                f"not {shorten(header)!r}"
            )
        parts: list[str] = []
        for line in lines:
            line = line.strip()
            if line.startswith(">"):
                yield _fasta_record(header, parts, start)
                header, start, parts = line, self._line, []
            elif "<" in line:
                raise RecordError(
                    f"{self.source}, line {self._line}: '<' is not DNA: state tokens in a template"
                )
            elif line:
                parts.append(line)
        yield _fasta_record(header, parts, start)

    def _read_table(
        self, first: str, lines: Iterator[str]
    ) -> Iterator[tuple[dict[str, Any], str, int]]:
        delimiter = "\t" if self._format == "tsv" else None
        before = self._line - 1
        if delimiter is None and first.lower().startswith("sep="):
            # the line by which Excel is told the separator
            delimiter, before = first[4:].strip("\r\n") or "\t", self._line
            first = next(lines, "")
        if delimiter is None:
            delimiter = self._delimiter(first)
        csv.field_size_limit(_LONGEST_FIELD)
        rows = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
        try:
            header = self._header(next(rows, []))
            named_by = name_column(header)
            while True:
                line = before + rows.line_num + 1
                row = next(rows, None)
                if row is None:
                    return
                if any(cell.strip() for cell in row):
                    values = self._row(header, row, line)
                    yield values, values[named_by].strip() if named_by else "", line
        except csv.Error as error:
            line = before + rows.line_num
            raise RecordError(f"{self.source}, line {line}: malformed table: {error}") from error

    def _delimiter(self, first: str) -> str:
        """The separator of a header; a quoted name may hold the others."""
        outside_quotes = "".join(first.split('"')[::2])
        found = [mark for mark in ",;\t" if mark in outside_quotes]
        if len(found) > 1:
            raise RecordError(
                f"{self.source}, line {self._line}: the header {shorten(first)!r} holds "
                f"{' and '.join(map(repr, found))}, so that the separator is not clear: quote the "
                "column names or use tabs and the format tsv"
            )
        return found[0] if found else ","

    def _header(self, row: list[str]) -> list[str]:
        header = [cell.strip() for cell in row]
        named = [name for name in header if name]
        for name in named:
            if named.count(name) > 1:
                raise RecordError(f"{self.source}: column {name!r} stands twice in the header")
        return header

    def _row(self, header: list[str], row: list[str], line: int) -> dict[str, Any]:
        # spreadsheets fill up rows with empty cells
        while len(row) > len(header) and not row[-1].strip():
            row.pop()
        if len(row) != len(header):
            raise RecordError(
                f"{self.source}, line {line}: {len(row)} fields, but the header has {len(header)}"
            )
        return {name: cell for name, cell in zip(header, row, strict=True) if name}

    def _read_json_lines(
        self, first: str, lines: Iterator[str]
    ) -> Iterator[tuple[dict[str, Any], str, int]]:
        for line in chain([first], lines):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise RecordError(
                    f"{self.source}, line {self._line}: not a JSON object on one line: {error}"
                ) from error
            if not isinstance(values, dict):
                raise RecordError(
                    f"{self.source}, line {self._line}: expected a JSON object, not "
                    f"{shorten(line)!r}"
                )
            named_by = name_column(list(values))
            yield values, str(values[named_by]) if named_by else "", self._line

    def _read_text(
        self, first: str, lines: Iterator[str]
    ) -> Iterator[tuple[dict[str, Any], str, int]]:
        for line in chain([first], lines):
            if line.strip():
                yield {"sequence": line.strip()}, "", self._line


def format_of_name(path: str | os.PathLike[str]) -> str | None:
    """Read the format from the ending of a file's name, `None` if it states none.

    Example:

        >>> format_of_name("genome.fa.gz"), format_of_name("notes.txt")
        ('fasta', None)
    """
    name = Path(path)
    if name.suffix.lower() in _COMPRESSED_SUFFIXES:
        name = name.with_suffix("")
    return _FORMAT_OF_SUFFIX.get(name.suffix.lower())


def shorten(text: str, width: int = 40) -> str:
    """Cut a text to its start, to be quoted in a message.

    Example:

        >>> shorten("ACGT" * 100, width=8)
        'ACGTACG…'
    """
    text = text.strip()
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _fasta_record(header: str, parts: list[str], line: int) -> tuple[dict[str, Any], str, int]:
    name, description = (*header[1:].split(maxsplit=1), "", "")[:2]
    return {"name": name, "description": description, "sequence": "".join(parts)}, name, line


def name_column(header: list[str]) -> str | None:
    """Find the column that names records: `name` or `id` in any case, `None` if there is none.

    Example:

        >>> name_column(["sequence", "ID"])
        'ID'
    """
    by_lower_case = {name.lower(): name for name in reversed(header)}
    return next((by_lower_case[name] for name in _NAME_COLUMNS if name in by_lower_case), None)
