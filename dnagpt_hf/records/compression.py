"""Compressed files, which their first bytes tell."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

_GZIP_MAGIC = b"\x1f\x8b"
DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile)
"""Errors of files that are cut off or damaged."""


class RecordError(ValueError):
    """A file or record that cannot be used; the message names it, the problem and the remedy."""


def is_gzip(raw: io.BufferedReader) -> bool:
    """Recognize gzip and bgzip by the first bytes of a file."""
    return raw.peek(2).startswith(_GZIP_MAGIC)


def decompressed(raw: io.BufferedReader, source: str) -> io.BufferedReader:
    """Read a file behind its compression: gzip, bgzip, bzip2, xz, zstd, or a zip of one file.

    Args:
        raw: the file, opened for bytes.
        source: its name in messages.

    Returns:
        The file itself where it is not compressed.

    Raises:
        RecordError: it is a zip archive of several files or an Excel workbook, or of zstd and no
            library reads that.
    """
    start = raw.peek(6)
    for magic, opener in _OPENERS.items():
        if start.startswith(magic):
            # a buffer is filled before it is read, so that damage is not taken for an encoding
            return io.BufferedReader(opener(raw, source))
    return raw


def _open_zstd(raw: io.BufferedReader, source: str) -> Any:
    with suppress(ImportError):
        return import_module("compression.zstd").ZstdFile(raw)
    with suppress(ImportError):
        return import_module("zstandard").ZstdDecompressor().stream_reader(raw)
    raise RecordError(
        f"{source} is compressed with zstd: decompress it, or install the package zstandard"
    )


def _open_zip(raw: io.BufferedReader, source: str) -> Any:
    if not raw.seekable():
        raise RecordError(f"{source} is a zip archive: extract it first")
    archive = zipfile.ZipFile(raw)
    names = [name for name in archive.namelist() if not name.endswith("/")]
    if "[Content_Types].xml" in names:
        raise RecordError(f"{source} is an Excel workbook: save the table as CSV")
    if len(names) != 1:
        raise RecordError(f"{source} is a zip archive of {len(names)} files: extract one of them")
    return archive.open(names[0])


# their reader closes them
# ruff: noqa: SIM115
_OPENERS: dict[bytes, Callable[[io.BufferedReader, str], Any]] = {
    _GZIP_MAGIC: lambda raw, _: gzip.GzipFile(fileobj=raw),
    b"BZh": lambda raw, _: bz2.BZ2File(raw),
    b"\xfd7zXZ\x00": lambda raw, _: lzma.LZMAFile(raw),
    b"\x28\xb5\x2f\xfd": _open_zstd,
    b"PK\x03\x04": _open_zip,
}
