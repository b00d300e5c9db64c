"""Vectors of records as safetensors, npz or parquet, written as a stream.

The first two formats state the number of rows before the first row, which a stream does not know.
Rows therefore go to a temporary file beside the output first, and memory holds names alone.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from dnagpt_hf.atomic_files import new_file

VECTOR_FORMATS = {".safetensors": "safetensors", ".npz": "npz", ".parquet": "parquet"}
# The safetensors library reads no longer header than 100 MB, and the names stand there.
_LONGEST_NAMES = 90_000_000
_ROWS_IN_GROUP = 1024

WriteVectors = Callable[[str, "np.ndarray[Any, Any]", "np.ndarray[Any, Any]"], None]


def vector_format(path: str | os.PathLike[str]) -> str:
    """Read the format from the ending of a file's name.

    Raises:
        ValueError: it states none of `VECTOR_FORMATS`.

    Example:

        >>> vector_format("promoters.npz")
        'npz'
    """
    suffix = Path(path).suffix.lower()
    if suffix not in VECTOR_FORMATS:
        raise ValueError(
            f"{os.fspath(path)}: the ending {suffix!r} names no format for vectors: choose one of "
            f"{', '.join(VECTOR_FORMATS)}"
        )
    return VECTOR_FORMATS[suffix]


@contextmanager
def vector_writer(
    path: str | os.PathLike[str], *, per_token: bool = False, overwrite: bool = False
) -> Iterator[WriteVectors]:
    """Open a file, and yield a function that writes a record's name, token ids and vectors.

    One vector for each record gives `embeddings` of shape `(records, hidden)`. With `per_token`,
    `embeddings` is `(tokens of all records, hidden)`, `input_ids` has the tokens, and record `i`
    has the rows `offsets[i]` to `offsets[i + 1]`. `names` is an array in npz, and a JSON list in
    the metadata of safetensors. Parquet has a row for each record or token, with its `name`.

    Raises:
        ValueError: the name's ending is not known, the file exists and `overwrite` is not given,
            or names are too long for the format.
    """
    write_format = vector_format(path)
    with new_file(path, overwrite=overwrite) as partial:
        if write_format == "parquet":
            with _parquet_writer(partial, per_token) as write:
                yield write
            return
        assemble = _write_npz if write_format == "npz" else _write_safetensors
        with tempfile.TemporaryFile(dir=partial.parent) as rows:
            parts = _Parts(rows, per_token, write_format == "safetensors")
            yield parts.add
            assemble(partial, parts)


class _Parts:
    """Rows that were written so far, and what is to be said about them."""

    def __init__(self, rows: IO[bytes], per_token: bool, limits_names: bool) -> None:
        self.rows = rows
        self.per_token = per_token
        self.limits_names = limits_names
        self.names: list[str] = []
        self.size_of_names = 0
        self.hidden = 0
        self.offsets = [0]
        self.input_ids: list[np.ndarray[Any, Any]] = []

    def add(
        self, name: str, input_ids: np.ndarray[Any, Any], vectors: np.ndarray[Any, Any]
    ) -> None:
        vectors = np.atleast_2d(np.ascontiguousarray(vectors, dtype="<f4"))
        self.rows.write(vectors.data)
        self.hidden = vectors.shape[1]
        self.names.append(name)
        self.size_of_names += len(json.dumps(json.dumps(name)))
        if self.limits_names and self.size_of_names > _LONGEST_NAMES:
            raise ValueError(
                f"the names of {len(self.names):,} records are too long for the header of a "
                "safetensors file: choose .parquet or .npz"
            )
        self.offsets.append(self.offsets[-1] + len(vectors))
        if self.per_token:
            self.input_ids.append(input_ids.astype("<i4"))

    def small_arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        if not self.per_token:
            return {}
        ids = np.concatenate(self.input_ids) if self.input_ids else np.empty(0, "<i4")
        return {"input_ids": ids, "offsets": np.asarray(self.offsets, dtype="<i8")}

    @property
    def shape(self) -> tuple[int, int]:
        return self.offsets[-1], self.hidden


def _write_safetensors(path: Path, parts: _Parts) -> None:
    header: dict[str, Any] = {"__metadata__": {"names": json.dumps(parts.names)}}
    # the widest type comes first, which keeps every array aligned
    small = dict(sorted(parts.small_arrays().items(), key=lambda item: -item[1].itemsize))
    end = 0
    for name, array in small.items():
        start, end = end, end + array.nbytes
        kind = f"I{8 * array.itemsize}"
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [start, end]}
    offsets = [end, end + 4 * parts.shape[0] * parts.shape[1]]
    header["embeddings"] = {"dtype": "F32", "shape": parts.shape, "data_offsets": offsets}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        stream.writelines(array.tobytes() for array in small.values())
        parts.rows.seek(0)
        shutil.copyfileobj(parts.rows, stream, 1 << 20)


def _write_npz(path: Path, parts: _Parts) -> None:
    arrays = {"names": np.asarray(parts.names, dtype=np.str_), **parts.small_arrays()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        with archive.open("embeddings.npy", "w", force_zip64=True) as member:
            header = {"descr": "<f4", "fortran_order": False, "shape": parts.shape}
            np.lib.format.write_array_header_1_0(member, header)
            parts.rows.seek(0)
            shutil.copyfileobj(parts.rows, member, 1 << 20)
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            archive.writestr(f"{name}.npy", content.getvalue())


@contextmanager
def _parquet_writer(path: Path, per_token: bool) -> Iterator[WriteVectors]:
    import pyarrow.parquet

    writer: Any = None
    rows: dict[str, list[Any]] = {}
    waiting: list[np.ndarray[Any, Any]] = []

    def flush() -> None:
        nonlocal writer
        vectors = np.concatenate(waiting)
        values = pyarrow.array(vectors.reshape(-1))
        columns = {name: pyarrow.array(column) for name, column in rows.items()}
        columns["embedding"] = pyarrow.FixedSizeListArray.from_arrays(values, vectors.shape[1])
        table = pyarrow.table(columns)
        if writer is None:
            writer = pyarrow.parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
        rows.clear()
        waiting.clear()

    def write(name: str, input_ids: np.ndarray[Any, Any], vectors: np.ndarray[Any, Any]) -> None:
        vectors = np.atleast_2d(np.asarray(vectors, dtype=np.float32))
        rows.setdefault("name", []).extend([name] * len(vectors))
        if per_token:
            rows.setdefault("position", []).extend(range(len(vectors)))
            rows.setdefault("input_id", []).extend(input_ids.tolist())
        waiting.append(vectors)
        if len(rows["name"]) >= _ROWS_IN_GROUP:
            flush()

    try:
        yield write
        if waiting:
            flush()
    finally:
        if writer is not None:
            writer.close()
