"""Records from objects in memory: lists, DataFrames, datasets, and files by their path."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dnagpt_hf.records.reading import Record, RecordReader, name_column


def to_records(data: Any) -> Iterator[Record]:
    """Read records from a file or from an object in memory.

    Args:
        data: the path of a file; a list of sequences, of mappings or of [`Record`]s; a pandas
            `DataFrame`; or a `datasets.Dataset`.

    Yields:
        [`Record`]: the records in their order, with a number in place of a line for objects. A
        missing value of a table is an empty text, and a class of a dataset its name.

    Raises:
        RecordError: the file cannot be read.
        TypeError: the object is none of these.

    Example:

        >>> [record.values for record in to_records(["ACGT", {"sequence": "TTT", "x": 1}])]
        [{'sequence': 'ACGT'}, {'sequence': 'TTT', 'x': 1}]
    """
    if isinstance(data, str | os.PathLike):
        with RecordReader(data) as reader:
            yield from reader
    # by the name of the type, since a table in memory was made by a library that is imported
    elif type(data).__name__ == "DataFrame":
        missing = data.isna().to_numpy()
        columns = [str(column) for column in data.columns]
        rows = zip(data.itertuples(index=False, name=None), missing, strict=True)
        yield from _rows(
            (
                {
                    column: "" if is_missing else value
                    for column, value, is_missing in zip(columns, row, gone, strict=True)
                }
                for row, gone in rows
            ),
            "the DataFrame",
        )
    elif hasattr(data, "features") and hasattr(data, "column_names"):
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
        named_by = name_column(list(values))
        name = str(values[named_by]) if named_by else ""
        yield Record(values, name or str(number), source, number, number)
