"""Progress on standard error, where that is a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from dnagpt_hf.records.reading import Record, RecordReader


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


def reported(records: RecordReader, report: Report) -> Iterator[Record]:
    """The records of a reader, which reports how many bytes of its file were read."""
    for record in records:
        yield record
        report(records.position)
