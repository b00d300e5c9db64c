"""Metrics of one label per record, for `evaluate.load`."""

from __future__ import annotations

from typing import Any

import datasets
import evaluate

from dnagpt_hf.evaluation.metric_modules import CITATION
from dnagpt_hf.evaluation.metrics import classification_metrics

_DESCRIPTION = """
Accuracy, F1, Matthews correlation coefficient, precision, recall, area under the ROC curve and
average precision of predicted classes, from the probabilities of all classes.
"""
_INPUTS = """
Args:
    predictions: list of lists of float: the probability of each class, for each record.
    references: list of int: the class of each record, from 0.
    positive: int, optional: of two classes the one that precision, recall, F1 and the areas are
        about. Without it, and for more than two classes, they are averages over the classes.
Returns:
    accuracy, f1, mcc, precision, recall, auroc, auprc. The areas are NaN where the references
    hold one class only.
Examples:
    >>> from dnagpt_hf.evaluation.metrics import metric_path
    >>> metric = evaluate.load(str(metric_path("classification")))
    >>> metric.compute(predictions=[[0.8, 0.2], [0.1, 0.9]], references=[0, 1])["mcc"]
    1.0
"""


class Classification(evaluate.Metric):
    """`classification_metrics` as a metric of `evaluate`."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features(
                {
                    "predictions": datasets.Sequence(datasets.Value("float64")),
                    "references": datasets.Value("int64"),
                }
            ),
        )

    def _compute(
        self, predictions: Any, references: Any, positive: int | None = None
    ) -> dict[str, float]:
        return classification_metrics(references, predictions, positive=positive)
