"""Checksums of files: MD5, SHA-256, and that of the old Unix command `sum`."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

SUM_BLOCK = 1024
_DIGITS = {"md5": r"[0-9a-f]{32}", "sha256": r"[0-9a-f]{64}", "sum": r"\d{5} \d+"}
ALGORITHMS = tuple(_DIGITS)
_CHUNK = 1 << 20
# Rotation by one bit to the right of 16 bits, also of a rotated number to which a byte was added.
_ROTATED = [(number & 0xFFFF) >> 1 | (number & 1) << 15 for number in range((1 << 16) + 255)]


@dataclass(frozen=True)
class Checksum:
    """What a file is compared with.

    Args:
        algorithm: `"md5"`, `"sha256"` or `"sum"`.
        value: hexadecimal digits; for `sum`, the checksum and the number of blocks of 1,024 bytes,
            as in `"04081 20"`.

    Raises:
        ValueError: the algorithm is not one of these, or the value is not of its form.

    Example:

        >>> str(Checksum("sum", "4081\\t20"))
        'sum 04081 20'
    """

    algorithm: str
    value: str

    def __post_init__(self) -> None:
        if self.algorithm not in _DIGITS:
            raise ValueError(
                f"no checksum of the kind {self.algorithm!r}: choose one of {', '.join(ALGORITHMS)}"
            )
        value = " ".join(self.value.lower().split())
        if self.algorithm == "sum":
            value = value.rjust(5 + len(value) - len(value.partition(" ")[0]), "0")
        if not re.fullmatch(_DIGITS[self.algorithm], value):
            raise ValueError(f"{self.value!r} is no checksum of the kind {self.algorithm}")
        object.__setattr__(self, "value", value)

    def __str__(self) -> str:
        return f"{self.algorithm} {self.value}"

    def of(self, path: str | os.PathLike[str]) -> Checksum:
        """The checksum of the same kind of a file."""
        return file_checksum(path, self.algorithm)

    def fits(self, path: str | os.PathLike[str]) -> bool:
        """Whether a file has this checksum."""
        return self.of(path) == self


def file_checksum(path: str | os.PathLike[str], algorithm: str) -> Checksum:
    """The checksum of a file; `algorithm` is one of `ALGORITHMS`."""
    if algorithm == "sum":
        return _sum(Path(path))
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return Checksum(algorithm, digest.hexdigest())


def _sum(path: Path) -> Checksum:
    """As `sum -r`: rotate 16 bits to the right by one, then add the next byte."""
    value, rotated = 0, _ROTATED
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            for byte in chunk:
                value = rotated[value] + byte
    blocks = -(-path.stat().st_size // SUM_BLOCK)
    return Checksum("sum", f"{value & 0xFFFF:05d} {blocks}")
