"""What labels, probabilities and numbers must not be."""

from typing import Any

import numpy as np
import pytest

from dnagpt_hf.evaluation.metric_inputs import (
    class_arrays,
    class_numbers,
    column_names,
    label_arrays,
    number_arrays,
)

HALF = [[0.5, 0.5]] * 3


@pytest.mark.parametrize(
    ("labels", "probabilities", "positive", "problem"),
    [
        ([0, 1, 2], HALF, None, "record 3: label 2 is no class: there are 2, from 0 to 1"),
        ([0, -100, 1], HALF, None, "record 2: label -100"),
        ([0, 1], HALF, None, r"shape \(2,\) do not fit 3 records"),
        (["no", "yes", "no"], HALF, None, "numbers of classes, from 0, and not their names"),
        ([0.0, 0.5, 1.0], HALF, None, "numbers of classes"),
        ([0, 1], [[0.5, 0.5], [np.nan, 1]], None, "record 2: probability is nan"),
        ([0, 1], [[0.5, 0.5], [-2.3, 4]], None, "record 2: probability -2.3 .* softmax"),
        ([0, 1], [[0.5], [0.5]], None, "probabilities of one class"),
        ([0, 1], [0.5, 0.5], None, r"shape \(2,\): \(records, classes\)"),
        ([], np.empty((0, 2)), None, r"shape \(0, 2\)"),
        ([0, 1, 1], HALF, 2, "positive class 2 of 2"),
        ([0, 1, 1], np.full((3, 3), 1 / 3), 1, "positive class 1 of 3"),
    ],
)
def test_bad_classes(labels: Any, probabilities: Any, positive: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        class_arrays(labels, probabilities, positive)


def test_good_classes_of_any_type() -> None:
    for labels in ([0, 1, 1], [False, True, True], np.array([0.0, 1.0, 1.0], np.float32)):
        numbers, scores = class_arrays(labels, np.float16(HALF))
        assert numbers.tolist() == [0, 1, 1] and scores.dtype == np.float64


def test_bad_labels() -> None:
    with pytest.raises(ValueError, match="record 2: label 1 is 2"):
        label_arrays([[0, 1], [2, 0]], [[0.5, 0.5]] * 2)
    with pytest.raises(ValueError, match=r"shape \(2,\) do not fit probabilities of shape \(2, 2"):
        label_arrays([0, 1], [[0.5, 0.5]] * 2)
    with pytest.raises(ValueError, match="2 columns need as many different names"):
        label_arrays([[0, 1]], [[0.5, 0.5]], ["same", "same"])


def test_bad_numbers() -> None:
    for predictions, problem in (
        ([1.0, np.nan], "record 2: prediction is nan"),
        ([np.inf, 1.0], "record 1: prediction is inf"),
        ([1.0], "do not fit"),
        ([[1.0, 2.0]] * 2, "do not fit"),
    ):
        with pytest.raises(ValueError, match=problem):
            number_arrays([1.0, 2.0], predictions)
    with pytest.raises(ValueError, match="record 1: target is nan"):
        number_arrays([np.nan], [1.0])
    with pytest.raises(ValueError, match=r"shape \(0, 1\)"):
        number_arrays([], [])


def test_names() -> None:
    assert column_names(None, 2) == ["0", "1"]
    with pytest.raises(ValueError, match="3 columns"):
        column_names(["a", "b"], 3)
    with pytest.raises(ValueError, match="label 3 is no class"):
        class_numbers([3], 1, 3)
