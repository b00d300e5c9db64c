"""The records that a model was trained on, among those that it is measured on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.atomic_files import new_file
from dnagpt_hf.messages import count
from dnagpt_hf.tasks.examples import Examples

logger = logging.getLogger(__name__)


class TrainingOverlap:
    """Counts the records on which a model was trained, among those that it is measured on.

    A checkpoint folder keeps 64 bits of the key of each training record, and no sequences. The
    name of the file begins with an underscore, so that it is not published.

    Args:
        folder: the checkpoint folder; without the file, no record is known.
    """

    FILE = "_trained_on.npy"

    def __init__(self, folder: Path) -> None:
        path = folder / self.FILE
        self.hashes = np.load(path, allow_pickle=False) if path.is_file() else _hashes([])
        self.records = self.known = 0

    @classmethod
    def save(cls, folder: Path, examples: Examples) -> None:
        """Write the hashes of the training split into a checkpoint folder."""
        with (
            new_file(folder / cls.FILE, overwrite=True, shared=True) as partial,
            # NumPy adds an ending to a name, but not to a stream
            open(partial, "wb") as stream,
        ):
            np.save(stream, _hashes(examples.keys))

    def add(self, keys: Sequence[bytes]) -> None:
        """Count records by their keys."""
        self.records += len(keys)
        self.known += int(np.isin(_hashes(keys), self.hashes).sum())

    def warn(self, source: str) -> None:
        """Warn of records of a file that were trained on, if there are any."""
        if self.known:
            logger.warning(
                "%s: the model was trained on %s of these %s, which say little about new ones: "
                "measure it on others, such as the test split of its task",
                source,
                f"{self.known:,}",
                count(self.records, "record"),
            )


def _hashes(keys: Sequence[bytes]) -> NDArray[np.uint64]:
    return np.sort(np.array([int.from_bytes(key[:8], "little") for key in keys], np.uint64))
