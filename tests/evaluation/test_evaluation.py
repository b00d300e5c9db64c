"""Answers beside targets: metrics, intervals, rows, files, tables and figures."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finetuning_runs import ANSWERS, BOTH, CLASS, NUMBER, as_records, planted
from sklearn import metrics as reference

from dnagpt_hf import DNAGPTTokenizer
from dnagpt_hf.evaluation.evaluation import Evaluation, metric_names
from dnagpt_hf.evaluation.report import metrics_table, write_figures
from dnagpt_hf.inference.prediction_heads import Output
from dnagpt_hf.tasks.examples import read_examples
from dnagpt_hf.tasks.task import Task

CLASSES = Output("label", ("none", "signal"))
LEVEL = Output("level")


def evaluation_of(
    template: str, outputs: list[Output], scores: Any, head: Any = "language", **task: Any
) -> Evaluation:
    answers = ANSWERS if "<B>" in template else {}
    asked = Task(template, **{"answers": answers, **task})
    rows = [{**row, "other": "signal" if n % 3 else "none"} for n, row in enumerate(planted(60))]
    examples = read_examples(asked, DNAGPTTokenizer(), as_records(rows), head=head, max_length=64)
    return Evaluation.from_scores(asked, outputs, examples, np.asarray(scores, np.float32))


def random_classes(seed: int = 0) -> np.ndarray[Any, Any]:
    signal = np.random.default_rng(seed).uniform(size=60)
    return np.stack([1 - signal, signal], axis=1)


def test_classes() -> None:
    scores = random_classes()
    evaluation = evaluation_of(CLASS, [CLASSES], scores)
    is_signal = np.array([row["label"] == "signal" for row in planted(60)])
    predicted = scores[:, 1] > 0.5
    found = evaluation.metrics()
    assert found["accuracy"] == pytest.approx((predicted == is_signal).mean())
    assert found["mcc"] == pytest.approx(reference.matthews_corrcoef(is_signal, predicted))
    assert found["precision"] == pytest.approx(reference.precision_score(is_signal, predicted))
    assert found["recall"] == pytest.approx(reference.recall_score(is_signal, predicted))
    assert found["auroc"] == pytest.approx(reference.roc_auc_score(is_signal, scores[:, 1]))
    assert found["loss"] == pytest.approx(reference.log_loss(is_signal, scores), rel=1e-5)


def test_the_positive_label_is_that_of_the_task() -> None:
    scores = random_classes()
    is_none = np.array([row["label"] == "none" for row in planted(60)])
    found = evaluation_of(CLASS, [CLASSES], scores, positive="none").metrics()
    assert found["recall"] == pytest.approx(reference.recall_score(is_none, scores[:, 0] > 0.5))
    assert found["auprc"] == pytest.approx(
        reference.average_precision_score(is_none, scores[:, 0]), rel=1e-5
    )


def test_numbers() -> None:
    level = np.array([row["level"] for row in planted(60)])
    predicted = level + np.random.default_rng(0).normal(0, 30, 60)
    found = evaluation_of(NUMBER, [LEVEL], predicted[:, None]).metrics()
    assert found["r2"] == pytest.approx(reference.r2_score(level, predicted), rel=1e-5)
    assert found["loss"] == pytest.approx(found["mse"])
    assert found["mse"] == pytest.approx(((level - predicted) ** 2).mean())


def test_several_outputs() -> None:
    level = np.array([row["level"] for row in planted(60)])
    scores = np.column_stack([random_classes(), level + 5])
    found = evaluation_of(BOTH, [CLASSES, LEVEL], scores).metrics()
    alone = evaluation_of(CLASS, [CLASSES], scores[:, :2]).metrics()
    for name, value in alone.items():
        assert found[f"label_{name}"] == value
    assert found["level_mse"] == pytest.approx(25)
    assert found["mse"] == found["level_mse"] and found["mcc"] == found["label_mcc"]
    assert found["loss"] == pytest.approx((found["label_loss"] + found["level_loss"]) / 2)
    assert metric_names([CLASSES, LEVEL]) == list(found) and metric_names([CLASSES]) == list(alone)


def test_several_labels_of_a_head() -> None:
    several = Output("answer", ("label", "other"), multilabel=True)
    scores = np.random.default_rng(0).uniform(size=(60, 2))
    template = "<R>{sequence}<=><B>{label}<B>{other}"
    evaluation = evaluation_of(template, [several], scores, "classification")
    holds = np.array([[row["label"] == "signal", n % 3 > 0] for n, row in enumerate(planted(60))])
    found = evaluation.metrics()
    assert found["accuracy_other"] == pytest.approx(((scores[:, 1] > 0.5) == holds[:, 1]).mean())
    assert metric_names([several]) == list(found)
    losses = -np.log(np.where(holds, scores, 1 - scores))
    assert found["loss"] == pytest.approx(losses.mean(), rel=1e-5)
    row = list(evaluation.rows())[1]
    assert row["target"] == [
        name for name, one in zip(several.labels, holds[1], strict=True) if one
    ]
    assert row["predicted"] == [
        n for n, one in zip(several.labels, scores[1], strict=True) if one > 0.5
    ]


def test_a_certain_and_wrong_answer_has_a_finite_loss() -> None:
    scores = np.tile([1.0, 0.0], (60, 1))
    assert math.isfinite(evaluation_of(CLASS, [CLASSES], scores).metrics()["loss"])


def test_intervals_hold_the_figures() -> None:
    evaluation = evaluation_of(CLASS, [CLASSES], random_classes())
    intervals = evaluation.intervals(samples=200)
    for name, (low, high) in intervals.items():
        assert low < evaluation.metrics()[name] < high
    assert intervals == evaluation.intervals(samples=200)
    assert intervals != evaluation.intervals(samples=200, seed=1)


def test_files(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    level = np.array([row["level"] for row in planted(60)])
    evaluation = evaluation_of(BOTH, [CLASSES, LEVEL], np.column_stack([random_classes(), level]))
    content = evaluation.write(tmp_path / "new", samples=20)
    assert json.loads((tmp_path / "new" / "metrics.json").read_text()) == content
    assert content["records"] == 60 and content["metrics"] == evaluation.metrics()
    assert set(content["intervals_95"]) > {"label_mcc", "level_r2"}
    rows = pq.read_table(tmp_path / "new" / "predictions.parquet").to_pylist()
    assert rows == list(evaluation.rows())
    for number, (row, planted_row) in enumerate(zip(rows, planted(60), strict=True)):
        assert row["name"] == str(number + 1)
        assert row["label_target"] == planted_row["label"]
        assert row["level_target"] == pytest.approx(planted_row["level"])
        likely = row["label_probability_signal"] > 0.5
        assert row["label_predicted"] == ("signal" if likely else "none")
    assert "intervals_95" not in evaluation.write(tmp_path / "new", samples=0)


def test_a_figure_that_has_no_meaning_is_null(tmp_path: Path) -> None:
    """As an area under the curve of one class, which other programs could not read as NaN."""
    task = Task(CLASS, answers=ANSWERS)
    rows = [{**row, "label": "none"} for row in planted(6)]
    examples = read_examples(task, DNAGPTTokenizer(), as_records(rows), max_length=64)
    scores = np.float32(random_classes()[:6])
    content = Evaluation.from_scores(task, [CLASSES], examples, scores).write(tmp_path, samples=5)
    assert math.isnan(content["metrics"]["auroc"])
    text = (tmp_path / "metrics.json").read_text()
    assert "NaN" not in text and json.loads(text)["metrics"]["auroc"] is None
    assert "| auroc | nan |" in metrics_table(content)


def test_tables_and_figures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    level = np.array([row["level"] for row in planted(60)])
    evaluation = evaluation_of(BOTH, [CLASSES, LEVEL], np.column_stack([random_classes(), level]))
    written = write_figures(evaluation, tmp_path)
    assert sorted(path.name for path in written) == [
        "label_confusion.png",
        "label_precision_recall.png",
        "label_roc.png",
        "level_predicted_against_true.png",
    ]
    assert all(path.stat().st_size > 1000 for path in written)
    content = evaluation.write(tmp_path, samples=20)
    text = metrics_table(content)
    low, high = content["intervals_95"]["label_mcc"]
    value = content["metrics"]["label_mcc"]
    assert f"| label_mcc | {value:.4f} | {low:.4f} to {high:.4f} |" in text
    assert "recall, auroc and auprc are those of signal (of label). Names in _macro" in text
