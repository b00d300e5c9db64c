"""Folders of published benchmarks: DeepGSR and HybPAS, GUE, the Nucleotide Transformer's tasks."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from dnagpt_hf.records.reading import Record, RecordReader
from dnagpt_hf.tasks.columns import RecordStream, file_stream, part_files

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


@dataclass(frozen=True)
class SignalFile:
    """A FASTA file of sequences that all have the same motif and class.

    Args:
        path: the file.
        variant: the motif, by the file's name.
        label: `signal` or `none`.
        species: the letter of the species' token; empty if the name does not tell.
    """

    path: Path
    variant: str
    label: str
    species: str


def deepgsr_stream(folder: Path, variants: str | Sequence[str] = "all") -> RecordStream:
    """Sequences round true and false genomic signals, of DeepGSR (Kalkatawi et al. 2018) or HybPAS.

    DeepGSR's files are called `hs_AATAAA_polyA.fa` and `hs_negAATAAA_polyA.fa`, or
    `hs_ATG_TIS.fa`, with `hs`, `mm`, `bt` or `dm` for human, mouse, cattle and fruit fly; those of
    HybPAS `AATAAA_pos.fa` and `AATAAA_neg.fa`. All may end in `.gz`.

    Args:
        folder: where they are.
        variants: motifs to read, in this order, or `"all"`.

    Returns:
        Records with `sequence`, `label` (`signal` or `none`), `variant`, `species` (letter of the
        token, or empty), `motif_start` (300) and `name`. The variant is what stands at that
        place, which in a few published files is not what their name says.

    Raises:
        ValueError: there are no such files, or a variant or one of its classes is not among them;
            or, while they are read, a sequence ends before its motif.
    """
    files = _chosen(folder, _signal_files(folder), variants)
    return RecordStream(partial(_read_signals, files))


def _signal_files(folder: Path) -> list[SignalFile]:
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    files = []
    for path in sorted(folder.iterdir()):
        if match := _DEEPGSR.fullmatch(path.name):
            prefix, negative, variant = match.groups()
            files.append(
                SignalFile(path, variant, NO_SIGNAL if negative else SIGNAL, _SPECIES[prefix])
            )
        elif match := _HYBPAS.fullmatch(path.name):
            prefix, variant, kind = match.groups()
            files.append(SignalFile(path, variant, SIGNAL if kind == "pos" else NO_SIGNAL, prefix))
    if not files:
        raise ValueError(
            f"{folder} has no files as hs_AATAAA_polyA.fa and hs_negAATAAA_polyA.fa, or "
            "AATAAA_pos.fa and AATAAA_neg.fa: give the folder in which they lie"
        )
    return files


def _chosen(
    folder: Path, files: Sequence[SignalFile], variants: str | Sequence[str]
) -> list[SignalFile]:
    known = sorted({file.variant for file in files})
    wanted = known if variants == "all" else [variants] if isinstance(variants, str) else variants
    chosen = []
    for variant in wanted:
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


def _read_signals(files: Sequence[SignalFile]) -> Iterator[Record]:
    for file in files:
        others = 0
        with RecordReader(file.path, format="fasta") as reader:
            for record in reader:
                sequence = record.values["sequence"].upper()
                end = MOTIF_START + len(file.variant)
                if len(sequence) < end:
                    raise record.error(
                        f"its {len(sequence):,} bp end before the motif at {MOTIF_START} to {end}"
                    )
                variant = sequence[MOTIF_START:end]
                others += variant != file.variant
                values = {
                    "name": record.name,
                    "sequence": sequence,
                    "label": file.label,
                    "variant": variant,
                    "species": file.species,
                    "motif_start": MOTIF_START,
                }
                yield replace(record, values=values)
        if others:
            logger.warning("%s: %d sequences have another motif than its name", file.path, others)


def gue_parts(folder: Path, train_on: str | None = None) -> dict[str, RecordStream]:
    """Parts of a task of GUE (DNABERT-2): `train.csv`, `dev.csv` and `test.csv`, also with `.gz`.

    Args:
        folder: the folder of the task.
        train_on: `validation` trains on `dev.csv`, where the folder has no `train.csv`.

    Raises:
        ValueError: the folder has none of the files, or no other part to train on.
    """
    parts = {part: file_stream([path]) for part, path in part_files(folder, _TABLES).items()}
    if train_on is not None:
        if train_on != "validation":
            raise ValueError(f"train_on is {train_on!r}: only validation can take that place")
        if "train" in parts or "validation" not in parts:
            raise ValueError(
                f"{folder}: train_on: validation is for a folder without train.csv that has "
                f"dev.csv, but this one has {' and '.join(parts)}: leave it out"
            )
        parts = {"train": parts.pop("validation"), **parts}
    return parts


def nucleotide_transformer_parts(folder: Path) -> dict[str, RecordStream]:
    """Parts of a task of the Nucleotide Transformer (Dalla-Torre et al. 2024).

    `train.fna` and `test.fna` have the label at the end of the header, behind the last `|`;
    `train.parquet`, `test.parquet`, or CSV files have it in a column.

    Args:
        folder: the folder of the task.

    Returns:
        Records with `sequence`, `name` and `label`, by part.

    Raises:
        ValueError: the folder has none of the files; or, while they are read, a header no label.
    """
    files = part_files(folder, (*_FASTA, *_TABLES, ".parquet"))
    return {
        part: RecordStream(partial(_read_labelled_fasta, path))
        if path.name.endswith(_FASTA)
        else file_stream([path])
        for part, path in files.items()
    }


def _read_labelled_fasta(path: Path) -> Iterator[Record]:
    with RecordReader(path, format="fasta") as reader:
        for record in reader:
            header = f"{record.values['name']} {record.values['description']}".strip()
            name, mark, label = header.rpartition("|")
            if not mark or not label.strip():
                raise record.error("its header has no label behind a '|', as >promoter_7|1 has")
            values = {"name": name, "sequence": record.values["sequence"], "label": label.strip()}
            yield replace(record, values=values, name=name or record.name)
