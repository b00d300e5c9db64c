"""The metrics of many resamples at once.

A resample of records is a row of weights: how often each record was drawn. What does not depend on
the weights, such as the order of the scores, is found once. `dnagpt_hf.evaluation.metrics` has the
definitions; for weights of one the figures are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dnagpt_hf.evaluation.metric_inputs import class_arrays, label_arrays, number_arrays

Floats = NDArray[np.float64]
Figures = dict[str, Floats]
"""A figure of each resample by the metric's name, `(samples,)`."""

# so many weights are in memory at once
_WEIGHTS_AT_ONCE = 1 << 20


def draw_records(
    generator: np.random.Generator, samples: int, records: int
) -> Iterator[NDArray[np.int64]]:
    """Numbers of the drawn records, `(samples, records)`, some samples at a time."""
    at_once = max(_WEIGHTS_AT_ONCE // records, 1)
    for start in range(0, samples, at_once):
        yield generator.integers(records, size=(min(at_once, samples - start), records))


def weights_of(drawn: NDArray[np.int64]) -> NDArray[np.float64]:
    """How often each record was drawn, `(samples, records)`."""
    samples, records = drawn.shape
    places = drawn + np.arange(samples)[:, None] * records
    counts = np.bincount(places.reshape(-1), minlength=samples * records)
    return counts.reshape(samples, records).astype(np.float64)


class WeightedClassification:
    """`classification_metrics` of resamples; the arguments are the same."""

    def __init__(
        self, labels: ArrayLike, probabilities: ArrayLike, *, positive: int | None = None
    ) -> None:
        true, scores = class_arrays(labels, probabilities, positive)
        classes = np.arange(scores.shape[1])
        is_label = true[:, None] == classes
        is_predicted = scores.argmax(1)[:, None] == classes
        # (records, 3 * classes): one product with the weights counts everything
        self.members = np.hstack([is_label, is_predicted, is_label & is_predicted]).astype(float)
        wanted = classes if positive is None else [positive]
        self.rankings = [_Ranking(is_label[:, one], scores[:, one]) for one in wanted]
        self.positive = positive

    def __call__(self, weights: Floats) -> Figures:
        """The figures of resamples, given `(samples, records)`."""
        true, predicted, right = np.split(weights @ self.members, 3, axis=1)
        precision, recall = _ratio(right, predicted), _ratio(right, true)
        f1 = _ratio(2 * right, true + predicted)
        if self.positive is None:
            # classes that neither occur nor are predicted say nothing
            occurs = (true + predicted) > 0
            precision, recall, f1 = (
                np.where(occurs, one, 0).sum(1) / occurs.sum(1) for one in (precision, recall, f1)
            )
        else:
            precision, recall, f1 = (one[:, self.positive] for one in (precision, recall, f1))
        areas = np.stack([ranking.areas(weights) for ranking in self.rankings])
        auroc, auprc = mean_of_known(areas, axis=0).T
        return {
            "accuracy": right.sum(1) / weights.sum(1),
            "f1": f1,
            "mcc": _matthews(true, predicted, right),
            "precision": precision,
            "recall": recall,
            "auroc": auroc,
            "auprc": auprc,
        }


class WeightedMultilabel:
    """`multilabel_metrics` of resamples; the arguments are the same."""

    def __init__(
        self, labels: ArrayLike, probabilities: ArrayLike, names: Sequence[str] | None = None
    ) -> None:
        true, scores, columns = label_arrays(labels, probabilities, names)
        self.all_right = (true == (scores > 0.5)).all(1).astype(float)
        self.labels = {
            name: WeightedClassification(label, np.column_stack([1 - score, score]), positive=1)
            for name, label, score in zip(columns, true.T, scores.T, strict=True)
        }

    def __call__(self, weights: Floats) -> Figures:
        """The figures of resamples, given `(samples, records)`."""
        figures = averaged({name: label(weights) for name, label in self.labels.items()})
        return figures | {"subset_accuracy": weights @ self.all_right / weights.sum(1)}


class WeightedRegression:
    """`regression_metrics` of resamples; the arguments are the same."""

    def __init__(
        self, targets: ArrayLike, predictions: ArrayLike, names: Sequence[str] | None = None
    ) -> None:
        true, predicted, self.names = number_arrays(targets, predictions, names)
        self.targets = [_Target(*columns) for columns in zip(true.T, predicted.T, strict=True)]

    def __call__(self, weights: Floats) -> Figures:
        """The figures of resamples, given `(samples, records)`."""
        figures = [target(weights) for target in self.targets]
        return averaged(dict(zip(self.names, figures, strict=True))) if self.names else figures[0]


class _Target:
    """Metrics of one number per record, given targets and predictions, `(records,)`."""

    def __init__(self, targets: Floats, predictions: Floats) -> None:
        errors = targets - predictions
        # the means of all records are near those of a resample, so that little cancels out
        x, y = targets - targets.mean(), predictions - predictions.mean()
        # (records, 7)
        self.terms = np.column_stack([errors**2, abs(errors), x, y, x * x, y * y, x * y])
        self.orders = _Order(targets), _Order(predictions)

    def __call__(self, weights: Floats) -> Figures:
        mse, mae, x, y, xx, yy, xy = (weights @ self.terms).T / weights.sum(1)
        (x_ranks, same_target), (y_ranks, same_prediction) = (
            order.ranks(weights) for order in self.orders
        )
        same = same_target | same_prediction
        moments = xy - x * y, xx - x * x, yy - y * y
        pairs = (x_ranks, y_ranks), (x_ranks, x_ranks), (y_ranks, y_ranks)
        rank_moments = (np.einsum("sr,sr,sr->s", weights, one, other) for one, other in pairs)
        return {
            "r2": np.where(same_target, np.nan, 1 - _ratio(mse, moments[1])),
            "pearson": _correlation(same, *moments),
            "spearman": _correlation(same, *rank_moments),
            "mse": mse,
            "mae": mae,
        }


class _Order:
    """Values in rising order, equal ones in groups."""

    def __init__(self, values: Floats) -> None:
        self.order = np.argsort(values, kind="stable")
        in_order = values[self.order]
        self.last = np.flatnonzero(np.append(in_order[1:] != in_order[:-1], True))
        group = np.repeat(np.arange(len(self.last)), np.diff(self.last, prepend=-1))
        self.group = np.empty_like(group)
        self.group[self.order] = group

    def sums(self, weights: Floats) -> Floats:
        """Weight of each group and all before it, `(samples, groups)`."""
        return weights[:, self.order].cumsum(1)[:, self.last]

    def ranks(self, weights: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """Ranks less their mean, `(samples, records)`, and where all values are the same."""
        sums = self.sums(weights)
        sizes = np.diff(sums, axis=1, prepend=0)
        # a group of n equal values behind m smaller ones has the rank m + (n + 1) / 2
        centred = sums - sizes / 2 - sums[:, -1:] / 2
        return centred[:, self.group], sizes.max(1) == sums[:, -1]


class _Ranking:
    """Records by falling scores, and the areas under the curves that they make."""

    def __init__(self, is_positive: NDArray[np.bool_], scores: Floats) -> None:
        self.is_positive = is_positive
        self.order = _Order(-scores)

    def areas(self, weights: Floats) -> Floats:
        """AUROC and average precision, `(samples, 2)`; NaN where one class is absent."""
        # (samples, groups)
        both = self.order.sums(weights)
        positive = self.order.sums(weights * self.is_positive)
        negative = both - positive
        hits = np.diff(positive, axis=1, prepend=0)
        # trapezoids: half of the hits at the same score count as above
        over = (np.diff(negative, axis=1, prepend=0) * (positive - hits / 2)).sum(1)
        precision = (hits * _ratio(positive, both)).sum(1)
        positives, negatives = positive[:, -1], negative[:, -1]
        known = (positives > 0) & (negatives > 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            areas = np.stack([over / (positives * negatives), precision / positives], axis=1)
        return np.where(known[:, None], areas, np.nan)


def averaged(figures: dict[str, Figures]) -> Figures:
    """The means over labels or targets, and behind them the figures of each, as `metric_name`."""
    metrics = list(next(iter(figures.values())))
    means = {
        metric: mean_of_known(np.stack([one[metric] for one in figures.values()]), axis=0)
        for metric in metrics
    }
    return means | {
        f"{metric}_{name}": one[metric] for name, one in figures.items() for metric in metrics
    }


def mean_of_known(values: Floats, axis: int) -> Floats:
    """Mean of what is not NaN; NaN where there is nothing else."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known, values, 0).sum(axis) / known.sum(axis)


def _matthews(true: Floats, predicted: Floats, right: Floats) -> Floats:
    """Correlation of classes (Gorodkin, 2004), 0 where either is constant."""
    total = true.sum(1)
    covariance = right.sum(1) * total - (true * predicted).sum(1)
    spread = (total**2 - (true**2).sum(1)) * (total**2 - (predicted**2).sum(1))
    return _ratio(covariance, np.sqrt(spread))


def _correlation(same: NDArray[np.bool_], both: Floats, one: Floats, other: Floats) -> Floats:
    """Of a covariance and two variances; 0 where the values of one are all the same."""
    # rounding may leave a variance below 0 that is 0
    spread = np.sqrt(np.maximum(one, 0) * np.maximum(other, 0))
    return np.where(same, 0.0, _ratio(both, spread))


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """0 where there is nothing to divide by."""
    return np.divide(numerator, denominator, out=np.zeros(numerator.shape), where=denominator != 0)
