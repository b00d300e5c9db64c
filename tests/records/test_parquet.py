"""Parquet files as records."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dnagpt_hf.records.files import RecordError, format_of_name
from dnagpt_hf.records.reading import Record, RecordReader


def write(path: Path, columns: dict[str, list[Any]], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


def read(path: Path, **options: Any) -> list[Record]:
    with RecordReader(path, **options) as reader:
        return list(reader)


def test_rows_are_records(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.parquet",
        {"ID": ["x", None], "sequence": ["ACGT", "GG"], "y": [1.5, None], "more": [[1, 2], []]},
    )
    first, second = read(path)
    assert first.values == {"ID": "x", "sequence": "ACGT", "y": 1.5, "more": [1, 2]}
    assert (first.name, first.number, first.line, first.source) == ("x", 1, 1, str(path))
    # an empty cell is what it is in other tables
    assert second.values == {"ID": "", "sequence": "GG", "y": "", "more": []}
    assert (second.name, second.number, second.line) == ("2", 2, 2)


def test_the_content_tells_what_a_file_is(tmp_path: Path) -> None:
    for name in ("a.pq", "a", "a.parquet"):
        assert len(read(write(tmp_path / name, {"sequence": ["A"]}))) == 1
    assert format_of_name("a.PARQUET") == format_of_name("a.pq") == "parquet"
    assert len(read(write(tmp_path / "a.csv", {"x": ["A"]}), format="parquet")) == 1


def test_rows_are_read_in_their_order_and_few_at_a_time(tmp_path: Path) -> None:
    count = 5000
    sequences = [f"{number:05}" * 400 for number in range(count)]
    options = {"compression": "none", "use_dictionary": False}
    path = write(tmp_path / "a.parquet", {"sequence": sequences}, **options)
    with RecordReader(path) as reader:
        assert reader.size is not None
        for number, record in enumerate(reader, start=1):
            assert record.values["sequence"] == sequences[number - 1]
            assert reader.position == reader.size * number // count
            assert pa.total_allocated_bytes() < reader.size / 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PAR1 and nothing else", "a.parquet is no parquet file or is damaged"),
        (b"x,y\n1,2\n", "a.parquet is no parquet file"),
        (b"", "a.parquet is no parquet file"),
    ],
)
def test_broken_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=message) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_tables_that_cannot_be_records(tmp_path: Path) -> None:
    twice = pa.table([pa.array([1]), pa.array([2])], names=["x", "x"])
    pq.write_table(twice, tmp_path / "a.parquet")
    with pytest.raises(RecordError, match="there are two columns 'x'"):
        read(tmp_path / "a.parquet")
    with pytest.raises(RecordError, match="no records"):
        read(write(tmp_path / "b.parquet", {"x": []}))


def test_a_stream_is_refused(tmp_path: Path) -> None:
    content = write(tmp_path / "a.parquet", {"x": [1]}).read_bytes()
    program = (
        "from dnagpt_hf.records.reading import RecordReader\n"
        "with RecordReader('-') as reader: list(reader)"
    )
    result = subprocess.run([sys.executable, "-c", program], input=content, capture_output=True)
    assert b"standard input: parquet is not read from a stream" in result.stderr
