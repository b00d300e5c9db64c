"""Settings of fine-tuning: a task, its data, the model, and TrainingArguments."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from transformers import TrainingArguments

from dnagpt_hf import tasks
from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.finetuning.model import Adapter
from dnagpt_hf.presets import PRESETS, Recipe, get_preset, presets_of_sizes
from dnagpt_hf.tasks.dataset import Duplicates
from dnagpt_hf.tasks.examples import Head
from dnagpt_hf.tasks.sources import TEXT_KEYS
from dnagpt_hf.tasks.task import Task
from dnagpt_hf.training.settings import (
    Nested,
    option,
    parse_dataclasses,
    recipe_arguments,
    stated_argument,
)
from dnagpt_hf.yaml_files import expanded, read_yaml


@dataclass
class TaskArguments:
    """The task, and the source of its records."""

    task: str | None = option(None, "A built-in task; settings stated beside it win.")
    name: str | None = option(None, "Name of the task.")
    template: str | None = option(None, "As <R>{sequence}<=><B>{label}.")
    answers: Nested = option(None, "Label of each token, as {A: signal, N: none}.")
    positive: str | None = option(None, "Label of the positive class in precision and recall.")
    sequences: Nested = option(None, "Part of each sequence: {COLUMN: {window, cut_out}}.")
    transforms: Nested = option(None, "Functions of numbers: {COLUMN: log10(x + 0.1)}.")
    views: Nested = option(
        None,
        "Ways to read each sequence: {phases: all, strands: both}. One at random in each epoch of "
        "training; evaluation and prediction average over all and take as many times longer.",
    )
    standardize: bool = option(True, "Numbers enter and leave standardized.")
    data: Nested = option(None, "Source of the records, as the page on fine-tuning says.")
    split: Nested = option(None, "Sizes of training, validation and test split: [6, 1.5, 2.5].")
    split_seed: int = option(0, "Seed of the random split.")
    group: str | None = option(None, "Column whose values stay together, as the chromosome.")
    duplicates: Duplicates = option("remove", "Records with the same sequence.")
    truncation: Literal["left", "right"] | None = option(None, "End at which sequences are cut.")


@dataclass
class TuningArguments:
    """The model that is tuned, and the way of tuning it."""

    model: str = option("dnagpt-tiny", "Folder, bundled name, or Hub name.")
    from_scratch: bool = option(False, "New weights in place of those of the model.")
    head: Head = option("language", "Answers in the token language, or a classification head.")
    pooling: Literal["mean", "last"] = option("mean", "Input of a classification head.")
    trained: Literal["all", "head"] = option("all", "Weights that are trained.")
    adapter: Adapter | None = option(None, "Weights beside those of the model.")
    lora: bool = option(False, "The same as --adapter lora.")
    adapter_rank: int = option(8, "Rank of the adapter's matrices.")
    merge: bool = option(False, "Write the model with the adapter merged into it.")
    class_weights: Nested = option(None, "balanced, or the weight of each label.")
    number_loss_weight: float | None = option(None, "λ of the loss; by default the model's.")
    seeds: Nested = option(None, "Several runs: [0, 1, 2]; their mean and deviation.")
    early_stopping: int | None = option(None, "Early-stopping patience, in evaluations.")
    metric: str | None = option(None, "Metric of the best checkpoint, as mcc.")
    bootstrap: int = option(1000, "Resamples for the intervals of the test metrics.")
    attention: str | None = option(None, "eager, sdpa, flex_attention or flash_attention_2.")


class FineTuningSettings(NamedTuple):
    """All settings of a run; `folder` is that of relative paths of the data."""

    task: Task
    data: TaskArguments
    tuning: TuningArguments
    training: TrainingArguments
    folder: Path


BUILTIN_TASKS = Path(tasks.__path__[0]) / "builtin_tasks"
# for every fine-tuning, unless a recipe, a file or the command line state another value
DEFAULTS: dict[str, Any] = {
    "output_dir": "finetuned",
    "remove_unused_columns": False,
    "eval_strategy": "epoch",
    "save_strategy": "epoch",
    "save_total_limit": 1,
    "load_best_model_at_end": True,
    # a resumed run keeps its count of evaluations without gain
    "restore_callback_states_from_checkpoint": True,
    "logging_steps": 50,
    "per_device_eval_batch_size": 64,
    "dataloader_pin_memory": torch.cuda.is_available(),
    "report_to": "none",
}
_TASK_KEYS = ("name", "template", "answers", "positive", "sequences", "transforms", "views")


def parse_finetuning_settings(
    arguments: Sequence[str],
    stated: Mapping[str, Any] | None = None,
    folder: Path = Path(),
) -> FineTuningSettings:
    """Read settings from a command line, a YAML file, a built-in task and the model's recipe.

    Args:
        arguments: `["--model", "dnagpt-m", "--learning_rate", "1e-5", …]`; they win.
        stated: names and values, as a YAML file holds them.
        folder: the folder of relative paths of the data.

    Raises:
        ValueError: a name is unknown or a value does not fit; the message names it.
    """
    arguments, stated = expanded(arguments), expanded(stated or {})
    name = stated_argument(arguments, "task") or stated.get("task")
    if name is not None:
        stated = {**builtin_task(str(name)), **stated}
    model = stated_argument(arguments, "model") or str(stated.get("model", TuningArguments.model))
    data, tuning, training = parse_dataclasses(
        (TaskArguments, TuningArguments, TrainingArguments),
        arguments,
        stated,
        {**DEFAULTS, **recipe_arguments(finetuning_recipe(model))},
        description="Fine-tune a DNAGPT on a task.",
        text_keys=TEXT_KEYS,
    )
    if tuning.lora:
        tuning.adapter = tuning.adapter or "lora"
    _check(data, tuning, training)
    content = {key: getattr(data, key) for key in _TASK_KEYS if getattr(data, key) is not None}
    if "template" not in content:
        raise ValueError("a task has no template: write one as <R>{sequence}<=><B>{label}")
    task = Task.from_dict({**content, "metric": tuning.metric})
    if not task.is_answered:
        raise ValueError(
            f"template {task.template!r} has no column behind <=>, from which to learn: write it "
            "as <R>{sequence}<=><B>{label}"
        )
    return FineTuningSettings(task, data, tuning, training, folder)


def builtin_task(name: str) -> dict[str, Any]:
    """Read the settings of a task that comes with this package.

    Raises:
        ValueError: there is no such task; the message lists those that exist.
    """
    known = {path.stem: path for path in sorted(BUILTIN_TASKS.glob("*.yaml"))}
    if name not in known:
        raise ValueError(f"unknown task {name!r}: choose one of {', '.join(known)}")
    return read_yaml(known[name])


def finetuning_recipe(model: str) -> Recipe:
    """Find the recipe of the preset with a model's sizes, or with the nearest width.

    Raises:
        ValueError: there is no such model.
    """
    config = open_checkpoint(model).config
    names = presets_of_sizes(config)
    # DNAGPT-M and DNAGPT-S-512 differ in their positions alone
    short = config.max_position_embeddings <= 512 and "dnagpt-s-512" in names
    if short:
        return get_preset("dnagpt-s-512").finetuning
    nearest = sorted(
        PRESETS, key=lambda name: abs(math.log(PRESETS[name].hidden_size / config.hidden_size))
    )
    return get_preset((names or nearest)[0]).finetuning


def _check(data: TaskArguments, tuning: TuningArguments, training: TrainingArguments) -> None:
    if data.data is None:
        raise ValueError("no data are given: state their source (data: in YAML)")
    if tuning.merge and tuning.adapter is None:
        raise ValueError("merge is given, but no adapter to merge: state one (--lora)")
    if tuning.adapter is not None and tuning.trained == "head":
        raise ValueError("an adapter and trained: head exclude each other: leave one of them out")
    for name, values, kinds in (("split", data.split, int | float), ("seeds", tuning.seeds, int)):
        is_list = isinstance(values, list) and values
        if values is not None and not (is_list and all(isinstance(one, kinds) for one in values)):
            raise ValueError(f"{name} is {values!r}: give a list of numbers, such as [6, 2, 2]")
    if tuning.seeds is not None and len(set(tuning.seeds)) < len(tuning.seeds):
        raise ValueError(f"seeds is {tuning.seeds}: state each seed once, as its runs are the same")
    if tuning.early_stopping is not None and tuning.early_stopping < 1:
        raise ValueError(f"early_stopping is {tuning.early_stopping}: give 1 or more evaluations")
    if tuning.early_stopping is not None and not training.load_best_model_at_end:
        raise ValueError(
            "early_stopping needs the best checkpoint: leave load_best_model_at_end as it is"
        )
    if tuning.from_scratch and tuning.adapter is not None and not tuning.merge:
        raise ValueError(
            "an adapter alone needs the weights of its base: leave from_scratch out, or add merge"
        )
    if training.metric_for_best_model not in (None, "loss"):
        raise ValueError("metric_for_best_model is called metric here: state that one")
    if training.remove_unused_columns:
        raise ValueError("remove_unused_columns would remove the targets: leave it out")
    if training.greater_is_better:
        raise ValueError("greater_is_better follows from the metric: leave it out")
