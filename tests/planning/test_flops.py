"""Operations of a training step, against PyTorch's own count."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dnagpt_hf import DNAGPTConfig, DNAGPTForMultiTask
from dnagpt_hf.planning.flops import (
    forward_flops_per_token,
    hardware_flops_per_token,
    layer_flops_per_token,
    measured_matmul_rate,
    model_flops_utilisation,
    num_parameters,
    training_flops_per_record,
    training_flops_per_token,
)
from dnagpt_hf.presets import PRESETS, preset_config

ROWS, POSITIONS = 3, 48
TOKENS = ROWS * POSITIONS


@pytest.fixture(scope="module")
def config() -> DNAGPTConfig:
    """Width, MLP and layers of sizes that no slip could mistake for each other."""
    return preset_config("dnagpt-test", intermediate_size=72, num_hidden_layers=3)


def count(config: DNAGPTConfig, attention: str, checkpointing: bool = False) -> tuple[int, int]:
    """Operations of the forward and of the backward pass, as PyTorch counts them."""
    model = DNAGPTForMultiTask._from_config(config, attn_implementation=attention).train()
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    ids = torch.randint(40, 1000, (ROWS, POSITIONS))
    numbers = torch.zeros(ROWS, POSITIONS)
    with FlopCounterMode(display=False) as forward:
        loss = model(ids, number_values=numbers, labels=ids, number_labels=numbers).loss
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    return forward.get_total_flops(), backward.get_total_flops()


def test_counts_are_exactly_those_of_pytorch(config: DNAGPTConfig) -> None:
    forward, backward = count(config, "eager")
    assert forward == TOKENS * forward_flops_per_token(config, POSITIONS)
    # the numbers that are read are no weights: nobody asks for their gradient
    no_gradient = 2 * TOKENS * config.hidden_size
    assert forward + backward == TOKENS * training_flops_per_token(config, POSITIONS) - no_gradient
    assert training_flops_per_record(config, POSITIONS) * ROWS == forward + backward + no_gradient


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated:FutureWarning")
def test_checkpointing_computes_the_layers_twice(config: DNAGPTConfig) -> None:
    plain, checkpointed = count(config, "eager")[1], count(config, "eager", True)[1]
    # PyTorch stops recomputing when it has what the backward pass needs: the output of the last
    # product of a layer is not among it
    last_product = 2 * config.hidden_size * config.intermediate_size * config.num_hidden_layers
    again = hardware_flops_per_token(config, POSITIONS, True) - training_flops_per_token(
        config, POSITIONS
    )
    assert again == layer_flops_per_token(config, POSITIONS)
    assert checkpointed - plain == TOKENS * (again - last_product)
    assert hardware_flops_per_token(config, POSITIONS) == training_flops_per_token(
        config, POSITIONS
    )


def test_long_rows_cost_what_palm_says(config: DNAGPTConfig) -> None:
    longer = training_flops_per_token(config, 1000) - training_flops_per_token(config, 0)
    assert longer == 12 * config.num_hidden_layers * config.hidden_size * 1000


@pytest.mark.parametrize("name", PRESETS)
def test_number_of_parameters(name: str) -> None:
    config = preset_config(name)
    with torch.device("meta"):
        model = DNAGPTForMultiTask(config)
    assert num_parameters(config) == model.num_parameters()


def test_tied_weights_count_once(config: DNAGPTConfig) -> None:
    tied = DNAGPTConfig(**{**config.to_dict(), "tie_word_embeddings": True})
    model = DNAGPTForMultiTask(tied)
    assert num_parameters(tied) == sum(weight.numel() for weight in model.parameters())
    assert num_parameters(tied) < num_parameters(config)


def test_rate_and_utilisation(config: DNAGPTConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dnagpt_hf.planning.flops.MATRIX_SIDES", {"cpu": (256, 512)})
    rate = measured_matmul_rate("cpu", torch.float32, seconds=0.05)
    assert 1e8 < rate < 1e14
    half = rate / 2 / training_flops_per_token(config, POSITIONS)
    assert model_flops_utilisation(half, config, POSITIONS, rate) == pytest.approx(0.5)
