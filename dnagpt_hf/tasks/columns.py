"""Records of files that can be read more than once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from dnagpt_hf.records.reading import Record, RecordReader, did_you_mean

# parts of data, and what else they are called
PART_NAMES = {
    "train": ("train",),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}
PARTS = tuple(PART_NAMES)
# all of a source that has no parts of its own
ALL = "all"


@dataclass(frozen=True)
class RecordStream:
    """Records that are read anew in each iteration.

    Args:
        read: begins to read them.
    """

    read: Callable[[], Iterator[Record]]

    def __iter__(self) -> Iterator[Record]:
        return self.read()


def file_stream(paths: Sequence[Path], format: str | None = None) -> RecordStream:
    """Records of files, one after the other.

    Args:
        paths: the files.
        format: one of `FORMATS`; by default what each file tells.
    """
    return RecordStream(partial(_read_files, tuple(paths), format))


def _read_files(paths: Sequence[Path], format: str | None) -> Iterator[Record]:
    for path in paths:
        with RecordReader(path, format=format) as reader:
            yield from reader


@dataclass(frozen=True)
class Changes:
    """What is done to all records of a source.

    Args:
        columns: names of columns as the task has them, and as the source has them.
        constants: columns that have the same value in all records.
        limit: how many records are read.

    Raises:
        ValueError: the limit is no number, a column is to have two names, or a value is a truth
            value.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and (type(self.limit) is not int or self.limit < 1):
            raise ValueError(f"limit is {self.limit!r}: give a number of records, 1 or more")
        if len(set(self.columns.values())) < len(self.columns):
            raise ValueError("columns: one column is to have two names: give it one")
        refuse_truth_values(self.constants, "set")

    def __call__(self, record: Record) -> Record:
        """The changed record.

        Raises:
            RecordError: it lacks a column, or has another one of the new name.
        """
        for theirs in self.columns.values():
            if theirs not in record.values:
                raise record.error(
                    f"there is no column {theirs!r}, only {', '.join(record.values)}"
                    f"{did_you_mean(theirs, record.values)}"
                )
        ours = {theirs: our for our, theirs in self.columns.items()}
        values = {ours.get(column, column): value for column, value in record.values.items()}
        if len(values) < len(record.values):
            taken = next(our for our in self.columns if our in record.values and our not in ours)
            raise record.error(f"columns: there is a column {taken!r} already: rename that one too")
        return replace(record, values={**values, **self.constants})


def refuse_truth_values(values: Mapping[str, Any], where: str) -> None:
    """Refuse words that YAML reads as true or false, where a label is meant.

    Raises:
        ValueError: one of the values is such.
    """
    for key, value in values.items():
        if isinstance(value, bool):
            raise ValueError(
                f"{where}: {key} is {str(value).lower()} in YAML, which may have been yes, no, on "
                "or off: put the value in quotation marks"
            )


def changed_stream(records: Iterable[Record], changes: Changes) -> RecordStream:
    """Records with other columns, or the first of them only."""
    return RecordStream(lambda: map(changes, islice(records, changes.limit)))


def part_files(folder: Path, endings: Sequence[str]) -> dict[str, Path]:
    """Files of a folder by the part of the data that their names state.

    Args:
        folder: the folder.
        endings: those that their names may have, the preferred ones first.

    Returns:
        A file for each of `PARTS` that is there: `train`; `validation`, also called `valid`, `val`
        or `dev`; `test`.

    Raises:
        ValueError: there is no such folder, or no such file in it.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    found: dict[str, Path] = {}
    for part, stems in PART_NAMES.items():
        names = (folder / f"{stem}{ending}" for ending in endings for stem in stems)
        path = next(filter(Path.is_file, names), None)
        if path is not None:
            found[part] = path
    if not found:
        raise ValueError(
            f"{folder} has none of the files "
            f"{', '.join(stems[-1] + endings[0] for stems in PART_NAMES.values())}"
            f" (endings: {', '.join(endings)})"
        )
    return found
