"""Metrics of predictions, their confidence intervals, and their spread over runs.

The names are those of the paper's tables: accuracy, f1, mcc, precision, recall; r2 for numbers.
Where a figure has no meaning, it is NaN, for example an area under the ROC curve of one class. A
correlation with what is constant is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dnagpt_hf.evaluation.metric_inputs import class_arrays, label_arrays, number_arrays
from dnagpt_hf.evaluation.weighted_metrics import (
    WeightedClassification,
    WeightedMultilabel,
    WeightedRegression,
    averaged,
    draw_records,
    mean_of_known,
    weights_of,
)

Metrics = Callable[..., dict[str, float]]
METRIC_NAMES = ("classification", "multilabel", "regression")
_METRICS_FOLDER = Path(__file__).with_name("metric_modules")


def metric_path(name: str) -> Path:
    """Folder of a metric for `evaluate.load`, which then needs no network.

    Raises:
        ValueError: there is no such metric.

    Example:

        >>> import evaluate
        >>> metric = evaluate.load(str(metric_path("regression")))
        >>> round(metric.compute(references=[0.0, 1.0, 2.0], predictions=[0.1, 0.9, 2.0])["r2"], 2)
        0.99
    """
    if name not in METRIC_NAMES:
        raise ValueError(f"no metric {name!r}: choose one of {', '.join(METRIC_NAMES)}")
    return _METRICS_FOLDER / name


def classification_metrics(
    labels: ArrayLike, probabilities: ArrayLike, *, positive: int | None = None
) -> dict[str, float]:
    """Metrics of one label per record; the most probable class is what is predicted.

    Args:
        labels: class of each record, from 0, `(records,)`.
        probabilities: of each class, `(records, classes)`.
        positive:
            Of two classes the one that precision, recall, F1, AUROC and AUPRC are about. By
            default, and for more classes always, they are averages over the classes, each against
            the rest, as the paper's tables S2 to S4 must have been made: there F1 is at times
            below both precision and recall.

    Returns:
        `dict`: `accuracy`, `f1`, `mcc`, `precision`, `recall`, `auroc` and `auprc` (average
        precision). Averages leave out classes that neither occur nor are predicted, and those of
        areas what does not occur or has nothing beside it. Precision of a class that is never
        predicted is 0, and MCC is 0 where all labels or all predictions are the same. The areas
        of one class alone are NaN.

    Raises:
        ValueError: the arrays do not fit each other, a probability is NaN or not between 0 and 1,
            or a label is no class.

    Example:

        >>> metrics = classification_metrics([0, 0, 1], [[0.8, 0.2], [0.4, 0.6], [0.1, 0.9]])
        >>> round(metrics["accuracy"], 3), metrics["auroc"]
        (0.667, 1.0)
    """
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    true, scores = class_arrays(labels, probabilities, positive)
    predicted = scores.argmax(1)
    choice: dict[str, Any] = {"average": "macro"}
    wanted = list(range(scores.shape[1]))
    if positive is not None:
        choice = {"average": "binary", "pos_label": positive}
        wanted = [positive]
    precision, recall, f1, _ = precision_recall_fscore_support(
        true, predicted, zero_division=0, **choice
    )
    areas = np.array([_areas(true == one, scores[:, one]) for one in wanted])
    auroc, auprc = mean_of_known(areas, axis=0)
    return {
        "accuracy": float(accuracy_score(true, predicted)),
        "f1": float(f1),
        "mcc": _matthews(true, predicted),
        "precision": float(precision),
        "recall": float(recall),
        "auroc": float(auroc),
        "auprc": float(auprc),
    }


def multilabel_metrics(
    labels: ArrayLike, probabilities: ArrayLike, names: Sequence[str] | None = None
) -> dict[str, float]:
    """Metrics of several labels per record; those above one half are what is predicted.

    Args:
        labels: 0 or 1, `(records, labels)`.
        probabilities: of 1, `(records, labels)`.
        names: one for each label; by default their numbers, from 0.

    Returns:
        `dict`: the figures of `classification_metrics` with respect to 1, averaged over labels;
        those of each label as `auroc_NAME`; and `subset_accuracy`, the share of records that have
        no wrong label. Averages leave out what is NaN.

    Raises:
        ValueError: as of `classification_metrics`, or names are not one for each label.

    Example:

        >>> labels, probabilities = [[1, 0], [0, 0]], [[0.9, 0.2], [0.1, 0.6]]
        >>> metrics = multilabel_metrics(labels, probabilities, ["splice", "promoter"])
        >>> metrics["subset_accuracy"], metrics["accuracy_splice"], metrics["accuracy"]
        (0.5, 1.0, 0.75)
    """
    true, scores, columns = label_arrays(labels, probabilities, names)
    figures = {
        name: classification_metrics(label, np.column_stack([1 - score, score]), positive=1)
        for name, label, score in zip(columns, true.T, scores.T, strict=True)
    }
    all_right = (true == (scores > 0.5)).all(1).mean()
    return _means(figures) | {"subset_accuracy": float(all_right)}


def regression_metrics(
    targets: ArrayLike, predictions: ArrayLike, names: Sequence[str] | None = None
) -> dict[str, float]:
    """Metrics of numbers.

    Args:
        targets: `(records,)`, or `(records, targets)` for several numbers of a record.
        predictions: of the same shape.
        names: one for each of several targets; by default their numbers, from 0.

    Returns:
        `dict`: `r2` (coefficient of determination, NaN where all targets are the same),
        `pearson` and `spearman` (0 where targets or predictions are all the same), `mse` and
        `mae`. Of several targets their means, which leave out what is NaN, and the figures of
        each as `r2_NAME`.

    Raises:
        ValueError: the arrays do not fit each other, or hold what is not finite.

    Example:

        >>> metrics = regression_metrics([0.0, 1.0, 2.0], [0.5, 1.0, 1.5])
        >>> {name: round(value, 3) for name, value in metrics.items()}
        {'r2': 0.75, 'pearson': 1.0, 'spearman': 1.0, 'mse': 0.167, 'mae': 0.333}
    """
    true, predicted, columns = number_arrays(targets, predictions, names)
    if not columns:
        return _regression(true[:, 0], predicted[:, 0])
    return _means(
        {
            name: _regression(target, prediction)
            for name, target, prediction in zip(columns, true.T, predicted.T, strict=True)
        }
    )


def bootstrap_intervals(
    metrics: Metrics,
    arrays: Sequence[ArrayLike],
    *,
    samples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
    **options: Any,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of metrics over records that are drawn anew.

    Args:
        metrics:
            A function from arrays to figures by name. Those of this module are computed for many
            resamples at once; any other is called for each.
        arrays: what it is called with; the records are the first dimension of each.
        samples: number of resamples.
        seed: the intervals are a function of it and of the other arguments.
        confidence: probability that an interval holds.
        options: named arguments of the metrics, such as `positive`.

    Returns:
        `dict`: lower and upper end by the metric's name, NaN where no resample has a figure.
        Resamples without one, such as the AUROC of one class, are left out.

    Raises:
        ValueError: samples or confidence is out of range, the arrays differ in length, or as of
            the metrics.

    Example:

        >>> labels, probabilities = [0, 1] * 50, [[0.9, 0.1], [0.3, 0.7]] * 49 + [[0.2, 0.8]] * 2
        >>> intervals = bootstrap_intervals(classification_metrics, (labels, probabilities))
        >>> intervals["accuracy"]
        (0.97, 1.0)
    """
    if samples < 1:
        raise ValueError(f"{samples} resamples: take 1 or more, 1,000 for two digits")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
    columns = [np.asarray(array) for array in arrays]
    lengths = {len(column) for column in columns}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(f"arrays of {sorted(lengths)} records: give as many of each, and some")
    compute = _resampled(metrics, columns, options)
    generator = np.random.default_rng(seed)
    parts = [compute(drawn) for drawn in draw_records(generator, samples, lengths.pop())]
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    return {
        name: _interval(np.concatenate([part[name] for part in parts]), ends) for name in parts[0]
    }


def mean_and_deviation(runs: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    """Mean and sample standard deviation of the figures of runs, such as those of several seeds.

    Returns:
        `dict`: both by the figure's name; of one run the deviation is NaN.

    Raises:
        ValueError: there are no runs, or they have different figures.

    Example:

        >>> mean_and_deviation([{"mcc": 0.5}, {"mcc": 0.75}, {"mcc": 1.0}])
        {'mcc': (0.75, 0.25)}
    """
    if not runs:
        raise ValueError("there are no runs to take the mean of")
    for number, run in enumerate(runs, start=1):
        differing = sorted(run.keys() ^ runs[0].keys())
        if differing:
            raise ValueError(f"run {number} and run 1 differ in their figures: {differing}")
    summary = {}
    for name in runs[0]:
        values = np.array([run[name] for run in runs], dtype=np.float64)
        deviation = values.std(ddof=1) if len(values) > 1 else math.nan
        summary[name] = (float(values.mean()), float(deviation))
    return summary


def _matthews(labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    from sklearn.metrics import matthews_corrcoef

    if len(np.unique(labels)) == 1 or len(np.unique(predicted)) == 1:
        return 0.0
    return float(matthews_corrcoef(labels, predicted))


def _areas(is_positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> tuple[float, float]:
    """AUROC and AUPRC, NaN if there is one class only."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    if is_positive.all() or not is_positive.any():
        return math.nan, math.nan
    area = roc_auc_score(is_positive, scores)
    return float(area), float(average_precision_score(is_positive, scores))


def _regression(targets: NDArray[np.float64], predictions: NDArray[np.float64]) -> dict[str, float]:
    from scipy.stats import pearsonr, spearmanr
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

    r2 = pearson = spearman = 0.0
    if np.ptp(targets) == 0:
        r2 = math.nan
    else:
        r2 = r2_score(targets, predictions)
        if np.ptp(predictions) > 0:
            pearson = pearsonr(targets, predictions).statistic
            spearman = spearmanr(targets, predictions).statistic
    return {
        "r2": float(r2),
        "pearson": float(pearson),
        "spearman": float(spearman),
        "mse": float(mean_squared_error(targets, predictions)),
        "mae": float(mean_absolute_error(targets, predictions)),
    }


def _means(figures: dict[str, dict[str, float]]) -> dict[str, float]:
    arrays = {
        name: {metric: np.asarray(value) for metric, value in one.items()}
        for name, one in figures.items()
    }
    return {name: float(value) for name, value in averaged(arrays).items()}


_WEIGHTED: dict[Metrics, Callable[..., Callable[[NDArray[np.float64]], dict[str, Any]]]] = {
    classification_metrics: WeightedClassification,
    multilabel_metrics: WeightedMultilabel,
    regression_metrics: WeightedRegression,
}


def _resampled(
    metrics: Metrics, columns: list[NDArray[Any]], options: dict[str, Any]
) -> Callable[[NDArray[np.int64]], dict[str, Any]]:
    """A function from drawn records, `(samples, records)`, to the figures of each sample."""
    if metrics in _WEIGHTED:
        weighted = _WEIGHTED[metrics](*columns, **options)
        return lambda drawn: weighted(weights_of(drawn))

    def compute(drawn: NDArray[np.int64]) -> dict[str, Any]:
        figures = [metrics(*(column[rows] for column in columns), **options) for rows in drawn]
        return {name: np.array([one[name] for one in figures]) for name in figures[0]}

    return compute


def _interval(values: NDArray[np.float64], ends: list[float]) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    if not len(known):
        return math.nan, math.nan
    lower, upper = np.quantile(known, ends)
    return float(lower), float(upper)
