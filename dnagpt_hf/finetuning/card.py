"""The model card of a fine-tuned model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub import EvalResult

from dnagpt_hf.checkpoints.bundled import is_hub_name
from dnagpt_hf.checkpoints.card import describe_settings, write_card
from dnagpt_hf.checkpoints.card_metadata import evaluation_results
from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
from dnagpt_hf.evaluation.report import metrics_table
from dnagpt_hf.finetuning.settings import FineTuningSettings
from dnagpt_hf.tasks.dataset import TaskData
from dnagpt_hf.tasks.sources import dataset_names


def write_finetuning_card(
    settings: FineTuningSettings,
    config: DNAGPTConfig,
    data: TaskData,
    split: str,
    content: Mapping[str, Any],
) -> None:
    """Write the card of a model that was tuned on a task, with a `model-index` of its figures.

    Args:
        settings: of the run.
        config: of the model.
        data: the task and its examples.
        split: the split that was measured.
        content: its metrics, as `Evaluation.write` gives them.
    """
    tuning: Any = settings.tuning
    training: Any = settings.training
    source = None if tuning.from_scratch else tuning.model
    facts = {
        "task": data.task.as_dict(),
        "model": tuning.model,
        "from scratch": tuning.from_scratch,
        "head": tuning.head,
        "adapter": tuning.adapter,
        "epochs": training.num_train_epochs,
        "learning rate": training.learning_rate,
        "batch size": training.train_batch_size,
        "seed": training.seed,
        "records": {name: one["records"] for name, one in data.report["parts"].items()},
    }
    datasets = dataset_names(settings.data.data)
    write_card(
        training.output_dir,
        config,
        summary="A DNAGPT model that was tuned for one task.",
        origin=f"Fine-tuned from `{tuning.model}` with `dnagpt finetune`."
        if source
        else f"Trained from new weights of the sizes of `{tuning.model}` with `dnagpt finetune`.",
        training=describe_settings(facts),
        results=f"On the {split} split of the data:\n\n{metrics_table(content)}\n\n"
        "Not measured: other data, other species, and other frequencies of the answers.",
        measured=_measured(data, datasets, split, content["metrics"]),
        classifies=tuning.head == "classification",
        base_model=source,
        datasets=datasets,
    )


def _measured(
    data: TaskData, datasets: Sequence[str], split: str, metrics: Mapping[str, float]
) -> list[EvalResult]:
    named = [name for name in datasets if is_hub_name(name)]
    only_numbers = all(answer.is_number for answer in data.task.answer_list)
    return evaluation_results(
        metrics,
        data.task.name,
        task="other" if only_numbers else "text-classification",
        task_name=data.task.template,
        dataset_type=named[0] if len(named) == 1 else "custom",
        split=split,
    )
