"""Datasets of the library `datasets`."""

from __future__ import annotations

from pathlib import Path

import pytest

from dnagpt_hf.tasks.sources import open_source

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def quiet() -> None:
    datasets.disable_progress_bars()


def save(folder: Path, *splits: str) -> None:
    rows = {"id": ["a", "b", "c"], "sequence": ["ACGT", None, "GG"], "label": [1, 0, -1]}
    features = datasets.Features(
        id=datasets.Value("string"),
        sequence=datasets.Value("string"),
        label=datasets.ClassLabel(names=["none", "signal"]),
    )
    one = datasets.Dataset.from_dict(rows, features=features)
    if splits:
        datasets.DatasetDict(dict.fromkeys(splits, one)).save_to_disk(str(folder))
    else:
        one.save_to_disk(str(folder))


def test_rows_are_records(tmp_path: Path) -> None:
    save(tmp_path / "saved", "train", "test")
    parts = open_source({"dataset": "saved"}, tmp_path)
    assert list(parts) == ["train", "test"]
    first, second, third = parts["test"]
    assert first.values == {"id": "a", "sequence": "ACGT", "label": "signal"}
    assert (first.name, first.number, first.line) == ("a", 1, 1)
    assert first.source == "saved (test)"
    assert second.values == {"id": "b", "sequence": "", "label": "none"}
    assert third.values["label"] == ""
    assert str(second.error("it is empty")) == "saved (test), record b (line 2): it is empty"


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        (("train", "dev", "test"), None, ["train", "validation", "test"]),
        (("train",), None, ["all"]),
        ((), None, ["all"]),
        (("test",), None, ["test"]),
        (("train",), {"train": "train"}, ["train"]),
        (("fold1", "fold2"), {"test": "fold2", "train": "fold1"}, ["test", "train"]),
    ],
)
def test_splits(
    tmp_path: Path, found: tuple[str, ...], wanted: dict[str, str] | None, expected: list[str]
) -> None:
    save(tmp_path / "saved", *found)
    assert list(open_source({"dataset": "saved", "splits": wanted}, tmp_path)) == expected


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (None, "dataset saved has the splits fold1, fold2: match them with splits"),
        ({"train": "fold"}, "dataset saved has no split 'fold', only fold1, fold2: did you mean"),
        ({"dev": "fold1"}, r"splits: unknown split 'dev' \(choose from train, validation, test\)"),
    ],
)
def test_splits_that_a_dataset_lacks(
    tmp_path: Path, wanted: dict[str, str] | None, message: str
) -> None:
    save(tmp_path / "saved", "fold1", "fold2")
    with pytest.raises(ValueError, match=message):
        open_source({"dataset": "saved", "splits": wanted}, tmp_path)


def test_a_folder_of_tables(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    for part in ("train", "test"):
        (tmp_path / "tables" / f"{part}.csv").write_text(f"sequence,label\n{part},1\n")
    parts = open_source({"dataset": "tables"}, tmp_path)
    found = {part: [record.values for record in parts[part]] for part in parts}
    assert found == {
        "train": [{"sequence": "train", "label": 1}],
        "test": [{"sequence": "test", "label": 1}],
    }


def test_a_dataset_that_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nobody/nothing"):
        with pytest.raises(ValueError, match=f"dataset {name} cannot be loaded: ") as caught:
            open_source({"dataset": name}, tmp_path)
        assert "\n" not in str(caught.value)
