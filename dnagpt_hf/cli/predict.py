"""`dnagpt predict` and `dnagpt embed`: classes, numbers and vectors for records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from typer import Option

from dnagpt_hf.cli import options


def predict(
    model: options.Model,
    input: options.Input,
    *,
    output: options.Output = "-",
    records: options.PredictionOptions,
    keep: Annotated[
        list[str] | None,
        Option(metavar="COLUMN", help="Column of the input to repeat in the output."),
    ] = None,
    output_format: options.OutputFormat = None,
    batches: options.BatchOptions,
    loading: options.ModelOptions,
    overwrite: options.Overwrite = False,
) -> None:
    """Predict classes or numbers for sequences and tables.

    A fine-tuned checkpoint knows its task, and needs a table with the task's columns. Without one,
    a classification head reads {sequence} alone unless --template says more. Any other model
    answers in the token language: a template that ends in <M> asks for a number, and one that ends
    in <B> or <R> for one of the --answers.
    """
    from dnagpt_hf.checkpoints.opening import open_checkpoint
    from dnagpt_hf.records.writing import check_output, row_writer, table_format

    prompt = records.prompt
    written_format = table_format(output, output_format)
    check_output(output, overwrite=overwrite)
    with records.read(input, "predicting") as rows:
        checkpoint = open_checkpoint(model)
        loaded = loading.load(checkpoint, remainder=records.remainder)
        from dnagpt_hf.tasks.examples import TrainingOverlap, record_key

        overlap, task = TrainingOverlap(checkpoint.folder), loaded.task
        labels = {answer.column for answer in task.answer_list} if task else set()
        with row_writer(output, format=written_format, overwrite=overwrite) as write:
            for prediction in loaded.iter_predictions(rows, **prompt, **vars(batches)):
                write(prediction.row(keep or []))
                record = prediction.record
                # labels are there to be compared with
                if task and prompt["template"] is None and labels <= record.values.keys():
                    overlap.add([record_key(task, record)])
        overlap.warn(input)


def embed(
    model: options.Model,
    input: options.Input,
    *,
    output: Annotated[
        Path, Option("--output", "-o", metavar="FILE", help=".safetensors, .npz or .parquet.")
    ],
    pooling: Annotated[
        Literal["mean", "last", "token"],
        Option(help="Mean of all tokens, the last token, or a vector for every token."),
    ] = "mean",
    layer: Annotated[
        int, Option(help="0: token embeddings; n: output of layer n; -1: the last.")
    ] = -1,
    records: options.RecordOptions,
    batches: options.BatchOptions,
    loading: options.ModelOptions,
    overwrite: options.Overwrite = False,
) -> None:
    """Embed sequences as vectors, with the names of their records.

    The file has float32 embeddings, one row for each record. With --pooling token it has one row
    for each token, input_ids, and offsets: record i has the rows offsets[i] to offsets[i + 1].
    """
    from dnagpt_hf.records.vectors import check_vector_format, write_vectors
    from dnagpt_hf.records.writing import check_output

    check_vector_format(output)
    check_output(output, overwrite=overwrite)
    with records.read(input, "embedding") as rows:
        from dnagpt_hf.modeling_dnagpt import DNAGPTModel

        loaded = loading.load(model, remainder=records.remainder, model_class=DNAGPTModel)
        embeddings = loaded.iter_embeddings(
            rows, pooling=pooling, layer=layer, **records.prompt, **vars(batches)
        )
        write_vectors(
            output,
            ((one.record.name, one.input_ids, one.vectors) for one in embeddings),
            per_token=pooling == "token",
            overwrite=overwrite,
        )
