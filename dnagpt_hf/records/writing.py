"""Text and tables in files that appear whole or not at all."""

from __future__ import annotations

import csv
import gzip
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from dnagpt_hf.atomic_files import check_new_file, named_write_errors, new_file
from dnagpt_hf.records.files import STANDARD_STREAM, ending, format_of_name

TABLE_FORMATS = ("csv", "tsv", "jsonl")
# default of the program gzip; level 9, that of Python, takes 2 (CSV) to 18 times (.hapt) as long
_GZIP_LEVEL = 6

WriteRow = Callable[[Mapping[str, Any]], None]


def check_output(path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Refuse an output that must not be replaced, before any work is done.

    Raises:
        ValueError: it is a folder, exists and `overwrite` is not given, or is to be bgzipped.
    """
    if Path(path).suffix.lower() in (".bgz", ".bgzf"):
        raise ValueError(f"{os.fspath(path)}: bgzip is read but not written: end the name in .gz")
    if os.fspath(path) != STANDARD_STREAM and not _is_device(Path(path)):
        check_new_file(path, overwrite=overwrite)


@contextmanager
def output_stream(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[TextIO]:
    """Open a text stream to a file that is renamed to `path` at the end, unless an error occurs.

    `-` is standard output, devices and pipes are written to directly, and a name that ends in
    `.gz` is compressed.

    Raises:
        ValueError: as in `check_output`.

    Example:

        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "names.txt.gz"
        >>> with output_stream(path) as stream:
        ...     _ = stream.write("chr1")
        >>> gzip.decompress(path.read_bytes())
        b'chr1'
    """
    check_output(path, overwrite=overwrite)
    text: Any = {"encoding": "utf-8", "newline": ""}
    if os.fspath(path) == STANDARD_STREAM:
        if sys.stdout is None:
            raise ValueError("standard output is closed: state a file (--output)")
        with named_write_errors("standard output"):
            yield sys.stdout
            sys.stdout.flush()
    elif _is_device(Path(path)):
        with named_write_errors(path), open(path, "w", **text) as stream:
            yield stream
    elif Path(path).suffix.lower() == ".gz":
        with (
            new_file(path, overwrite=overwrite) as partial,
            gzip.open(partial, "wt", _GZIP_LEVEL, **text) as stream,
        ):
            yield stream
    else:
        with new_file(path, overwrite=overwrite) as partial, open(partial, "w", **text) as stream:
            yield stream


@contextmanager
def row_writer(
    path: str | os.PathLike[str], *, format: str | None = None, overwrite: bool = False
) -> Iterator[WriteRow]:
    """Open `path`, and yield a function that writes one row of results, a mapping.

    Args:
        path: name of the file; `-` for standard output.
        format: `"csv"`, `"tsv"` or `"jsonl"`; by default the one that the ending of the name
            states, and CSV where it states none. A table has a column `key_inner` for each entry
            of a mapping `key`, and joins lists with `;`.
        overwrite: replace a file that exists.

    Raises:
        ValueError: unknown format, or the file exists and `overwrite` is not given.
    """
    format = table_format(path, format)
    header: list[str] = []
    with output_stream(path, overwrite=overwrite) as stream:
        table = csv.writer(stream, delimiter="\t" if format == "tsv" else ",", lineterminator="\n")

        def write(row: Mapping[str, Any]) -> None:
            if format == "jsonl":
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")
                return
            flat = flat_row(row)
            if not header:
                header.extend(flat)
                table.writerow(header)
            table.writerow([flat[name] for name in header])

        yield write


def table_format(path: str | os.PathLike[str], format: str | None = None) -> str:
    """Choose the format in which rows are written to `path`.

    Raises:
        ValueError: neither `format` nor the ending of the name states one of `TABLE_FORMATS`, and
            the ending is that of another format.

    Example:

        >>> table_format("results.tsv.gz"), table_format("-")
        ('tsv', 'csv')
    """
    stated = format or format_of_name(path) or "csv"
    if format is None:
        check_ending(path)
    if stated not in TABLE_FORMATS:
        raise ValueError(
            f"{os.fspath(path)}: results are not written as {stated!r}: choose one of "
            f"{', '.join(TABLE_FORMATS)}"
        )
    return stated


def check_ending(path: str | os.PathLike[str]) -> None:
    """Refuse a name that ends as one of a format that is not written, as `.xlsx` or `.json`.

    Raises:
        ValueError: the ending is none of those of records, and neither `.txt` nor a number.
    """
    found = ending(path)
    if found[1:2].isalpha() and found != ".txt" and format_of_name(path) is None:
        raise ValueError(
            f"{os.fspath(path)}: the ending {found!r} names no format that is written: choose "
            "another, as .csv, or state the format (--output-format)"
        )


def flat_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten mappings and lists in a row for a table.

    Example:

        >>> flat_row({"name": "a", "probability": {"yes": 0.9, "no": 0.1}, "labels": ["x", "y"]})
        {'name': 'a', 'probability_yes': 0.9, 'probability_no': 0.1, 'labels': 'x;y'}
    """
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, Mapping):
            flat.update({f"{key}_{inner}": entry for inner, entry in value.items()})
        else:
            flat[key] = ";".join(map(str, value)) if isinstance(value, list) else value
    return flat


def fasta(name: str, sequence: str, width: int = 80) -> str:
    r"""Write a FASTA record.

    Example:

        >>> fasta("a", "ACGTACG", width=4)
        '>a\nACGT\nACG\n'
    """
    lines = [sequence[start : start + width] for start in range(0, len(sequence), width)]
    return "\n".join([f">{' '.join(name.split())}", *lines, ""])


def _is_device(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()
