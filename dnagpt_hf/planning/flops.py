"""Floating-point operations of a training step, and how well a device is used.

Matrix products alone are counted: a product of (m, k) with (k, n) takes 2·m·k·n operations. With
d the hidden size, f the width of the MLP, L the layers, T the length of a row and V the rows of the
vocabulary, one token takes in the forward pass

| part | operations |
| --- | --- |
| queries, keys, values, output | L · 2 · 4d² |
| MLP | L · 2 · 2df |
| attention scores and their product with the values | L · 2 · 2dT |
| token head, its d×d projection and its vocabulary rows | 2(d² + dV) |
| number embedding and number head | 2 · 2(d² + d) |

Attention is counted in full although half of the scores are masked: this is the convention of PaLM
(Chowdhery et al. 2022, appendix B), whose 6N + 12·L·H·Q·T per token of training is the sum above
for N weights in matrix products, H·Q = d. A row of packed records is counted with the length of the
row. The backward pass takes twice the forward pass: one product for the gradient of the inputs, one
for that of the weights. What gradient checkpointing computes a second time is no progress: it is
left out of model FLOPs, which utilisation is about, and counted in hardware FLOPs.

Embedding look-ups, norms, activations, the softmax and the optimizer are no matrix products.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig

# Sides of the square products that are timed; the best counts.
MATRIX_SIDES = {"cuda": (4096, 8192), "cpu": (1024, 2048)}


def layer_parameters(config: DNAGPTConfig) -> int:
    """Weights of one decoder layer, its two norms included."""
    width, inner = config.hidden_size, config.intermediate_size
    return 4 * width**2 + 2 * width * inner + 2 * width


def head_parameters(config: DNAGPTConfig) -> int:
    """Weights of all that is no layer: embeddings, final norm, token head and number head."""
    width, rows = config.hidden_size, config.vocab_size
    output_rows = 0 if config.tie_word_embeddings else rows
    embeddings = (rows + config.max_position_embeddings) * width
    number_embedding = number_head = width**2 + 2 * width
    token_head = width**2 + width + output_rows * width
    return embeddings + number_embedding + width + token_head + number_head


def num_parameters(config: DNAGPTConfig) -> int:
    """Weights of `DNAGPTForMultiTask`, without building it.

    Example:

        >>> from dnagpt_hf.presets import preset_config
        >>> f"{num_parameters(preset_config('dnagpt-b-512')):,}"
        '3,114,004,480'
    """
    return config.num_hidden_layers * layer_parameters(config) + head_parameters(config)


def forward_flops_per_token(config: DNAGPTConfig, positions: int) -> int:
    """Operations of the forward pass for one token of a row of `positions` tokens."""
    return layer_flops_per_token(config, positions) + _head_flops_per_token(config)


def layer_flops_per_token(config: DNAGPTConfig, positions: int) -> int:
    """The part of `forward_flops_per_token` that is done in the layers."""
    width, inner = config.hidden_size, config.intermediate_size
    weights = 4 * width**2 + 2 * width * inner
    return config.num_hidden_layers * 2 * (weights + 2 * width * positions)


def _head_flops_per_token(config: DNAGPTConfig) -> int:
    width = config.hidden_size
    token_head = width**2 + width * config.vocab_size
    number_embedding = number_head = width**2 + width
    return 2 * (token_head + number_embedding + number_head)


def training_flops_per_token(config: DNAGPTConfig, positions: int) -> int:
    """Model FLOPs of a training step for one token: forward and backward pass.

    Args:
        config: sizes of the model.
        positions: tokens in a row.

    Example:

        >>> from dnagpt_hf.presets import preset_config
        >>> f"{training_flops_per_token(preset_config('dnagpt-s-512'), 512):.3g}"
        '6.67e+08'
    """
    return 3 * forward_flops_per_token(config, positions)


def training_flops_per_record(config: DNAGPTConfig, positions: int) -> int:
    """Model FLOPs of a training step for one row of `positions` tokens."""
    return positions * training_flops_per_token(config, positions)


def hardware_flops_per_token(
    config: DNAGPTConfig, positions: int, gradient_checkpointing: bool = False
) -> int:
    """What a device computes for one token: model FLOPs, and layers that are computed again."""
    again = layer_flops_per_token(config, positions) if gradient_checkpointing else 0
    return training_flops_per_token(config, positions) + again


def model_flops_utilisation(
    tokens_per_second: float, config: DNAGPTConfig, positions: int, rate: float
) -> float:
    """Model FLOPs per second as a share of `rate`.

    Args:
        tokens_per_second: what one device trains on in a second.
        rate: operations per second that count as full use: `measured_matmul_rate`, or the rate of
            a data sheet (`dnagpt_hf.planning.hardware`). A utilisation is not worth much without
            saying which.
    """
    return tokens_per_second * training_flops_per_token(config, positions) / rate


def measured_matmul_rate(
    device: torch.device | str, dtype: torch.dtype, seconds: float = 0.3
) -> float:
    """The highest rate of a large square matrix product on this device, in operations per second.

    The denominator of "model FLOPs utilisation of the measured matrix-product rate". A data sheet
    gives more, which no product reaches, and gives nothing for a processor.

    Args:
        device: where to measure.
        dtype: type of both matrices.
        seconds: how long to measure each size, after one product to warm up.
    """
    import torch

    device = torch.device(device)
    sides = MATRIX_SIDES["cuda" if device.type == "cuda" else "cpu"]
    return max(_matmul_rate(side, device, dtype, seconds) for side in sides)


def _matmul_rate(side: int, device: torch.device, dtype: torch.dtype, seconds: float) -> float:
    """Best product of those that fit into the time: others on the machine only slow one down."""
    import torch

    def multiply() -> float:
        start = time.perf_counter()
        torch.matmul(one, other, out=product)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    one, other = torch.randn(2, side, side, device=device).to(dtype)
    product = torch.empty_like(one)
    multiply()
    start, best = time.perf_counter(), float("inf")
    while time.perf_counter() - start < seconds or best == float("inf"):
        best = min(best, multiply())
    return 2 * side**3 / best
