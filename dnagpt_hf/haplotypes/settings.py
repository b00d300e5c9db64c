"""Settings of training on haplotypes: the data, the model, and TrainingArguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from transformers import TrainingArguments

from dnagpt_hf.finetuning.settings import finetuning_recipe
from dnagpt_hf.haplotypes.files.options import ReadingOptions
from dnagpt_hf.presets import PRESETS, get_preset
from dnagpt_hf.training.settings import (
    Nested,
    option,
    parse_dataclasses,
    recipe_arguments,
    stated_argument,
)
from dnagpt_hf.yaml_files import expanded


@dataclass
class HaplotypeArguments(ReadingOptions):
    """Haplotypes and their splits; populations of a table become prompts."""

    haplotypes: str | None = option(None, "Phased haplotypes: .hapt, .vcf.gz, .bcf, .npz or .npy.")
    test: str | None = option(None, "Test split: a file, or a share of the samples, as 0.2.")
    only_populations: list[str] | None = option(None, "Train on these populations only.")
    validation: float = option(0.05, "Share of the other samples in the validation split.")
    split_seed: int = option(0, "Seed of the random splits.")


@dataclass
class HaplotypeModelArguments:
    """The model to train."""

    model: str = option("dnagpt-tiny", "Checkpoint folder, bundled model, or name on the Hub.")
    from_scratch: bool = option(False, "New weights; --model may then be a preset as dnagpt-m.")
    config: Nested = option(
        None, "With new weights: other fields of DNAGPTConfig, as {kmer_size: 6}."
    )
    attention: str | None = option(None, "eager, sdpa, flex_attention or flash_attention_2.")
    early_stopping: int | None = option(None, "Early-stopping patience, in evaluations.")


class HaplotypeSettings(NamedTuple):
    """All settings of a run."""

    data: HaplotypeArguments
    model: HaplotypeModelArguments
    training: TrainingArguments


# defaults of every run, overridden by a recipe and the command line
_DEFAULTS: dict[str, Any] = {
    "output_dir": "haplotypes",
    "remove_unused_columns": False,
    "eval_strategy": "epoch",
    "save_strategy": "epoch",
    "save_total_limit": 1,
    "load_best_model_at_end": True,
    "metric_for_best_model": "bits_per_site",
    "greater_is_better": False,
    "logging_steps": 50,
    "per_device_eval_batch_size": 32,
    "dataloader_pin_memory": torch.cuda.is_available(),
    "report_to": "none",
}


def parse_haplotype_settings(
    arguments: Sequence[str] = (), stated: Mapping[str, Any] | None = None
) -> HaplotypeSettings:
    """Read settings from a command line, from names and values, and from the model's recipe.

    Args:
        arguments: `["--haplotypes", "real.hapt", "--model", "dnagpt-tiny", …]`; they override
            `stated`.
        stated: settings by name, such as `{"haplotypes": "real.hapt", "from_scratch": True}`.

    Raises:
        ValueError: a name is unknown or a value does not fit; the message names the setting.
    """
    arguments, stated = expanded(arguments), expanded(stated or {})
    name = stated_argument(arguments, "model") or stated.get("model", HaplotypeModelArguments.model)
    from_scratch = "--from_scratch" in arguments or bool(stated.get("from_scratch"))
    data, model, training = parse_dataclasses(
        (HaplotypeArguments, HaplotypeModelArguments, TrainingArguments),
        arguments,
        stated,
        {**_DEFAULTS, **_recipe(name, from_scratch)},
        description="Train a DNAGPT to write haplotypes.",
    )
    if model.config is not None and not isinstance(model.config, dict):
        raise ValueError(f"config is {model.config!r}: write fields as {{hidden_size: 256}}")
    if model.config and not model.from_scratch:
        raise ValueError(
            "config changes the sizes of a model, which needs new weights: add --from_scratch"
        )
    if data.haplotypes is None:
        raise ValueError("no haplotypes are given: state a file")
    return HaplotypeSettings(data, model, training)


def _recipe(model: str, from_scratch: bool) -> dict[str, Any]:
    if not (from_scratch and model in PRESETS):
        return recipe_arguments(finetuning_recipe(model))
    preset = get_preset(model)
    # new weights need larger steps than pre-trained ones
    return {
        **recipe_arguments(preset.finetuning),
        "learning_rate": preset.pretraining.learning_rate,
    }
