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
# GPUs of the paper (supplementary text above figure S3)
PAPER_GPUS = {"dnagpt-h": 8, "dnagpt-m": 8, "dnagpt-s-512": 8, "dnagpt-b-512": 16}
# Parts of the memory and their titles
PARTS = {
    "weights": "weights",
    "gradients": "grads",
    "optimizer": "AdamW",
    "activations": "activ.",
    "rest": "rest",
    "total": "total",
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
    step = _step(preset, precision, positions, attention)
    steps = get_preset(preset).pretraining.gradient_accumulation_steps
    batch = planning.Batch(gpus or 1, micro_batch, global_batch, steps)
    only = None if strategy == "auto" else strategy
    configs = [*planning.plan_strategies(step, batch, size, only)]
    best = planning.recommend(step, configs)
    warnings = [] if best else [planning.nothing_fits(configs, size)]
    time = None
    if kind is not None:
        try:
            time = _time(preset, step, batch.gpus, kind, mfu, genome_bp, epochs)
        except MissingFigureError as error:
            warnings.append(str(error))
    launch = planning.launch_config(best.strategy) if best and batch.gpus > 1 else None
    facts = {
        "preset": preset,
        "gpus": batch.gpus,
        "memory": size,
        "precision": step.precision,
        "positions": step.positions,
        "candidates": [asdict(each) for each in configs],
        "recommended": best and asdict(best),
        "global_batch": best and batch.gpus * best.micro_batch * best.accumulation_steps,
        "config_file": launch,
        "estimate": time,
        "warnings": warnings,
    }
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    for line in _strategies(facts):
        typer.echo(line)
    if best is not None:
        typer.echo(_recommendation(facts))
    if time is not None and kind is not None:
        typer.echo(_duration(facts, mfu, kind.title))
    for warning in warnings:
        typer.echo(f"dnagpt: warning: {warning}", err=True)


class MissingFigureError(ValueError):
    """A duration that cannot be estimated; the message says why."""


def _time(
    preset: str,
    step: TrainingStep,
    gpus: int,
    gpu: GPU,
    utilization: float,
    bases: float | None = None,
    epochs: float | None = None,
) -> dict[str, float]:
    """Estimate the duration of a preset's recipe, by `training_time`.

    Raises:
        MissingFigureError: the number of bases or the rate of the GPU is not known.
        ValueError: a number is out of range.
    """
    from dnagpt_hf.planning.duration import PRETRAINING_BASES, training_time
    from dnagpt_hf.planning.step import training_flops_per_token

    bases = PRETRAINING_BASES.get(preset) if bases is None else bases
    if bases is None:
        raise MissingFigureError(
            "no time is given without the size of the genomes: give --genome-bp 3e9"
        )
    if step.precision not in gpu.rates:
        raise MissingFigureError(
            f"no time is given, since {gpu.title} has no matrix unit for {step.precision}: choose "
            f"--precision {' or '.join(gpu.rates)}"
        )
    epochs = get_preset(preset).pretraining.epochs if epochs is None else epochs
    for name, value in {"bases": bases, "epochs": epochs}.items():
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} is {value}: give more than 0")
    # a few instructions, numbers and answers in a row are not counted
    tokens = bases * epochs / step.config.kmer_size
    flops = training_flops_per_token(step.config, step.positions)
    return training_time(tokens, flops, gpus, gpu.rates[step.precision], utilization)


def _strategies(facts: dict[str, Any]) -> Iterator[str]:
    """Lay out the memory of the strategies in columns."""
    from dnagpt_hf.planning.plan import USABLE

    memory = facts["memory"] / GIB
    yield (
        f"{facts['preset']}, {facts['precision']}, rows of {facts['positions']:,} tokens, "
        f"{facts['gpus']:,} x {memory:g} GB ({USABLE * memory:.1f} to fill)\n"
    )
    yield _columns("strategy", "rows", *PARTS.values(), "most", "fits")
    for each in facts["candidates"]:
        yield _columns(
            each["strategy"] + (" +" if each["gradient_checkpointing"] else ""),
            f"{each['micro_batch']:,}",
            *(f"{each['bytes'][part] / GIB:.1f}" for part in PARTS),
            f"{each['largest_micro_batch']:,}",
            "yes" if each["fits"] else "no",
        )
    yield "\n+: gradient checkpointing; GiB on each GPU; most: rows that fit at a time"


def _columns(name: str, *cells: str) -> str:
    return f"{name:<8}" + "".join(f"{cell:>8}" for cell in cells)


def _recommendation(facts: dict[str, Any]) -> str:
    """Write the settings for `dnagpt pretrain`, and its command."""
    best, rows = facts["recommended"], facts["global_batch"]
    start = "dnagpt pretrain"
    if facts["config_file"] is not None:
        start = (
            f"accelerate launch --config_file {facts['config_file']} "
            f"--num_processes {facts['gpus']} -m dnagpt_hf.cli pretrain"
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


def _duration(facts: dict[str, Any], utilization: float, gpu: str) -> str:
    from dnagpt_hf.planning.duration import format_duration

    time, steps = facts["estimate"], ""
    if facts["global_batch"]:
        number = time["tokens"] / (facts["global_batch"] * facts["positions"])
        steps = f", {number:,.0f} steps"
    return (
        f"training: {time['tokens']:.3g} tokens, {time['flops']:.3g} FLOPs{steps}\n"
        f"at an assumed {100 * utilization:g}% of the rate of {gpu}: "
        f"{time['tokens_per_second']:,.0f} tokens/s, {format_duration(time['seconds'])}, "
        f"{time['gpu_hours']:,.0f} GPU hours"
    )


def _memory_table(precision: options.DType | None) -> str:
    """Tabulate recommended strategies and the most rows that fit, for numbers and sizes of GPUs."""
    from dnagpt_hf.planning.plan import Batch, plan_strategies, recommend

    def cell(step: TrainingStep, batch: Batch, memory: int) -> str:
        best = recommend(step, plan_strategies(step, batch, memory * GIB))
        if best is None:
            return "nothing fits"
        checkpointing = "+" if best.gradient_checkpointing else ""
        return f"{best.strategy}{checkpointing}, {best.largest_micro_batch}"

    rows = []
    for preset in PAPER_GPUS:
        step = _step(preset, precision)
        steps = get_preset(preset).pretraining.gradient_accumulation_steps
        for gpus in GPU_COUNTS:
            batch = Batch(gpus, accumulation_steps=steps)
            rows.append([preset, gpus, *(cell(step, batch, memory) for memory in MEMORIES)])
    return markdown_table(["preset", "GPUs", *(f"{memory} GB" for memory in MEMORIES)], rows)


def _time_table(gpu: GPU | None, gpus: int | None, precision: options.DType | None) -> str:
    """Tabulate the durations of the presets' recipes at several utilizations."""
    from dnagpt_hf.planning.duration import format_duration

    if gpu is None:
        raise ValueError("a table of times needs a kind of GPU: give --gpu a100-80")
    rows = []
    for preset, paper in PAPER_GPUS.items():
        step = _step(preset, precision)
        run = _time(preset, step, gpus or paper, gpu, utilization=1)
        figures = (run["tokens"], run["flops"] / run["tokens"], run["flops"])
        durations = [format_duration(run["seconds"] / each) for each in UTILIZATIONS]
        rows.append([preset, gpus or paper, *(f"{each:.3g}" for each in figures), *durations])
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
