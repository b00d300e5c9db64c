"""Settings of fine-tuning: a task, its data, how the model is tuned, and TrainingArguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from transformers import TrainingArguments

from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.finetuning.adapters import ADAPTERS
from dnagpt_hf.presets import Recipe, get_preset, presets_of_sizes, vocabulary_size
from dnagpt_hf.tasks.builtin import builtin_task
from dnagpt_hf.tasks.task import Task
from dnagpt_hf.training.settings import (
    option,
    parse_dataclasses,
    recipe_arguments,
    stated_argument,
)

HEADS = ("language", "classification")
TRAINED = ("all", "head")
DUPLICATES = ("remove", "keep", "error")
Nested = dict[str, Any] | str | None


@dataclass
class TaskArguments:
    """What is asked, and where the records come from."""

    task: str | None = option(None, "A built-in task; what is stated beside it wins.")
    name: str | None = option(None, "Name of the task.")
    template: str | None = option(None, "As <R>{sequence}<=><B>{label}.")
    answers: Nested = option(None, "Label of each token, as {A: signal, N: none}.")
    positive: str | None = option(None, "Label that precision and recall are about.")
    sequences: Nested = option(None, "Part of each sequence: {COLUMN: {window, cut_out}}.")
    transforms: Nested = option(None, "Functions of numbers: {COLUMN: log10(x + 0.1)}.")
    standardize: bool = option(True, "Numbers enter and leave standardised.")
    data: Nested = option(None, "Where records come from, as the page on fine-tuning says.")
    split: str | None = option(None, "Sizes of training, validation and test part: [6, 1.5, 2.5].")
    split_seed: int = option(0, "Seed of the division into parts.")
    group: str | None = option(None, "Column whose values stay together, as the chromosome.")
    duplicates: str = option("remove", "remove, keep, or error: the same sequence twice.")
    truncation: str | None = option(None, "left or right end at which long sequences are cut.")


@dataclass
class TuningArguments:
    """Which model is tuned, and how."""

    model: str = option("dnagpt-tiny", "Folder, name of one that comes along, or Hub name.")
    from_scratch: bool = option(False, "New weights in place of those of the model.")
    head: str = option("language", "language or classification: how it answers.")
    pooling: str = option("mean", "mean or last: what a classification head reads.")
    trained: str = option("all", "all, or head: the rest stays as it is.")
    adapter: str | None = option(None, f"One of {', '.join(ADAPTERS)}: weights beside the model's.")
    lora: bool = option(False, "The same as --adapter lora.")
    adapter_rank: int = option(8, "Rank of the adapter's matrices.")
    merge: bool = option(False, "Write the model with the adapter merged into it.")
    class_weights: Nested = option(None, "balanced, or the weight of each label.")
    number_loss_weight: float | None = option(None, "λ of the loss; by default the model's.")
    seeds: str | None = option(None, "Several runs: [0, 1, 2]; their mean and deviation.")
    early_stopping: int | None = option(None, "Evaluations without gain after which it ends.")
    metric: str | None = option(None, "What the best checkpoint is chosen by, as mcc.")
    bootstrap: int = option(1000, "Draws for the intervals of the test metrics.")
    attention: str | None = option(None, "eager, sdpa, flex_attention or flash_attention_2.")


class FineTuningSettings(NamedTuple):
    """Everything that a run is told."""

    task: Task
    data: TaskArguments
    tuning: TuningArguments
    training: TrainingArguments
    folder: Path


# what holds for every fine-tuning, before a recipe, a file or the command line say otherwise
_DEFAULTS: dict[str, Any] = {
    "output_dir": "finetuned",
    "remove_unused_columns": False,
    "eval_strategy": "epoch",
    "save_strategy": "epoch",
    "save_total_limit": 1,
    "load_best_model_at_end": True,
    # a run that goes on counts the evaluations without gain before it, too
    "restore_callback_states_from_checkpoint": True,
    "logging_steps": 50,
    "per_device_eval_batch_size": 64,
    "dataloader_pin_memory": torch.cuda.is_available(),
    "report_to": "none",
}
# settings that a command line gives as YAML
_DATA_FIELDS = ("answers", "sequences", "transforms", "data", "split")
_TUNING_FIELDS = ("class_weights", "seeds")
_TASK_KEYS = ("name", "template", "answers", "positive", "sequences", "transforms")


def parse_finetuning_settings(
    arguments: Sequence[str],
    stated: Mapping[str, Any] | None = None,
    folder: Path = Path(),
) -> FineTuningSettings:
    """Settings from a command line, a YAML file, a built-in task and the recipe of the model.

    Args:
        arguments: `["--model", "dnagpt-m", "--learning_rate", "1e-5", …]`; they win.
        stated: the same names and their values, as they stand in a YAML file.
        folder: where relative paths of the data start from.

    Raises:
        ValueError: an unknown name or a value that cannot be; the message says which.
    """
    stated = dict(stated or {})
    name = stated_argument(arguments, "task") or stated.get("task")
    if name is not None:
        stated = {**builtin_task(str(name)), **stated}
    model = stated_argument(arguments, "model") or str(stated.get("model", TuningArguments.model))
    recipe = finetuning_recipe(model)
    data, tuning, training = parse_dataclasses(
        (TaskArguments, TuningArguments, TrainingArguments),
        arguments,
        stated,
        {**_DEFAULTS, **recipe_arguments(recipe)},
        description="Fine-tune a DNAGPT on a task.",
    )
    for owner, fields in ((data, _DATA_FIELDS), (tuning, _TUNING_FIELDS)):
        for field in fields:
            setattr(owner, field, _structured(field, getattr(owner, field)))
    if data.data is None:
        raise ValueError("no data are given: state where records come from (data: in YAML)")
    if tuning.lora:
        tuning.adapter = tuning.adapter or "lora"
    _check_choices(data, tuning)
    _check_numbers(data, tuning, training)
    content = {key: getattr(data, key) for key in _TASK_KEYS if getattr(data, key) is not None}
    task = Task.from_dict({**content, "metric": tuning.metric})
    if not task.is_answered:
        raise ValueError(
            f"template {task.template!r} has no column behind <=>, from which to learn: write it "
            "as <R>{sequence}<=><B>{label}"
        )
    return FineTuningSettings(task, data, tuning, training, folder)


def finetuning_recipe(model: str) -> Recipe:
    """The recipe of the preset with a model's sizes, that of DNAGPT-M where none has them.

    Raises:
        ValueError: there is no such model.
    """
    config = open_checkpoint(model).config
    dynamic = config.number_token_id == vocabulary_size(config.kmer_size, dynamic_kmer=True)
    names = presets_of_sizes(
        config.num_hidden_layers, config.hidden_size, config.kmer_size, dynamic
    )
    # DNAGPT-M and DNAGPT-S-512 differ in their positions alone
    short = config.max_position_embeddings <= 512 and "dnagpt-s-512" in names
    name = "dnagpt-s-512" if short else (names or ["dnagpt-m"])[0]
    return get_preset(name).finetuning


def _structured(name: str, value: Any) -> Any:
    """A mapping or list that a command line gives as YAML."""
    if not isinstance(value, str):
        return value
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ValueError(f"{name} is {value!r}, which is no YAML: {error}") from error


def _check_choices(data: TaskArguments, tuning: TuningArguments) -> None:
    choices: tuple[tuple[str, Any, Sequence[Any]], ...] = (
        ("head", tuning.head, HEADS),
        ("trained", tuning.trained, TRAINED),
        ("adapter", tuning.adapter, (None, *ADAPTERS)),
        ("pooling", tuning.pooling, ("mean", "last")),
        ("duplicates", data.duplicates, DUPLICATES),
        ("truncation", data.truncation, (None, "left", "right")),
    )
    for name, value, allowed in choices:
        if value not in allowed:
            names = ", ".join(str(one) for one in allowed if one is not None)
            raise ValueError(f"{name} is {value!r}: choose one of {names}")
    if tuning.merge and tuning.adapter is None:
        raise ValueError("merge is given, but no adapter to merge: state one (--lora)")
    if tuning.adapter is not None and tuning.trained == "head":
        raise ValueError("an adapter and trained: head exclude each other: leave one of them out")


def _check_numbers(data: Any, tuning: Any, training: TrainingArguments) -> None:
    for name, values, kinds in (("split", data.split, int | float), ("seeds", tuning.seeds, int)):
        if values is None:
            continue
        is_list = isinstance(values, list) and values
        if not is_list or not all(isinstance(value, kinds) for value in values):
            raise ValueError(f"{name} is {values!r}: give a list of numbers, such as [6, 2, 2]")
    if tuning.early_stopping is not None and tuning.early_stopping < 1:
        raise ValueError(f"early_stopping is {tuning.early_stopping}: give 1 or more evaluations")
    if tuning.early_stopping is not None and not training.load_best_model_at_end:
        raise ValueError(
            "early_stopping needs the best checkpoint: leave load_best_model_at_end as it is"
        )
    if training.metric_for_best_model not in (None, "loss"):
        raise ValueError("metric_for_best_model is called metric here: state that one")
