"""Metrics of numbers of records, for `evaluate.load`."""

from __future__ import annotations

from typing import Any

import datasets
import evaluate

from dnagpt_hf.evaluation.metric_modules import CITATION
from dnagpt_hf.evaluation.metrics import regression_metrics

_DESCRIPTION = """
Coefficient of determination, Pearson and Spearman correlation, mean squared and mean absolute error
of predicted numbers.
"""
_INPUTS = """
Args:
    predictions: list of float, or list of lists of float: the predicted number or numbers.
    references: the true ones, in the same form.
    names: list of str, optional: the names of several numbers; by default their places, from 0.
Returns:
    r2, pearson, spearman, mse, mae; of several numbers their averages, and each of them for each
    number, as r2_NAME.
Examples:
    >>> from dnagpt_hf.evaluation.metrics import metric_path
    >>> metric = evaluate.load(str(metric_path("regression")))
    >>> metric.compute(predictions=[0.5, 1.0, 1.5], references=[0.0, 1.0, 2.0])["r2"]
    0.75
"""


class Regression(evaluate.Metric):
    """`regression_metrics` as a metric of `evaluate`."""

    def _info(self) -> evaluate.MetricInfo:
        number = datasets.Value("float64")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=CITATION,
            inputs_description=_INPUTS,
            features=[
                datasets.Features({"predictions": kind, "references": kind})
                for kind in (number, datasets.Sequence(number))
            ],
        )

    def _compute(
        self, predictions: Any, references: Any, names: list[str] | None = None
    ) -> dict[str, float]:
        return regression_metrics(references, predictions, names)
