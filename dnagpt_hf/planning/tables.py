"""Tables over the presets: what they need, and how long they take. Those of docs/scaling.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dnagpt_hf.planning.cost import PRETRAINING_BASES, Estimate, duration, estimate_run
from dnagpt_hf.planning.flops import training_flops_per_token
from dnagpt_hf.planning.hardware import GIB, GPU
from dnagpt_hf.planning.plan import Job, make_plan
from dnagpt_hf.presets import get_preset, preset_config

GPU_COUNTS = (1, 8, 16, 64)
MEMORIES = (16 * GIB, 32 * GIB, 40 * GIB, 80 * GIB)
UTILISATIONS = (0.1, 0.2, 0.3, 0.4, 0.5)
# GPUs of the paper (supplementary text above figure S3)
PAPER_GPUS = {"dnagpt-h": 8, "dnagpt-m": 8, "dnagpt-s-512": 8, "dnagpt-b-512": 16}


def preset_job(
    preset: str, gpus: int, memory: int, precision: str | None = None, **job: object
) -> Job:
    """A job with the sizes of a preset and the precision and accumulation of its recipe."""
    recipe = get_preset(preset).pretraining
    fields = {
        "precision": precision or recipe.precision,
        "accumulation_steps": recipe.gradient_accumulation_steps,
        **{name: value for name, value in job.items() if value is not None},
    }
    return Job(preset_config(preset), gpus, memory, **fields)  # type: ignore[arg-type]


def memory_table(
    presets: Iterable[str] = tuple(PRETRAINING_BASES), precision: str | None = None
) -> list[list[str]]:
    """For each preset and number of GPUs, what is recommended for each size of memory.

    Returns:
        Rows of cells, the first of which is the header. A cell names the strategy, `+` for gradient
        checkpointing, and the most rows of a micro-batch.
    """
    header = ["preset", "GPUs", *(f"{memory // GIB} GB" for memory in MEMORIES)]
    rows = [header]
    for preset in presets:
        for gpus in GPU_COUNTS:
            jobs = (preset_job(preset, gpus, memory, precision) for memory in MEMORIES)
            rows.append([preset, str(gpus), *map(_recommendation, jobs)])
    return rows


def _recommendation(job: Job) -> str:
    best = make_plan(job).recommended
    if best is None:
        return "nothing fits"
    checkpointing = "+" if best.setup.gradient_checkpointing else ""
    return f"{best.setup.strategy}{checkpointing}, {best.largest_micro_batch}"


def preset_estimate(
    preset: str,
    gpus: int,
    gpu: GPU,
    utilisation: float,
    precision: str | None = None,
    price: float | None = None,
) -> Estimate:
    """Time and cost of the pre-training of a preset, as its recipe says, on all of its genomes."""
    config, recipe = preset_config(preset), get_preset(preset).pretraining
    return estimate_run(
        config,
        config.max_position_embeddings,
        PRETRAINING_BASES[preset],
        recipe.epochs,
        gpus,
        gpu.rate(precision or recipe.precision),
        utilisation,
        price,
    )


def time_table(
    gpu: GPU, gpus: int | None = None, precision: str | None = None, price: float | None = None
) -> list[list[str]]:
    """For each published preset, the operations of its pre-training and the hours it takes.

    Args:
        gpu: kind of GPU.
        gpus: number of GPUs; by default that of the paper.
        precision: by default that of each recipe.
        price: of a GPU for an hour; with it, there is a row of costs beside each row of hours.

    Returns:
        Rows of cells, the first of which is the header.
    """
    shares = [f"{utilisation:.0%}" for utilisation in UTILISATIONS]
    rows = [["preset", "GPUs", "tokens", "FLOPs per token", "FLOPs", "", *shares]]
    for preset in PRETRAINING_BASES:
        count = PAPER_GPUS[preset] if gpus is None else gpus
        estimates = [
            preset_estimate(preset, count, gpu, utilisation, precision, price)
            for utilisation in UTILISATIONS
        ]
        config = preset_config(preset)
        per_token = training_flops_per_token(config, config.max_position_embeddings)
        first = estimates[0]
        facts = [preset, str(count), _figure(first.tokens), _figure(per_token)]
        hours = [duration(estimate.seconds) for estimate in estimates]
        rows.append([*facts, _figure(first.flops), "time", *hours])
        if price is not None:
            rows.append([""] * 5 + ["cost", *(f"{estimate.cost:,.0f}" for estimate in estimates)])
    return rows


def _figure(value: float) -> str:
    return f"{value:.3g}".replace("e+", "e")


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown.

    Example:

        >>> print(markdown([["preset", "GPUs"], ["dnagpt-h", "8"]]))
        | preset | GPUs |
        | --- | --- |
        | dnagpt-h | 8 |
    """
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, f"|{' --- |' * len(rows[0])}")
    return "\n".join(lines)
