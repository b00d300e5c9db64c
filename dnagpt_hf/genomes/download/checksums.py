"""Checksums of files: MD5, SHA-256, and that of the old Unix command `sum`."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from functools import partial

_FORMS = {"md5": r"[0-9a-f]{32}", "sha256": r"[0-9a-f]{64}", "sum": r"\d{5} \d+"}
ALGORITHMS = tuple(_FORMS)
_CHUNK = 1 << 20


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


def parse_checksums(text: str, algorithm: str, url: str) -> dict[str, Checksum]:
    """Read a list of checksums by file name.

    Args:
        text: a checksum and a name on each line.
        algorithm: one of `ALGORITHMS`.
        url: address of the list, for errors.

    Raises:
        ValueError: a line has another form.

    Example:

        >>> parse_checksums("4081\\t20\\t./a.fa.gz\\n", "sum", "CHECKSUMS")
        {'a.fa.gz': Checksum(algorithm='sum', value='04081 20')}
    """
    checksums = {}
    for line in filter(str.strip, text.splitlines()):
        *value, name = line.split(maxsplit=_FORMS[algorithm].count(" ") + 1)
        try:
            checksum = Checksum(algorithm, " ".join(value))
        except ValueError as error:
            raise ValueError(f"{url}: the line {line[:80]!r} holds no checksum") from error
        checksums[name.rstrip().removeprefix("./")] = checksum
    return checksums


def file_checksum(path: str | os.PathLike[str], algorithm: str) -> Checksum:
    """Compute the checksum of a file; `algorithm` is one of `ALGORITHMS`."""
    with open(path, "rb") as file:
        if algorithm != "sum":
            digest = partial(hashlib.new, algorithm, usedforsecurity=False)
            return Checksum(algorithm, hashlib.file_digest(file, digest).hexdigest())
        # `sum -r`, which no library computes: for each byte, rotate 16 bits to the right by one,
        # then add the byte. One look-up rotates, also a number to which a byte was added.
        rotated = [(number & 0xFFFF) >> 1 | (number & 1) << 15 for number in range((1 << 16) + 255)]
        value = 0
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            for byte in chunk:
                value = rotated[value] + byte
        return Checksum("sum", f"{value & 0xFFFF} {-(-file.tell() // 1024)}")
