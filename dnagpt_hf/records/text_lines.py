"""The one opener of text: lines of files, plain or compressed, with their numbers."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

_GZIP_MAGIC = b"\x1f\x8b"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# First bytes of files that are not read, and what to do with them
_UNREAD = {
    b"\x28\xb5\x2f\xfd": "is compressed with zstd: decompress it, or compress it with gzip",
    b"\xfd7zXZ\x00": "is compressed with xz: decompress it, or compress it with gzip",
    b"BZh": "is compressed with bzip2: decompress it, or compress it with gzip",
    b"PK\x03\x04": "is a zip archive or an Excel workbook: extract it, or save the table as CSV",
}


class RecordError(ValueError):
    """A file or record that cannot be used; the message says which, where and why."""


class TextLines:
    """Lines of a file with their ends, read once.

    A file may be compressed with gzip or bgzip, which is told from its first bytes, and begin with
    a byte order mark.

    Args:
        raw: the file, opened for bytes.
        source: name of the file in errors.

    Attributes:
        number: lines read so far.

    Raises:
        RecordError: while it is read: not text, cut off, or in another compression.
    """

    def __init__(self, raw: io.BufferedReader, source: str) -> None:
        self.number = 0
        self._raw = raw
        self._source = source

    def __iter__(self) -> Iterator[str]:
        start = self._raw.peek(6)[:6]
        for magic, problem in _UNREAD.items():
            if start.startswith(magic):
                raise RecordError(f"{self._source} {problem}")
        stream = cast(BinaryIO, self._raw)
        try:
            if start.startswith(_GZIP_MAGIC):
                stream = cast(BinaryIO, gzip.GzipFile(fileobj=self._raw))
            buffered = io.BufferedReader(cast(io.RawIOBase, stream))
            encoding = "utf-16" if buffered.peek(2)[:2] in _UTF16_MARKS else "utf-8-sig"
            # kept, because a text stream closes the file below it when it is collected
            self._text = io.TextIOWrapper(buffered, encoding, newline="")
            for line in self._text:
                self.number += 1
                if "\0" in line:
                    raise RecordError(
                        f"{self._source} is not text: line {self.number} holds a NUL character"
                    )
                yield line
        except UnicodeDecodeError as error:
            raise RecordError(
                f"{self._source} is not UTF-8 text after line {self.number}: save it as UTF-8"
            ) from error
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise RecordError(
                f"{self._source} is cut off or damaged after line {self.number}: {error}"
            ) from error


def numbered_lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    """Read the number, from 1, and the content of each line of a file, without line ends.

    Raises:
        RecordError: the file is not text, cut off, or in another compression than gzip or bgzip.
        OSError: it cannot be opened.

    Example:

        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "sites.bed"
        >>> _ = path.write_bytes(b"chr1\\t5\\t9\\r\\n")
        >>> list(numbered_lines(path))
        [(1, 'chr1\\t5\\t9')]
    """
    with open(path, "rb") as raw:
        lines = TextLines(raw, os.fspath(path))
        for line in lines:
            yield lines.number, line.rstrip("\r\n")
