"""Opening files of text, and reading the rows of FASTA, CSV, TSV, JSON lines and plain text.

The reader of a format is a generator: it takes the numbered lines of a file and yields for each
record its columns and the line on which it starts.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import Any, cast

from dnagpt_hf.records.compression import DAMAGED, RecordError, decompressed

Lines = Iterator[tuple[int, str]]
"""Numbers, from 1, and contents of lines, with their line ends."""

Row = tuple[dict[str, Any], int]
"""Columns and line of a record."""

STANDARD_STREAM = "-"

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_COMPRESSED_ENDINGS = (".gz", ".bgz", ".bgzf", ".bz2", ".xz", ".zst", ".zip")
_FORMAT_OF_ENDING = {
    **dict.fromkeys((".fa", ".fasta", ".fna", ".ffn", ".fas"), "fasta"),
    ".csv": "csv",
    **dict.fromkeys((".tsv", ".tab"), "tsv"),
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
}
# first character of a file, and marks in the first line of a table
_FORMAT_OF_START = {">": "fasta", "{": "jsonl", "[": "jsonl"}
_FORMAT_OF_MARK = {"\t": "tsv", ",": "csv", ";": "csv"}
# a name of a column has other letters
_DNA_LINE = re.compile(r"[ACGTUN]+\s*", re.IGNORECASE)
# the empty block at the end of a bgzipped file, which one that was cut off lacks
BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_NAME_COLUMNS = ("name", "id")
# csv refuses fields of more than 131,072 characters, which a promoter table can exceed. A limit
# remains, so that a stray quotation mark does not read a whole file as one field.
_LONGEST_FIELD = 1 << 29


@contextmanager
def open_text(path: str | os.PathLike[str] | zipfile.Path) -> Iterator[Lines]:
    """Open a file of text, and yield its lines with their numbers.

    A file may be compressed, as [`decompressed`] reads it, and begin with a byte order mark.

    Args:
        path: the file, `-` for standard input, or a member of a zip archive.

    Raises:
        RecordError: while lines are read: not text, cut off, or in another compression.
        OSError: it cannot be opened.

    Example:

        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "sites.bed"
        >>> _ = path.write_bytes(b"chr1\\t5\\t9\\r\\nchr2\\t1\\t3")
        >>> with open_text(path) as lines:
        ...     list(lines)
        [(1, 'chr1\\t5\\t9\\r\\n'), (2, 'chr2\\t1\\t3')]
    """
    with open_bytes(path) as raw:
        yield numbered_lines(raw, source_name(path))


def open_bytes(path: str | os.PathLike[str] | zipfile.Path) -> io.BufferedReader:
    """Open a file, standard input (`-`) or a member of a zip archive for its stored bytes."""
    if isinstance(path, zipfile.Path):
        try:
            return cast(io.BufferedReader, path.open("rb"))
        except zipfile.BadZipFile as error:
            raise RecordError(f"{path} is cut off or damaged: {error}") from error
    is_standard = os.fspath(path) == STANDARD_STREAM
    return open(0 if is_standard else path, "rb", closefd=not is_standard)


def source_name(path: str | os.PathLike[str] | zipfile.Path) -> str:
    """Name a file in messages."""
    return "standard input" if str(path) == STANDARD_STREAM else str(path)


def numbered_lines(raw: io.BufferedReader, source: str) -> Lines:
    """Read the lines of an open file, as [`open_text`] does.

    Args:
        raw: the file, opened for bytes.
        source: its name in messages.
    """
    number, text = 0, None
    try:
        stream = decompressed(raw, source)
        encoding = "utf-16" if stream.peek(2)[:2] in _UTF16_MARKS else "utf-8-sig"
        text = io.TextIOWrapper(stream, encoding, newline="")
        for number, line in enumerate(text, start=1):
            if "\0" in line:
                raise RecordError(f"{source} is not text: line {number} holds a NUL character")
            yield number, line
    except UnicodeDecodeError as error:
        raise RecordError(
            f"{source} is not UTF-8 text after line {number}: save it as UTF-8"
        ) from error
    except DAMAGED as error:
        raise RecordError(f"{source} is cut off or damaged after line {number}: {error}") from error
    finally:
        if text is not None and not raw.closed:
            # a text stream would close the file below it, which its opener closes
            text.detach()


def last_bytes(path: Path) -> bytes:
    """Read the last bytes of a file, as many as the end of a bgzipped one has."""
    with open(path, "rb") as stream:
        stream.seek(max(0, path.stat().st_size - len(BGZIP_END)))
        return stream.read()


def text_rows(
    raw: io.BufferedReader, source: str, format: str | None = None, text_by_default: bool = False
) -> Iterator[Row]:
    """Read the rows of an open file of text.

    Args:
        raw: the file, opened for bytes.
        source: its name in messages.
        format: one of `FORMATS` but parquet; by default its first line decides.
        text_by_default: read a file as text if its first line fits no other format.

    Raises:
        RecordError: the file is empty, or its format is not clear; while rows are read: malformed.
    """
    lines = numbered_lines(raw, source)
    first = next((line for line in lines if line[1].strip()), None)
    if first is None:
        raise RecordError(f"{source} is empty")
    start = first[1].lstrip()
    marks = (_FORMAT_OF_MARK[mark] for mark in _FORMAT_OF_MARK if mark in start)
    format = format or _FORMAT_OF_START.get(start[0]) or next(marks, None)
    if format is None and _DNA_LINE.fullmatch(start):
        format = "text"
    if format is None and not text_by_default:
        raise RecordError(
            f"{source}: its first line {shorten(start)!r} does not tell what it is: state its "
            f"format, one of {', '.join(FORMATS)}"
        )
    return _TEXT_READERS[format or "text"](chain([first], lines), source)


def _read_fasta(lines: Lines, source: str) -> Iterator[Row]:
    header, start, parts = "", 0, list[str]()
    for number, line in lines:
        line = line.strip()
        if line.startswith(">"):
            if header:
                yield _fasta_row(header, parts, start)
            header, start, parts = line, number, []
        elif not header:
            raise RecordError(
                f"{source}, line {number}: expected a FASTA header, which starts with '>', not "
                f"{shorten(line)!r}"
            )
        elif "<" in line:
            raise RecordError(
                f"{source}, line {number}: '<' is not DNA: state tokens in a template"
            )
        else:
            parts.append(line)
    yield _fasta_row(header, parts, start)


def _fasta_row(header: str, parts: list[str], line: int) -> Row:
    name, description = (*header[1:].split(maxsplit=1), "", "")[:2]
    return {"name": name, "description": description, "sequence": "".join(parts)}, line


def _read_table(lines: Lines, source: str, delimiter: str | None = None) -> Iterator[Row]:
    number, first = next(lines)
    if delimiter is None and first.lower().startswith("sep="):
        # the line that states the separator for Excel
        delimiter = first[4:].strip("\r\n") or "\t"
        number, first = next(lines, (number + 1, ""))
    delimiter = delimiter or _delimiter(first, f"{source}, line {number}")
    csv.field_size_limit(_LONGEST_FIELD)
    rows = csv.reader(chain([first], (line for _, line in lines)), delimiter=delimiter, strict=True)
    try:
        header = [cell.strip() for cell in next(rows, [])]
        check_columns([name for name in header if name], source)
        while True:
            line = number + rows.line_num
            row = next(rows, None)
            if row is None:
                return
            if not any(cell.strip() for cell in row):
                continue
            # spreadsheets fill up rows with empty cells
            while len(row) > len(header) and not row[-1].strip():
                row.pop()
            # and headers with tabs; a name that is missing needs no cell
            while len(row) < len(header) and not header[len(row)]:
                row.append("")
            if len(row) != len(header):
                raise RecordError(
                    f"{source}, line {line}: {len(row)} fields, but the header has {len(header)}"
                )
            yield {name: cell for name, cell in zip(header, row, strict=True) if name}, line
    except csv.Error as error:
        line = number + rows.line_num - 1
        raise RecordError(f"{source}, line {line}: malformed table: {error}") from error


def check_columns(names: list[str], source: str) -> None:
    """Refuse a table with two columns of one name.

    Raises:
        RecordError: a name occurs twice.
    """
    for name in names:
        if names.count(name) > 1:
            raise RecordError(f"{source}: there are two columns {name!r}: rename one")


def _delimiter(header: str, where: str) -> str:
    """Recognize the separator of a header; a quoted name may hold the others."""
    outside_quotes = "".join(header.split('"')[::2])
    found = [mark for mark in ",;\t" if mark in outside_quotes]
    if len(found) > 1:
        raise RecordError(
            f"{where}: the header {shorten(header)!r} holds {' and '.join(map(repr, found))}, so "
            "that the separator is not clear: quote the column names or use tabs and the format tsv"
        )
    return found[0] if found else ","


def _read_json_lines(lines: Lines, source: str) -> Iterator[Row]:
    for number, line in lines:
        if not line.strip():
            continue
        where, is_array = f"{source}, line {number}", line.lstrip().startswith("[")
        if is_array:
            line += "".join(more for _, more in lines)
        try:
            values = json.loads(line, object_pairs_hook=unique_keys)
        except (ValueError, RecursionError) as error:
            kind = "JSON array" if is_array else "JSON object on one line"
            raise RecordError(f"{where}: not a {kind}: {error}") from error
        for one in values if isinstance(values, list) else [values]:
            if not isinstance(one, dict):
                raise RecordError(
                    f"{where}: expected a JSON object, not {shorten(json.dumps(one))!r}: write one "
                    "object on each line, or an array of objects"
                )
            yield one, number


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make the mapping of a JSON object, as `object_pairs_hook`.

    Raises:
        ValueError: a key stands twice.
    """
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} stands in it twice")
    return values


def _read_text(lines: Lines, source: str) -> Iterator[Row]:
    for number, line in lines:
        if line.strip():
            yield {"sequence": line.strip()}, number


_TEXT_READERS: dict[str, Callable[[Lines, str], Iterator[Row]]] = {
    "fasta": _read_fasta,
    "csv": _read_table,
    "tsv": partial(_read_table, delimiter="\t"),
    "jsonl": _read_json_lines,
    "text": _read_text,
}
FORMATS = (*_TEXT_READERS, "parquet")


def format_of_name(path: str | os.PathLike[str]) -> str | None:
    """Read the format from the ending of a file's name, `None` if it states none.

    Example:

        >>> format_of_name("genome.fa.gz"), format_of_name("notes.txt")
        ('fasta', None)
    """
    return _FORMAT_OF_ENDING.get(ending(path))


def ending(path: str | os.PathLike[str]) -> str:
    """Return the ending of a file's name in lower case, without that of a compression.

    Example:

        >>> ending("genes.GFF3.gz")
        '.gff3'
    """
    name = Path(path)
    if name.suffix.lower() in _COMPRESSED_ENDINGS:
        name = name.with_suffix("")
    return name.suffix.lower()


def name_of(values: Mapping[str, Any]) -> str:
    """Return the name of a record: its column `name` or `id`, in any case; empty without one.

    Example:

        >>> name_of({"sequence": "ACGT", "ID": "promoter_7"})
        'promoter_7'
    """
    column = _name_column(tuple(values))
    return "" if column is None else str(values[column]).strip()


@lru_cache(maxsize=64)
def _name_column(columns: tuple[str, ...]) -> str | None:
    by_lower_case = {name.lower(): name for name in reversed(columns)}
    return next((by_lower_case[name] for name in _NAME_COLUMNS if name in by_lower_case), None)


def shorten(text: str, width: int = 40) -> str:
    """Cut a text to its start, to be quoted in a message.

    Example:

        >>> shorten("ACGT" * 100, width=8)
        'ACGTACG…'
    """
    text = text.strip()
    return text if len(text) <= width else f"{text[: width - 1]}…"
