"""What fits into the memory of GPUs, and which strategy to take.

The answer to "will it run" before a machine is rented, from the sizes of the model
(`dnagpt_hf.planning.memory`).

Example:

    >>> from dnagpt_hf.presets import preset_config
    >>> plan = make_plan(Job(preset_config("dnagpt-b-512"), gpus=16, memory=32 * 2**30))
    >>> plan.recommended.setup.strategy, plan.recommended.setup.gradient_checkpointing
    ('fsdp2', False)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dnagpt_hf.planning.hardware import GIB
from dnagpt_hf.planning.memory import STRATEGIES, Memory, Setup, training_memory

if TYPE_CHECKING:
    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig

# Share of a GPU's memory that tensors can fill: the driver keeps some, and blocks leave gaps
USABLE = 0.95
# Tokens in an optimizer step where nothing is stated: those of the GPT-3 models of 0.1 to 0.8
# billion weights (Brown et al. 2020, table 2.1). No source gives the batch of DNAGPT.
TOKENS_PER_STEP = 524_288
# Tokens of a micro-batch below which layers are rather computed twice than read for less: one
# record of the longest preset
ENOUGH_TOKENS = 4096
CONFIG_FOLDER = "examples/configs/accelerate"


@dataclass(frozen=True)
class Job:
    """A model, the GPUs it shall be trained on, and the batch.

    Args:
        config: sizes of the model.
        gpus: number of GPUs.
        memory: bytes of each GPU, as its name states.
        precision: `"float32"`, `"float16"` or `"bfloat16"`.
        positions: tokens in a row; by default the model's positions.
        accumulation_steps: micro-batches in an optimizer step, unless `global_batch` is given.
        global_batch: rows of all GPUs in an optimizer step, or `None`.
        attention: one of `dnagpt_hf.planning.memory.ATTENTION`.

    Raises:
        ValueError: if a number is no count, or the rows cannot be dealt to the GPUs.
    """

    config: DNAGPTConfig
    gpus: int
    memory: int
    precision: str = "bfloat16"
    positions: int | None = None
    accumulation_steps: int = 1
    global_batch: int | None = None
    attention: str = "sdpa"

    def __post_init__(self) -> None:
        # a setup checks the other figures
        self.setup("ddp", False)
        if self.global_batch is not None:
            self.check_batch(1)

    @property
    def row_positions(self) -> int:
        """Tokens in a row."""
        return self.config.max_position_embeddings if self.positions is None else self.positions

    def check_batch(self, micro_batch: int) -> None:
        """Refuse a global batch that cannot be dealt to the GPUs in micro-batches of this size."""
        share = self.gpus * micro_batch
        if self.global_batch is not None and (self.global_batch < 1 or self.global_batch % share):
            near = max(1, round(self.global_batch / share)) * share
            raise ValueError(
                f"a global batch of {self.global_batch:,} rows cannot be dealt to {self.gpus:,} "
                f"GPUs, {micro_batch:,} rows at a time: give a multiple of {share:,}, as {near:,}"
            )

    def setup(self, strategy: str, gradient_checkpointing: bool, micro_batch: int = 1) -> Setup:
        """The setup of this job with a strategy."""
        steps = self.accumulation_steps
        if self.global_batch is not None:
            steps = max(1, self.global_batch // (self.gpus * micro_batch))
        return Setup(
            self.config,
            strategy,
            self.gpus,
            self.precision,
            self.row_positions,
            micro_batch,
            gradient_checkpointing,
            steps,
            self.attention,
        )


@dataclass(frozen=True)
class Candidate:
    """A strategy, and what becomes of it in the given memory.

    Args:
        setup: the setup, with the micro-batch that is proposed, or of one row if none fits.
        memory: what it takes.
        largest_micro_batch: most rows that fit, 0 if none does.
    """

    setup: Setup
    memory: Memory
    largest_micro_batch: int

    @property
    def fits(self) -> bool:
        return self.largest_micro_batch >= self.setup.micro_batch


@dataclass(frozen=True)
class Plan:
    """What fits, and what is recommended.

    Args:
        job: what was asked for.
        candidates: every strategy without and with gradient checkpointing, in the order of
            simplicity.
        recommended: the first that fits, without gradient checkpointing if `ENOUGH_TOKENS` fit so;
            `None` if nothing fits.
        warnings: sentences on what to mind.
    """

    job: Job
    candidates: tuple[Candidate, ...]
    recommended: Candidate | None
    warnings: tuple[str, ...]

    @property
    def global_batch(self) -> int | None:
        """Rows of all GPUs in an optimizer step."""
        if self.recommended is None:
            return None
        setup = self.recommended.setup
        return setup.gpus * setup.micro_batch * setup.accumulation_steps

    @property
    def config_file(self) -> str | None:
        """The file for `accelerate launch`; one GPU needs none."""
        if self.recommended is None or self.job.gpus == 1:
            return None
        return f"{CONFIG_FOLDER}/{self.recommended.setup.strategy}.yaml"


def make_plan(job: Job, strategy: str | None = None, micro_batch: int | None = None) -> Plan:
    """See what fits.

    Args:
        job: model, GPUs and batch.
        strategy: one of `STRATEGIES`, or `None` for all. On one GPU there is nothing to share, and
            only ddp, which is plain training there, is looked at.
        micro_batch: rows for one GPU at a time; by default as many as fit and as a step of
            `TOKENS_PER_STEP`, or the global batch, has.

    Raises:
        ValueError: if the strategy is unknown, or the batches do not fit each other.
    """
    if micro_batch is not None:
        job.setup("ddp", False, micro_batch)
        job.check_batch(micro_batch)
    strategies = STRATEGIES if strategy is None else (strategy,)
    if job.gpus == 1 and strategy is None:
        strategies = ("ddp",)
    candidates = tuple(
        _candidate(job, name, checkpointing, micro_batch)
        for name in strategies
        for checkpointing in (False, True)
    )
    recommended = _recommend(candidates, micro_batch)
    warnings = _warnings(candidates, USABLE * job.memory) if recommended is None else ()
    return Plan(job, candidates, recommended, warnings)


def largest_micro_batch(job: Job, strategy: str, gradient_checkpointing: bool) -> int:
    """The most rows at a time that fit into the memory, 0 if not even one does.

    A global batch bounds them too.
    """

    def fits(rows: int) -> bool:
        if job.global_batch is not None and rows > job.global_batch // job.gpus:
            return False
        setup = job.setup(strategy, gradient_checkpointing, rows)
        return training_memory(setup).total <= USABLE * job.memory

    if not fits(1):
        return 0
    # memory grows with the rows, so that bisection finds the last that fits
    low, high = 1, 2
    while fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _candidate(
    job: Job, strategy: str, gradient_checkpointing: bool, micro_batch: int | None
) -> Candidate:
    largest = largest_micro_batch(job, strategy, gradient_checkpointing)
    rows = max(1, _micro_batch(job, largest)) if micro_batch is None else micro_batch
    setup = job.setup(strategy, gradient_checkpointing, rows)
    return Candidate(setup, training_memory(setup), largest)


def _micro_batch(job: Job, largest: int) -> int:
    """Rows at a time, of the `largest` that fit."""
    if job.global_batch is not None:
        share = job.global_batch // job.gpus
        # every GPU gets the same number of full micro-batches
        return max((n for n in range(1, min(share, largest) + 1) if share % n == 0), default=1)
    wanted = TOKENS_PER_STEP // (job.gpus * job.accumulation_steps * job.row_positions)
    return min(max(1, wanted), largest)


def _recommend(candidates: tuple[Candidate, ...], micro_batch: int | None) -> Candidate | None:
    """The first strategy that fits, with gradient checkpointing if it needs it."""
    for plain, checkpointed in zip(candidates[::2], candidates[1::2], strict=True):
        if plain.fits and (
            micro_batch is not None
            or plain.setup.tokens >= min(ENOUGH_TOKENS, checkpointed.setup.tokens)
        ):
            return plain
        if checkpointed.fits:
            return checkpointed
    return None


def _warnings(candidates: tuple[Candidate, ...], usable: float) -> tuple[str, ...]:
    """What to do if nothing fits."""
    least = min(candidates, key=lambda candidate: candidate.memory.total)
    return (
        f"nothing fits: the least, {describe(least.setup)} and a micro-batch of "
        f"{least.setup.micro_batch}, takes {least.memory.total / GIB:.1f} GiB, and "
        f"{usable / GIB:.1f} GiB can be filled. Take more or larger GPUs, shorter rows or a "
        "smaller micro-batch; DeepSpeed can also keep optimizer states in the processor's memory, "
        "which is not planned here",
    )


def describe(setup: Setup) -> str:
    """A strategy in words."""
    checkpointing = "with" if setup.gradient_checkpointing else "without"
    return f"{setup.strategy} {checkpointing} gradient checkpointing"
