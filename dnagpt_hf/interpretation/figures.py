"""Figures of attention maps, gradients and mutagenesis in the coordinates of a sequence.

Bases are numbered from 1 on the axes, and regions are given as in [`Region`]. The figures do not
touch the state of `matplotlib.pyplot`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dnagpt_hf.evaluation.figures import COLOURS, new_figure
from dnagpt_hf.inference.token_spans import Array
from dnagpt_hf.interpretation.attention import AttentionMaps, ReceivedAttention
from dnagpt_hf.interpretation.attribution import Attribution
from dnagpt_hf.interpretation.mutagenesis import BASES, Mutagenesis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# rows and columns of an image; a longer sequence is drawn by blocks of its tokens
_PIXELS = 1024
# as many letters can be read below a figure
_LETTERS = 120
# the few cells above this share of all take the colour of the scale's end
_BRIGHTEST = 0.99
# thickness of the bars of regions, in heights of a panel
_BAR = 0.03
# without the red and blue of what speaks for an answer and against it, as long as there are others
_REGION_COLOURS = [COLOURS[place] for place in (2, 5, 4, 3, 6, 0, 1)]
_FOR, _AGAINST, _LINE = "#b2182b", "#2166ac", "#444444"


class Region(NamedTuple):
    """A named part of a sequence: the bases `start` to `end`, from 0 and without `end`."""

    name: str
    start: int
    end: int


def attention_grid(
    maps: AttentionMaps, *, column: str | None = None, regions: Sequence[Region] = ()
) -> Figure:
    """Attention maps of all layers beside each other, as in Fig. S1, or of the heads of one.

    Args:
        maps: several layers whose heads are averaged, several heads of one layer, or, in one row
            for each layer, both.
        column: column of DNA whose bases are the axes; by default the longest one.
        regions: parts of it to be marked.

    Returns:
        A figure with a panel for each map. The colours of each have a scale of their own.

    Example:

        >>> from dnagpt_hf import DNAGPTModel, DNAGPTTokenizer
        >>> from dnagpt_hf.interpretation.attention import attention_maps
        >>> from dnagpt_hf.records.reading import Record
        >>> from dnagpt_hf.presets import preset_config
        >>> model = DNAGPTModel(preset_config("dnagpt-test")).eval()
        >>> record = Record({"sequence": "ACGTACGTACGT"}, "first", "a.fa", 1, 1)
        >>> maps = attention_maps(model, DNAGPTTokenizer(), record, heads="mean")
        >>> figure = attention_grid(maps, regions=[Region("exon", 0, 6)])
        >>> [panel.get_title() for panel in figure.axes]
        ['layer 1', 'layer 2']
    """
    column = maps.record.column(column)
    layers, heads = maps.weights.shape[:2]
    count = layers * heads
    across = heads if layers > 1 and heads > 1 else math.ceil(math.sqrt(count))
    down = math.ceil(count / across)
    size = min(max(10.0 / across, 1.5), 3.4)
    figure = new_figure(size * across, size * down + 0.8)
    panels = list(figure.subplots(down, across, squeeze=False).flat)
    for place, (layer, head) in enumerate(np.ndindex(layers, heads)):
        panel = panels[place]
        _draw_map(panel, maps, layer, head, column)
        _mark(panel, regions, both=True)
        panel.set_title(_title(maps, layer, head), fontsize=9, pad=10)
        is_lowest, is_first = place + across >= count, place % across == 0
        panel.tick_params(labelsize=7, labelbottom=is_lowest, labelleft=is_first)
        panel.set_xlabel("base looked at" if is_lowest else "", fontsize=8)
        panel.set_ylabel("base that looks" if is_first else "", fontsize=8)
    for panel in panels[count:]:
        panel.remove()
    figure.suptitle(f"Attention in {maps.record.record.name}", fontsize=11)
    _legend(figure, regions)
    return figure


def attention_figure(
    maps: AttentionMaps,
    received: ReceivedAttention,
    *,
    layer: int,
    regions: Sequence[Region] = (),
) -> Figure:
    """The attention map of one layer, and what each base gets from the answer, as in Fig. 3e.

    Args:
        maps: the layer's map; heads that are apart are averaged.
        received: attention that the answering position pays to each base, of the same layer.
        layer: number of the layer, from 1.
        regions: parts of the sequence to be marked.

    Raises:
        ValueError: the layer is not among those of `maps` and `received`.
    """
    if layer not in maps.layers or layer not in received.layers:
        raise ValueError(f"layer {layer} is not among the maps: make them with layers=[{layer}]")
    column = received.column
    averaged = maps.weights[maps.layers.index(layer)].mean(0)[None, None]
    figure = new_figure(7.5, 8.5, layout="compressed")
    panel, track = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    mean = AttentionMaps(maps.record, (layer,), "mean", averaged)
    image = _draw_map(panel, mean, 0, 0, column)
    figure.colorbar(image, ax=panel, label="attention per base", extend="max", shrink=0.7)
    panel.set_ylabel(f"base of {column} that looks")
    by_base = received.weights[received.layers.index(layer)].mean(0)
    track.stairs(by_base, _edges(0, len(by_base)), fill=True, color=_LINE)
    track.set_ylabel("attention of\nthe answer")
    track.set_xlabel(
        f"base of {column}, on which the answer has {by_base.sum():.0%} of its attention"
    )
    _mark(panel, regions, both=True)
    _mark(track, regions)
    panel.set_title(f"Attention in {maps.record.record.name}, layer {layer}", pad=14)
    _legend(figure, regions)
    return figure


def track_figure(
    tracks: Sequence[Attribution | Mutagenesis],
    *,
    column: str | None = None,
    regions: Sequence[Region] = (),
) -> Figure:
    """Gradients and mutagenesis under each other, in the coordinates of a sequence.

    Args:
        tracks: of the same record. Where bases of a part were mutated, that part is drawn.
        column: column of DNA; by default the longest one.
        regions: parts of it to be marked.

    Raises:
        ValueError: there are no tracks, or another column was mutated.
    """
    if not tracks:
        raise ValueError("there are no tracks to draw: give one or more")
    scored = tracks[0].scored
    column = scored.placed.column(column)
    bases = scored.placed.columns[column].bases
    mutated = [one for one in tracks if isinstance(one, Mutagenesis)]
    if any(one.column != column for one in mutated):
        raise ValueError(f"column {mutated[0].column!r} was mutated, not {column!r}: draw that one")
    ends = [(one.start, one.end) for one in mutated]
    start = min((one for one, _ in ends), default=0)
    end = max((one for _, one in ends), default=len(bases))
    figure = new_figure(11.0, 0.9 + 2.0 * (len(tracks) + len(ends)))
    panels = figure.subplots(len(tracks) + len(ends), 1, sharex=True, squeeze=False)[:, 0]
    rest = list(panels)
    for one in tracks:
        if isinstance(one, Attribution):
            _draw_signed(rest.pop(0), one.per_base(column)[start:end], start, _name(one))
        else:
            _draw_effects(figure, rest.pop(0), one)
            _draw_signed(rest.pop(0), np.nan_to_num(one.mean_effects), one.start, "mean effect")
    for panel in panels:
        panel.set_xlim(start + 0.5, end + 0.5)
        panel.locator_params(axis="x", integer=True)
        _mark(panel, regions)
    panels[-1].set_xlabel(f"base of {column}")
    _write_letters(panels[-1], bases, start, end)
    figure.suptitle(f"{scored.placed.record.name}: {scored.unit} = {scored.score:.3g}")
    _legend(figure, regions)
    return figure


def _title(maps: AttentionMaps, layer: int, head: int) -> str:
    name = f"layer {maps.layers[layer]}"
    return name if maps.heads == "mean" else f"{name}, head {head + 1}"


def _name(attribution: Attribution) -> str:
    return "gradient x input" if attribution.baseline_score is None else "integrated\ngradients"


def _edges(start: int, end: int) -> Array:
    """Borders of the bases `start` to `end` on an axis that counts from 1."""
    return np.arange(start, end + 1) + 0.5


def _draw_map(axes: Axes, maps: AttentionMaps, layer: int, head: int, column: str) -> Any:
    """One map, whose value for each pair of bases is attention per base that is looked at."""
    weights, tokens = maps.weights[layer, head], maps.record.columns[column].token
    bases, read = len(tokens), np.unique(tokens[tokens >= 0])
    if bases > _PIXELS:
        tokens = tokens[:: int(maps.record.bases_of_token.max())]
    image = _mean_of_blocks(
        maps.record.shares(weights)[np.ix_(tokens, tokens)],
        # what stands behind a token is hidden from it, and so is what was not read
        (tokens > tokens[:, None]) | (tokens < 0) | (tokens < 0)[:, None],
    )
    inside = weights[np.ix_(read, read)].sum() / len(read)
    corner = f"{inside:.0%} within\nthe sequence"
    axes.locator_params(integer=True)
    axes.text(0.97, 0.97, corner, transform=axes.transAxes, fontsize=7, ha="right", va="top")
    return axes.imshow(
        image,
        extent=(0.5, bases + 0.5, bases + 0.5, 0.5),
        vmin=0.0,
        vmax=float(np.quantile(image.compressed(), _BRIGHTEST)),
        cmap="viridis",
        aspect="equal",
    )


def _mean_of_blocks(values: Array, hidden: Array) -> Any:
    """A masked image of no more than `_PIXELS` rows and columns."""
    starts = np.arange(0, len(values), math.ceil(len(values) / _PIXELS))

    def sums(array: Array) -> Array:
        by_row: Array = np.add.reduceat(array, starts, axis=0)
        in_blocks: Array = np.add.reduceat(by_row, starts, axis=1)
        return in_blocks

    shown = sums((~hidden).astype(np.float32))
    means = sums(np.where(hidden, np.float32(0), values)) / np.maximum(shown, 1)
    return np.ma.masked_array(means, shown == 0)


def _draw_signed(axes: Axes, values: Array, start: int, label: str) -> None:
    """Values of bases: red where they speak for the answer, blue where against it."""
    edges = _edges(start, start + len(values))
    axes.stairs(np.maximum(values, 0), edges, fill=True, color=_FOR)
    axes.stairs(np.minimum(values, 0), edges, fill=True, color=_AGAINST)
    axes.axhline(0, color=_LINE, linewidth=0.5)
    axes.set_ylabel(label)


def _draw_effects(figure: Figure, axes: Axes, found: Mutagenesis) -> None:
    """A heat map of four rows, grey where nothing was mutated."""
    largest = float(np.nanmax(np.abs(found.effects), initial=0.0)) or 1.0
    image = axes.imshow(
        np.ma.masked_invalid(found.effects.T),
        extent=(found.start + 0.5, found.end + 0.5, len(BASES) - 0.5, -0.5),
        vmin=-largest,
        vmax=largest,
        cmap="RdBu_r",
        aspect="auto",
        interpolation="nearest",
    )
    axes.set_facecolor("lightgrey")
    axes.set_yticks(range(len(BASES)), list(BASES))
    axes.set_ylabel("substitution")
    figure.colorbar(image, ax=axes, label="effect", pad=0.01)


def _write_letters(axes: Axes, bases: str, start: int, end: int) -> None:
    if end - start > _LETTERS:
        return
    axes.xaxis.remove_overlapping_locs = False
    axes.set_xticks(range(start + 1, end + 1), list(bases[start:end]), minor=True, fontsize=6)
    axes.tick_params(axis="x", which="major", pad=12)


def _mark(axes: Axes, regions: Sequence[Region], both: bool = False) -> None:
    """Coloured bars along the upper edge and, where both axes are bases, the right one."""
    (left, right), colours = axes.get_xlim(), _colours(regions)
    for region in regions:
        start, end = max(region.start + 0.5, left), min(region.end + 0.5, right)
        if start >= end:
            continue
        style = {"color": colours[region.name], "linewidth": 0, "clip_on": False}
        axes.axvspan(start, end, 1.0, 1.0 + _BAR, **style)
        if both:
            axes.axhspan(start, end, 1.0, 1.0 + _BAR, **style)


def _colours(regions: Sequence[Region]) -> dict[str, str]:
    """A colour for each name."""
    names = dict.fromkeys(region.name for region in regions)
    return dict(zip(names, itertools.cycle(_REGION_COLOURS), strict=False))


def _legend(figure: Figure, regions: Sequence[Region]) -> None:
    from matplotlib.patches import Patch

    if not regions:
        return
    patches = [Patch(color=colour, label=name) for name, colour in _colours(regions).items()]
    columns = min(len(patches), max(1, int(figure.get_figwidth() / 1.8)))
    figure.legend(
        handles=patches, loc="outside lower center", ncols=columns, frameon=False, fontsize=8
    )
