"""`dnagpt finetune`: fine-tuning from a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer


def finetune(
    context: typer.Context,
    config: Annotated[
        Path,
        typer.Argument(
            metavar="TASK.yaml",
            help="The task, its data, the model, and any of TrainingArguments.",
        ),
    ],
) -> None:
    """Fine-tune a model on a task.

    Options override the file, as --learning_rate 1e-4 or --lora. A run that was stopped goes on
    when the same command is given again. With several processes, start it by torchrun or accelerate
    launch: torchrun --nproc-per-node 8 -m dnagpt_hf.cli finetune TASK.yaml
    """
    from dnagpt_hf.finetuning.settings import parse_finetuning_settings
    from dnagpt_hf.tasks.sources import TEXT_KEYS
    from dnagpt_hf.yaml_files import read_yaml

    settings = parse_finetuning_settings(context.args, read_yaml(config, TEXT_KEYS), config.parent)
    from dnagpt_hf.finetuning.run import finetune as run

    tuned = run(settings)
    if not settings.training.should_save:
        return
    typer.echo(f"{tuned.folder}: {tuned.split} split, {data_summary(tuned.data.report)}")
    for name, value in tuned.metrics.items():
        deviation = tuned.deviations.get(name)
        typer.echo(f"  {name:<12} {value:.4f}" + (f" ± {deviation:.4f}" if deviation else ""))


def data_summary(report: Mapping[str, Any]) -> str:
    """Summarize the sizes of the splits, and the duplicates."""
    parts = ", ".join(f"{part} {one['records']:,}" for part, one in report["parts"].items())
    gone = sum(value for name, value in report.items() if name.startswith("duplicates "))
    return f"records: {parts}" + (
        f"; {gone:,} duplicates {report['duplicate records']}d" if gone else ""
    )
