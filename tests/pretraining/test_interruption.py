"""Pre-training that is killed, or finds a damaged checkpoint."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from training_runs import (
    arguments,
    finish,
    kill_in_step,
    kill_while_saving,
    logged,
    start,
    write_genomes,
)

SAVED = {"save_strategy": "steps", "save_steps": 2}
KILLED = -signal.SIGKILL


@pytest.fixture(scope="module")
def genomes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_genomes(tmp_path_factory.mktemp("genomes"))


@pytest.fixture(scope="module")
def uninterrupted(genomes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    finish(arguments(genomes, folder, **SAVED), 1, folder)
    return folder


def check_same_curve(folder: Path, uninterrupted: Path) -> None:
    """Every step was logged once, with the same figures, and gave the same weights."""
    for name in ("loss", "grad_norm", "learning_rate", "bits_per_base"):
        assert logged(folder, name) == logged(uninterrupted, name)
    weights = (path / "model.safetensors" for path in (folder, uninterrupted))
    assert next(weights).read_bytes() == next(weights).read_bytes()


def test_a_run_killed_twice_is_that_of_one_that_was_not(
    genomes: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    """In the middle of a step, and then in the middle of writing a checkpoint."""
    command = arguments(genomes, tmp_path, **SAVED)
    assert start(command, 1, tmp_path, partial(kill_in_step, 4)).wait() == KILLED
    assert not (tmp_path / "checkpoint-4").exists()
    assert start(command, 1, tmp_path, partial(kill_while_saving, 6)).wait() == KILLED
    assert (tmp_path / "checkpoint-6" / "optimizer.pt").read_bytes() == b"half of"
    written = finish(command, 1, tmp_path)
    assert f"{tmp_path / 'checkpoint-6'} has no contents.json: it was cut off" in written
    check_same_curve(tmp_path, uninterrupted)
    assert (tmp_path / "checkpoint-6" / "contents.json").is_file()


@pytest.mark.slow
def test_two_processes_killed_while_they_save(genomes: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    settings: dict[str, Any] = {"per_device_train_batch_size": 2, **SAVED}
    finish(arguments(genomes, whole, **settings), 2, whole)
    run = start(arguments(genomes, killed, **settings), 2, killed, partial(kill_while_saving, 4))
    assert run.wait() == KILLED
    written = finish(arguments(genomes, killed, **settings), 2, killed)
    assert "checkpoint-4 has no contents.json" in written
    check_same_curve(killed, whole)


@pytest.mark.slow
def test_the_command_killed_from_outside(
    genomes: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    """`dnagpt pretrain`, killed as soon as the folder of a checkpoint appears."""
    command = arguments(genomes, tmp_path / "run", **SAVED)
    pairs = zip(command[::2], command[1::2], strict=True)
    settings = {name[2:]: yaml.safe_load(value) for name, value in pairs}
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({**settings, "use_cpu": True, "learning_rate": 1.0}))
    program = [sys.executable, "-m", "dnagpt_hf", "pretrain", str(config)]
    program += ["--learning_rate", "1e-2"]
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 240
    while not (tmp_path / "run" / "checkpoint-4").exists() and time.monotonic() < end:
        time.sleep(0.002)
    process.kill()
    assert process.wait() == KILLED
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path / 'run'}: trained for 8 steps" in done.stdout
    check_same_curve(tmp_path / "run", uninterrupted)


@pytest.mark.parametrize("damage", ["cut off", "overwritten", "missing"])
@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt"])
def test_a_damaged_checkpoint_is_named(
    genomes: Path, uninterrupted: Path, tmp_path: Path, damage: str, name: str
) -> None:
    checkpoint = tmp_path / "checkpoint-4"
    shutil.copytree(uninterrupted / "checkpoint-4", checkpoint)
    file = checkpoint / name
    size = file.stat().st_size
    if damage == "cut off":
        file.write_bytes(file.read_bytes()[:-100])
    elif damage == "overwritten":
        file.write_bytes(b"\xff" * size)
    else:
        file.unlink()
    command = arguments(genomes, tmp_path / "run", resume_from_checkpoint=checkpoint)
    run = start(command, 1, tmp_path)
    assert run.wait() == 1
    told = [line for line in run.text().splitlines() if str(checkpoint) in line]
    assert len(told) == 1 and told[0].startswith("pretrain.py: error: ")
    assert name in told[0] or damage == "overwritten"
    assert "Traceback" not in run.text()
    assert not (tmp_path / "run" / "model.safetensors").exists()
