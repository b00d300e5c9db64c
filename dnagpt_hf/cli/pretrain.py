"""`dnagpt pretrain`: pre-training from a YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True}


def pretrain(
    context: typer.Context,
    config: Annotated[
        Path,
        typer.Argument(
            metavar="CONFIG.yaml", help="Settings: preset, genomes, and any of TrainingArguments."
        ),
    ],
) -> None:
    """Pre-train a model on genomes.

    Options override the file, as --learning_rate 1e-4. A run that was stopped goes on when the same
    command is given again. With several processes, start it by torchrun or accelerate launch:
    torchrun --nproc-per-node 8 -m dnagpt_hf.cli pretrain CONFIG.yaml
    """
    from dnagpt_hf.pretraining.settings import parse_settings
    from dnagpt_hf.yaml_files import read_yaml

    settings = parse_settings(context.args, read_yaml(config))
    from dnagpt_hf.pretraining import run

    trained = run.pretrain(settings)
    if settings.training.should_save:
        typer.echo(f"{trained.folder}: trained for {trained.steps:,} steps")
