"""`dnagpt embed`: vectors for records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dnagpt_hf.cli import options
from dnagpt_hf.cli.running import load, reading


def embed(
    model: options.Model,
    input: options.Input,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help=".safetensors, .npz or .parquet."),
    ],
    pooling: Annotated[
        Literal["mean", "last", "token"],
        typer.Option(help="Mean of all tokens, the last token, or a vector for every token."),
    ] = "mean",
    layer: Annotated[
        int, typer.Option(help="0: token embeddings; n: output of layer n; -1: the last.")
    ] = -1,
    template: options.Template = None,
    columns: options.Columns = None,
    set: options.Set = None,
    format: options.InputFormatOption = None,
    truncate: options.Truncate = None,
    remainder: options.RemainderOption = None,
    batch_size: options.BatchSize = 64,
    batch_tokens: options.BatchTokens = 16_384,
    device: options.Device = "auto",
    dtype: options.DTypeOption = None,
    threads: options.Threads = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Embed sequences as vectors, with the names of their records.

    The file has float32 embeddings, one row for each record. With --pooling token it has one row
    for each token, input_ids, and offsets: record i has the rows offsets[i] to offsets[i + 1].
    """
    from dnagpt_hf.records.reading import RecordReader
    from dnagpt_hf.records.vectors import check_vector_format, write_vectors
    from dnagpt_hf.records.writing import check_output

    renamed, added = options.parse_columns(columns), options.parse_columns(set)
    check_vector_format(output)
    check_output(output, overwrite=overwrite)
    with RecordReader(input, format=format) as reader:
        from dnagpt_hf.modeling_dnagpt import DNAGPTModel

        loaded = load(model, device, dtype, threads, remainder, DNAGPTModel)
        with reading(reader, "embedding") as records:
            embeddings = loaded.iter_embeddings(
                records,
                template=template,
                columns=renamed,
                set=added,
                pooling=pooling,
                layer=layer,
                truncation=truncate,
                batch_size=batch_size,
                batch_tokens=batch_tokens,
            )
            write_vectors(
                output,
                ((one.record.name, one.input_ids, one.vectors) for one in embeddings),
                per_token=pooling == "token",
                overwrite=overwrite,
            )
