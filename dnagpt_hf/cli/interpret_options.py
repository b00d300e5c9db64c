"""Options of the commands that show what a model does, and how they are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dnagpt_hf.cli import options
from dnagpt_hf.cli.loading import Placement, load_model

if TYPE_CHECKING:
    from dnagpt_hf.checkpoints.opening import Checkpoint
    from dnagpt_hf.inference.token_spans import TokenizedRecord
    from dnagpt_hf.interpretation.figures import Region
    from dnagpt_hf.records.reading import Record, RecordReader


Figure = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Figure: .png, .svg or .pdf.", show_default=False
    ),
]
Arrays = Annotated[
    Path | None,
    typer.Option("--arrays", metavar="FILE", help="Arrays: .npz.", show_default=False),
]
RecordOption = Annotated[
    str | None,
    typer.Option(
        "--record",
        metavar="NAME",
        help="Name of the record, or its number in the file. By default the first.",
        show_default=False,
    ),
]
Column = Annotated[
    str | None,
    typer.Option(
        "--column",
        metavar="NAME",
        help="Column of DNA whose bases are drawn. By default the longest.",
        show_default=False,
    ),
]
Regions = Annotated[
    list[str] | None,
    typer.Option(
        "--region",
        metavar="NAME:START-END",
        help="Part of the sequence to be marked, bases from 1, the last one included; repeatable.",
        show_default=False,
    ),
]


def find_record(reader: RecordReader, wanted: str | None) -> Record:
    """The record of a name or, where none has it, of a number; without either, the first.

    Raises:
        RecordError: there is no such record, or the file cannot be read.
    """
    from dnagpt_hf.records.reading import RecordError

    numbered: Record | None = None
    count = 0
    for record in reader:
        if wanted is None or record.name == wanted:
            return record
        count = record.number
        if str(count) == wanted:
            numbered = record
    if numbered is None:
        raise RecordError(
            f"{reader.source}: none of its {count:,} records is named {wanted!r} or has this number"
        )
    return numbered


def parse_region(text: str) -> Region:
    """Read a named part of a sequence.

    Raises:
        ValueError: the text is not of the form `NAME:START-END`.

    Example:

        >>> parse_region("5'UTR:1-300")
        Region(name="5'UTR", start=0, end=300)
    """
    from dnagpt_hf.genomes.regions import Region as GenomeRegion
    from dnagpt_hf.interpretation.figures import Region

    region = GenomeRegion.parse(text)
    if region.end is None:
        raise ValueError(f"region {text!r} is not of the form NAME:START-END, as in 5'UTR:1-300")
    return Region(region.contig, region.start - 1, region.end)


def parse_range(text: str) -> tuple[int, int]:
    """Read a range of bases, which count from 1, as first base (from 0) and end (excluded).

    Raises:
        ValueError: the text is not of the form `START-END`.

    Example:

        >>> parse_range("271-340")
        (270, 340)
    """
    from dnagpt_hf.genomes.regions import Region

    region = Region.parse(f"range:{text.strip()}")
    if region.end is None:
        raise ValueError(f"range {text!r} is not of the form START-END, as in 271-340")
    return region.start - 1, region.end


def parse_layer(text: str) -> int:
    """The number of a layer.

    Raises:
        ValueError: it is no number.
    """
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"layer {text!r} is no number: give all, or one such as 1 or -1") from None


def check_outputs(output: Path | None, arrays: Path | None, *, overwrite: bool) -> None:
    """Refuse outputs that cannot be written, before any work is done.

    Raises:
        ValueError: a name has an unknown ending, or the file exists and may not be replaced.
        ImportError: a figure is wanted, and matplotlib is not installed.
    """
    from dnagpt_hf.atomic_files import check_new_file
    from dnagpt_hf.evaluation.figures import figure_format, new_figure
    from dnagpt_hf.interpretation.arrays import check_array_name

    if output is None and arrays is None:
        raise typer.BadParameter("state what to write, with --output or --arrays")
    if output is not None:
        figure_format(output)
        # an error if matplotlib is not there
        new_figure(1.0, 1.0)
        check_new_file(output, overwrite=overwrite)
    if arrays is not None:
        check_array_name(arrays)
        check_new_file(arrays, overwrite=overwrite)


def load_any_model(
    checkpoint: Checkpoint, placement: Placement, remainder: options.Remainder | None
) -> tuple[Any, Any]:
    """Load the model of a checkpoint, and its tokenizer."""
    model, tokenizer = load_model(checkpoint, placement)
    if remainder is not None:
        tokenizer.remainder = remainder
    return model, tokenizer


def regions_within(regions: list[Region], tokenized: TokenizedRecord, column: str) -> list[Region]:
    """The regions, if they lie in a column.

    Raises:
        RecordError: one ends behind it.
    """
    length = len(tokenized.columns[column].bases)
    for region in regions:
        if region.end > length:
            raise tokenized.record.error(
                f"its {column} has {length:,} bases, and region {region.name} ends at "
                f"{region.end:,}"
            )
    return regions
