"""Figures of an evaluation of artificial genomes, as in the paper (Fig. 4, 5 and 6g).

They are made without `matplotlib.pyplot`, so that no state of it is touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.haplotypes.statistics.distances import Counts
from dnagpt_hf.haplotypes.statistics.evaluation import HaplotypeEvaluation, SetEvaluation
from dnagpt_hf.haplotypes.statistics.figure_panels import (
    REAL_COLOR,
    panel_grid,
    panel_row,
    set_colors,
)
from dnagpt_hf.haplotypes.statistics.frequencies import RARE
from dnagpt_hf.haplotypes.statistics.further_figures import (
    adversarial_figure,
    ibs_tracts_figure,
    populations_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# haplotypes that are drawn as points; the contours are of all
_POINTS = 1000
_GRID = 120
# shares of the haplotypes that lie within the contours
_SHARES = (0.95, 0.8, 0.6, 0.4, 0.2)
_DISTANCE_BINS = 80


def figures(evaluation: HaplotypeEvaluation) -> Iterator[tuple[str, str, Figure]]:
    """Name, caption and figure of everything that can be shown.

    Raises:
        ImportError: matplotlib or scipy is not installed.
    """
    yield "components", _COMPONENTS, pca_figure(evaluation)
    yield "frequencies", _FREQUENCIES, frequencies_figure(evaluation)
    if evaluation.linkage is not None:
        yield "linkage", _LINKAGE, linkage_figure(evaluation)
        if evaluation.linkage.edges is not None:
            yield "decay", _DECAY, decay_figure(evaluation)
    yield "distances", _DISTANCES, distances_figure(evaluation)
    yield "adversarial", _ADVERSARIAL, adversarial_figure(evaluation)
    yield "stretches", _STRETCHES, ibs_tracts_figure(evaluation)
    if any(one.populations for one in evaluation.sets):
        yield "populations", _POPULATIONS, populations_figure(evaluation)


_COMPONENTS = (
    "Principal components of real haplotypes and each set together: contours that hold 95, 80, 60, "
    "40 and 20 % of the real haplotypes (grey) and of the set (coloured), and points of the set."
)
_FREQUENCIES = (
    f"Allele frequencies of each set against the real ones; below, sites with a real frequency of "
    f"{RARE} or less."
)
_LINKAGE = (
    "Linkage disequilibrium r². Above: of the real haplotypes, then its difference in each set to "
    "the real one (red: too strong, blue: too weak). Below: r² of all pairs of sites in each set "
    "against the real one, coloured by the number of pairs."
)
_DECAY = (
    "Mean r² against the distance between two sites of a chromosome, in 50 bins, over the sites "
    "that vary in every set."
)
_DISTANCES = (
    "Sites at which two haplotypes differ: within each set, between real haplotypes and each set, "
    "and from each haplotype to the nearest real one."
)
_ADVERSARIAL = (
    "Nearest-neighbour adversarial accuracy against the training part: 0.5 is best, above the set "
    "can be told from real haplotypes, below it copies them."
)
_STRETCHES = (
    "Left: correlation of three-point correlations with the real ones, by the number of sites "
    "between the three. Right: share of the sites that lie in a stretch of at least so many sites "
    "over which two haplotypes of a set are the same."
)
_POPULATIONS = (
    "Share of each population; haplotypes that state none count to that of the nearest real one."
)


def pca_figure(evaluation: HaplotypeEvaluation) -> Figure:
    """Principal components 1 and 2, 3 and 4, 5 and 6 of each set (paper, Fig. 4a)."""
    colors = set_colors(evaluation)
    figure, panels = panel_grid(3, len(evaluation.sets))
    for column, one in enumerate(evaluation.sets):
        for row in range(3):
            axes, pair = panels[row, column], [2 * row, 2 * row + 1]
            _draw_components(axes, one, pair, colors[one.name])
            explained = one.components.explained[pair]
            axes.set_xlabel(f"PC{pair[0] + 1} ({explained[0]:.1%})", fontsize=7)
            axes.set_ylabel(f"PC{pair[1] + 1} ({explained[1]:.1%})", fontsize=7)
        panels[0, column].set_title(
            f"{one.name}\nWasserstein {one.components.mean:.3g}", fontsize=9
        )
    return figure


def _draw_components(axes: Axes, one: SetEvaluation, pair: list[int], color: str) -> None:
    real, other = one.components.real[:, pair], one.components.other[:, pair]
    both = np.concatenate([real, other])
    low, high = both.min(axis=0), both.max(axis=0)
    margin = 0.08 * (high - low) + 1e-9
    extent = np.stack([low - margin, high + margin], axis=1)
    points = other[:: max(1, len(other) // _POINTS)]
    axes.scatter(
        points[:, 0], points[:, 1], s=2, color=color, alpha=0.25, linewidths=0, rasterized=True
    )
    for scores, shade in ((real, REAL_COLOR), (other, color)):
        x, y, density = _density(scores, extent)
        levels = _levels(density)
        if len(levels):
            axes.contour(x, y, density, levels=levels, colors=shade, linewidths=0.8, alpha=0.9)
    axes.set_xlim(*extent[0])
    axes.set_ylim(*extent[1])


def _density(
    scores: NDArray[np.float64], extent: NDArray[np.float64]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """A Gaussian density on a grid.

    Populations lie in clusters, for which Scott's rule is too wide: half its width is used.
    """
    from scipy.ndimage import gaussian_filter

    counts, x, y = np.histogram2d(scores[:, 0], scores[:, 1], _GRID, extent.tolist())
    scott = scores.std(axis=0) * len(scores) ** (-1 / 6)
    width = 0.5 * scott * _GRID / np.ptp(extent, axis=1)
    density = gaussian_filter(counts, width.clip(0.5), mode="constant")
    return (x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2, density.T


def _levels(density: NDArray[Any]) -> NDArray[Any]:
    """The densities above which given shares of all haplotypes lie, ascending."""
    ordered = np.sort(density, axis=None)[::-1]
    within = np.cumsum(ordered) / max(ordered.sum(), 1e-300)
    places = np.searchsorted(within, _SHARES).clip(max=len(ordered) - 1)
    levels = np.unique(ordered[places])
    return levels[(levels > 0) & (levels < ordered[0])]


def frequencies_figure(evaluation: HaplotypeEvaluation) -> Figure:
    """Allele frequencies of each set against the real ones (paper, Fig. 4b and c)."""
    colors = set_colors(evaluation)
    figure, panels = panel_grid(2, len(evaluation.sets))
    for column, one in enumerate(evaluation.sets):
        compared = one.frequencies
        for row, (end, found) in enumerate(
            ((1.0, compared.correlation), (RARE, compared.rare_correlation))
        ):
            axes, shown = panels[row, column], compared.real <= end
            axes.plot([0, end], [0, end], color="black", linewidth=0.7, linestyle="--")
            axes.scatter(
                compared.real[shown],
                compared.other[shown],
                s=3,
                color=colors[one.name],
                alpha=0.4,
                linewidths=0,
                rasterized=True,
            )
            axes.set_title(f"{one.name if row == 0 else ''}\nr = {found:.3f}", fontsize=9)
            axes.set_xlabel("frequency in real haplotypes", fontsize=7)
        panels[0, column].set_ylim(-0.02, 1.02)
    return figure


def linkage_figure(evaluation: HaplotypeEvaluation) -> Figure:
    """LD of the real set, the differences to it, and r² against r² (paper, Fig. 5a and b)."""
    linkage = evaluation.linkage
    if linkage is None:
        raise ValueError(
            "fewer than two sites vary in all sets, so that there is no linkage to show"
        )
    figure, panels = panel_grid(2, len(evaluation.sets) + 1)
    picture = linkage.real.picture
    # few pairs are strongly linked: a scale to the highest pixels would show nothing else
    most = float(np.nanquantile(picture, 0.995)) or 1.0
    shown = panels[0, 0].imshow(picture, cmap="magma_r", vmin=0, vmax=most)
    figure.colorbar(shown, ax=panels[0, 0], shrink=0.7).ax.tick_params(labelsize=6)
    panels[0, 0].set_title("real: r²", fontsize=9)
    panels[1, 0].axis("off")
    for column, (name, one) in enumerate(linkage.others.items(), start=1):
        difference = one.picture - picture
        shown = panels[0, column].imshow(difference, cmap="RdBu_r", vmin=-most, vmax=most)
        panels[0, column].set_title(f"{name} − real", fontsize=9)
        _draw_cells(panels[1, column], one.cells, one.correlation)
    figure.colorbar(shown, ax=panels[0, -1], shrink=0.7).ax.tick_params(labelsize=6)
    for axes in panels[0]:
        axes.set_xticks([])
        axes.set_yticks([])
    return figure


def _draw_cells(axes: Axes, cells: NDArray[np.int64], correlation: float) -> None:
    from matplotlib.colors import LogNorm

    # rows are real r², which is to lie on the horizontal axis
    pairs = np.where(cells > 0, cells, np.nan).T
    axes.imshow(
        pairs, origin="lower", extent=(0, 1, 0, 1), cmap="viridis", norm=LogNorm(), aspect="auto"
    )
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.7, linestyle="--")
    axes.set_title(f"r = {correlation:.3f}", fontsize=9)
    axes.set_xlabel("r² in real haplotypes", fontsize=7)


def decay_figure(evaluation: HaplotypeEvaluation) -> Figure:
    """Mean r² against distance (paper, Fig. 6g)."""
    linkage = evaluation.linkage
    if linkage is None or linkage.edges is None or linkage.real.decay is None:
        raise ValueError("it is not known where the sites lie, so that there is no decay to show")
    figure, (axes,) = panel_row(1, width=7, height=4)
    centres = np.sqrt(linkage.edges[1:] * linkage.edges[:-1])
    curves = [("real", linkage.real.decay, REAL_COLOR, 2.2)]
    colors = set_colors(evaluation)
    for name, one in linkage.others.items():
        if one.decay is not None:
            curves.append((name, one.decay, colors[name], 1.2))
    for name, decay, color, width in curves:
        filled = ~np.isnan(decay)
        axes.plot(
            centres[filled],
            decay[filled],
            color=color,
            linewidth=width,
            label=name,
            marker=".",
            markersize=3,
        )
    axes.set_xscale("log")
    axes.set_xlabel("distance between two sites (bp)")
    axes.set_ylabel("mean r²")
    axes.legend(fontsize=8, frameon=False)
    return figure


def distances_figure(evaluation: HaplotypeEvaluation) -> Figure:
    """Distances within sets, between them and real haplotypes, and to the nearest real one."""
    figure, panels = panel_row(3, width=12, height=3.6)
    colors = set_colors(evaluation)
    first = evaluation.sets[0].distances
    curves: list[tuple[str, str, float, list[Counts]]] = [
        (
            "real",
            REAL_COLOR,
            2.2,
            [first.real_counts, first.real_counts, _counted(first.real_nearest)],
        )
    ]
    for one in evaluation.sets:
        found = one.distances
        shown = [found.within_counts, found.between_counts, _counted(found.nearest)]
        curves.append((one.name, colors[one.name], 1.2, shown))
    titles = ("within a set", "to real haplotypes", "to the nearest real haplotype")
    for panel, (axes, title) in enumerate(zip(panels, titles, strict=True)):
        edges = _edges([counts[panel] for *_, counts in curves])
        for name, color, width, counts in curves:
            shares = _shares(counts[panel], edges)
            middle = (edges[1:] + edges[:-1]) / 2
            axes.plot(middle, shares, color=color, linewidth=width, label=name)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("sites that differ", fontsize=8)
        axes.set_yticks([])
    panels[0].legend(fontsize=7, frameon=False)
    return figure


def _counted(distances: NDArray[np.float32]) -> Counts:
    return np.bincount(distances.astype(np.int64))


def _edges(counts: list[Counts]) -> NDArray[np.float64]:
    """Edges of bins of whole width over all distances that occur."""
    found = np.concatenate([np.flatnonzero(one) for one in counts])
    low, high = int(found.min()), int(found.max()) + 1
    step = max(1, -(-(high - low) // _DISTANCE_BINS))
    return np.arange(low, high + step, step, dtype=np.float64) - 0.5


def _shares(counts: Counts, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    sums = np.r_[0, np.cumsum(counts)]
    below = sums[np.ceil(edges).astype(np.int64).clip(0, len(counts))]
    return np.diff(below) / counts.sum() / np.diff(edges)
