"""Reading FASTA, tables, JSON lines and text, whole and broken."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import pytest

from dnagpt_hf.records.files import RecordError, format_of_name
from dnagpt_hf.records.reading import Record, RecordReader

FASTA = b">one first record\nACGT\nacgn\n\n>two\nGGG\n"


def read(path: Path, **options: object) -> list[Record]:
    with RecordReader(path, **options) as reader:  # type: ignore[arg-type]
        return list(reader)


def written(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def bgzip(content: bytes, block: int = 7) -> bytes:
    """Blocks as bgzip writes them: gzip members with their size in an extra field, then an end."""
    blocks = [content[start : start + block] for start in range(0, len(content), block)]
    result = b""
    for data in [*blocks, b""]:
        packer = zlib.compressobj(wbits=-15)
        packed = packer.compress(data) + packer.flush()
        size = len(packed) + 25
        result += b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0" + size.to_bytes(2, "little")
        result += packed + zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")
    return result


def test_fasta_keeps_names_lines_and_letters(tmp_path: Path) -> None:
    one, two = read(written(tmp_path, "a.fa", FASTA))
    assert one.values == {"name": "one", "description": "first record", "sequence": "ACGTacgn"}
    assert (one.name, one.number, one.line) == ("one", 1, 1)
    assert (two.name, two.values["sequence"], two.number, two.line) == ("two", "GGG", 2, 5)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bgzip])
@pytest.mark.parametrize("name", ["a.fa.gz", "a.fasta", "a.unknown"])
def test_compression_is_told_from_the_content(tmp_path: Path, pack: object, name: str) -> None:
    records = read(written(tmp_path, name, pack(FASTA)))  # type: ignore[operator]
    assert [record.values["sequence"] for record in records] == ["ACGTacgn", "GGG"]


@pytest.mark.parametrize(
    "content",
    [
        FASTA.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + FASTA,
        b"\n\n" + FASTA,
        FASTA.rstrip(),
        FASTA.replace(b"acgn", b" ac\ngn\n"),
        FASTA.decode().encode("utf-16"),
    ],
)
def test_fasta_as_other_systems_write_it(tmp_path: Path, content: bytes) -> None:
    records = read(written(tmp_path, "a.fa", content))
    assert [(r.name, r.values["sequence"]) for r in records] == [
        ("one", "ACGTacgn"),
        ("two", "GGG"),
    ]


def test_fasta_without_name_or_sequence(tmp_path: Path) -> None:
    records = read(written(tmp_path, "a.fa", ">\nAC\n>empty\n>\ttabbed name\nGT\n"))
    names = [(record.name, record.values["sequence"]) for record in records]
    assert names == [("1", "AC"), ("empty", ""), ("tabbed", "GT")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "name,sequence,x\na,ACGT,1\nb,GG,2\n"),
        ("a.csv", "name;sequence;x\na;ACGT;1\nb;GG;2\n"),
        ("a.csv", "name\tsequence\tx\r\na\tACGT\t1\r\nb\tGG\t2\r\n"),
        ("a.csv", "\ufeffname,sequence,x\r\n\r\na,ACGT,1,,\r\n,,\r\nb,GG,2\r\n\r\n"),
        ("a.csv", 'sep=|\r\nname|sequence|x\na|ACGT|1\n"b"|GG|2'),
        ("a.csv", '"name","sequence","x"\n"a","ACGT","1"\n"b","GG","2"\n'),
        ("a.tsv", "name\tsequence\tx\na\tACGT\t1\nb\tGG\t2\n"),
        ("a.txt", "name\tsequence\tx\na\tACGT\t1\nb\tGG\t2\n"),
        ("a.panel", "name\tsequence\tx\t\t\na\tACGT\t1\nb\tGG\t2\n"),
        (
            "a.json",
            '[\n{"name": "a", "sequence": "ACGT", "x": "1"},\n'
            '{"name": "b", "sequence": "GG", "x": "2"}]',
        ),
        ("a", " name , sequence , x \na,ACGT,1\nb,GG,2\n"),
        (
            "a.jsonl",
            '{"name": "a", "sequence": "ACGT", "x": "1"}\n\n'
            '{"name": "b", "sequence": "GG", "x": "2"}',
        ),
    ],
)
def test_tables_and_json_lines(tmp_path: Path, name: str, content: str) -> None:
    records = read(written(tmp_path, name, content))
    assert [record.values for record in records] == [
        {"name": "a", "sequence": "ACGT", "x": "1"},
        {"name": "b", "sequence": "GG", "x": "2"},
    ]
    assert [record.name for record in records] == ["a", "b"]


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", '\nID,note\n1,"two\nlines, quoted ""x"""\n\n2,b\n')
    first, second = read(path)
    assert first.values["note"] == 'two\nlines, quoted "x"'
    assert (first.name, first.line, second.name, second.line) == ("1", 3, "2", 6)


def test_columns_without_a_name_are_left_out(tmp_path: Path) -> None:
    # write.table of R names all columns but that of the row names
    (record,) = read(written(tmp_path, "a.csv", '"","sequence"\n"7","ACGT"\n'))
    assert record.values == {"sequence": "ACGT"}
    assert record.name == "1"


def test_cells_longer_than_the_limit_of_csv(tmp_path: Path) -> None:
    (record,) = read(written(tmp_path, "a.csv", f"id,sequence\nx,{'ACGT' * 100_000}\n"))
    assert len(record.values["sequence"]) == 400_000


def test_text_must_be_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, "a.txt", "<R>ACGT\n\n<S>GG\n")
    for options in ({"format": "text"}, {"text_by_default": True}):
        records = read(path, **options)
        assert [record.values["sequence"] for record in records] == ["<R>ACGT", "<S>GG"]
    plain = read(written(tmp_path, "dna.txt", "ACGT\nGGN\n"))
    assert [record.values["sequence"] for record in plain] == ["ACGT", "GGN"]
    with pytest.raises(RecordError, match=r"a\.txt: its first line '<R>ACGT' does not tell"):
        read(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.fa", b"", "a.fa is empty"),
        ("a.csv", b"\r\n \r\n", "a.csv is empty"),
        ("a.csv", b"name,sequence\n", "has a header, but no records"),
        ("a.fa", b"ACGT\n>a\n", "line 1: expected a FASTA header"),
        ("a.fa", gzip.compress(FASTA * 100, mtime=0)[:-30], "cut off or damaged"),
        ("a.fa", gzip.compress(FASTA, mtime=0)[:15] + b"\xff" * 30, "cut off or damaged"),
        ("a.fa", b">a\nAC\xe9GT\n", "not UTF-8 text"),
        ("a.fa", b">a\nAC\0GT\n", "line 2 holds a NUL character"),
        ("a.csv", b"a,a\n1,2\n", "there are two columns 'a'"),
        ("a.csv", b"a,b\n1,2\n1\n", "line 3: 1 fields, but the header has 2"),
        ("a.csv", b"a,b\n1,2,3\n", "line 2: 3 fields, but the header has 2"),
        ("a.csv", b'a,b\n1,"2\n1,3\n', "malformed table"),
        ("a.csv", b'a,b\n1,"2"x\n', "line 2: malformed table"),
        ("a.csv", b"a,b;c\n1,2\n", "the separator is not clear"),
        ("a.jsonl", b'{"a": 1}\n{"a": \n', "line 2: not a JSON object"),
        ("a.jsonl", b"[1]\n", r"line 1: expected a JSON object, not '1'"),
        ("a.json", b'[{"a": 1},\n', "line 1: not a JSON array"),
        ("a.jsonl", b'{"a": 1, "b": 2, "a": 3}\n', "line 1: .*'a' stands in it twice"),
        ("a.jsonl", b'{"a": ' + b"[" * 100_000, "line 1: not a JSON object"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(RecordError, match=message) as caught:
        read(written(tmp_path, name, content))
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_records_before_an_error_are_read(tmp_path: Path) -> None:
    with RecordReader(written(tmp_path, "a.csv", "id,x\na,1\nb\n")) as reader:
        records = iter(reader)
        assert next(records).name == "a"
        with pytest.raises(RecordError, match="line 3"):
            next(records)


def test_a_missing_file_and_an_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        RecordReader(tmp_path / "none.fa")
    with pytest.raises(ValueError, match="unknown format 'bam': choose one of fasta, csv"):
        RecordReader(tmp_path / "none.fa", format="bam")


def test_errors_of_records_are_one_line() -> None:
    error = Record({}, "a name\nof two lines " * 20, "a.csv", 3, 7).error("it is empty")
    assert str(error).startswith("a.csv, record a name of two lines a name")
    assert str(error).endswith("… (line 7): it is empty")
    assert "\n" not in str(error)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input(pack: object) -> None:
    program = (
        "import json; from dnagpt_hf.records.reading import RecordReader\n"
        "with RecordReader('-') as reader:\n"
        "    print(json.dumps([[r.name, r.source, reader.size] for r in reader]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        input=pack(FASTA),  # type: ignore[operator]
        capture_output=True,
        check=True,
    )
    assert json.loads(result.stdout) == [[name, "standard input", None] for name in ("one", "two")]


def test_position_follows_the_stored_file(tmp_path: Path) -> None:
    path = written(tmp_path, "a.fa", FASTA * 5000)
    with RecordReader(path) as reader:
        positions = [reader.position for _ in reader]
        assert reader.size == os.path.getsize(path)
        assert positions == sorted(positions)
        assert positions[0] < reader.size / 2
        assert positions[-1] == reader.size


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    peaks = []
    # both larger than the buffers that stand between the file and the reader
    for count in (8_000, 32_000):
        path = written(tmp_path, f"{count}.fa.gz", gzip.compress(b">a\n" + b"ACGT" * 50 + b"\n", 1))
        path.write_bytes(path.read_bytes() * count)
        tracemalloc.start()
        with RecordReader(path) as reader:
            assert sum(1 for _ in reader) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_format_of_name() -> None:
    names = ["a.fna.bgz", "A.FASTA", "a.b.csv", "a.tab.gz", "a.ndjson", "a.txt", "a.gz", "-"]
    expected = ["fasta", "fasta", "csv", "tsv", "jsonl", None, None, None]
    assert [format_of_name(name) for name in names] == expected
