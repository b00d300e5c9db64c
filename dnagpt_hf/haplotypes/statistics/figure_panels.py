"""Panels and colours that the figures of an evaluation share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from dnagpt_hf.haplotypes.statistics.evaluation import HaplotypeEvaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REAL_COLOR = "#333333"
_COLORS = {
    "generated": ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#e377c2", "#17becf"),
    "test": ("#00a087",),
    "generator": ("#ff7f0e", "#bcbd22", "#8c564b"),
}
_PANEL = 2.5


def set_colors(evaluation: HaplotypeEvaluation) -> dict[str, str]:
    """Colour of each set by its name."""
    used = dict.fromkeys(_COLORS, 0)
    colors = {}
    for one in evaluation.sets:
        choices = _COLORS[one.kind]
        colors[one.name] = choices[used[one.kind] % len(choices)]
        used[one.kind] += 1
    return colors


def panel_grid(rows: int, columns: int) -> tuple[Figure, NDArray[Any]]:
    """A figure of small panels, `(rows, columns)`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_PANEL * columns, _PANEL * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        axes.tick_params(labelsize=6)
    return figure, panels


def panel_row(columns: int, width: float, height: float) -> tuple[Figure, NDArray[Any]]:
    """A figure of panels beside each other, of a size in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(1, columns, squeeze=False)[0]
    for axes in panels:
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels
