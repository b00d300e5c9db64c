"""`dnagpt pretrain`, `finetune` and `baseline`: trainings from a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from dnagpt_hf.cli import options, running

CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True}


def pretrain(
    context: typer.Context,
    config: Annotated[
        Path,
        Argument(
            metavar="CONFIG.yaml", help="Settings: preset, genomes, and any of TrainingArguments."
        ),
    ],
) -> None:
    """Pre-train a model on genomes.

    Options override the file, as --learning_rate 1e-4. A run that was stopped goes on when the same
    command is given again. With several processes, start it by torchrun or accelerate launch:
    torchrun --nproc-per-node 8 -m dnagpt_hf pretrain CONFIG.yaml
    """
    from dnagpt_hf.pretraining.settings import parse_settings
    from dnagpt_hf.yaml_files import read_yaml

    settings = parse_settings(context.args, read_yaml(config))
    from dnagpt_hf.pretraining import run

    trained = run.pretrain(settings)
    if settings.training.should_save:
        typer.echo(f"{trained.folder}: trained for {trained.steps:,} steps")


def finetune(
    context: typer.Context,
    config: Annotated[
        Path,
        Argument(
            metavar="TASK.yaml", help="The task, its data, the model, and any of TrainingArguments."
        ),
    ],
) -> None:
    """Fine-tune a model on a task.

    Options override the file, as --learning_rate 1e-4 or --lora. A run that was stopped goes on
    when the same command is given again. With several processes, start it by torchrun or accelerate
    launch: torchrun --nproc-per-node 8 -m dnagpt_hf finetune TASK.yaml
    """
    from dnagpt_hf.finetuning.settings import parse_finetuning_settings
    from dnagpt_hf.tasks.sources import TEXT_KEYS
    from dnagpt_hf.yaml_files import read_yaml

    settings = parse_finetuning_settings(context.args, read_yaml(config, TEXT_KEYS), config.parent)
    from dnagpt_hf.finetuning import run

    tuned = run.finetune(settings)
    if not settings.training.should_save:
        return
    typer.echo(f"{tuned.folder}: {tuned.split} split, {_summary(tuned.data.report)}")
    for name, value in tuned.metrics.items():
        deviation = tuned.deviations.get(name)
        typer.echo(f"  {name:<12} {value:.4f}" + (f" ± {deviation:.4f}" if deviation else ""))


def baseline(
    context: typer.Context,
    config: Annotated[
        Path, Argument(metavar="TASK.yaml", help="The task and its data, as of dnagpt finetune.")
    ],
    output: Annotated[
        Path | None,
        Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Folder of the results; by default output_dir of the task and -baseline.",
        ),
    ] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Measure simple models on the task of a fine-tuning, in the same splits of the same records.

    The floor is the most frequent class or the mean. The others are a logistic or ridge regression
    on counts of 4-mers, and a small convolutional network on one-hot bases; --seeds "[0, 1, 2]"
    trains the network several times. Options override the file, as of dnagpt finetune. Writes
    baseline.json, and metrics.json and predictions.parquet of each.
    """
    from dnagpt_hf.finetuning.settings import parse_finetuning_settings
    from dnagpt_hf.tasks.sources import TEXT_KEYS
    from dnagpt_hf.yaml_files import read_yaml

    settings = parse_finetuning_settings(context.args, read_yaml(config, TEXT_KEYS), config.parent)
    from dnagpt_hf.finetuning import baseline

    with running.progress_bar("training the network", unit="epoch") as report:
        found = baseline.baseline(settings, output=output, overwrite=overwrite, progress=report)
    typer.echo(f"{found.folder}: {_summary(found.data.report)}\n\n{found.table()}")


def _summary(report: Mapping[str, Any]) -> str:
    """Count the records of the splits, those left out, and the duplicates."""
    splits = ", ".join(f"{split} {one['records']:,}" for split, one in report["parts"].items())
    found = sum(value for name, value in report.items() if name.startswith("duplicates "))
    policy = {"remove": "removed", "keep": "kept"}.get(report["duplicate records"], "")
    lacking = sum(report["records without a value"].values())
    return (
        f"records: {splits}"
        + (f"; {lacking:,} without a value left out" if lacking else "")
        + (f"; {found:,} duplicates {policy}" if found else "")
    )
