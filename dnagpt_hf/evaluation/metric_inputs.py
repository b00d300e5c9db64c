"""Labels, probabilities and numbers as arrays that metrics and figures can rely on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

# rounding may carry a probability so far beyond 0 or 1
_TOLERANCE = 1e-6


def class_arrays(
    labels: ArrayLike, probabilities: ArrayLike, positive: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Classes `(records,)` and their probabilities `(records, classes)`.

    Raises:
        ValueError: the arrays do not fit each other, there are fewer than two classes or no
            records, a label is no class, a probability is NaN or not between 0 and 1, or
            `positive` is not one of two classes.
    """
    scores = _probabilities(probabilities, "(records, classes)")
    classes = scores.shape[1]
    if classes < 2:
        raise ValueError("probabilities of one class: give those of all classes, two or more")
    if positive is not None and (classes != 2 or positive not in (0, 1)):
        raise ValueError(
            f"positive class {positive} of {classes}: it is 0 or 1 of two classes, and None of more"
        )
    return class_numbers(labels, len(scores), classes), scores


def label_arrays(
    labels: ArrayLike, probabilities: ArrayLike, names: Sequence[str] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64], list[str]]:
    """Labels 0 or 1 and probabilities, `(records, labels)`, and the labels' names.

    Raises:
        ValueError: as of `class_arrays`, or names are not one for each label.
    """
    scores = _probabilities(probabilities, "(records, labels)")
    true = _whole_numbers(labels)
    if true.shape != scores.shape:
        raise ValueError(
            f"labels of shape {true.shape} do not fit probabilities of shape {scores.shape}"
        )
    wrong = np.argwhere((true < 0) | (true > 1))
    if len(wrong):
        row, column = wrong[0]
        raise ValueError(
            f"record {row + 1:,}: label {column + 1} is {true[row, column]}: labels of which "
            "several may hold are 0 or 1"
        )
    return true, scores, column_names(names, scores.shape[1])


def number_arrays(
    targets: ArrayLike, predictions: ArrayLike, names: Sequence[str] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Targets and predictions, `(records, targets)`, and names if there are several.

    Raises:
        ValueError: the arrays do not fit each other, have no records, or hold what is not finite;
            or names are not one for each target.
    """
    true, predicted = _finite(targets, "target"), _finite(predictions, "prediction")
    if true.shape != predicted.shape:
        raise ValueError(
            f"targets of shape {true.shape} do not fit predictions of shape {predicted.shape}"
        )
    if true.ndim != 2 or not true.size:
        raise ValueError(f"targets of shape {true.shape}: (records,) or (records, targets), not 0")
    alone = true.shape[1] == 1 and names is None
    return true, predicted, [] if alone else column_names(names, true.shape[1])


def class_numbers(labels: ArrayLike, records: int, classes: int) -> NDArray[np.int64]:
    """Classes `(records,)`.

    Raises:
        ValueError: they are not as many, or one is not between 0 and the number of classes.
    """
    numbers = _whole_numbers(labels)
    if numbers.shape != (records,):
        raise ValueError(f"labels of shape {numbers.shape} do not fit {records:,} records")
    wrong = np.flatnonzero((numbers < 0) | (numbers >= classes))
    if len(wrong):
        raise ValueError(
            f"record {wrong[0] + 1:,}: label {numbers[wrong[0]]} is no class: there are "
            f"{classes}, from 0 to {classes - 1}"
        )
    return numbers


def column_names(names: Sequence[str] | None, number: int) -> list[str]:
    """One name for each column; by default their numbers, from 0.

    Raises:
        ValueError: names are not as many as columns, or two are the same.
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
    wrong = np.argwhere((scores < -_TOLERANCE) | (scores > 1 + _TOLERANCE))
    if len(wrong):
        row, column = wrong[0]
        raise ValueError(
            f"record {row + 1:,}: probability {scores[row, column]:.6g} is not between 0 and 1: "
            "apply softmax or sigmoid to logits"
        )
    return scores


def _finite(values: ArrayLike, what: str) -> NDArray[np.float64]:
    """Numbers as `(records, columns)`."""
    array = np.asarray(values, dtype=np.float64)
    array = array[:, None] if array.ndim == 1 else array
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        raise ValueError(
            f"record {wrong[0][0] + 1:,}: {what} is {array[tuple(wrong[0])]}: all must be finite"
        )
    return array
