"""Memory of a training step on one GPU, from the sizes of the model.

Bytes per weight (N: GPUs; 16-bit means float16 or bfloat16 with master weights in float32):

| strategy | weights | gradients | AdamW | buffers |
| --- | --- | --- | --- | --- |
| ddp | 4 | 4 | 8 | 4 where N > 1 |
| fsdp2 | 4/N | 4/N | 8/N | gathered weights and gradients, see below |
| zero1, 16-bit | 2 | 2 | (4 + 8 + 2 + 4)/N | buckets |
| zero2, 16-bit | 2 | 2/N | (4 + 8 + 4)/N | buckets |
| zero3, 16-bit | 2/N | 2/N | (4 + 8 + 4)/N | buckets, gathered weights |
| zero1, zero2, zero3, float32 | 4, 4, 4/N | 4, 4/N, 4/N | (4 + 8 + 4)/N | as above |

- DDP: PyTorch's AMP keeps weights, gradients and both moments in float32, and Accelerate leaves
  `gradient_as_bucket_view` off, so that the buckets of DistributedDataParallel are a second copy of
  the gradients. The 16-bit copies that autocast makes of the weights count as activations.
- FSDP2: shards are float32. The layers in flight are gathered in the type of the computation: the
  one that computes, the next one, and the buffer it arrives in. Heads, norms and positions stay
  gathered. Between the micro-batches of one step Trainer does not reduce gradients, so that they
  stay whole, in the type of the computation, on every GPU (`no_sync`).
- ZeRO: the model is 16-bit throughout, each GPU owns 1/N of the float32 weights and moments; a
  step makes a flat copy of its gradients in float32 (the second 4; the sum for ZeRO-2, 2 + 18/N, is
  that of DeepSpeed's own `estimate_zero2_model_states_mem_needs`). ZeRO-1 holds all gradients and
  flattens its part of them in 16 bit before. ZeRO-3 gathers up to 1e9 weights at a time
  (`stage3_max_live_parameters`).

Activations are what autograd keeps for the backward pass. Per token and layer, with d the hidden
size, f the width of the MLP, A the heads and c bytes of the type:

- float32 and ZeRO: both norms keep their inputs, the matrix products share their inputs and
  attention keeps queries, keys, values and output: 8cd + 2cf, 64d in float32 and 32d in 16 bit;
- autocast (ddp, fsdp2): the residual stream that enters the norms is kept in float32, 8d;
  queries, keys and values each keep a 16-bit copy of the same input, 6d; attention 8d, the inputs
  of output and MLP 2d, the MLP 4f: 40d;
- for both, mean and deviation of two norms, 16, and the logarithm of the softmax's sum, 4A.

The attention score matrix is not kept by sdpa and flash attention. Packed rows need a mask, which
sdpa keeps in the type of the computation for each layer and row, c·T²; flash attention reads the
records' boundaries instead. With gradient checkpointing a layer keeps its input only, and one layer
at a time is whole. Logits are never whole: the token loss is computed in chunks, which make the
gradient of the vocabulary's rows along with the loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dnagpt_hf.planning.flops import head_parameters, layer_parameters, num_parameters

if TYPE_CHECKING:
    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig

PRECISIONS = ("float32", "float16", "bfloat16")
# In the order of simplicity: nothing shared, then PyTorch alone, then with DeepSpeed
STRATEGIES = ("ddp", "fsdp2", "zero1", "zero2", "zero3")
ATTENTION = ("sdpa", "flash_attention_2", "eager")

MIB = 2**20
# Scores of a chunk of the token loss in float32, in 16 bit, and on their way to the other
LOSS_CHUNK = 3 * 32 * MIB
# CUDA context, workspaces of cuBLAS and buffers of NCCL: an allowance, not a measurement
CONTEXT = 1024 * MIB
# Elements of DeepSpeed's reduce and gather buckets: `reduce_bucket_size`, `allgather_bucket_size`
BUCKET = 500_000_000
# `stage3_max_live_parameters`
MAX_LIVE_PARAMETERS = 1_000_000_000


@dataclass(frozen=True)
class Setup:
    """One way to train, of which the memory can be told.

    Args:
        config: sizes of the model.
        strategy: one of `STRATEGIES`.
        gpus: processes, one for each GPU.
        precision: one of `PRECISIONS`; the 16-bit types are mixed with float32 master weights.
        positions: tokens in a row.
        micro_batch: rows for one GPU at a time.
        gradient_checkpointing: whether layers are computed again in the backward pass.
        accumulation_steps: micro-batches of one GPU in an optimizer step.
        attention: one of `ATTENTION`.

    Raises:
        ValueError: if a value is none of those, or no count.
    """

    config: DNAGPTConfig
    strategy: str = "ddp"
    gpus: int = 1
    precision: str = "bfloat16"
    positions: int = 512
    micro_batch: int = 1
    gradient_checkpointing: bool = False
    accumulation_steps: int = 1
    attention: str = "sdpa"

    def __post_init__(self) -> None:
        choices = {"strategy": STRATEGIES, "precision": PRECISIONS, "attention": ATTENTION}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"unknown {name} {getattr(self, name)!r}: choose one of {', '.join(allowed)}"
                )
        for name in ("gpus", "positions", "micro_batch", "accumulation_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give 1 or more")
        if self.positions > self.config.max_position_embeddings:
            raise ValueError(
                f"rows of {self.positions:,} tokens exceed the model's "
                f"{self.config.max_position_embeddings:,} positions"
            )

    @property
    def element(self) -> int:
        """Bytes of an element in the type of the computation."""
        return 4 if self.precision == "float32" else 2

    @property
    def is_autocast(self) -> bool:
        """Whether PyTorch's autocast casts float32 to 16 bit, rather than the model being cast."""
        return self.element == 2 and not self.strategy.startswith("zero")

    @property
    def tokens(self) -> int:
        """Tokens of a micro-batch on one GPU."""
        return self.micro_batch * self.positions


@dataclass(frozen=True)
class Memory:
    """Bytes on one GPU at the highest point of a training step.

    Args:
        weights: weights, gathered ones included.
        gradients: gradients, and their copies for the communication.
        optimizer: moments of AdamW and, with ZeRO, master weights and gradients in float32.
        activations: what the backward pass needs, casts of weights and short-lived tensors.
        rest: communication buckets and the CUDA context.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int
    rest: int

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.activations + self.rest


def training_memory(setup: Setup) -> Memory:
    """Memory of a training step on each GPU.

    Example:

        >>> from dnagpt_hf.presets import preset_config
        >>> memory = training_memory(Setup(preset_config("dnagpt-b-512"), gpus=8))
        >>> round(memory.weights / 2**30, 1), round(memory.optimizer / 2**30, 1)
        (11.6, 23.2)
    """
    states = {"ddp": _ddp_states, "fsdp2": _fsdp2_states}.get(setup.strategy, _zero_states)
    weights, gradients, optimizer, buffers = states(setup)
    return Memory(weights, gradients, optimizer, activation_memory(setup), buffers + CONTEXT)


def _ddp_states(setup: Setup) -> tuple[int, int, int, int]:
    weights = num_parameters(setup.config)
    buckets = 4 * weights if setup.gpus > 1 else 0
    return 4 * weights, 4 * weights + buckets, 8 * weights, 0


def _fsdp2_states(setup: Setup) -> tuple[int, int, int, int]:
    weights = num_parameters(setup.config)
    layer, others = layer_parameters(setup.config), head_parameters(setup.config)
    shard = -(-weights // setup.gpus)
    embedding = setup.config.vocab_size * setup.config.hidden_size
    gathered = setup.element * (3 * layer + others - embedding)
    # the gradients of a layer, and the buffer in which they are reduced
    whole = setup.element * 2 * layer
    if setup.accumulation_steps > 1:
        whole += setup.element * weights
    return 4 * shard + gathered, 4 * shard + whole, 8 * shard, 0


def _zero_states(setup: Setup) -> tuple[int, int, int, int]:
    weights, element = num_parameters(setup.config), setup.element
    shard = -(-weights // setup.gpus)
    stage = int(setup.strategy[-1])
    gradients = element * (weights if stage == 1 else shard)
    master = 4 * shard
    step_gradients = 4 * shard
    if stage == 1 and element == 2:
        step_gradients += element * shard
    held = element * (weights if stage < 3 else shard)
    if stage == 3:
        held += element * min(weights, MAX_LIVE_PARAMETERS)
    return held, gradients, master + 8 * shard + step_gradients, 2 * element * BUCKET


def layer_activations(setup: Setup) -> int:
    """Bytes that one layer keeps for the backward pass of a micro-batch."""
    width, inner = setup.config.hidden_size, setup.config.intermediate_size
    heads, element = setup.config.num_attention_heads, setup.element
    if setup.is_autocast:
        per_token = 24 * width + 4 * inner
    else:
        per_token = 8 * element * width + 2 * element * inner
    # mean and deviation of two norms, and the logarithm of the softmax's sum
    per_token += 16 + 4 * heads
    return setup.tokens * per_token + setup.micro_batch * _row_of_layer(setup)


def _row_of_layer(setup: Setup) -> int:
    """Bytes of one row in one layer that grow with the square of its length."""
    scores = setup.positions**2
    if setup.attention == "flash_attention_2":
        return 0
    if setup.attention == "sdpa":
        return setup.element * scores
    # the softmax in float32 and, in 16 bit, its cast
    per_score = 4 if setup.element == 4 else 6
    return per_score * setup.config.num_attention_heads * scores


def _projection_activations(setup: Setup) -> int:
    """Bytes of a number embedding or head: the inputs of SiLU, norm and output, and its figures."""
    per_weight = 8 if setup.is_autocast else 3 * setup.element
    return setup.tokens * (per_weight * setup.config.hidden_size + 16)


def _embedding_activations(setup: Setup) -> int:
    """Bytes that are kept from before the first layer: number embedding, ids and mask."""
    mask = 0 if setup.attention == "flash_attention_2" else setup.positions**2
    return _projection_activations(setup) + 32 * setup.tokens + setup.micro_batch * mask


def _head_activations(setup: Setup) -> int:
    """Bytes that final norm and both heads keep, the gradient of the token loss included."""
    # the norm's input, the heads' inputs, and the gradient of the last map's input
    per_weight = 4 + 2 * 2 + 2 if setup.is_autocast else 3 * setup.element
    inputs = setup.tokens * (per_weight * setup.config.hidden_size + 32)
    return inputs + 2 * _projection_activations(setup)


def activation_memory(setup: Setup) -> int:
    """Bytes of activations at the highest point of a step, casts and short-lived tensors included.

    This is the end of the forward pass, when the loss is computed, or the backward pass of the last
    layer, which under gradient checkpointing is computed once more.
    """
    config, layers = setup.config, setup.config.num_hidden_layers
    layer, kept = layer_activations(setup), _embedding_activations(setup)
    vocabulary = config.hidden_size * config.vocab_size
    casts_of_layer = casts = 0
    if setup.is_autocast and setup.strategy == "ddp":
        casts_of_layer = 2 * layer_parameters(config)
        casts = layers * casts_of_layer
    # the gradient of the vocabulary's rows, scaled into a second copy, and one chunk of scores
    loss = _head_activations(setup) + 8 * vocabulary + LOSS_CHUNK
    # gradients of the output and the input of the activation, and of the residual stream
    backward = setup.tokens * (
        2 * setup.element * config.intermediate_size + 4 * config.hidden_size
    )
    if not setup.gradient_checkpointing:
        return casts + layers * layer + kept + max(loss, backward)
    inputs = layers * setup.tokens * config.hidden_size * _residual_element(setup)
    return inputs + kept + max(casts + loss, casts_of_layer + layer + backward)


def _residual_element(setup: Setup) -> int:
    """Bytes of an element of the residual stream: float32 where float32 weights feed it."""
    return 4 if setup.strategy == "ddp" else setup.element
