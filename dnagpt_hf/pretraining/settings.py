"""Settings of a pre-training run: a command line or a YAML file states them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml
from transformers import TrainingArguments

from dnagpt_hf.presets import get_preset
from dnagpt_hf.training.settings import option, parse_dataclasses, recipe_arguments, stated_argument

# what holds for every pre-training, before a recipe, a file or the command line say otherwise
_DEFAULTS: dict[str, Any] = {
    "output_dir": "pretrained",
    "remove_unused_columns": False,
    "prediction_loss_only": True,
    "logging_steps": 10,
    "report_to": "none",
}


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
