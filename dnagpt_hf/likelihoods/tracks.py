"""Tracks of log-probabilities in the coordinates of sequences: bedGraph, bigWig, Parquet, npz."""

from __future__ import annotations

import errno
import math
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dnagpt_hf.atomic_files import new_file
from dnagpt_hf.likelihoods.strands import BASES, Array
from dnagpt_hf.records.writing import output_stream

# contig, first base from 0, bases as letters, and log p of the base `(bases,)` or of A, C, G and T
# `(bases, 4)`
WriteTrack = Callable[[str, int, Array, Array], None]

_FORMATS = {
    ".bedgraph": "bedgraph",
    ".bg": "bedgraph",
    ".bw": "bigwig",
    ".bigwig": "bigwig",
    ".parquet": "parquet",
    ".npz": "npz",
}

# a bigWig has at most so many bytes for a value, with its share of the summaries at all scales, for
# a contig beside its name, and for its indexes
_BYTES_OF_VALUE, _BYTES_OF_CONTIG, _BYTES_OF_INDEXES = 12, 32, 1 << 18


def track_format(path: str | os.PathLike[str]) -> str:
    """Find the format of a track by the ending of its name.

    Raises:
        ValueError: the ending states none.

    Example:

        >>> track_format("chr1.bedGraph.gz"), track_format("chr1.bw")
        ('bedgraph', 'bigwig')
    """
    name = os.fspath(path)
    suffix = Path(name.removesuffix(".gz")).suffix.lower()
    format = _FORMATS.get(suffix)
    if format is None or (name.endswith(".gz") and format != "bedgraph"):
        raise ValueError(
            f"{name}: the ending names no format for tracks: choose .bedgraph (also with .gz), "
            ".bw, .parquet or .npz"
        )
    return format


@contextmanager
def track_writer(
    path: str | os.PathLike[str],
    *,
    all_bases: bool = False,
    lengths: Mapping[str, int] | None = None,
    overwrite: bool = False,
) -> Iterator[WriteTrack]:
    """Open a track, and yield a function that writes a stretch of it.

    Stretches come in the order in which they are to stand in the file. bedGraph and bigWig hold one
    number for a base: of all four bases they are four files, with `.A`, `.C`, `.G` and `.T` before
    the ending. Parquet has `contig`, `position` from 0, `base` and `log_p`, or `log_p_A` to
    `log_p_T`. npz has an array for each stretch of neighboring bases, named `contig:start` with its
    first base from 0. A missing value is left out of bedGraph and bigWig, and NaN in the others.

    Args:
        path: name of the file, whose ending states the format.
        all_bases: the numbers are those of all four bases.
        lengths: length of each contig; needed for bigWig.
        overwrite: replace files that exist.

    Raises:
        ValueError: the ending is not known, a file exists and `overwrite` is not given, or
            stretches of a bedGraph or bigWig are not sorted.
        ImportError: bigWig is asked for and pyBigWig is missing.

    Example:

        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "scores.bedgraph"
        >>> with track_writer(path) as write:
        ...     write("chr1", 7, np.frombuffer(b"AC", np.uint8), np.array([-1.25, np.nan]))
        >>> path.read_text()
        'chr1\\t7\\t8\\t-1.25\\n'
    """
    format = track_format(path)
    with ExitStack() as stack:
        if format in ("parquet", "npz"):
            open_writer = _parquet if format == "parquet" else _npz
            yield stack.enter_context(open_writer(path, all_bases, overwrite))
            return
        letters = BASES.decode() if all_bases else [""]
        writers = [
            stack.enter_context(
                _bedgraph(one, overwrite)
                if format == "bedgraph"
                else _bigwig(one, lengths or {}, overwrite, len(letters))
            )
            for one in (_of_base(path, letter) for letter in letters)
        ]

        def write(contig: str, start: int, bases: Array, values: Array) -> None:
            for writer, column in zip(writers, values.reshape(len(bases), -1).T, strict=True):
                writer(contig, start, column)

        yield write


def _of_base(path: str | os.PathLike[str], letter: str) -> Path:
    """Name the file of one of the four bases: `scores.A.bedgraph.gz`."""
    if not letter:
        return Path(path)
    stem, dot, ending = Path(path).name.rpartition(".bed" if ".bed" in Path(path).name else ".")
    return Path(path).with_name(f"{stem}.{letter}{dot}{ending}")


def _known_runs(values: Array) -> Iterator[tuple[int, Array]]:
    """Find the stretches without NaN: their starts and values."""
    edges = np.flatnonzero(np.diff(np.isnan(values), prepend=True, append=True))
    for start, end in edges.reshape(-1, 2).tolist():
        yield start, values[start:end]


def _unsorted(path: Path, contig: str, start: int) -> ValueError:
    return ValueError(
        f"{path}: region {contig}:{start + 1:,} comes behind a later base, but a track for genome "
        "browsers is sorted: sort the regions by contig and start and merge those that overlap, or "
        "choose .parquet"
    )


@contextmanager
def _bedgraph(path: Path, overwrite: bool) -> Iterator[Callable[[str, int, Array], None]]:
    end_of: dict[str, int] = {}
    with output_stream(path, overwrite=overwrite) as stream:

        def write(contig: str, start: int, values: Array) -> None:
            if start < end_of.get(contig, 0):
                raise _unsorted(path, contig, start)
            end_of[contig] = start + len(values)
            for first, run in _known_runs(values):
                stream.writelines(
                    f"{contig}\t{place}\t{place + 1}\t{value:.6g}\n"
                    for place, value in enumerate(run.tolist(), start + first)
                )

        yield write


def _check_room(path: Path, size: int) -> None:
    """Refuse to write what the disk does not hold: on a full one, pyBigWig ends the process."""
    if shutil.disk_usage(path.parent).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


@contextmanager
def _bigwig(
    path: Path, lengths: Mapping[str, int], overwrite: bool, files: int
) -> Iterator[Callable[[str, int, Array], None]]:
    try:
        import pyBigWig
    except ImportError as error:
        raise ImportError(
            "bigWig needs pyBigWig: install it with pip install 'dnagpt_hf[bigwig]'"
        ) from error
    order = {contig: number for number, contig in enumerate(lengths)}
    # bytes of the whole file at most
    longest_name = max(map(len, lengths), default=0)
    last, size = (0, 0), len(lengths) * (longest_name + _BYTES_OF_CONTIG) + _BYTES_OF_INDEXES
    with new_file(path, overwrite=overwrite) as partial:
        _check_room(partial, files * size)
        file = pyBigWig.open(str(partial), "w")
        try:
            file.addHeader(list(lengths.items()))

            def write(contig: str, start: int, values: Array) -> None:
                nonlocal last, size
                if (order[contig], start) < last:
                    raise _unsorted(path, contig, start)
                last = order[contig], start + len(values)
                size += _BYTES_OF_VALUE * len(values)
                _check_room(partial, files * (size - partial.stat().st_size))
                for first, run in _known_runs(values):
                    file.addEntries(contig, start + first, values=run.tolist(), span=1, step=1)

            yield write
        finally:
            file.close()


@contextmanager
def _parquet(
    path: str | os.PathLike[str], all_bases: bool, overwrite: bool
) -> Iterator[WriteTrack]:
    import pyarrow
    import pyarrow.parquet

    names = [f"log_p_{letter}" for letter in BASES.decode()] if all_bases else ["log_p"]
    fields: dict[str, Any] = {
        "contig": pyarrow.dictionary(pyarrow.int32(), pyarrow.string()),
        "position": pyarrow.int64(),
        "base": pyarrow.string(),
        **dict.fromkeys(names, pyarrow.float32()),
    }
    schema = pyarrow.schema(fields.items())
    with (
        new_file(path, overwrite=overwrite) as partial,
        pyarrow.parquet.ParquetWriter(partial, schema) as writer,
    ):

        def write(contig: str, start: int, bases: Array, values: Array) -> None:
            columns = values.reshape(len(bases), -1).T.astype(np.float32)
            data = {
                "contig": pyarrow.array([contig] * len(bases)).dictionary_encode(),
                "position": np.arange(start, start + len(bases)),
                "base": list(bases.tobytes().decode()),
                **dict(zip(names, columns, strict=True)),
            }
            writer.write_table(pyarrow.table(data, schema=schema))

        yield write


@contextmanager
def _npz(path: str | os.PathLike[str], all_bases: bool, overwrite: bool) -> Iterator[WriteTrack]:
    # name of the stretch that is being written, and the base behind it
    name, contig_of_name, behind = "", "", -1
    width = (len(BASES),) if all_bases else ()
    with (
        new_file(path, overwrite=overwrite) as partial,
        zipfile.ZipFile(partial, "w") as archive,
        tempfile.TemporaryFile(dir=partial.parent) as stretch,
    ):

        def close() -> None:
            """Move the stretch to the file: its length had to be known first."""
            length = stretch.tell() // np.dtype("<f4").itemsize // math.prod(width)
            header = {"descr": "<f4", "fortran_order": False, "shape": (length, *width)}
            if name in archive.NameToInfo:
                raise ValueError(f"{path}: {name} stands twice: merge the regions")
            with archive.open(name, "w", force_zip64=True) as stream:
                np.lib.format.write_array_header_1_0(stream, header)
                stretch.seek(0)
                shutil.copyfileobj(stretch, stream)
            stretch.seek(0)
            stretch.truncate()

        def write(contig: str, start: int, bases: Array, values: Array) -> None:
            nonlocal name, contig_of_name, behind
            if (contig, start) != (contig_of_name, behind):
                if name:
                    close()
                name, contig_of_name = f"{contig}:{start}.npy", contig
            stretch.write(np.ascontiguousarray(values, "<f4").data)
            behind = start + len(values)

        yield write
        if name:
            close()
