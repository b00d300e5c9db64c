"""The tasks that come along."""

from __future__ import annotations

import pytest
from finetuning_runs import whole_record

from dnagpt_hf.finetuning.settings import BUILTIN_TASKS, builtin_task
from dnagpt_hf.tasks.task import Task

SETTINGS = {"split"}


@pytest.mark.parametrize("name", [path.stem for path in BUILTIN_TASKS.glob("*.yaml")])
def test_each_is_a_task_with_answers(name: str) -> None:
    content = builtin_task(name)
    task = Task.from_dict({key: content[key] for key in content.keys() - SETTINGS})
    assert task.name == name
    assert task.is_answered


def test_the_motif_is_removed() -> None:
    for name, motif in (("gsr", "AATAAA"), ("tis", "ATG")):
        content = builtin_task(name)
        task = Task.from_dict({key: content[key] for key in content.keys() - SETTINGS})
        before, behind = "C" * 300, "G" * 300
        values = {"species": "R", "sequence": before + motif + behind, "label": "signal"}
        text = whole_record(task, values)
        assert text == f"<R>{before}{behind}<=><B>A"
        with pytest.raises(ValueError, match=f"the task needs {600 + len(motif)} bp"):
            whole_record(task, {"species": "R", "sequence": before + behind, "label": "signal"})


def test_half_life_features_are_those_of_xpresso() -> None:
    content = builtin_task("mrna")
    task = Task.from_dict({key: content[key] for key in content.keys() - SETTINGS})
    row = {column: "0.9" for column in task.prompt.columns} | {"EXPRESSION": 99.9, "species": "R"}
    row["PROMOTER"] = "A" * 3000 + "C" * 10500 + "G" * 6500
    features = "0.0 0.0 0.0 0.0 0.9 0.9 0.9 0.0"
    assert whole_record(task, row) == f"<R>{'C' * 10500}<+><M>{features}<=><M>2.0"


def test_a_task_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match=r"unknown task 'pas': choose one of .*gsr"):
        builtin_task("pas")
