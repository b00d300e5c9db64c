"""Training checkpoints that are either complete or ignored.

The last file written to a folder `checkpoint-STEP` is a list of its files. A folder without it, or
in which a file is missing or has another size, is incomplete, and no run resumes from it.
"""

from __future__ import annotations

import json
import logging
import pickle
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from dnagpt_hf.atomic_files import sole_writer_of_folder, write_json
from dnagpt_hf.messages import on_one_line

logger = logging.getLogger(__name__)

CONTENTS = "contents.json"
RUN = "run.json"
_NAME = re.compile(r"checkpoint-(\d+)")


class CheckpointError(ValueError):
    """A checkpoint that training cannot go on from; the message names the file."""


def checkpoints(output_folder: Path) -> list[Path]:
    """List all folders `checkpoint-STEP`, complete or not, in the order of their steps."""
    found = [
        (int(match.group(1)), path)
        for path in output_folder.glob("checkpoint-*")
        if path.is_dir() and (match := _NAME.fullmatch(path.name))
    ]
    return [path for _, path in sorted(found)]


def seal_checkpoint(folder: Path) -> None:
    """Write the list of files that makes a checkpoint complete."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != CONTENTS]
    sizes = {str(path.relative_to(folder)): path.stat().st_size for path in files}
    write_json(folder / CONTENTS, sizes)


def check_checkpoint(folder: Path) -> None:
    """Refuse a checkpoint that is not complete.

    Raises:
        CheckpointError: it is no folder, is incomplete, or a file has another size.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is no folder: give a folder checkpoint-STEP")
    try:
        sizes = json.loads((folder / CONTENTS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{folder} has no {CONTENTS}: it was cut off while it was written; resume from an "
            "earlier checkpoint"
        ) from None
    except ValueError as error:
        raise CheckpointError(f"{folder / CONTENTS} is damaged: {error}") from None
    for name, size in sizes.items():
        path = folder / name
        if not path.is_file():
            raise CheckpointError(f"{path} is missing: resume from an earlier checkpoint")
        if path.stat().st_size != size:
            raise CheckpointError(
                f"{path} has {path.stat().st_size:,} bytes instead of {size:,}: it is damaged; "
                "resume from an earlier checkpoint"
            )


@contextmanager
def sole_run(training: Any) -> Iterator[None]:
    """Keep a second run out of the folder of a run that is under way.

    Args:
        training: the `TrainingArguments`; of several processes, those that write hold the folder.

    Raises:
        DestinationError: a run is under way; the message names its process and host.
    """
    with sole_writer_of_folder(training.output_dir) if training.should_save else nullcontext():
        yield


@contextmanager
def loading(folder: str | Path) -> Iterator[None]:
    """Name the checkpoint in errors of reading it.

    Raises:
        CheckpointError: a file has the right size and the wrong content, or is of another model.
    """
    try:
        yield
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        reason = on_one_line(error)
        raise CheckpointError(
            f"{folder} cannot be loaded ({reason[:200]}): it is damaged or of another model: "
            "resume from an earlier checkpoint, or choose another output_dir"
        ) from error


def last_checkpoint(output_folder: Path) -> Path | None:
    """Find the newest complete checkpoint of a run; incomplete ones are reported."""
    for folder in reversed(checkpoints(output_folder)):
        try:
            check_checkpoint(folder)
        except CheckpointError as error:
            logger.warning("%s", error)
        else:
            return folder
    return None


def rotate_checkpoints(output_folder: Path, limit: int, keep: str | None = None) -> None:
    """Delete the oldest complete checkpoints, and keep `limit` of them.

    Args:
        output_folder: folder of the run.
        limit: number of checkpoints to keep.
        keep: a checkpoint that is never deleted, such as the best one.
    """
    complete = [path for path in checkpoints(output_folder) if (path / CONTENTS).is_file()]
    for folder in complete[: max(0, len(complete) - max(1, limit))]:
        if keep is None or folder.resolve() != Path(keep).resolve():
            shutil.rmtree(folder, ignore_errors=True)


def remove_later_checkpoints(folder: Path) -> None:
    """Delete the checkpoints of later steps than a new one, since they are of an earlier run."""
    everything = checkpoints(folder.parent)
    for later in everything[everything.index(folder) + 1 :]:
        logger.warning("%s of an earlier run is removed", later)
        shutil.rmtree(later, ignore_errors=True)
