"""Model and progress bars of a running command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tqdm import tqdm

    from dnagpt_hf.checkpoints.opening import Checkpoint
    from dnagpt_hf.loaded_model import LoadedModel
    from dnagpt_hf.records.reading import Record, RecordReader


def load(
    source: str | Checkpoint,
    device: str,
    dtype: str | None,
    threads: int | None,
    remainder: Any = None,
    model_class: type[Any] | None = None,
) -> LoadedModel:
    """Load a model by the options of a command.

    Arguments are those of [`~dnagpt_hf.load`]; `threads` is the number of processor threads, by
    default as PyTorch chooses.
    """
    from dnagpt_hf import loaded_model

    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    quiet_transformers()
    return loaded_model.load(
        source, model_class=model_class, device=device, dtype=dtype, remainder=remainder
    )


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


@contextmanager
def reading(records: RecordReader, description: str) -> Iterator[Iterator[Record]]:
    """Yield the records of a reader under a progress bar over the bytes of its file."""
    options = {"unit": "B", "unit_scale": True}
    with progress_bar(description, records.size, **options) as report:

        def counted() -> Iterator[Record]:
            for record in records:
                yield record
                report(records.position)

        yield counted()


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
