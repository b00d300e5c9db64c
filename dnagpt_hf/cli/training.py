"""`dnagpt pretrain`, `finetune` and `baseline`: trainings from a YAML file."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option
from typer.core import TyperCommand

from dnagpt_hf.cli import options, running

CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True}
_FINETUNING = ("finetuning.settings", "TaskArguments", "TuningArguments")
_SETTINGS = {
    "pretrain": ("pretraining.settings", "ModelArguments", "DataArguments"),
    "finetune": _FINETUNING,
    "baseline": _FINETUNING,
    "train": ("haplotypes.settings", "HaplotypeModelArguments", "HaplotypeArguments"),
}


class SettingsCommand(TyperCommand):
    """A command whose help also lists the settings that its file or its options state."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """List options, and the settings with their defaults."""
        super().format_options(ctx, formatter)
        module, *classes = _SETTINGS[str(self.name)]
        settings = import_module(f"dnagpt_hf.{module}")
        for one in classes:
            rows = [
                (f"--{field.name}", _setting(field)) for field in fields(getattr(settings, one))
            ]
            with formatter.section(f"Settings: {getattr(settings, one).__doc__}".rstrip(".")):
                formatter.write_dl(rows)
        with formatter.section("Settings of Transformers"):
            formatter.write_text("Any of TrainingArguments, such as --learning_rate 1e-4.")


def _setting(field: Field[Any]) -> str:
    default = "" if field.default in (None, MISSING) else f"  [default: {field.default}]"
    return field.metadata.get("help", "") + default


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

    \b
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
    launch:

    \b
    torchrun --nproc-per-node 8 -m dnagpt_hf finetune TASK.yaml
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
    width = max(map(len, tuned.metrics), default=0)
    for name, value in tuned.metrics.items():
        deviation = tuned.deviations.get(name)
        typer.echo(f"  {name:<{width}}  {value:.4f}" + (f" ± {deviation:.4f}" if deviation else ""))


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


def configs(
    folder: Annotated[Path, Argument(metavar="FOLDER", help="The folder to write them to.")],
    overwrite: options.Overwrite = False,
) -> None:
    """Write configurations of accelerate and DeepSpeed for several GPUs, and records to try.

    accelerate launch --config_file takes a file of accelerate, and --deepspeed of a training one of
    deepspeed. windows.fasta has synthetic records for dnagpt predict dnagpt-tiny-pas.
    """
    from dnagpt_hf import planning, records
    from dnagpt_hf.atomic_files import new_file

    place = Path(planning.__path__[0])
    found = {path.relative_to(place): path for path in sorted(place.rglob("*.[yj]*"))}
    found[Path("windows.fasta")] = Path(records.__path__[0], "windows.fasta")
    for name, path in found.items():
        with new_file(folder / name, overwrite=overwrite) as partial:
            shutil.copyfile(path, partial)
        typer.echo(folder / name)


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
