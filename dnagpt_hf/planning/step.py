"""A training step of a model, measured on fake tensors: they have shapes, but no memory.

Layers are alike, and so are rows: a model of three layers and then of two, on two numbers of rows,
gives the memory of all others.
"""

from __future__ import annotations

import copy
import weakref
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask
from dnagpt_hf.token_loss import chunked_token_loss

PRECISIONS = ("float32", "float16", "bfloat16")
# With more tokens, the token loss takes no more memory: it is computed in chunks
_TOKENS_OF_CHUNK = 2048


def training_flops_per_token(config: DNAGPTConfig, positions: int) -> int:
    """Count the model FLOPs of a training step for one token: forward and backward pass.

    PyTorch counts the matrix products of the forward pass; a product of (m, k) with (k, n) takes
    2·m·k·n operations. The backward pass takes twice as many: one product for the gradient of the
    inputs, one for that of the weights. Attention counts in full although half of the scores are
    masked, the convention of PaLM (Chowdhery et al. 2022, appendix B). Layers that gradient
    checkpointing computes a second time are no progress and do not count.

    Args:
        config: sizes of the model.
        positions: tokens in a row.

    Example:

        >>> from dnagpt_hf.presets import preset_config
        >>> f"{training_flops_per_token(preset_config('dnagpt-s-512'), 512):,}"
        '667,100,160'
    """

    # eager attention is made of products that every release of PyTorch counts
    small = copy.deepcopy(config)
    small._attn_implementation = "eager"

    def forward_flops(layers: int) -> int:
        small.num_hidden_layers = layers
        with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
            ids = torch.zeros(1, positions, dtype=torch.long)
            DNAGPTForMultiTask(small)(ids, number_values=torch.zeros(1, positions))
        return counter.get_total_flops()

    # layers are alike
    one, two = forward_flops(1), forward_flops(2)
    return int(3 * (one + (config.num_hidden_layers - 1) * (two - one)) // positions)


class PeakMemory(TorchDispatchMode):
    """Follow the bytes of all tensors that are made while this mode is on.

    Attributes:
        current: bytes that are held.
        peak: most bytes that were held at a time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.current = self.peak = 0
        self._addresses: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._follow(tensor.untyped_storage())
        return result

    def _follow(self, storage: torch.UntypedStorage) -> None:
        # views share the storage of their tensor, which counts once
        address = storage._cdata
        if address not in self._addresses:
            self._addresses.add(address)
            self.current += storage.nbytes()
            self.peak = max(self.peak, self.current)
            weakref.finalize(storage, self._free, address, storage.nbytes())

    def _free(self, address: int, size: int) -> None:
        self._addresses.remove(address)
        self.current -= size


# compared by identity, so that measurements of a step can be cached
@dataclass(frozen=True, eq=False)
class TrainingStep:
    """A micro-batch of packed rows on one GPU.

    Args:
        config: sizes of the model.
        positions: tokens in a row.
        precision: one of `PRECISIONS`; the 16-bit types are mixed with float32 master weights.
        attention: `"sdpa"`, `"flash_attention_2"` or `"eager"`.

    Raises:
        ValueError: rows exceed the model's positions.

    Example:

        >>> from dnagpt_hf.presets import preset_config
        >>> step = TrainingStep(preset_config("dnagpt-b-512"), 512)
        >>> f"{step.layer_parameters:,} {step.parameters:,}"
        '50,335,744 3,114,004,480'
    """

    config: DNAGPTConfig
    positions: int
    precision: str = "bfloat16"
    attention: str = "sdpa"

    def __post_init__(self) -> None:
        if self.positions > self.config.max_position_embeddings:
            raise ValueError(
                f"rows of {self.positions:,} tokens exceed the model's "
                f"{self.config.max_position_embeddings:,} positions"
            )

    @property
    def element(self) -> int:
        """Bytes of an element in the type of the computation."""
        return 4 if self.precision == "float32" else 2

    @cached_property
    def parameters(self) -> int:
        """Parameters of the model."""
        with torch.device("meta"):
            return int(DNAGPTForMultiTask(self.config).num_parameters())

    @cached_property
    def layer_parameters(self) -> int:
        """Parameters of one decoder layer."""
        with torch.device("meta"):
            layer = DNAGPTForMultiTask(self.config).model.layers[0]
        return sum(weight.numel() for weight in layer.parameters())

    def activations(self, strategy: str, gradient_checkpointing: bool, rows: int) -> int:
        """Measure the most bytes that a step holds beside weights and gradients.

        These are activations, casts of weights and short-lived tensors, at the end of the forward
        pass, when the loss is computed, or in the backward pass.

        Args:
            strategy: DDP keeps float32 weights, of which autocast makes 16-bit copies; FSDP2
                computes with 16-bit weights under autocast, ZeRO with 16-bit weights alone.
            gradient_checkpointing: whether layers are computed again in the backward pass.
            rows: rows of the micro-batch.
        """
        is_mixed = self.precision != "float32"
        weights = torch.bfloat16 if is_mixed and strategy != "ddp" else torch.float32
        autocast = is_mixed and not strategy.startswith("zero")
        fixed, per_row = _peaks(self, weights, autocast, gradient_checkpointing)
        return int((fixed + rows * per_row).max())


@lru_cache(maxsize=64)
def _peaks(
    step: TrainingStep, weights: torch.dtype, autocast: bool, gradient_checkpointing: bool
) -> Any:
    """Measure the peaks of forward and backward pass, in bytes beside weights and gradients.

    Returns:
        Bytes that rows do not change, and bytes of each row, `(2, 2)`.
    """
    few = -(-_TOKENS_OF_CHUNK // step.positions)
    shapes = [(rows, step.positions) for rows in (few, 2 * few)]
    with FakeTensorMode(), PeakMemory() as memory:
        # the only layer of a model would be both the first and the last in memory
        model = _fake_model(step, 3, weights, autocast, gradient_checkpointing)
        three = [_measure(memory, model, shape, autocast) for shape in shapes]
        del model.model.layers[-1]
        two = [_measure(memory, model, shape, autocast) for shape in shapes]
    # (rows, passes); linear in layers and in rows
    layer = np.subtract(three, two)
    base, double = two + (step.config.num_hidden_layers - 2) * layer
    return np.array([2 * base - double, (double - base) / few])


def _fake_model(
    step: TrainingStep,
    layers: int,
    weights: torch.dtype,
    autocast: bool,
    gradient_checkpointing: bool,
) -> Any:
    """Make a model of so many layers with gradients, within the mode of fake tensors."""
    config = copy.deepcopy(step.config)
    config.num_hidden_layers = layers
    attention = "eager" if step.attention == "eager" else "sdpa"
    model = DNAGPTForMultiTask._from_config(config, attn_implementation=attention, dtype=weights)
    if autocast:
        _norms_in_float32(model)
    for layer in model.model.layers:
        layer.gradient_checkpointing = gradient_checkpointing
        layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)
        if step.attention == "flash_attention_2":
            layer.register_forward_pre_hook(_without_mask, with_kwargs=True)
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    return model.train()


def _measure(memory: PeakMemory, model: nn.Module, shape: tuple[int, int], autocast: bool) -> Any:
    """Measure the peaks of forward and backward pass of a micro-batch, `(2,)`, in bytes."""
    ids, numbers = torch.zeros(shape, dtype=torch.long), torch.zeros(shape)
    before = memory.peak = memory.current
    # bfloat16 stands for float16, which takes as many bytes
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss = model(
            ids,
            number_values=numbers,
            position_ids=ids,
            labels=ids,
            number_labels=numbers,
            token_loss_function=chunked_token_loss,
            use_cache=False,
        ).loss
    forward, memory.peak = memory.peak, memory.current
    loss.backward()
    return np.array([forward, memory.peak]) - before


def _norms_in_float32(model: nn.Module) -> None:
    """Compute layer norms in float32, as autocast does on a GPU but not on a processor."""
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.weight = nn.Parameter(module.weight.float())
            module.register_forward_pre_hook(lambda _, inputs: inputs[0].float())


def _without_mask(_: nn.Module, inputs: Any, options: dict[str, Any]) -> Any:
    """Leave out the mask of packed records, as flash attention does, which else equals sdpa."""
    return inputs, {**options, "attention_mask": None}
