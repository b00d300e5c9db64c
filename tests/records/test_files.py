"""Lines of text files."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import pytest

from dnagpt_hf.records.files import RecordError, open_text


def read(path: Path) -> list[tuple[int, str]]:
    with open_text(path) as lines:
        return list(lines)


@pytest.mark.parametrize(
    "content",
    [
        b"one\n\n two\t\n",
        b"one\r\n\r\n two\t\r\n",
        b"one\r\r two\t\r",
        b"\xef\xbb\xbfone\n\n two\t",
        gzip.compress(b"one\n\n two\t\n", mtime=0),
        "one\n\n two\t\n".encode("utf-16"),
    ],
)
def test_lines_as_all_systems_write_them(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    lines = [(number, line.rstrip("\r\n")) for number, line in read(path)]
    assert lines == [(1, "one"), (2, ""), (3, " two\t")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\nb\0\n", "a.gff is not text: line 2 holds a NUL character"),
        (b"a\n\xff\n", "a.gff is not UTF-8 text"),
        (gzip.compress(b"a\n" * 500, mtime=0)[:-9], "a.gff is cut off or damaged"),
        (lzma.compress(b"a\n"), "a.gff is compressed with xz: decompress it"),
        (bz2.compress(b"a\n"), "a.gff is compressed with bzip2: decompress it"),
        (b"\x28\xb5\x2f\xfd\x04\x00", "a.gff is compressed with zstd: decompress it"),
        (b"PK\x03\x04\x14\x00", "a.gff is a zip archive or an Excel workbook"),
    ],
)
def test_broken_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.gff"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=message):
        read(path)
