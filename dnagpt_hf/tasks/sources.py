"""Where the records of a task come from: the entry `data:` of its YAML file.

    data:                                       # FASTA of positives and negatives
      - {files: signals.fa, set: {label: signal}}
      - {files: others.fa, set: {label: none}}

    data: {train: train.csv, test: [{files: "test*.csv", columns: {sequence: seq}}]}

    data:                                       # starts of translation, and other ATGs
      regions: genes.gff
      genome: genome.fa
      anchor: tis
      upstream: 300
      downstream: 300
      negatives: {match: ATG}

An entry has one of the keys of `FORMS`, with those that belong to it, and may have `columns`, names
of columns as `{ours: theirs}`; `set`, columns with the same value for all records; and `limit`, the
number of records that are read of each part. A name alone is that of a file, and of a list all
entries are read one after the other. Relative paths start at the folder of the YAML file.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from dnagpt_hf.annotation.genes import GeneTable
from dnagpt_hf.annotation.negatives import Negatives
from dnagpt_hf.annotation.site_windows import RegionWindows
from dnagpt_hf.records.reading import FORMATS, Record, did_you_mean
from dnagpt_hf.tasks.benchmarks import deepgsr_stream, gue_parts, nucleotide_transformer_parts
from dnagpt_hf.tasks.columns import (
    ALL,
    PARTS,
    Changes,
    RecordStream,
    changed_stream,
    file_stream,
    refuse_truth_values,
)
from dnagpt_hf.tasks.hub_datasets import dataset_parts
from dnagpt_hf.tasks.xpresso import xpresso_parts

Parts = dict[str, Iterable[Record]]
Entry = Mapping[str, Any]

# what tools write beside a FASTA file
_DERIVED = (".fai", ".gzi", ".unpacked", ".lock")
_COMMON = ("columns", "set", "limit")


def open_source(spec: Entry | Sequence[Any] | str, folder: Path) -> Parts:
    """Open the data of a task.

    Args:
        spec: the entry `data:` of its YAML file, as the module describes it.
        folder: where relative paths start.

    Returns:
        Records by part: `all` where the source has no parts of its own, or else those of `train`,
        `validation` and `test` that there are. Files are opened anew in each iteration.

    Raises:
        ValueError: a key is unknown, missing, or has a value that is not possible; a file is
            missing. While records are read: one is malformed or lacks a column; the message names
            file and line.

    Example:

        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a.csv").write_text("seq,y\\nACGT,1\\n")
        >>> parts = open_source({"files": "a.csv", "columns": {"sequence": "seq"}}, folder)
        >>> [record.values for record in parts["all"]]
        [{'sequence': 'ACGT', 'y': '1'}]
    """
    folder = Path(folder)
    if isinstance(spec, str):
        return open_source({"files": spec}, folder)
    if isinstance(spec, Sequence):
        return _joined([open_source(entry, folder) for entry in spec])
    if not isinstance(spec, Mapping):
        raise ValueError(f"data is {spec!r}: give files, or one of {', '.join(FORMS)}")
    if spec.keys() & set(PARTS):
        return _divided(spec, folder)
    forms = [key for key in FORMS if key in spec]
    if len(forms) != 1:
        raise ValueError(
            f"data has {' and '.join(forms) or 'none'} of the keys {', '.join(FORMS)}: give one"
            + "".join(did_you_mean(str(key), FORMS) for key in spec if not forms)
        )
    form = FORMS[forms[0]]
    _check_keys(spec, f"data with {forms[0]}", (forms[0], *form.needed), form.other + _COMMON)
    parts = form.open(spec, folder)
    if not any(key in spec for key in _COMMON):
        return parts
    changes = Changes(_mapping(spec, "columns"), _mapping(spec, "set"), spec.get("limit"))
    return {part: changed_stream(records, changes) for part, records in parts.items()}


def _joined(all_parts: Sequence[Parts]) -> Parts:
    """The parts of several sources, one after the other."""
    if not all_parts:
        raise ValueError("data is an empty list: give at least one file")
    for parts in all_parts[1:]:
        if parts.keys() != all_parts[0].keys():
            raise ValueError(
                f"data: one source of a list has the parts {', '.join(all_parts[0])}, another "
                f"{', '.join(parts)}: give train, validation and test apart"
            )
    return {
        part: RecordStream(partial(chain.from_iterable, [parts[part] for parts in all_parts]))
        for part in all_parts[0]
    }


def _divided(spec: Entry, folder: Path) -> Parts:
    """Parts that are stated one by one."""
    _check_keys(spec, "data with parts", (), PARTS)
    parts: Parts = {}
    for part in PARTS:
        if part in spec:
            opened = open_source(spec[part], folder)
            if list(opened) != [ALL]:
                raise ValueError(
                    f"data: {part} is a source with the parts {', '.join(opened)} of its own: give "
                    "it as data, or name a file of it"
                )
            parts[part] = opened[ALL]
    return parts


def _check_keys(spec: Entry, where: str, needed: Sequence[str], other: Sequence[str]) -> None:
    known = (*needed, *other)
    for key in spec:
        if key not in known:
            raise ValueError(
                f"{where}: unknown key {key!r}{did_you_mean(str(key), known)} (it has "
                f"{', '.join(known)})"
            )
    for key in needed:
        if spec.get(key) is None:
            raise ValueError(f"{where}: {key} is missing")


def _mapping(spec: Entry, key: str) -> Mapping[str, Any]:
    value = spec.get(key, {})
    if not isinstance(value, Mapping):
        raise ValueError(f"data: {key} is {value!r}: give a mapping, as {{name: value}}")
    return value


def _list(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _existing(folder: Path, name: Any) -> Path:
    path = folder / Path(str(name)).expanduser()
    if not path.exists():
        raise ValueError(f"{path}: no such file or folder")
    return path


def _matching(folder: Path, name: str) -> list[Path]:
    """The file of that name, or those that fit the pattern."""
    path = folder / Path(name).expanduser()
    if path.is_file():
        return [path]
    pattern = os.fspath(Path(name).expanduser())
    found = [folder / file for file in sorted(glob.glob(pattern, root_dir=folder, recursive=True))]
    files = [file for file in found if file.is_file() and file.suffix not in _DERIVED]
    if not files:
        what = "no such file" if not glob.has_magic(name) else "no file fits this pattern"
        raise ValueError(f"{path}: {'is a folder: name files in it' if path.is_dir() else what}")
    return files


def _files(spec: Entry, folder: Path) -> Parts:
    format = spec.get("format")
    if format is not None and format not in FORMATS:
        raise ValueError(
            f"data: unknown format {format!r}{did_you_mean(str(format), FORMATS)} (choose one of "
            f"{', '.join(FORMATS)})"
        )
    paths = [path for name in _list(spec["files"]) for path in _matching(folder, name)]
    return {ALL: file_stream(list(dict.fromkeys(paths)), format)}


def _deepgsr(spec: Entry, folder: Path) -> Parts:
    variants = spec.get("variants", "all")
    chosen = variants if variants == "all" else _list(variants)
    return {ALL: deepgsr_stream(_existing(folder, spec["deepgsr"]), chosen)}


def _xpresso(spec: Entry, folder: Path) -> Parts:
    left_out = [_existing(folder, name) for name in _list(spec.get("leave_out", []))]
    return {**xpresso_parts(_existing(folder, spec["xpresso"]), spec.get("split"), left_out)}


def _gue(spec: Entry, folder: Path) -> Parts:
    return {**gue_parts(_existing(folder, spec["gue"]), spec.get("train_on"))}


def _nucleotide_transformer(spec: Entry, folder: Path) -> Parts:
    return {**nucleotide_transformer_parts(_existing(folder, spec["nucleotide_transformer"]))}


def _dataset(spec: Entry, folder: Path) -> Parts:
    splits = _mapping(spec, "splits") or None
    stated = {key: spec.get(key) for key in ("name", "revision")}
    return {**dataset_parts(str(spec["dataset"]), folder, splits=splits, **stated)}


def _regions(spec: Entry, folder: Path) -> Parts:
    negatives = None
    if "negatives" in spec:
        stated = _mapping(spec, "negatives")
        _check_keys(stated, "data: negatives", ("match",), ("per_site", "seed", "within", "label"))
        refuse_truth_values(stated, "data: negatives")
        negatives = Negatives(**stated)
    options = {
        key: spec[key]
        for key in ("upstream", "downstream", "edge", "feature", "label")
        if key in spec
    }
    refuse_truth_values(options, "data with regions")
    windows = RegionWindows(
        _existing(folder, spec["regions"]),
        anchor=str(spec["anchor"]),
        **options,
        negatives=negatives,
        **_genome(spec, folder),
    )
    return {ALL: windows}


def _genes(spec: Entry, folder: Path) -> Parts:
    promoter = spec["promoter"]
    if not isinstance(promoter, list) or len(promoter) != 2:
        raise ValueError(
            f"data: promoter is {promoter!r}: give [upstream, downstream] in bases, as [7000, 3500]"
        )
    expression = spec.get("expression")
    table = GeneTable(
        _existing(folder, spec["genes"]),
        upstream=promoter[0],
        downstream=promoter[1],
        expression=None if expression is None else _existing(folder, expression),
        **{key: spec[key] for key in ("id", "target", "edge") if key in spec},
        **_genome(spec, folder),
    )
    return {ALL: table}


def _genome(spec: Entry, folder: Path) -> dict[str, Any]:
    """What both kinds of windows say of their genome."""
    contigs = spec.get("contigs")
    cache = spec.get("cache_folder")
    if isinstance(contigs, Mapping):
        # YAML reads the names of many contigs as numbers
        contigs = {str(theirs): str(ours) for theirs, ours in contigs.items()}
    elif contigs is not None:
        contigs = _list(contigs)
    return {
        "genome": _existing(folder, spec["genome"]),
        "contigs": contigs,
        "cache_folder": None if cache is None else folder / Path(str(cache)).expanduser(),
    }


class _Form(NamedTuple):
    """How a kind of source is opened, and its keys besides the one that says its kind."""

    open: Callable[[Entry, Path], Parts]
    needed: tuple[str, ...] = ()
    other: tuple[str, ...] = ()


_OF_GENOME = ("edge", "contigs", "cache_folder")
FORMS = {
    "files": _Form(_files, other=("format",)),
    "deepgsr": _Form(_deepgsr, other=("variants",)),
    "xpresso": _Form(_xpresso, other=("split", "leave_out")),
    "gue": _Form(_gue, other=("train_on",)),
    "nucleotide_transformer": _Form(_nucleotide_transformer),
    "dataset": _Form(_dataset, other=("name", "splits", "revision")),
    "regions": _Form(
        _regions,
        ("genome", "anchor", "upstream", "downstream"),
        ("feature", "label", "negatives", *_OF_GENOME),
    ),
    "genes": _Form(_genes, ("genome", "promoter"), ("expression", "id", "target", *_OF_GENOME)),
}
