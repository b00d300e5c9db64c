"""Settings of a pre-training run: what a command line or a YAML file may state.

Every argument of `TrainingArguments` is one of them. What is not stated comes from the recipe of
the preset (`dnagpt_hf.presets`), and what that does not state from Transformers.
"""

from __future__ import annotations

import difflib
from argparse import ArgumentError
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from transformers import HfArgumentParser, TrainingArguments

from dnagpt_hf.presets import Recipe, get_preset


def option(default: Any, help: str) -> Any:
    """A field of a dataclass with the text of `--help`."""
    return field(default=default, metadata={"help": help})


@dataclass
class ModelArguments:
    """Which model is trained."""

    preset: str = option("dnagpt-tiny", "Sizes and recipe: dnagpt-h, -m, -s-512, -b-512, -tiny.")
    model: str | None = option(None, "Checkpoint to go on from, instead of new weights.")
    config: dict[str, Any] | str | None = option(
        None, "Fields of DNAGPTConfig that differ from the preset's, as a mapping (YAML or JSON)."
    )
    attention: str | None = option(
        None, "eager, sdpa, flex_attention or flash_attention_2; by default what there is."
    )
    token_loss: str = option("auto", "auto, chunked, or liger (its kernel for CUDA).")


@dataclass
class DataArguments:
    """What it is trained on."""

    genomes: str | None = option(None, "Manifest of genomes, or the name of a ready one.")
    cache_folder: str | None = option(None, "Where indexes and unpacked files are kept.")
    positions: int | None = option(None, "Tokens in a row; by default the model's positions.")
    rows_per_epoch: int | None = option(None, "By default as many as hold all bases once.")
    next_token: float = option(1.0, "Weight of plain sequences among the records.")
    gc_content: float = option(1.0, "Weight of segments with their GC content.")
    sequence_order: float = option(1.0, "Weight of windows that may be reversed.")
    flip: str = option("reverse", "What reversing does: reverse or reverse_complement.")
    flip_probability: float = option(0.5, "How often a window is reversed.")
    both_strands: bool = option(True, "Read every second window from the other strand.")
    shortest_segment: int = option(60, "Bases in the shortest record.")
    max_n_fraction: float = option(0.05, "Windows with a larger fraction of N are dropped.")
    eval_rows: int = option(128, "Rows of held-out sequence per species in an evaluation.")
    check_genomes: bool = option(True, "Read all genomes once before training starts.")


class PretrainingSettings(NamedTuple):
    """Everything that a run is told."""

    model: ModelArguments
    data: DataArguments
    training: TrainingArguments


def parse_settings(
    arguments: Sequence[str], stated: Mapping[str, Any] | None = None
) -> PretrainingSettings:
    """Settings from the arguments of a command line, a YAML file and the preset's recipe.

    Args:
        arguments: `["--preset", "dnagpt-m", "--learning_rate", "1e-4", …]`; they win.
        stated: the same names and their values, as they stand in a YAML file.

    Raises:
        ValueError: an unknown name or a value that cannot be; the message says which.
    """
    stated = dict(stated or {})
    preset = stated_argument(arguments, "preset") or str(
        stated.get("preset", ModelArguments.preset)
    )
    defaults = {**_DEFAULTS, **recipe_arguments(get_preset(preset).pretraining)}
    model, data, training = parse_dataclasses(
        (ModelArguments, DataArguments, TrainingArguments),
        arguments,
        stated,
        defaults,
        description="Pre-train a DNAGPT on genomes.",
    )
    model.config = _mapping(model.config)
    if data.genomes is None:
        raise ValueError("no genomes are given: state a manifest (--genomes, or genomes: in YAML)")
    return PretrainingSettings(model, data, training)


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


# what holds for every pre-training, before a recipe, a file or the command line say otherwise
_DEFAULTS: dict[str, Any] = {
    "output_dir": "pretrained",
    "remove_unused_columns": False,
    "prediction_loss_only": True,
    "logging_steps": 10,
    "report_to": "none",
}


def recipe_arguments(recipe: Recipe) -> dict[str, Any]:
    """A recipe in the words of `TrainingArguments`.

    A warm-up in epochs becomes a fraction of all steps. float16 and bfloat16 are asked for where
    there is an accelerator; a processor computes in float32.

    Example:

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


def _mapping(value: Any) -> dict[str, Any] | None:
    try:
        content = yaml.safe_load(value) if isinstance(value, str) else value
    except yaml.YAMLError:
        content = value
    if content is not None and not isinstance(content, dict):
        raise ValueError(
            f"config is {value!r}: write fields of DNAGPTConfig and their values, as "
            "{hidden_size: 256}"
        )
    return content


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
