"""Rows of parquet files, read as a stream."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from dnagpt_hf.messages import on_one_line
from dnagpt_hf.records.text_lines import RecordError

PARQUET_MAGIC = b"PAR1"
# rows that are in memory at a time; promoters are long
_ROWS = 256


class ParquetRows:
    """Rows of a parquet file by their columns; an empty cell is an empty text, as in a table.

    Args:
        raw: the file, opened for bytes.
        source: name of the file in errors.

    Attributes:
        number: rows read so far.
        total: rows of the file; 0 before the first is read.

    Raises:
        RecordError: while it is read: damaged or no parquet file, a stream, or a column twice.
    """

    def __init__(self, raw: io.BufferedReader, source: str) -> None:
        self.number = 0
        self.total = 0
        self._raw = raw
        self._source = source

    def __iter__(self) -> Iterator[dict[str, Any]]:
        import pyarrow.parquet

        if not self._raw.seekable():
            raise RecordError(
                f"{self._source}: parquet is not read from a stream: give the name of a file"
            )
        try:
            table = pyarrow.parquet.ParquetFile(self._raw)
            self.total = table.metadata.num_rows
            names = table.schema_arrow.names
            for name in names:
                if names.count(name) > 1:
                    raise RecordError(f"{self._source}: there are two columns {name!r}: rename one")
            for batch in table.iter_batches(batch_size=_ROWS):
                for row in batch.to_pylist():
                    self.number += 1
                    yield {name: "" if value is None else value for name, value in row.items()}
        except (pyarrow.ArrowException, OSError) as error:
            raise RecordError(
                f"{self._source} is no parquet file or is damaged: {on_one_line(error)}"
            ) from error
