"""`dnagpt evaluate`: metrics of a model on labeled records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.cli import options

if TYPE_CHECKING:
    from dnagpt_hf.tasks.examples import Examples
    from dnagpt_hf.tasks.task import Task


def evaluate(
    model: options.Model,
    input: Annotated[
        str,
        Argument(
            metavar="INPUT",
            help="Labeled records: a table, FASTA or JSON lines with the columns of the task, or "
            "the TASK.yaml of a fine-tuning, whose data and splits are used.",
        ),
    ],
    *,
    output: Annotated[
        Path, Option("--output", "-o", metavar="FOLDER", help="Folder of the results.")
    ],
    split: Annotated[str, Option(help="Of TASK.yaml: train, validation or test.")] = "test",
    records: options.PredictionOptions,
    compare: Annotated[
        str | None,
        Option(
            metavar="NAME",
            help="Task with published results to compare with, such as gsr-human-pas-aataaa.",
        ),
    ] = None,
    bootstrap: Annotated[int, Option(min=0, help="Bootstrap samples for the intervals.")] = 1000,
    seed: Annotated[int, Option(help="Seed of the bootstrap.")] = 0,
    plots: Annotated[bool, Option(help="Draw curves, confusion matrix and scatter plot.")] = True,
    views: options.ViewOptions,
    batches: options.BatchOptions,
    loading: options.ModelOptions,
    overwrite: options.Overwrite = False,
) -> None:
    """Evaluate a model on labeled records.

    Writes predictions.parquet, metrics.json with intervals, metrics.md, and plots: ROC and
    precision-recall curves, confusion matrices, and predicted against true numbers. A task may read
    each sequence in several phases of the k-mers and on both strands, and average the scores, which
    takes as many times longer.
    """
    from dnagpt_hf.atomic_files import check_new_file, new_files, sole_writer_of_folder, write_text
    from dnagpt_hf.evaluation.evaluation import Evaluation
    from dnagpt_hf.evaluation.published import comparison_table, paper_results
    from dnagpt_hf.evaluation.report import metrics_table, write_figures
    from dnagpt_hf.inference.prediction import resolve_head, resolve_task
    from dnagpt_hf.inference.prediction_heads import head_of
    from dnagpt_hf.tasks.examples import read_examples
    from dnagpt_hf.tasks.training_overlap import TrainingOverlap

    prompt = records.prompt
    is_task = Path(input).suffix in (".yaml", ".yml")
    if is_task and any(records.changes):
        raise ValueError(f"{input}: --columns and --set are for tables: name columns in the file")
    check_new_file(output / "metrics.json", overwrite=overwrite)
    if compare is not None:
        # an unknown name is an error before the work
        paper_results(compare)
    checkpoint = open_checkpoint(model)
    if checkpoint.architecture == "DNAGPTModel":
        raise ValueError(f"{model} holds a DNAGPTModel, which has no head to predict with")
    loaded = loading.load(checkpoint, remainder=records.remainder)
    network, tokenizer = loaded.model, loaded.tokenizer
    template, answers = prompt["template"], prompt["answers"]
    if resolve_task(network.config, template, answers) is None:
        raise ValueError(
            "the checkpoint does not say what it was trained for: state a template with the column "
            "of the answer (--template '<R>{sequence}<=><B>{label}'), and in the token language "
            "the answers (--answers A=true,N=false)"
        )
    head = resolve_head(network, tokenizer, None, template, answers)
    assert head.task is not None
    records.check_set(head.task)
    task = head.task.with_views(views.choice)
    settings: dict[str, Any] = {
        "head": head_of(network),
        "max_length": network.config.max_position_embeddings,
        "truncation": records.truncate,
    }
    if is_task:
        examples = _split_of_task(checkpoint.folder, Path(input), split, task, tokenizer, settings)
    else:
        with records.read(input, "reading") as rows:
            examples = read_examples(task, tokenizer, rows, **settings)
    overlap = TrainingOverlap(checkpoint.folder)
    overlap.add(examples.keys)
    overlap.warn(input)
    with sole_writer_of_folder(output):
        check_new_file(output / "metrics.json", overwrite=overwrite)
        evaluation = Evaluation.of_model(
            head, task, examples, max_records=batches.batch_size, max_tokens=batches.batch_tokens
        )
        with new_files(output) as partial:
            content = evaluation.write(partial, samples=bootstrap, seed=seed)
            text = f"{metrics_table(content)}\n"
            if compare is not None:
                name, note = checkpoint.folder.resolve().name, f"the records of {input}"
                text += f"\n{comparison_table(compare, content['metrics'], name, note=note)}\n"
            write_text(partial / "metrics.md", text)
            if plots:
                write_figures(evaluation, partial)
    typer.echo(text, nl=False)


def _split_of_task(
    folder: Path, path: Path, split: str, task: Task, tokenizer: Any, settings: dict[str, Any]
) -> Examples:
    """Read a split of the data of a fine-tuning for the task of the checkpoint."""
    from dnagpt_hf.finetuning.report import (
        check_same_records,
        public_source,
        read_data_report,
        with_splits_of,
    )
    from dnagpt_hf.finetuning.settings import parse_finetuning_settings
    from dnagpt_hf.tasks.dataset import prepare_task
    from dnagpt_hf.tasks.sources import TEXT_KEYS, open_source
    from dnagpt_hf.tasks.splits import FRACTIONS
    from dnagpt_hf.yaml_files import read_yaml

    in_file = parse_finetuning_settings([], read_yaml(path, TEXT_KEYS), path.parent).data
    report = read_data_report(folder)
    stated: Any = with_splits_of(in_file, report)
    data = prepare_task(
        task,
        tokenizer,
        open_source(stated.data, path.parent),
        group=stated.group,
        fractions=stated.split or FRACTIONS,
        seed=stated.split_seed,
        duplicate_records=stated.duplicates,
        standardize=False,
        **{**settings, "truncation": settings["truncation"] or stated.truncation},
    )
    if report.get("data") == public_source(stated.data):
        check_same_records(report, data.report, path)
    if split not in data.splits:
        raise ValueError(f"{path}: there is no split {split!r}, only {', '.join(data.splits)}")
    return data.splits[split]
