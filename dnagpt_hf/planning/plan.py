"""Memory of a training on each GPU, the strategies that fit, and the duration.

Activations are measured ([`TrainingStep`]), states follow from these bytes for each weight (N
GPUs; 16-bit means float16 or bfloat16 with master weights in float32):

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

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from dnagpt_hf.planning.hardware import GIB, GPU
from dnagpt_hf.planning.step import TrainingStep, training_flops_per_token

# In the order of simplicity: nothing shared, then PyTorch alone, then with DeepSpeed
STRATEGIES = ("ddp", "fsdp2", "zero1", "zero2", "zero3")

# CUDA context, workspaces of cuBLAS and buffers of NCCL: an allowance, not a measurement
CONTEXT = 2**30
# Elements of DeepSpeed's reduce and gather buckets: `reduce_bucket_size`, `allgather_bucket_size`
BUCKET = 500_000_000
# `stage3_max_live_parameters`
MAX_LIVE_PARAMETERS = 1_000_000_000
# Share of a GPU's memory that tensors can fill: the driver keeps some, and blocks leave gaps
USABLE = 0.95
# Tokens in an optimizer step where nothing is stated: those of the GPT-3 models of 0.1 to 0.8
# billion weights (Brown et al. 2020, table 2.1). No source gives the batch of DNAGPT.
TOKENS_PER_STEP = 524_288
# Tokens of a micro-batch below which layers are rather computed twice than read for less: one
# record of the longest preset
ENOUGH_TOKENS = 4096
_MOST_ROWS = 1 << 20


class MissingFigureError(ValueError):
    """A duration that cannot be estimated; the message says why."""


@dataclass(frozen=True)
class Plan:
    """A strategy, its micro-batches, and the memory that it takes.

    Args:
        strategy: one of `STRATEGIES`.
        gradient_checkpointing: whether layers are computed again in the backward pass.
        fits: whether the micro-batch fits.
        micro_batch: rows for one GPU at a time; 1 if none fits.
        largest_micro_batch: most rows that fit, 0 if none does.
        accumulation_steps: micro-batches of one GPU in an optimizer step.
        bytes: parts and total of the memory of each GPU, as [`training_memory`] gives them.
    """

    strategy: str
    gradient_checkpointing: bool
    fits: bool
    micro_batch: int
    largest_micro_batch: int
    accumulation_steps: int
    bytes: dict[str, int]


def training_memory(
    step: TrainingStep,
    strategy: str = "ddp",
    gpus: int = 1,
    *,
    rows: int = 1,
    gradient_checkpointing: bool = False,
    accumulates: bool = False,
) -> dict[str, int]:
    """Compute the memory of each GPU at the highest point of a training step.

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


def plan_strategies(
    step: TrainingStep,
    memory: int,
    gpus: int = 1,
    *,
    strategy: str | None = None,
    micro_batch: int | None = None,
    global_batch: int | None = None,
    accumulation_steps: int = 1,
) -> Iterator[Plan]:
    """Plan every strategy without and with gradient checkpointing, in the order of simplicity.

    Each is measured when it is asked for.

    Args:
        step: model, length of a row and precision.
        memory: bytes of each GPU, as its name states.
        gpus: number of GPUs.
        strategy: the only one of `STRATEGIES` to plan. By default all; on one GPU, which has
            nothing to share, only ddp, which is plain training there.
        micro_batch: rows for one GPU at a time. By default as many as fit and as a step of
            `TOKENS_PER_STEP`, or the global batch, has.
        global_batch: rows of all GPUs in an optimizer step. By default the micro-batches decide.
        accumulation_steps: micro-batches of one GPU in a step, unless `global_batch` is given.

    Raises:
        ValueError: the global batch cannot be dealt to the GPUs.

    Example:

        >>> from dnagpt_hf.presets import preset_config
        >>> step = TrainingStep(preset_config("dnagpt-b-512"), 512)
        >>> best = recommend(step, plan_strategies(step, memory=32 * 2**30, gpus=16))
        >>> best.strategy, best.gradient_checkpointing
        ('fsdp2', False)
    """
    together = gpus * (micro_batch or 1)
    if global_batch is not None and (global_batch < 1 or global_batch % together):
        near = max(1, round(global_batch / together)) * together
        raise ValueError(
            f"a global batch of {global_batch:,} rows cannot be dealt to {gpus:,} GPUs, "
            f"{micro_batch or 1:,} rows at a time: give a multiple of {together:,}, as {near:,}"
        )
    # rows of one GPU in a step, where they are stated
    share = None if global_batch is None else global_batch // gpus

    def plan(strategy: str, gradient_checkpointing: bool) -> Plan:
        def steps(rows: int) -> int:
            return accumulation_steps if share is None else max(1, share // rows)

        def needed(rows: int) -> dict[str, int]:
            return training_memory(
                step,
                strategy,
                gpus,
                rows=rows,
                gradient_checkpointing=gradient_checkpointing,
                accumulates=steps(rows) > 1,
            )

        # memory grows with the rows, so that bisection counts those that fit
        every = range(1, (share or _MOST_ROWS) + 1)
        largest = bisect_right(every, USABLE * memory, key=lambda rows: needed(rows)["total"])
        if micro_batch is not None:
            rows = micro_batch
        elif share is None:
            usual = TOKENS_PER_STEP // (gpus * accumulation_steps * step.positions)
            rows = max(1, min(usual, largest))
        else:
            # every GPU gets the same number of full micro-batches
            rows = max((rows for rows in range(1, largest + 1) if share % rows == 0), default=1)
        return Plan(
            strategy,
            gradient_checkpointing,
            fits=rows <= largest,
            micro_batch=rows,
            largest_micro_batch=largest,
            accumulation_steps=steps(rows),
            bytes=needed(rows),
        )

    names = STRATEGIES if gpus > 1 else STRATEGIES[:1]
    settings = product([strategy] if strategy else names, (False, True))
    return (plan(*setting) for setting in settings)


def recommend(step: TrainingStep, plans: Iterable[Plan]) -> Plan | None:
    """Choose the first of `plan_strategies` that fits; `None` if nothing does.

    Gradient checkpointing is taken where fewer than `ENOUGH_TOKENS` at a time fit without.
    """
    each = iter(plans)
    for plain, checkpointed in zip(each, each, strict=True):
        is_enough = plain.micro_batch * step.positions >= ENOUGH_TOKENS
        if plain.fits and (is_enough or plain.micro_batch >= checkpointed.micro_batch):
            return plain
        if checkpointed.fits:
            return checkpointed
    return None


def nothing_fits(plans: Iterable[Plan], memory: int) -> str:
    """Word the advice for plans of which none fits into GPUs of `memory` bytes."""
    least = min(plans, key=lambda plan: plan.bytes["total"])
    return (
        f"nothing fits: the least, {least.strategy} "
        f"{'with' if least.gradient_checkpointing else 'without'} gradient checkpointing and a "
        f"micro-batch of {least.micro_batch}, takes {least.bytes['total'] / GIB:.1f} GiB, and "
        f"{USABLE * memory / GIB:.1f} GiB can be filled. Take more or larger GPUs, shorter rows or "
        "a smaller micro-batch; DeepSpeed can also keep optimizer states in the processor's "
        "memory, which is not planned here"
    )


def launch_config(strategy: str) -> str:
    """Find the configuration of a strategy for `accelerate launch --config_file`.

    Returns:
        Its path, from the working directory if it lies there.
    """
    file = Path(__file__).parent / "accelerate" / f"{strategy}.yaml"
    return str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)


def training_time(
    step: TrainingStep,
    gpu: GPU,
    gpus: int,
    *,
    bases: float | None,
    epochs: float,
    utilization: float,
) -> dict[str, float]:
    """Estimate the duration of a training, without evaluation and writing of checkpoints.

    Args:
        step: model, length of a row and precision.
        gpu: kind of the GPUs.
        gpus: number of GPUs.
        bases: bases in an epoch, if they are known.
        epochs: passes over them.
        utilization: share of the data sheet's rate that model FLOPs reach, above 0, at most 1; it
            has to be assumed or measured.

    Returns:
        `tokens` that are trained on; model `flops` of the run; `tokens_per_second` of all GPUs
        together; `seconds`; and `gpu_hours`.

    Raises:
        MissingFigureError: the bases are not known, or the GPU has no rate for the precision.
        ValueError: a number is out of range.
    """
    if bases is None:
        raise MissingFigureError(
            "no time is given without the size of the genomes: give --genome-bp 3e9"
        )
    for name, value in {"bases": bases, "epochs": epochs}.items():
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} is {value}: give more than 0")
    if not 0 < utilization <= 1:
        raise ValueError(f"a utilization of {utilization} cannot be: give one above 0, at most 1")
    if step.precision not in gpu.rates:
        raise MissingFigureError(
            f"no time is given, since {gpu.title} has no matrix unit for {step.precision}: choose "
            f"--precision {' or '.join(gpu.rates)}"
        )
    # a few instructions, numbers and answers in a row are not counted
    tokens = bases * epochs / step.config.kmer_size
    flops_per_token = training_flops_per_token(step.config, step.positions)
    tokens_per_second = gpus * gpu.rates[step.precision] * utilization / flops_per_token
    seconds = tokens / tokens_per_second
    return {
        "tokens": tokens,
        "flops": tokens * flops_per_token,
        "tokens_per_second": tokens_per_second,
        "seconds": seconds,
        "gpu_hours": gpus * seconds / 3600,
    }
