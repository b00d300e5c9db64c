"""Metrics by hand, by scikit-learn, at their limits, and under weights."""

import math
import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as reference

from dnagpt_hf.evaluation.metrics import (
    classification_metrics,
    multilabel_metrics,
    regression_metrics,
)

NAMES = ["accuracy", "f1", "mcc", "precision", "recall", "auroc", "auprc"]
MACRO = ["f1_macro", "precision_macro", "recall_macro"]


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    """What is defined needs no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def classes(records: int, number: int, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Labels, and probabilities that know something of them; many scores are equal."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(number, size=records)
    scores = rng.random((records, number)).round(1) + 0.01 + 0.4 * np.eye(number)[labels]
    return labels, scores / scores.sum(1, keepdims=True)


def numbers(records: int, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(seed)
    targets = rng.normal(100, 1, records).round(1)
    return targets, (targets + rng.normal(0, 1, records)).round(1)


def test_two_classes_by_hand() -> None:
    labels = [1, 1, 1, 0, 0]
    probabilities = [[0.1, 0.9], [0.4, 0.6], [0.7, 0.3], [0.8, 0.2], [0.45, 0.55]]
    metrics = classification_metrics(labels, probabilities, positive=1)
    # two hits, one miss, one false alarm, one rightly refused
    assert list(metrics) == NAMES + MACRO
    assert metrics == classification_metrics(labels, probabilities)
    # of the other class one hit, one miss, one false alarm
    assert metrics["f1_macro"] == metrics["recall_macro"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert metrics["accuracy"] == pytest.approx(3 / 5)
    assert metrics["precision"] == metrics["recall"] == metrics["f1"] == pytest.approx(2 / 3)
    assert metrics["mcc"] == pytest.approx((2 * 1 - 1 * 1) / math.sqrt(3 * 3 * 2 * 2))
    # of the six pairs one is the wrong way round
    assert metrics["auroc"] == pytest.approx(5 / 6)
    assert metrics["auprc"] == pytest.approx((1 + 1 + 3 / 4) / 3)


def test_the_positive_class_may_be_the_first() -> None:
    labels, probabilities = classes(50, 2)
    # of two classes that are as probable, the first is predicted, so that turning them changes it
    clear = probabilities[:, 0] != probabilities[:, 1]
    labels, probabilities = labels[clear], probabilities[clear]
    first = classification_metrics(labels, probabilities, positive=0)
    turned = classification_metrics(1 - labels, probabilities[:, ::-1], positive=1)
    assert first == pytest.approx(turned)
    assert first["recall"] != classification_metrics(labels, probabilities, positive=1)["recall"]


def test_averages_over_two_classes() -> None:
    labels, probabilities = classes(80, 2)
    found = classification_metrics(labels, probabilities)
    for name, function in (
        ("f1_macro", reference.f1_score),
        ("precision_macro", reference.precision_score),
        ("recall_macro", reference.recall_score),
    ):
        expected = function(labels, probabilities.argmax(1), average="macro")
        assert found[name] == pytest.approx(expected)


def test_averages_over_classes() -> None:
    labels, probabilities = classes(80, 4)
    predicted = probabilities.argmax(1)
    is_class = np.eye(4)[labels]
    expected = {
        "accuracy": reference.accuracy_score(labels, predicted),
        "f1": reference.f1_score(labels, predicted, average="macro"),
        "mcc": reference.matthews_corrcoef(labels, predicted),
        "precision": reference.precision_score(labels, predicted, average="macro"),
        "recall": reference.recall_score(labels, predicted, average="macro"),
        "auroc": reference.roc_auc_score(is_class, probabilities, average="macro"),
        "auprc": reference.average_precision_score(is_class, probabilities, average="macro"),
    }
    assert classification_metrics(labels, probabilities) == pytest.approx(expected)


def test_constant_predictions_and_one_class() -> None:
    same = [[0.3, 0.7]] * 4
    constant = classification_metrics([0, 1, 1, 1], same)
    assert constant["mcc"] == 0 and constant["auroc"] == 0.5 and constant["accuracy"] == 0.75
    for labels in ([1, 1, 1, 1], [1]):
        alone = classification_metrics(labels, same[: len(labels)])
        assert alone["accuracy"] == alone["f1"] == alone["recall"] == 1 and alone["mcc"] == 0
        assert math.isnan(alone["auroc"]) and math.isnan(alone["auprc"])
    never = classification_metrics([0, 1], [[0.9, 0.1]] * 2, positive=1)
    assert never["precision"] == never["recall"] == never["f1"] == 0


def test_a_class_that_is_absent_does_not_count() -> None:
    labels, probabilities = classes(40, 3)
    four = np.column_stack([probabilities, np.zeros(40)])
    assert classification_metrics(labels, four) == pytest.approx(
        classification_metrics(labels, probabilities)
    )


def test_several_labels() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(2, size=(60, 3))
    labels[:, 2] = 0
    probabilities = np.clip(0.3 * labels + 0.7 * rng.random((60, 3)), 0, 1)
    metrics = multilabel_metrics(labels, probabilities, ["CTCF", "H3K4me1", "never"])
    for column, name in enumerate(["CTCF", "H3K4me1"]):
        scores = probabilities[:, column]
        true, predicted = labels[:, column], scores > 0.5
        assert metrics[f"mcc_{name}"] == pytest.approx(reference.matthews_corrcoef(true, predicted))
        assert metrics[f"auroc_{name}"] == pytest.approx(reference.roc_auc_score(true, scores))
        assert metrics[f"recall_{name}"] == pytest.approx(reference.recall_score(true, predicted))
    assert math.isnan(metrics["auroc_never"])
    assert metrics["auroc"] == pytest.approx((metrics["auroc_CTCF"] + metrics["auroc_H3K4me1"]) / 2)
    assert metrics["subset_accuracy"] == pytest.approx(
        reference.accuracy_score(labels, probabilities > 0.5)
    )
    assert len(metrics) == 4 * len(NAMES) + 1


def test_one_half_is_no_label() -> None:
    assert multilabel_metrics([[0, 1]], [[0.5, 0.51]])["subset_accuracy"] == 1


def test_numbers() -> None:
    targets, predictions = numbers(70)
    expected = {
        "r2": reference.r2_score(targets, predictions),
        "pearson": stats.pearsonr(targets, predictions)[0],
        "spearman": stats.spearmanr(targets, predictions)[0],
        "mse": np.mean((targets - predictions) ** 2),
        "mae": np.mean(abs(targets - predictions)),
    }
    metrics = regression_metrics(targets, predictions)
    assert metrics == pytest.approx(expected)
    # a column is no matrix: nothing is broadcast
    assert regression_metrics(targets[:, None], predictions) == metrics


def test_numbers_that_say_nothing() -> None:
    constant = regression_metrics([1.0, 2.0, 3.0], [2.0, 2.0, 2.0])
    assert constant["r2"] == 0 and constant["pearson"] == constant["spearman"] == 0
    for targets in ([5.0, 5.0], [5.0]):
        metrics = regression_metrics(targets, [4.0, 7.0][: len(targets)])
        assert math.isnan(metrics["r2"])
        assert metrics["pearson"] == metrics["spearman"] == 0 and metrics["mae"] > 0


def test_several_numbers() -> None:
    first, second = numbers(30), numbers(30, seed=1)
    pairs = np.column_stack([first[0], second[0]]), np.column_stack([first[1], second[1]])
    metrics = regression_metrics(*pairs, ["leaf", "root"])
    for name, columns in (("leaf", first), ("root", second)):
        for metric, value in regression_metrics(*columns).items():
            assert metrics[f"{metric}_{name}"] == pytest.approx(value)
    assert metrics["r2"] == pytest.approx((metrics["r2_leaf"] + metrics["r2_root"]) / 2)
    assert "mse_1" in regression_metrics(*pairs)


RNG = np.random.default_rng(3)
LABELS = RNG.integers(2, size=(40, 3))
CASES = {
    "two classes": (classification_metrics, classes(90, 2), {"positive": 1}),
    "averages": (classification_metrics, classes(90, 2), {}),
    "three classes": (classification_metrics, classes(60, 3), {}),
    "a rare class": (classification_metrics, classes(5, 3), {}),
    "labels": (multilabel_metrics, (LABELS, 0.3 * LABELS + 0.4), {"names": ["a", "b", "c"]}),
    "numbers": (regression_metrics, numbers(80), {}),
    "few numbers": (regression_metrics, numbers(3), {}),
    "several numbers": (regression_metrics, (LABELS, LABELS[:, ::-1]), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_weights_are_repeated_records(case: str) -> None:
    metrics, arrays, options = CASES[case]
    records = len(arrays[0])
    weights = RNG.multinomial(records, np.full(records, 1 / records), size=30)
    # all weight on one record, and on each once
    weights = np.vstack(
        [weights, records * np.eye(records, dtype=int)[:2], np.ones_like(weights[:1])]
    )
    values = metrics(*arrays, sample_weight=weights, **options)
    for row, counts in enumerate(weights):
        repeated = (np.repeat(array, counts, axis=0) for array in arrays)
        for name, value in metrics(*repeated, **options).items():
            assert values[name][row] == pytest.approx(value, abs=1e-9, nan_ok=True), (row, name)


def test_weights_are_those_of_scikit_learn() -> None:
    labels, probabilities = classes(90, 2)
    weight = RNG.random(90)
    arrays, options = (labels, probabilities.argmax(1)), {"sample_weight": weight}
    found = classification_metrics(labels, probabilities, positive=1, **options)
    for name, function in (
        ("accuracy", reference.accuracy_score),
        ("f1", reference.f1_score),
        ("mcc", reference.matthews_corrcoef),
        ("precision", reference.precision_score),
        ("recall", reference.recall_score),
    ):
        assert found[name] == pytest.approx(function(*arrays, **options))
    scores = labels, probabilities[:, 1]
    assert found["auroc"] == pytest.approx(reference.roc_auc_score(*scores, **options))
    assert found["auprc"] == pytest.approx(reference.average_precision_score(*scores, **options))
    pair = numbers(90)
    found = regression_metrics(*pair, **options)
    assert found["r2"] == pytest.approx(reference.r2_score(*pair, **options))
    assert found["mse"] == pytest.approx(reference.mean_squared_error(*pair, **options))
    assert found["mae"] == pytest.approx(reference.mean_absolute_error(*pair, **options))
    covariance = np.cov(*pair, aweights=weight)
    expected = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    assert found["pearson"] == pytest.approx(expected)


def test_weights_must_fit() -> None:
    with pytest.raises(ValueError, match=r"weights of shape \(1, 3\) do not fit 2 records"):
        regression_metrics([1.0, 2.0], [1.0, 2.0], sample_weight=[1, 1, 1])


def test_numbers_far_from_zero_lose_nothing() -> None:
    targets, predictions = numbers(70)
    near, far = (regression_metrics(targets - at, predictions - at) for at in (100, -1e6))
    assert far == pytest.approx(near, rel=1e-6)


def test_import_is_light() -> None:
    program = "import sys, dnagpt_hf.evaluation.metrics as m; print(*{'sklearn', 'scipy', 'torch'} "
    program += "& {name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stdout.strip(), done
