"""Where the figures of pre-training go to."""

from __future__ import annotations

import sqlite3
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest
from training_runs import arguments, finish, set_environment, write_genomes


@pytest.mark.slow
@pytest.mark.skipif(find_spec("tensorboard") is None, reason="needs tensorboard")
def test_tensorboard_has_the_figures(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = {"report_to": "tensorboard", "max_steps": 2}
    folder = {"TENSORBOARD_LOGGING_DIR": str(tmp_path / "events")}
    command = arguments(write_genomes(tmp_path), tmp_path / "run", **settings)
    finish(command, 1, tmp_path, partial(set_environment, folder))
    events = EventAccumulator(str(next((tmp_path / "events").rglob("events.*")).parent)).Reload()
    figures = {"bits_per_base", "gc_error", "mbp_per_second", "loss"}
    assert {f"train/{name}" for name in figures} <= set(events.Tags()["scalars"])
    assert len(events.Scalars("train/bits_per_base")) == 2


@pytest.mark.slow
@pytest.mark.skipif(find_spec("trackio") is None, reason="needs trackio")
def test_trackio_keeps_the_figures_in_a_folder(tmp_path: Path) -> None:
    folder = {"TRACKIO_DIR": str(tmp_path / "trackio"), "HF_HUB_OFFLINE": "1"}
    settings = {"report_to": "trackio", "max_steps": 2, "run_name": "first"}
    command = arguments(write_genomes(tmp_path), tmp_path / "run", **settings)
    finish(command, 1, tmp_path, partial(set_environment, folder))
    (database,) = (tmp_path / "trackio").glob("*.db")
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT metrics FROM metrics").fetchall()
    assert sum(b"bits_per_base" in _bytes(row[0]) for row in rows) == 2


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
