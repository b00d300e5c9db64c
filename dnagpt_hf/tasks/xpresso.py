"""Xpresso's tables of genes (Agarwal and Shendure 2020), as text and as HDF5.

The text has expression and features without transforms; in HDF5 expression, the four lengths and
the density are log10(x + 0.1), and all nine numbers are standardized over all genes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dnagpt_hf.annotation.genes import FEATURES, ID, PROMOTER, TARGET
from dnagpt_hf.messages import did_you_mean
from dnagpt_hf.records.files import RecordError
from dnagpt_hf.records.reading import Record
from dnagpt_hf.tasks.sources import (
    ALL,
    SPLITS,
    Names,
    Source,
    Splits,
    existing,
    read_files,
    split_files,
)

_HDF5 = (".h5", ".hdf5")
_SPLIT_SIZE = 1000
_SHUFFLING_SEED = 1
# promoters that are in memory at a time, 80 kB each
_ROWS = 64
_LETTERS = np.frombuffer(b"ACGTN", np.uint8)


class Xpresso(Source):
    """Genes of Xpresso's data, with the columns of its text table.

    Records have `ENSID`, `EXPRESSION`, the eight half-life features and `PROMOTER`; those of HDF5
    also its further columns, such as `detectionFlagInt`.

    Args:
        xpresso: the text table, plain or compressed; an HDF5 file; or a folder with `train.h5`,
            `valid.h5` and `test.h5`.
        split: `"xpresso"` splits a text table as Xpresso does: shuffled with seed 1, the last
            1,000 genes are the test split and the 1,000 before them the validation split. Genes of
            a split are read in the order of the file.
        leave_out: text files of genes to leave out, one on a line; Xpresso leaves out histones.
    """

    xpresso: str
    split: Literal["xpresso"] | None = None
    leave_out: Names = Field([])

    def read(self, folder: Path) -> Splits:
        path = existing(folder, self.xpresso)
        left_out = [existing(folder, name) for name in self.leave_out]
        if path.is_dir() or path.suffix.lower() in _HDF5:
            if self.split or left_out:
                raise ValueError(
                    f"{path}: split and leave_out are for the text table, not for HDF5"
                )
            files = split_files(path, _HDF5) if path.is_dir() else {ALL: path}
            return {split: _read_hdf5(file) for split, file in files.items()}
        names = {record.values["sequence"].split()[0] for record in read_files(left_out, "text")}
        if self.split is None:
            return {ALL: _read_table(path, names)}
        splits = _xpresso_splits(path, sum(1 for _ in _read_table(path, names)))
        return {split: compress(_read_table(path, names), splits == split) for split in SPLITS}


def _read_table(path: Path, left_out: Collection[str]) -> Iterator[Record]:
    """Read the genes of the text table that are not left out, in the order of the file."""
    for record in read_files([path], "tsv"):
        for column in (ID, TARGET, *FEATURES, PROMOTER):
            if column not in record.values:
                raise record.error(
                    f"there is no column {column}, only {', '.join(record.values)}"
                    f"{did_you_mean(column, record.values)}"
                )
        name = record.values[ID].strip()
        if name not in left_out:
            yield replace(record, name=name)


def _xpresso_splits(path: Path, count: int) -> NDArray[np.str_]:
    """Assign each gene to the split that it has in Xpresso, `(genes,)`."""
    if count <= 2 * _SPLIT_SIZE:
        raise RecordError(
            f"{path} has {count:,} genes: Xpresso's split needs more than {2 * _SPLIT_SIZE:,}, "
            "for its test and validation splits"
        )
    # the order in which pandas samples all rows with that seed
    order = np.random.RandomState(_SHUFFLING_SEED).permutation(count)
    splits = np.full(count, "train", dtype="<U10")
    splits[order[-2 * _SPLIT_SIZE :]] = "validation"
    splits[order[-_SPLIT_SIZE:]] = "test"
    return splits


def _read_hdf5(path: Path) -> Iterator[Record]:
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            "HDF5 files need h5py: pip install h5py, or give the text table"
        ) from error
    try:
        with h5py.File(path, "r") as file:
            found = {name: item for name, item in file.items() if isinstance(item, h5py.Dataset)}
            yield from _read_datasets(found, path)
    except OSError as error:
        raise RecordError(f"{path} is no HDF5 file or is damaged: {error}") from error


def _read_datasets(datasets: dict[str, Any], path: Path) -> Iterator[Record]:
    shapes = {name: dataset.shape for name, dataset in datasets.items()}
    for name, axes in (("promoter", 3), ("data", 2), ("label", 1), ("geneName", 1)):
        if len(shapes.get(name, ())) != axes:
            raise RecordError(
                f"{path}: there is no dataset {name} of {axes} axes, only "
                f"{', '.join(f'{name} {shape}' for name, shape in shapes.items())}"
            )
    count = shapes["promoter"][0]
    if shapes["data"] != (count, len(FEATURES)) or shapes["promoter"][2] != len(_LETTERS) - 1:
        raise RecordError(
            f"{path}: promoter {shapes['promoter']} and data {shapes['data']} are not genes by "
            f"bases by 4, and genes by {len(FEATURES)}"
        )
    known = ("promoter", "data", "label", "geneName")
    more = [name for name, shape in shapes.items() if shape == (count,) and name not in known]
    for start in range(0, count, _ROWS):
        block = {name: datasets[name][start : start + _ROWS] for name in (*known, *more)}
        for row, promoter in enumerate(_sequences(block["promoter"])):
            name = str(_text(block["geneName"][row]))
            values = {
                ID: name,
                TARGET: float(block["label"][row]),
                **dict(zip(FEATURES, block["data"][row].tolist(), strict=True)),
                **{column: _text(block[column][row]) for column in more},
                PROMOTER: promoter,
            }
            number = start + row + 1
            yield Record(values, name, str(path), number, number)


def _sequences(one_hot: np.ndarray[Any, Any]) -> Iterator[str]:
    """Sequences of an array of shape (genes, bases, 4), in the order A, C, G, T; N has none."""
    letters = np.where(one_hot.any(axis=-1), one_hot.argmax(axis=-1), len(_LETTERS) - 1)
    for row in _LETTERS[letters]:
        yield row.tobytes().decode()


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value.item()
