"""`dnagpt attention` and `dnagpt attribute`: what a model looks at, and what an answer rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.cli import interpret_options as shown
from dnagpt_hf.cli import options
from dnagpt_hf.cli.interpret_options import (
    check_outputs,
    find_record,
    load_any_model,
    parse_layer,
    parse_range,
    parse_region,
    regions_within,
)
from dnagpt_hf.cli.loading import Placement
from dnagpt_hf.cli.predict import parse_answers
from dnagpt_hf.cli.progress import progress_bar

if TYPE_CHECKING:
    from dnagpt_hf.inference.scored_records import ScoredRecord
    from dnagpt_hf.interpretation.attribution import Attribution
    from dnagpt_hf.interpretation.mutagenesis import Mutagenesis


class HeadsChoice(str, Enum):
    """Whether attention heads are averaged."""

    mean = "mean"
    all = "all"


class Method(str, Enum):
    """Ways to say what an answer rests on."""

    gradient = "gradient"
    integrated = "integrated"
    mutagenesis = "mutagenesis"


def attention(
    folder: options.Folder,
    input: options.Input,
    output: shown.Figure = None,
    arrays: shown.Arrays = None,
    template: options.Template = None,
    record: shown.RecordOption = None,
    layer: Annotated[
        str, typer.Option(metavar="NUMBER", help="all, or one: 1 is the first, -1 the last.")
    ] = "all",
    heads: Annotated[HeadsChoice, typer.Option(help="Average the heads, or show all.")] = (
        HeadsChoice.mean
    ),
    column: shown.Column = None,
    region: shown.Regions = None,
    format: options.InputFormatOption = None,
    truncate: options.Truncate = None,
    remainder: options.RemainderOption = None,
    device: options.Device = "auto",
    dtype: options.DTypeOption = None,
    threads: options.Threads = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Draw the attention maps of one record.

    One layer with averaged heads is drawn with the attention that each base gets from the position
    of the answer; otherwise there is a panel for each layer, or for each head.
    """
    from dnagpt_hf.records.reading import RecordReader

    parts = [parse_region(text) for text in region or []]
    layers = None if layer == "all" else [parse_layer(layer)]
    check_outputs(output, arrays, overwrite=overwrite)
    checkpoint = open_checkpoint(folder)
    with RecordReader(input, format=format) as reader:
        found = find_record(reader, record)
    from dnagpt_hf.evaluation.figures import save_figure
    from dnagpt_hf.interpretation.arrays import attention_arrays, save_arrays
    from dnagpt_hf.interpretation.attention import attention_maps, received_by_base
    from dnagpt_hf.interpretation.figures import attention_figure, attention_grid

    model, tokenizer = load_any_model(checkpoint, Placement(device, dtype, threads), remainder)
    question: dict[str, Any] = {
        "template": template,
        "layers": layers,
        "truncation": truncate,
    }
    received = received_by_base(model, tokenizer, found, column=column, **question)
    regions = regions_within(parts, received.record, received.column)
    maps = attention_maps(model, tokenizer, found, heads=heads.value, **question)
    if output is not None:
        if layers is not None and heads is HeadsChoice.mean:
            figure = attention_figure(maps, received, layer=maps.layers[0], regions=regions)
        else:
            figure = attention_grid(maps, column=received.column, regions=regions)
        save_figure(figure, output, overwrite=overwrite)
    if arrays is not None:
        save_arrays(arrays, *attention_arrays(maps, received), overwrite=overwrite)


def attribute(
    folder: options.Folder,
    input: options.Input,
    output: shown.Figure = None,
    arrays: shown.Arrays = None,
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
    answer: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column that is answered, where the task has several. By default the first.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL",
            help="Label whose score is explained. By default the one that the model answers.",
            show_default=False,
        ),
    ] = None,
    record: shown.RecordOption = None,
    column: shown.Column = None,
    mutated: Annotated[
        str | None,
        typer.Option(
            "--range",
            metavar="START-END",
            help="Bases to mutate, from 1, the last one included. By default all.",
            show_default=False,
        ),
    ] = None,
    region: shown.Regions = None,
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
    """Show which bases of one record an answer rests on.

    The score of a class is its log-odds against the other answers, and that of a number the number.
    """
    from dnagpt_hf.records.reading import RecordReader

    parts = [parse_region(text) for text in region or []]
    start, end = (0, None) if mutated is None else parse_range(mutated)
    labels = None if answers is None else parse_answers(answers)
    check_outputs(output, arrays, overwrite=overwrite)
    checkpoint = open_checkpoint(folder)
    if checkpoint.architecture == "DNAGPTModel":
        raise ValueError(f"{folder} holds a DNAGPTModel, which has no head to answer with")
    with RecordReader(input, format=format) as reader:
        found = find_record(reader, record)
    from dnagpt_hf.evaluation.figures import save_figure
    from dnagpt_hf.inference.scored_records import score_answer
    from dnagpt_hf.interpretation.arrays import save_arrays, track_arrays
    from dnagpt_hf.interpretation.figures import track_figure
    from dnagpt_hf.interpretation.mutagenesis import in_silico_mutagenesis

    model, tokenizer = load_any_model(checkpoint, Placement(device, dtype, threads), remainder)
    scored = score_answer(
        model,
        tokenizer,
        found,
        template=template,
        answers=labels,
        answer=answer,
        target=target,
        truncation=truncate,
    )
    column = scored.tokenized.column(column)
    regions = regions_within(parts, scored.tokenized, column)
    methods = list(dict.fromkeys(method or [Method.gradient, Method.mutagenesis]))
    tracks: list[Attribution | Mutagenesis] = [
        _gradients(scored, one, steps, batch_tokens)
        for one in methods
        if one is not Method.mutagenesis
    ]
    if Method.mutagenesis in methods:
        with progress_bar("mutating", None) as report:
            tracks.append(
                in_silico_mutagenesis(
                    scored,
                    column=column,
                    start=start,
                    end=end,
                    max_records=batch_size,
                    max_tokens=batch_tokens,
                    progress=report,
                )
            )
    if output is not None:
        figure = track_figure(tracks, column=column, regions=regions)
        save_figure(figure, output, overwrite=overwrite)
    if arrays is not None:
        save_arrays(arrays, *track_arrays(tracks, column), overwrite=overwrite)
    for line in _summary(scored, tracks):
        typer.echo(line)


def _gradients(scored: ScoredRecord, method: Method, steps: int, max_tokens: int) -> Attribution:
    from dnagpt_hf.interpretation.attribution import input_gradients, integrated_gradients

    if method is Method.gradient:
        return input_gradients(scored)
    return integrated_gradients(scored, steps=steps, max_tokens=max_tokens)


def _summary(scored: ScoredRecord, tracks: Sequence[Attribution | Mutagenesis]) -> Iterator[str]:
    """What the figure shows, in lines of text."""
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
