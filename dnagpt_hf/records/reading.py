"""Records of files and of objects in memory, as a stream.

A file is FASTA, CSV, TSV, JSON lines, plain text or parquet. Text may be compressed with gzip or
bgzip, which its first bytes state, and `-` is standard input. One record is in memory at a time,
or of parquet a few hundred.

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

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dnagpt_hf.messages import did_you_mean, on_one_line
from dnagpt_hf.records.files import (
    FORMATS,
    RecordError,
    Row,
    check_columns,
    format_of_name,
    name_of,
    open_bytes,
    shorten,
    source_name,
    text_rows,
)

_PARQUET_MAGIC = b"PAR1"
_DNA = re.compile(r"[ACGTN\s]+", re.IGNORECASE)
# rows of parquet in memory at a time; promoters are long
_PARQUET_ROWS = 256
# the texts that pandas.read_csv takes for missing by default
# fmt: off
MISSING_TEXTS = frozenset((
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
))
# fmt: on


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

            >>> raise Record({}, "chr1", "genome.fa", 1, 1).error("it is empty")
            Traceback (most recent call last):
                ...
            dnagpt_hf.records.compression.RecordError: genome.fa, record chr1 (line 1): it is empty
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
        self.source = source_name(path)
        self._format = format or format_of_name(path)
        self._text_by_default = text_by_default
        self._raw = open_bytes(path)
        # rows of parquet read so far, and all
        self._rows = self._total_rows = 0

    def __enter__(self) -> RecordReader:
        return self

    def __exit__(self, *error: object) -> None:
        self._raw.close()

    @property
    def size(self) -> int | None:
        """Bytes of the file as it is stored, or `None` for a stream."""
        return os.fstat(self._raw.fileno()).st_size if self._raw.seekable() else None

    @property
    def position(self) -> int:
        """Bytes read so far, of the file as it is stored; 0 for a stream."""
        if self._total_rows:
            # pyarrow reads the columns of a file one after the other, so that rows are counted
            return (self.size or 0) * self._rows // self._total_rows
        return self._raw.tell() if self._raw.seekable() else 0

    def __iter__(self) -> Iterator[Record]:
        is_parquet = self._format is None and self._raw.peek(4)[:4] == _PARQUET_MAGIC
        if is_parquet or self._format == "parquet":
            rows = self._parquet_rows()
        else:
            rows = text_rows(self._raw, self.source, self._format, self._text_by_default)
        number = 0
        for number, (values, line) in enumerate(rows, start=1):
            yield Record(values, name_of(values) or str(number), self.source, number, line)
        if number == 0:
            raise RecordError(f"{self.source} has a header, but no records")

    def _parquet_rows(self) -> Iterator[Row]:
        """Read and count the rows of parquet; an empty cell is an empty text, as in a table."""
        import pyarrow.parquet

        if not self._raw.seekable():
            raise RecordError(
                f"{self.source}: parquet is not read from a stream: give the name of a file"
            )
        try:
            table = pyarrow.parquet.ParquetFile(self._raw)
            check_columns(table.schema_arrow.names, self.source)
            self._total_rows = table.metadata.num_rows
            for batch in table.iter_batches(batch_size=_PARQUET_ROWS):
                for row in batch.to_pylist():
                    self._rows += 1
                    values = {name: "" if value is None else value for name, value in row.items()}
                    yield values, self._rows
        except (pyarrow.ArrowException, OSError) as error:
            raise RecordError(
                f"{self.source} is no parquet file or is damaged: {on_one_line(error)}"
            ) from error


def to_records(data: Any) -> Iterator[Record]:
    """Read records from a file or from an object in memory.

    Args:
        data: the path of a file; a list of sequences, of mappings or of [`Record`]s; a pandas
            `DataFrame`; or a `datasets.Dataset`.

    Yields:
        [`Record`]: the records in their order, with a number in place of a line for objects. A
        missing value of a table is an empty text, and a class of a dataset its name.

    Raises:
        RecordError: the file cannot be read, or the path is a sequence.
        TypeError: the object is none of these.

    Example:

        >>> [record.values for record in to_records(["ACGT", {"sequence": "TTT", "x": 1}])]
        [{'sequence': 'ACGT'}, {'sequence': 'TTT', 'x': 1}]
    """
    if isinstance(data, str | os.PathLike):
        if isinstance(data, str) and _DNA.fullmatch(data) and not os.path.exists(data):
            raise RecordError(
                f"there is no file {shorten(data)}, which looks like a sequence: give a list of "
                "sequences"
            )
        with RecordReader(data) as reader:
            yield from reader
    # by the name of the type, since a table in memory was made by a library that is imported
    elif type(data).__name__ == "DataFrame":
        columns = [str(column) for column in data.columns]
        check_columns(columns, "the DataFrame")
        filled = data.astype(object).where(data.notna(), "")
        rows = filled.itertuples(index=False, name=None)
        yield from _rows((dict(zip(columns, row, strict=True)) for row in rows), "the DataFrame")
    elif type(data).__name__ in ("Dataset", "IterableDataset"):
        yield from dataset_records(data, "the dataset")
    elif isinstance(data, Iterable) and not isinstance(data, Mapping | bytes):
        yield from _rows(data, "the list")
    else:
        raise TypeError(
            f"records cannot be read from a {type(data).__name__}: give a path, a list of "
            "sequences or of mappings, a DataFrame or a Dataset"
        )


def dataset_records(dataset: Any, source: str) -> Iterator[Record]:
    """Read the rows of a `datasets.Dataset`; a class is given by its name.

    Args:
        dataset: the dataset, in memory or streamed.
        source: the name of the dataset in error messages.
    """
    labels = {
        column: feature
        for column, feature in (dataset.features or {}).items()
        if type(feature).__name__ == "ClassLabel"
    }

    def rows() -> Iterator[dict[str, Any]]:
        for row in dataset:
            values = {column: "" if value is None else value for column, value in row.items()}
            for column, feature in labels.items():
                # -1 is an unknown class
                known = values[column] not in ("", -1)
                values[column] = feature.int2str(values[column]) if known else ""
            yield values

    yield from _rows(rows(), source)


def _rows(rows: Iterable[Any], source: str) -> Iterator[Record]:
    for number, row in enumerate(rows, start=1):
        if isinstance(row, Record):
            yield row
            continue
        values = {"sequence": row} if isinstance(row, str) else row
        if not isinstance(values, Mapping):
            raise TypeError(
                f"{source}, record {number} is of type {type(row).__name__}: give a sequence or a "
                "mapping of columns to values"
            )
        yield Record(values, name_of(values) or str(number), source, number, number)


def change_columns(
    records: Iterable[Record],
    columns: Mapping[str, str] | None = None,
    set: Mapping[str, Any] | None = None,
) -> Iterator[Record]:
    """Rename columns of records, and add columns.

    Args:
        records: the records.
        columns: columns to rename, `{NEW: OLD}`.
        set: columns with the same value for all records.

    Raises:
        ValueError: a column gets two names.
        RecordError: a record lacks a column, or has another one of the new name.

    Example:

        >>> record = Record({"Seq": "ACGT"}, "a", "a.csv", 1, 2)
        >>> [record] = change_columns([record], {"sequence": "Seq"}, {"species": "R"})
        >>> record.values
        {'sequence': 'ACGT', 'species': 'R'}
    """
    new_names = {old: new for new, old in (columns or {}).items()}
    if len(new_names) < len(columns or {}):
        raise ValueError("columns gives two names to one column: give it one")
    return (_changed(record, new_names, set or {}) for record in records)


def _changed(record: Record, new_names: Mapping[str, str], set: Mapping[str, Any]) -> Record:
    for old in new_names:
        if old not in record.values:
            raise record.error(
                f"there is no column {old!r}, only {', '.join(record.values)}"
                f"{did_you_mean(old, record.values)}"
            )
    values = {new_names.get(name, name): value for name, value in record.values.items()}
    if len(values) < len(record.values):
        there = new_names.values()
        taken = next(name for name in there if name in record.values and name not in new_names)
        raise record.error(f"columns: there is a column {taken!r} already: rename that one too")
    return replace(record, values={**values, **set})


def is_missing(value: Any) -> bool:
    """Tell whether a label or a number is missing, in a file or in memory.

    Sequences are not asked: `NA` is DNA of two bases.

    Args:
        value: a cell of a table. `None`, NaN and `pandas.NA` are missing as their texts are, and
            so is a list of numbers that lacks one of them.

    Example:

        >>> [is_missing(value) for value in ("NA", " ", None, float("nan"), [0.5, None])]
        [True, True, True, True, True]
        >>> [is_missing(value) for value in ("none", "no", 0, False, [0.5, 1.0])]
        [False, False, False, False, False]
    """
    if isinstance(value, list):
        return any(map(is_missing, value))
    return str(value).strip() in MISSING_TEXTS
