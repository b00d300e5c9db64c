"""The file `data.json` of a fine-tuned model: what it was trained on, and how that was divided."""

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

_DIVISION = ("split", "split_seed", "group", "duplicates")


def write_data_report(folder: Path, arguments: TaskArguments, data: TaskData) -> None:
    """Write `data.json`: counts, where the records came from, and how they were divided."""
    division = {name: getattr(arguments, name) for name in _DIVISION}
    write_json(folder / DATA_REPORT, {**data.report, "data": arguments.data, "division": division})


def read_data_report(folder: Path) -> Mapping[str, Any]:
    """What `data.json` of a checkpoint folder says; nothing where there is none.

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


def as_divided(arguments: TaskArguments, report: Mapping[str, Any]) -> TaskArguments:
    """Arguments with the division that a model was trained with, where the data are the same.

    Args:
        arguments: as a file states them.
        report: what [`read_data_report`] gave.

    Example:

        >>> report = {"data": {"files": "a.csv"}, "division": {"split_seed": 7}}
        >>> as_divided(TaskArguments(data={"files": "a.csv"}), report).split_seed
        7
        >>> as_divided(TaskArguments(data={"files": "b.csv"}), report).split_seed
        0
    """
    division = report.get("division", {})
    if not division or report.get("data") != arguments.data:
        return arguments
    changed = {name: value for name, value in division.items() if getattr(arguments, name) != value}
    if changed:
        logger.warning(
            "the records are divided as in training: %s",
            ", ".join(f"{name} is {value!r}" for name, value in changed.items()),
        )
    return replace(arguments, **changed)


def check_same_records(report: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    """Refuse data that have changed since, as their test part may have been trained on.

    Args:
        report: what [`read_data_report`] gave.
        now: the report of the data as they are.
        path: the file that names them, for the message.

    Raises:
        ValueError: parts do not hold as many records as they did.
    """
    before = _counts(report)
    if before and before != _counts(now):
        raise ValueError(
            f"{path}: the data have changed since the training ({_listed(before)} records then, "
            f"{_listed(_counts(now))} now), so that the test part may hold records that were "
            "trained on: evaluate on a file of records of its own"
        )


def _counts(report: Mapping[str, Any]) -> dict[str, int]:
    return {part: one["records"] for part, one in report.get("parts", {}).items()}


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{part} {count:,}" for part, count in counts.items())
