"""Progress on standard error, where that is a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from dnagpt_hf.records.reading import Record, RecordReader

if TYPE_CHECKING:
    from tqdm import tqdm


class Report(Protocol):
    """Tells a progress bar how much is done, and of how much."""

    def __call__(self, done: int, total: int | None = None) -> None: ...


@contextmanager
def progress_bar(description: str, total: int | None) -> Iterator[Report]:
    """A progress bar, and the function that moves it; without a total it only shows activity."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(description, total=total)

        def report(done: int, total: int | None = None) -> None:
            progress.update(task, completed=done, total=total)

        yield report


def counter(description: str, **options: Any) -> tqdm[Any]:
    """Open a progress bar whose `update` adds to it; options are those of tqdm."""
    from tqdm import tqdm

    return tqdm(desc=description, leave=False, disable=None, **options)


def size_text(size: int) -> str:
    """Write a number of bytes with its unit.

    Example:

        >>> size_text(840_300_000)
        '840MB'
    """
    from tqdm import tqdm

    return f"{tqdm.format_sizeof(size)}B"


def reported(records: RecordReader, report: Report) -> Iterator[Record]:
    """The records of a reader, which reports how many bytes of its file were read."""
    for record in records:
        yield record
        report(records.position)
