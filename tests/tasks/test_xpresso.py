"""Xpresso's tables."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnagpt_hf.records.files import RecordError
from dnagpt_hf.tasks.sources import open_source

COLUMNS = [
    *("ENSID", "EXPRESSION", "UTR5LEN", "CDSLEN", "INTRONLEN", "UTR3LEN"),
    *("UTR5GC", "CDSGC", "UTR3GC", "ORFEXONDENSITY", "PROMOTER"),
]


def opened(path: Path, split: str | None = None, leave_out: Any = ()) -> Any:
    spec = {"xpresso": str(path), "split": split, "leave_out": [str(name) for name in leave_out]}
    return open_source(spec, Path())


def table(count: int) -> str:
    rows = [
        "\t".join([f"ENSG{i}", f"{i}.5", *map(str, range(8)), "ACGT" * 3]) for i in range(count)
    ]
    return "\n".join(["\t".join(COLUMNS), *rows, ""])


@pytest.mark.parametrize(
    "convert",
    [
        lambda text: text.encode(),
        lambda text: gzip.compress(text.replace("\n", "\r\n").encode("utf-8-sig")),
    ],
)
def test_text(tmp_path: Path, convert: Callable[[str], bytes]) -> None:
    path = tmp_path / "human.txt"
    path.write_bytes(convert(table(3)))
    parts = opened(path)
    assert list(parts) == ["all"]
    record = list(parts["all"])[1]
    assert list(record.values) == COLUMNS
    assert (record.values["EXPRESSION"], record.values["CDSLEN"]) == ("1.5", "1")
    assert (record.name, record.line) == ("ENSG1", 3)


def test_split_is_the_one_of_xpresso(tmp_path: Path) -> None:
    import pandas as pd

    path, histones = tmp_path / "human.txt", tmp_path / "histones.txt"
    path.write_text(table(2051))
    histones.write_text("ENSG7\r\nENSG2000\textra\r\n")
    parts = opened(path, "xpresso", [histones])
    # as its program has it: left out, all rows sampled with seed 1, the last ones the test part
    frame = pd.read_csv(path, sep="\t", index_col=0)
    frame = frame[~frame.index.isin(["ENSG7", "ENSG2000"])]
    order = list(frame.sample(len(frame), replace=False, random_state=1).index)
    expected = {"train": order[:49], "validation": order[49:1049], "test": order[1049:]}
    for part, names in expected.items():
        assert sorted(record.name for record in parts[part]) == sorted(names)


def test_tables_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "human.txt"
    path.write_text(table(2000))
    with pytest.raises(RecordError, match="has 2,000 genes: Xpresso's split needs more than 2,000"):
        list(opened(path, "xpresso")["test"])
    with pytest.raises(ValueError, match="split is 'random': should be 'xpresso'"):
        opened(path, "random")
    path.write_text(table(2).replace("ORFEXONDENSITY", "EXONDENSITY"))
    message = r"record 1 \(line 2\): there is no column ORFEXONDENSITY.*did you mean EXONDENSITY"
    with pytest.raises(RecordError, match=message):
        list(opened(path)["all"])


SEQUENCES = ("ACGTN", "TTTTT", "NNNNN")


def write_hdf5(path: Path, **changes: Any) -> None:
    h5py = pytest.importorskip("h5py")
    one_hot = np.array([[[base == letter for letter in "ACGT"] for base in s] for s in SEQUENCES])
    datasets = {
        "promoter": one_hot,
        "data": np.arange(24.0).reshape(3, 8),
        "label": np.array([0.5, -1.0, 2.0]),
        "geneName": np.array([b"ENSG1", b"ENSG2", b"ENSG3"]),
        "detectionFlagInt": np.array([1, 0, 2]),
        **changes,
    }
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            if values is not None:
                file.create_dataset(name, data=values, compression="gzip")


def test_hdf5(tmp_path: Path) -> None:
    for name in ("train", "valid", "test"):
        write_hdf5(tmp_path / f"{name}.h5")
    parts = opened(tmp_path)
    assert list(parts) == ["train", "validation", "test"]
    records = list(parts["validation"])
    assert [record.values["PROMOTER"] for record in records] == list(SEQUENCES)
    assert records[1].values == {
        "ENSID": "ENSG2",
        "EXPRESSION": -1.0,
        **dict(zip(COLUMNS[2:10], np.arange(8.0, 16.0).tolist(), strict=True)),
        "detectionFlagInt": 0,
        "PROMOTER": "TTTTT",
    }
    assert (records[1].name, records[1].line) == ("ENSG2", 2)
    one = opened(tmp_path / "valid.h5")
    assert list(one["all"]) == records


def test_more_genes_than_are_in_memory(tmp_path: Path) -> None:
    count = 150
    write_hdf5(
        tmp_path / "a.h5",
        promoter=np.eye(4, dtype=bool)[np.arange(count * 6).reshape(count, 6) % 4],
        data=np.zeros((count, 8)),
        label=np.arange(count, dtype=float),
        geneName=[f"g{i}".encode() for i in range(count)],
        detectionFlagInt=None,
    )
    records = list(opened(tmp_path / "a.h5")["all"])
    assert [record.values["EXPRESSION"] for record in records] == list(range(count))
    assert [record.name for record in records] == [f"g{i}" for i in range(count)]
    assert records[0].values["PROMOTER"] == "ACGTAC" and records[1].values["PROMOTER"] == "GTACGT"


def test_hdf5_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "a.h5").touch()
    with pytest.raises(ImportError, match="HDF5 files need h5py: pip install h5py"):
        list(opened(tmp_path / "a.h5")["all"])


def test_hdf5_that_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_hdf5(path, label=None)
    with pytest.raises(RecordError, match=r"no dataset label of 1 axes, only .*data \(3, 8\)"):
        list(opened(path)["all"])
    write_hdf5(path, data=np.zeros((3, 7)))
    with pytest.raises(RecordError, match=r"data \(3, 7\) are not genes by bases by 4"):
        list(opened(path)["all"])
    with pytest.raises(ValueError, match="split and leave_out are for the text table"):
        opened(path, "xpresso")
    path.write_text("not HDF5")
    with pytest.raises(RecordError, match="is no HDF5 file or is damaged"):
        list(opened(path)["all"])
