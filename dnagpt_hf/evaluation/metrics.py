"""Metrics of predictions, for one weight per record or for many vectors of weights at once.

The names are those of the paper's tables: accuracy, f1, mcc, precision, recall; r2 for numbers. A
metric without a meaning is NaN, for example the area under the ROC curve of a single class. A
correlation with a constant is 0.

With `sample_weight`, scikit-learn computes the same numbers, one vector of weights at a time; for
bootstrap samples this takes a hundred times as long (`benchmarks/benchmark_bootstrap.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dnagpt_hf.evaluation.metric_inputs import (
    class_arrays,
    label_arrays,
    number_arrays,
    weight_rows,
)
from dnagpt_hf.evaluation.weighted_sums import (
    Floats,
    areas_under_curves,
    centered_ranks,
    correlation,
    matthews_correlation,
    mean_of_known,
    ratio,
)

METRICS = str(Path(__file__).with_name("dnagpt_metrics"))
"""Folder for `evaluate.load(METRICS, "classification")`, `"multilabel"` or `"regression"`, which
then needs no network."""
CLASSIFICATION_METRICS = ("accuracy", "f1", "mcc", "precision", "recall", "auroc", "auprc")
MACRO_METRICS = ("f1_macro", "precision_macro", "recall_macro")
"""Averages over two classes, beside the metrics of the positive one."""
REGRESSION_METRICS = ("r2", "pearson", "spearman", "mse", "mae")


def classification_metrics(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    positive: int | None = None,
    sample_weight: ArrayLike | None = None,
) -> dict[str, Any]:
    """Compute the metrics of one label per record; the most probable class is the prediction.

    Args:
        labels: class of each record, from 0, `(records,)`.
        probabilities: of each class, `(records, classes)`.
        positive: the positive one of two classes, 0 or 1, by default 1. More classes have none.
        sample_weight: weight of each record, `(records,)`, or several weights, `(samples,
            records)`; 1 by default.

    Returns:
        `dict`: `CLASSIFICATION_METRICS`, a float each, or `(samples,)` for several weights. Of two
        classes, precision, recall, F1, AUROC and AUPRC (average precision) are those of the
        positive one, and `MACRO_METRICS` are averages over both, as in the paper's tables S2 to
        S4: there F1 is at times below both precision and recall. Of more classes they are averages
        over the classes, each against the rest. Averages of rates leave out classes that occur
        neither in labels nor in predictions, averages of areas those that are absent or alone.
        Precision of a class that is never predicted is 0, and MCC is 0 where all labels or all
        predictions are the same. The areas of a single class are NaN.

    Raises:
        ValueError: the shapes do not agree, a probability is NaN or not between 0 and 1, or a label
            is no class.

    Example:

        >>> metrics = classification_metrics([0, 0, 1], [[0.8, 0.2], [0.4, 0.6], [0.1, 0.9]])
        >>> round(metrics["accuracy"], 3), metrics["recall"], metrics["recall_macro"]
        (0.667, 1.0, 0.75)
    """
    true, scores = class_arrays(labels, probabilities, positive)
    weights = weight_rows(sample_weight, len(true))
    return _as_given(
        _of_classes(true, scores, weights, 1 if positive is None else positive), sample_weight
    )


def _of_classes(
    true: NDArray[np.int64], scores: Floats, weights: Floats, positive: int
) -> dict[str, Floats]:
    classes = np.arange(scores.shape[1])
    is_label = true[:, None] == classes
    is_predicted = scores.argmax(1)[:, None] == classes
    # one matrix product counts labels, predictions and hits: (samples, classes) each
    members = np.hstack([is_label, is_predicted, is_label & is_predicted]).astype(float)
    occurring, predicted, right = np.split(weights @ members, 3, axis=1)
    rates = {
        "f1": ratio(2 * right, occurring + predicted),
        "precision": ratio(right, predicted),
        "recall": ratio(right, occurring),
    }
    absent = occurring + predicted == 0
    means = {name: mean_of_known(np.where(absent, np.nan, rate)) for name, rate in rates.items()}
    macro = {}
    if len(classes) == 2:
        macro = {f"{name}_macro": mean for name, mean in means.items()}
        means = {name: rate[:, positive] for name, rate in rates.items()}
        classes = classes[[positive]]
    # (classes, 2, samples)
    areas = np.stack([areas_under_curves(is_label[:, c], scores[:, c], weights) for c in classes])
    auroc, auprc = map(mean_of_known, areas.transpose(1, 2, 0))
    values = {
        **means,
        "accuracy": right.sum(1) / weights.sum(1),
        "mcc": matthews_correlation(occurring, predicted, right),
        "auroc": auroc,
        "auprc": auprc,
    }
    return {name: values[name] for name in CLASSIFICATION_METRICS} | macro


def multilabel_metrics(
    labels: ArrayLike,
    probabilities: ArrayLike,
    names: Sequence[str] | None = None,
    *,
    sample_weight: ArrayLike | None = None,
) -> dict[str, Any]:
    """Compute the metrics of several labels per record; those above one half are predicted.

    Args:
        labels: 0 or 1, `(records, labels)`.
        probabilities: of 1, `(records, labels)`.
        names: one for each label; by default their numbers, from 0.
        sample_weight: as in [`classification_metrics`].

    Returns:
        `dict`: `CLASSIFICATION_METRICS` with 1 as positive class, averaged over labels; those of
        each label as `auroc_NAME`; and `subset_accuracy`, the share of records without a
        wrong label. Averages leave out NaN.

    Raises:
        ValueError: as of [`classification_metrics`], or the number of names is not that of labels.

    Example:

        >>> labels, probabilities = [[1, 0], [0, 0]], [[0.9, 0.2], [0.1, 0.6]]
        >>> metrics = multilabel_metrics(labels, probabilities, ["splice", "promoter"])
        >>> metrics["subset_accuracy"], metrics["accuracy_splice"], metrics["accuracy"]
        (0.5, 1.0, 0.75)
    """
    true, scores, columns = label_arrays(labels, probabilities, names)
    weights = weight_rows(sample_weight, len(true))

    def of_label(label: int) -> dict[str, Floats]:
        pair = np.column_stack([1 - scores[:, label], scores[:, label]])
        values = _of_classes(true[:, label], pair, weights, positive=1)
        return {name: values[name] for name in CLASSIFICATION_METRICS}

    values = _averaged(columns, of_label)
    all_right = (true == (scores > 0.5)).all(1)
    values["subset_accuracy"] = weights @ all_right / weights.sum(1)
    return _as_given(values, sample_weight)


def regression_metrics(
    targets: ArrayLike,
    predictions: ArrayLike,
    names: Sequence[str] | None = None,
    *,
    sample_weight: ArrayLike | None = None,
) -> dict[str, Any]:
    """Compute the metrics of predicted numbers.

    Args:
        targets: `(records,)`, or `(records, targets)` for several numbers of a record.
        predictions: of the same shape.
        names: one for each of several targets; by default their numbers, from 0.
        sample_weight: as in [`classification_metrics`].

    Returns:
        `dict`: `REGRESSION_METRICS`, a float each, or `(samples,)` for several weights: `r2`
        (coefficient of determination, NaN where all targets are the same), `pearson` and `spearman`
        (0 where targets or predictions are all the same), `mse` and `mae`. Of several targets their
        means, which leave out NaN, and the metrics of each as `r2_NAME`.

    Raises:
        ValueError: the shapes do not agree, or a number is not finite.

    Example:

        >>> metrics = regression_metrics([0.0, 1.0, 2.0], [0.5, 1.0, 1.5])
        >>> {name: round(value, 3) for name, value in metrics.items()}
        {'r2': 0.75, 'pearson': 1.0, 'spearman': 1.0, 'mse': 0.167, 'mae': 0.333}
    """
    true, predicted, columns = number_arrays(targets, predictions, names)
    weights = weight_rows(sample_weight, len(true))

    def of_target(target: int) -> dict[str, Any]:
        return _regression(true[:, target], predicted[:, target], weights)

    return _as_given(_averaged(columns, of_target) if columns else of_target(0), sample_weight)


def _regression(targets: Floats, predictions: Floats, weights: Floats) -> dict[str, Floats]:
    errors = targets - predictions
    # the mean of all records is near that of a sample, so that the variances below, which are
    # differences of moments, lose no digits
    x, y = targets - targets.mean(), predictions - predictions.mean()
    terms = np.column_stack([errors**2, abs(errors), x, y, x * x, y * y, x * y])
    # (samples,) each
    mse, mae, x_mean, y_mean, xx, yy, xy = (weights @ terms).T / weights.sum(1)
    x_ranks, same_target = centered_ranks(targets, weights)
    y_ranks, same_prediction = centered_ranks(predictions, weights)
    is_constant = same_target | same_prediction
    variance = xx - x_mean**2
    rank_moments = (
        np.einsum("sr,sr,sr->s", weights, one, other)
        for one, other in ((x_ranks, y_ranks), (x_ranks, x_ranks), (y_ranks, y_ranks))
    )
    values = (
        np.where(same_target, np.nan, 1 - ratio(mse, variance)),
        correlation(is_constant, xy - x_mean * y_mean, variance, yy - y_mean**2),
        correlation(is_constant, *rank_moments),
        mse,
        mae,
    )
    return dict(zip(REGRESSION_METRICS, values, strict=True))


def _averaged(names: Sequence[str], of_column: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
    """Average metrics over labels or targets, followed by those of each as `metric_name`."""
    values = [of_column(place) for place in range(len(names))]
    means = {name: mean_of_known(np.stack([one[name] for one in values], 1)) for name in values[0]}
    return means | {
        f"{metric}_{name}": value
        for name, one in zip(names, values, strict=True)
        for metric, value in one.items()
    }


def _as_given(values: Mapping[str, Floats], sample_weight: ArrayLike | None) -> dict[str, Any]:
    """Turn metrics of a single sample into floats, unless its weights are one row of several."""
    if sample_weight is not None and np.ndim(sample_weight) == 2:
        return dict(values)
    return {name: float(value[0]) for name, value in values.items()}
