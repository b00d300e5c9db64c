"""Vectors with coordinates in files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnagpt_hf.atomic_files import DestinationError
from dnagpt_hf.records import region_vectors
from dnagpt_hf.records.region_vectors import check_region_vectors, write_region_vectors


@dataclass
class Region:
    contig: str
    name: str


# two of one name
REGIONS = [Region("chr1", "exon"), Region("chr1", "exon"), Region("chrM", "Größe")]


@dataclass
class Part:
    number: int
    start: Any
    end: Any
    vectors: Any


def parts() -> list[Part]:
    """Parts of three regions, 23 vectors in all."""
    random = np.random.default_rng(0)
    made = []
    for number, count in ((0, 9), (0, 4), (1, 4), (2, 6)):
        start = np.arange(count) * 5
        vectors = random.normal(size=(count, 3)).astype(np.float32)
        made.append(Part(number, start, start + 5, vectors))
    return made


def read(path: Path) -> dict[str, Any]:
    """Names and contigs of the regions of the vectors, and the arrays."""
    if path.suffix == ".npz":
        found: dict[str, Any] = dict(np.load(path))
        lists = {name: found.pop(name).tolist() for name in ("names", "contigs")}
    elif path.suffix == ".zarr":
        group = pytest.importorskip("zarr").open_group(path, mode="r")
        lists = {name: group.attrs[name] for name in ("names", "contigs")}
        found = {name: group[name][:] for name in ("region", "start", "end", "embeddings")}
    elif path.suffix == ".safetensors":
        from safetensors import safe_open

        opened = safe_open(path, framework="np")
        lists = {name: json.loads(text) for name, text in opened.metadata().items()}
        found = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    else:
        import pandas

        table = pandas.read_parquet(path)
        return {
            "name": table["name"].tolist(),
            "contig": table["contig"].tolist(),
            "start": table["start"].to_numpy(),
            "end": table["end"].to_numpy(),
            "embeddings": np.stack(table["embedding"]),
        }
    region = found.pop("region")
    for name in ("name", "contig"):
        found[name] = [lists[f"{name}s"][index] for index in region]
    return found


@pytest.mark.parametrize("suffix", [".parquet", ".npz", ".safetensors", ".zarr"])
def test_a_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    # several blocks, which do not end with the parts
    monkeypatch.setattr(region_vectors, "_ROWS", 7)
    path = tmp_path / f"a{suffix}"
    write_region_vectors(path, parts(), regions=REGIONS, shape=(23, 3))
    found = read(path)
    assert found["contig"] == ["chr1"] * 17 + ["chrM"] * 6
    assert found["name"] == ["exon"] * 17 + ["Größe"] * 6
    for name, attribute in (("start", "start"), ("end", "end"), ("embeddings", "vectors")):
        expected = np.concatenate([getattr(part, attribute) for part in parts()])
        np.testing.assert_array_equal(found[name], expected)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Any:
        yield parts()[0]
        raise RuntimeError("broken")

    for suffix in (".npz", ".parquet"):
        with pytest.raises(RuntimeError, match="broken"):
            write_region_vectors(tmp_path / f"a{suffix}", broken(), regions=REGIONS, shape=(23, 3))
    assert not list(tmp_path.iterdir())


def test_an_output_that_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'\.h5' names no format for vectors of regions"):
        check_region_vectors(tmp_path / "a.h5")
    (tmp_path / "a.npz").touch()
    with pytest.raises(DestinationError, match=r"a\.npz exists"):
        check_region_vectors(tmp_path / "a.npz")
    check_region_vectors(tmp_path / "a.npz", overwrite=True)
