"""The metrics of `dnagpt_hf.evaluation.metrics` for `evaluate.load`, without network.

Training and `dnagpt evaluate` call the functions directly: importing `evaluate` takes seconds, and
it writes predictions to disk before it computes.
"""

from __future__ import annotations

import inspect
from typing import Any

import evaluate
from datasets import Features, Sequence, Value

from dnagpt_hf.evaluation.metrics import (
    classification_metrics,
    multilabel_metrics,
    regression_metrics,
)

CITATION = """
@article{zhang2023dnagpt,
  title={{DNAGPT}: A Generalized Pre-trained Tool for Versatile DNA Sequence Analysis Tasks},
  author={Zhang, Daoan and Zhang, Weitong and Zhao, Yu and Zhang, Jianguo and He, Bing and
    Qin, Chenchen and Yao, Jianhua},
  journal={arXiv preprint arXiv:2307.05628},
  year={2023}
}
"""
_NUMBER, _CLASS = Value("float64"), Value("int64")
_NUMBERS, _CLASSES = Sequence(_NUMBER), Sequence(_CLASS)
# function, and types of predictions and references of a record, or several such pairs
_CONFIGURATIONS: dict[str, tuple[Any, list[tuple[Any, Any]]]] = {
    "classification": (classification_metrics, [(_NUMBERS, _CLASS)]),
    "multilabel": (multilabel_metrics, [(_NUMBERS, _CLASSES)]),
    "regression": (regression_metrics, [(_NUMBER, _NUMBER), (_NUMBERS, _NUMBERS)]),
}


class DNAGPTMetrics(evaluate.Metric):
    """A function of `dnagpt_hf.evaluation.metrics`, whose first argument is the references."""

    def _info(self) -> evaluate.MetricInfo:
        if self.config_name not in _CONFIGURATIONS:
            raise ValueError(
                f"no metrics {self.config_name!r}: choose one of {', '.join(_CONFIGURATIONS)}"
            )
        function, pairs = _CONFIGURATIONS[self.config_name]
        description, _, inputs = (inspect.getdoc(function) or "").partition("\n\n")
        return evaluate.MetricInfo(
            description=description,
            citation=CITATION,
            inputs_description=inputs,
            features=[Features({"predictions": p, "references": r}) for p, r in pairs],
        )

    def _compute(self, predictions: Any, references: Any, **options: Any) -> dict[str, Any]:
        function, _ = _CONFIGURATIONS[self.config_name]
        return function(references, predictions, **options)
