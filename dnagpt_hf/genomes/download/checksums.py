"""Checksums of files: MD5, SHA-256, and that of the old Unix command `sum`."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

_FORMS = {"md5": r"[0-9a-f]{32}", "sha256": r"[0-9a-f]{64}", "sum": r"\d{5} \d+"}
ALGORITHMS = tuple(_FORMS)
_CHUNK = 1 << 20
# 16 bits rotated by one bit to the right, also of a rotated number to which a byte was added: one
# look-up for each byte, since no library computes this checksum
_ROTATED = [(number & 0xFFFF) >> 1 | (number & 1) << 15 for number in range((1 << 16) + 255)]


@dataclass(frozen=True)
class Checksum:
    """A published or computed checksum.

    Args:
        algorithm: `"md5"`, `"sha256"` or `"sum"`.
        value: hexadecimal digits; for `sum`, the checksum and the number of blocks of 1,024 bytes,
            as in `"04081 20"`.

    Raises:
        ValueError: the value does not have the form of the algorithm.

    Example:

        >>> str(Checksum("sum", "4081\\t20"))
        'sum 04081 20'
    """

    algorithm: str
    value: str

    def __post_init__(self) -> None:
        first, *others = self.value.lower().split() or [""]
        value = " ".join([first.zfill(5) if self.algorithm == "sum" else first, *others])
        if not re.fullmatch(_FORMS[self.algorithm], value):
            raise ValueError(f"{self.value!r} is not a checksum of the kind {self.algorithm}")
        object.__setattr__(self, "value", value)

    def __str__(self) -> str:
        return f"{self.algorithm} {self.value}"


def file_checksum(path: str | os.PathLike[str], algorithm: str) -> Checksum:
    """Compute the checksum of a file; `algorithm` is one of `ALGORITHMS`."""
    if algorithm == "sum":
        return _sum(Path(path))
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return Checksum(algorithm, digest.hexdigest())


def _sum(path: Path) -> Checksum:
    """Compute `sum -r`: for each byte, rotate 16 bits to the right by one, then add the byte."""
    value, rotated = 0, _ROTATED
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            for byte in chunk:
                value = rotated[value] + byte
    blocks = -(-path.stat().st_size // 1024)
    return Checksum("sum", f"{value & 0xFFFF:05d} {blocks}")
