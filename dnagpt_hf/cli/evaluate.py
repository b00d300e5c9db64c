"""`dnagpt evaluate`: how good a model's answers are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.cli import options
from dnagpt_hf.cli.loading import Placement, load_model
from dnagpt_hf.cli.predict import parse_answers
from dnagpt_hf.cli.progress import progress_bar, reported

if TYPE_CHECKING:
    from dnagpt_hf.tasks.examples import Examples
    from dnagpt_hf.tasks.task import Task


def evaluate(
    folder: options.Folder,
    input: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="Labelled records: a table, FASTA or JSON lines with the columns of the task, or "
            "the TASK.yaml of a fine-tuning, whose data and division are used.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FOLDER", help="The folder for what is written."),
    ],
    part: Annotated[str, typer.Option(help="With TASK.yaml: train, validation or test.")] = "test",
    template: options.Template = None,
    answers: options.Answers = None,
    compare: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Published figures to put beside, such as gsr-human-pas-aataaa.",
            show_default=False,
        ),
    ] = None,
    bootstrap: Annotated[int, typer.Option(min=0, help="Draws for the intervals.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    plots: Annotated[bool, typer.Option(help="Draw curves, confusion and scatter.")] = True,
    format: options.InputFormatOption = None,
    truncate: options.Truncate = None,
    batch_size: options.BatchSize = 64,
    batch_tokens: options.BatchTokens = 16_384,
    device: options.Device = "auto",
    dtype: options.DTypeOption = None,
    threads: options.Threads = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Measure a model on labelled records.

    Writes predictions.parquet, metrics.json with intervals, metrics.md, and plots: ROC and
    precision-recall curves and the confusion of classes, and numbers predicted against true ones.
    """
    from dnagpt_hf.atomic_files import check_new_file, new_file
    from dnagpt_hf.evaluation.evaluation import Evaluation
    from dnagpt_hf.evaluation.published import paper_results
    from dnagpt_hf.evaluation.report import report, write_figures
    from dnagpt_hf.inference.prediction_heads import prediction_head

    check_new_file(output / "metrics.json", overwrite=overwrite)
    if compare is not None:
        # a name that does not exist is an error before the work
        paper_results(compare)
    checkpoint = open_checkpoint(folder)
    if checkpoint.architecture == "DNAGPTModel":
        raise ValueError(f"{folder} holds a DNAGPTModel, which has no head to answer with")
    model, tokenizer = load_model(checkpoint, Placement(device, dtype, threads))
    task = _task(model.config, template, answers)
    head = "language" if checkpoint.architecture == "DNAGPTForMultiTask" else "classification"
    settings: dict[str, Any] = {
        "head": head,
        "max_length": model.config.max_position_embeddings,
        "truncation": truncate,
    }
    if Path(input).suffix in (".yaml", ".yml"):
        examples = _part_of_task(checkpoint.folder, Path(input), part, task, tokenizer, settings)
    else:
        examples = _records(input, format, task, tokenizer, settings)
    asked = prediction_head(model, tokenizer, task)
    evaluation = Evaluation.of_model(
        asked, task, examples, max_records=batch_size, max_tokens=batch_tokens
    )
    content = evaluation.write(output, samples=bootstrap, seed=seed)
    text = report(
        content, checkpoint.folder.resolve().name, compare, note=f"the records of {input}"
    )
    with new_file(output / "metrics.md", overwrite=True) as partial:
        partial.write_text(text, encoding="utf-8")
    typer.echo(text, nl=False)
    if plots:
        write_figures(evaluation, output)


def _task(config: Any, template: str | None, answers: str | None) -> Task:
    from dnagpt_hf.inference.prediction import resolve_task

    task = resolve_task(config, template, parse_answers(answers) if answers else None)
    if task is None:
        raise ValueError(
            "the checkpoint does not say what it was trained for: state a template with the column "
            "of the answer (--template '<R>{sequence}<=><B>{label}' --answers A=true,N=false)"
        )
    return task


def _records(
    path: str, format: str | None, task: Task, tokenizer: Any, settings: dict[str, Any]
) -> Examples:
    from dnagpt_hf.records.reading import RecordReader
    from dnagpt_hf.tasks.dataset import read_examples

    with RecordReader(path, format=format) as reader, progress_bar("reading", reader.size) as bar:
        return read_examples(task, tokenizer, reported(reader, bar), **settings)


def _part_of_task(
    folder: Path, path: Path, part: str, task: Task, tokenizer: Any, settings: dict[str, Any]
) -> Examples:
    """A part of the data of a fine-tuning, divided as there, for the task of the checkpoint."""
    from dnagpt_hf.finetuning.data_report import as_divided, check_same_records, read_data_report
    from dnagpt_hf.finetuning.settings import parse_finetuning_settings
    from dnagpt_hf.tasks.dataset import prepare_task
    from dnagpt_hf.tasks.sources import TEXT_KEYS, open_source
    from dnagpt_hf.tasks.splits import FRACTIONS
    from dnagpt_hf.yaml_files import read_yaml

    in_file = parse_finetuning_settings([], read_yaml(path, TEXT_KEYS), path.parent).data
    report = read_data_report(folder)
    stated: Any = as_divided(in_file, report)
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
    if report.get("data") == stated.data:
        check_same_records(report, data.report, path)
    if part not in data.splits:
        raise ValueError(f"{path}: there is no split {part!r}, only {', '.join(data.splits)}")
    return data.splits[part]
