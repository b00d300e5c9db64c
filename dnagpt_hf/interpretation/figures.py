"""Figures of attention maps, gradients and mutagenesis in the coordinates of a sequence.

Bases count from 1 on the axes. The figures leave the state of `matplotlib.pyplot` alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dnagpt_hf.evaluation.figures import COLORS, new_figure
from dnagpt_hf.inference.token_spans import Array
from dnagpt_hf.interpretation.attention import AttentionMaps
from dnagpt_hf.interpretation.attribution import Attribution
from dnagpt_hf.interpretation.mutagenesis import BASES, Mutagenesis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# rows and columns of an image; a longer sequence is drawn by blocks of its tokens
_PIXELS = 1024
# more letters below a figure cannot be read
_LETTERS = 120
# the scale ends at this quantile of the cells, as a few bright ones would leave the rest dark
_BRIGHTEST = 0.99
# thickness of the bars of regions, in heights of a panel
_BAR = 0.03
# red and blue come last, as they are the colors of positive and negative effects
_REGION_COLORS = [COLORS[place] for place in (2, 5, 4, 3, 6, 0, 1)]
_FOR, _AGAINST, _LINE = "#b2182b", "#2166ac", "#444444"


class Region(NamedTuple):
    """A named part of a sequence: the bases from `start`, counted from 0, to `end`, excluded."""

    name: str
    start: int
    end: int


def attention_grid(
    maps: AttentionMaps, *, column: str | None = None, regions: Sequence[tuple[str, int, int]] = ()
) -> Figure:
    """Draw attention maps of all layers (paper, Fig. S1), or of the heads of one, in a grid.

    Args:
        maps: several layers with averaged heads, several heads of one layer, or both, with a row
            of panels for each layer.
        column: column of DNA whose bases are the axes; by default the longest one.
        regions: parts of it to be marked: name, first base from 0, and end, excluded.

    Returns:
        A figure with a panel for each map, which has a color scale of its own.

    Example:

        >>> import dnagpt_hf
        >>> model = dnagpt_hf.load("dnagpt-tiny")
        >>> maps = model.attention("ACGTACGTACGT", template="<R>{sequence}", heads="mean")
        >>> figure = dnagpt_hf.attention_grid(maps, regions=[("exon", 0, 6)])
        >>> [panel.get_title() for panel in figure.axes]
        ['layer 1', 'layer 2', 'layer 3', 'layer 4']
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
        of_head = "" if maps.heads == "mean" else f", head {head + 1}"
        panel.set_title(f"layer {maps.layers[layer]}{of_head}", fontsize=9, pad=10)
        is_lowest, is_first = place + across >= count, place % across == 0
        panel.tick_params(labelsize=7, labelbottom=is_lowest, labelleft=is_first)
        panel.set_xlabel("key (base)" if is_lowest else "", fontsize=8)
        panel.set_ylabel("query (base)" if is_first else "", fontsize=8)
    for panel in panels[count:]:
        panel.remove()
    figure.suptitle(f"Attention in {maps.name}", fontsize=11)
    _legend(figure, regions)
    return figure


def attention_figure(
    maps: AttentionMaps,
    answer: AttentionMaps,
    *,
    layer: int,
    column: str | None = None,
    regions: Sequence[tuple[str, int, int]] = (),
) -> Figure:
    """Draw the attention map of one layer above the attention of the answer (paper, Fig. 3e).

    Args:
        maps: the layer's map; separate heads are averaged.
        answer: attention of the answer, of the same layer.
        layer: number of the layer, from 1.
        column: column of DNA whose bases are the axes; by default the longest one.
        regions: parts of the sequence to be marked.

    Raises:
        ValueError: the layer is not among those of `maps` and `answer`.
    """
    if layer not in maps.layers or layer not in answer.layers:
        raise ValueError(f"layer {layer} is not among the maps: make them with layers=[{layer}]")
    column = maps.record.column(column)
    averaged = maps.weights[maps.layers.index(layer)].mean(0)[None, None]
    figure = new_figure(7.5, 8.5, layout="compressed")
    panel, track = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    mean = replace(maps, layers=(layer,), heads="mean", weights=averaged)
    image = _draw_map(panel, mean, 0, 0, column)
    figure.colorbar(image, ax=panel, label="attention per base", extend="max", shrink=0.7)
    panel.set_ylabel(f"query (base of {column})")
    by_base = answer.in_bases(column)[answer.layers.index(layer)].mean(0)
    track.stairs(by_base, _edges(0, len(by_base)), fill=True, color=_LINE)
    track.set_ylabel("attention of\nthe answer")
    track.set_xlabel(
        f"key (base of {column}); the answer has {by_base.sum():.0%} of its attention here"
    )
    _mark(panel, regions, both=True)
    _mark(track, regions)
    panel.set_title(f"Attention in {maps.name}, layer {layer}", pad=14)
    _legend(figure, regions)
    return figure


def track_figure(
    tracks: Sequence[Attribution | Mutagenesis],
    *,
    column: str | None = None,
    regions: Sequence[tuple[str, int, int]] = (),
) -> Figure:
    """Draw gradients and mutagenesis below each other, in the coordinates of a sequence.

    Args:
        tracks: of the same record. The figure shows the mutated part of the sequence.
        column: column of DNA; by default the longest one.
        regions: parts of it to be marked: name, first base from 0, and end, excluded.

    Raises:
        ValueError: there are no tracks, or another column was mutated.

    Example:

        >>> import dnagpt_hf
        >>> model = dnagpt_hf.load("dnagpt-tiny")
        >>> found = model.attribute("ACGTACGTA", template="<R>{sequence}<=><M>")
        >>> figure = dnagpt_hf.track_figure([found], regions=[("start", 0, 3)])
        >>> figure.savefig("tracks.png")  # doctest: +SKIP
    """
    if not tracks:
        raise ValueError("there are no tracks to draw: give one or more")
    scored = tracks[0].scored
    column = scored.tokenized.column(column)
    bases = scored.tokenized.columns[column].bases
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
            name = "gradient x input" if one.baseline_score is None else "integrated\ngradients"
            _draw_signed(rest.pop(0), one.per_base(column)[start:end], start, name)
        else:
            _draw_effects(figure, rest.pop(0), one)
            _draw_signed(rest.pop(0), np.nan_to_num(one.mean_effects), one.start, "mean effect")
    for panel in panels:
        panel.set_xlim(start + 0.5, end + 0.5)
        panel.locator_params(axis="x", integer=True)
        _mark(panel, regions)
    panels[-1].set_xlabel(f"base of {column}")
    if end - start <= _LETTERS:
        panels[-1].xaxis.remove_overlapping_locs = False
        letters = list(bases[start:end])
        panels[-1].set_xticks(range(start + 1, end + 1), letters, minor=True, fontsize=6)
        panels[-1].tick_params(axis="x", which="major", pad=12)
    figure.suptitle(f"{scored.tokenized.record.name}: {scored.unit} = {scored.score:.3g}")
    _legend(figure, regions)
    return figure


def _edges(start: int, end: int) -> Array:
    """Give the borders of the bases `start` to `end` on an axis that counts from 1."""
    return np.arange(start, end + 1) + 0.5


def _draw_map(axes: Axes, maps: AttentionMaps, layer: int, head: int, column: str) -> Any:
    """Draw one map, whose value for a pair of bases is the attention per base of the key."""
    weights, tokens = maps.weights[layer, head], maps.record.columns[column].token
    bases, read = len(tokens), np.unique(tokens[tokens >= 0])
    if bases > _PIXELS:
        tokens = tokens[:: int(maps.record.bases_of_token.max())]
    image = _mean_of_blocks(
        maps.record.shares(weights)[np.ix_(tokens, tokens)],
        # later tokens are hidden from a token, and bases that were not read from all
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
    """Shrink a masked image to at most `_PIXELS` rows and columns."""
    starts = np.arange(0, len(values), math.ceil(len(values) / _PIXELS))

    def sums(array: Array) -> Array:
        by_row: Array = np.add.reduceat(array, starts, axis=0)
        in_blocks: Array = np.add.reduceat(by_row, starts, axis=1)
        return in_blocks

    shown = sums((~hidden).astype(np.float32))
    means = sums(np.where(hidden, np.float32(0), values)) / np.maximum(shown, 1)
    return np.ma.masked_array(means, shown == 0)


def _draw_signed(axes: Axes, values: Array, start: int, label: str) -> None:
    """Draw values of bases, red where they raise the score and blue where they lower it."""
    edges = _edges(start, start + len(values))
    axes.stairs(np.maximum(values, 0), edges, fill=True, color=_FOR)
    axes.stairs(np.minimum(values, 0), edges, fill=True, color=_AGAINST)
    axes.axhline(0, color=_LINE, linewidth=0.5)
    axes.set_ylabel(label)


def _draw_effects(figure: Figure, axes: Axes, found: Mutagenesis) -> None:
    """Draw a heat map of four rows, gray where nothing was mutated."""
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


def _mark(axes: Axes, regions: Sequence[tuple[str, int, int]], both: bool = False) -> None:
    """Mark regions along the upper edge and, where both axes are bases, the right one."""
    (left, right), colors = axes.get_xlim(), _colors(regions)
    for name, first, behind in regions:
        start, end = max(first + 0.5, left), min(behind + 0.5, right)
        if start >= end:
            continue
        style = {"color": colors[name], "linewidth": 0, "clip_on": False}
        axes.axvspan(start, end, 1.0, 1.0 + _BAR, **style)
        if both:
            axes.axhspan(start, end, 1.0, 1.0 + _BAR, **style)


def _colors(regions: Sequence[tuple[str, int, int]]) -> dict[str, str]:
    """Choose a color for each name."""
    names = dict.fromkeys(name for name, _, _ in regions)
    return dict(zip(names, itertools.cycle(_REGION_COLORS), strict=False))


def _legend(figure: Figure, regions: Sequence[tuple[str, int, int]]) -> None:
    from matplotlib.patches import Patch

    if not regions:
        return
    patches = [Patch(color=color, label=name) for name, color in _colors(regions).items()]
    columns = min(len(patches), max(1, int(figure.get_figwidth() / 1.8)))
    figure.legend(
        handles=patches, loc="outside lower center", ncols=columns, frameon=False, fontsize=8
    )
