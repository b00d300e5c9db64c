"""Datasets of the Hub and of the library `datasets`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dnagpt_hf.messages import did_you_mean, on_one_line
from dnagpt_hf.records.reading import dataset_records
from dnagpt_hf.tasks.sources import ALL, SPLIT_NAMES, SPLITS, Source, Splits

# files by which a folder that `save_to_disk` made is known
_SAVED = ("dataset_dict.json", "state.json")


class HubDataset(Source):
    """A dataset of the Hub, or one in a folder; the number of a row stands for its line.

    A class is given by its name where the dataset has names.

    Args:
        dataset: a folder that `save_to_disk` made or that holds data files, or a name on the Hub.
        name: its configuration, where there are several.
        splits: the name of each split in the dataset, as `{"validation": "dev"}`. By default the
            usual names; a lone split `train` is the whole dataset, not yet split.
        revision: version of a dataset of the Hub.
    """

    dataset: str
    name: str | None = None
    splits: dict[str, str] | None = None
    revision: str | None = None

    def read(self, folder: Path) -> Splits:
        loaded = _load(self.dataset, folder, self.name, self.revision)
        if not self.splits and list(loaded) == ["train"]:
            return {ALL: dataset_records(loaded["train"], self.dataset)}
        return {
            split: dataset_records(loaded[name], f"{self.dataset} ({name})")
            for split, name in _chosen(self.dataset, list(loaded), self.splits).items()
        }


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
        reason = on_one_line(error)
        raise ValueError(f"dataset {dataset} cannot be loaded: {reason}") from error
    return {"train": loaded} if isinstance(loaded, Dataset) else loaded


def _chosen(dataset: str, found: list[str], stated: Mapping[str, str] | None) -> dict[str, str]:
    """Match our splits with those of a dataset."""
    if stated is None:
        # the first of several usual names
        chosen = {
            split: name
            for split, names in SPLIT_NAMES.items()
            for name in reversed(names)
            if name in found
        }
        if not chosen:
            raise ValueError(
                f"dataset {dataset} has the splits {', '.join(found)}: match them with splits, as "
                "{train: " + found[0] + "}"
            )
        return chosen
    for split, name in stated.items():
        if split not in SPLITS:
            raise ValueError(
                f"splits: unknown split {split!r}{did_you_mean(split, SPLITS)} (choose from "
                f"{', '.join(SPLITS)})"
            )
        if name not in found:
            raise ValueError(
                f"dataset {dataset} has no split {name!r}, only {', '.join(found)}"
                f"{did_you_mean(name, found)}"
            )
    return dict(stated)
