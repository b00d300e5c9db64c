"""`dnagpt embed`: vectors for records."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.cli import options
from dnagpt_hf.cli.loading import Placement, load_model
from dnagpt_hf.cli.progress import progress_bar, reported


class PoolingChoice(str, Enum):
    """How the tokens of a record become vectors."""

    mean = "mean"
    last = "last"
    token = "token"


def embed(
    folder: options.Folder,
    input: options.Input,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help=".safetensors, .npz or .parquet."),
    ],
    pooling: Annotated[
        PoolingChoice,
        typer.Option(help="Mean of all tokens, the last token, or a vector for every token."),
    ] = PoolingChoice.mean,
    layer: Annotated[
        int, typer.Option(help="0: token embeddings; n: output of layer n; -1: the last.")
    ] = -1,
    template: options.Template = None,
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
    from dnagpt_hf.records.vectors import vector_format, vector_writer
    from dnagpt_hf.records.writing import check_output

    vector_format(output)
    check_output(output, overwrite=overwrite)
    checkpoint = open_checkpoint(folder)
    with RecordReader(input, format=format) as reader:
        from dnagpt_hf.inference.embedding import embed_records
        from dnagpt_hf.modeling_dnagpt import DNAGPTModel

        model, tokenizer = load_model(checkpoint, Placement(device, dtype, threads), DNAGPTModel)
        if remainder is not None:
            tokenizer.remainder = remainder
        with (
            vector_writer(output, per_token=pooling.value == "token", overwrite=overwrite) as write,
            progress_bar("embedding", reader.size) as report,
        ):
            for embedding in embed_records(
                model,
                tokenizer,
                reported(reader, report),
                template="{sequence}" if template is None else template,
                pooling=pooling.value,
                layer=layer,
                truncation=truncate,
                max_records=batch_size,
                max_tokens=batch_tokens,
            ):
                write(embedding.record.name, embedding.input_ids, embedding.vectors)
