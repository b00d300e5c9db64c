"""A file of finished sequences, from which an interrupted generation resumes.

Its first line is JSON with the arguments of the run. Records of fixed size follow, so that one that
was cut off is recognized and generated again.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dnagpt_hf.atomic_files import named_write_errors, write_text


class ResumptionError(ValueError):
    """A file of finished sequences from which a run cannot resume."""


class PartialGeneration:
    """Finished sequences, in memory and in a file.

    Args:
        path: the file, which is read if it exists; without one, sequences are in memory alone.
        run: plain data that must be the same when a run resumes.
        length: tokens of a sequence.
        num_reasons: number of reasons for which sequences are rejected.

    Raises:
        ResumptionError: the file is of another run, or no such file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        run: Mapping[str, Any],
        length: int,
        num_reasons: int,
    ) -> None:
        self.record = np.dtype(
            [("number", "<i8"), ("rejected", "<i8", (num_reasons,)), ("ids", "<i4", (length,))]
        )
        self.path = None if path is None else Path(path)
        self._blocks: list[NDArray[Any]] = [np.empty(0, self.record)]
        if self.path is None:
            return
        header = json.dumps(dict(run)).encode()
        if not self.path.exists():
            # whole or not at all: without room, an empty file would be that of another run
            write_text(self.path, header.decode() + "\n")
        found, _, content = self.path.read_bytes().partition(b"\n")
        if found != header:
            raise ResumptionError(
                f"{self.path} is of another run ({_difference(found, header)}): give the same "
                "arguments again, or delete the file to start anew"
            )
        whole = len(content) // self.record.itemsize
        self._blocks.append(np.frombuffer(content, self.record, count=whole))
        # the next record follows the last whole one
        os.truncate(self.path, len(header) + 1 + whole * self.record.itemsize)

    def append(
        self, numbers: NDArray[np.int64], rejected: NDArray[np.int64], ids: NDArray[np.int64]
    ) -> None:
        """Add finished sequences.

        Args:
            numbers: numbers of the sequences, `(rows,)`.
            rejected: sequences that were rejected before each, `(rows, reasons)`.
            ids: the sequences, `(rows, length)`.
        """
        block = np.empty(len(numbers), self.record)
        block["number"], block["rejected"], block["ids"] = numbers, rejected, ids
        self._blocks.append(block)
        if self.path is not None:
            with named_write_errors(self.path), open(self.path, "ab") as stream:
                stream.write(block.tobytes())

    @property
    def records(self) -> NDArray[Any]:
        """All finished sequences in the order of their numbers, `(sequences,)`."""
        records = np.concatenate(self._blocks)
        return records[np.argsort(records["number"], kind="stable")]


def weights_checksum(model: nn.Module) -> str:
    """Compute a checksum of all weights, which identifies a model.

    Example:

        >>> first = nn.Linear(2, 2)
        >>> weights_checksum(first) == weights_checksum(nn.Linear(2, 2))
        False
    """
    checksum = 0
    for weight in model.parameters():
        content = weight.detach().cpu().contiguous().view(-1).view(torch.uint8)
        checksum = zlib.crc32(content.numpy().tobytes(), checksum)
    return f"{checksum:08x}"


def _difference(found: bytes, wanted: bytes) -> str:
    try:
        there, here = json.loads(found), json.loads(wanted)
        names = [name for name in here if there.get(name) != here[name]]
    except (ValueError, AttributeError):
        return "its first line is no description of a run"
    return ", ".join(f"{name} {there.get(name)}, not {here[name]}" for name in names)
