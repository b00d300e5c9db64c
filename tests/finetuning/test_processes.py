"""Fine-tuning in random views that is killed, and fine-tuning in two processes."""

from __future__ import annotations

import json
import signal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from finetuning_runs import (
    BOTH,
    content_of,
    finish,
    kill_in_step,
    planted,
    start,
    write_base,
    write_table,
)
from safetensors.torch import load_file
from training_runs import logged

# 78 records: 48 to train on, which are full steps, and 11 and 19, which two do not share evenly
SPLIT = [48, 11, 19]
# in the second of two epochs of 6 steps
KILLED = 11
VIEWS = {"phases": "all", "strands": "both"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base") / "base")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        {**row, "sequence": row["sequence"][: 12 + n % 12]} for n, row in enumerate(planted(78))
    ]
    return write_table(tmp_path_factory.mktemp("table") / "a.csv", rows)


def content(base: Path, table: Path, output: Path, **stated: Any) -> dict[str, Any]:
    options = {"template": BOTH, "split": SPLIT, "views": VIEWS, **stated}
    options |= {"eval_steps": 3, "save_steps": 3}
    # of batches with unlike numbers of either class the processes must make one loss
    options["class_weights"] = {"signal": 3.0}
    steps = {"eval_strategy": "steps", "save_strategy": "steps"}
    return content_of(base, table, output, **steps, **options)


@pytest.fixture(scope="module")
def alone(base: Path, table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process, uninterrupted."""
    folder = tmp_path_factory.mktemp("alone")
    finish(content(base, table, folder), 1, folder)
    return folder


def test_a_killed_run_goes_on_to_the_same_weights(
    base: Path, table: Path, alone: Path, tmp_path: Path
) -> None:
    """In the middle of an epoch and of a step; the second time by the command alone.

    Workers that outlive their epoch show the views of the next one.
    """
    workers = {"dataloader_num_workers": 1, "dataloader_persistent_workers": True}
    stated = content(base, table, tmp_path, **workers)
    killed = start(stated, 1, tmp_path, partial(kill_in_step, KILLED))
    assert killed.wait() == -signal.SIGKILL
    # the last one, and the best one so far
    kept = {path.name for path in tmp_path.glob("checkpoint-*")}
    assert "checkpoint-9" in kept and "checkpoint-12" not in kept
    finish(stated, 1, tmp_path)
    for name in ("loss", "grad_norm", "eval_loss", "eval_label_mcc"):
        assert logged(tmp_path, name) == logged(alone, name)
    for name in ("model.safetensors", "predictions.parquet", "metrics.json", "data.json"):
        assert (tmp_path / name).read_bytes() == (alone / name).read_bytes(), name


def test_two_processes_train_and_measure_as_one(
    base: Path, table: Path, alone: Path, tmp_path: Path
) -> None:
    finish(content(base, table, tmp_path, per_device_train_batch_size=4), 2, tmp_path)
    for name in ("loss", "eval_loss", "eval_level_mse"):
        assert len(logged(alone, name)) == (12 if name == "loss" else 4)
        np.testing.assert_allclose(logged(tmp_path, name), logged(alone, name), rtol=1e-3)
    weights, expected = (load_file(path / "model.safetensors") for path in (tmp_path, alone))
    for name, weight in weights.items():
        # Adam divides by gradients that may be nothing but rounding
        torch.testing.assert_close(weight, expected[name], rtol=0, atol=5e-3, msg=name)
    # every record is measured once, and in its place
    rows, wanted = (predictions(path) for path in (tmp_path, alone))
    assert [row["name"] for row in rows] == [row["name"] for row in wanted]
    assert len({row["name"] for row in rows}) == 19
    for row, other in zip(rows, wanted, strict=True):
        assert row["level_target"] == other["level_target"]
        assert row["level_predicted"] == pytest.approx(other["level_predicted"], rel=0.02)
        assert row["label_probability_signal"] == pytest.approx(
            other["label_probability_signal"], abs=0.02
        )
    assert json.loads((tmp_path / "data.json").read_text()) == json.loads(
        (alone / "data.json").read_text()
    )


def predictions(folder: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(folder / "predictions.parquet").to_pylist()
    return rows
