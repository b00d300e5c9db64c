"""`dnagpt predict`: classes and numbers for records."""

from __future__ import annotations

from typing import Annotated

import typer

from dnagpt_hf.cli import options
from dnagpt_hf.cli.running import load, reading


def predict(
    model: options.Model,
    input: options.Input,
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="FILE", help=".csv, .tsv or .jsonl, also with .gz."),
    ] = "-",
    template: options.Template = None,
    answers: options.Answers = None,
    columns: options.Columns = None,
    set: options.Set = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Column of the input to repeat in the output.",
            show_default=False,
        ),
    ] = None,
    format: options.InputFormatOption = None,
    output_format: Annotated[
        options.TableFormat | None,
        typer.Option(help="By default the ending of the output tells, or csv.", show_default=False),
    ] = None,
    truncate: options.Truncate = None,
    remainder: options.RemainderOption = None,
    batch_size: options.BatchSize = 64,
    batch_tokens: options.BatchTokens = 16_384,
    device: options.Device = "auto",
    dtype: options.DTypeOption = None,
    threads: options.Threads = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Predict classes or numbers for sequences and tables.

    A fine-tuned checkpoint knows its task, and needs a table with the task's columns. Without one,
    a classification head reads {sequence} alone unless --template says more. Any other model
    answers in the token language: a template that ends in <M> asks for a number, and one that ends
    in <B> or <R> for one of the --answers.
    """
    from dnagpt_hf.records.reading import RecordReader
    from dnagpt_hf.records.writing import check_output, row_writer, table_format

    labels = None if answers is None else parse_answers(answers)
    renamed, added = options.parse_columns(columns), options.parse_columns(set)
    written_format = table_format(output, output_format)
    check_output(output, overwrite=overwrite)
    with RecordReader(input, format=format) as reader:
        loaded = load(model, device, dtype, threads, remainder)
        with (
            row_writer(output, format=written_format, overwrite=overwrite) as write,
            reading(reader, "predicting") as records,
        ):
            for prediction in loaded.iter_predictions(
                records,
                template=template,
                answers=labels,
                columns=renamed,
                set=added,
                truncation=truncate,
                batch_size=batch_size,
                batch_tokens=batch_tokens,
            ):
                write(prediction.row(keep or []))


def parse_answers(text: str) -> dict[str, str]:
    """Read labels by their tokens.

    Raises:
        ValueError: something is not of the form `TOKEN=LABEL`.

    Example:

        >>> parse_answers("A=false,<N>=true")
        {'A': 'false', '<N>': 'true'}
    """
    answers: dict[str, str] = {}
    for part in text.split(","):
        # the token <=> holds the sign that stands between token and label
        token, sign, label = part.strip().rpartition("=")
        if not sign or not token or not label:
            raise ValueError(
                f"answer {part!r} is not of the form TOKEN=LABEL, as in A=false,N=true"
            )
        if token in answers:
            raise ValueError(f"answer {part!r}: token {token!r} stands twice")
        answers[token] = label
    return answers
