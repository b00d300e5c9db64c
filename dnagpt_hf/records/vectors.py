"""Vectors of records as safetensors, npz or parquet.

The formats state the number of rows before the first row, which a stream does not know. Vectors
therefore go to a temporary file beside the output first, which is then mapped and written by the
library of the format. Memory holds names and token ids alone; safetensors before 0.8 copies the
vectors as well.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np

from dnagpt_hf.atomic_files import new_file

Array = np.ndarray[Any, Any]

# the safetensors library reads no header longer than 100 MB, and the names stand there
_LONGEST_NAMES = 90_000_000
_ROWS_IN_GROUP = 1024


def check_vector_format(path: str | os.PathLike[str]) -> None:
    """Refuse a name whose ending states no format for vectors, before any work is done.

    Raises:
        ValueError: it ends in none of .safetensors, .npz and .parquet.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _WRITERS:
        raise ValueError(
            f"{os.fspath(path)}: the ending {suffix!r} names no format for vectors: choose one of "
            f"{', '.join(_WRITERS)}"
        )


def write_vectors(
    path: str | os.PathLike[str],
    records: Iterable[tuple[str, Array, Array]],
    *,
    per_token: bool = False,
    overwrite: bool = False,
) -> None:
    """Write the vectors of records to a file, which appears whole or not at all.

    One vector for each record gives `embeddings` of shape `(records, hidden)`. With `per_token`,
    `embeddings` is `(tokens of all records, hidden)`, `input_ids` has the tokens, and record `i`
    has the rows `offsets[i]` to `offsets[i + 1]`. `names` is an array in npz, and a JSON list in
    the metadata of safetensors. Parquet has a row for each record or token, with its `name`.

    Args:
        path: name of the file; its ending states the format.
        records: a stream of names, token ids of shape `(tokens,)`, and float32 vectors of shape
            `(hidden,)` or, with `per_token`, `(tokens, hidden)`.
        per_token: write a vector for each token in place of one for each record.
        overwrite: replace a file that exists.

    Raises:
        ValueError: the name's ending is not known, the file exists and `overwrite` is not given,
            or names are too long for the format.

    Example:

        >>> path = Path(tempfile.mkdtemp()) / "promoters.npz"
        >>> write_vectors(path, [("first", np.arange(5), np.ones(8))])
        >>> np.load(path)["embeddings"].shape
        (1, 8)
    """
    check_vector_format(path)
    suffix = Path(path).suffix.lower()
    longest = _LONGEST_NAMES if suffix == ".safetensors" else None
    with (
        new_file(path, overwrite=overwrite) as partial,
        tempfile.TemporaryFile(dir=partial.parent) as stream,
    ):
        names, arrays = _on_disk(records, stream, per_token, longest)
        _WRITERS[suffix](partial, names, arrays)


def _on_disk(
    records: Iterable[tuple[str, Array, Array]],
    stream: IO[bytes],
    per_token: bool,
    longest_names: int | None,
) -> tuple[list[str], dict[str, Any]]:
    """Write the vectors of records to a temporary file; return the names, and the arrays."""
    names: list[str] = []
    size_of_names, hidden = 0, 0
    offsets, ids = [0], [np.empty(0, "<i4")]
    for name, input_ids, vectors in records:
        vectors = np.atleast_2d(np.ascontiguousarray(vectors, dtype="<f4"))
        stream.write(vectors.data)
        hidden = vectors.shape[1]
        offsets.append(offsets[-1] + len(vectors))
        if per_token:
            ids.append(input_ids.astype("<i4"))
        names.append(name)
        # the header holds the list as a text of JSON, inside of JSON
        size_of_names += len(json.dumps(json.dumps(name)))
        if longest_names is not None and size_of_names > longest_names:
            raise ValueError(
                f"the names of {len(names):,} records are too long for the header of a "
                "safetensors file: choose .parquet or .npz"
            )
    stream.flush()
    shape = (offsets[-1], hidden)
    # an empty file cannot be mapped
    mapped = np.memmap(stream, "<f4", "r", shape=shape) if offsets[-1] else np.empty(shape, "<f4")
    arrays = {"embeddings": mapped}
    if per_token:
        arrays |= {"input_ids": np.concatenate(ids), "offsets": np.asarray(offsets, "<i8")}
    return names, arrays


def _write_safetensors(path: Path, names: list[str], arrays: dict[str, Any]) -> None:
    from safetensors.numpy import save_file

    save_file(arrays, path, {"names": json.dumps(names)})


def _write_npz(path: Path, names: list[str], arrays: dict[str, Any]) -> None:
    # NumPy adds an ending to a name, but not to a stream
    with open(path, "wb") as stream:
        np.savez(stream, names=np.asarray(names, np.str_), **arrays)


def _write_parquet(path: Path, names: list[str], arrays: dict[str, Any]) -> None:
    import pyarrow
    import pyarrow.parquet

    vectors = arrays["embeddings"]
    columns: dict[str, Any] = {"name": pyarrow.array(names, pyarrow.string())}
    if "offsets" in arrays:
        offsets = arrays["offsets"]
        # record of each token
        record = np.repeat(np.arange(len(names)), np.diff(offsets))
        columns["name"] = columns["name"].take(pyarrow.array(record))
        columns["position"] = np.arange(len(vectors)) - offsets[record]
        columns["input_id"] = arrays["input_ids"].astype(np.int64)
    columns["embedding"] = pyarrow.array([], pyarrow.list_(pyarrow.float32(), 0))
    if len(vectors):
        # without a copy: the vectors stay in their file
        flat = pyarrow.array(vectors.reshape(-1))
        columns["embedding"] = pyarrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    table = pyarrow.table(columns)
    pyarrow.parquet.write_table(table, path, row_group_size=_ROWS_IN_GROUP)


_WRITERS = {".safetensors": _write_safetensors, ".npz": _write_npz, ".parquet": _write_parquet}
