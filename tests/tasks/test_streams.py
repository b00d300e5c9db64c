"""Streams of records, and splits by the names of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from dnagpt_hf.tasks.streams import file_stream, split_files


def test_files_are_read_one_after_the_other_and_anew(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_text(">a\nAC\n")
    (tmp_path / "b.csv").write_text("id,x\nb,1\n")
    stream = file_stream([tmp_path / "a.fa", tmp_path / "b.csv"])
    assert [(r.name, r.line) for r in stream] == [("a", 1), ("b", 2)]
    (tmp_path / "b.csv").write_text("id,x\nc,1\nd,1\n")
    assert [record.name for record in stream] == ["a", "c", "d"]


def test_splits_by_the_names_of_files(tmp_path: Path) -> None:
    for name in ("train.csv.gz", "train.csv", "dev.csv", "valid.tsv", "testing.csv"):
        (tmp_path / name).touch()
    assert split_files(tmp_path, (".csv", ".csv.gz", ".tsv")) == {
        "train": tmp_path / "train.csv",
        "validation": tmp_path / "dev.csv",
    }
    with pytest.raises(ValueError, match=r"has none of the files train\.h5, dev\.h5, test\.h5"):
        split_files(tmp_path, (".h5",))
    with pytest.raises(ValueError, match="no such folder"):
        split_files(tmp_path / "none", (".h5",))
