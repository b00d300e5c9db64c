"""Vectors with coordinates as parquet, npz, safetensors or Zarr, in flat memory.

The number of vectors is known before the first one, so that arrays are written where they stay.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dnagpt_hf.atomic_files import check_new_file, check_new_folder, new_file, new_folder

FORMATS = (".parquet", ".npz", ".safetensors", ".zarr")
Array = np.ndarray[Any, Any]

# vectors that are written at a time, and of a chunk of Zarr
_ROWS = 4096


class Region(Protocol):
    """A region of a genome, with the name of its contig and its own."""

    @property
    def contig(self) -> str: ...

    @property
    def name(self) -> str: ...


class Located(Protocol):
    """Vectors of a part of a region.

    Attributes:
        number: index of the region.
        start: first base of each vector, int64 `(vectors,)`.
        end: the base behind its last one, int64 `(vectors,)`.
        vectors: float32 `(vectors, hidden)`.
    """

    number: int
    start: Array
    end: Array
    vectors: Array


def check_region_vectors(path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Refuse an output that cannot be written, before any work is done.

    Raises:
        ValueError: the ending states no format, or the output exists and may not be replaced.
        ImportError: the library of the format is not installed.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(
            f"{os.fspath(path)}: the ending {suffix!r} names no format for vectors of regions: "
            f"choose one of {', '.join(FORMATS)}"
        )
    if suffix == ".zarr":
        _import_zarr()
        check_new_folder(path)
    else:
        check_new_file(path, overwrite=overwrite)


def write_region_vectors(
    path: str | os.PathLike[str],
    parts: Iterable[Located],
    *,
    regions: Sequence[Region],
    shape: tuple[int, int],
    overwrite: bool = False,
) -> None:
    """Write vectors with their coordinates to a file or, as Zarr, a folder.

    Parquet has the columns `name` (of the region), `contig`, `start`, `end` and `embedding`. The
    others have arrays: `embeddings` `(vectors, hidden)`, `start` and `end` (from 0, the end
    excluded), and `region`, the index of the region in the lists `names` and `contigs`, which are
    in the metadata of safetensors and in the attributes of Zarr.

    Args:
        path: the output; its ending states the format. A Zarr folder is not replaced.
        parts: a stream of vectors.
        regions: the regions.
        shape: number of vectors, and their width.
        overwrite: replace a file that exists.

    Raises:
        ValueError: the ending is unknown, or the output exists.
        ImportError: the library of the format is not installed.
    """
    check_region_vectors(path, overwrite=overwrite)
    suffix = Path(path).suffix.lower()
    blocks = _blocks(parts)
    texts = {"names": [one.name for one in regions], "contigs": [one.contig for one in regions]}
    if suffix == ".zarr":
        with new_folder(path) as folder:
            group = _import_zarr().open_group(folder, mode="w", attributes=texts)
            arrays = {
                name: group.create_array(
                    name, shape=size, dtype=kind, chunks=(min(_ROWS, max(1, size[0])), *size[1:])
                )
                for name, (size, kind) in _layout(shape).items()
            }
            _fill(arrays, blocks)
        return
    with new_file(path, overwrite=overwrite) as partial:
        if suffix == ".parquet":
            _write_parquet(partial, blocks, texts, shape[1])
            return
        with tempfile.TemporaryDirectory(dir=partial.parent) as folder:
            mapped: dict[str, Any] = {
                # an empty file cannot be mapped
                name: np.memmap(Path(folder, name), kind, "w+", shape=size)
                if shape[0]
                else np.empty(size, kind)
                for name, (size, kind) in _layout(shape).items()
            }
            _fill(mapped, blocks)
            if suffix == ".npz":
                with open(partial, "wb") as stream:
                    mapped |= {name: np.asarray(text, np.str_) for name, text in texts.items()}
                    np.savez(stream, **mapped)
            else:
                from safetensors.numpy import save_file

                metadata = {name: json.dumps(text) for name, text in texts.items()}
                save_file(mapped, partial, metadata)
            del mapped


def _layout(shape: tuple[int, int]) -> dict[str, tuple[tuple[int, ...], str]]:
    """List the arrays with their shapes and types."""
    one = shape[:1]
    return {
        "region": (one, "int32"),
        "start": (one, "int64"),
        "end": (one, "int64"),
        "embeddings": (shape, "float32"),
    }


def _blocks(parts: Iterable[Located]) -> Iterator[dict[str, Array]]:
    """Join parts to blocks of some thousand vectors, as Zarr writes whole chunks only."""
    waiting: list[dict[str, Array]] = []
    count = 0
    for part in parts:
        region = np.full(len(part.start), part.number, np.int32)
        arrays = {"region": region, "start": part.start, "end": part.end}
        waiting.append({**arrays, "embeddings": part.vectors.astype(np.float32, copy=False)})
        count += len(region)
        while count >= _ROWS:
            joined = _joined(waiting)
            yield {name: array[:_ROWS] for name, array in joined.items()}
            waiting = [{name: array[_ROWS:] for name, array in joined.items()}]
            count -= _ROWS
    if count:
        yield _joined(waiting)


def _joined(blocks: list[dict[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _fill(arrays: Mapping[str, Any], blocks: Iterable[dict[str, Array]]) -> None:
    done = 0
    for block in blocks:
        end = done + len(block["start"])
        for name, values in block.items():
            arrays[name][done:end] = values
        done = end


def _write_parquet(
    path: Path, blocks: Iterable[dict[str, Array]], texts: Mapping[str, list[str]], hidden: int
) -> None:
    import pyarrow
    import pyarrow.parquet

    vector = pyarrow.list_(pyarrow.float32(), hidden)
    place = {"start": pyarrow.int64(), "end": pyarrow.int64(), "embedding": vector}
    schema = pyarrow.schema({"name": pyarrow.string(), "contig": pyarrow.string(), **place})
    # (2, regions)
    of_region = np.asarray([texts["names"], texts["contigs"]], object)
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for block in blocks:
            flat = block.pop("embeddings").reshape(-1)
            vectors = pyarrow.FixedSizeListArray.from_arrays(flat, hidden)
            names, contigs = of_region[:, block.pop("region")]
            columns = {"name": names, "contig": contigs, **block, "embedding": vectors}
            writer.write_table(pyarrow.table(columns, schema))


def _import_zarr() -> Any:
    try:
        import zarr
    except ImportError as error:
        raise ImportError(
            "Zarr needs zarr: pip install 'dnagpt_hf[zarr]', or write .parquet"
        ) from error
    return zarr
