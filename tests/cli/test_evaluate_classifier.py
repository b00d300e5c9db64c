"""`dnagpt evaluate` and `predict` on classifiers that Transformers alone has trained."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score
from typer.testing import CliRunner

from dnagpt_hf import DNAGPTForSequenceClassification, DNAGPTTokenizer
from dnagpt_hf.cli import app
from dnagpt_hf.presets import preset_config

TEMPLATE = "<R>{sequence}<=><B>{label}"
ASKED = ("--template", TEMPLATE)


def run(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == status, result.output
    return result.output


def write(folder: Path, names: dict[str, Any], labels: list[str]) -> np.ndarray[Any, Any]:
    """Write a classifier and a table, and give the classifier's probabilities."""
    torch.manual_seed(0)
    config = preset_config("dnagpt-test", initializer_range=0.3, **names)
    model, tokenizer = DNAGPTForSequenceClassification(config).eval(), DNAGPTTokenizer()
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    rng = np.random.default_rng(1)
    sequences = ["".join(rng.choice(list("ACGT"), 30)) for _ in range(40)]
    rows = [f"{one},{labels[number % len(labels)]}" for number, one in enumerate(sequences)]
    (folder / "a.csv").write_text("\n".join(["sequence,label", *rows]) + "\n")
    inputs = tokenizer([f"<R>{one}" for one in sequences], return_tensors="pt")
    with torch.inference_mode():
        return model(**inputs).logits.softmax(-1).numpy()


def evaluated(folder: Path, *options: object) -> dict[str, float]:
    arguments = ("evaluate", folder / "model", folder / "a.csv", *options, "--no-plots")
    run(*arguments, "--bootstrap", 0, "--overwrite", "-o", folder / "out")
    metrics: dict[str, float] = json.loads((folder / "out" / "metrics.json").read_text())["metrics"]
    return metrics


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        # neither in the order of the alphabet nor in that of the table
        ({"id2label": {0: "signal", 1: "none"}}, ["none", "signal"]),
        ({"id2label": {0: "none", 1: "signal"}}, ["signal", "none"]),
        ({"num_labels": 2}, ["1", "0"]),
        # a task of the token language, whose answers stand in another order
        (
            {
                "id2label": {0: "signal", 1: "none"},
                "task": {"template": TEMPLATE, "answers": {"<0>": "none", "<1>": "signal"}},
            },
            ["none", "signal"],
        ),
    ],
)
def test_classes_are_those_of_the_head_in_the_order_of_their_ids(
    tmp_path: Path, names: dict[str, Any], labels: list[str]
) -> None:
    probabilities = write(tmp_path, names, labels)
    known = list(names.get("id2label", {0: "0", 1: "1"}).values())
    truth = np.array([known.index(labels[number % 2]) for number in range(40)])
    options = () if "task" in names else ASKED
    metrics = evaluated(tmp_path, *options)
    assert metrics["auroc"] == pytest.approx(roc_auc_score(truth, probabilities[:, 1]), abs=1e-5)
    assert metrics["loss"] == pytest.approx(log_loss(truth, probabilities), rel=1e-4)
    told = run("predict", tmp_path / "model", tmp_path / "a.csv", *options)
    names_of_head = known if "id2label" in names else ["LABEL_0", "LABEL_1"]
    predicted = [row["predicted"] for row in csv.DictReader(io.StringIO(told))]
    assert predicted == [names_of_head[place] for place in probabilities.argmax(1)]


def test_answers_are_not_for_heads(tmp_path: Path) -> None:
    write(tmp_path, {"id2label": {0: "no", 1: "yes"}}, ["no", "yes"])
    for command in (("evaluate", "-o", tmp_path / "out"), ("predict",)):
        name, *more = command
        files = (tmp_path / "model", tmp_path / "a.csv")
        told = run(name, *files, *more, *ASKED, "--answers", "A=yes,N=no", status=1)
        assert "its labels are those of config.id2label" in told and told.count("\n") == 1


def test_several_labels_are_taken_by_their_names(tmp_path: Path) -> None:
    names = {
        "id2label": {0: "late", 1: "early"},
        "problem_type": "multi_label_classification",
    }
    write(tmp_path, names, ["x"])
    rows = (tmp_path / "a.csv").read_text().splitlines()[1:]
    answers = [(number % 2, number % 3 % 2) for number in range(40)]
    lines = [f"{row.split(',')[0]},{a},{b}" for row, (a, b) in zip(rows, answers, strict=True)]
    (tmp_path / "a.csv").write_text("\n".join(["sequence,early,late", *lines]) + "\n")
    found = evaluated(tmp_path, "--template", "<R>{sequence}<=><B>{early}<B>{late}")
    other = evaluated(tmp_path, "--template", "<R>{sequence}<=><B>{late}<B>{early}")
    assert found == other
    arguments = ("evaluate", tmp_path / "model", tmp_path / "a.csv", "-o", tmp_path / "new")
    told = run(*arguments, "--template", "<R>{sequence}<=><B>{early}<B>{sequence}", status=1)
    assert told.startswith("dnagpt: error: ")
