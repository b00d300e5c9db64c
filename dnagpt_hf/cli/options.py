"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

DType = Literal["float32", "float16", "bfloat16"]
Side = Literal["left", "right"]
Remainder = Literal["error", "drop", "pad"]
InputFormat = Literal["fasta", "csv", "tsv", "jsonl", "text", "parquet"]
TableFormat = Literal["csv", "tsv", "jsonl"]


Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A checkpoint folder, the name of a bundled model, or ORG/NAME on the Hub.",
    ),
]
Folder = Annotated[
    Path,
    typer.Argument(
        metavar="FOLDER",
        help="A checkpoint folder, the name of a bundled model, or ORG/NAME on the Hub.",
    ),
]
Input = Annotated[
    str,
    typer.Argument(
        metavar="INPUT",
        help="FASTA, CSV, TSV, JSON lines or text, plain or compressed with gzip or bgzip, or "
        "parquet; - is standard input.",
    ),
]
InputFormatOption = Annotated[
    InputFormat | None,
    typer.Option(
        "--format",
        help="Format of the input. By default its name or its first line tells.",
        show_default=False,
    ),
]
Template = Annotated[
    str | None,
    typer.Option(
        "--template",
        metavar="TEXT",
        help="Text of the token language with columns in braces, for example "
        "'<R>{sequence}<+><M>{halflife}<=><M>'. A FASTA record has sequence, name and description.",
        show_default=False,
    ),
]
Answers = Annotated[
    str | None,
    typer.Option(
        "--answers",
        metavar="TOKEN=LABEL,…",
        help="Tokens that may follow the template, and what they mean: A=false,N=true. "
        "By default those of the checkpoint.",
        show_default=False,
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--columns",
        metavar="NEW=OLD",
        help="Rename a column of the input, as sequence=Sequence; repeatable.",
        show_default=False,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="COLUMN=VALUE",
        help="Add a column with one value for all records, as species=R; repeatable.",
        show_default=False,
    ),
]
Truncate = Annotated[
    Side | None,
    typer.Option(
        "--truncate",
        help="Cut sequences that are too long at this end. By default they are an error.",
        show_default=False,
    ),
]
RemainderOption = Annotated[
    Remainder | None,
    typer.Option(
        "--remainder",
        help="In a vocabulary of 6-mers only: drop the bases that fill no token, or pad them with "
        "N. By default as the checkpoint says.",
        show_default=False,
    ),
]
Device = Annotated[
    str, typer.Option("--device", metavar="NAME", help="auto, cpu, or cuda (also cuda:1).")
]
DTypeOption = Annotated[
    DType | None,
    typer.Option(
        "--dtype", help="Data type of the weights. By default as stored.", show_default=False
    ),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="Processor threads.", show_default=False),
]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Most records of a batch.")]
BatchTokens = Annotated[
    int, typer.Option("--batch-tokens", min=1, help="Most tokens of a batch, with padding.")
]
Temperature = Annotated[float, typer.Option(help="Below 1 safer, above 1 wilder.")]
TopK = Annotated[
    int | None, typer.Option(min=1, help="Draw from so many tokens only.", show_default=False)
]
TopP = Annotated[
    float | None,
    typer.Option(min=0.0, max=1.0, help="Draw from tokens of this total only.", show_default=False),
]
Seed = Annotated[int, typer.Option(help="The same seed draws the same.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.")]


def parse_columns(texts: list[str] | None) -> dict[str, str]:
    """Read what --columns or --set say, each `COLUMN=…`.

    Raises:
        ValueError: a text has no equals sign, or a column stands twice.

    Example:

        >>> parse_columns(["sequence=Sequence", "label=class"])
        {'sequence': 'Sequence', 'label': 'class'}
    """
    columns: dict[str, str] = {}
    for text in texts or []:
        column, sign, value = (part.strip() for part in text.partition("="))
        if not sign or not column or not value:
            raise ValueError(f"{text!r} is not of the form COLUMN=…, as in sequence=Sequence")
        if column in columns:
            raise ValueError(f"{text!r}: column {column!r} stands twice")
        columns[column] = value
    return columns
