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
class Part:
    contig: str
    start: Any
    end: Any
    vectors: Any


def parts() -> list[Part]:
    """Parts of two contigs, 23 vectors in all."""
    random = np.random.default_rng(0)
    made = []
    for contig, count in (("chr1", 9), ("chr1", 4), ("chrM", 10)):
        start = np.arange(count) * 5
        vectors = random.normal(size=(count, 3)).astype(np.float32)
        made.append(Part(contig, start, start + 5, vectors))
    return made


def read(path: Path) -> dict[str, Any]:
    """Contigs by name, and the arrays."""
    if path.suffix == ".npz":
        found: dict[str, Any] = dict(np.load(path))
        contigs = found.pop("contigs").tolist()
    elif path.suffix == ".zarr":
        group = pytest.importorskip("zarr").open_group(path, mode="r")
        contigs = group.attrs["contigs"]
        found = {name: group[name][:] for name in ("contig", "start", "end", "embeddings")}
    elif path.suffix == ".safetensors":
        from safetensors import safe_open

        opened = safe_open(path, framework="np")
        contigs = json.loads(opened.metadata()["contigs"])
        found = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    else:
        import pandas

        table = pandas.read_parquet(path)
        return {
            "contig": table["contig"].tolist(),
            "start": table["start"].to_numpy(),
            "end": table["end"].to_numpy(),
            "embeddings": np.stack(table["embedding"]),
        }
    return {**found, "contig": [contigs[index] for index in found["contig"]]}


@pytest.mark.parametrize("suffix", [".parquet", ".npz", ".safetensors", ".zarr"])
def test_a_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    # several blocks, which do not end with the parts
    monkeypatch.setattr(region_vectors, "_ROWS", 7)
    path = tmp_path / f"a{suffix}"
    write_region_vectors(path, parts(), contigs=["chr1", "chr2", "chrM"], shape=(23, 3))
    found = read(path)
    assert found["contig"] == ["chr1"] * 13 + ["chrM"] * 10
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
            write_region_vectors(tmp_path / f"a{suffix}", broken(), contigs=["chr1"], shape=(23, 3))
    assert not list(tmp_path.iterdir())


def test_an_output_that_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'\.h5' names no format for vectors of regions"):
        check_region_vectors(tmp_path / "a.h5")
    (tmp_path / "a.npz").touch()
    with pytest.raises(DestinationError, match=r"a\.npz exists"):
        check_region_vectors(tmp_path / "a.npz")
    check_region_vectors(tmp_path / "a.npz", overwrite=True)
