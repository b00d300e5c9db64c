"""Metrics that `evaluate.load` reads from their folders, without network.

Training and `dnagpt evaluate` call the same functions directly: importing `evaluate` takes seconds,
and it writes predictions to disk before it computes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import datasets
import evaluate

CITATION = """
@article{zhang2023dnagpt,
  title={{DNAGPT}: A Generalized Pre-trained Tool for Versatile DNA Sequence Analysis Tasks},
  author={Zhang, Daoan and Zhang, Weitong and Zhao, Yu and Zhang, Jianguo and He, Bing and
    Qin, Chenchen and Yao, Jianhua},
  journal={arXiv preprint arXiv:2307.05628},
  year={2023}
}
"""
NUMBER, CLASS = datasets.Value("float64"), datasets.Value("int64")
NUMBERS, CLASSES = datasets.Sequence(NUMBER), datasets.Sequence(CLASS)


class FunctionMetric(evaluate.Metric):
    """A metric of `evaluate` that calls a function of `dnagpt_hf.evaluation.metrics`.

    Args:
        function: the function, of references and predictions.
        types: types of predictions and references of one record, or several such pairs.
    """

    function: ClassVar[Callable[..., dict[str, Any]]]
    types: ClassVar[tuple[tuple[Any, Any], ...]]

    def _info(self) -> evaluate.MetricInfo:
        description, _, inputs = (inspect.getdoc(type(self)) or "").partition("\n\n")
        features = [
            datasets.Features({"predictions": predictions, "references": references})
            for predictions, references in self.types
        ]
        return evaluate.MetricInfo(
            description=description,
            citation=CITATION,
            inputs_description=inputs,
            features=features if len(features) > 1 else features[0],
        )

    def _compute(self, predictions: Any, references: Any, **options: Any) -> dict[str, Any]:
        return type(self).function(references, predictions, **options)
