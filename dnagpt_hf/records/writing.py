"""Results as CSV, TSV or JSON lines, in files that appear whole or not at all."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from dnagpt_hf.atomic_files import check_new_file, new_file
from dnagpt_hf.records.files import STANDARD_STREAM, format_of_name

TABLE_FORMATS = ("csv", "tsv", "jsonl")
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
    """
    check_output(path, overwrite=overwrite)
    if os.fspath(path) == STANDARD_STREAM:
        yield sys.stdout
        sys.stdout.flush()
    elif _is_device(Path(path)):
        with open(path, "w", encoding="utf-8", newline="") as stream:
            yield stream
    else:
        with new_file(path, overwrite=overwrite) as partial:
            open_binary: Callable[..., Any] = gzip.open if _is_gzip(path) else open
            with (
                open_binary(partial, "wb") as binary,
                io.TextIOWrapper(binary, "utf-8", newline="") as stream,
            ):
                yield stream


@contextmanager
def row_writer(
    path: str | os.PathLike[str], *, format: str | None = None, overwrite: bool = False
) -> Iterator[WriteRow]:
    """Open `path`, and yield a function that writes one row of results, a mapping.

    Args:
        format: `"csv"`, `"tsv"` or `"jsonl"`; by default what the ending of the name states, and
            CSV where it states nothing. A table has a column `key_inner` for each entry of a
            mapping `key`, and joins lists with `;`.

    Raises:
        ValueError: unknown format, or the file exists and `overwrite` is not given.
    """
    format = table_format(path, format)
    with output_stream(path, overwrite=overwrite) as stream:
        yield _json_line_writer(stream) if format == "jsonl" else _table_writer(stream, format)


def table_format(path: str | os.PathLike[str], format: str | None = None) -> str:
    """Choose the format in which rows are written to `path`.

    Raises:
        ValueError: neither `format` nor the ending of the name states one of `TABLE_FORMATS`.
    """
    stated = format or format_of_name(path) or "csv"
    if stated not in TABLE_FORMATS:
        raise ValueError(
            f"{os.fspath(path)}: results are not written as {stated!r}: choose one of "
            f"{', '.join(TABLE_FORMATS)}"
        )
    return stated


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


def _json_line_writer(stream: TextIO) -> WriteRow:
    def write(row: Mapping[str, Any]) -> None:
        stream.write(json.dumps(row, ensure_ascii=False) + "\n")

    return write


def _table_writer(stream: TextIO, format: str) -> WriteRow:
    rows = csv.writer(stream, delimiter="\t" if format == "tsv" else ",", lineterminator="\n")
    header: list[str] = []

    def write(row: Mapping[str, Any]) -> None:
        flat = flat_row(row)
        if not header:
            header.extend(flat)
            rows.writerow(header)
        rows.writerow([flat[name] for name in header])

    return write


def _is_device(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def _is_gzip(path: str | os.PathLike[str]) -> bool:
    return Path(path).suffix.lower() == ".gz"
