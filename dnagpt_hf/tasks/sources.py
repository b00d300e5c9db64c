"""Sources of the records of a task: the entry `data:` of its YAML file.

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

An entry is one of the models that `FORMS` names, which is told from its key; a name alone is the
name of a file, and the entries of a list are read one after the other. Relative paths start at the
folder of the YAML file. The module of a form is imported when the form is used.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from dnagpt_hf.atomic_files import new_file
from dnagpt_hf.messages import did_you_mean
from dnagpt_hf.records.reading import Record, RecordReader, change_columns, to_records
from dnagpt_hf.tasks.answers import Text
from dnagpt_hf.yaml_files import Settings, validated

Splits = Mapping[str, Iterable[Record]]

# splits, and the names that files and data sets give to them
SPLIT_NAMES = {
    "train": ("train",),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}
SPLITS = tuple(SPLIT_NAMES)
# the records of a source that is not split yet
ALL = "all"
# modules and models by the key that tells a form
FORMS = {
    "files": ("sources", "Files"),
    "deepgsr": ("benchmarks", "DeepGSR"),
    "xpresso": ("benchmarks", "Xpresso"),
    "gue": ("benchmarks", "GUE"),
    "nucleotide_transformer": ("benchmarks", "NucleotideTransformer"),
    "dataset": ("hub_datasets", "HubDataset"),
    "regions": ("genome_windows", "Regions"),
    "genes": ("genome_windows", "Genes"),
}
# keys of YAML files below which every value is text, so that a label may be 1, true or no
TEXT_KEYS = ("answers", "positive", "set", "label", "columns", "contigs", "variants")
# files that tools write beside a FASTA file
_DERIVED = (".fai", ".gzi", ".unpacked", ".lock")


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


Names = Annotated[list[Text], BeforeValidator(_as_list)]


class Source(Settings):
    """Settings that all sources have.

    Args:
        columns: columns to rename, `{NEW: OLD}`.
        set: columns with the same value for all records.
        limit: number of records that are read of each split.
    """

    columns: dict[str, str] = Field({})
    set: dict[str, Text] = Field({})
    limit: Annotated[int, Field(ge=1)] | None = None

    def read(self, folder: Path) -> Splits:
        """Give the records by split, or those of `"all"` where the source has no splits.

        Args:
            folder: the folder of relative paths.

        Raises:
            ValueError: a file is missing, or a value does not fit it.
        """
        raise NotImplementedError

    def open(self, folder: Path) -> Splits:
        """Give the records with renamed and further columns; arguments as in `read`."""
        return {
            split: change_columns(islice(records, self.limit), self.columns, self.set)
            for split, records in self.read(folder).items()
        }


class Files(Source):
    """Files of records, by their names or patterns."""

    files: Names
    format: Literal["fasta", "csv", "tsv", "jsonl", "text", "parquet"] | None = None

    def read(self, folder: Path) -> Splits:
        paths = [path for name in self.files for path in _matching(folder, name)]
        return {ALL: read_files(list(dict.fromkeys(paths)), self.format)}


def open_source(spec: Mapping[str, Any] | Sequence[Any] | str, folder: Path) -> Splits:
    """Open the data of a task.

    Args:
        spec: the entry `data:` of its YAML file, as the module describes it.
        folder: the folder of relative paths.

    Returns:
        Records by split: `all` where the source has no splits, or else those of `train`,
        `validation` and `test` that there are. They are read once.

    Raises:
        ValueError: a key is unknown or missing, or has a value that is not possible; a file is
            missing. While records are read: a record is malformed or lacks a column; the message
            names file and line.

    Example:

        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a.csv").write_text("seq,y\\nACGT,1\\n")
        >>> splits = open_source({"files": "a.csv", "columns": {"sequence": "seq"}}, folder)
        >>> [record.values for record in splits["all"]]
        [{'sequence': 'ACGT', 'y': '1'}]
    """
    folder = Path(folder)
    if isinstance(spec, str):
        return open_source({"files": spec}, folder)
    if isinstance(spec, Sequence):
        return _joined([open_source(entry, folder) for entry in spec])
    if not isinstance(spec, Mapping):
        raise ValueError(f"data is {spec!r}: give files, or one of {', '.join(FORMS)}")
    if spec.keys() & {*SPLITS}:
        return _by_split(spec, folder)
    forms = [key for key in FORMS if key in spec]
    if len(forms) != 1:
        raise ValueError(
            f"data has {' and '.join(forms) or 'none'} of the keys {', '.join(FORMS)}: give one"
            + "".join(did_you_mean(str(key), FORMS) for key in spec if not forms)
        )
    module, model = FORMS[forms[0]]
    form: type[Source] = getattr(import_module(f"dnagpt_hf.tasks.{module}"), model)
    return validated(form, dict(spec), f"data with {forms[0]}").open(folder)


def _joined(sources: Sequence[Splits]) -> Splits:
    """Join the splits of several sources, one source after the other."""
    if not sources:
        raise ValueError("data is an empty list: give at least one file")
    for splits in sources[1:]:
        if splits.keys() != sources[0].keys():
            raise ValueError(
                f"data: one source of a list has the splits {', '.join(sources[0])}, another "
                f"{', '.join(splits)}: give train, validation and test apart"
            )
    return {
        split: chain.from_iterable([splits[split] for splits in sources]) for split in sources[0]
    }


def _by_split(spec: Mapping[str, Any], folder: Path) -> Splits:
    """Open sources that are stated split by split."""
    for split in spec:
        if split not in SPLITS:
            raise ValueError(
                f"data by split: unknown key {split!r}{did_you_mean(str(split), SPLITS)} (choose "
                f"from {', '.join(SPLITS)})"
            )
    opened: dict[str, Iterable[Record]] = {}
    for split in filter(spec.__contains__, SPLITS):
        source = open_source(spec[split], folder)
        if list(source) != [ALL]:
            raise ValueError(
                f"data: {split} is a source with the splits {', '.join(source)} of its own: give "
                "it as data, or name a file of it"
            )
        opened[split] = source[ALL]
    return opened


def read_files(paths: Sequence[Path], format: str | None = None) -> Iterator[Record]:
    """Read the records of files, one file after the other.

    Args:
        paths: the files.
        format: one of `FORMATS`; by default the format of each file is recognized.
    """
    for path in paths:
        with RecordReader(path, format=format) as reader:
            yield from reader


def split_files(folder: Path, endings: Sequence[str]) -> dict[str, Path]:
    """Find the files of the splits in a folder by their names.

    Args:
        folder: the folder.
        endings: endings that the names may have, the preferred ones first.

    Returns:
        A file for each of `SPLITS` that is there: `train`; `validation`, also called `valid`,
        `val` or `dev`; `test`.

    Raises:
        ValueError: there is no such folder, or no such file in it.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    found: dict[str, Path] = {}
    for split, stems in SPLIT_NAMES.items():
        names = (folder / f"{stem}{ending}" for ending in endings for stem in stems)
        path = next(filter(Path.is_file, names), None)
        if path is not None:
            found[split] = path
    if not found:
        raise ValueError(
            f"{folder} has none of the files "
            f"{', '.join(stems[-1] + endings[0] for stems in SPLIT_NAMES.values())}"
            f" (endings: {', '.join(endings)})"
        )
    return found


def existing(folder: Path, name: str) -> Path:
    """Find a file or folder.

    Args:
        folder: the folder of relative paths.
        name: its name.

    Raises:
        ValueError: there is none of that name.
    """
    path = folder / name
    if not path.exists():
        raise ValueError(f"{path}: no such file or folder")
    return path


def _matching(folder: Path, name: str) -> list[Path]:
    """Find the file of a name, or the files of a pattern."""
    path = folder / name
    if path.is_file():
        return [path]
    found = [folder / file for file in sorted(glob.glob(name, root_dir=folder, recursive=True))]
    files = [file for file in found if file.is_file() and file.suffix not in _DERIVED]
    if not files:
        problem = "no file fits this pattern" if glob.has_magic(name) else "no such file"
        raise ValueError(f"{path}: {'is a folder: name files in it' if path.is_dir() else problem}")
    return files


def dataset_names(spec: Any) -> list[str]:
    """List the datasets that the entry `data:` of a task names.

    Example:

        >>> dataset_names({"train": {"dataset": "ORG/promoters"}, "test": {"files": "a.csv"}})
        ['ORG/promoters']
    """
    if isinstance(spec, Mapping):
        here = [spec["dataset"]] if isinstance(spec.get("dataset"), str) else []
        return list(dict.fromkeys(here + dataset_names(list(spec.values()))))
    if isinstance(spec, list | tuple):
        return list(dict.fromkeys(name for entry in spec for name in dataset_names(entry)))
    return []


def as_source(data: Any, folder: Path) -> Any:
    """Convert data of a Python call to the entry `data:` of a YAML file.

    Args:
        data: an entry as [`open_source`] takes it; the path of a file; a table in memory, as
            [`to_records`] reads it; or a mapping of splits to these.
        folder: folder for the files of tables, whose names change with their content.

    Example:

        >>> import tempfile
        >>> as_source({"train": "a.csv"}, Path())
        {'train': 'a.csv'}
        >>> source = as_source([{"sequence": "ACGT", "label": "1"}], Path(tempfile.mkdtemp()))
        >>> Path(source["files"]).read_text()
        '{"sequence": "ACGT", "label": "1"}\\n'
    """
    if isinstance(data, os.PathLike):
        return os.fspath(data)
    if isinstance(data, Mapping) and data.keys() & {*SPLITS}:
        return {split: as_source(one, folder) for split, one in data.items()}
    # the entries of a list of sources are names, or have the key of a form, as no row has
    is_list = isinstance(data, list) and all(
        isinstance(one, str) or (isinstance(one, Mapping) and len(one.keys() & FORMS.keys()) == 1)
        for one in data
    )
    if data is None or is_list or isinstance(data, str | Mapping):
        return data
    # values that JSON does not have, such as numbers of NumPy, are read again from their text
    rows = [
        json.dumps(record.values, ensure_ascii=False, default=str) for record in to_records(data)
    ]
    content = "".join(f"{row}\n" for row in rows).encode()
    digest = hashlib.blake2b(content, digest_size=4).hexdigest()
    path = folder.resolve() / f"records-{digest}.jsonl"
    if not path.exists():
        with new_file(path, overwrite=True, shared=True) as partial:
            partial.write_bytes(content)
    return {"files": str(path)}
