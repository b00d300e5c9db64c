"""Published data: DeepGSR and HybPAS, GUE, tasks of the Nucleotide Transformer, and Xpresso.

Xpresso's tables of genes (Agarwal and Shendure 2020) have expression and features without
transforms as text; in HDF5 expression, the four lengths and the density are log10(x + 0.1), and all
nine numbers are standardized over all genes.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import Any, Literal, NamedTuple

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

logger = logging.getLogger(__name__)

# the motif stands between 300 bp on either side
MOTIF_START = 300
SIGNAL, NO_SIGNAL = "signal", "none"
# prefixes of DeepGSR's files and the tokens of their species
_SPECIES = {"hs": "R", "mm": "S", "bt": "V", "dm": "O"}
_DEEPGSR = re.compile(r"(hs|mm|bt|dm)_(neg|)([ACGT]+)_\w+\.(?:fa|fasta)(?:\.gz)?")
_HYBPAS = re.compile(r"()([ACGT]+)_(pos|neg)\.(?:fa|fasta)(?:\.gz)?")
_TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
_FASTA = (".fna", ".fna.gz", ".fa", ".fa.gz", ".fasta", ".fasta.gz")
_HDF5 = (".h5", ".hdf5")
_SPLIT_SIZE = 1000
_SHUFFLING_SEED = 1
# promoters that are in memory at a time, 80 kB each
_ROWS = 64
_LETTERS = np.frombuffer(b"ACGTN", np.uint8)


class DeepGSR(Source):
    """Sequences around genomic signals, of DeepGSR (Kalkatawi et al. 2018) or HybPAS.

    DeepGSR's files are called `hs_AATAAA_polyA.fa` and `hs_negAATAAA_polyA.fa`, or
    `hs_ATG_TIS.fa`, with `hs`, `mm`, `bt` or `dm` for human, mouse, cattle and fruit fly; those of
    HybPAS `AATAAA_pos.fa` and `AATAAA_neg.fa`. All may end in `.gz`.

    Records have `sequence`, `label` (`signal` or `none`), `variant`, `species` (letter of the
    token, or empty), `motif_start` (300) and `name`. The variant is the motif at that position,
    which in a few published files is not the one of their name.

    Args:
        deepgsr: folder of the files.
        variants: motifs to read, in this order, or `"all"`.
    """

    deepgsr: str
    variants: Names = Field(["all"])

    def read(self, folder: Path) -> Splits:
        path = existing(folder, self.deepgsr)
        files = _chosen(path, _signal_files(path), self.variants)
        return {ALL: _read_signals(files)}


class GUE(Source):
    """A task of GUE (DNABERT-2): `train.csv`, `dev.csv` and `test.csv`, also with `.gz`.

    Args:
        gue: folder of the task.
        train_on: `validation` trains on `dev.csv`, where the folder has no `train.csv`.
    """

    gue: str
    train_on: Literal["validation"] | None = None

    def read(self, folder: Path) -> Splits:
        path = existing(folder, self.gue)
        splits = {name: read_files([file]) for name, file in split_files(path, _TABLES).items()}
        if self.train_on is None:
            return splits
        if "train" in splits or "validation" not in splits:
            raise ValueError(
                f"{path}: train_on: validation is for a folder without train.csv that has "
                f"dev.csv, but this one has {' and '.join(splits)}: leave it out"
            )
        return {"train": splits.pop("validation"), **splits}


class NucleotideTransformer(Source):
    """A task of the Nucleotide Transformer (Dalla-Torre et al. 2024).

    `train.fna` and `test.fna` have the label at the end of the header, behind the last `|`;
    `train.parquet`, `test.parquet`, or CSV files have it in a column. Records have `sequence`,
    `name` and `label`.

    Args:
        nucleotide_transformer: folder of the task.
    """

    nucleotide_transformer: str

    def read(self, folder: Path) -> Splits:
        path = existing(folder, self.nucleotide_transformer)
        return {
            name: _read_labelled_fasta(file) if file.name.endswith(_FASTA) else read_files([file])
            for name, file in split_files(path, (*_FASTA, *_TABLES, ".parquet")).items()
        }


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


class _SignalFile(NamedTuple):
    """A FASTA file of sequences that all have the same motif and class."""

    path: Path
    variant: str
    label: str
    species: str


def _signal_files(folder: Path) -> list[_SignalFile]:
    files = []
    for path in sorted(folder.iterdir()):
        if match := _DEEPGSR.fullmatch(path.name):
            prefix, negative, variant = match.groups()
            files.append(
                _SignalFile(path, variant, NO_SIGNAL if negative else SIGNAL, _SPECIES[prefix])
            )
        elif match := _HYBPAS.fullmatch(path.name):
            prefix, variant, kind = match.groups()
            files.append(_SignalFile(path, variant, SIGNAL if kind == "pos" else NO_SIGNAL, prefix))
    if not files:
        raise ValueError(
            f"{folder} has no files as hs_AATAAA_polyA.fa and hs_negAATAAA_polyA.fa, or "
            "AATAAA_pos.fa and AATAAA_neg.fa: give the folder in which they lie"
        )
    return files


def _chosen(
    folder: Path, files: Sequence[_SignalFile], variants: Sequence[str]
) -> list[_SignalFile]:
    known = sorted({file.variant for file in files})
    chosen = []
    for variant in known if "all" in variants else variants:
        of_variant = [file for file in files if file.variant == variant]
        if not of_variant:
            raise ValueError(f"{folder} has no variant {variant!r}, only {', '.join(known)}")
        for label in (SIGNAL, NO_SIGNAL):
            of_class = [file for file in of_variant if file.label == label]
            if not of_class:
                raise ValueError(
                    f"{folder}: variant {variant} has only {of_variant[0].path.name}, and no file "
                    f"of the class {label}"
                )
            chosen += of_class
    return chosen


def _read_signals(files: Sequence[_SignalFile]) -> Iterator[Record]:
    for file in files:
        other_motifs = 0
        for record in read_files([file.path], "fasta"):
            sequence = record.values["sequence"].upper()
            end = MOTIF_START + len(file.variant)
            if len(sequence) < end:
                raise record.error(
                    f"its {len(sequence):,} bp end before the motif at {MOTIF_START} to {end}"
                )
            variant = sequence[MOTIF_START:end]
            other_motifs += variant != file.variant
            values = {
                "name": record.name,
                "sequence": sequence,
                "label": file.label,
                "variant": variant,
                "species": file.species,
                "motif_start": MOTIF_START,
            }
            yield replace(record, values=values)
        if other_motifs:
            logger.warning(
                "%s: %d sequences have another motif than its name", file.path, other_motifs
            )


def _read_labelled_fasta(path: Path) -> Iterator[Record]:
    for record in read_files([path], "fasta"):
        header = f"{record.values['name']} {record.values['description']}".strip()
        name, mark, label = header.rpartition("|")
        if not mark or not label.strip():
            raise record.error("its header has no label behind a '|', as >promoter_7|1 has")
        values = {"name": name, "sequence": record.values["sequence"], "label": label.strip()}
        yield replace(record, values=values, name=name or record.name)


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
