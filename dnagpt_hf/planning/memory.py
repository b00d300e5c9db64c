"""Memory of a training step on each GPU: states by arithmetic, activations by measurement.

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
  the gradients.
- FSDP2: shards are float32. The layers in flight are gathered in the type of the computation: the
  one that computes, the next one, and the buffer it arrives in. Heads, norms and positions stay
  gathered. Between the micro-batches of one step Trainer does not reduce gradients, so that they
  stay whole, in the type of the computation, on every GPU (`no_sync`).
- ZeRO: the model is 16-bit throughout, each GPU owns 1/N of the float32 weights and moments; a
  step makes a flat copy of its gradients in float32 (the second 4; the sum for ZeRO-2, 2 + 18/N, is
  that of DeepSpeed's own `estimate_zero2_model_states_mem_needs`). ZeRO-1 holds all gradients and
  flattens its part of them in 16 bit before. ZeRO-3 gathers up to 1e9 weights at a time
  (`stage3_max_live_parameters`).
"""

from __future__ import annotations

from dnagpt_hf.planning.step import TrainingStep

# In the order of simplicity: nothing shared, then PyTorch alone, then with DeepSpeed
STRATEGIES = ("ddp", "fsdp2", "zero1", "zero2", "zero3")

# CUDA context, workspaces of cuBLAS and buffers of NCCL: an allowance, not a measurement
CONTEXT = 2**30
# Elements of DeepSpeed's reduce and gather buckets: `reduce_bucket_size`, `allgather_bucket_size`
BUCKET = 500_000_000
# `stage3_max_live_parameters`
MAX_LIVE_PARAMETERS = 1_000_000_000


def training_memory(
    step: TrainingStep,
    strategy: str = "ddp",
    gpus: int = 1,
    *,
    rows: int = 1,
    gradient_checkpointing: bool = False,
    accumulates: bool = False,
) -> dict[str, int]:
    """Plan the memory of each GPU at the highest point of a training step.

    Args:
        step: model, length of a row and precision.
        strategy: one of `STRATEGIES`.
        gpus: number of GPUs, each with a process of its own.
        rows: rows of a micro-batch on one GPU.
        gradient_checkpointing: whether layers are computed again in the backward pass.
        accumulates: whether a step has several micro-batches.

    Returns:
        Bytes of `weights`, gathered ones included; of `gradients` and their copies for the
        communication; of `optimizer`, the moments of AdamW and, with ZeRO, weights and gradients in
        float32; of `activations`, casts of weights and short-lived tensors included; of the `rest`,
        communication buckets and the CUDA context; and their sum, `total`.

    Example:

        >>> from dnagpt_hf.presets import preset_config
        >>> memory = training_memory(TrainingStep(preset_config("dnagpt-b-512"), 512), gpus=8)
        >>> round(memory["weights"] / 2**30, 1), round(memory["optimizer"] / 2**30, 1)
        (11.6, 23.2)
    """
    weights, element = step.parameters, step.element
    shard = -(-weights // gpus)
    rest = CONTEXT
    if strategy == "ddp":
        held, gradients, optimizer = 4 * weights, 4 * weights, 8 * weights
        if gpus > 1:
            gradients += 4 * weights
    elif strategy == "fsdp2":
        layer = step.layer_parameters
        embedding = step.config.vocab_size * step.config.hidden_size
        others = weights - step.config.num_hidden_layers * layer - embedding
        # the gradients of a layer, and the buffer in which they are reduced
        whole = 2 * layer + (weights if accumulates else 0)
        held = 4 * shard + element * (3 * layer + others)
        gradients, optimizer = 4 * shard + element * whole, 8 * shard
    else:
        held, gradients = element * weights, element * shard
        # float32 weights, two moments, and the flat gradients of a step
        optimizer = (4 + 8 + 4) * shard
        if strategy == "zero1":
            gradients = element * weights
            optimizer += 2 * shard if element == 2 else 0
        if strategy == "zero3":
            held = element * (shard + min(weights, MAX_LIVE_PARAMETERS))
        rest += 2 * element * BUCKET
    parts = {
        "weights": held,
        "gradients": gradients,
        "optimizer": optimizer,
        "activations": step.activations(strategy, gradient_checkpointing, rows),
        "rest": rest,
    }
    return {**parts, "total": sum(parts.values())}
