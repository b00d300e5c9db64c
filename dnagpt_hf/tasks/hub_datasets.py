"""Datasets of the Hub and of the library `datasets`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from dnagpt_hf.records.in_memory import dataset_records
from dnagpt_hf.records.reading import did_you_mean
from dnagpt_hf.tasks.columns import ALL, PART_NAMES, PARTS, RecordStream

# files by which a folder that `save_to_disk` made is known
_SAVED = ("dataset_dict.json", "state.json")


def dataset_parts(
    dataset: str,
    folder: Path,
    name: str | None = None,
    splits: Mapping[str, str] | None = None,
    revision: str | None = None,
) -> dict[str, RecordStream]:
    """Records of a dataset; the number of a row stands for its line.

    Args:
        dataset: a folder that `save_to_disk` made or with data files in it, or a name on the Hub.
        folder: where a relative path starts.
        name: the configuration, if there are several.
        splits: the split that each part is read of, as `{"validation": "dev"}`. By default those
            that are called so; a lone split `train` is all there is, not yet divided.
        revision: version of a dataset of the Hub.

    Returns:
        Records by part; a class is given by its name where the dataset has names.

    Raises:
        ValueError: the dataset cannot be loaded, or lacks a split.
    """
    loaded = _load(dataset, folder, name, revision)
    if not splits and list(loaded) == ["train"]:
        return {ALL: _stream(loaded["train"], dataset)}
    return {
        part: _stream(loaded[split], f"{dataset} ({split})")
        for part, split in _chosen(dataset, list(loaded), splits).items()
    }


def dataset_names(spec: Any) -> list[str]:
    """The datasets that the entry `data:` of a task names, wherever they stand in it.

    Example:

        >>> dataset_names({"train": {"dataset": "ORG/promoters"}, "test": {"files": "a.csv"}})
        ['ORG/promoters']
    """
    if isinstance(spec, Mapping):
        here = [spec["dataset"]] if isinstance(spec.get("dataset"), str) else []
        return list(dict.fromkeys(here + dataset_names(list(spec.values()))))
    if isinstance(spec, list | tuple):
        return list(dict.fromkeys(name for entry in spec for name in dataset_names(entry)))
    return []


def _load(dataset: str, folder: Path, name: str | None, revision: str | None) -> Mapping[str, Any]:
    from datasets import Dataset, load_dataset, load_from_disk
    from datasets.exceptions import DatasetsError

    local = folder / dataset
    try:
        if any((local / file).is_file() for file in _SAVED):
            loaded = load_from_disk(str(local))
        else:
            loaded = load_dataset(
                str(local) if local.is_dir() else dataset, name, revision=revision
            )
    except (DatasetsError, OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"dataset {dataset} cannot be loaded: {reason}") from error
    return {"train": loaded} if isinstance(loaded, Dataset) else loaded


def _chosen(dataset: str, found: list[str], splits: Mapping[str, str] | None) -> dict[str, str]:
    if splits is None:
        chosen: dict[str, str] = {}
        for part, names in PART_NAMES.items():
            for split in names:
                if split in found:
                    chosen.setdefault(part, split)
        if not chosen:
            raise ValueError(
                f"dataset {dataset} has the splits {', '.join(found)}: say which is which with "
                "splits, as {train: " + found[0] + "}"
            )
        return chosen
    for part, split in splits.items():
        if part not in PARTS:
            raise ValueError(
                f"splits: unknown part {part!r}{did_you_mean(part, PARTS)} (choose of "
                f"{', '.join(PARTS)})"
            )
        if split not in found:
            raise ValueError(
                f"dataset {dataset} has no split {split!r}, only {', '.join(found)}"
                f"{did_you_mean(str(split), found)}"
            )
    return dict(splits)


def _stream(rows: Any, source: str) -> RecordStream:
    return RecordStream(partial(dataset_records, rows, source))
