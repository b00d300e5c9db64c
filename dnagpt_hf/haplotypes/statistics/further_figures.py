"""Figures of what Yelmen et al. (2021) add to the paper, and of populations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from dnagpt_hf.haplotypes.statistics.distances import Counts
from dnagpt_hf.haplotypes.statistics.evaluation import HaplotypeEvaluation, SetEvaluation
from dnagpt_hf.haplotypes.statistics.figure_panels import REAL_COLOR, panel_row, set_colors
from dnagpt_hf.haplotypes.statistics.three_point import RANDOM

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def adversarial_figure(evaluation: HaplotypeEvaluation) -> Figure:
    """AATS and its two parts, and the privacy score."""
    figure, (left, right) = panel_row(2, width=12, height=3.6)
    names = [one.name for one in evaluation.sets]
    places = np.arange(len(names))
    parts: tuple[tuple[str, str, Callable[[SetEvaluation], float]], ...] = (
        ("AATS", "#1f77b4", lambda one: one.adversarial.both),
        ("AA truth", "#aec7e8", lambda one: one.adversarial.truth),
        ("AA synthetic", "#c7c7c7", lambda one: one.adversarial.synthetic),
    )
    for number, (label, color, value) in enumerate(parts):
        heights = [value(one) for one in evaluation.sets]
        left.bar(places + 0.27 * (number - 1), heights, 0.25, color=color, label=label)
    left.axhline(0.5, color="black", linewidth=0.8)
    left.set_ylim(0, 1.15)
    left.legend(fontsize=7, frameon=False, ncols=3, loc="upper left")
    left.set_title("adversarial accuracy", fontsize=9)
    scores = [float("nan") if one.privacy is None else one.privacy for one in evaluation.sets]
    right.bar(places, scores, 0.5, color="#1f77b4")
    right.axhline(0, color="black", linewidth=0.8)
    # small scores are to look small
    highest = max([0.1, *(1.2 * abs(one) for one in scores if not np.isnan(one))])
    right.set_ylim(-highest, highest)
    right.set_title("privacy score (test − training)", fontsize=9)
    if np.isnan(scores).all():
        right.text(
            0.5,
            0.5,
            "needs a test part of its own",
            transform=right.transAxes,
            ha="center",
            fontsize=8,
        )
    for axes in (left, right):
        axes.set_xticks(places, names, rotation=20, ha="right", fontsize=8)
    return figure


def ibs_tracts_figure(evaluation: HaplotypeEvaluation) -> Figure:
    """What pairs of sites do not show: three-point correlations, and stretches."""
    figure, (left, right) = panel_row(2, width=12, height=3.6)
    colors = set_colors(evaluation)
    gaps = [one.gap for one in evaluation.sets[0].triplets]
    for one in evaluation.sets:
        values = [triplet.correlation for triplet in one.triplets]
        left.plot(values, color=colors[one.name], marker="o", markersize=4, label=one.name)
    left.set_xticks(range(len(gaps)), ["anywhere" if gap == RANDOM else str(gap) for gap in gaps])
    left.axhline(0, color="black", linewidth=0.5)
    left.set_xlabel("sites between three sites", fontsize=8)
    left.set_ylabel("correlation with the real set", fontsize=8)
    left.legend(fontsize=7, frameon=False)
    drawn_real = False
    for one in evaluation.sets:
        if one.stretches is None:
            continue
        if not drawn_real:
            _draw_tail(right, one.stretches.real_counts, REAL_COLOR, 2.2)
            drawn_real = True
        _draw_tail(right, one.stretches.other_counts, colors[one.name], 1.2)
    right.set_xscale("log")
    right.set_xlabel("sites of a stretch without a difference", fontsize=8)
    right.set_ylabel("share of the sites", fontsize=8)
    return figure


def _draw_tail(axes: Axes, counts: Counts, color: str, width: float) -> None:
    total = counts.sum()
    if total:
        longest = int(np.flatnonzero(counts)[-1]) + 1
        tail = 1 - np.r_[0, np.cumsum(counts)[: longest - 1]] / total
        axes.plot(np.arange(1, longest), tail[1:], color=color, linewidth=width)


def populations_figure(evaluation: HaplotypeEvaluation) -> Figure:
    """Share of each population in the real set and in every other one."""
    figure, (axes,) = panel_row(1, width=9, height=3.6)
    known = [one for one in evaluation.sets if one.populations]
    names = [one.population for one in known[0].populations]
    bars = [("real", REAL_COLOR, [one.real_share for one in known[0].populations])]
    colors = set_colors(evaluation)
    for one in known:
        shares = [population.other_share for population in one.populations]
        bars.append((one.name, colors[one.name], shares))
    width = 0.8 / len(bars)
    for number, (label, color, heights) in enumerate(bars):
        places = np.arange(len(names)) + width * (number - (len(bars) - 1) / 2)
        axes.bar(places, heights, width, color=color, label=label)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("share of the haplotypes")
    axes.legend(fontsize=7, frameon=False)
    return figure
