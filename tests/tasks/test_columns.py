"""Streams of records, and what is done to their columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dnagpt_hf.records.reading import Record, RecordError
from dnagpt_hf.tasks.columns import Changes, changed_stream, file_stream, part_files


def test_files_are_read_one_after_the_other_and_anew(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_text(">a\nAC\n")
    (tmp_path / "b.csv").write_text("id,x\nb,1\n")
    stream = file_stream([tmp_path / "a.fa", tmp_path / "b.csv"])
    assert [(r.name, r.line) for r in stream] == [("a", 1), ("b", 2)]
    (tmp_path / "b.csv").write_text("id,x\nc,1\nd,1\n")
    assert [record.name for record in stream] == ["a", "c", "d"]


def test_columns_are_renamed_and_added() -> None:
    record = Record({"seqs": "AC", "y": "1"}, "r", "a.csv", 1, 2)
    changed = Changes({"sequence": "seqs"}, {"species": "R", "y": "0"})(record)
    assert list(changed.values.items()) == [("sequence", "AC"), ("y", "0"), ("species", "R")]
    assert (changed.name, changed.line) == ("r", 2)
    swapped = Changes({"seqs": "y", "y": "seqs"})(record)
    assert swapped.values == {"y": "AC", "seqs": "1"}


def test_the_first_records(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n2\nbroken,3\n")
    stream = changed_stream(file_stream([tmp_path / "a.csv"]), Changes(limit=2))
    assert [r.values["x"] for r in stream] == [r.values["x"] for r in stream] == ["1", "2"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"y": "label"}, r"a.csv, record r \(line 2\): there is no column 'label', only lable, x"),
        ({"y": "label"}, "did you mean lable?"),
        ({"x": "lable"}, "there is a column 'x' already: rename that one too"),
    ],
)
def test_columns_that_a_record_lacks_or_has(columns: dict[str, str], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        Changes(columns)(Record({"lable": "1", "x": "2"}, "r", "a.csv", 1, 2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, "limit is 0: give a number of records"),
        ({"limit": True}, "limit is True"),
        ({"columns": {"a": "x", "b": "x"}}, "one column is to have two names"),
        ({"constants": {"label": False}}, "label is false in YAML, which may have been yes, no"),
    ],
)
def test_changes_that_are_not_possible(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Changes(**options)


def test_parts_by_the_names_of_files(tmp_path: Path) -> None:
    for name in ("train.csv.gz", "train.csv", "dev.csv", "valid.tsv", "testing.csv"):
        (tmp_path / name).touch()
    assert part_files(tmp_path, (".csv", ".csv.gz", ".tsv")) == {
        "train": tmp_path / "train.csv",
        "validation": tmp_path / "dev.csv",
    }
    with pytest.raises(ValueError, match=r"has none of the files train\.h5, dev\.h5, test\.h5"):
        part_files(tmp_path, (".h5",))
    with pytest.raises(ValueError, match="no such folder"):
        part_files(tmp_path / "none", (".h5",))
