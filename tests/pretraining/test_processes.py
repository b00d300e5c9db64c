"""Pre-training with two processes: every strategy trains the model that one process trains."""

from __future__ import annotations

import io
import shutil
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_runs import (
    arguments,
    finish,
    logged,
    rows_read,
    write_genomes,
    write_weights,
)
from transformers import TrainingArguments

from dnagpt_hf import DNAGPTForMultiTask, planning

needs_processor_streams = pytest.mark.skipif(
    not hasattr(torch.cpu.Stream, "record_event"), reason="FSDP 2 of this PyTorch needs a GPU"
)
PLANNING = Path(planning.__path__[0])
needs_deepspeed = pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs deepspeed")
SAVED = {"save_strategy": "steps", "save_steps": 3}
EVALUATED = {"eval_strategy": "steps", "eval_steps": 4, "eval_rows": 3}
# four rows in a step, dealt to two processes and two steps of accumulation
DEALT = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 2}


def strategy(name: str) -> dict[str, Any]:
    """The settings that choose a strategy."""
    if name == "ddp":
        return {}
    if name == "fsdp2":
        switch = next(field for field in fields(TrainingArguments) if field.name == "fsdp")
        # earlier releases of Transformers want a value with it
        value = None if "const" in switch.metadata else "full_shard auto_wrap"
        return {"fsdp": value, "fsdp_config": PLANNING / "fsdp2.json"}
    return {"deepspeed": PLANNING / "deepspeed" / f"{name}.json"}


@pytest.fixture(scope="module")
def genomes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_genomes(tmp_path_factory.mktemp("genomes"))


@pytest.fixture(scope="module")
def new_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def alone(genomes: Path, new_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process, uninterrupted."""
    folder = tmp_path_factory.mktemp("alone")
    command = arguments(genomes, folder, model=new_weights, **SAVED, **EVALUATED)
    finish(command, 1, folder)
    return folder


def check_equal(folder: Path, alone: Path) -> None:
    """Losses, evaluations and weights are those of one process, and the model loads."""
    for name in ("loss", "bits_per_base", "grad_norm", "eval_yeast_bits_per_base"):
        assert len(logged(alone, name)) == (2 if name.startswith("eval") else 8)
        tolerance = 1e-4 if name == "grad_norm" else 1e-5
        np.testing.assert_allclose(logged(folder, name), logged(alone, name), rtol=tolerance)
    model, expected = (DNAGPTForMultiTask.from_pretrained(path) for path in (folder, alone))
    assert (folder / "modeling_dnagpt.py").is_file()
    for (name, one), other in zip(
        model.state_dict().items(), expected.state_dict().values(), strict=True
    ):
        # Adam divides by gradients that may be nothing but rounding
        torch.testing.assert_close(one, other, rtol=0, atol=1e-3, msg=name)


def test_one_process_reads_full_steps_in_order(alone: Path) -> None:
    # 14 rows and the first two of the next epoch, so that the last step is full
    assert rows_read(alone) == list(range(32))


STRATEGIES = [
    ("ddp", "optimizer.pt"),
    pytest.param("fsdp2", "pytorch_model_fsdp.bin", marks=needs_processor_streams),
    pytest.param("zero1", "global_step3", marks=[pytest.mark.slow, needs_deepspeed]),
    pytest.param("zero2", "global_step3", marks=needs_deepspeed),
    pytest.param("zero3", "global_step3", marks=[pytest.mark.slow, needs_deepspeed]),
]


@pytest.mark.parametrize(("name", "file"), STRATEGIES)
def test_two_processes_train_the_same_model(
    genomes: Path, new_weights: Path, alone: Path, tmp_path: Path, name: str, file: str
) -> None:
    settings = {"model": new_weights, **DEALT, **SAVED, **EVALUATED, **strategy(name)}
    finish(arguments(genomes, tmp_path, **settings), 2, tmp_path)
    assert rows_read(tmp_path, 0) == list(range(0, 32, 2))
    assert rows_read(tmp_path, 1) == list(range(1, 32, 2))
    check_equal(tmp_path, alone)
    # the strategy was really taken
    assert (tmp_path / "checkpoint-3" / file).exists()


def loads_to_the_first_processor() -> bool:
    """Whether this PyTorch knows cpu:0, to which Transformers has several processes load."""
    file = io.BytesIO()
    torch.save(torch.zeros(1), file)
    file.seek(0)
    try:
        torch.load(file, map_location="cpu:0")
    except RuntimeError:
        return False
    return True


@pytest.mark.skipif(
    not loads_to_the_first_processor(), reason="PyTorch cannot load what the optimizer has saved"
)
def test_a_run_of_one_process_goes_on_with_two(
    genomes: Path, new_weights: Path, alone: Path, tmp_path: Path
) -> None:
    """In the middle of the first epoch."""
    shutil.copytree(alone / "checkpoint-3", tmp_path / "checkpoint-3")
    command = arguments(genomes, tmp_path, model=new_weights, **DEALT, **SAVED, **EVALUATED)
    finish(command, 2, tmp_path)
    assert rows_read(tmp_path, 0) == list(range(12, 32, 2))
    check_equal(tmp_path, alone)


def test_genomes_are_read_by_one_process(tmp_path: Path) -> None:
    manifest = write_genomes(tmp_path)
    finish(arguments(manifest, tmp_path, max_steps=1), 2, tmp_path)
    assert (tmp_path / "indexes-0.txt").read_text().split() == ["yeast.fa", "human.fa"]
    assert not (tmp_path / "indexes-1.txt").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "ddp",
        pytest.param("fsdp2", marks=needs_processor_streams),
        *(pytest.param(name, marks=needs_deepspeed) for name in ("zero1", "zero2", "zero3")),
    ],
)
@pytest.mark.parametrize("step", [3, 6])
def test_a_shared_run_goes_on(
    genomes: Path, new_weights: Path, alone: Path, tmp_path: Path, name: str, step: int
) -> None:
    settings = {"model": new_weights, **DEALT, **SAVED, **EVALUATED, **strategy(name)}
    command = arguments(genomes, tmp_path, **settings)
    finish(command, 2, tmp_path)
    for later in range(step + 1, 9):
        shutil.rmtree(tmp_path / f"checkpoint-{later}", ignore_errors=True)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "rows-0.txt").unlink()
    finish(command, 2, tmp_path)
    assert rows_read(tmp_path, 0) == list(range(4 * step, 32, 2))
    check_equal(tmp_path, alone)
