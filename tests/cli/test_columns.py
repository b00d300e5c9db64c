"""Columns of other names, and the preparation of the checkpoint's task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import dnagpt_hf
from dnagpt_hf import DNAGPTConfig
from dnagpt_hf.checkpoints.saving import init_checkpoint
from dnagpt_hf.cli import app
from dnagpt_hf.inference.prediction import resolve_task

TASK = {
    "template": "<{species}>{sequence}<+><M>{x}<=><M>{y}",
    "sequences": {"sequence": {"cut_out": [3, 9], "length": 18}},
    "transforms": {"x": "log2(x)", "y": "log10(x + 1)"},
}
ROWS = [("one", "ACGTACGTACGTACGTAC", 0.5, 3), ("two", "GGGTTTAAACCCGGTATA", 4, 7)]
SAME = ("--columns", "sequence=Seq", "--columns", "x=dose", "--set", "species=R")


def run(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == status, result.output
    return result.output


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("columns")
    config = init_checkpoint("dnagpt-test", folder / "model") / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "task": TASK}))
    for name, header, species in (
        ("a.csv", "name,sequence,x,y,species", ",R"),
        ("b.csv", "name,Seq,dose,y", ""),
    ):
        rows = [",".join(map(str, row)) + species for row in ROWS]
        (folder / name).write_text("\n".join([header, *rows]) + "\n")
    return folder


def outputs(command: str, folder: Path, table: str, *options: str) -> Any:
    """What a command writes about a table."""
    output = folder / f"{command}-{table}"
    arguments = (command, folder / "model", folder / table, *options)
    if command == "predict":
        return run(*arguments)
    if command == "evaluate":
        run(*arguments, "-o", output, "--no-plots", "--bootstrap", 0)
        return json.loads((output / "metrics.json").read_text())["metrics"]
    if command == "embed":
        arrays = np.load(_written(output, *arguments, "-o"))
        return arrays["embeddings"].tolist()
    more = ("--method", "gradient") if command == "attribute" else ()
    arrays = np.load(_written(output, *arguments, *more, "--arrays"))
    return {name: arrays[name].tolist() for name in arrays if name != "description"}


def _written(output: Path, *arguments: object) -> Path:
    path = output.with_suffix(".npz")
    run(*arguments, path, "--overwrite")
    return path


@pytest.mark.parametrize("command", ["predict", "evaluate", "embed", "attention", "attribute"])
def test_renamed_columns_are_prepared_as_the_task_says(work: Path, command: str) -> None:
    np.testing.assert_equal(outputs(command, work, "b.csv", *SAME), outputs(command, work, "a.csv"))
    template = "<R>{Seq}<+><M>{dose}<=><M>{y}"
    more = ("-o", work / "other.npz") if command in ("embed", "evaluate") else ()
    more = ("--arrays", work / "other.npz") if command.startswith("att") else more
    message = run(command, work / "model", work / "b.csv", "--template", template, *more, status=1)
    assert message.startswith(f"dnagpt: error: template '{template}' reads 'Seq' in place of")
    assert "(--columns sequence=Seq)" in message and message.count("\n") == 1


def test_columns_in_python(work: Path) -> None:
    model = dnagpt_hf.load(work / "model", device="cpu")
    names: dict[str, Any] = {
        "columns": {"sequence": "Seq", "x": "dose"},
        "set": {"species": "R"},
    }
    known, renamed = work / "a.csv", work / "b.csv"
    assert [one.numbers for one in model.predict(renamed, **names)] == [
        one.numbers for one in model.predict(known)
    ]
    assert (model.embed(renamed, **names) == model.embed(known)).all()


@pytest.mark.parametrize(
    ("template", "lost"),
    [
        ("<R>{sequence}<+><M>{x}<=><M>", None),
        ("<R>{sequence}<=><M>", None),
        ("<{kind}>{sequence}<+><M>{x}<=><M>{y}", None),
        ("<R>{dna}<+><M>{x}<=><M>{y}", "'dna' in place of 'sequence'"),
        ("<R>{sequence}<+><M>{z}<=><M>{y}", "'z' in place of 'x'"),
        ("<R>{sequence}<+><M>{x}<=><M>{z}", "'z' in place of 'y'"),
        ("{dna}", "'dna' in place of 'sequence'"),
    ],
)
def test_templates_that_lose_a_preparation(template: str, lost: str | None) -> None:
    config = DNAGPTConfig(task=TASK)
    if lost is None:
        task = resolve_task(config, template, None)
        assert task is not None and "sequence" in task.sequences
        return
    with pytest.raises(ValueError, match=f"reads {lost}, whose preparation"):
        resolve_task(config, template, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--columns", "sequence"), "'sequence' is not of the form NEW=OLD"),
        (("--columns", "a=b", "--columns", "a=c"), "'a' stands twice"),
        (("--columns", "sequence=Sequence"), "there is no column 'Sequence', only name"),
        (("--columns", "sequence=Seq", "--columns", "s=Seq"), "two names to one column"),
        (("--columns", "y=Seq"), "there is a column 'y' already"),
    ],
)
def test_columns_that_cannot_be_changed(work: Path, options: tuple[str, ...], message: str) -> None:
    output = run("predict", work / "model", work / "b.csv", *options, status=1)
    assert message in output and output.count("\n") == 1


@pytest.mark.parametrize("command", ["predict", "evaluate", "embed"])
def test_a_column_that_nothing_reads(work: Path, command: str) -> None:
    more = () if command == "predict" else ("-o", work / "unread.npz")
    arguments = (command, work / "model", work / "a.csv", *more)
    said = run(*arguments, "--set", "organism=R", status=1)
    assert said.startswith(f"dnagpt: error: --set organism: the template {TASK['template']!r} has")
