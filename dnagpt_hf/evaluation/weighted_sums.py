"""Sums over records for many vectors of weights at once: counts, ranks, areas, correlations.

The weights are `(samples, records)`. The order of the records is found once for all samples; the
rest is cumulative sums.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def areas_under_curves(
    is_positive: NDArray[np.bool_], scores: Floats, weights: Floats
) -> tuple[Floats, Floats]:
    """Compute AUROC and average precision, as scikit-learn defines them.

    Args:
        is_positive: class of each record, `(records,)`.
        scores: higher for what is rather positive, `(records,)`.
        weights: `(samples, records)`.

    Returns:
        Both, `(samples,)`; NaN where one of the two classes has no weight.
    """
    order, last = _groups(-scores)
    in_order = weights[:, order]
    # (samples, thresholds)
    true_positive = _sums(in_order * is_positive[order], last)
    reached = _sums(in_order, last)
    false_positive = reached - true_positive
    hits = np.diff(true_positive, axis=1, prepend=0)
    # trapezoids: half of the hits with the same score as a negative count as above it
    area = (np.diff(false_positive, axis=1, prepend=0) * (true_positive - hits / 2)).sum(1)
    precision = (hits * ratio(true_positive, reached)).sum(1)
    positives, negatives = true_positive[:, -1], false_positive[:, -1]
    is_known = (positives > 0) & (negatives > 0)
    return (
        np.where(is_known, ratio(area, positives * negatives), np.nan),
        np.where(is_known, ratio(precision, positives), np.nan),
    )


def centered_ranks(values: Floats, weights: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Rank values in samples of records, equal ones at the mean of their ranks.

    Args:
        values: `(records,)`.
        weights: `(samples, records)`.

    Returns:
        Ranks less their weighted mean, `(samples, records)`, and where all values with a weight are
        equal, `(samples,)`.
    """
    order, last = _groups(values)
    group = np.empty_like(order)
    group[order] = np.repeat(np.arange(len(last)), np.diff(last, prepend=-1))
    # (samples, groups)
    sums = _sums(weights[:, order], last)
    sizes = np.diff(sums, axis=1, prepend=0)
    # n equal values behind m smaller ones share the rank m + (n + 1) / 2
    ranks = sums - sizes / 2 - sums[:, -1:] / 2
    return ranks[:, group], sizes.max(1) == sums[:, -1]


def matthews_correlation(occurring: Floats, predicted: Floats, right: Floats) -> Floats:
    """Correlate labels and predictions of any number of classes (Gorodkin, 2004).

    Args:
        occurring: weight of each class among the labels, `(samples, classes)`.
        predicted: weight of each class among the predictions.
        right: weight of each class among the right predictions.

    Returns:
        `(samples,)`; 0 where labels or predictions are constant.
    """
    total = occurring.sum(1)
    covariance = right.sum(1) * total - (occurring * predicted).sum(1)
    spread = (total**2 - (occurring**2).sum(1)) * (total**2 - (predicted**2).sum(1))
    return ratio(covariance, np.sqrt(spread))


def correlation(
    is_constant: NDArray[np.bool_], covariance: Floats, first: Floats, second: Floats
) -> Floats:
    """Divide a covariance by the square roots of two variances; 0 where either is constant."""
    # rounding may leave a variance of 0 below 0, and a correlation of 1 above 1
    spread = np.sqrt(np.maximum(first, 0) * np.maximum(second, 0))
    return np.where(is_constant, 0.0, np.clip(ratio(covariance, spread), -1, 1))


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Divide; 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros(numerator.shape), where=denominator != 0)


def mean_of_known(values: Floats) -> Floats:
    """Average the columns `(samples, columns)` that are not NaN; NaN where all are."""
    is_known = ~np.isnan(values)
    known = is_known.sum(1)
    mean = ratio(np.where(is_known, values, 0).sum(1), known)
    return np.where(known > 0, mean, np.nan)


def _sums(weights: Floats, last: NDArray[np.intp]) -> Floats:
    """Sum the weights up to the places `last`; the array is used up, as a new one takes longer."""
    return weights.cumsum(1, out=weights)[:, last]


def _groups(values: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Sort values: their order, `(records,)`, and the last place of each distinct value in it."""
    order = np.argsort(values, kind="stable")
    in_order = values[order]
    return order, np.flatnonzero(np.append(in_order[1:] != in_order[:-1], True))
