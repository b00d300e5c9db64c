"""Results and vectors in files that appear whole or not at all."""

from __future__ import annotations

import csv
import gzip
import json
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

from dnagpt_hf.records.vectors import write_vectors
from dnagpt_hf.records.writing import fasta, output_stream, row_writer

ROWS: list[dict[str, Any]] = [
    {"name": "a, b", "predicted": "yes", "probability": {"yes": 0.75, "no": 0.25}},
    {"name": 'ü"\n', "predicted": "no", "probability": {"yes": 0.1, "no": 0.9}},
]


def write_rows(path: Path, **options: Any) -> None:
    with row_writer(path, **options) as write:
        for row in ROWS:
            write(row)


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.tsv", "\t"), ("a", ",")])
def test_tables_are_flat(tmp_path: Path, name: str, delimiter: str) -> None:
    write_rows(tmp_path / name)
    with open(tmp_path / name, encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream, delimiter=delimiter))
    assert rows == [
        ["name", "predicted", "probability_yes", "probability_no"],
        ["a, b", "yes", "0.75", "0.25"],
        ['ü"\n', "no", "0.1", "0.9"],
    ]


def test_json_lines_keep_their_structure(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl.gz")
    with gzip.open(tmp_path / "a.jsonl.gz", "rt", encoding="utf-8") as stream:
        assert [json.loads(line) for line in stream] == ROWS


def test_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with row_writer("-", format="tsv") as write:
        write({"name": "a", "predicted": 0.5})
    assert capsys.readouterr().out == "name\tpredicted\na\t0.5\n"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("name", ["a.csv", "a.safetensors", "a.npz", "a.parquet"])
def test_nothing_is_left_after_an_error(
    tmp_path: Path, error: type[BaseException], name: str
) -> None:
    def broken_off() -> Iterator[tuple[str, Any, Any]]:
        yield "a", np.arange(2), np.ones(3)
        raise error

    with pytest.raises(error):
        if name == "a.csv":
            with row_writer(tmp_path / name) as write_row:
                write_row(ROWS[0])
                raise error
        write_vectors(tmp_path / name, broken_off())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.csv", "a.npz"])
def test_an_output_that_exists_is_kept_unless_it_is_to_be_replaced(
    tmp_path: Path, name: str
) -> None:
    def write(**options: Any) -> None:
        if name == "a.csv":
            write_rows(tmp_path / name, **options)
            return
        write_vectors(tmp_path / name, [("a", np.arange(2), np.ones(3))], **options)

    (tmp_path / name).write_text("old")
    with pytest.raises(ValueError, match="exists"):
        write()
    assert (tmp_path / name).read_text() == "old"
    write(overwrite=True)
    assert (tmp_path / name).read_bytes() != b"old"
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.fa", "a.csv.bgz", "a.xlsx", "a.json.gz"])
def test_formats_that_are_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        write_rows(tmp_path / name)


@pytest.mark.skipif(sys.platform == "win32", reason="needs /dev/null")
def test_devices_are_written_to_as_they_are() -> None:
    with output_stream("/dev/null") as stream:
        stream.write("x")
    assert Path("/dev/null").is_char_device()


def test_fasta_lines_are_wrapped() -> None:
    assert fasta("a\nb", "ACGTACG", width=3) == ">a b\nACG\nTAC\nG\n"


VECTORS = [("a", [1, 2], 2), ("ü", [3], 1), ("c" * 30, [4, 5, 6], 3)]


def write_three(path: Path, per_token: bool) -> np.ndarray[Any, Any]:
    rows = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)

    def records() -> Iterator[tuple[str, Any, Any]]:
        start = 0
        for name, ids, count in VECTORS:
            yield name, np.asarray(ids), rows[start : start + count] if per_token else rows[start]
            start += count

    write_vectors(path, records(), per_token=per_token)
    return rows if per_token else rows[[0, 2, 3]]


@pytest.mark.parametrize("per_token", [False, True])
def test_npz_and_safetensors_hold_the_same(tmp_path: Path, per_token: bool) -> None:
    expected = write_three(tmp_path / "a.npz", per_token)
    write_three(tmp_path / "a.safetensors", per_token)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        arrays = dict(archive)
    names = arrays.pop("names").tolist()
    with safe_open(tmp_path / "a.safetensors", framework="np") as tensors:
        assert json.loads(tensors.metadata()["names"]) == names == [name for name, _, _ in VECTORS]
        assert set(tensors.keys()) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(tensors.get_tensor(name), array)
    np.testing.assert_array_equal(arrays["embeddings"], expected)
    if per_token:
        assert arrays["offsets"].tolist() == [0, 2, 3, 6]
        assert arrays["input_ids"].tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("per_token", [False, True])
def test_parquet(tmp_path: Path, per_token: bool) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    expected = write_three(tmp_path / "a.parquet", per_token)
    columns = parquet.read_table(tmp_path / "a.parquet").to_pydict()
    np.testing.assert_array_equal(np.asarray(columns["embedding"], np.float32), expected)
    if per_token:
        assert columns["name"] == ["a", "a", "ü", *["c" * 30] * 3]
        assert columns["position"] == [0, 1, 0, 0, 1, 2]
        assert columns["input_id"] == [1, 2, 3, 4, 5, 6]
    else:
        assert columns["name"] == [name for name, _, _ in VECTORS]


def test_parquet_is_written_in_groups(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    records = ((str(number), np.arange(1), np.full(2, number)) for number in range(2500))
    write_vectors(tmp_path / "a.parquet", records)
    assert parquet.ParquetFile(tmp_path / "a.parquet").num_row_groups == 3
    embeddings = parquet.read_table(tmp_path / "a.parquet").to_pydict()["embedding"]
    assert embeddings == [[number, number] for number in range(2500)]


@pytest.mark.parametrize("name", ["a.npz", "a.safetensors", "a.parquet"])
def test_no_records_are_an_empty_file(tmp_path: Path, name: str) -> None:
    write_vectors(tmp_path / name, [], per_token=True)
    assert (tmp_path / name).stat().st_size


@pytest.mark.parametrize("name", ["a.npz", "a.safetensors", "a.parquet"])
def test_vectors_are_not_in_memory_at_once(tmp_path: Path, name: str) -> None:
    vectors = np.ones((100, 5_000), np.float32)
    record = ("a", np.arange(100), vectors)
    tracemalloc.start()
    write_vectors(tmp_path / name, [record] * 50, per_token=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # parquet holds the rows of a group
    assert peak < 50 * vectors.nbytes / 2


def test_an_unknown_ending_is_named(tmp_path: Path) -> None:
    expected = r"a\.txt: the ending '\.txt' names no format"
    with pytest.raises(ValueError, match=expected):
        write_vectors(tmp_path / "a.txt", [])
