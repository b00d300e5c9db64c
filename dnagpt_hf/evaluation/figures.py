"""Figures of an evaluation: curves, confusion matrices, predicted against true numbers.

Each function takes arrays and returns a `matplotlib.figure.Figure`, which leaves the state of
`matplotlib.pyplot` alone; `save_figure` writes it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dnagpt_hf.atomic_files import check_new_file, new_file
from dnagpt_hf.evaluation.metric_inputs import (
    class_arrays,
    class_numbers,
    column_names,
    label_arrays,
)
from dnagpt_hf.evaluation.metrics import regression_metrics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE_FORMATS = (".png", ".svg", ".pdf")
SIZE = (6.0, 5.0)
"""Width and height in inches."""
DOTS_PER_INCH = 150

# the palette of Okabe and Ito for every kind of color vision, without its yellow
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_LINES = ("-", "--", "-.", ":")
_MOST_POINTS = 2000
_MOST_WRITTEN_CLASSES = 12
_MOST_NAMED_CURVES = len(COLORS) * len(_LINES)
_MOST_LETTERS = 40


def save_figure(figure: Figure, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a figure as PNG, SVG or PDF, according to the ending of the name.

    Raises:
        ValueError: the ending is none of them, or the file exists and `overwrite` is not given.
    """
    name = figure_format(path)
    with new_file(path, overwrite=overwrite) as partial:
        figure.savefig(partial, format=name, dpi=DOTS_PER_INCH)


def check_figure(path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Refuse a figure that cannot be written, before any work is done.

    Raises:
        ValueError: the ending of the name is unknown, or the file exists and may not be replaced.
        ImportError: matplotlib is not installed.
    """
    figure_format(path)
    new_figure(1.0, 1.0)
    check_new_file(path, overwrite=overwrite)


def figure_format(path: str | os.PathLike[str]) -> str:
    """Find the format of a figure by the ending of its name.

    Raises:
        ValueError: the ending is none of `FIGURE_FORMATS`.

    Example:

        >>> figure_format("maps.SVG")
        'svg'
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FIGURE_FORMATS:
        raise ValueError(
            f"{os.fspath(path)}: the ending {suffix!r} names no format for figures: choose one of "
            f"{', '.join(FIGURE_FORMATS)}"
        )
    return suffix[1:]


def new_figure(
    width: float, height: float, layout: Literal["constrained", "compressed"] = "constrained"
) -> Figure:
    """Make an empty figure outside of `matplotlib.pyplot`; sizes are in inches.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("figures need matplotlib: pip install 'dnagpt_hf[plot]'") from error
    return Figure(figsize=(width, height), layout=layout)


def plot_curves(
    labels: ArrayLike,
    probabilities: ArrayLike,
    names: Sequence[str] | None = None,
    *,
    kind: Literal["roc", "precision_recall"],
    positive: int | None = None,
) -> Figure:
    """Draw the curves of classes or labels, with their areas in the legend.

    These are receiver operating characteristics, or precision against recall; the latter with the
    share of positives, which a guess reaches at any recall, as a thin line of the same color.

    Args:
        labels: classes, from 0, `(records,)`; or labels 0 or 1, `(records, labels)`.
        probabilities: `(records, classes)`, or those of 1, `(records, labels)`.
        names: one for each column; by default their numbers.
        kind: the kind of curve.
        positive: the only one of two classes to draw; by default there is a curve for each class.

    Raises:
        ValueError: the shapes do not agree.
        ImportError: matplotlib is not installed.

    Example:

        >>> probabilities = [[0.8, 0.2], [0.6, 0.4], [0.1, 0.9]]
        >>> figure = plot_curves([0, 1, 1], probabilities, ["no", "yes"], kind="roc")
        >>> [line.get_label() for line in figure.axes[0].lines]
        ['no: 1.000', 'yes: 1.000', 'chance: 0.500']
    """
    from sklearn import metrics

    is_roc = kind == "roc"
    axis_labels = (
        ("false positive rate", "true positive rate") if is_roc else ("recall", "precision")
    )
    figure, axes = _figure(*axis_labels)
    for style, name, is_positive, scores in _curves(labels, probabilities, names, positive):
        if is_positive.all() or not is_positive.any():
            axes.plot([], [], label=f"{name}: not defined", **style)
        elif is_roc:
            false_rate, true_rate, _ = metrics.roc_curve(is_positive, scores)
            area = metrics.auc(false_rate, true_rate)
            axes.plot(false_rate, true_rate, label=f"{name}: {area:.3f}", **style)
        else:
            precision, recall, _ = metrics.precision_recall_curve(is_positive, scores)
            area = metrics.average_precision_score(is_positive, scores)
            share = is_positive.mean()
            label = f"{name}: {area:.3f} (guess: {share:.3f})"
            axes.plot(recall, precision, drawstyle="steps-post", label=label, **style)
            axes.axhline(share, color=style["color"], linewidth=0.8, linestyle=":")
    if is_roc:
        axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, label="chance: 0.500")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    curves = len(axes.get_legend_handles_labels()[1])
    if curves <= _MOST_NAMED_CURVES:
        size = "medium" if curves <= 8 else "x-small"
        title = "area under the curve" if is_roc else "average precision"
        place = "lower right" if is_roc else "lower left"
        axes.legend(loc=place, title=title, fontsize=size, title_fontsize=size)
    return figure


def plot_confusion_matrix(labels: ArrayLike, predicted: ArrayLike, names: Sequence[str]) -> Figure:
    """Draw counts of true and predicted classes, with their shares of the true class.

    Args:
        labels: classes, from 0, `(records,)`.
        predicted: classes, `(records,)`.
        names: one for each class. Up to 12 classes, the cells show the numbers.

    Raises:
        ValueError: the shapes do not agree, or a class has no name.
        ImportError: matplotlib is not installed.
    """
    from sklearn.metrics import confusion_matrix

    known = column_names(names, len(names))
    true = class_numbers(labels, len(np.atleast_1d(labels)), len(known))
    counts = confusion_matrix(
        true, class_numbers(predicted, len(true), len(known)), labels=range(len(known))
    )
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure, axes = _figure("predicted", "true")
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class")
    axes.set_yticks(range(len(known)), known)
    # names that do not fit beside each other are rotated
    rotated = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    fits = max(map(len, known)) * len(known) <= _MOST_LETTERS
    axes.set_xticks(range(len(known)), known, **({} if fits else rotated))
    if len(known) <= _MOST_WRITTEN_CLASSES:
        size = min(11.0, 60 / len(known))
        for (row, column), count in np.ndenumerate(counts):
            text = f"{count:,}\n{shares[row, column]:.1%}"
            color = "white" if shares[row, column] > 0.65 else "black"
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=size)
    return figure


def plot_predicted_against_true(
    targets: ArrayLike, predictions: ArrayLike, name: str = "value"
) -> Figure:
    """Draw predicted against true numbers, with the line on which they are equal.

    Args:
        targets: `(records,)`.
        predictions: `(records,)`. More than 2,000 records are drawn as hexagonal bins.
        name: name and unit of the numbers.

    Raises:
        ValueError: the shapes do not agree, or a number is not finite.
        ImportError: matplotlib is not installed.
    """
    true, predicted = np.asarray(targets, dtype=float), np.asarray(predictions, dtype=float)
    if true.size != true.shape[0]:
        raise ValueError(f"targets of shape {true.shape}: a figure shows one number per record")
    metrics = regression_metrics(true, predicted)
    figure, axes = _figure(f"true {name}", f"predicted {name}")
    low, high = min(true.min(), predicted.min()), max(true.max(), predicted.max())
    margin = (high - low or 1) / 20
    limits = low - margin, high + margin
    if len(true) > _MOST_POINTS:
        drawn = axes.hexbin(true, predicted, gridsize=45, bins="log", extent=limits * 2, mincnt=1)
        figure.colorbar(drawn, ax=axes, label="records")
    else:
        axes.scatter(true, predicted, s=14, alpha=0.6, color=COLORS[0], linewidths=0)
    axes.plot(limits, limits, color=COLORS[1], linewidth=1, label="equal")
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    axes.legend(loc="upper left")
    axes.set_title(
        f"r² {metrics['r2']:.3f}, Pearson {metrics['pearson']:.3f}, {len(true):,} records"
    )
    return figure


def _figure(x_label: str, y_label: str) -> tuple[Figure, Any]:
    figure = new_figure(*SIZE)
    return figure, figure.add_subplot(xlabel=x_label, ylabel=y_label)


def _curves(
    labels: ArrayLike, probabilities: ArrayLike, names: Sequence[str] | None, positive: int | None
) -> Iterator[tuple[dict[str, Any], str, NDArray[np.bool_], NDArray[np.float64]]]:
    """Yield style, name, positive records `(records,)` and their scores for each curve."""
    if np.ndim(labels) == 2:
        true, scores, known = label_arrays(labels, probabilities, names)
        is_positive = true == 1
    else:
        classes, scores = class_arrays(labels, probabilities, positive)
        known = column_names(names, scores.shape[1])
        is_positive = classes[:, None] == np.arange(scores.shape[1])
    wanted = range(scores.shape[1]) if positive is None else [positive]
    for number, column in enumerate(wanted):
        line = _LINES[number // len(COLORS) % len(_LINES)]
        style = {"color": COLORS[number % len(COLORS)], "linestyle": line, "linewidth": 1.5}
        yield style, known[column], is_positive[:, column], scores[:, column]
