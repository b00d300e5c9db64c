"""Labels, probabilities, numbers and weights as arrays that metrics and figures can rely on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

# rounding of float16 softmax may carry a probability so far beyond 0 or 1
_TOLERANCE = 1e-6


def class_arrays(
    labels: ArrayLike, probabilities: ArrayLike, positive: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Check classes `(records,)` and their probabilities `(records, classes)`.

    Raises:
        ValueError: the shapes do not agree, there are fewer than two classes or no records, a label
            is no class, a probability is NaN or not between 0 and 1, or `positive` is not one of
            two classes.
    """
    scores = _probabilities(probabilities, "(records, classes)")
    classes = scores.shape[1]
    if classes < 2:
        raise ValueError("probabilities of one class: give those of all classes, two or more")
    if positive is not None and (classes != 2 or positive not in (0, 1)):
        raise ValueError(
            f"positive class {positive} of {classes}: it is 0 or 1 of two, and more have none"
        )
    return class_numbers(labels, len(scores), classes), scores


def label_arrays(
    labels: ArrayLike, probabilities: ArrayLike, names: Sequence[str] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64], list[str]]:
    """Check labels 0 or 1 and probabilities, `(records, labels)`, and the labels' names.

    Raises:
        ValueError: as of `class_arrays`, or the number of names is not that of labels.
    """
    scores = _probabilities(probabilities, "(records, labels)")
    true = _whole_numbers(labels)
    if true.shape != scores.shape:
        raise ValueError(
            f"labels of shape {true.shape} do not fit probabilities of shape {scores.shape}"
        )
    for row, column in np.argwhere((true < 0) | (true > 1)):
        raise ValueError(
            f"record {row + 1:,}: label {column + 1} is {true[row, column]}: labels of which "
            "several may hold are 0 or 1"
        )
    return true, scores, column_names(names, scores.shape[1])


def number_arrays(
    targets: ArrayLike, predictions: ArrayLike, names: Sequence[str] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Check targets and predictions, `(records, targets)`, and name them if there are several.

    Raises:
        ValueError: the shapes do not agree, there are no records, a number is not finite, or the
            number of names is not that of targets.
    """
    true, predicted = _finite(targets, "target"), _finite(predictions, "prediction")
    if true.shape != predicted.shape:
        raise ValueError(
            f"targets of shape {true.shape} do not fit predictions of shape {predicted.shape}"
        )
    if true.ndim != 2 or not true.size:
        raise ValueError(f"targets of shape {true.shape}: (records,) or (records, targets), not 0")
    is_single = true.shape[1] == 1 and names is None
    return true, predicted, [] if is_single else column_names(names, true.shape[1])


def weight_rows(sample_weight: ArrayLike | None, records: int) -> NDArray[np.float64]:
    """Lay out weights as `(samples, records)`, one sample of ones by default.

    Raises:
        ValueError: their number is not that of records.
    """
    if sample_weight is None:
        return np.ones((1, records))
    weights = np.atleast_2d(np.asarray(sample_weight, dtype=np.float64))
    if weights.ndim != 2 or weights.shape[1] != records:
        raise ValueError(f"weights of shape {weights.shape} do not fit {records:,} records")
    return weights


def class_numbers(labels: ArrayLike, records: int, classes: int) -> NDArray[np.int64]:
    """Check classes `(records,)`.

    Raises:
        ValueError: their number is not that of records, or one is not below the number of classes.
    """
    numbers = _whole_numbers(labels)
    if numbers.shape != (records,):
        raise ValueError(f"labels of shape {numbers.shape} do not fit {records:,} records")
    for row in np.flatnonzero((numbers < 0) | (numbers >= classes)):
        raise ValueError(
            f"record {row + 1:,}: label {numbers[row]} is no class: there are {classes}, from 0 to "
            f"{classes - 1}"
        )
    return numbers


def column_names(names: Sequence[str] | None, number: int) -> list[str]:
    """Name each column; by default by its number, from 0.

    Raises:
        ValueError: the number of names is not that of columns, or two are the same.
    """
    known = [str(place) for place in range(number)] if names is None else [*map(str, names)]
    if len(known) != number or len(set(known)) != number:
        raise ValueError(f"{number} columns need as many different names, not {known}")
    return known


def _whole_numbers(labels: ArrayLike) -> NDArray[np.int64]:
    array = np.asarray(labels)
    if array.dtype.kind not in "biuf" or (array.dtype.kind == "f" and (array % 1 != 0).any()):
        raise ValueError("labels are the numbers of classes, from 0, and not their names")
    return array.astype(np.int64)


def _probabilities(values: ArrayLike, shape: str) -> NDArray[np.float64]:
    scores = _finite(values, "probability")
    if np.ndim(values) != 2 or not scores.size:
        raise ValueError(f"probabilities of shape {np.shape(values)}: {shape}, and none of them 0")
    for row, column in np.argwhere((scores < -_TOLERANCE) | (scores > 1 + _TOLERANCE)):
        raise ValueError(
            f"record {row + 1:,}: probability {scores[row, column]:.6g} is not between 0 and 1: "
            "apply softmax or sigmoid to logits"
        )
    return scores


def _finite(values: ArrayLike, noun: str) -> NDArray[np.float64]:
    """Lay out numbers as `(records, columns)`."""
    array = np.asarray(values, dtype=np.float64)
    array = array[:, None] if array.ndim == 1 else array
    for place in np.argwhere(~np.isfinite(array)):
        raise ValueError(
            f"record {place[0] + 1:,}: {noun} is {array[tuple(place)]}: all must be finite"
        )
    return array
