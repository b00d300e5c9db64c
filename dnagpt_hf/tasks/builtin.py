"""The tasks that come with this package, as YAML files beside this module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_FOLDER = Path(__file__).parent / "builtin_tasks"


def builtin_tasks() -> list[str]:
    """Names of the tasks.

    Example:

        >>> "gsr" in builtin_tasks()
        True
    """
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def builtin_task(name: str) -> dict[str, Any]:
    """The settings of a task.

    Raises:
        ValueError: there is no such task; the message lists those that exist.
    """
    path = _FOLDER / f"{name}.yaml"
    if name not in builtin_tasks():
        raise ValueError(f"unknown task {name!r}: choose one of {', '.join(builtin_tasks())}")
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content
