"""Settings of a training: a command line, a YAML file, and defaults, in this order.

Every argument of `TrainingArguments` is a setting. Defaults are those of a recipe
(`dnagpt_hf.presets`), or else those of Transformers.
"""

from __future__ import annotations

import os
from argparse import ArgumentError
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field, fields
from pathlib import Path
from textwrap import indent
from typing import Any, Literal, get_args, get_origin, get_type_hints

import torch
from transformers import HfArgumentParser, TrainingArguments

from dnagpt_hf.messages import did_you_mean
from dnagpt_hf.presets import Recipe
from dnagpt_hf.yaml_files import expanded, parse_yaml, read_yaml

# a mapping or list of a YAML file, which a command line gives as text in YAML
Nested = dict[str, Any] | str | None


def option(default: Any, help: str) -> Any:
    """Make a field of a dataclass with the text of `--help`."""
    return field(default=default, metadata={"help": help})


# arguments that the losses, evaluations and data of this package do not carry out
REFUSED = {
    "bf16_full_eval": "an evaluation computes in the precision of training (bf16)",
    "fp16_full_eval": "an evaluation computes in the precision of training (fp16)",
    "label_smoothing_factor": "no loss of this package smooths labels",
    "liger_kernel_config": "liger-kernel knows no DNAGPT",
    "use_liger_kernel": "liger-kernel knows no DNAGPT; pre-training has token_loss: liger",
}


# numbers of records, of which Transformers does not refuse 0
_COUNTS = (
    "per_device_train_batch_size",
    "per_device_eval_batch_size",
    "gradient_accumulation_steps",
)


def check_training_arguments(
    training: TrainingArguments, refused: Mapping[str, str] = REFUSED
) -> None:
    """Refuse arguments of Transformers that would be passed over, or would train nothing.

    Args:
        training: the arguments.
        refused: the reason for each that must have its default.

    Raises:
        ValueError: one has a value that cannot be carried out; the message names it.
    """
    for one in fields(training):
        value = getattr(training, one.name)
        if one.name in refused and value != one.default:
            raise ValueError(f"{one.name} is {value!r}, but {refused[one.name]}: leave it out")
    for name in _COUNTS:
        if getattr(training, name) < 1:
            raise ValueError(f"{name} is {getattr(training, name)}: give 1 or more")
    # Transformers takes 0 for its default, the number of epochs
    if training.max_steps == 0:
        raise ValueError("max_steps is 0: give 1 or more, or leave it out")
    if training.max_steps < 0 and training.num_train_epochs <= 0:
        raise ValueError(f"num_train_epochs is {training.num_train_epochs}: give more than 0")


def parse_dataclasses(
    classes: tuple[Any, ...],
    arguments: Sequence[str],
    stated: Mapping[str, Any],
    defaults: Mapping[str, Any],
    description: str,
    text_keys: Collection[str] = (),
) -> tuple[Any, ...]:
    """Fill dataclasses from a command line, a file and defaults; the command line wins.

    Args:
        classes: dataclasses of settings; fields of the type `Nested` are parsed as YAML.
        arguments: the command line.
        stated: settings of the file.
        defaults: further defaults.
        description: text of `--help`.
        text_keys: keys in YAML below which every value is text.

    Raises:
        ValueError: a name is unknown or a value does not fit; the message names the setting.
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
            raise ValueError(f"unknown setting {name!r}{did_you_mean(name, known)}")
    parser.set_defaults(**{**defaults, **stated})
    try:
        *filled, unknown = parser.parse_args_into_dataclasses(
            list(arguments), look_for_args_file=False, return_remaining_strings=True
        )
    except ArgumentError as error:
        raise ValueError(str(error)) from error
    if unknown:
        name = unknown[0].lstrip("-").split("=")[0]
        raise ValueError(f"unknown argument {unknown[0]}{did_you_mean(name, known)}")
    for settings in filled:
        if isinstance(settings, TrainingArguments):
            check_training_arguments(settings)
        else:
            _check_values(settings, text_keys)
    return tuple(filled)


def _check_values(settings: Any, text_keys: Collection[str]) -> None:
    """Parse nested settings, and check choices of a file, which argparse takes for defaults."""
    for name, hint in get_type_hints(type(settings)).items():
        value = getattr(settings, name)
        if hint == Nested and isinstance(value, str):
            try:
                content = parse_yaml(f"{name}:\n{indent(value, '  ')}", text_keys)
            except ValueError as error:
                raise ValueError(f"{name} is {value!r}: {error}") from error
            setattr(settings, name, expanded(content[name]))
        for literal in (hint, *get_args(hint)):
            may_be = get_args(literal) if get_origin(literal) is Literal else (value,)
            if value not in may_be and not (value is None and literal is not hint):
                raise ValueError(f"{name} is {value!r}: choose one of {', '.join(may_be)}")


# names of settings in releases of Transformers before 5.24, and since
_RENAMED = {
    "gradient_checkpointing": "activation_checkpointing",
    "gradient_checkpointing_kwargs": "activation_checkpointing_kwargs",
}


def _as_installed(argument: str, known: Collection[str]) -> str:
    """Rename a setting, or `--setting=value`, as the installed Transformers calls it."""
    name = argument.lstrip("-").partition("=")[0]
    for names in _RENAMED.items():
        if name in names:
            chosen = names[1] if names[1] in known else names[0]
            return argument.replace(name, chosen, 1)
    return argument


def stated_settings(
    settings: str | Path | Mapping[str, Any] | None,
    overrides: Mapping[str, Any],
    text_keys: Collection[str] = (),
) -> tuple[dict[str, Any], Path]:
    """Read the settings that a Python function was given.

    Args:
        settings: path of a YAML file, or names and values.
        overrides: settings that win.
        text_keys: keys in YAML below which every value is text.

    Returns:
        Names and values, and the folder of relative paths.
    """
    stated, folder = {}, Path()
    if isinstance(settings, Mapping):
        stated = dict(settings)
    elif settings is not None:
        stated, folder = read_yaml(settings, text_keys), Path(settings).parent
    return {
        name: os.fspath(value) if isinstance(value, os.PathLike) else value
        for name, value in {**stated, **overrides}.items()
    }, folder


def recipe_arguments(recipe: Recipe) -> dict[str, Any]:
    """Translate a recipe into `TrainingArguments`.

    A warm-up in epochs becomes a fraction of all steps. float16 and bfloat16 need an accelerator;
    a processor computes in float32.

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
    """Find the value that a command line gives to an argument.

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
