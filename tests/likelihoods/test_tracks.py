"""Tracks are read back by the libraries of their formats."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from dnagpt_hf.likelihoods.tracks import track_format, track_writer

BASES = np.frombuffer(b"ACNGT", np.uint8)
VALUES = np.array([-1.5, -0.25, np.nan, -2.0, -0.125])


def write_two(path: Path, **options: Any) -> None:
    """Two stretches of chr1, the first in two pieces, and one of chr2."""
    scores = (
        VALUES if not options.get("all_bases") else np.stack([VALUES * n for n in (1, 2, 3, 4)], 1)
    )
    lengths = {"chr1": 100, "chr2": 50}
    with track_writer(path, lengths=lengths, **options) as write:
        write("chr1", 10, BASES, scores)
        write("chr1", 15, BASES[:2], scores[:2])
        write("chr1", 30, BASES[:1], scores[:1])
        write("chr2", 0, BASES, scores)


@pytest.mark.parametrize("name", ["a.bedgraph", "a.bedGraph.gz", "a.bg"])
def test_bedgraph_leaves_out_what_is_missing(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    write_two(path)
    text = path.read_bytes()
    lines = (gzip.decompress(text) if name.endswith(".gz") else text).decode().splitlines()
    assert lines[:4] == [
        "chr1\t10\t11\t-1.5", "chr1\t11\t12\t-0.25", "chr1\t13\t14\t-2", "chr1\t14\t15\t-0.125",
    ]  # fmt: skip
    assert len(lines) == 11


def test_bigwig_has_the_values_at_their_places(tmp_path: Path) -> None:
    pyBigWig = pytest.importorskip("pyBigWig")
    write_two(tmp_path / "a.bw")
    file = pyBigWig.open(str(tmp_path / "a.bw"))
    assert file.chroms() == {"chr1": 100, "chr2": 50}
    np.testing.assert_array_equal(file.values("chr1", 10, 15), VALUES)
    assert np.isnan(file.values("chr1", 0, 10)).all()
    assert file.values("chr1", 30, 31) == [-1.5]
    np.testing.assert_array_equal(file.values("chr2", 0, 5), VALUES)


@pytest.mark.parametrize("room", [0, 1 << 18])
def test_a_bigwig_without_room_on_its_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """The library itself would end the process."""
    pytest.importorskip("pyBigWig")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage._replace(free=room))
    with pytest.raises(OSError, match=rf"No space left on device: '{tmp_path / 'a.bw'}'"):
        write_two(tmp_path / "a.bw")
    assert list(tmp_path.iterdir()) == []


def test_all_four_bases_are_four_files_of_formats_with_one_number(tmp_path: Path) -> None:
    write_two(tmp_path / "a.bedgraph.gz", all_bases=True)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"a.{letter}.bedgraph.gz" for letter in "ACGT"]
    lines = gzip.decompress((tmp_path / "a.T.bedgraph.gz").read_bytes()).decode().splitlines()
    assert lines[0] == "chr1\t10\t11\t-6"


@pytest.mark.parametrize("all_bases", [False, True])
def test_parquet_and_npz_hold_every_base(all_bases: bool, tmp_path: Path) -> None:
    write_two(tmp_path / "a.parquet", all_bases=all_bases)
    write_two(tmp_path / "a.npz", all_bases=all_bases)
    table = pyarrow.parquet.read_table(tmp_path / "a.parquet").to_pandas()
    assert "".join(table["base"]) == "ACNGTACAACNGT"
    assert table["contig"].tolist() == ["chr1"] * 8 + ["chr2"] * 5
    assert table["position"].tolist() == [*range(10, 17), 30, *range(5)]
    column = "log_p_C" if all_bases else "log_p"
    np.testing.assert_array_equal(table[column][:5], VALUES * (2 if all_bases else 1))
    with np.load(tmp_path / "a.npz") as arrays:
        assert list(arrays) == ["chr1:10", "chr1:30", "chr2:0"]
        whole = arrays["chr1:10"]
        assert whole.dtype == np.float32 and whole.shape == ((7, 4) if all_bases else (7,))
        np.testing.assert_array_equal(whole[:5, 1] / 2 if all_bases else whole[:5], VALUES)


@pytest.mark.parametrize("name", ["a.bw", "a.bedgraph"])
def test_tracks_for_browsers_are_sorted(tmp_path: Path, name: str) -> None:
    if name == "a.bw":
        pytest.importorskip("pyBigWig")
    with (
        pytest.raises(ValueError, match=r"region chr1:11 comes behind a later base"),
        track_writer(tmp_path / name, lengths={"chr1": 100}) as write,
    ):
        write("chr1", 12, BASES, VALUES)
        write("chr1", 10, BASES, VALUES)
    assert not list(tmp_path.iterdir())


def test_names_and_existing_files_are_refused(tmp_path: Path) -> None:
    for name in ("a.txt", "a.bw.gz", "a"):
        with pytest.raises(ValueError, match="names no format for tracks"):
            track_format(name)
    write_two(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="exists"):
        write_two(tmp_path / "a.npz")
    write_two(tmp_path / "a.npz", overwrite=True)
