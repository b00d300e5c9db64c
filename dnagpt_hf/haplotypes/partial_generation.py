"""A file that keeps what is generated until all of it is there.

Its first line says what is being generated. Behind it stand records of fixed size, so that one that
was cut off is seen and made anew.
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


class ResumptionError(ValueError):
    """A file of unfinished sequences that cannot be gone on with."""


class PartialGeneration:
    """Sequences that are finished, in memory and in a file.

    Args:
        path: the file, which is read if it exists; without one they are kept in memory alone.
        description: plain data that must be the same when a run goes on.
        length: tokens of a sequence.
        reasons: names under which the sequences are counted that were thrown away.

    Raises:
        ResumptionError: the file is of another run, or no such file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        description: Mapping[str, Any],
        length: int,
        reasons: tuple[str, ...],
    ) -> None:
        self.record = np.dtype(
            [("number", "<i8"), ("rejected", "<i8", (len(reasons),)), ("ids", "<i4", (length,))]
        )
        self.reasons = reasons
        self.path = None if path is None else Path(path)
        self._blocks: list[NDArray[Any]] = []
        self._header = json.dumps(dict(description)).encode() + b"\n"
        if self.path is None:
            return
        if self.path.exists():
            self._read(self.path)
        else:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_bytes(self._header)

    def _read(self, path: Path) -> None:
        with open(path, "rb") as stream:
            header = stream.readline()
            if header != self._header:
                raise ResumptionError(
                    f"{path} holds what another command left unfinished "
                    f"({_difference(header, self._header)}): give the same arguments again, or "
                    "delete the file to start anew"
                )
            content = stream.read()
        whole = len(content) // self.record.itemsize
        records = np.frombuffer(content, self.record, count=whole)
        if whole:
            self._blocks.append(records)
        # what follows is appended to whole records
        with open(path, "rb+") as stream:
            stream.truncate(len(header) + whole * self.record.itemsize)

    def append(
        self, numbers: NDArray[np.int64], rejected: NDArray[np.int64], ids: NDArray[np.int64]
    ) -> None:
        """Add finished sequences.

        Args:
            numbers: which sequences they are, `(rows,)`.
            rejected: how many were thrown away before each, `(rows, reasons)`.
            ids: the sequences, `(rows, length)`.
        """
        block = np.empty(len(numbers), self.record)
        block["number"], block["rejected"], block["ids"] = numbers, rejected, ids
        self._blocks.append(block)
        if self.path is not None:
            with open(self.path, "ab") as stream:
                stream.write(block.tobytes())

    @property
    def records(self) -> NDArray[Any]:
        """All finished sequences in the order of their numbers, `(sequences,)`."""
        records = np.concatenate([np.empty(0, self.record), *self._blocks])
        return records[np.argsort(records["number"], kind="stable")]

    def remove(self) -> None:
        """Delete the file, once its content stands elsewhere."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def weights_checksum(model: nn.Module) -> str:
    """A checksum of all weights, by which a model is known again.

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
        return "its first line says nothing of it"
    return ", ".join(f"{name} {there.get(name)}, not {here[name]}" for name in names)
