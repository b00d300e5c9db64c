"""`dnagpt attention` and `dnagpt attribute`: attention maps and attributions of one record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer import Option

from dnagpt_hf.cli import options
from dnagpt_hf.cli.running import counter

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dnagpt_hf.inference.scored_records import ScoredRecord
    from dnagpt_hf.inference.token_spans import TokenizedRecord
    from dnagpt_hf.interpretation.attribution import Attribution
    from dnagpt_hf.interpretation.figures import Region
    from dnagpt_hf.interpretation.mutagenesis import Mutagenesis
    from dnagpt_hf.records.reading import Record


class Method(str, Enum):
    """Methods of attribution; Typer has no lists of literals."""

    gradient = "gradient"
    integrated = "integrated"
    mutagenesis = "mutagenesis"


@dataclass(frozen=True)
class DrawingOptions:
    """The record that is drawn, the parts of it that are marked, and the files to write."""

    output: Annotated[
        Path | None, Option("--output", "-o", metavar="FILE", help="Figure: .png, .svg or .pdf.")
    ] = None
    arrays: Annotated[Path | None, Option(metavar="FILE", help="Arrays: .npz.")] = None
    record: Annotated[
        str | None,
        Option(
            metavar="NAME",
            help="Name of the record, or its number in the file. By default the first.",
        ),
    ] = None
    column: Annotated[
        str | None,
        Option(metavar="NAME", help="Column of DNA whose bases are drawn. By default the longest."),
    ] = None
    region: Annotated[
        list[str] | None,
        Option(
            metavar="NAME:START-END",
            help="Part of the sequence to mark, bases from 1, the last one included; repeatable.",
        ),
    ] = None
    overwrite: options.Overwrite = False

    @property
    def regions(self) -> list[Region]:
        """The parts of the sequence to mark."""
        return [parse_region(text) for text in self.region or []]

    def check(self) -> None:
        """Refuse regions that cannot be read and files that cannot be written, before any work.

        Raises:
            ValueError: a name has an unknown ending, or the file exists and may not be replaced.
            ImportError: a figure is wanted, and matplotlib is not installed.
        """
        from dnagpt_hf.atomic_files import check_new_file
        from dnagpt_hf.evaluation.figures import check_figure
        from dnagpt_hf.interpretation.arrays import check_array_name

        if self.output is None and self.arrays is None:
            raise typer.BadParameter("state what to write, with --output or --arrays")
        _ = self.regions
        if self.output is not None:
            check_figure(self.output, overwrite=self.overwrite)
        if self.arrays is not None:
            check_array_name(self.arrays)
            check_new_file(self.arrays, overwrite=self.overwrite)

    def find(self, records: Iterable[Record], input: str) -> Record:
        """Find the record with the name or, if there is none, with the number; else the first.

        Raises:
            RecordError: there is no such record.
        """
        from dnagpt_hf.records.files import RecordError

        numbered, count = None, 0
        for record in records:
            if self.record in (None, record.name):
                return record
            count = record.number
            if str(count) == self.record:
                numbered = record
        if numbered is None:
            raise RecordError(
                f"{input}: none of its {count:,} records is named {self.record!r} or has this "
                "number"
            )
        return numbered

    def check_regions(self, tokenized: TokenizedRecord, column: str) -> None:
        """Refuse regions that end after the column of the record."""
        length = len(tokenized.columns[column].bases)
        for region in self.regions:
            if region.end > length:
                raise tokenized.record.error(
                    f"its {column} has {length:,} bases, and region {region.name} ends at "
                    f"{region.end:,}"
                )

    def save(
        self,
        draw: Callable[[], Figure],
        name_arrays: Callable[[], tuple[Mapping[str, Any], Mapping[str, Any]]],
    ) -> None:
        """Write the figure and the arrays that are wanted."""
        from dnagpt_hf.evaluation.figures import save_figure
        from dnagpt_hf.interpretation.arrays import save_arrays

        if self.output is not None:
            save_figure(draw(), self.output, overwrite=self.overwrite)
        if self.arrays is not None:
            save_arrays(self.arrays, *name_arrays(), overwrite=self.overwrite)


def attention(
    model: options.Model,
    input: options.Input,
    *,
    drawing: DrawingOptions,
    layer: Annotated[
        str, Option(metavar="NUMBER", help="all, or one: 1 is the first, -1 the last.")
    ] = "all",
    heads: Annotated[
        Literal["mean", "all"], Option(help="Average the heads, or show all.")
    ] = "mean",
    records: options.RecordOptions,
    loading: options.ModelOptions,
) -> None:
    """Draw the attention maps of one record.

    One layer with averaged heads is drawn above the attention of the answering position to each
    base; otherwise there is a panel for each layer, or for each head. Of a task with several phases
    or strands, the first one is shown.
    """
    drawing.check()
    layers = None if layer == "all" else [parse_layer(layer)]
    with records.read(input, "reading") as rows:
        found = drawing.find(rows, input)
    from dnagpt_hf.interpretation.arrays import attention_arrays
    from dnagpt_hf.interpretation.attention import attention_maps
    from dnagpt_hf.interpretation.figures import attention_figure, attention_grid

    loaded = loading.load(model, remainder=records.remainder)
    arguments = loaded.model, loaded.tokenizer, found
    prompt = {"layers": layers, **records.prompt}
    of_answer = attention_maps(*arguments, queries="answer", **prompt)
    column = of_answer.record.column(drawing.column)
    drawing.check_regions(of_answer.record, column)
    maps = attention_maps(*arguments, heads=heads, **prompt)

    def draw() -> Figure:
        regions = drawing.regions
        if layers is not None and heads == "mean":
            return attention_figure(
                maps, of_answer, layer=maps.layers[0], column=column, regions=regions
            )
        return attention_grid(maps, column=column, regions=regions)

    drawing.save(draw, lambda: attention_arrays(maps, of_answer, column))
    if maps.num_views > 1:
        typer.echo(f"attention in {maps.name}")


def attribute(
    model: options.Model,
    input: options.Input,
    *,
    drawing: DrawingOptions,
    method: Annotated[
        list[Method] | None,
        Option(
            help="gradient: gradient x input; integrated: gradients from N to the sequence; "
            "mutagenesis: every substitution. Repeatable; by default gradient and mutagenesis."
        ),
    ] = None,
    answer: Annotated[
        str | None,
        Option(
            metavar="COLUMN",
            help="Column of the answer, if the task has several. By default the first.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        Option(
            metavar="LABEL",
            help="Label whose score is explained. By default the most probable one.",
        ),
    ] = None,
    mutated: Annotated[
        str | None,
        Option(
            "--range",
            metavar="START-END",
            help="Bases to mutate, from 1, the last one included. By default all.",
        ),
    ] = None,
    steps: Annotated[int, Option(min=1, help="Steps of integrated gradients.")] = 64,
    views: options.ViewOptions,
    records: options.PredictionOptions,
    batches: options.BatchOptions,
    loading: options.ModelOptions,
) -> None:
    """Attribute an answer to the bases of one record.

    The score of a class is its log-odds against the other answers, and that of a number the number.
    Of a task with several phases or strands, all is that of the mean over them, in as many times
    the work.
    """
    drawing.check()
    start, end = (0, None) if mutated is None else parse_range(mutated)
    prompt = {**records.prompt, "views": views.choice}
    with records.read(input, "reading") as rows:
        found = drawing.find(rows, input)
    from dnagpt_hf.inference.scored_records import score_answer
    from dnagpt_hf.interpretation.arrays import track_arrays
    from dnagpt_hf.interpretation.attribution import input_gradients, integrated_gradients
    from dnagpt_hf.interpretation.figures import track_figure
    from dnagpt_hf.interpretation.mutagenesis import in_silico_mutagenesis

    loaded = loading.load(model, remainder=records.remainder)
    scored = score_answer(
        loaded.model, loaded.tokenizer, found, answer=answer, target=target, **prompt
    )
    column = scored.tokenized.column(drawing.column)
    drawing.check_regions(scored.tokenized, column)
    methods = method or [Method.gradient, Method.mutagenesis]
    tracks: list[Attribution | Mutagenesis] = []
    if Method.gradient in methods:
        tracks.append(input_gradients(scored))
    if Method.integrated in methods:
        tracks.append(integrated_gradients(scored, steps=steps, max_tokens=batches.batch_tokens))
    if Method.mutagenesis in methods:
        bases = len(scored.tokenized.columns[column].bases[start:end])
        with counter("mutating", total=3 * bases * len(scored.views)) as bar:
            tracks.append(
                in_silico_mutagenesis(
                    scored,
                    column=column,
                    start=start,
                    end=end,
                    max_records=batches.batch_size,
                    max_tokens=batches.batch_tokens,
                    progress=bar.update,
                )
            )
    drawing.save(
        lambda: track_figure(tracks, column=column, regions=drawing.regions),
        lambda: track_arrays(tracks, column),
    )
    for line in _summary(scored, tracks):
        typer.echo(line)


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


def _summary(scored: ScoredRecord, tracks: Sequence[Attribution | Mutagenesis]) -> Iterator[str]:
    """Describe the figure in lines of text."""
    from dnagpt_hf.interpretation.mutagenesis import Mutagenesis

    views = f", mean of {len(scored.views)} views" if len(scored.views) > 1 else ""
    yield f"{scored.tokenized.record.name}: {scored.unit} = {scored.score:.4g}{views}"
    for one in tracks:
        if isinstance(one, Mutagenesis):
            effects = ", ".join(f"{name} {value:+.3g}" for name, value in one.largest(5))
            yield f"largest effects of substitutions: {effects}"
        elif one.baseline_score is not None:
            yield (
                f"integrated gradients: {one.total:.4g} in all, of "
                f"{scored.score - one.baseline_score:.4g} between N and the sequence"
            )
