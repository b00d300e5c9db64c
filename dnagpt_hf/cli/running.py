"""Progress bars and messages of a running command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tqdm import tqdm


def quiet_transformers() -> None:
    """Silence what Transformers reports while it loads, such as heads that are not needed."""
    from transformers import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


class Report(Protocol):
    """Moves a progress bar to a count, and sets its total."""

    def __call__(self, done: int, total: int | None = None) -> None: ...


@contextmanager
def progress_bar(description: str, total: int | None = None, **options: Any) -> Iterator[Report]:
    """Show a progress bar where standard error is a terminal; yield the function that moves it."""
    with counter(description, total=total, **options) as bar:

        def report(done: int, total: int | None = None) -> None:
            if total is not None:
                bar.total = total
            bar.update(done - bar.n)

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
