"""Records of files that can be read more than once, and the splits of a data set by file name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dnagpt_hf.records.reading import Record, RecordReader

# splits, and the names that files and data sets give to them
SPLIT_NAMES = {
    "train": ("train",),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}
SPLITS = tuple(SPLIT_NAMES)
# the records of a source that is not split yet
ALL = "all"


@dataclass(frozen=True)
class RecordStream:
    """Records that are read anew in each iteration.

    Args:
        read: opens the source and gives its records.
    """

    read: Callable[[], Iterator[Record]]

    def __iter__(self) -> Iterator[Record]:
        return self.read()


def file_stream(paths: Sequence[Path], format: str | None = None) -> RecordStream:
    """Read the records of files, one file after the other.

    Args:
        paths: the files.
        format: one of `FORMATS`; by default the format of each file is recognized.
    """
    return RecordStream(partial(_read_files, tuple(paths), format))


def _read_files(paths: Sequence[Path], format: str | None) -> Iterator[Record]:
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
