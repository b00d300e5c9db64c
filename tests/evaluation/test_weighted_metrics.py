"""Metrics under weights against those of records that are repeated as often."""

from typing import Any

import numpy as np
import pytest

from dnagpt_hf.evaluation.metrics import (
    classification_metrics,
    multilabel_metrics,
    regression_metrics,
)
from dnagpt_hf.evaluation.weighted_metrics import (
    WeightedClassification,
    WeightedMultilabel,
    WeightedRegression,
    draw_records,
    weights_of,
)

RNG = np.random.default_rng(0)
# many equal scores, and some classes that are lost in some resamples
SCORES = RNG.random((12, 3)).round(1) + 0.1
PROBABILITIES = SCORES / SCORES.sum(1, keepdims=True)
CLASSES = RNG.choice(3, 12, p=[0.5, 0.4, 0.1])
NUMBERS = RNG.normal(size=(2, 12)).round(1)
PAIR = (CLASSES > 0).astype(int), np.column_stack([PROBABILITIES[:, 0], 1 - PROBABILITIES[:, 0]])


@pytest.mark.parametrize(
    ("weighted", "plain", "arrays", "options"),
    [
        (WeightedClassification, classification_metrics, (CLASSES, PROBABILITIES), {}),
        (WeightedClassification, classification_metrics, PAIR, {"positive": 0}),
        (WeightedMultilabel, multilabel_metrics, (np.eye(3)[CLASSES], PROBABILITIES), {}),
        (WeightedRegression, regression_metrics, tuple(NUMBERS), {}),
        (WeightedRegression, regression_metrics, (SCORES, PROBABILITIES), {"names": "abc"}),
    ],
)
def test_equals_repeated_records(weighted: Any, plain: Any, arrays: Any, options: Any) -> None:
    weights = RNG.multinomial(12, np.full(12, 1 / 12), size=30).astype(float)
    # all weight on one record, and on each once
    weights = np.vstack([weights, 12 * np.eye(12)[:2], np.ones((1, 12))])
    figures = weighted(*arrays, **options)(weights)
    for row, counts in enumerate(weights.astype(int)):
        repeated = (np.repeat(array, counts, axis=0) for array in arrays)
        for name, value in plain(*repeated, **options).items():
            found = figures[name][row]
            assert found == pytest.approx(value, abs=1e-9, nan_ok=True), (row, name)


def test_numbers_far_from_zero_lose_nothing() -> None:
    targets, predictions = NUMBERS + 1e6
    figures = WeightedRegression(targets, predictions)(np.ones((1, 12)))
    for name, value in regression_metrics(targets, predictions).items():
        assert figures[name][0] == pytest.approx(value, rel=1e-6)


def test_draws() -> None:
    parts = list(draw_records(np.random.default_rng(0), samples=7, records=400_000))
    assert [len(part) for part in parts] == [2, 2, 2, 1]
    weights = weights_of(parts[0])
    assert weights.shape == (2, 400_000) and (weights.sum(1) == 400_000).all()
    assert weights[1, 5] == np.count_nonzero(parts[0][1] == 5)
