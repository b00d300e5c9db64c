"""Settings of a pre-training run: what a command line or a YAML file may state.

Every argument of `TrainingArguments` is one of them. What is not stated comes from the recipe of
the preset (`dnagpt_hf.presets`), and what that does not state from Transformers.
"""

from __future__ import annotations

import difflib
from argparse import ArgumentError
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import HfArgumentParser

from dnagpt_hf.presets import Recipe


def option(default: Any, help: str) -> Any:
    """A field of a dataclass with the text of `--help`."""
    return field(default=default, metadata={"help": help})


def parse_dataclasses(
    classes: tuple[Any, ...],
    arguments: Sequence[str],
    stated: Mapping[str, Any],
    defaults: Mapping[str, Any],
    description: str,
) -> tuple[Any, ...]:
    """Dataclasses filled from a command line, which wins, a file and defaults.

    Raises:
        ValueError: an unknown name or a value that cannot be; the message says which.
    """
    parser = HfArgumentParser(
        classes,
        exit_on_error=False,
        allow_abbrev=False,
        description=description,
    )
    known = {action.dest for action in parser._actions}
    stated = {_as_installed(name, known): value for name, value in stated.items()}
    arguments = [_as_installed(argument, known) for argument in arguments]
    for name in stated:
        if name not in known:
            raise ValueError(f"unknown setting {name!r}{_similar(name, known)}")
    parser.set_defaults(**{**defaults, **stated})
    try:
        *filled, unknown = parser.parse_args_into_dataclasses(
            list(arguments), look_for_args_file=False, return_remaining_strings=True
        )
    except ArgumentError as error:
        raise ValueError(str(error)) from error
    if unknown:
        name = unknown[0].lstrip("-").split("=")[0]
        raise ValueError(f"unknown argument {unknown[0]}{_similar(name, known)}")
    return tuple(filled)


# names of settings in releases of Transformers before 5.24, and since
_RENAMED = {
    "gradient_checkpointing": "activation_checkpointing",
    "gradient_checkpointing_kwargs": "activation_checkpointing_kwargs",
}


def _as_installed(argument: str, known: Collection[str]) -> str:
    """A setting, or `--setting=value`, by the name that the installed Transformers has for it."""
    name = argument.lstrip("-").partition("=")[0]
    for names in _RENAMED.items():
        if name in names:
            chosen = names[1] if names[1] in known else names[0]
            return argument.replace(name, chosen, 1)
    return argument


def read_yaml(path: Path) -> dict[str, Any]:
    """Names and values of a YAML file; paths in it are relative to where the command runs.

    Raises:
        ValueError: the file is missing or holds no mapping.
    """
    try:
        stated = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    # a date that does not exist, bytes that are no text, and brackets in brackets in brackets
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(stated, dict):
        raise ValueError(f"{path}: expected settings, one `name: value` on a line")
    return stated


def recipe_arguments(recipe: Recipe) -> dict[str, Any]:
    """A recipe in the words of `TrainingArguments`.

    A warm-up in epochs becomes a fraction of all steps. float16 and bfloat16 are asked for where
    there is an accelerator; a processor computes in float32.

    Example:

        >>> from dnagpt_hf.presets import get_preset
        >>> recipe_arguments(get_preset("dnagpt-m").pretraining)["warmup_steps"]
        0.1
    """
    warmup: float = recipe.warmup_steps or 0
    if recipe.warmup_epochs is not None:
        warmup = recipe.warmup_epochs / recipe.epochs
    arguments: dict[str, Any] = {
        "num_train_epochs": recipe.epochs,
        "learning_rate": recipe.learning_rate,
        "warmup_steps": warmup,
        "lr_scheduler_type": recipe.scheduler,
        "gradient_accumulation_steps": recipe.gradient_accumulation_steps,
        "adam_beta1": recipe.betas[0],
        "adam_beta2": recipe.betas[1],
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
    }
    if recipe.batch_size is not None:
        arguments["per_device_train_batch_size"] = recipe.batch_size
    if torch.cuda.is_available():
        arguments["fp16"] = recipe.precision == "float16"
        arguments["bf16"] = recipe.precision == "bfloat16"
    return arguments


def stated_argument(arguments: Sequence[str], name: str) -> str | None:
    """The value that a command line gives to an argument.

    Example:

        >>> stated_argument(["--preset", "dnagpt-m"], "preset")
        'dnagpt-m'
    """
    for index, argument in enumerate(arguments):
        if argument.startswith(f"--{name}="):
            return argument.partition("=")[2]
        if argument == f"--{name}" and index + 1 < len(arguments):
            return arguments[index + 1]
    return None


def _similar(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=3)
    return f": did you mean {' or '.join(close)}?" if close else ""
