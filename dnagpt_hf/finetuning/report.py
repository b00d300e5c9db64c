"""The data report and the model card of a fine-tuned model."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from transformers import TrainerState

from dnagpt_hf.atomic_files import write_json
from dnagpt_hf.checkpoints.bundled import is_hub_name
from dnagpt_hf.checkpoints.card import (
    describe_settings,
    evaluation_results,
    public_name,
    steps_taken,
    write_card,
)
from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
from dnagpt_hf.evaluation.report import metrics_table
from dnagpt_hf.finetuning.settings import FineTuningSettings, TaskArguments
from dnagpt_hf.tasks.dataset import TaskData
from dnagpt_hf.tasks.sources import TEXT_KEYS, dataset_names
from dnagpt_hf.tasks.training_overlap import TrainingOverlap

logger = logging.getLogger(__name__)

DATA_REPORT = "data.json"

# settings of a source whose values are text, though they may look like names of files
_NOT_FILES = (*TEXT_KEYS, "name", "splits", "revision", "feature", "target", "id")
_SPLIT_SETTINGS = ("split", "split_seed", "group", "duplicates")


def write_data_report(folder: Path, arguments: TaskArguments, data: TaskData) -> None:
    """Write `data.json`, and the hashes of the training split.

    The report has counts, the source of the records, and the settings of their splits.
    """
    settings = {name: getattr(arguments, name) for name in _SPLIT_SETTINGS}
    source = public_source(arguments.data)
    write_json(folder / DATA_REPORT, {**data.report, "data": source, "division": settings})
    TrainingOverlap.save(folder, data.splits["train"])


def public_source(data: Any, key: str = "") -> Any:
    """Name the files of the entry `data:` of a task without the folders of this machine.

    Example:

        >>> public_source({"train": {"files": "/data/a.csv", "set": {"label": "5'/3'"}}})
        {'train': {'files': 'a.csv', 'set': {'label': "5'/3'"}}}
        >>> public_source([{"dataset": "ORG/promoters"}])
        [{'dataset': 'ORG/promoters'}]
    """
    if isinstance(data, Mapping):
        return {name: public_source(value, name) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [public_source(value, key) for value in data]
    if not isinstance(data, str) or key in _NOT_FILES:
        return data
    return public_name(data) if key == "dataset" else PurePath(data).name or data


def read_data_report(folder: Path) -> Mapping[str, Any]:
    """Read `data.json` of a checkpoint folder; it is empty where there is none.

    Raises:
        ValueError: the file is damaged.
    """
    path = folder / DATA_REPORT
    if not path.is_file():
        return {}
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): remove it") from error
    return report if isinstance(report, dict) else {}


def with_splits_of(arguments: TaskArguments, report: Mapping[str, Any]) -> TaskArguments:
    """Restore the settings of the splits that a model was trained with, for the same data.

    Args:
        arguments: settings of a file.
        report: the report of the model's training.

    Example:

        >>> report = {"data": {"files": "a.csv"}, "division": {"split_seed": 7}}
        >>> with_splits_of(TaskArguments(data={"files": "a.csv"}), report).split_seed
        7
        >>> with_splits_of(TaskArguments(data={"files": "b.csv"}), report).split_seed
        0
    """
    settings = report.get("division", {})
    if not settings or report.get("data") != public_source(arguments.data):
        return arguments
    changed = {name: value for name, value in settings.items() if getattr(arguments, name) != value}
    if changed:
        logger.warning(
            "the records are split as in training: %s",
            ", ".join(f"{name} is {value!r}" for name, value in changed.items()),
        )
    return replace(arguments, **changed)


def check_same_records(report: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    """Refuse data that have changed since the training, so that no trained record is tested.

    Args:
        report: the report of the training.
        now: the report of the present data.
        path: the file that names the data, for the message.

    Raises:
        ValueError: splits have other counts of records than in training.
    """
    before, after = (
        ", ".join(f"{split} {one['records']:,}" for split, one in counts.get("parts", {}).items())
        for counts in (report, now)
    )
    if before and before != after:
        raise ValueError(
            f"{path}: the data have changed since the training ({before} records then, {after} "
            "now), so that the test split may hold records that were trained on: evaluate on a "
            "file of records of its own"
        )


def _describe_views(data: TaskData) -> str:
    """Say in which views a model was trained and answers, and what that costs."""
    views = data.splits["train"].num_views
    if views == 1:
        return ""
    parts = ["all phases of the k-mers"] * (data.task.views.phases == "all")
    parts += ["both strands"] * (data.task.views.strands == "both")
    return (
        f"\n\nEach record was shown in one random view in each epoch, and answers are means over "
        f"{views} views: {' and '.join(parts)}. A prediction is {views} times the work of one "
        'view, for which `--views first` or `views="first"` asks.'
    )


def write_finetuning_card(
    settings: FineTuningSettings,
    config: DNAGPTConfig,
    data: TaskData,
    state: TrainerState,
    split: str,
    content: Mapping[str, Any],
) -> None:
    """Write the card of a model that was tuned on a task, with a `model-index` of its figures.

    Args:
        settings: of the run.
        config: of the model.
        data: the task and its examples.
        state: of the training at its end.
        split: the split that was measured.
        content: its metrics, as `Evaluation.write` gives them.
    """
    tuning: Any = settings.tuning
    training: Any = settings.training
    task, answers = data.task, data.task.answer_list
    source = public_name(tuning.model)
    facts = {
        "task": task.as_dict(),
        "model": source,
        "from scratch": tuning.from_scratch,
        "head": tuning.head,
        "adapter": tuning.adapter,
        **steps_taken(state),
        "learning rate": training.learning_rate,
        "batch size": training.train_batch_size,
        "seed": training.seed,
        "records": {name: one["records"] for name, one in data.report["parts"].items()},
    }
    datasets = dataset_names(settings.data.data)
    named = [name for name in datasets if is_hub_name(name)]
    numbers_alone = all(answer.is_number for answer in answers)
    write_card(
        training.output_dir,
        config,
        summary="A DNAGPT model that was tuned for one task.",
        origin=f"Trained from new weights of the sizes of `{source}` with `dnagpt finetune`."
        if tuning.from_scratch
        else f"Fine-tuned from `{source}` with `dnagpt finetune`.",
        training=describe_settings(facts) + _describe_views(data),
        results=f"On the {split} split of the data:\n\n{metrics_table(content)}\n\n"
        "Not measured: other data, other species, and other frequencies of the answers.",
        measured=evaluation_results(
            content["metrics"],
            task.name,
            task="other" if numbers_alone else "text-classification",
            task_name=f"{'regression' if numbers_alone else 'classification'} of DNA: "
            f"{', '.join(answer.column for answer in answers)}",
            dataset_type=named[0] if len(named) == 1 else "custom",
            split=split,
        ),
        classifies=tuning.head == "classification",
        base_model=None if tuning.from_scratch else tuning.model,
        datasets=datasets,
    )
