"""Strategies that fit into the memory of GPUs, and the one to take.

Example:

    >>> from dnagpt_hf.presets import preset_config
    >>> step = TrainingStep(preset_config("dnagpt-b-512"), 512)
    >>> best = recommend(step, plan_strategies(step, Batch(gpus=16), memory=32 * 2**30))
    >>> best.strategy, best.gradient_checkpointing
    ('fsdp2', False)
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from dnagpt_hf.planning.hardware import GIB
from dnagpt_hf.planning.memory import STRATEGIES, training_memory
from dnagpt_hf.planning.step import TrainingStep

# Share of a GPU's memory that tensors can fill: the driver keeps some, and blocks leave gaps
USABLE = 0.95
# Tokens in an optimizer step where nothing is stated: those of the GPT-3 models of 0.1 to 0.8
# billion weights (Brown et al. 2020, table 2.1). No source gives the batch of DNAGPT.
TOKENS_PER_STEP = 524_288
# Tokens of a micro-batch below which layers are rather computed twice than read for less: one
# record of the longest preset
ENOUGH_TOKENS = 4096
_MOST_ROWS = 1 << 20


@dataclass(frozen=True)
class Batch:
    """The rows of an optimizer step.

    Args:
        gpus: number of GPUs.
        micro_batch: rows for one GPU at a time. By default as many as fit and as a step of
            `TOKENS_PER_STEP`, or the global batch, has.
        global_batch: rows of all GPUs in a step. By default the micro-batches decide.
        accumulation_steps: micro-batches of one GPU in a step, unless `global_batch` is given.

    Raises:
        ValueError: if the global batch cannot be dealt to the GPUs.
    """

    gpus: int = 1
    micro_batch: int | None = None
    global_batch: int | None = None
    accumulation_steps: int = 1

    def __post_init__(self) -> None:
        rows = self.micro_batch or 1
        share = self.gpus * rows
        if self.global_batch is not None and (self.global_batch < 1 or self.global_batch % share):
            near = max(1, round(self.global_batch / share)) * share
            raise ValueError(
                f"a global batch of {self.global_batch:,} rows cannot be dealt to {self.gpus:,} "
                f"GPUs, {rows:,} rows at a time: give a multiple of {share:,}, as {near:,}"
            )

    def steps(self, rows: int) -> int:
        """Count the micro-batches of so many rows in a step."""
        if self.global_batch is None:
            return self.accumulation_steps
        return max(1, self.global_batch // (self.gpus * rows))

    def propose(self, largest: int, positions: int) -> int:
        """Choose the rows of a micro-batch, at least 1, where `largest` fit."""
        if self.micro_batch is not None:
            return self.micro_batch
        if self.global_batch is None:
            wanted = TOKENS_PER_STEP // (self.gpus * self.accumulation_steps * positions)
            return max(1, min(wanted, largest))
        # every GPU gets the same number of full micro-batches
        share = self.global_batch // self.gpus
        return max((rows for rows in range(1, largest + 1) if share % rows == 0), default=1)


@dataclass(frozen=True)
class ParallelConfig:
    """A strategy to train on several GPUs, and its memory.

    Args:
        strategy: one of `dnagpt_hf.planning.memory.STRATEGIES`.
        gradient_checkpointing: whether layers are computed again in the backward pass.
        fits: whether the micro-batch fits.
        micro_batch: rows for one GPU at a time; 1 if none fits.
        largest_micro_batch: most rows that fit, 0 if none does.
        accumulation_steps: micro-batches of one GPU in an optimizer step.
        bytes: parts and total of the memory of each GPU.
    """

    strategy: str
    gradient_checkpointing: bool
    fits: bool
    micro_batch: int
    largest_micro_batch: int
    accumulation_steps: int
    bytes: dict[str, int]


def plan_strategies(
    step: TrainingStep, batch: Batch, memory: int, strategy: str | None = None
) -> Iterator[ParallelConfig]:
    """Plan every strategy without and with gradient checkpointing, in the order of simplicity.

    Each is measured when it is asked for.

    Args:
        step: model, length of a row and precision.
        batch: number of GPUs and rows.
        memory: bytes of each GPU, as its name states.
        strategy: the only one of `STRATEGIES` to plan. By default all; on one GPU, which has
            nothing to share, only ddp, which is plain training there.
    """
    names = STRATEGIES if batch.gpus > 1 else STRATEGIES[:1]
    settings = product([strategy] if strategy else names, (False, True))
    return (_plan(step, batch, memory, *setting) for setting in settings)


def _plan(
    step: TrainingStep, batch: Batch, memory: int, strategy: str, gradient_checkpointing: bool
) -> ParallelConfig:
    def needed(rows: int) -> dict[str, int]:
        return training_memory(
            step,
            strategy,
            batch.gpus,
            rows=rows,
            gradient_checkpointing=gradient_checkpointing,
            accumulates=batch.steps(rows) > 1,
        )

    # memory grows with the rows, so that bisection counts those that fit
    most = _MOST_ROWS if batch.global_batch is None else batch.global_batch // batch.gpus
    every = range(1, most + 1)
    largest = bisect_right(every, USABLE * memory, key=lambda rows: needed(rows)["total"])
    rows = batch.propose(largest, step.positions)
    return ParallelConfig(
        strategy,
        gradient_checkpointing,
        fits=rows <= largest,
        micro_batch=rows,
        largest_micro_batch=largest,
        accumulation_steps=batch.steps(rows),
        bytes=needed(rows),
    )


def recommend(step: TrainingStep, configs: Iterable[ParallelConfig]) -> ParallelConfig | None:
    """Choose the first of `plan_strategies` that fits.

    Gradient checkpointing is taken where fewer than `ENOUGH_TOKENS` at a time fit without.

    Returns:
        The choice, or `None` if nothing fits.
    """
    each = iter(configs)
    for plain, checkpointed in zip(each, each, strict=True):
        is_enough = plain.micro_batch * step.positions >= ENOUGH_TOKENS
        if plain.fits and (is_enough or plain.micro_batch >= checkpointed.micro_batch):
            return plain
        if checkpointed.fits:
            return checkpointed
    return None


def nothing_fits(configs: Iterable[ParallelConfig], memory: int) -> str:
    """Word the advice for a plan in which nothing fits into GPUs of `memory` bytes."""
    least = min(configs, key=lambda config: config.bytes["total"])
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
