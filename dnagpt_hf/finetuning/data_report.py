"""The file `data.json` of a fine-tuned model: its records, their source, and their splits."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dnagpt_hf.atomic_files import write_json
from dnagpt_hf.checkpoints.published_files import DATA_REPORT
from dnagpt_hf.finetuning.settings import TaskArguments
from dnagpt_hf.tasks.dataset import TaskData

logger = logging.getLogger(__name__)

_SPLIT_SETTINGS = ("split", "split_seed", "group", "duplicates")


def write_data_report(folder: Path, arguments: TaskArguments, data: TaskData) -> None:
    """Write `data.json`: counts, the source of the records, and the settings of their splits."""
    settings = {name: getattr(arguments, name) for name in _SPLIT_SETTINGS}
    write_json(folder / DATA_REPORT, {**data.report, "data": arguments.data, "division": settings})


def read_data_report(folder: Path) -> Mapping[str, Any]:
    """Read `data.json` of a checkpoint folder; it is empty where there is none.

    Raises:
        ValueError: the file is damaged.
    """
    path = folder / DATA_REPORT
    if not path.is_file():
        return {}
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): remove it") from error
    return report if isinstance(report, dict) else {}


def with_splits_of(arguments: TaskArguments, report: Mapping[str, Any]) -> TaskArguments:
    """Restore the settings of the splits that a model was trained with, for the same data.

    Args:
        arguments: settings of a file.
        report: the report of the model's training.

    Example:

        >>> report = {"data": {"files": "a.csv"}, "division": {"split_seed": 7}}
        >>> with_splits_of(TaskArguments(data={"files": "a.csv"}), report).split_seed
        7
        >>> with_splits_of(TaskArguments(data={"files": "b.csv"}), report).split_seed
        0
    """
    settings = report.get("division", {})
    if not settings or report.get("data") != arguments.data:
        return arguments
    changed = {name: value for name, value in settings.items() if getattr(arguments, name) != value}
    if changed:
        logger.warning(
            "the records are split as in training: %s",
            ", ".join(f"{name} is {value!r}" for name, value in changed.items()),
        )
    return replace(arguments, **changed)


def check_same_records(report: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    """Refuse data that have changed since the training, so that no trained record is tested.

    Args:
        report: the report of the training.
        now: the report of the present data.
        path: the file that names the data, for the message.

    Raises:
        ValueError: splits have other counts of records than in training.
    """
    before, after = (
        ", ".join(f"{split} {one['records']:,}" for split, one in counts.get("parts", {}).items())
        for counts in (report, now)
    )
    if before and before != after:
        raise ValueError(
            f"{path}: the data have changed since the training ({before} records then, {after} "
            "now), so that the test split may hold records that were trained on: evaluate on a "
            "file of records of its own"
        )
