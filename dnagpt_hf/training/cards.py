"""Model cards of what was trained here: what it was made from, how, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult

from dnagpt_hf.analysis.evaluation_report import metrics_table
from dnagpt_hf.bundled_checkpoints import resolve_checkpoint
from dnagpt_hf.card_metadata import CARD, evaluation_results, is_hub_name, is_noncommercial
from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
from dnagpt_hf.data.hub_datasets import dataset_names
from dnagpt_hf.model_card import describe_settings, render_model_card
from dnagpt_hf.tasks.dataset import TaskData
from dnagpt_hf.training.arguments import PretrainingSettings
from dnagpt_hf.training.finetuning_arguments import FineTuningSettings
from dnagpt_hf.training.haplotype_arguments import HaplotypeSettings


def write_pretraining_card(
    settings: PretrainingSettings,
    config: DNAGPTConfig,
    steps: int,
    history: Sequence[Mapping[str, Any]],
) -> None:
    """Write the card of a pre-trained model, with the last figures of held-out rows.

    Args:
        settings: of the run.
        config: of the model.
        steps: steps that were made.
        history: what the trainer logged.
    """
    source = settings.model.model
    figures = {
        name: value
        for entry in history
        for name, value in entry.items()
        if name.startswith("eval_") and "runtime" not in name and "per_second" not in name
    }
    facts = {
        "preset": settings.model.preset if source is None else None,
        "model": source,
        "genomes": settings.data.genomes,
        "steps": steps,
    }
    _write(
        settings.training.output_dir,
        config,
        summary="A DNAGPT model, pre-trained on genomes.",
        origin="Pre-trained with `dnagpt pretrain`.",
        released=_released(source),
        training=describe_settings(facts),
        results=_held_out(figures),
        base_model=source,
    )


def write_finetuning_card(
    settings: FineTuningSettings,
    config: DNAGPTConfig,
    data: TaskData,
    part: str,
    content: Mapping[str, Any],
) -> None:
    """Write the card of a model that was tuned on a task, with a `model-index` of its figures.

    Args:
        settings: of the run.
        config: of the model.
        data: the task and its examples.
        part: part of the data that was measured.
        content: what `Evaluation.write` gave of it.
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
    _write(
        training.output_dir,
        config,
        summary="A DNAGPT model that was tuned for one task.",
        origin=f"Fine-tuned from `{tuning.model}` with `dnagpt finetune`."
        if source
        else f"Trained from new weights of the sizes of `{tuning.model}` with `dnagpt finetune`.",
        released=_released(source),
        training=describe_settings(facts),
        results=f"On the {part} part of the data:\n\n{metrics_table(content)}\n\n"
        "Not measured: other data, other species, and other frequencies of the answers.",
        measured=_measured(data, datasets, part, content["metrics"]),
        classifies=tuning.head == "classification",
        base_model=source,
        datasets=datasets,
    )


def write_haplotype_card(
    settings: HaplotypeSettings, config: DNAGPTConfig, results: Mapping[str, Any]
) -> None:
    """Write the card of a model that was trained on haplotypes.

    Args:
        settings: of the run.
        config: of the model.
        results: figures of each part that was measured.
    """
    training: Any = settings.training
    source = None if settings.model.from_scratch else settings.model.model
    facts = {
        "haplotypes": config.haplotypes,
        "model": settings.model.model,
        "from scratch": settings.model.from_scratch,
        "epochs": training.num_train_epochs,
        "learning rate": training.learning_rate,
        "batch size": training.train_batch_size,
        "seed": training.seed,
    }
    _write(
        training.output_dir,
        config,
        summary="A DNAGPT model that writes haplotypes of one set of sites.",
        origin="Trained on haplotypes with `examples/finetune_haplotypes.py`, from "
        f"{'' if source else 'new weights of the sizes of '}`{settings.model.model}`.",
        released=_released(source),
        training=describe_settings(facts),
        results=f"{_parts_table(results)}\n\nNot measured: other populations and other sites.",
        base_model=source,
    )


def _write(folder: str | None, config: DNAGPTConfig, **card: Any) -> None:
    path = Path(str(folder))
    text = render_model_card(path.resolve().name, config, **card)
    (path / CARD).write_text(text, encoding="utf-8")


def _released(source: str | None) -> bool | None:
    """Whether weights were made from those of the authors; new ones were not."""
    return False if source is None else is_noncommercial(resolve_checkpoint(source))


def _measured(
    data: TaskData, datasets: Sequence[str], part: str, metrics: Mapping[str, float]
) -> list[EvalResult]:
    named = [name for name in datasets if is_hub_name(name)]
    only_numbers = all(answer.is_number for answer in data.task.answer_list)
    return evaluation_results(
        metrics,
        data.task.name,
        task="other" if only_numbers else "text-classification",
        task_name=data.task.template,
        dataset_type=named[0] if len(named) == 1 else "custom",
        split=part,
    )


def _held_out(figures: Mapping[str, float]) -> str | None:
    if not figures:
        return None
    rows = [f"| {name.removeprefix('eval_')} | {value:.4f} |" for name, value in figures.items()]
    return "\n".join(
        [
            "On rows of held-out sequence, which training did not see:",
            "",
            "| figure | value |",
            "| --- | ---: |",
            *rows,
            "",
            "Not measured: any downstream task, and generated sequences.",
        ]
    )


def _parts_table(results: Mapping[str, Mapping[str, Any]]) -> str:
    names = list(dict.fromkeys(name for one in results.values() for name in one))
    lines = [
        f"| part | {' | '.join(name.replace('_', ' ') for name in names)} |",
        "| --- |" + " ---: |" * len(names),
    ]
    for part, one in results.items():
        lines.append(f"| {part} | {' | '.join(_cell(one.get(name)) for name in names)} |")
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
