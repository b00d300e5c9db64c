"""Settings of pre-training: the model, its genomes, and TrainingArguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from transformers import TrainingArguments

from dnagpt_hf.presets import get_preset
from dnagpt_hf.pretraining.objectives import Flip
from dnagpt_hf.token_loss import TokenLoss
from dnagpt_hf.training.settings import (
    Nested,
    check_training_arguments,
    option,
    parse_dataclasses,
    recipe_arguments,
    stated_argument,
)
from dnagpt_hf.yaml_files import expanded

# for every pre-training, unless a recipe, a file or the command line state another value
_DEFAULTS: dict[str, Any] = {
    "output_dir": "pretrained",
    "remove_unused_columns": False,
    "prediction_loss_only": True,
    "logging_steps": 10,
    "report_to": "none",
}


_ORDER = "packed sequences are drawn in an order of their own"
_REFUSED = {"length_column_name": _ORDER, "train_sampling_strategy": _ORDER}


@dataclass
class ModelArguments:
    """The model that is trained."""

    preset: str = option("dnagpt-tiny", "Sizes and recipe: dnagpt-h, -m, -s-512, -b-512, -tiny.")
    model: str | None = option(None, "Checkpoint to go on from, instead of new weights.")
    config: Nested = option(
        None, "Fields of DNAGPTConfig that differ from the preset's, as a mapping (YAML or JSON)."
    )
    attention: str | None = option(None, "eager, sdpa, flex_attention or flash_attention_2.")
    token_loss: TokenLoss = option("auto", "Computation of the token loss; liger needs CUDA.")


@dataclass
class DataArguments:
    """The genomes that it is trained on."""

    genomes: str | None = option(None, "Manifest of genomes, or the name of a ready one.")
    cache_folder: str | None = option(None, "Where indexes and unpacked files are kept.")
    positions: int | None = option(None, "Context length; by default the model's.")
    rows_per_epoch: int | None = option(None, "By default as many as hold all bases once.")
    next_token: float = option(1.0, "Weight of plain sequences among the records.")
    gc_content: float = option(1.0, "Weight of segments with their GC content.")
    sequence_order: float = option(1.0, "Weight of windows that may be reversed.")
    flip: Flip = option("reverse", "Reversal of a window.")
    flip_probability: float = option(0.5, "Probability that a window is reversed.")
    both_strands: bool = option(True, "Read half of the windows from the other strand.")
    shortest_segment: int = option(60, "Bases in the shortest record.")
    max_n_fraction: float = option(0.05, "Windows with a larger fraction of N are dropped.")
    eval_rows: int = option(128, "Packed sequences per species in an evaluation.")
    check_genomes: bool = option(True, "Read all genomes once before training starts.")


class PretrainingSettings(NamedTuple):
    """All settings of a run."""

    model: ModelArguments
    data: DataArguments
    training: TrainingArguments


def parse_settings(
    arguments: Sequence[str], stated: Mapping[str, Any] | None = None
) -> PretrainingSettings:
    """Read settings from a command line, a YAML file and the preset's recipe.

    Args:
        arguments: `["--preset", "dnagpt-m", "--learning_rate", "1e-4", …]`; they win.
        stated: names and values, as a YAML file holds them.

    Raises:
        ValueError: a name is unknown or a value does not fit; the message names it.
    """
    arguments, stated = expanded(arguments), expanded(stated or {})
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
    if model.config is not None and not isinstance(model.config, dict):
        raise ValueError(
            f"config is {model.config!r}: write fields of DNAGPTConfig and their values, as "
            "{hidden_size: 256}"
        )
    if data.genomes is None:
        raise ValueError("no genomes are given: state a manifest (--genomes, or genomes: in YAML)")
    check_training_arguments(training, _REFUSED)
    return PretrainingSettings(model, data, training)
