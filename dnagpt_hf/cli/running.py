"""Progress bars and messages of a running command."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dnagpt_hf.atomic_files import DestinationError

if TYPE_CHECKING:
    from tqdm import tqdm

# names of the arguments and options that are written to
_OUTPUTS = ("output", "destination", "folder", "arrays", "figure", "logo", "per_base")
# of a checkpoint
_MODEL_FILES = (".safetensors", ".json", ".py")


def check_outputs(values: Mapping[str, Any]) -> None:
    """Refuse outputs that would take the place of an input or of each other.

    Args:
        values: arguments and options of a command by their names.

    Raises:
        DestinationError: an output is an input, a file of the model, or another output.
    """
    outputs = {name: values[name] for name in _OUTPUTS if values.get(name) not in (None, "-")}
    places: dict[str, str] = {}
    for name, output in outputs.items():
        place = os.path.realpath(output)
        other = places.setdefault(place, name)
        if other != name and Path("/dev") not in Path(place).parents:
            raise DestinationError(f"{output} is stated twice, as {other} and {name}: choose two")
        others = (value for key, value in values.items() if key not in outputs)
        for value in others:
            for one in value if isinstance(value, list | tuple) else [value]:
                if isinstance(one, str | Path) and _would_replace(Path(output), Path(one)):
                    raise DestinationError(
                        f"{output} is read by this command, which would replace it: choose another "
                        "name"
                    )


def _would_replace(output: Path, input: Path) -> bool:
    """Tell whether an output is a file that is read, or a file of a checkpoint folder."""
    try:
        if input.is_dir():
            is_of_model = output.suffix in _MODEL_FILES and (input / "config.json").is_file()
            return is_of_model and output.is_file() and output.parent.samefile(input)
        return input.is_file() and output.exists() and output.samefile(input)
    except OSError:  # a text that is no name of a file
        return False


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
