"""Folders of benchmarks: DeepGSR and HybPAS, GUE, the tasks of the Nucleotide Transformer."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from dnagpt_hf.records.reading import Record, RecordReader
from dnagpt_hf.tasks.sources import (
    ALL,
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
        with RecordReader(file.path, format="fasta") as reader:
            for record in reader:
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
    with RecordReader(path, format="fasta") as reader:
        for record in reader:
            header = f"{record.values['name']} {record.values['description']}".strip()
            name, mark, label = header.rpartition("|")
            if not mark or not label.strip():
                raise record.error("its header has no label behind a '|', as >promoter_7|1 has")
            values = {"name": name, "sequence": record.values["sequence"], "label": label.strip()}
            yield replace(record, values=values, name=name or record.name)
