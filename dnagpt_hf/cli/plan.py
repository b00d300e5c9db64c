"""`dnagpt plan`: memory and duration of a pre-training, before a machine is rented."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer import Option

from dnagpt_hf.cli import options
from dnagpt_hf.messages import markdown_table
from dnagpt_hf.planning.hardware import GIB, GPU, GPUS, get_gpu, parse_memory
from dnagpt_hf.presets import PRESETS, get_preset, preset_config

if TYPE_CHECKING:
    from dnagpt_hf.planning.step import TrainingStep

# Numbers and sizes of GPUs, and utilizations, of the tables over all presets
GPU_COUNTS = (1, 8, 16, 64)
MEMORIES = (16, 32, 40, 80)
UTILIZATIONS = (0.1, 0.2, 0.3, 0.4, 0.5)
# Bases and GPUs that the presets were trained on (paper, section 3, supplementary tables and text
# above figure S3; for the mammals "about 200 billion")
PAPER_RUNS = {
    "dnagpt-h": (3_088_286_401, 8),
    "dnagpt-m": (10_159_412_992, 8),
    "dnagpt-s-512": (200_000_000_000, 8),
    "dnagpt-b-512": (200_000_000_000, 16),
}


def plan(
    preset: Annotated[
        str, Option(metavar="NAME", help=f"Sizes and recipe: {', '.join(PRESETS)}.")
    ] = "dnagpt-tiny",
    gpus: Annotated[int | None, Option(min=1, help="Number of GPUs. By default 1.")] = None,
    gpu: Annotated[
        str | None, Option(metavar="KIND", help=f"Memory and speed: {', '.join(GPUS)}.")
    ] = None,
    memory: Annotated[
        str | None, Option(metavar="SIZE", help="Memory of a GPU, as 32GB. By default --gpu's.")
    ] = None,
    strategy: Annotated[
        Literal["auto", "ddp", "fsdp2", "zero1", "zero2", "zero3"], Option(help="Strategy to plan.")
    ] = "auto",
    precision: Annotated[
        options.DType | None, Option(help="Mixed precision. By default the recipe's.")
    ] = None,
    positions: Annotated[
        int | None, Option(min=1, help="Tokens in a row. By default the model's positions.")
    ] = None,
    micro_batch: Annotated[
        int | None, Option(min=1, help="Rows for one GPU at a time. By default what fits.")
    ] = None,
    global_batch: Annotated[
        int | None, Option(min=1, help="Rows of all GPUs in a step. By default the micro-batches'.")
    ] = None,
    attention: Annotated[
        Literal["sdpa", "flash_attention_2", "eager"], Option(help="Implementation of attention.")
    ] = "sdpa",
    genome_bp: Annotated[
        float | None,
        Option(metavar="BASES", help="Bases in an epoch. By default those of the paper."),
    ] = None,
    epochs: Annotated[
        float | None, Option(help="Passes over them. By default the recipe's.")
    ] = None,
    mfu: Annotated[
        float, Option(help="Assumed share of the data sheet's rate that model FLOPs reach.")
    ] = 0.4,
    table: Annotated[
        Literal["memory", "time"] | None,
        Option(help="Write a Markdown table over the published presets instead."),
    ] = None,
    as_json: Annotated[bool, Option("--json", help="Write one JSON object.")] = False,
) -> None:
    """Show the strategies that fit into the memory of GPUs, and the duration of training.

    Nothing is run and no GPU is needed. Durations rest on --mfu, which is an assumption until a
    step has been measured.
    """
    from dnagpt_hf.planning import plan as planning

    kind = None if gpu is None else get_gpu(gpu)
    if table is not None:
        typer.echo(
            _memory_table(precision) if table == "memory" else _time_table(kind, gpus, precision)
        )
        return
    if memory is None and kind is None:
        raise ValueError("the memory of a GPU is not given: give --gpu a100-80 or --memory 32GB")
    size = kind.memory if memory is None and kind is not None else parse_memory(str(memory))
    step, number = _step(preset, precision, positions, attention), gpus or 1
    recipe = get_preset(preset).pretraining
    plans = [
        *planning.plan_strategies(
            step,
            size,
            number,
            strategy=None if strategy == "auto" else strategy,
            micro_batch=micro_batch,
            global_batch=global_batch,
            accumulation_steps=recipe.gradient_accumulation_steps,
        )
    ]
    best = planning.recommend(step, plans)
    warnings = [] if best else [planning.nothing_fits(plans, size)]
    time = None
    if kind is not None:
        try:
            time = planning.training_time(
                step,
                kind,
                number,
                bases=PAPER_RUNS.get(preset, (None,))[0] if genome_bp is None else genome_bp,
                epochs=recipe.epochs if epochs is None else epochs,
                utilization=mfu,
            )
        except planning.MissingFigureError as error:
            warnings.append(str(error))
    facts = {
        "preset": preset,
        "gpus": number,
        "gpu": kind and kind.title,
        "memory": size,
        "precision": step.precision,
        "positions": step.positions,
        "candidates": [asdict(each) for each in plans],
        "recommended": best and asdict(best),
        "global_batch": best and number * best.micro_batch * best.accumulation_steps,
        "config_file": planning.launch_config(best.strategy) if best and number > 1 else None,
        "utilization": mfu,
        "estimate": time,
        "warnings": warnings,
    }
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    for line in _report(facts):
        typer.echo(line)
    for warning in warnings:
        typer.echo(f"dnagpt: warning: {warning}", err=True)


def _report(facts: dict[str, Any]) -> Iterator[str]:
    """Write a plan as text: strategies in columns, the one to take, and the duration."""
    from dnagpt_hf.planning.plan import USABLE

    memory, best, rows, time = (
        facts[name] for name in ("memory", "recommended", "global_batch", "estimate")
    )
    yield (
        f"{facts['preset']}, {facts['precision']}, rows of {facts['positions']:,} tokens, "
        f"{facts['gpus']:,} x {memory / GIB:g} GB ({USABLE * memory / GIB:.1f} to fill)\n"
    )
    parts = ("weights", "grads", "AdamW", "activ.", "rest", "total")
    yield _columns("strategy", "rows", *parts, "most", "fits")
    for each in facts["candidates"]:
        yield _columns(
            each["strategy"] + (" +" if each["gradient_checkpointing"] else ""),
            f"{each['micro_batch']:,}",
            *(f"{part / GIB:.1f}" for part in each["bytes"].values()),
            f"{each['largest_micro_batch']:,}",
            "yes" if each["fits"] else "no",
        )
    yield "\n+: gradient checkpointing; GiB on each GPU; most: rows that fit at a time"
    if best:
        yield _recommendation(facts, best)
    if time:
        steps = f", {time['tokens'] / (rows * facts['positions']):,.0f} steps" if rows else ""
        yield f"training: {time['tokens']:.3g} tokens, {time['flops']:.3g} FLOPs{steps}"
        yield (
            f"at an assumed {100 * facts['utilization']:g}% of the rate of {facts['gpu']}: "
            f"{time['tokens_per_second']:,.0f} tokens/s, {format_duration(time['seconds'])}, "
            f"{time['gpu_hours']:,.0f} GPU hours"
        )


def _columns(name: str, *cells: str) -> str:
    return f"{name:<8}" + "".join(f"{cell:>8}" for cell in cells)


def _recommendation(facts: dict[str, Any], best: dict[str, Any]) -> str:
    """Write the settings for `dnagpt pretrain`, and its command."""
    rows, start = facts["global_batch"], "dnagpt pretrain"
    if facts["config_file"] is not None:
        start = (
            f"accelerate launch --config_file {facts['config_file']} "
            f"--num_processes {facts['gpus']} -m dnagpt_hf pretrain"
        )
    return (
        f"recommended: {best['strategy']}, {rows:,} rows or {rows * facts['positions']:,} tokens "
        "in a step, by these settings:\n"
        f"  per_device_train_batch_size: {best['micro_batch']}\n"
        f"  gradient_accumulation_steps: {best['accumulation_steps']}\n"
        f"  gradient_checkpointing: {str(best['gradient_checkpointing']).lower()}\n"
        f"  fp16: {str(facts['precision'] == 'float16').lower()}\n"
        f"  bf16: {str(facts['precision'] == 'bfloat16').lower()}\n"
        f"start: {start} SETTINGS.yaml"
    )


def format_duration(seconds: float) -> str:
    """Write a duration in the unit that suits it.

    Example:

        >>> [format_duration(each) for each in (90, 90 * 60, 200 * 3600, 400 * 86400)]
        ['2 minutes', '1.5 hours', '8.3 days', '400 days']
    """
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    if hours < 1:
        return f"{minutes:.0f} minutes" if minutes >= 1 else f"{seconds:.0f} seconds"
    if days < 2:
        return f"{hours:.1f} hours"
    return f"{days:.1f} days" if days < 100 else f"{days:,.0f} days"


def _memory_table(precision: options.DType | None) -> str:
    """Tabulate recommended strategies and the most rows that fit, for numbers and sizes of GPUs."""
    from dnagpt_hf.planning.plan import plan_strategies, recommend

    def cell(step: TrainingStep, gpus: int, memory: int, steps: int) -> str:
        plans = plan_strategies(step, memory * GIB, gpus, accumulation_steps=steps)
        best = recommend(step, plans)
        if best is None:
            return "nothing fits"
        checkpointing = "+" if best.gradient_checkpointing else ""
        return f"{best.strategy}{checkpointing}, {best.largest_micro_batch}"

    rows = []
    for preset in PAPER_RUNS:
        step = _step(preset, precision)
        steps = get_preset(preset).pretraining.gradient_accumulation_steps
        for gpus in GPU_COUNTS:
            rows.append([preset, gpus, *(cell(step, gpus, each, steps) for each in MEMORIES)])
    return markdown_table(["preset", "GPUs", *(f"{memory} GB" for memory in MEMORIES)], rows)


def _time_table(gpu: GPU | None, gpus: int | None, precision: options.DType | None) -> str:
    """Tabulate the durations of the presets' recipes at several utilizations."""
    from dnagpt_hf.planning.plan import training_time

    if gpu is None:
        raise ValueError("a table of times needs a kind of GPU: give --gpu a100-80")
    rows = []
    for preset, (bases, gpus_of_paper) in PAPER_RUNS.items():
        step, epochs = _step(preset, precision), get_preset(preset).pretraining.epochs
        number = gpus or gpus_of_paper
        run = training_time(step, gpu, number, bases=bases, epochs=epochs, utilization=1)
        figures = (run["tokens"], run["flops"] / run["tokens"], run["flops"])
        durations = [format_duration(run["seconds"] / each) for each in UTILIZATIONS]
        rows.append([preset, number, *(f"{each:.3g}" for each in figures), *durations])
    shares = [f"{utilization:.0%}" for utilization in UTILIZATIONS]
    return markdown_table(["preset", "GPUs", "tokens", "FLOPs per token", "FLOPs", *shares], rows)


@cache
def _step(
    preset: str, precision: str | None, positions: int | None = None, attention: str = "sdpa"
) -> TrainingStep:
    """Take the sizes of a preset, and the precision of its recipe unless one is given."""
    from dnagpt_hf.planning.step import TrainingStep

    config, recipe = preset_config(preset), get_preset(preset).pretraining
    return TrainingStep(
        config,
        positions or config.max_position_embeddings,
        precision or recipe.precision,
        attention,
    )
