"""`dnagpt finetune`, and `evaluate` and `predict` on what it wrote."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from finetuning_runs import BOTH, CLASS, content_of, planted, write_base, write_table
from typer.testing import CliRunner

from dnagpt_hf.cli import app
from dnagpt_hf.finetuning.trainer import FineTuningTrainer


def run(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == status, result.output
    return result.output


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base") / "base")


def write_task(base: Path, folder: Path, **stated: Any) -> Path:
    content = content_of(base, Path("a.csv"), folder / "out", **stated)
    path = folder / "task.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


# -- evaluation is prediction ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "template"),
    [
        ("language", BOTH),
        # 0 and 1 in the data: the class order of a head is not that of its tokens in a sorted file
        ("classification", CLASS),
        ("classification", "<R>{sequence}<=><B>{label}<B>{other}"),
        ("classification", "<R>{sequence}<+><M>{dose}<=><M>{level}"),
    ],
)
def test_evaluate_predict_and_training_say_the_same(
    base: Path, tmp_path: Path, head: str, template: str, caplog: pytest.LogCaptureFixture
) -> None:
    table = [
        {**row, "label": int(row["label"] == "signal"), "other": n % 3 // 2, "name": f"r{n}"}
        for n, row in enumerate(planted(80), start=1)
    ]
    write_table(tmp_path / "a.csv", table)
    task = write_task(
        base, tmp_path, template=template, answers=None, head=head, bootstrap=20, learning_rate=1e-2
    )
    out = tmp_path / "out"
    said = run("finetune", task, "--num_train_epochs", "3")
    assert f"{out}: test split, records: train 48, validation 12, test 20\n  loss " in said
    trained = json.loads((out / "metrics.json").read_text())
    # the part of the task, divided again
    run("evaluate", out, task, "-o", tmp_path / "part", "--bootstrap", 20, "--no-plots")
    part = json.loads((tmp_path / "part" / "metrics.json").read_text())
    # the same records as a table
    rows = parquet(out / "predictions.parquet")
    by_name = {row["name"]: row for row in table}
    test = write_table(tmp_path / "test.csv", [by_name[row["name"]] for row in rows])
    run("evaluate", out, test, "-o", tmp_path / "table", "--bootstrap", 20, "--no-plots")
    alone = json.loads((tmp_path / "table" / "metrics.json").read_text())
    assert "was trained on" not in caplog.text
    # the whole table has the other strand of a record of the training split, too
    known = write_table(tmp_path / "whole.csv", [*table[:79], with_other_strand(table[79])])
    warning = "whole.csv: the model was trained on 48 of these 80 records"
    run("evaluate", out, known, "-o", tmp_path / "whole", "--bootstrap", 0, "--no-plots")
    assert warning in caplog.text
    caplog.clear()
    run("predict", out, known, "-o", tmp_path / "answers.csv")
    assert warning in caplog.text
    for other in (part, alone):
        assert other["records"] == trained["records"] == 20
        assert list(other["metrics"]) == list(trained["metrics"])
        assert other["metrics"] == pytest.approx(
            trained["metrics"], rel=1e-4, abs=1e-5, nan_ok=True
        )
    check_predictions(
        run("predict", out, test), parquet(tmp_path / "table" / "predictions.parquet")
    )


def with_other_strand(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "sequence": row["sequence"].translate(str.maketrans("ACGT", "TGCA"))[::-1]}


def test_evaluate_divides_as_the_training_did(base: Path, tmp_path: Path) -> None:
    table = [{**row, "name": f"r{n}"} for n, row in enumerate(planted(60))]
    write_table(tmp_path / "a.csv", table)
    task = write_task(base, tmp_path, max_steps=1, bootstrap=10)
    run("finetune", task, "--split_seed", 5, "--split", "[5, 2, 3]")
    trained = {row["name"] for row in parquet(tmp_path / "out" / "predictions.parquet")}
    evaluate = ("evaluate", tmp_path / "out", task, "--bootstrap", 10, "--no-plots", "-o")
    run(*evaluate, tmp_path / "test")
    asked = {row["name"] for row in parquet(tmp_path / "test" / "predictions.parquet")}
    assert asked == trained and len(asked) == 18
    # other data are divided as their file says
    other = write_table(tmp_path / "b.csv", table)
    content = {**yaml.safe_load(task.read_text()), "data": {"files": str(other)}}
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(content))
    run("evaluate", tmp_path / "out", tmp_path / "other.yaml", *evaluate[3:], tmp_path / "other")
    assert len(parquet(tmp_path / "other" / "predictions.parquet")) == 16
    write_table(tmp_path / "a.csv", table[:50])
    told = run(*evaluate, tmp_path / "again", status=1)
    assert "the data have changed since the training (train 30, validation 12, test 18" in told
    assert not (tmp_path / "again").exists()


def parquet(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def check_predictions(text: str, evaluated: list[dict[str, Any]]) -> None:
    """The table of `predict` has the figures of `predictions.parquet`."""
    predicted = list(csv.DictReader(io.StringIO(text)))
    assert [row["name"] for row in predicted] == [row["name"] for row in evaluated]
    compared = 0
    for one, other in zip(predicted, evaluated, strict=True):
        for column, value in other.items():
            prefix, _, label = column.rpartition("probability_")
            name = f"{prefix}probability_{label}" if prefix or label != column else column
            name = name.removesuffix("_predicted") if "_predicted" in name else name
            if name in one and isinstance(value, float):
                assert float(one[name]) == pytest.approx(value, rel=1e-4, abs=1e-5)
                compared += 1
    assert compared >= len(predicted)


def test_evaluate_says_what_is_positive_and_writes_figures(base: Path, tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", planted(60))
    task = write_task(base, tmp_path, positive="none", num_train_epochs=1)
    run("finetune", task)
    told = run(
        *("evaluate", tmp_path / "out", tmp_path / "a.csv", "-o", tmp_path / "found"),
        *("--compare", "gsr-human-pas-aataaa", "--bootstrap", 20),
    )
    assert "| metric, 60 records | value | 95 % interval |" in told and "**out**" in told
    assert told == (tmp_path / "found" / "metrics.md").read_text()
    for name in ("roc", "precision_recall", "confusion"):
        assert (tmp_path / "found" / f"{name}.png").stat().st_size > 1000
    metrics = json.loads((tmp_path / "found" / "metrics.json").read_text())["metrics"]
    rows = parquet(tmp_path / "found" / "predictions.parquet")
    nones = [row for row in rows if row["target"] == "none"]
    recall = sum(row["predicted"] == "none" for row in nones) / len(nones)
    assert metrics["recall"] == pytest.approx(recall)
    # another run must not replace it unasked, and a figure that does not exist is told at once
    again = ("evaluate", tmp_path / "out", tmp_path / "a.csv", "-o", tmp_path / "found")
    assert "exists" in run(*again, status=1)
    other = (*again[:-1], tmp_path / "other", "--compare", "gsr-human-pas")
    assert "no published results" in run(*other, status=1)
    assert not (tmp_path / "other").exists()


def test_a_stated_template_is_asked_by_both_alike(base: Path, tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", planted(60))
    stated = {"template": "<R>{sequence}<+><M>{dose}<=><M>{level}", "answers": None}
    run("finetune", write_task(base, tmp_path, num_train_epochs=1, **stated))
    template = ("--template", "<S>{sequence}<+><M>{dose}<=><M>{level}")
    out = tmp_path / "out"
    run("evaluate", out, tmp_path / "a.csv", "-o", tmp_path / "e", "--no-plots", *template)
    check_predictions(
        run("predict", out, tmp_path / "a.csv", *template),
        parquet(tmp_path / "e" / "predictions.parquet"),
    )
    # in the units of the data
    assert 50 < parquet(tmp_path / "e" / "predictions.parquet")[0]["predicted"] < 150


# -- bad input -------------------------------------------------------------------------------------

HEADER = "sequence,label,dose,level\n"
GOOD = [f"{row['sequence']},{row['label']},{row['dose']},{row['level']}" for row in planted(40)]


def written(folder: Path, content: str | bytes) -> None:
    data = content if isinstance(content, bytes) else content.encode()
    (folder / "a.csv").write_bytes(data)


def table_with(row: str, place: int = 7) -> str:
    return HEADER + "\n".join([*GOOD[:place], row, *GOOD[place:]]) + "\n"


BAD = [
    # row 8 stands on line 9
    ("ACGTAC,maybe,1,2", {}, r"record 8 (line 9): column 'label' holds 'maybe', which is none of"),
    ("ACGTAC,signal,x,2", {"template": BOTH}, "record 8 (line 9): column 'dose' holds 'x'"),
    ("ACGTAC,signal,1,high", {"template": BOTH}, "record 8 (line 9): column 'level' holds 'high'"),
    ("ACGTAC,signal,1,inf", {"template": BOTH}, "record 8 (line 9): column 'level' holds 'inf'"),
    (f"{'A' * 500},signal,1,2", {}, "record 8 (line 9): 170 tokens"),
    (",signal,1,2", {}, "record 8 (line 9): its sequence is empty"),
    ("ACGT!,signal,1,2", {}, "record 8 (line 9): sequence: character '!'"),
    ("ACGTAC,signal,1", {}, "line 9: 3 fields, but the header has 4"),
    ("ACGTAC,rare,1,2", {"answers": None}, "record 8 (line 9): class 'rare' has 1 of 41 records"),
    (GOOD[2], {"duplicates": "error"}, "record 8 (line 9): its sequence, or its reverse"),
    (
        "ACGTAC,signal,1,2",
        {"template": CLASS.replace("label", "class")},
        "record 1 (line 2): there is no column 'class', only sequence, label, dose, level",
    ),
    (
        "ACGTAC,signal,1,2",
        {"template": CLASS.replace("sequence", "promoter")},
        "record 1 (line 2): there is no column 'promoter'",
    ),
    ("ACGTAC,signal,1,2", {"group": "chromosome"}, "there is no column 'chromosome'"),
    (
        "ACGTAC,signal,1,2",
        {"sequences": {"sequence": {"length": 24}}},
        "record 8 (line 9): sequence: sequence of 6 bp, but the task needs 24 bp",
    ),
]


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*_: Any, **__: Any) -> None:
        pytest.fail("training was started")

    monkeypatch.setattr(FineTuningTrainer, "train", train)


@pytest.mark.parametrize(("row", "stated", "message"), BAD)
@pytest.mark.parametrize("windows", [False, True])
def test_bad_records_are_told_in_one_line_before_training(
    base: Path,
    tmp_path: Path,
    row: str,
    stated: dict[str, Any],
    message: str,
    windows: bool,
    untrained: None,
) -> None:
    """File and line are right, too, with a mark of byte order and the line ends of Windows."""
    text = table_with(row)
    written(tmp_path, "\ufeff" + text.replace("\n", "\r\n") if windows else text)
    told = run("finetune", write_task(base, tmp_path, **stated), status=1)
    assert told.startswith("dnagpt: error: ") and told.count("\n") == 1
    assert f"{tmp_path / 'a.csv'}, {message}" in told or (
        f"{tmp_path / 'a.csv'}" in told and message in told
    )
    assert not (tmp_path / "out" / "config.json").exists()


@pytest.mark.parametrize("content", ["", HEADER, "\n\n"])
@pytest.mark.parametrize("part", ["train", "validation", "test", None])
def test_an_empty_file_is_told(
    base: Path, tmp_path: Path, content: str, part: str | None, untrained: None
) -> None:
    for name in ("train", "validation", "test"):
        sequences = planted(20, seed=len(name))
        write_table(tmp_path / f"{name}.csv", sequences)
    (tmp_path / f"{part}.csv").write_text(content)
    parts = {name: f"{name}.csv" for name in ("train", "validation", "test")}
    data: Any = parts if part else {"files": "None.csv"}
    told = run("finetune", write_task(base, tmp_path, data=data), status=1)
    assert told.startswith("dnagpt: error: ") and told.count("\n") == 1
    assert f"{part}.csv" in told and ("is empty" in told or "no records" in told)


@pytest.mark.parametrize("windows", [False, True])
def test_windows_files_are_read_like_others(base: Path, tmp_path: Path, windows: bool) -> None:
    text = HEADER + "\n".join(GOOD) + "\n"
    written(tmp_path, "\ufeff" + text.replace("\n", "\r\n") if windows else text)
    run("finetune", write_task(base, tmp_path, max_steps=1))
    report = json.loads((tmp_path / "out" / "data.json").read_text())
    assert report["records read"] == 40
    assert set(report["parts"]["train"]["label"]) == {"none", "signal"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--learning_rat", "1"], "unknown argument --learning_rat: did you mean learning_rate"),
        (["--head", "both"], "invalid choice: 'both' (choose from"),
        (["--metric", "mccc"], "metric is 'mccc': choose one of"),
    ],
)
def test_bad_arguments_are_told(
    base: Path, tmp_path: Path, arguments: list[str], message: str, untrained: None
) -> None:
    write_table(tmp_path / "a.csv", planted(40))
    told = run("finetune", write_task(base, tmp_path), *arguments, status=1)
    assert told.startswith("dnagpt: error: ") and message in told
    assert told.count("\n") == 1


def test_a_task_that_is_no_file(tmp_path: Path) -> None:
    assert "no such file" in run("finetune", tmp_path / "task.yaml", status=1)
