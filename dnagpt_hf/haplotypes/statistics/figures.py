"""Figures of an evaluation of artificial genomes, as in the paper (Fig. 4, 5 and 6g)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from dnagpt_hf.evaluation.figures import new_figure
from dnagpt_hf.haplotypes.statistics.evaluation import HaplotypeEvaluation
from dnagpt_hf.haplotypes.statistics.frequencies import RARE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_REAL_COLOR = "#333333"
_COLORS = {
    "generated": ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#e377c2", "#17becf"),
    "test": ("#00a087",),
    "generator": ("#ff7f0e", "#bcbd22", "#8c564b"),
}
# inches of a panel of a grid
_PANEL = 2.5
# haplotypes that are drawn as points; the contours are of all
_POINTS = 1000
_GRID = 120
# shares of the haplotypes that lie within the contours
_SHARES = (0.95, 0.8, 0.6, 0.4, 0.2)
_DISTANCE_BINS = 80

# name, and values on both axes
Curve = tuple[str, NDArray[Any], NDArray[Any]]


def figures(evaluation: HaplotypeEvaluation) -> Iterator[tuple[str, str, Figure]]:
    """Draw all figures for which there is data.

    Yields:
        Name, caption and figure.
    """
    for name, (draw, caption) in _FIGURES.items():
        figure = draw(evaluation)
        if figure is not None:
            yield name, caption, figure


def pca_figure(evaluation: HaplotypeEvaluation) -> Figure:
    """Draw principal components 1 and 2, 3 and 4, 5 and 6 of each set (paper, Fig. 4a)."""
    colors = _colors(evaluation)
    figure, panels = _grid(3, len(evaluation.sets))
    for one, column in zip(evaluation.sets, panels.T, strict=True):
        for pair, axes in zip(((0, 1), (2, 3), (4, 5)), column, strict=True):
            x, y = (f"PC{i + 1} ({one.pca.explained[i]:.1%})" for i in pair)
            axes.set_xlabel(x, fontsize=7)
            axes.set_ylabel(y, fontsize=7)
            _draw_clouds(axes, one.pca.real[:, pair], one.pca.other[:, pair], colors[one.name])
        column[0].set_title(f"{one.name}\nWasserstein {one.pca.mean:.3g}", fontsize=9)
    return figure


def _draw_clouds(axes: Axes, real: NDArray[Any], other: NDArray[Any], color: str) -> None:
    both = np.concatenate([real, other])
    margin = 0.08 * np.ptp(both, axis=0) + 1e-9
    # (2, 2): ends of both axes
    extent = np.stack([both.min(axis=0) - margin, both.max(axis=0) + margin], axis=1)
    x, y = other[:: max(1, len(other) // _POINTS)].T
    _points(axes, x, y, size=2, color=color, alpha=0.25)
    for scores, shade in ((real, _REAL_COLOR), (other, color)):
        counts, x, y = np.histogram2d(scores[:, 0], scores[:, 1], _GRID, extent.tolist())
        # populations lie in clusters, for which Scott's rule is too wide: half its width is used
        scott = scores.std(axis=0) * len(scores) ** (-1 / 6)
        width = 0.5 * scott * _GRID / np.ptp(extent, axis=1)
        density = gaussian_filter(counts, width.clip(0.5), mode="constant").T
        # the densities above which given shares of all haplotypes lie
        ordered = np.sort(density, axis=None)[::-1]
        ranks = np.searchsorted(np.cumsum(ordered) / max(ordered.sum(), 1e-300), _SHARES)
        levels = np.unique(ordered[ranks.clip(max=len(ordered) - 1)])
        levels = levels[(levels > 0) & (levels < ordered[0])]
        if len(levels):
            centers = (x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2
            axes.contour(*centers, density, levels=levels, colors=shade, linewidths=0.8, alpha=0.9)
    axes.set_xlim(*extent[0])
    axes.set_ylim(*extent[1])


def frequencies_figure(evaluation: HaplotypeEvaluation) -> Figure:
    """Draw allele frequencies of each set against the real ones (paper, Fig. 4b and c)."""
    colors = _colors(evaluation)
    figure, panels = _grid(2, len(evaluation.sets))
    for one, (above, below) in zip(evaluation.sets, panels.T, strict=True):
        compared = one.frequencies
        for axes, title, end, found in (
            (above, one.name, 1.0, compared.correlation),
            (below, "", RARE, compared.rare_correlation),
        ):
            shown = compared.real <= end
            _draw_diagonal(axes, end)
            x, y = compared.real[shown], compared.other[shown]
            _points(axes, x, y, size=3, color=colors[one.name], alpha=0.4)
            axes.set_title(f"{title}\nr = {found:.3f}", fontsize=9)
            axes.set_xlabel("frequency in real haplotypes", fontsize=7)
        above.set_ylim(-0.02, 1.02)
    return figure


def linkage_figure(evaluation: HaplotypeEvaluation) -> Figure | None:
    """Draw LD of the real set, the differences to it, and r² against r² (paper, Fig. 5a and b)."""
    linkage = evaluation.linkage
    if linkage is None:
        return None
    figure, panels = _grid(2, len(linkage.others) + 1)
    picture = linkage.real.picture
    # few pairs are strongly linked: a scale to the highest pixels would show nothing else
    most = float(np.nanquantile(picture, 0.995)) or 1.0
    images = [panels[0, 0].imshow(picture, cmap="magma_r", vmin=0, vmax=most)]
    panels[0, 0].set_title("real: r²", fontsize=9)
    panels[1, 0].axis("off")
    for (name, one), (above, below) in zip(linkage.others.items(), panels.T[1:], strict=True):
        images.append(above.imshow(one.picture - picture, cmap="RdBu_r", vmin=-most, vmax=most))
        above.set_title(f"{name} − real", fontsize=9)
        # rows are real r², which is to lie on the horizontal axis
        pairs = np.where(one.cells > 0, one.cells, np.nan).T
        below.imshow(pairs, origin="lower", extent=(0, 1, 0, 1), norm="log", aspect="auto")
        _draw_diagonal(below, 1)
        below.set_title(f"r = {one.correlation:.3f}", fontsize=9)
        below.set_xlabel("r² in real haplotypes", fontsize=7)
    for axes, image in ((panels[0, 0], images[0]), (panels[0, -1], images[-1])):
        figure.colorbar(image, ax=axes, shrink=0.7).ax.tick_params(labelsize=6)
    for axes in panels[0]:
        axes.set(xticks=[], yticks=[])
    return figure


def decay_figure(evaluation: HaplotypeEvaluation) -> Figure | None:
    """Draw mean r² against distance (paper, Fig. 6g)."""
    linkage = evaluation.linkage
    if linkage is None or linkage.edges is None:
        return None
    figure, (axes,) = _row(1, width=7, height=4)
    centers = np.sqrt(linkage.edges[1:] * linkage.edges[:-1])
    curves: list[Curve] = []
    for name, one in {"real": linkage.real, **linkage.others}.items():
        decay: Any = one.decay
        filled = ~np.isnan(decay)
        curves.append((name, centers[filled], decay[filled]))
    _draw_curves(axes, evaluation, curves, marker=".", markersize=3)
    axes.set(xscale="log", xlabel="distance between two sites (bp)", ylabel="mean r²")
    axes.legend(fontsize=8, frameon=False)
    return figure


def distances_figure(evaluation: HaplotypeEvaluation) -> Figure:
    """Draw distances within sets, from them to real haplotypes, and to the nearest real one."""
    figure, panels = _row(3, width=12, height=3.6)
    first = evaluation.sets[0].distances
    every = [one.distances for one in evaluation.sets]
    real_nearest, *nearest = (
        np.bincount(one.astype(np.int64))
        for one in (first.real_nearest, *(one.nearest for one in every))
    )
    shown = {
        "within a set": [first.real_counts, *(one.within_counts for one in every)],
        "to real haplotypes": [first.real_counts, *(one.between_counts for one in every)],
        "to the nearest real haplotype": [real_nearest, *nearest],
    }
    for axes, (title, counts) in zip(panels, shown.items(), strict=True):
        found = np.concatenate([np.flatnonzero(one) for one in counts])
        # bins of whole width over all distances that occur
        step = -(-(np.ptp(found) + 1) // _DISTANCE_BINS)
        edges = np.arange(found.min(), found.max() + 1 + step, step) - 0.5
        shares = [
            np.histogram(np.arange(len(one)), edges, weights=one, density=True)[0] for one in counts
        ]
        names, middle = _colors(evaluation), (edges[1:] + edges[:-1]) / 2
        curves = [(name, middle, one) for name, one in zip(names, shares, strict=True)]
        _draw_curves(axes, evaluation, curves)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("sites that differ", fontsize=8)
        axes.set_yticks([])
    panels[0].legend(fontsize=7, frameon=False)
    return figure


def adversarial_figure(evaluation: HaplotypeEvaluation) -> Figure:
    """Draw AATS and its two parts, and the privacy score."""
    figure, (left, right) = _row(2, width=12, height=3.6)
    names = [one.name for one in evaluation.sets]
    accuracies = [one.adversarial for one in evaluation.sets]
    parts = [
        ("AATS", "#1f77b4", [one.aats for one in accuracies]),
        ("AA truth", "#aec7e8", [one.truth for one in accuracies]),
        ("AA synthetic", "#c7c7c7", [one.synthetic for one in accuracies]),
    ]
    _draw_bars(left, names, parts)
    left.axhline(0.5, color="black", linewidth=0.8)
    left.set_ylim(0, 1.15)
    left.legend(fontsize=7, frameon=False, ncols=3, loc="upper left")
    left.set_title("adversarial accuracy", fontsize=9)
    scores = [np.nan if one.privacy is None else one.privacy for one in evaluation.sets]
    _draw_bars(right, names, [("privacy", "#1f77b4", scores)])
    right.axhline(0, color="black", linewidth=0.8)
    # small scores are to look small
    highest = np.nanmax([0.1, *(1.2 * np.abs(scores))])
    right.set_ylim(-highest, highest)
    right.set_title("privacy score (test − training)", fontsize=9)
    if np.isnan(scores).all():
        note = "needs a test split of its own"
        right.text(0.5, 0.5, note, transform=right.transAxes, ha="center", fontsize=8)
    for axes in (left, right):
        axes.tick_params(axis="x", labelrotation=20)
    return figure


def ibs_tracts_figure(evaluation: HaplotypeEvaluation) -> Figure:
    """Draw statistics beyond pairs of sites: three-point correlations, and IBS tracts."""
    figure, (left, right) = _row(2, width=12, height=3.6)
    gaps = [one.gap for one in evaluation.sets[0].three_point]
    steps = np.arange(len(gaps))
    correlations = [
        (one.name, steps, np.asarray([point.correlation for point in one.three_point]))
        for one in evaluation.sets
    ]
    _draw_curves(left, evaluation, correlations, marker="o", markersize=4)
    left.set_xticks(steps, ["anywhere" if gap == "random" else str(gap) for gap in gaps])
    left.axhline(0, color="black", linewidth=0.5)
    left.set_xlabel("sites between three sites", fontsize=8)
    left.set_ylabel("correlation with the real set", fontsize=8)
    left.legend(fontsize=7, frameon=False)
    tracts = {"real": evaluation.sets[0].ibs_tracts.real_counts}
    tracts |= {one.name: one.ibs_tracts.other_counts for one in evaluation.sets}
    # share of the sites in tracts of at least each length that occurs
    tails = [
        (name, np.arange(1, longest + 1), 1 - np.cumsum(counts)[:longest] / counts.sum())
        for name, counts in tracts.items()
        for longest in np.flatnonzero(counts)[-1:]
    ]
    _draw_curves(right, evaluation, tails)
    right.set_xscale("log")
    right.set_xlabel("sites of an IBS tract", fontsize=8)
    right.set_ylabel("share of the sites", fontsize=8)
    return figure


def populations_figure(evaluation: HaplotypeEvaluation) -> Figure | None:
    """Draw the share of each population in the real set and in every other one."""
    first, colors = evaluation.sets[0].populations, _colors(evaluation)
    if not first:
        return None
    figure, (axes,) = _row(1, width=9, height=3.6)
    bars = [("real", _REAL_COLOR, [population.real_share for population in first])]
    for one in evaluation.sets:
        shares = [population.other_share for population in one.populations]
        bars.append((one.name, colors[one.name], shares))
    _draw_bars(axes, [population.population for population in first], bars)
    axes.set_ylabel("share of the haplotypes")
    axes.legend(fontsize=7, frameon=False)
    return figure


# each figure by its name, with its caption
_FIGURES: dict[str, tuple[Callable[[HaplotypeEvaluation], Figure | None], str]] = {
    "pca": (
        pca_figure,
        "Principal components of real haplotypes and each set together: contours that hold 95, 80, "
        "60, 40 and 20 % of the real haplotypes (gray) and of the set (colored), and points of the "
        "set.",
    ),
    "frequencies": (
        frequencies_figure,
        "Allele frequencies of each set against the real ones; below, sites with a real frequency "
        f"of {RARE} or less.",
    ),
    "linkage": (
        linkage_figure,
        "Linkage disequilibrium r². Above: real haplotypes, then the difference of each set to "
        "them (red: too strong, blue: too weak). Below: r² of all pairs of sites in each set "
        "against the real r², colored by the number of pairs.",
    ),
    "decay": (
        decay_figure,
        "Mean r² against the distance between two sites of a chromosome, in 50 bins, over the "
        "sites that vary in every set.",
    ),
    "distances": (
        distances_figure,
        "Sites at which two haplotypes differ: within each set, between real haplotypes and each "
        "set, and from each haplotype to the nearest real one.",
    ),
    "adversarial": (
        adversarial_figure,
        "Nearest-neighbor adversarial accuracy against the training split: 0.5 is best; above, the "
        "set can be told from real haplotypes; below, it copies them.",
    ),
    "ibs_tracts": (
        ibs_tracts_figure,
        "Left: correlation of three-point correlations with the real ones, by the number of sites "
        "between the three. Right: share of the sites in IBS tracts of at least a length, that is, "
        "runs of sites at which two haplotypes of a set are equal.",
    ),
    "populations": (
        populations_figure,
        "Share of each population; haplotypes without one count to that of the nearest real "
        "haplotype.",
    ),
}


def _colors(evaluation: HaplotypeEvaluation) -> dict[str, str]:
    """Choose a color for the real set and each other one, by name."""
    choices = {kind: iter(colors * len(evaluation.sets)) for kind, colors in _COLORS.items()}
    return {"real": _REAL_COLOR, **{one.name: next(choices[one.kind]) for one in evaluation.sets}}


def _grid(rows: int, columns: int) -> tuple[Figure, NDArray[Any]]:
    """Make a figure of small panels: `(rows, columns)`."""
    figure = new_figure(_PANEL * columns, _PANEL * rows)
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        axes.tick_params(labelsize=6)
    return figure, panels


def _row(columns: int, width: float, height: float) -> tuple[Figure, NDArray[Any]]:
    """Make a figure of panels beside each other, of a size in inches: `(columns,)`."""
    figure = new_figure(width, height)
    panels = figure.subplots(1, columns, squeeze=False)[0]
    for axes in panels:
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels


def _draw_curves(
    axes: Axes, evaluation: HaplotypeEvaluation, curves: Iterable[Curve], **style: Any
) -> None:
    """Draw a line for each set in its color, that of the real set broader."""
    colors = _colors(evaluation)
    for name, x, y in curves:
        width = 2.2 if name == "real" else 1.2
        axes.plot(x, y, color=colors[name], linewidth=width, label=name, **style)


def _draw_bars(
    axes: Axes, names: Sequence[str], series: Sequence[tuple[str, str, Sequence[float]]]
) -> None:
    """Draw a group of bars for each name, with a label, color and heights for each series."""
    width = 0.8 / len(series)
    for number, (label, color, heights) in enumerate(series):
        offsets = np.arange(len(names)) + width * (number - (len(series) - 1) / 2)
        axes.bar(offsets, heights, width, color=color, label=label)
    axes.set_xticks(range(len(names)), names)


def _points(axes: Axes, x: Any, y: Any, size: float, color: str, alpha: float) -> None:
    axes.scatter(x, y, s=size, color=color, alpha=alpha, linewidths=0, rasterized=True)


def _draw_diagonal(axes: Axes, end: float) -> None:
    axes.plot([0, end], [0, end], color="black", linewidth=0.7, linestyle="--")
