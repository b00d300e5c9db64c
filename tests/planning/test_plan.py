"""Memory of the strategies, plans, and time."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

from dnagpt_hf.planning.hardware import GIB, GPU, GPUS, get_gpu, parse_memory
from dnagpt_hf.planning.plan import (
    STRATEGIES,
    USABLE,
    Plan,
    launch_config,
    nothing_fits,
    plan_strategies,
    recommend,
    training_memory,
    training_time,
)
from dnagpt_hf.planning.step import TrainingStep, training_flops_per_token
from dnagpt_hf.presets import preset_config

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "benchmark_planned_memory.py"
STEPS = {
    name: TrainingStep(preset_config(name), 512, precision)
    for name, precision in {"dnagpt-s-512": "float16", "dnagpt-b-512": "bfloat16"}.items()
}


@cache
def small_step(precision: str) -> TrainingStep:
    return TrainingStep(preset_config("dnagpt-test"), 64, precision)


def recommended(preset: str, memory: int, gpus: int, **batch: int) -> Plan:
    step = STEPS[preset]
    best = recommend(step, plan_strategies(step, memory, gpus, **batch))
    assert best is not None
    return best


# -- memory ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_peak_of_a_real_step_is_as_planned() -> None:
    arguments = ["--layers", "6", "--hidden-size", "384"]
    result = subprocess.run(
        [sys.executable, "-W", "ignore", BENCHMARK, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    (line,) = result.stdout.splitlines()
    assert json.loads(line)["measured_of_planned"] == pytest.approx(1, abs=0.12)


@pytest.mark.parametrize(
    ("strategy", "gpus", "precision", "weights", "gradients", "optimizer"),
    [
        ("ddp", 1, "bfloat16", 4, 4, 8),
        ("ddp", 4, "bfloat16", 4, 8, 8),
        ("ddp", 4, "float32", 4, 8, 8),
        ("zero1", 8, "bfloat16", 2, 2, 18 / 8),
        ("zero2", 8, "float16", 2, 2 / 8, 16 / 8),
        ("zero1", 8, "float32", 4, 4, 16 / 8),
        ("zero2", 8, "float32", 4, 4 / 8, 16 / 8),
        # DeepSpeed's estimate_zero2_model_states_mem_needs: 2 + 18 / N
        ("zero2", 16, "bfloat16", 2, 2 / 16, 16 / 16),
    ],
)
def test_bytes_of_each_weight(
    strategy: str, gpus: int, precision: str, weights: float, gradients: float, optimizer: float
) -> None:
    step = small_step(precision)
    needed = training_memory(step, strategy, gpus)
    parts = [needed[name] / step.parameters for name in ("weights", "gradients", "optimizer")]
    assert parts == pytest.approx([weights, gradients, optimizer], abs=1e-3)
    assert needed["total"] == sum(value for name, value in needed.items() if name != "total")


def test_full_sharding_shares_everything_but_the_layers_in_flight() -> None:
    step = STEPS["dnagpt-b-512"]
    few, many = (training_memory(step, "fsdp2", gpus) for gpus in (8, 64))
    shared = 16 * step.parameters * (1 / 8 - 1 / 64)
    assert few["total"] - many["total"] == pytest.approx(shared, rel=1e-3)
    gathered = many["weights"] - 4 * step.parameters / 64
    assert 2 * 3 * step.layer_parameters < gathered < 2 * 10 * step.layer_parameters


def test_accumulation_keeps_whole_gradients_under_fsdp2() -> None:
    step = STEPS["dnagpt-b-512"]
    once, accumulating = (
        training_memory(step, "fsdp2", 8, accumulates=each) for each in (False, True)
    )
    assert accumulating["gradients"] - once["gradients"] == 2 * step.parameters


# -- plans -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_largest_micro_batch_is_the_last_that_fits(strategy: str, checkpointing: bool) -> None:
    step = STEPS["dnagpt-b-512"]
    plain, checkpointed = plan_strategies(step, 80 * GIB, 16, strategy=strategy)
    rows = (checkpointed if checkpointing else plain).largest_micro_batch
    assert rows > 0
    fits, exceeds = (
        training_memory(step, strategy, 16, rows=count, gradient_checkpointing=checkpointing)
        for count in (rows, rows + 1)
    )
    assert fits["total"] <= USABLE * 80 * GIB < exceeds["total"]


def test_the_simplest_that_fits_is_recommended() -> None:
    small = recommended("dnagpt-s-512", 32 * GIB, 8, accumulation_steps=5)
    assert (small.strategy, small.gradient_checkpointing) == ("ddp", False)
    large = recommended("dnagpt-b-512", 32 * GIB, 8, accumulation_steps=5)
    # fewer than 4,096 tokens would fit without checkpointing
    assert (large.strategy, large.gradient_checkpointing) == ("fsdp2", True)


def test_one_gpu_has_nothing_to_share() -> None:
    plain, checkpointed = plan_strategies(STEPS["dnagpt-s-512"], 32 * GIB)
    assert plain.strategy == checkpointed.strategy == "ddp"


def test_a_batch_is_dealt_out() -> None:
    best = recommended("dnagpt-s-512", 32 * GIB, 8, global_batch=1920)
    # 240 rows for each GPU, of which fewer than 160 fit: the largest part that divides them is 120
    assert (best.micro_batch, best.accumulation_steps) == (120, 2)
    stated = recommended("dnagpt-s-512", 32 * GIB, 8, micro_batch=16, global_batch=1920)
    assert (stated.micro_batch, stated.accumulation_steps) == (16, 15)


def test_without_a_batch_the_recipe_and_a_usual_step_decide() -> None:
    best = recommended("dnagpt-s-512", 80 * GIB, 8, accumulation_steps=5)
    assert (best.micro_batch, best.accumulation_steps) == (25, 5)


def test_batches_that_cannot_be() -> None:
    with pytest.raises(ValueError, match=r"100 rows cannot be dealt to 8 GPUs.*as 96"):
        plan_strategies(small_step("float32"), GIB, 8, global_batch=100)
    with pytest.raises(ValueError, match=r"96 rows cannot be dealt to 8 GPUs, 5 rows at a time"):
        plan_strategies(small_step("float32"), GIB, 8, micro_batch=5, global_batch=96)


def test_nothing_fits() -> None:
    step = STEPS["dnagpt-b-512"]
    plans = list(plan_strategies(step, 32 * GIB))
    assert recommend(step, plans) is None
    assert not any(plan.fits for plan in plans)
    advice = nothing_fits(plans, 32 * GIB)
    assert "ddp with gradient checkpointing" in advice
    assert "30.4 GiB can be filled" in advice
    small = STEPS["dnagpt-s-512"]
    assert recommend(small, plan_strategies(small, 16 * GIB, micro_batch=10_000)) is None


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_launch_configs_come_with_the_package(
    strategy: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = yaml.safe_load(Path(launch_config(strategy)).read_text(encoding="utf-8"))
    assert settings["num_processes"] == 8
    monkeypatch.chdir(Path(launch_config(strategy)).parent)
    assert launch_config(strategy) == f"{strategy}.yaml"


# -- time ------------------------------------------------------------------------------------------


def test_time() -> None:
    step, gpu = small_step("float32"), GPU("any", 32 * GIB, {"float32": 100e12})
    run = training_time(step, gpu, 4, bases=6e9, epochs=2, utilization=0.5)
    flops_per_token = training_flops_per_token(step.config, 64)
    assert run["tokens"] == 12e9 / step.config.kmer_size
    assert run["flops"] == run["tokens"] * flops_per_token
    assert run["tokens_per_second"] == pytest.approx(4 * 50e12 / flops_per_token)
    assert run["seconds"] == pytest.approx(run["flops"] / (4 * 50e12))
    assert run["gpu_hours"] == pytest.approx(4 * run["seconds"] / 3600)


@pytest.mark.parametrize("utilization", [0, 40, float("nan")])
def test_utilizations_that_cannot_be(utilization: float) -> None:
    step = small_step("float32")
    with pytest.raises(ValueError, match=f"utilization of {utilization} cannot be"):
        training_time(step, GPUS["v100"], 4, bases=2e9, epochs=1, utilization=utilization)


# -- hardware --------------------------------------------------------------------------------------


def test_gpus() -> None:
    assert get_gpu("v100").memory == 32 * GIB
    assert "bfloat16" not in get_gpu("v100").rates
    with pytest.raises(ValueError, match=r"'b200'.*v100-16, v100, a100-40, a100-80, h100, h200"):
        get_gpu("b200")
    for gpu in GPUS.values():
        assert gpu.rates["float32"] < gpu.rates["float16"] < 1e16


@pytest.mark.parametrize(
    ("text", "gib"), [("32GB", 32), ("32 GiB", 32), ("80", 80), ("40960MiB", 40), ("1.5gb", 1.5)]
)
def test_sizes_of_memory(text: str, gib: float) -> None:
    assert parse_memory(text) == gib * GIB


@pytest.mark.parametrize("text", ["", "GB", "32 bits", "-5GB", "0GB", "9999GB", "32MB", "nan"])
def test_sizes_that_no_gpu_has(text: str) -> None:
    with pytest.raises(ValueError, match=r"as 32GB"):
        parse_memory(text)
