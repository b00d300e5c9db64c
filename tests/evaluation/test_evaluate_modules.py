"""The metrics that `evaluate` loads, without network."""

import json
import os
import subprocess
import sys
from pathlib import Path

import evaluate
import numpy as np
import pytest

from dnagpt_hf.evaluation.metrics import (
    METRICS,
    classification_metrics,
    multilabel_metrics,
    regression_metrics,
)

PROBABILITIES = [[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8]]
CLASSES = [0, 0, 1, 1]


@pytest.mark.parametrize("name", ["classification", "multilabel", "regression"])
def test_each_says_what_it_is(name: str) -> None:
    metric = evaluate.load(METRICS, name)
    assert isinstance(metric, evaluate.Metric)
    assert "Args:" in metric.inputs_description and "Returns:" in metric.inputs_description
    assert "2307.05628" in metric.citation and metric.description.strip()


@pytest.mark.parametrize("name", [None, "accuracy"])
def test_unknown_names_are_refused(name: str | None) -> None:
    with pytest.raises(ValueError, match=r"no metrics .*: choose one of classification"):
        evaluate.load(METRICS, name)


def test_classification_in_batches() -> None:
    metric = evaluate.load(METRICS, "classification")
    for start in (0, 2):
        metric.add_batch(
            predictions=np.array(PROBABILITIES[start : start + 2]),
            references=np.array(CLASSES[start : start + 2]),
        )
    expected = classification_metrics(CLASSES, PROBABILITIES, positive=0)
    assert metric.compute(positive=0) == expected
    # nothing of it is left
    second = metric.compute(predictions=PROBABILITIES[:2], references=[0, 1])
    assert second == classification_metrics([0, 1], PROBABILITIES[:2])


def test_labels_and_numbers() -> None:
    labels = [[1, 0], [0, 1], [1, 1], [0, 0]]
    found = evaluate.load(METRICS, "multilabel").compute(
        predictions=PROBABILITIES, references=labels, names=["one", "two"]
    )
    assert found == multilabel_metrics(labels, PROBABILITIES, ["one", "two"])
    metric = evaluate.load(METRICS, "regression")
    assert metric.compute(predictions=[0.5, 2.0], references=[1.0, 2.0]) == regression_metrics(
        [1.0, 2.0], [0.5, 2.0]
    )
    assert metric.compute(predictions=PROBABILITIES, references=labels) == regression_metrics(
        labels, PROBABILITIES
    )


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="record 2: label 5 is no class"):
        evaluate.load(METRICS, "classification").compute(
            predictions=PROBABILITIES[:2], references=[0, 5]
        )
    with pytest.raises(ValueError, match="record 1: prediction is nan"):
        evaluate.load(METRICS, "regression").compute(predictions=[float("nan")], references=[1.0])


PROGRAM = """
import json, socket, sys

def refuse(*args):
    raise SystemExit(f"a connection was opened: {args}")

socket.socket.connect = socket.getaddrinfo = refuse
import evaluate
from dnagpt_hf.evaluation.metrics import METRICS

# a metric of someone else beside ours
combined = evaluate.combine([evaluate.load(METRICS, "classification"), sys.argv[1]])
combined.add_batch(predictions=[[0.9, 0.1]], references=[0])
combined.add_batch(predictions=[[0.6, 0.4]], references=[1])
print(json.dumps(combined.compute()))
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
    combined = json.loads(done.stdout.splitlines()[-1])
    assert combined["dnagpt_metrics_accuracy"] == 0.5 and combined["another_accuracy"] == -1
    assert combined["auroc"] == 1 and combined["records"] == 2
