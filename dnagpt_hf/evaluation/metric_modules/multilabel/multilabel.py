"""Metrics of several labels per record, for `evaluate.load`."""

from __future__ import annotations

from typing import Any

import datasets
import evaluate

from dnagpt_hf.evaluation.metric_modules import CITATION
from dnagpt_hf.evaluation.metrics import multilabel_metrics

_DESCRIPTION = """
Accuracy, F1, Matthews correlation coefficient, precision, recall, area under the ROC curve and
average precision of each label and averaged over labels, from the probabilities of the labels.
"""
_INPUTS = """
Args:
    predictions: list of lists of float: the probability of each label, for each record.
    references: list of lists of int: 0 or 1 for each label.
    names: list of str, optional: the labels' names; by default their numbers, from 0.
Returns:
    accuracy, f1, mcc, precision, recall, auroc, auprc: averages over labels; each of them for
    each label, as auroc_NAME; subset_accuracy: share of records without a wrong label.
Examples:
    >>> from dnagpt_hf.evaluation.metrics import metric_path
    >>> metric = evaluate.load(str(metric_path("multilabel")))
    >>> predictions, references = [[0.8, 0.2], [0.1, 0.9]], [[1, 0], [1, 1]]
    >>> metric.compute(predictions=predictions, references=references)["subset_accuracy"]
    0.5
"""


class Multilabel(evaluate.Metric):
    """`multilabel_metrics` as a metric of `evaluate`."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features(
                {
                    "predictions": datasets.Sequence(datasets.Value("float64")),
                    "references": datasets.Sequence(datasets.Value("int64")),
                }
            ),
        )

    def _compute(
        self, predictions: Any, references: Any, names: list[str] | None = None
    ) -> dict[str, float]:
        return multilabel_metrics(references, predictions, names)
