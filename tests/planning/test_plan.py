"""Memory, strategies, time and cost."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dnagpt_hf import DNAGPTForMultiTask
from dnagpt_hf.planning import memory
from dnagpt_hf.planning.cost import PRETRAINING_BASES, estimate_run
from dnagpt_hf.planning.flops import layer_parameters, num_parameters, training_flops_per_token
from dnagpt_hf.planning.hardware import GIB, GPUS, get_gpu, parse_memory
from dnagpt_hf.planning.memory import STRATEGIES, Setup, activation_memory, training_memory
from dnagpt_hf.planning.plan import (
    USABLE,
    Job,
    largest_micro_batch,
    make_plan,
)
from dnagpt_hf.planning.tables import preset_job, time_table
from dnagpt_hf.presets import PRESETS, get_preset, preset_config

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "benchmark_planned_memory.py"


# -- activations -----------------------------------------------------------------------------------


def saved_bytes(setup: Setup) -> int:
    """Bytes that autograd keeps of a forward pass, weights and their casts aside."""
    model = DNAGPTForMultiTask._from_config(setup.config, attn_implementation=setup.attention)
    if setup.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    weights = {tuple(weight.shape) for weight in model.parameters() if weight.ndim == 2}
    held = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        address = tensor.untyped_storage().data_ptr()
        if address not in held and tuple(tensor.shape) not in weights:
            kept[address] = tensor
        return tensor

    shape = (setup.micro_batch, setup.positions)
    ids = torch.randint(40, 1000, shape)
    numbers = torch.zeros(shape)
    positions = (torch.arange(setup.positions) % 20).expand(shape)
    autocast: Any = contextlib.nullcontext()
    if setup.is_autocast:
        autocast = torch.autocast("cpu", torch.bfloat16)
    with autocast, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.train()(
            ids,
            number_values=numbers,
            position_ids=positions,
            labels=ids,
            number_labels=numbers,
            skip_logits=True,
            use_cache=False,
        )
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def planned_bytes(setup: Setup) -> int:
    """The same from the plan: all but casts of weights, the loss and short-lived tensors."""
    layers = setup.config.num_hidden_layers
    of_layer = memory.layer_activations(setup)
    if setup.gradient_checkpointing:
        of_layer = setup.tokens * setup.config.hidden_size * memory._residual_element(setup)
    return (
        layers * of_layer + memory._embedding_activations(setup) + memory._head_activations(setup)
    )


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated:FutureWarning")
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize(
    ("precision", "checkpointing"), [("float32", False), ("float32", True), ("bfloat16", False)]
)
def test_activations_are_those_that_autograd_keeps(
    attention: str, precision: str, checkpointing: bool
) -> None:
    config = preset_config("dnagpt-test", num_hidden_layers=6, hidden_size=96)
    setup = Setup(
        config,
        precision=precision,
        positions=64,
        micro_batch=3,
        gradient_checkpointing=checkpointing,
        attention=attention,
    )
    planned = planned_bytes(setup)
    if setup.is_autocast:
        # the norms of the three projections are computed in float32 on a GPU, in bfloat16 here
        planned -= 3 * 2 * config.hidden_size * setup.tokens
    assert saved_bytes(setup) == pytest.approx(planned, rel=0.02)


def test_flash_attention_keeps_nothing_that_grows_with_the_square() -> None:
    setup = Setup(preset_config("dnagpt-h"), positions=4096, attention="flash_attention_2")
    halves = replace(setup, positions=2048, micro_batch=2)
    assert activation_memory(setup) == activation_memory(halves)
    masked = replace(setup, attention="sdpa")
    assert activation_memory(masked) - activation_memory(setup) > 12 * 2 * 4096**2


@pytest.mark.slow
def test_peak_of_a_real_step_is_as_planned() -> None:
    arguments = ["--layers", "4", "--hidden-size", "192", "--positions", "256"]
    result = subprocess.run(
        [sys.executable, "-W", "ignore", BENCHMARK, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    (line,) = result.stdout.splitlines()
    assert json.loads(line)["measured_of_planned"] == pytest.approx(1, abs=0.12)


# -- states of the strategies ----------------------------------------------------------------------


def per_weight(part: int, setup: Setup) -> float:
    return part / num_parameters(setup.config)


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
    ],
)
def test_bytes_of_each_weight(
    strategy: str, gpus: int, precision: str, weights: float, gradients: float, optimizer: float
) -> None:
    setup = Setup(preset_config("dnagpt-s-512"), strategy, gpus, precision)
    needed = training_memory(setup)
    assert per_weight(needed.weights, setup) == pytest.approx(weights, abs=1e-3)
    assert per_weight(needed.gradients, setup) == pytest.approx(gradients, abs=1e-3)
    assert per_weight(needed.optimizer, setup) == pytest.approx(optimizer, abs=1e-3)


def test_zero2_is_what_deepspeed_estimates() -> None:
    setup = Setup(preset_config("dnagpt-b-512"), "zero2", 16)
    needed = training_memory(setup)
    states = needed.weights + needed.gradients + needed.optimizer
    assert per_weight(states, setup) == pytest.approx(2 + 18 / 16, abs=1e-3)


def test_full_sharding_shares_everything_but_the_layers_in_flight() -> None:
    config = preset_config("dnagpt-b-512")
    few, many = (training_memory(Setup(config, "fsdp2", gpus)) for gpus in (8, 64))
    shared = 16 * num_parameters(config) * (1 / 8 - 1 / 64)
    assert few.total - many.total == pytest.approx(shared, rel=1e-3)
    gathered = many.weights - 4 * num_parameters(config) / 64
    assert 2 * 3 * layer_parameters(config) < gathered < 2 * 10 * layer_parameters(config)


def test_accumulation_keeps_whole_gradients_under_fsdp2() -> None:
    setup = Setup(preset_config("dnagpt-b-512"), "fsdp2", 8)
    accumulating = replace(setup, accumulation_steps=5)
    more = training_memory(accumulating).gradients - training_memory(setup).gradients
    assert more == 2 * num_parameters(setup.config)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("strategy", "zero4", "'zero4'.*ddp, fsdp2, zero1, zero2, zero3"),
        ("precision", "fp8", "'fp8'.*float32, float16, bfloat16"),
        ("attention", "flex", "'flex'.*sdpa"),
        ("gpus", 0, "gpus is 0: give 1 or more"),
        ("micro_batch", -1, "micro_batch is -1"),
        ("positions", 513, "513 tokens exceed the model's 512 positions"),
    ],
)
def test_setups_that_cannot_be(field: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Setup(preset_config("dnagpt-s-512"), **{field: value})


# -- plans -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_largest_micro_batch_is_the_last_that_fits(strategy: str, checkpointing: bool) -> None:
    job = preset_job("dnagpt-b-512", 16, 80 * GIB)
    rows = largest_micro_batch(job, strategy, checkpointing)
    assert rows > 0
    totals = [
        training_memory(job.setup(strategy, checkpointing, count)).total
        for count in (rows, rows + 1)
    ]
    assert totals[0] <= USABLE * job.memory < totals[1]


def test_the_simplest_that_fits_is_recommended() -> None:
    small = make_plan(preset_job("dnagpt-s-512", 8, 32 * GIB)).recommended
    assert small is not None
    assert (small.setup.strategy, small.setup.gradient_checkpointing) == ("ddp", False)
    large = make_plan(preset_job("dnagpt-b-512", 8, 32 * GIB))
    assert large.recommended is not None
    assert large.recommended.setup.strategy == "fsdp2"
    # fewer than 4,096 tokens would fit without
    assert large.recommended.setup.gradient_checkpointing
    assert large.config_file == "examples/configs/accelerate/fsdp2.yaml"


def test_one_gpu_has_nothing_to_share() -> None:
    plan = make_plan(preset_job("dnagpt-s-512", 1, 32 * GIB))
    assert {candidate.setup.strategy for candidate in plan.candidates} == {"ddp"}
    assert plan.config_file is None


def test_a_batch_is_dealt_out() -> None:
    job = preset_job("dnagpt-s-512", 8, 32 * GIB, global_batch=1920)
    best = make_plan(job).recommended
    assert best is not None
    # 240 rows for each GPU, of which 137 fit: the largest part that divides them is 120
    assert (best.setup.micro_batch, best.setup.accumulation_steps) == (120, 2)
    stated = make_plan(job, micro_batch=16)
    assert stated.recommended is not None
    assert stated.recommended.setup.accumulation_steps == 15
    assert stated.global_batch == 1920


def test_without_a_batch_the_recipe_and_a_usual_step_decide() -> None:
    plan = make_plan(preset_job("dnagpt-s-512", 8, 80 * GIB))
    assert plan.recommended is not None
    assert plan.recommended.setup.accumulation_steps == 5
    assert plan.recommended.setup.micro_batch == 25
    assert plan.global_batch == 8 * 5 * 25


def test_batches_that_cannot_be_dealt_out() -> None:
    with pytest.raises(ValueError, match=r"100 rows cannot be dealt to 8 GPUs.*as 96"):
        preset_job("dnagpt-s-512", 8, 32 * GIB, global_batch=100)
    job = preset_job("dnagpt-s-512", 8, 32 * GIB, global_batch=96)
    with pytest.raises(ValueError, match=r"96 rows cannot be dealt to 8 GPUs, 5 rows at a time"):
        make_plan(job, micro_batch=5)
    with pytest.raises(ValueError, match="unknown strategy 'pipeline'"):
        make_plan(job, "pipeline")


def test_nothing_fits() -> None:
    plan = make_plan(preset_job("dnagpt-b-512", 1, 32 * GIB))
    assert (plan.recommended, plan.global_batch, plan.config_file) == (None, None, None)
    (warning,) = plan.warnings
    assert "ddp with gradient checkpointing" in warning
    assert "30.4 GiB can be filled" in warning
    assert not any(candidate.fits for candidate in plan.candidates)
    too_many = make_plan(preset_job("dnagpt-s-512", 1, 16 * GIB), micro_batch=10_000)
    assert too_many.recommended is None


def test_a_job_takes_precision_and_accumulation_of_the_recipe() -> None:
    job = preset_job("dnagpt-b-512", 2, 80 * GIB)
    assert (job.precision, job.accumulation_steps) == ("bfloat16", 5)
    assert preset_job("dnagpt-b-512", 2, 80 * GIB, "float32").precision == "float32"
    assert Job(job.config, 2, 80 * GIB, positions=128).row_positions == 128


# -- time and cost ---------------------------------------------------------------------------------


def test_time_and_cost() -> None:
    config = preset_config("dnagpt-s-512")
    run = estimate_run(config, 512, 6e9, 2, 4, rate=100e12, utilisation=0.5, price=2.0)
    per_token = training_flops_per_token(config, 512)
    assert run.tokens == 2e9
    assert run.flops == 2e9 * per_token
    assert run.tokens_per_second == pytest.approx(4 * 50e12 / per_token)
    assert run.seconds == pytest.approx(run.flops / (4 * 50e12))
    assert run.cost == pytest.approx(2 * 4 * run.seconds / 3600)
    assert estimate_run(config, 512, 6e9, 2, 4, 100e12, 0.5).cost is None


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"bases": 0}, "bases is 0: give more than 0"),
        ({"epochs": float("nan")}, "epochs is nan"),
        ({"utilisation": 40}, "utilisation of 40 cannot be"),
        ({"utilisation": 0}, "utilisation of 0 cannot be"),
        ({"price": -1}, "price of -1 cannot be"),
    ],
)
def test_figures_that_cannot_be(stated: dict[str, float], message: str) -> None:
    figures = {"bases": 3e9, "epochs": 1, "gpus": 8, "rate": 1e14, "utilisation": 0.4, **stated}
    with pytest.raises(ValueError, match=message):
        estimate_run(preset_config("dnagpt-s-512"), 512, **figures)  # type: ignore[arg-type]


def test_bases_of_the_paper_belong_to_presets() -> None:
    assert set(PRETRAINING_BASES) == {
        name for name in PRESETS if get_preset(name).pretraining.source == "Fig. S3"
    }
    for name, bases in PRETRAINING_BASES.items():
        stated = get_preset(name).data
        assert f"{bases:,}" in stated or f"{round(bases / 1e9)} billion" in stated


def test_a_price_adds_a_row_of_costs() -> None:
    plain, priced = (time_table(get_gpu("h100"), 8, price=price) for price in (None, 2.5))
    assert len(priced) == 2 * len(plain) - 1
    assert [row[5] for row in priced[1:3]] == ["time", "cost"]


# -- hardware --------------------------------------------------------------------------------------


def test_gpus() -> None:
    assert get_gpu("v100").memory == 32 * GIB
    with pytest.raises(ValueError, match=r"'b200'.*v100-16, v100, a100-40, a100-80, h100, h200"):
        get_gpu("b200")
    with pytest.raises(ValueError, match="V100 32 GB has no matrix unit for bfloat16"):
        get_gpu("v100").rate("bfloat16")
    for name, gpu in GPUS.items():
        assert gpu.name == name
        assert gpu.rate("float32") < gpu.rate("float16") < 1e16
        assert "data sheet" in gpu.source


@pytest.mark.parametrize(
    ("text", "gib"), [("32GB", 32), ("32 GiB", 32), ("80", 80), ("40960MiB", 40), ("1.5gb", 1.5)]
)
def test_sizes_of_memory(text: str, gib: float) -> None:
    assert parse_memory(text) == gib * GIB


@pytest.mark.parametrize("text", ["", "GB", "32 bits", "-5GB", "0GB", "9999GB", "32MB", "nan"])
def test_sizes_that_no_gpu_has(text: str) -> None:
    with pytest.raises(ValueError, match=r"as 32GB"):
        parse_memory(text)
