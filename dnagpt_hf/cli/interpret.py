"""`dnagpt attention` and `dnagpt attribute`: attention maps and attributions of one record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dnagpt_hf.cli import options
from dnagpt_hf.cli.predict import parse_answers
from dnagpt_hf.cli.running import counter, load

if TYPE_CHECKING:
    from dnagpt_hf.inference.scored_records import ScoredRecord
    from dnagpt_hf.inference.token_spans import TokenizedRecord
    from dnagpt_hf.interpretation.attribution import Attribution
    from dnagpt_hf.interpretation.figures import Region
    from dnagpt_hf.interpretation.mutagenesis import Mutagenesis
    from dnagpt_hf.records.reading import Record

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
RecordName = Annotated[
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
        help="Part of the sequence to mark, bases from 1, the last one included; repeatable.",
        show_default=False,
    ),
]


class Method(str, Enum):
    """Methods of attribution; Typer has no lists of literals."""

    gradient = "gradient"
    integrated = "integrated"
    mutagenesis = "mutagenesis"


def attention(
    model: options.Model,
    input: options.Input,
    output: Figure = None,
    arrays: Arrays = None,
    template: options.Template = None,
    columns: options.Columns = None,
    set: options.Set = None,
    record: RecordName = None,
    layer: Annotated[
        str, typer.Option(metavar="NUMBER", help="all, or one: 1 is the first, -1 the last.")
    ] = "all",
    heads: Annotated[
        Literal["mean", "all"], typer.Option(help="Average the heads, or show all.")
    ] = "mean",
    column: Column = None,
    region: Regions = None,
    format: options.InputFormatOption = None,
    truncate: options.Truncate = None,
    remainder: options.RemainderOption = None,
    device: options.Device = "auto",
    dtype: options.DTypeOption = None,
    threads: options.Threads = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Draw the attention maps of one record.

    One layer with averaged heads is drawn above the attention of the answering position to each
    base; otherwise there is a panel for each layer, or for each head.
    """
    regions = [parse_region(text) for text in region or []]
    layers = None if layer == "all" else [parse_layer(layer)]
    check_outputs(output, arrays, overwrite=overwrite)
    changes = options.parse_columns(columns), options.parse_columns(set)
    found = find_record(input, format, record, *changes)
    from dnagpt_hf.evaluation.figures import save_figure
    from dnagpt_hf.interpretation.arrays import attention_arrays, save_arrays
    from dnagpt_hf.interpretation.attention import attention_maps, received_by_base
    from dnagpt_hf.interpretation.figures import attention_figure, attention_grid

    loaded = load(model, device, dtype, threads, remainder)
    arguments = loaded.model, loaded.tokenizer, found
    prompt: dict[str, Any] = {"template": template, "layers": layers, "truncation": truncate}
    received = received_by_base(*arguments, column=column, **prompt)
    check_regions(regions, received.record, received.column)
    maps = attention_maps(*arguments, heads=heads, **prompt)
    if output is not None:
        if layers is not None and heads == "mean":
            figure = attention_figure(maps, received, layer=maps.layers[0], regions=regions)
        else:
            figure = attention_grid(maps, column=received.column, regions=regions)
        save_figure(figure, output, overwrite=overwrite)
    if arrays is not None:
        save_arrays(arrays, *attention_arrays(maps, received), overwrite=overwrite)


def attribute(
    model: options.Model,
    input: options.Input,
    output: Figure = None,
    arrays: Arrays = None,
    method: Annotated[
        list[Method] | None,
        typer.Option(
            help="gradient: gradient x input; integrated: gradients from N to the sequence; "
            "mutagenesis: every substitution. Repeatable; by default gradient and mutagenesis.",
            show_default=False,
        ),
    ] = None,
    template: options.Template = None,
    answers: options.Answers = None,
    columns: options.Columns = None,
    set: options.Set = None,
    answer: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column of the answer, if the task has several. By default the first.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL",
            help="Label whose score is explained. By default the most probable one.",
            show_default=False,
        ),
    ] = None,
    record: RecordName = None,
    column: Column = None,
    mutated: Annotated[
        str | None,
        typer.Option(
            "--range",
            metavar="START-END",
            help="Bases to mutate, from 1, the last one included. By default all.",
            show_default=False,
        ),
    ] = None,
    region: Regions = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of integrated gradients.")] = 64,
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
    """Attribute an answer to the bases of one record.

    The score of a class is its log-odds against the other answers, and that of a number the number.
    """
    regions = [parse_region(text) for text in region or []]
    start, end = (0, None) if mutated is None else parse_range(mutated)
    labels = None if answers is None else parse_answers(answers)
    check_outputs(output, arrays, overwrite=overwrite)
    changes = options.parse_columns(columns), options.parse_columns(set)
    found = find_record(input, format, record, *changes)
    from dnagpt_hf.evaluation.figures import save_figure
    from dnagpt_hf.inference.scored_records import score_answer
    from dnagpt_hf.interpretation.arrays import save_arrays, track_arrays
    from dnagpt_hf.interpretation.attribution import input_gradients, integrated_gradients
    from dnagpt_hf.interpretation.figures import track_figure
    from dnagpt_hf.interpretation.mutagenesis import in_silico_mutagenesis

    loaded = load(model, device, dtype, threads, remainder)
    scored = score_answer(
        loaded.model,
        loaded.tokenizer,
        found,
        template=template,
        answers=labels,
        answer=answer,
        target=target,
        truncation=truncate,
    )
    column = scored.tokenized.column(column)
    check_regions(regions, scored.tokenized, column)
    methods = method or [Method.gradient, Method.mutagenesis]
    tracks: list[Attribution | Mutagenesis] = []
    if Method.gradient in methods:
        tracks.append(input_gradients(scored))
    if Method.integrated in methods:
        tracks.append(integrated_gradients(scored, steps=steps, max_tokens=batch_tokens))
    if Method.mutagenesis in methods:
        bases = len(scored.tokenized.columns[column].bases[start:end])
        with counter("mutating", total=3 * bases) as bar:
            tracks.append(
                in_silico_mutagenesis(
                    scored,
                    column=column,
                    start=start,
                    end=end,
                    max_records=batch_size,
                    max_tokens=batch_tokens,
                    progress=bar.update,
                )
            )
    if output is not None:
        figure = track_figure(tracks, column=column, regions=regions)
        save_figure(figure, output, overwrite=overwrite)
    if arrays is not None:
        save_arrays(arrays, *track_arrays(tracks, column), overwrite=overwrite)
    for line in _summary(scored, tracks):
        typer.echo(line)


def find_record(
    path: str,
    format: str | None,
    name: str | None,
    columns: Mapping[str, str] | None = None,
    set: Mapping[str, str] | None = None,
) -> Record:
    """Find the record with a name or, if there is none, with a number; by default the first.

    Args:
        path: the file of the records.
        format: its format; by default it is recognized.
        name: name or number of the record.
        columns: columns to rename, `{NEW: OLD}`.
        set: columns to add, with their values.

    Raises:
        RecordError: there is no such record, or the file cannot be read.
    """
    from dnagpt_hf.records.columns import change_columns
    from dnagpt_hf.records.files import RecordError
    from dnagpt_hf.records.reading import RecordReader

    numbered: Record | None = None
    count = 0
    with RecordReader(path, format=format) as reader:
        for record in change_columns(reader, columns, set):
            if name is None or record.name == name:
                return record
            count = record.number
            if str(count) == name:
                numbered = record
    if numbered is None:
        raise RecordError(
            f"{reader.source}: none of its {count:,} records is named {name!r} or has this number"
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
    """Read the number of a layer.

    Raises:
        ValueError: the text is no number.
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


def check_regions(regions: list[Region], tokenized: TokenizedRecord, column: str) -> None:
    """Refuse regions that do not lie in a column.

    Raises:
        RecordError: a region ends after the column.
    """
    length = len(tokenized.columns[column].bases)
    for region in regions:
        if region.end > length:
            raise tokenized.record.error(
                f"its {column} has {length:,} bases, and region {region.name} ends at "
                f"{region.end:,}"
            )


def _summary(scored: ScoredRecord, tracks: Sequence[Attribution | Mutagenesis]) -> Iterator[str]:
    """Describe the figure in lines of text."""
    from dnagpt_hf.interpretation.mutagenesis import Mutagenesis

    yield f"{scored.tokenized.record.name}: {scored.unit} = {scored.score:.4g}"
    for one in tracks:
        if isinstance(one, Mutagenesis):
            effects = ", ".join(f"{name} {value:+.3g}" for name, value in one.largest(5))
            yield f"largest effects of substitutions: {effects}"
        elif one.baseline_score is not None:
            yield (
                f"integrated gradients: {one.values.sum():.4g} in all, of "
                f"{scored.score - one.baseline_score:.4g} between N and the sequence"
            )
