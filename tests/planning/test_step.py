"""Parameters, FLOPs and activations of a training step, against real models."""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from dnagpt_hf import DNAGPTConfig, DNAGPTForMultiTask
from dnagpt_hf.planning.hardware import measured_matmul_rate
from dnagpt_hf.planning.step import (
    PeakMemory,
    TrainingStep,
    _fake_model,
    _measure,
    _norms_in_float32,
    training_flops_per_token,
)
from dnagpt_hf.presets import PRESETS, preset_config
from dnagpt_hf.token_loss import chunked_token_loss

ROWS, POSITIONS = 3, 48
TOKENS = ROWS * POSITIONS


@pytest.fixture(scope="module")
def config() -> DNAGPTConfig:
    """Width, MLP and layers of sizes that no slip could mistake for each other."""
    return preset_config("dnagpt-test", intermediate_size=72, num_hidden_layers=3)


def forward_flops(config: DNAGPTConfig, positions: int) -> int:
    """The sum of all matrix products, 2mkn each, for one token."""
    width, inner = config.hidden_size, config.intermediate_size
    layer = 4 * width**2 + 2 * width * inner + 2 * width * positions
    token_head = width**2 + width * config.vocab_size
    number_embedding = number_head = width**2 + width
    return 2 * (config.num_hidden_layers * layer + token_head + number_embedding + number_head)


# -- FLOPs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_flops_are_the_sum_of_the_matrix_products(name: str) -> None:
    config = preset_config(name)
    positions = config.max_position_embeddings
    expected = 3 * forward_flops(config, positions)
    assert training_flops_per_token(config, positions) == expected
    assert name != "dnagpt-s-512" or expected == 3 * 222_366_720


def test_the_backward_pass_takes_twice_the_forward_pass(config: DNAGPTConfig) -> None:
    model = DNAGPTForMultiTask._from_config(config, attn_implementation="eager").train()
    ids, numbers = torch.randint(40, 1000, (ROWS, POSITIONS)), torch.zeros(ROWS, POSITIONS)
    with FlopCounterMode(display=False) as counter:
        model(ids, number_values=numbers, labels=ids, number_labels=numbers).loss.backward()
    # the numbers that are read are no weights: nobody asks for their gradient
    expected = training_flops_per_token(config, POSITIONS) - 2 * config.hidden_size
    assert counter.get_total_flops() == TOKENS * expected


def test_long_rows_cost_what_palm_says(config: DNAGPTConfig) -> None:
    longer = training_flops_per_token(config, 64) - training_flops_per_token(config, 14)
    assert longer == 12 * config.num_hidden_layers * config.hidden_size * 50


def test_measured_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dnagpt_hf.planning.hardware.MATRIX_SIDES", {"cpu": (256, 512)})
    assert 1e8 < measured_matmul_rate("cpu", torch.float32, seconds=0.05) < 1e14


# -- parameters ------------------------------------------------------------------------------------


def test_parameters(config: DNAGPTConfig) -> None:
    step, model = TrainingStep(config, POSITIONS), DNAGPTForMultiTask(config)
    assert step.parameters == model.num_parameters()
    assert step.layer_parameters == sum(each.numel() for each in model.model.layers[2].parameters())


def test_tied_weights_count_once(config: DNAGPTConfig) -> None:
    tied = DNAGPTConfig(**{**config.to_dict(), "tie_word_embeddings": True})
    parameters = TrainingStep(tied, POSITIONS).parameters
    assert parameters == sum(weight.numel() for weight in DNAGPTForMultiTask(tied).parameters())
    assert parameters < TrainingStep(config, POSITIONS).parameters


# -- activations -----------------------------------------------------------------------------------


def real_peak(step: TrainingStep, rows: int, gradient_checkpointing: bool) -> int:
    """Bytes beside weights and gradients that a real step on a processor holds at most."""
    model = DNAGPTForMultiTask._from_config(step.config, attn_implementation=step.attention).train()
    if step.precision != "float32":
        # as autocast does on a GPU, for which the plan is made
        _norms_in_float32(model)
    if gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    held = [tensor for weight in model.parameters() for tensor in (weight, weight.grad)]
    shape = (rows, step.positions)
    positions = (torch.arange(step.positions) % 20).expand(shape)
    ids, numbers = torch.randint(40, 190, shape), torch.zeros(shape)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=step.precision != "float32")
    with PeakMemory() as memory:
        # weights and gradients count once they are returned by an operation, as views here
        views = [tensor.view_as(tensor) for tensor in held]
        before = memory.current
        with autocast:
            loss = model(
                ids,
                number_values=numbers,
                position_ids=positions,
                labels=ids,
                number_labels=numbers,
                token_loss_function=chunked_token_loss,
                use_cache=False,
            ).loss
        loss.backward()
    assert before == sum(tensor.nbytes for tensor in views)
    return memory.peak - before


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated:FutureWarning")
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize(
    ("precision", "checkpointing"),
    [("float32", False), ("float32", True), ("bfloat16", False), ("bfloat16", True)],
)
def test_activations_are_those_of_a_real_step(
    attention: str, precision: str, checkpointing: bool
) -> None:
    config = preset_config("dnagpt-tiny", num_hidden_layers=6)
    step = TrainingStep(config, 256, precision, attention)
    planned = step.activations("ddp", checkpointing, rows=5)
    assert real_peak(step, 5, checkpointing) == pytest.approx(planned, rel=0.01)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("strategy", ["ddp", "fsdp2", "zero3"])
def test_layers_and_rows_of_a_whole_trace(strategy: str, checkpointing: bool) -> None:
    step = TrainingStep(preset_config("dnagpt-tiny", num_hidden_layers=6), 256)
    weights = torch.float32 if strategy == "ddp" else torch.bfloat16
    autocast = strategy != "zero3"
    with FakeTensorMode(), PeakMemory() as memory:
        model = _fake_model(step, 6, weights, autocast, checkpointing)
        traced = _measure(memory, model, (19, 256), autocast)
    assert step.activations(strategy, checkpointing, rows=19) == max(traced)


def test_strategies_hold_different_activations() -> None:
    step = TrainingStep(preset_config("dnagpt-s-512"), 512, "float16")
    ddp, fsdp2, zero = (step.activations(name, False, 8) for name in ("ddp", "fsdp2", "zero2"))
    # casts of all weights; norms in float32 under autocast
    layers = 12 * step.layer_parameters
    assert ddp - fsdp2 == pytest.approx(2 * layers, rel=0.2)
    assert fsdp2 - zero == pytest.approx(12 * 8 * 512 * 8 * 768, rel=0.2)
    assert step.activations("zero1", False, 8) == step.activations("zero3", False, 8) == zero


def test_flash_attention_keeps_nothing_that_grows_with_the_square() -> None:
    def activations(attention: str, positions: int, rows: int) -> int:
        step = TrainingStep(preset_config("dnagpt-h"), positions, attention=attention)
        return step.activations("ddp", False, rows)

    whole = activations("flash_attention_2", 4096, 1)
    assert activations("flash_attention_2", 2048, 2) == pytest.approx(whole, rel=0.01)
    mask = activations("sdpa", 4096, 1) - whole
    assert mask == pytest.approx(12 * 2 * 4096**2, rel=0.01)


def test_rows_are_no_longer_than_the_model_reads() -> None:
    with pytest.raises(ValueError, match="513 tokens exceed the model's 512 positions"):
        TrainingStep(preset_config("dnagpt-s-512"), 513)
