"""Baselines on the records of a fine-tuning: the same splits, the same inputs, the same metrics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from finetuning_runs import BOTH, CLASS, content_of, planted, write_base, write_table
from typer.testing import CliRunner

from dnagpt_hf import baseline, open_checkpoint
from dnagpt_hf.cli import app
from dnagpt_hf.evaluation import convolutional_baseline, kmer_baseline
from dnagpt_hf.finetuning.baseline import read_sequences
from dnagpt_hf.finetuning.run import finetune, read_task
from dnagpt_hf.finetuning.settings import parse_finetuning_settings


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base") / "base")


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolutional_baseline, "LEAST_STEPS", 24)
    monkeypatch.setattr(kmer_baseline, "CANDIDATES", (1e-2,))


def predictions(folder: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return pq.read_table(folder / "predictions.parquet").to_pylist()


def test_the_records_and_metrics_are_those_of_a_finetuning(base: Path, tmp_path: Path) -> None:
    rows = planted(120)
    # a duplicate, which both leave out
    table = write_table(tmp_path / "a.csv", [*rows, rows[3]])
    content = content_of(base, table, tmp_path / "out", split_seed=3, bootstrap=10)
    tuned = finetune(content, num_train_epochs=1)
    found = baseline(content, seeds=[0, 1], output=tmp_path / "found")
    assert found.content["records"] == {"train": 72, "validation": 18, "test": 30}
    folders = ["floor", "kmers", "network/seed-0", "network/seed-1"]
    for name in folders:
        of_baseline = predictions(tmp_path / "found" / name)
        keys = ("name", "target")
        assert [[row[key] for key in keys] for row in of_baseline] == [
            [row[key] for key in keys] for row in predictions(tuned.folder)
        ]
        assert of_baseline[0].keys() == predictions(tuned.folder)[0].keys()
    assert found.metrics("network").keys() == tuned.metrics.keys()
    assert found.content == json.loads((tmp_path / "found" / "baseline.json").read_text())
    network = found.content["baselines"]["network"]
    runs = [run["metrics"]["auroc"] for run in network["runs"]]
    assert network["metrics"]["auroc"] == pytest.approx(np.mean(runs))
    assert network["standard deviation"]["auroc"] == pytest.approx(np.std(runs, ddof=1))
    floor = found.metrics("floor")
    assert floor["auroc"] == 0.5 and floor["mcc"] == 0 and floor["loss"] < 0.7
    # found again only if it is allowed to go
    with pytest.raises(ValueError, match=r"baseline.json exists: .*--overwrite"):
        baseline(content, output=tmp_path / "found")


@pytest.mark.parametrize(
    ("template", "head", "names"),
    [
        (BOTH, "language", {"label_auroc", "level_r2", "auroc", "r2"}),
        ("<R>{sequence}<=><B>{label}<B>{other}", "classification", {"auroc_label", "auroc_other"}),
        ("<R>{sequence}<=><B>{third}", "language", {"auroc", "mcc"}),
        ("<M>{dose}<=><M>{level}", "language", {"r2"}),
    ],
)
def test_answers_of_all_kinds(
    base: Path, tmp_path: Path, template: str, head: str, names: set[str]
) -> None:
    rows: list[dict[str, Any]] = [
        {**row, "other": "signal" if number % 3 else "none", "third": "abc"[number % 3]}
        for number, row in enumerate(planted(90))
    ]
    table = write_table(tmp_path / "a.csv", rows)
    is_plain = "third" in template or template.startswith("<M>")
    answers = {"answers": None} if is_plain else {}
    content = content_of(base, table, tmp_path / "out", template=template, head=head, **answers)
    found = baseline(content, duplicates="keep")
    assert found.folder == tmp_path / "out-baseline"
    for name in ("floor", "kmers", "network"):
        assert names <= found.metrics(name).keys()
    if template.startswith("<M>"):
        # the level follows from the dose
        assert found.metrics("kmers")["r2"] > 0.6 > 0.1 > found.metrics("floor")["r2"]
        assert "| mean | 4-mers, ridge |" in found.table()


def test_sequences_are_those_that_the_model_reads(base: Path, tmp_path: Path) -> None:
    rows = [
        {"first": f"ACGTNACG{n % 10 * 'T'}", "second": f"TTGA{'ACGT'[n % 4]}CA", "label": n % 2}
        for n in range(40)
    ]
    table = write_table(tmp_path / "a.csv", rows)
    cuts = {"first": {"cut_out": [2, 4]}, "second": {"window": [1, 6]}}
    template = "<R>{first}<+>{second}<=><B>{label}"
    # views are of the model alone
    views = {"phases": "all", "strands": "both"}
    stated = {"template": template, "answers": None, "sequences": cuts, "views": views}
    content = content_of(base, table, tmp_path / "out", duplicates="keep", **stated)
    settings = parse_finetuning_settings([], content)
    checkpoint = open_checkpoint(str(base))
    examples = read_task(settings, checkpoint).splits["train"]
    read = dict(zip(examples.names, read_sequences(examples, checkpoint.tokenizer), strict=True))
    for name, (first, second) in read.items():
        row = rows[int(name) - 1]
        assert (first, second) == (
            row["first"][:2] + row["first"][4:],
            str(row["second"])[1:6],
        )


def test_one_class_in_training_is_refused(base: Path, tmp_path: Path) -> None:
    rows = planted(60)
    signals = [row for row in rows if row["label"] == "signal"]
    data = {
        "train": str(write_table(tmp_path / "train.csv", signals[:20])),
        "validation": str(write_table(tmp_path / "dev.csv", rows[:20])),
    }
    content = content_of(base, tmp_path, tmp_path / "out", data=data)
    with pytest.raises(ValueError, match=r"column 'label': all .* training records are 'signal'"):
        baseline(content)
    assert not (tmp_path / "out-baseline").exists()


def test_the_command(base: Path, tmp_path: Path) -> None:
    content = content_of(base, Path("a.csv"), tmp_path / "out", template=CLASS)
    write_table(tmp_path / "a.csv", planted(60))
    path = tmp_path / "task.yaml"
    path.write_text(yaml.safe_dump(content))
    arguments = ["baseline", str(path), "-o", str(tmp_path / "found"), "--split_seed", "2"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert f"{tmp_path / 'found'}: records: train 36, validation 8, test 16" in result.output
    header = (
        "| metric, 16 test records | majority class | 4-mers, logistic | convolutional network |"
    )
    assert header in result.output
    assert "task" in json.loads((tmp_path / "found" / "baseline.json").read_text())
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 1 and "--overwrite" in again.output
