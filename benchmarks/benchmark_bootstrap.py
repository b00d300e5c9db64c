"""Compare bootstrap intervals with scikit-learn's metrics under the same weights, in seconds.

    OMP_NUM_THREADS=1 python benchmarks/benchmark_bootstrap.py

Prints one JSON object. Both compute seven metrics of two classes for every bootstrap sample. The
values are compared, and times are processor times.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn import metrics as sklearn_metrics

from dnagpt_hf.evaluation.bootstrap import bootstrap_intervals, draw_weights
from dnagpt_hf.evaluation.metrics import classification_metrics

OF_CLASSES: dict[str, Callable[..., float]] = {
    "accuracy": sklearn_metrics.accuracy_score,
    "f1": sklearn_metrics.f1_score,
    "mcc": sklearn_metrics.matthews_corrcoef,
    "precision": sklearn_metrics.precision_score,
    "recall": sklearn_metrics.recall_score,
}
OF_SCORES: dict[str, Callable[..., float]] = {
    "auroc": sklearn_metrics.roc_auc_score,
    "auprc": sklearn_metrics.average_precision_score,
}


def one_by_one(
    labels: np.ndarray[Any, Any], scores: np.ndarray[Any, Any], samples: int
) -> dict[str, list[float]]:
    """Compute quantiles of scikit-learn's metrics, one sample after the other."""
    values: dict[str, list[float]] = {name: [] for name in OF_CLASSES | OF_SCORES}
    for block in draw_weights(np.random.default_rng(0), samples, len(labels)):
        for weight in block:
            for name, function in OF_CLASSES.items():
                values[name].append(function(labels, scores > 0.5, sample_weight=weight))
            for name, function in OF_SCORES.items():
                values[name].append(function(labels, scores, sample_weight=weight))
    return {name: np.quantile(one, [0.025, 0.975]).tolist() for name, one in values.items()}


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    started = time.process_time()
    result = function()
    return result, time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--records", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=1000)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=options.records)
    scores = np.clip(0.3 + 0.4 * labels + rng.normal(0, 0.3, options.records), 0, 1)
    probabilities = np.column_stack([1 - scores, scores])
    metrics = partial(classification_metrics, labels, probabilities, positive=1)
    found, seconds = timed(
        lambda: bootstrap_intervals(metrics, options.records, samples=options.samples)
    )
    expected, seconds_one_by_one = timed(lambda: one_by_one(labels, scores, options.samples))
    differences = [np.subtract(found[name], expected[name]) for name in expected]
    results = {
        "records": options.records,
        "samples": options.samples,
        "seconds": round(seconds, 3),
        "seconds_of_scikit_learn": round(seconds_one_by_one, 3),
        "largest_difference": float(np.abs(differences).max()),
    }
    print(json.dumps(results))


if __name__ == "__main__":
    main()
