"""Lines of text files."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import pytest

from dnagpt_hf.records.files import RecordError, open_text

LINES = b"one\n\n two\t\n"


def zipped(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, LINES)
    return content.getvalue()


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
        gzip.compress(LINES, mtime=0),
        bz2.compress(LINES),
        lzma.compress(LINES),
        zipped("one.gff"),
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
        (lzma.compress(b"a\n" * 500)[:-9], "a.gff is cut off or damaged"),
        (b"PK\x03\x04\x14\x00", "a.gff is cut off or damaged"),
        (zipped("[Content_Types].xml"), "a.gff is an Excel workbook: save the table as CSV"),
        (zipped("a.gff", "b.gff"), "a.gff is a zip archive of 2 files"),
    ],
)
def test_broken_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.gff"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=message):
        read(path)
