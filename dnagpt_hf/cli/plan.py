"""`dnagpt plan`: how far a preset scales, before a machine is rented."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dnagpt_hf.cli import options
from dnagpt_hf.presets import PRESETS, get_preset

if TYPE_CHECKING:
    from dnagpt_hf.planning.cost import Estimate
    from dnagpt_hf.planning.hardware import GPU
    from dnagpt_hf.planning.plan import Candidate, Job, Plan


class Strategy(str, Enum):
    """Ways to share a model among GPUs."""

    auto = "auto"
    ddp = "ddp"
    fsdp2 = "fsdp2"
    zero1 = "zero1"
    zero2 = "zero2"
    zero3 = "zero3"


class Attention(str, Enum):
    """Implementations of attention."""

    sdpa = "sdpa"
    flash_attention_2 = "flash_attention_2"
    eager = "eager"


class Table(str, Enum):
    """Tables over all published presets."""

    memory = "memory"
    time = "time"


def plan(
    preset: Annotated[
        str, typer.Option(metavar="NAME", help=f"Sizes and recipe: {', '.join(PRESETS)}.")
    ] = "dnagpt-tiny",
    gpus: Annotated[
        int | None,
        typer.Option(min=1, help="Number of GPUs. By default 1.", show_default=False),
    ] = None,
    gpu: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="v100-16, v100, a100-40, a100-80, h100 or h200: memory and speed.",
            show_default=False,
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Memory of a GPU, as 32GB. By default --gpu's.", show_default=False
        ),
    ] = None,
    strategy: Annotated[Strategy, typer.Option(help="Strategy to look at.")] = Strategy.auto,
    precision: Annotated[
        options.DType | None,
        typer.Option(help="Mixed precision. By default the recipe's.", show_default=False),
    ] = None,
    positions: Annotated[
        int | None,
        typer.Option(
            min=1, help="Tokens in a row. By default the model's positions.", show_default=False
        ),
    ] = None,
    micro_batch: Annotated[
        int | None,
        typer.Option(
            min=1, help="Rows for one GPU at a time. By default what fits.", show_default=False
        ),
    ] = None,
    global_batch: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Rows of all GPUs in a step. By default the recipe's accumulation.",
            show_default=False,
        ),
    ] = None,
    attention: Annotated[
        Attention, typer.Option(help="Implementation of attention.")
    ] = Attention.sdpa,
    genome_bp: Annotated[
        float | None,
        typer.Option(
            metavar="BASES",
            help="Bases in an epoch, as 3e9. By default those of the paper.",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        float | None,
        typer.Option(help="Passes over them. By default the recipe's.", show_default=False),
    ] = None,
    mfu: Annotated[
        float,
        typer.Option(help="Assumed share of the data sheet's rate that model FLOPs reach."),
    ] = 0.4,
    price: Annotated[
        float | None, typer.Option(help="Price of a GPU for an hour.", show_default=False)
    ] = None,
    table: Annotated[
        Table | None,
        typer.Option(
            help="Write a Markdown table over the published presets instead.", show_default=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object.")] = False,
) -> None:
    """Show what fits into the memory of GPUs, how long training takes and what it costs.

    Nothing is run and no GPU is needed. Times rest on --mfu, which is an assumption until a step
    has been measured.
    """
    from dnagpt_hf.planning.hardware import get_gpu, parse_memory
    from dnagpt_hf.planning.plan import make_plan
    from dnagpt_hf.planning.tables import preset_job

    get_preset(preset)
    kind = None if gpu is None else get_gpu(gpu)
    chosen = precision
    if table is not None:
        typer.echo(_table(table, kind, gpus, chosen, price))
        return
    if price is not None and kind is None:
        raise ValueError("a price needs a kind of GPU, which tells the time: give --gpu a100-80")
    if memory is None and kind is None:
        raise ValueError("the memory of a GPU is not given: give --gpu a100-80 or --memory 32GB")
    job = preset_job(
        preset,
        gpus or 1,
        kind.memory if memory is None and kind is not None else parse_memory(str(memory)),
        chosen,
        positions=positions,
        global_batch=global_batch,
        attention=attention.value,
    )
    made = make_plan(job, None if strategy == Strategy.auto else strategy.value, micro_batch)
    estimate, remarks = _estimate(preset, job, kind, genome_bp, epochs, mfu, price)
    remarks = [*made.warnings, *remarks]
    if as_json:
        typer.echo(json.dumps(_facts(preset, made, estimate, remarks), indent=2))
        return
    _show(preset, made)
    if made.recommended is not None:
        typer.echo(_recommendation(made.recommended, made))
    if estimate is not None and kind is not None:
        typer.echo(_readable_estimate(estimate, made, mfu, kind))
    for remark in remarks:
        typer.echo(f"dnagpt: warning: {remark}", err=True)


def _table(
    table: Table, kind: GPU | None, gpus: int | None, precision: str | None, price: float | None
) -> str:
    from dnagpt_hf.planning.tables import markdown, memory_table, time_table

    if table == Table.memory:
        return markdown(memory_table(precision=precision))
    if kind is None:
        raise ValueError("a table of times needs a kind of GPU: give --gpu a100-80")
    return markdown(time_table(kind, gpus, precision, price))


def _estimate(
    preset: str,
    job: Job,
    kind: GPU | None,
    bases: float | None,
    epochs: float | None,
    mfu: float,
    price: float | None,
) -> tuple[Estimate | None, list[str]]:
    """Time and cost, or why there are none."""
    from dnagpt_hf.planning.cost import PRETRAINING_BASES, estimate_run

    bases = PRETRAINING_BASES.get(preset) if bases is None else bases
    if kind is None:
        return None, []
    if bases is None:
        return None, ["no time is given without the size of the genomes: give --genome-bp 3e9"]
    try:
        rate = kind.rate(job.precision)
    except ValueError as error:
        return None, [f"no time is given, since {error} (--precision)"]
    epochs = get_preset(preset).pretraining.epochs if epochs is None else epochs
    estimate = estimate_run(
        job.config, job.row_positions, bases, epochs, job.gpus, rate, mfu, price
    )
    return estimate, []


def _facts(
    preset: str, made: Plan, estimate: Estimate | None, remarks: list[str]
) -> dict[str, Any]:
    job = made.job
    best = made.recommended
    return {
        "preset": preset,
        "gpus": job.gpus,
        "memory": job.memory,
        "precision": job.precision,
        "positions": job.row_positions,
        "candidates": [_candidate_facts(candidate) for candidate in made.candidates],
        "recommended": None if best is None else _candidate_facts(best),
        "global_batch": made.global_batch,
        "config_file": made.config_file,
        "estimate": None if estimate is None else asdict(estimate),
        "warnings": remarks,
    }


def _candidate_facts(candidate: Candidate) -> dict[str, Any]:
    setup = candidate.setup
    return {
        "strategy": setup.strategy,
        "gradient_checkpointing": setup.gradient_checkpointing,
        "fits": candidate.fits,
        "micro_batch": setup.micro_batch,
        "largest_micro_batch": candidate.largest_micro_batch,
        "accumulation_steps": setup.accumulation_steps,
        "bytes": {**asdict(candidate.memory), "total": candidate.memory.total},
    }


def _show(preset: str, made: Plan) -> None:
    """The table of strategies."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    from dnagpt_hf.planning.hardware import GIB
    from dnagpt_hf.planning.plan import USABLE

    job = made.job
    shown = RichTable(
        title=f"{preset}, {job.precision}, rows of {job.row_positions:,} tokens, {job.gpus:,} x "
        f"{job.memory / GIB:g} GB ({USABLE * job.memory / GIB:.1f} to fill)",
        caption="+: gradient checkpointing; GiB on each GPU; most: rows that fit at a time",
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
    )
    shown.add_column("strategy", no_wrap=True)
    parts = {
        "weights": "weights",
        "gradients": "grads",
        "optimizer": "AdamW",
        "activations": "activ.",
        "rest": "rest",
    }
    for name in ("rows", *parts.values(), "total", "most", "fits"):
        shown.add_column(name, justify="right", no_wrap=True)
    for candidate in made.candidates:
        setup, held = candidate.setup, asdict(candidate.memory)
        shown.add_row(
            setup.strategy + (" +" if setup.gradient_checkpointing else ""),
            f"{setup.micro_batch:,}",
            *(f"{held[part] / GIB:.1f}" for part in parts),
            f"{candidate.memory.total / GIB:.1f}",
            f"{candidate.largest_micro_batch:,}",
            "yes" if candidate.fits else "no",
        )
    Console().print(shown)


def _recommendation(best: Candidate, made: Plan) -> str:
    """What to start, and what to put into the settings of `dnagpt pretrain`."""
    setup, rows = best.setup, made.global_batch or 0
    start = "dnagpt pretrain SETTINGS.yaml"
    if made.config_file is not None:
        start = (
            f"accelerate launch --config_file {made.config_file} --num_processes {setup.gpus} "
            "-m dnagpt_hf.cli pretrain SETTINGS.yaml"
        )
    return "\n".join(
        [
            f"recommended: {setup.strategy}, {rows:,} rows or {rows * setup.positions:,} tokens in "
            "a step, by these settings:",
            f"  per_device_train_batch_size: {setup.micro_batch}",
            f"  gradient_accumulation_steps: {setup.accumulation_steps}",
            f"  gradient_checkpointing: {str(setup.gradient_checkpointing).lower()}",
            f"  fp16: {str(setup.precision == 'float16').lower()}",
            f"  bf16: {str(setup.precision == 'bfloat16').lower()}",
            f"start: {start}",
        ]
    )


def _readable_estimate(estimate: Estimate, made: Plan, mfu: float, kind: GPU) -> str:
    from dnagpt_hf.planning.cost import duration

    lines = [
        f"training: {estimate.tokens:.3g} tokens, {estimate.flops:.3g} FLOPs",
        f"at an assumed {100 * mfu:g}% of the rate of {kind.title}: "
        f"{estimate.tokens_per_second:,.0f} tokens/s, {duration(estimate.seconds)}, "
        f"{estimate.gpu_hours:,.0f} GPU hours",
    ]
    if made.global_batch:
        steps = estimate.tokens / (made.global_batch * made.job.row_positions)
        lines[0] += f", {steps:,.0f} steps"
    if estimate.cost is not None:
        lines[1] += f", cost {estimate.cost:,.0f}"
    return "\n".join(lines)
