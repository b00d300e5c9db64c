"""Fine-tuning on one task, from records to a checkpoint that knows what it was trained for."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from copy import copy, deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import EarlyStoppingCallback, TrainerState, set_seed
from transformers.trainer import TRAINER_STATE_NAME

from dnagpt_hf.atomic_files import write_json
from dnagpt_hf.checkpoints.opening import Checkpoint, open_checkpoint
from dnagpt_hf.checkpoints.validation import (
    ADAPTER,
    ADAPTER_WEIGHTS,
    WEIGHTS,
    WEIGHTS_INDEX,
)
from dnagpt_hf.evaluation.metrics import mean_and_deviation
from dnagpt_hf.finetuning.adapters import add_adapter, freeze_unused, train_head_only
from dnagpt_hf.finetuning.card import write_finetuning_card
from dnagpt_hf.finetuning.data_report import write_data_report
from dnagpt_hf.finetuning.settings import FineTuningSettings
from dnagpt_hf.finetuning.trainer import (
    FineTuningTrainer,
    balanced_weights,
    label_weights,
)
from dnagpt_hf.inference.prediction_heads import token_ids
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask, DNAGPTForSequenceClassification
from dnagpt_hf.tasks.dataset import TaskData, prepare_task
from dnagpt_hf.tasks.sources import open_source
from dnagpt_hf.tasks.splits import FRACTIONS
from dnagpt_hf.tasks.task import Task
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer
from dnagpt_hf.training.resumption import checkpoint_to_resume, run_settings

logger = logging.getLogger(__name__)

RESULTS = "results.json"


@dataclass(frozen=True)
class FineTuned:
    """What a fine-tuning gave.

    Args:
        folder: the folder of the checkpoint, or of those of several seeds.
        metrics: of the test part, or, where there is none, of the validation part; a mean where
            there were several seeds.
        deviations: standard deviation of each metric over several seeds.
        part: which part was measured.
        data: the task and its examples.
    """

    folder: Path
    metrics: Mapping[str, float]
    deviations: Mapping[str, float]
    part: str
    data: TaskData


def finetune(settings: FineTuningSettings) -> FineTuned:
    """Train a model on a task as the settings say, and write it to `output_dir`.

    A run that was stopped goes on from its last complete checkpoint when it is started again with
    the same settings. With several seeds, each run has its folder `seed-N`.

    Raises:
        ValueError: settings, records or a checkpoint cannot be used.
    """
    checkpoint = open_checkpoint(settings.tuning.model)
    _check_base_stays(settings, checkpoint.folder)
    data = read_task(settings, checkpoint)
    output = Path(settings.training.output_dir)
    seeds = settings.tuning.seeds
    if seeds is None:
        metrics, part = _train(settings, data, checkpoint)
        return FineTuned(output, metrics, {}, part, data)
    runs: list[dict[str, float]] = []
    for seed in seeds:
        training = copy(settings.training)
        training.output_dir, training.seed = str(output / f"seed-{seed}"), int(seed)
        metrics, part = _train(settings._replace(training=training), data, checkpoint)
        runs.append(metrics)
    summary = mean_and_deviation(runs)
    if settings.training.should_save:
        write_json(
            output / RESULTS,
            {
                "part": part,
                "seeds": list(seeds),
                "mean": {name: mean for name, (mean, _) in summary.items()},
                "standard deviation": {name: one for name, (_, one) in summary.items()},
                "runs": runs,
            },
        )
    return FineTuned(
        output,
        {name: mean for name, (mean, _) in summary.items()},
        {name: deviation for name, (_, deviation) in summary.items()},
        part,
        data,
    )


def _check_base_stays(settings: FineTuningSettings, base: Path) -> None:
    tuning, output = settings.tuning, settings.training.output_dir
    if tuning.adapter and not tuning.merge and base.resolve() == Path(output).resolve():
        raise ValueError(
            f"output_dir {output} is the folder of the model, which the adapter needs as it is: "
            "choose another output_dir"
        )


def read_task(settings: FineTuningSettings, checkpoint: Checkpoint) -> TaskData:
    """The task and its examples, read, divided and standardised.

    Raises:
        ValueError: records cannot be used; the message names file and line.
    """
    arguments: Any = settings.data
    tuning: Any = settings.tuning
    return prepare_task(
        settings.task,
        checkpoint.tokenizer,
        open_source(arguments.data, settings.folder),
        head=tuning.head,
        max_length=checkpoint.config.max_position_embeddings,
        truncation=arguments.truncation,
        group=arguments.group,
        fractions=arguments.split or FRACTIONS,
        seed=arguments.split_seed,
        duplicate_records=arguments.duplicates,
        standardize=arguments.standardize,
    )


def new_model(settings: FineTuningSettings, data: TaskData, checkpoint: Checkpoint) -> Any:
    """The model to be tuned, with its task in its configuration, and adapters where asked for."""
    tuning, task = settings.tuning, data.task
    tokenizer = checkpoint.tokenizer
    config = deepcopy(checkpoint.config)
    config.task = task.as_dict()
    model_type: Any = DNAGPTForMultiTask
    if tuning.head == "classification":
        model_type = DNAGPTForSequenceClassification
        labels = head_labels(task)
        config.problem_type = task.problem_type
        config.classifier_pooling = tuning.pooling
    else:
        labels = language_labels(task, tokenizer)
    if labels:
        config.id2label = labels
        config.label2id = {label: number for number, label in labels.items()}
    if tuning.from_scratch:
        model = model_type._from_config(
            config, dtype=torch.float32, attn_implementation=tuning.attention
        )
    else:
        model = checkpoint.load_model(
            model_type, config=config, dtype=torch.float32, attention=tuning.attention
        )
    if tuning.trained == "head":
        train_head_only(model)
    freeze_unused(model, task, reads_numbers=_reads_numbers(data, tokenizer))
    if tuning.adapter is not None:
        model = add_adapter(model, tuning.adapter, task, tuning.adapter_rank)
        # where the base is found again, on this machine or another
        model.peft_config["default"].base_model_name_or_path = tuning.model
    return model


def _reads_numbers(data: TaskData, tokenizer: DNAGPTTokenizer) -> bool:
    # all answers but the last are read before the next one is given
    if any(answer.is_number for answer in data.task.answer_list[:-1]):
        return True
    return bool((data.splits["train"].input_ids == tokenizer.number_token_id).any())


def head_labels(task: Task) -> dict[int, str]:
    """Names of the outputs of a classification head by their places."""
    answers = task.answer_list
    if len(answers) == 1 and not answers[0].is_number:
        return dict(enumerate(answers[0].labels))
    return dict(enumerate(answer.column for answer in answers))


def language_labels(task: Task, tokenizer: DNAGPTTokenizer) -> dict[int, str]:
    """Labels of tokens by their ids; none where a token has a meaning for each of several answers.

    Raises:
        ValueError: an answer is no token.
    """
    found = [token_ids(tokenizer, answer.tokens) for answer in task.answer_list if answer.tokens]
    return found[0] if found and all(one == found[0] for one in found) else {}


def _train(
    settings: FineTuningSettings, data: TaskData, base: Checkpoint
) -> tuple[dict[str, float], str]:
    """One run: train, measure, write; the metrics, and of which part they are."""
    training: Any = settings.training
    tuning: Any = settings.tuning
    set_seed(training.seed)
    checkpoint = checkpoint_to_resume(settings)
    if training.should_save:
        write_data_report(Path(training.output_dir), settings.data, data)
    model = new_model(settings, data, base)
    metric = data.task.best_metric
    training.metric_for_best_model = metric
    training.greater_is_better = not metric.endswith(("loss", "mse", "mae"))
    weight = tuning.number_loss_weight
    trainer = FineTuningTrainer(
        model,
        args=training,
        task=data.task,
        head=tuning.head,
        class_weights=class_weights(tuning.class_weights, data, tuning.head),
        number_loss_weight=model.config.number_loss_weight if weight is None else weight,
        train_dataset=data.splits["train"],
        eval_dataset=data.splits["validation"],
        processing_class=base.tokenizer,
        run=run_settings(settings),
        callbacks=[]
        if tuning.early_stopping is None
        else [EarlyStoppingCallback(tuning.early_stopping)],
    )
    _check_metric(metric, trainer.metric_names())
    if checkpoint is not None and tuning.early_stopping is not None:
        _end_where_it_stopped(training, checkpoint, tuning.early_stopping)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    part = "test" if "test" in data.splits else "validation"
    evaluation = trainer.evaluate_examples(data.splits[part])
    _write_model(trainer, settings, data)
    metrics = evaluation.metrics()
    if training.should_save:
        folder = Path(training.output_dir)
        content = evaluation.write(folder, samples=tuning.bootstrap)
        trainer.save_state()
        config = trainer.accelerator.unwrap_model(trainer.model).config
        write_finetuning_card(settings, config, data, part, content)
    trainer.accelerator.wait_for_everyone()
    return metrics, part


def _check_metric(metric: str, names: list[str]) -> None:
    if metric not in names:
        raise ValueError(f"metric is {metric!r}: choose one of {', '.join(names)}")


def _end_where_it_stopped(training: Any, checkpoint: Path, patience: int) -> None:
    """Let a run that ended early have no steps left when it is started again."""
    state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
    stopping = state.stateful_callbacks.get(EarlyStoppingCallback.__name__, {})
    if stopping.get("attributes", {}).get("early_stopping_patience_counter", 0) >= patience:
        training.max_steps = state.global_step


def class_weights(stated: Any, data: TaskData, head: str) -> list[list[float] | None] | None:
    """Weights of the labels of each answer, as stated or balanced by the training part.

    Raises:
        ValueError: a label does not exist, or the setting is neither.
    """
    if stated is None:
        return None
    _check_weights(stated, data.task)
    targets = data.splits["train"].targets
    several = head == "classification" and len(data.task.answer_list) > 1
    weights: list[list[float] | None] = []
    for place, answer in enumerate(data.task.answer_list):
        positive = data.task.positive_label(answer)
        # of several labels, each holds or not, whatever the order of its tokens
        labels = sorted(answer.labels, key=positive.__eq__) if several else answer.labels
        if answer.is_number:
            weights.append(None)
        elif stated == "balanced":
            weights.append(balanced_weights(targets[:, place], len(labels)))
        else:
            weights.append(label_weights(stated, labels))
    return weights


def _check_weights(stated: Any, task: Task) -> None:
    if stated == "balanced":
        return
    if not isinstance(stated, Mapping):
        raise ValueError(
            f"class_weights is {stated!r}: write balanced, or the weight of each label"
        )
    labels = [label for answer in task.answer_list for label in answer.labels]
    for label, weight in stated.items():
        if label not in labels:
            raise ValueError(f"class_weights name label {label!r}: choose of {', '.join(labels)}")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight > 0:
            raise ValueError(f"class_weights: {label} is {weight!r}: give a number above 0")


def _write_model(trainer: FineTuningTrainer, settings: FineTuningSettings, data: TaskData) -> None:
    """The best checkpoint, whole or as an adapter with the configuration of its task."""
    folder = Path(settings.training.output_dir)
    tuning = settings.tuning
    if settings.training.should_save:
        _remove_other_weights(folder, is_adapter=tuning.adapter is not None and not tuning.merge)
    if tuning.adapter is None:
        trainer.save_model()
        return
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    if tuning.merge:
        if settings.training.should_save:
            model.merge_and_unload().save_pretrained(folder)
            trainer.processing_class.save_pretrained(folder)
        return
    trainer.save_model()
    if settings.training.should_save:
        config = model.get_base_model().config
        config.architectures = [type(model.get_base_model()).__name__]
        config.save_pretrained(folder)


def _remove_other_weights(folder: Path, is_adapter: bool) -> None:
    """Delete what the run left there with another `merge`: of both kinds, both would be loaded."""
    whole = (WEIGHTS, WEIGHTS_INDEX, "model-*-of-*.safetensors")
    for pattern in whole if is_adapter else (ADAPTER, ADAPTER_WEIGHTS):
        for path in folder.glob(pattern):
            path.unlink()
