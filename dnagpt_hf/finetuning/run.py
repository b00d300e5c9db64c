"""Fine-tuning on one task: from records to a checkpoint that keeps its task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from transformers import EarlyStoppingCallback, TrainerState, set_seed
from transformers.trainer import TRAINER_STATE_NAME

from dnagpt_hf.atomic_files import write_json
from dnagpt_hf.checkpoints.opening import Checkpoint, open_checkpoint
from dnagpt_hf.finetuning.model import new_model, write_model
from dnagpt_hf.finetuning.report import write_data_report, write_finetuning_card
from dnagpt_hf.finetuning.settings import DEFAULTS, FineTuningSettings, parse_finetuning_settings
from dnagpt_hf.finetuning.trainer import FineTuningTrainer, class_weights
from dnagpt_hf.messages import count
from dnagpt_hf.tasks.dataset import TaskData, prepare_task
from dnagpt_hf.tasks.examples import Examples
from dnagpt_hf.tasks.sources import TEXT_KEYS, as_source, open_source
from dnagpt_hf.tasks.splits import FRACTIONS
from dnagpt_hf.training.checkpoints import sole_run
from dnagpt_hf.training.resumption import (
    check_base_stays,
    checkpoint_to_resume,
    fingerprint,
    run_settings,
)
from dnagpt_hf.training.settings import stated_settings
from dnagpt_hf.yaml_files import expanded

RESULTS = "results.json"


@dataclass(frozen=True)
class FineTuned:
    """The result of a fine-tuning.

    Args:
        folder: the folder of the checkpoint, or of those of several seeds.
        metrics: metrics of the test split, or, where there is none, of the validation split; means
            where there are several seeds.
        split: the split that was measured.
        data: the task and its examples.
        deviations: standard deviation of each metric over several seeds.
    """

    folder: Path
    metrics: Mapping[str, float]
    split: str
    data: TaskData
    deviations: Mapping[str, float] = field(default_factory=dict)


def finetune(
    settings: FineTuningSettings | Mapping[str, Any] | str | Path | None = None,
    *,
    arguments: Sequence[str] = (),
    **overrides: Any,
) -> FineTuned:
    """Train a model on a task, and write it to `output_dir`.

    A run that was stopped goes on from its last complete checkpoint when it is started again with
    the same settings. With several seeds, each run has a folder `seed-N`.

    Args:
        settings: path of a YAML file, or names and values of settings.
        arguments: options of a command line, such as `["--lora"]`, which override all others.
        overrides: further settings, which override those of the file: `learning_rate=1e-4`,
            `lora=True`, and all other arguments of `TrainingArguments`. `data` may be a path, a
            pandas `DataFrame`, a `datasets.Dataset`, a list of mappings, or a mapping of `train`,
            `validation` and `test` to one of these; tables in memory are kept as files in
            `output_dir`.

    Returns:
        Folder and metrics.

    Raises:
        ValueError: settings, records or a checkpoint cannot be used; the message names the setting,
            or file and record.

    Example:

        >>> import contextlib, io, tempfile
        >>> import pandas
        >>> from dnagpt_hf import finetune
        >>> rows = [(motif * n, motif) for motif in ("ACGT", "GC") for n in range(3, 12)]
        >>> with contextlib.redirect_stdout(io.StringIO()):  # the log
        ...     tuned = finetune(
        ...         template="<R>{sequence}<=><B>{label}",
        ...         data=pandas.DataFrame(rows, columns=["sequence", "label"]),
        ...         model="dnagpt-tiny",
        ...         output_dir=tempfile.mkdtemp(),
        ...         max_steps=1,
        ...         use_cpu=True,
        ...     )
        >>> tuned.split, sorted(tuned.metrics)[:2]
        ('test', ['accuracy', 'auprc'])
    """
    settings = resolve_settings(settings, arguments, overrides)
    with sole_run(settings.training):
        return _run(settings)


def resolve_settings(
    settings: FineTuningSettings | Mapping[str, Any] | str | Path | None,
    arguments: Sequence[str],
    overrides: Mapping[str, Any],
    tables: str | Path | None = None,
) -> FineTuningSettings:
    """Read the settings of a call of [`finetune`].

    Args:
        settings: settings, their names and values, or the path of a YAML file.
        arguments: options of a command line, which win.
        overrides: settings that win over those of the file.
        tables: folder for the files of tables in memory, by default `output_dir`.

    Raises:
        ValueError: a name is unknown or a value does not fit; the message names it.
    """
    if isinstance(settings, FineTuningSettings):
        return settings
    stated, folder = stated_settings(settings, overrides, TEXT_KEYS)
    output = Path(expanded(str(tables or stated.get("output_dir", DEFAULTS["output_dir"]))))
    stated["data"] = as_source(stated.get("data"), output)
    return parse_finetuning_settings(arguments, stated, folder)


def _run(settings: FineTuningSettings) -> FineTuned:
    """Train one model, or one for each seed."""
    checkpoint = open_checkpoint(settings.tuning.model)
    check_base_stays(settings.training, checkpoint)
    data = read_task(settings, checkpoint)
    split = "test" if "test" in data.splits else "validation"
    output = Path(str(settings.training.output_dir))
    seeds: Any = settings.tuning.seeds
    if seeds is None:
        return FineTuned(output, _train(settings, data, checkpoint, split), split, data)
    runs: list[dict[str, float]] = []
    for seed in seeds:
        training = copy(settings.training)
        training.output_dir, training.seed = str(output / f"seed-{seed}"), int(seed)
        runs.append(_train(settings._replace(training=training), data, checkpoint, split))
    figures = pd.DataFrame(runs)
    means = figures.mean(skipna=False).to_dict()
    deviations = figures.std(skipna=False).to_dict()
    if settings.training.should_save:
        # the names of the keys are those of earlier releases
        found = {"part": split, "seeds": list(seeds), "mean": means}
        write_json(output / RESULTS, {**found, "standard deviation": deviations, "runs": runs})
    return FineTuned(output, means, split, data, deviations)


def read_task(settings: FineTuningSettings, checkpoint: Checkpoint) -> TaskData:
    """Read the records of a task, split and standardize them.

    Args:
        settings: settings of the task and its data.
        checkpoint: the model that reads them.

    Raises:
        ValueError: records cannot be used; the message names file and line.
    """
    arguments: Any = settings.data
    return prepare_task(
        settings.task,
        checkpoint.tokenizer,
        open_source(arguments.data, settings.folder),
        head=settings.tuning.head,
        max_length=checkpoint.config.max_position_embeddings,
        truncation=arguments.truncation,
        group=arguments.group,
        fractions=arguments.split or FRACTIONS,
        seed=arguments.split_seed,
        duplicate_records=arguments.duplicates,
        standardize=arguments.standardize,
    )


def _train(
    settings: FineTuningSettings, data: TaskData, base: Checkpoint, split: str
) -> dict[str, float]:
    """Train one model, measure it on a split, write it and its card, and give the metrics."""
    training: Any = settings.training
    tuning = settings.tuning
    set_seed(training.seed)
    run = run_settings(settings, _fingerprints(data), None if tuning.from_scratch else base)
    checkpoint = checkpoint_to_resume(training, run)
    if training.should_save:
        write_data_report(Path(training.output_dir), settings.data, data)
    model = new_model(tuning, data, base)
    metric = data.task.best_metric
    training.metric_for_best_model = metric
    training.greater_is_better = not metric.endswith(("loss", "mse", "mae"))
    weight, patience = tuning.number_loss_weight, tuning.early_stopping
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
        run=run,
        callbacks=[] if patience is None else [EarlyStoppingCallback(patience)],
    )
    names = trainer.metric_names()
    if metric not in names:
        raise ValueError(f"metric is {metric!r}: choose one of {', '.join(names)}")
    if checkpoint is not None and patience is not None:
        _end_where_it_stopped(training, checkpoint, patience)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    evaluation = trainer.evaluate_examples(data.splits[split])
    write_model(trainer, tuning, base)
    if training.should_save:
        content = evaluation.write(Path(training.output_dir), samples=tuning.bootstrap)
        trainer.save_state()
        config = trainer.accelerator.unwrap_model(trainer.model).config
        write_finetuning_card(settings, config, data, trainer.state, split, content)
    trainer.accelerator.wait_for_everyone()
    return evaluation.metrics()


def _fingerprints(data: TaskData) -> dict[str, str]:
    """Hash names, prompts and targets of each split, wherever its files lie.

    Other views follow from the first one, and their number is stated.
    """
    return {split: _fingerprint(examples) for split, examples in data.splits.items()}


def _fingerprint(examples: Examples) -> str:
    size = count(len(examples), "record")
    if examples.num_views > 1:
        size += f" in {examples.num_views} views"
    return fingerprint(
        size,
        (
            part
            for index, record in enumerate(examples.records)
            for example in [examples[index]]
            for part in (
                record.name.encode(),
                # in as many bytes as in earlier releases
                example["input_ids"].astype(np.int32),
                example["number_values"],
                example["targets"],
            )
        ),
    )


def _end_where_it_stopped(training: Any, checkpoint: Path, patience: int) -> None:
    """Leave no steps to a run that stopped early and is started again."""
    state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
    stopping = state.stateful_callbacks.get(EarlyStoppingCallback.__name__, {})
    if stopping.get("attributes", {}).get("early_stopping_patience_counter", 0) >= patience:
        training.max_steps = state.global_step
