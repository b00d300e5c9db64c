"""Bootstrap intervals beside a plain loop over resampled records, and binomial theory."""

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dnagpt_hf.evaluation.bootstrap import bootstrap_intervals, draw_weights
from dnagpt_hf.evaluation.metrics import (
    classification_metrics,
    multilabel_metrics,
    regression_metrics,
)

RNG = np.random.default_rng(3)
CLASSES = RNG.integers(2, size=90)
# many equal scores
SCORES = 0.3 * CLASSES + 0.7 * RNG.random(90).round(1)
PAIR = CLASSES, np.column_stack([1 - SCORES, SCORES])
LABELS = RNG.integers(2, size=(40, 3))
CASES = {
    "classes": (classification_metrics, PAIR, {}),
    "labels": (multilabel_metrics, (LABELS, 0.3 * LABELS + 0.4), {"names": ["a", "b", "c"]}),
    "numbers": (regression_metrics, (SCORES, CLASSES), {}),
}


def plain_intervals(
    metrics: Any, arrays: Any, samples: int, **options: Any
) -> dict[str, NDArray[np.float64]]:
    """The definition: records are drawn, and the metrics of each sample are computed anew."""
    records = len(arrays[0])
    drawn = np.random.default_rng(0).integers(records, size=(samples, records))
    values = [metrics(*(array[rows] for array in arrays), **options) for rows in drawn]
    return {
        name: np.nanquantile([one[name] for one in values], [0.025, 0.975]) for name in values[0]
    }


@pytest.mark.parametrize("case", CASES)
def test_intervals_equal_those_of_plain_resampling(case: str) -> None:
    metrics, arrays, options = CASES[case]
    fast = bootstrap_intervals(partial(metrics, *arrays, **options), len(arrays[0]), samples=60)
    plain = plain_intervals(metrics, arrays, 60, **options)
    assert fast.keys() == plain.keys() == metrics(*arrays, **options).keys()
    for name in fast:
        assert fast[name] == pytest.approx(plain[name], abs=1e-9, nan_ok=True), name


def test_intervals_are_a_function_of_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    intervals = partial(bootstrap_intervals, partial(classification_metrics, *PAIR), 90, samples=50)
    first = intervals(seed=4)
    # however many samples are in memory at once
    monkeypatch.setattr("dnagpt_hf.evaluation.bootstrap._WEIGHTS_AT_ONCE", 700)
    assert intervals(seed=4) == first
    assert intervals(seed=5) != first


def test_intervals_hold_what_they_say() -> None:
    """The accuracy of 400 records varies as a binomial share does."""
    labels = RNG.integers(2, size=400)
    scores = np.clip(0.25 + 0.5 * labels + RNG.normal(0, 0.4, 400), 0, 1)
    metrics = partial(classification_metrics, labels, np.column_stack([1 - scores, scores]))
    accuracy = metrics()["accuracy"]
    low, high = bootstrap_intervals(metrics, 400)["accuracy"]
    expected = 1.96 * math.sqrt(accuracy * (1 - accuracy) / 400)
    assert (high - low) / 2 == pytest.approx(expected, rel=0.15)
    narrow = bootstrap_intervals(metrics, 400, confidence=0.5)["accuracy"]
    assert low < narrow[0] < accuracy < narrow[1] < high


def test_no_interval_without_a_value() -> None:
    metrics = partial(classification_metrics, [1, 1], [[0.1, 0.9]] * 2)
    alone = bootstrap_intervals(metrics, 2, samples=5)
    assert alone["accuracy"] == (1, 1) and all(map(math.isnan, alone["auroc"]))


def test_samples_without_a_value_are_left_out() -> None:
    """Of four records, one in eight samples holds a single class."""
    probabilities = [[0.9, 0.1], [0.2, 0.8], [0.25, 0.75], [0.3, 0.7]]
    intervals = bootstrap_intervals(partial(classification_metrics, [0, 1, 0, 1], probabilities), 4)
    assert 0 <= intervals["auroc"][0] < 1 == intervals["auroc"][1]


def test_bad_resampling_is_refused() -> None:
    metrics = partial(classification_metrics, [0, 1], [[0.5, 0.5]] * 2)
    with pytest.raises(ValueError, match="0 bootstrap samples"):
        bootstrap_intervals(metrics, 2, samples=0)
    with pytest.raises(ValueError, match="confidence 95"):
        bootstrap_intervals(metrics, 2, confidence=95)
    with pytest.raises(ValueError, match="do not fit 2 records"):
        bootstrap_intervals(metrics, 3)


def test_draws() -> None:
    blocks = list(draw_weights(np.random.default_rng(0), samples=7, records=400_000))
    assert [len(block) for block in blocks] == [2, 2, 2, 1]
    assert all((block.sum(1) == 400_000).all() for block in blocks)
    drawn = np.random.default_rng(0).integers(400_000, size=(2, 400_000))
    assert blocks[0][1, 5] == np.count_nonzero(drawn[1] == 5)
