"""Tasks that come with this package, as YAML files beside this module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dnagpt_hf.yaml_files import read_yaml

_FOLDER = Path(__file__).parent / "builtin_tasks"


def builtin_tasks() -> list[str]:
    """List the names of the tasks.

    Example:

        >>> "gsr" in builtin_tasks()
        True
    """
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def builtin_task(name: str) -> dict[str, Any]:
    """Read the settings of a task.

    Raises:
        ValueError: there is no such task; the message lists those that exist.
    """
    if name not in builtin_tasks():
        raise ValueError(f"unknown task {name!r}: choose one of {', '.join(builtin_tasks())}")
    return read_yaml(_FOLDER / f"{name}.yaml")
