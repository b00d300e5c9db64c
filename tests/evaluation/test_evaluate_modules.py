"""The metrics that `evaluate` loads, without network."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import evaluate
import numpy as np
import pytest

from dnagpt_hf.evaluation.metrics import (
    METRIC_NAMES,
    classification_metrics,
    metric_path,
    multilabel_metrics,
    regression_metrics,
)

PROBABILITIES = [[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8]]
CLASSES = [0, 0, 1, 1]


def load(name: str) -> Any:
    return evaluate.load(str(metric_path(name)))


@pytest.mark.parametrize("name", METRIC_NAMES)
def test_each_says_what_it_is(name: str) -> None:
    metric = load(name)
    assert isinstance(metric, evaluate.Metric) and metric.name == name
    assert "Args:" in metric.inputs_description and "Returns:" in metric.inputs_description
    assert "2307.05628" in metric.citation and metric.description.strip()
    assert metric_path(name) == Path(sys.modules["dnagpt_hf"].__file__ or "").parent.joinpath(
        "evaluation", "metric_modules", name
    )


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no metric 'accuracy': choose one of classification"):
        metric_path("accuracy")


def test_classification_in_batches() -> None:
    metric = load("classification")
    for start in (0, 2):
        metric.add_batch(
            predictions=np.array(PROBABILITIES[start : start + 2]),
            references=np.array(CLASSES[start : start + 2]),
        )
    expected = classification_metrics(CLASSES, PROBABILITIES, positive=1)
    assert metric.compute(positive=1) == expected
    # nothing of it is left
    second = metric.compute(predictions=PROBABILITIES[:2], references=[0, 1])
    assert second == classification_metrics([0, 1], PROBABILITIES[:2])


def test_labels_and_numbers() -> None:
    labels = [[1, 0], [0, 1], [1, 1], [0, 0]]
    found = load("multilabel").compute(
        predictions=PROBABILITIES, references=labels, names=["one", "two"]
    )
    assert found == multilabel_metrics(labels, PROBABILITIES, ["one", "two"])
    metric = load("regression")
    assert metric.compute(predictions=[0.5, 2.0], references=[1.0, 2.0]) == regression_metrics(
        [1.0, 2.0], [0.5, 2.0]
    )
    assert metric.compute(predictions=PROBABILITIES, references=labels) == regression_metrics(
        labels, PROBABILITIES
    )


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="record 2: label 5 is no class"):
        load("classification").compute(predictions=PROBABILITIES[:2], references=[0, 5])
    with pytest.raises(ValueError, match="record 1: prediction is nan"):
        load("regression").compute(predictions=[float("nan")], references=[1.0])


PROGRAM = """
import json, socket, sys

def refuse(*args):
    raise SystemExit(f"a connection was opened: {args}")

socket.socket.connect = socket.getaddrinfo = refuse
import evaluate
from dnagpt_hf.evaluation.metrics import METRIC_NAMES, metric_path

loaded = [evaluate.load(str(metric_path(name))).name for name in METRIC_NAMES]
# a metric of someone else beside ours
combined = evaluate.combine([str(metric_path("classification")), sys.argv[1]])
combined.add_batch(predictions=[[0.9, 0.1]], references=[0])
combined.add_batch(predictions=[[0.6, 0.4]], references=[1])
print(json.dumps([loaded, combined.compute()]))
"""
ANOTHER = """
import datasets
import evaluate

class Another(evaluate.Metric):
    def _info(self):
        features = datasets.Features(
            {
                "predictions": datasets.Sequence(datasets.Value("float64")),
                "references": datasets.Value("int64"),
            }
        )
        return evaluate.MetricInfo(
            description="", citation="", inputs_description="", features=features
        )

    def _compute(self, predictions, references):
        return {"records": len(references), "accuracy": -1}
"""


def test_in_a_fresh_process_without_network(tmp_path: Path) -> None:
    script = tmp_path / "another" / "another.py"
    script.parent.mkdir()
    script.write_text(ANOTHER)
    offline = {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "HF_EVALUATE_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(script)],
        capture_output=True,
        text=True,
        env=os.environ | offline,
    )
    assert done.returncode == 0, done.stderr
    loaded, combined = json.loads(done.stdout.splitlines()[-1])
    assert loaded == list(METRIC_NAMES)
    assert combined["classification_accuracy"] == 0.5 and combined["another_accuracy"] == -1
    assert combined["auroc"] == 1 and combined["records"] == 2
