"""A run goes on from its own checkpoints, and not from those of a run with other settings."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from finetuning_runs import planted, settings_of, write_base, write_table

from dnagpt_hf.atomic_files import DestinationError, sole_writer_of_folder
from dnagpt_hf.finetuning.run import finetune
from dnagpt_hf.finetuning.trainer import FineTuningTrainer
from dnagpt_hf.training import resumption

OTHER = "<R>{sequence}<+><M>{dose}<=><B>{label}"


def run_settings(settings: Any) -> dict[str, Any]:
    """Settings of a run whose data are not looked at."""
    found = resumption.run_settings(settings, {})
    del found["fingerprint"]
    return found


def checkpoint_to_resume(settings: Any) -> Path | None:
    return resumption.checkpoint_to_resume(settings.training, run_settings(settings))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("table") / "table.csv", planted(60))


@pytest.fixture(scope="module")
def finished(base: Path, table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    finetune(settings_of(base, table, folder, num_train_epochs=1))
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"learning_rate": 0.0123}, "learning_rate 0.0123"),
        ({"seed": 7}, "seed 7"),
        ({"template": OTHER}, f'template "{OTHER}"'),
        ({"split": [8, 1, 1], "split_seed": 3}, "split [8, 1, 1], split_seed 3"),
        ({"lora": True}, 'adapter "lora"'),
        ({"per_device_train_batch_size": 3}, "total batch size 3"),
        ({"head": "classification"}, 'head "classification"'),
    ],
)
def test_another_setting_is_not_passed_over(
    base: Path, table: Path, run: Path, stated: dict[str, Any], said: str
) -> None:
    settings = settings_of(base, table, run, num_train_epochs=1, **stated)
    before = (run / "model.safetensors").read_bytes()
    expected = (
        f"{re.escape(str(run))}/checkpoint-.* is of a run with .*, which cannot go on with .*"
    )
    with pytest.raises(ValueError, match=expected + re.escape(said)) as error:
        finetune(settings)
    assert "\n" not in str(error.value)
    assert (run / "model.safetensors").read_bytes() == before


def test_settings_of_the_optimizer_decide_what_is_learned(
    base: Path, table: Path, tmp_path: Path
) -> None:
    usual = run_settings(settings_of(base, table, tmp_path))
    others: dict[str, Any] = {
        "adam_beta1": 0.5,
        "adam_beta2": 0.5,
        "adam_epsilon": 1e-3,
        "data_seed": 3,
        "lr_scheduler_type": "constant",
        "max_grad_norm": 9.0,
        "optim": "adafactor",
        "warmup_steps": 7,
        "weight_decay": 0.5,
    }
    for name, value in others.items():
        found = run_settings(settings_of(base, table, tmp_path, **{name: value}))
        assert {one for one in usual if found[one] != usual[one]} == {name}


def test_a_total_batch_may_be_divided_otherwise(base: Path, table: Path, tmp_path: Path) -> None:
    usual = run_settings(settings_of(base, table, tmp_path))
    divided = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}
    assert run_settings(settings_of(base, table, tmp_path, **divided)) == usual
    more = run_settings(settings_of(base, table, tmp_path, gradient_accumulation_steps=2))
    assert (usual["total batch size"], more["total batch size"]) == (8, 16)


def test_other_data(base: Path, table: Path, run: Path, tmp_path: Path) -> None:
    other = shutil.copyfile(table, tmp_path / "other.csv")
    with pytest.raises(ValueError, match=r"is of a run with data .*table\.csv.*other\.csv"):
        finetune(settings_of(base, other, run, num_train_epochs=1))


def edited(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    sequence = rows[0]["sequence"]
    return [{**rows[0], "sequence": sequence[1:] + sequence[0]}, *rows[1:]]


def relabelled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    label = {"none": "signal", "signal": "none"}[rows[0]["label"]]
    return [{**rows[0], "label": label}, *rows[1:]]


def turned(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return rows[::-1]


@pytest.mark.parametrize("change", [edited, relabelled, turned])
def test_another_table_of_the_same_name(
    base: Path, run: Path, tmp_path: Path, change: Callable[[Any], Any]
) -> None:
    """As after an edit in place: records of training could be in the test split."""
    table = write_table(tmp_path / "table.csv", change(planted(60)))
    kept = {name: (run / name).read_bytes() for name in ("model.safetensors", "data.json")}
    said = (
        r"checkpoint-\d+ is of a run on other data \(.*: 36 records, hash .* now\): give the data"
    )
    with pytest.raises(ValueError, match=said) as error:
        finetune(settings_of(base, table, run, num_train_epochs=1))
    assert "\n" not in str(error.value)
    assert all((run / name).read_bytes() == content for name, content in kept.items())


def test_parts_of_a_fingerprint_do_not_run_into_each_other() -> None:
    one, other = (resumption.fingerprint("2", parts) for parts in ([b"AC", b"G"], [b"A", b"CG"]))
    assert one != other


def test_what_lies_elsewhere_or_is_measured_otherwise_is_the_same_run(
    base: Path, table: Path, run: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "scratch"
    moved.mkdir()
    table = shutil.copyfile(table, moved / "table.csv")
    base = shutil.copytree(base, moved / "model")
    stated = {"num_train_epochs": 2, "bootstrap": 10, "logging_steps": 1, "name": "other"}
    settings = settings_of(base, table, run, **stated)
    assert checkpoint_to_resume(settings) is not None
    finetune(settings)
    assert json.loads((run / "trainer_state.json").read_text())["epoch"] == 2


def test_anew_or_from_a_stated_checkpoint(base: Path, table: Path, run: Path) -> None:
    (last,) = run.glob("checkpoint-*")
    changed = {"learning_rate": 0.0123}
    stated = settings_of(base, table, run, resume_from_checkpoint=str(last), **changed)
    assert checkpoint_to_resume(stated) == last
    anew = settings_of(
        base, table, run, resume_from_checkpoint="false", max_steps=1, save_steps=1, **changed
    )
    finetune(anew)
    # what is begun now is not mixed with what was there
    assert not last.exists()
    resumed = checkpoint_to_resume(settings_of(base, table, run, **changed))
    assert resumed == run / "checkpoint-1"


def test_runs_of_earlier_releases_go_on(base: Path, table: Path, run: Path) -> None:
    (last,) = run.glob("checkpoint-*")
    (last / "run.json").unlink()
    contents = json.loads((last / "contents.json").read_text())
    del contents["run.json"]
    (last / "contents.json").write_text(json.dumps(contents))
    assert checkpoint_to_resume(settings_of(base, table, run, learning_rate=0.0123)) == last
    (last / "run.json").write_text("{")
    with pytest.raises(ValueError, match=r"run\.json is damaged .* remove it"):
        checkpoint_to_resume(settings_of(base, table, run))


def test_a_second_run_in_the_folder_of_one_under_way(base: Path, table: Path, run: Path) -> None:
    settings = settings_of(base, table, run, num_train_epochs=1)
    with sole_writer_of_folder(run):
        with pytest.raises(DestinationError, match=r"run is being written by process \d+ on"):
            finetune(settings)
        assert (run / "_in_use").is_file()
    finetune(settings)
    assert not (run / "_in_use").exists()


# -- a run that goes on, and one that does not -----------------------------------------------------

STEPS = {"save_strategy": "steps", "eval_strategy": "steps", "save_total_limit": 9}


def test_a_finished_run_trains_no_further_step(
    base: Path, table: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Five steps are an epoch: the run ends inside one."""
    stated: dict[str, Any] = {"max_steps": 7, "save_steps": 7, "eval_steps": 7, **STEPS}
    tuned = finetune(settings_of(base, table, tmp_path, **stated))
    files = {path: path.stat().st_mtime_ns for path in tmp_path.glob("checkpoint-*/*")}
    weights = (tmp_path / "model.safetensors").read_bytes()
    again = finetune(settings_of(base, table, tmp_path, **stated))
    assert json.loads((tmp_path / "trainer_state.json").read_text())["global_step"] == 7
    assert (tmp_path / "model.safetensors").read_bytes() == weights
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("checkpoint-*/*")} == files
    assert again.metrics == tuned.metrics
    assert f"{tmp_path}/checkpoint-7 has all 7 steps: none is left" in caplog.text
    with pytest.raises(ValueError, match=r"checkpoint-7 has 7 steps, more than the 6 that max_st"):
        finetune(settings_of(base, table, tmp_path, **{**stated, "max_steps": 6}))


def test_it_says_from_where_it_resumes_and_that_the_schedule_changes(
    base: Path, table: Path, run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    finetune(settings_of(base, table, run, num_train_epochs=2))
    assert f"resuming from {run}/checkpoint-5: step 5 of 10" in caplog.text
    assert "5 steps were planned before: from here on, the learning rate is that" in caplog.text


@pytest.mark.parametrize("only_model", [False, True])
def test_weights_alone_do_not_go_on(
    base: Path,
    table: Path,
    tmp_path: Path,
    only_model: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stated: dict[str, Any] = {"max_steps": 4, "save_steps": 2, "eval_steps": 2, **STEPS}
    stated |= {"save_only_model": only_model, "load_best_model_at_end": False}
    step = FineTuningTrainer.training_step

    def interrupted(trainer: Any, *args: Any, **kwargs: Any) -> Any:
        if trainer.state.global_step == 3:
            raise KeyboardInterrupt
        return step(trainer, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(FineTuningTrainer, "training_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            finetune(settings_of(base, table, tmp_path, **stated))
    assert not (tmp_path / "_in_use").exists()
    how = "cannot resume, since" if only_model else f"resumes from {tmp_path}/checkpoint-2"
    assert f"interrupted after 3 steps: the same command {how}" in caplog.text
    if not only_model:
        finetune(settings_of(base, table, tmp_path, **stated))
        assert f"resuming from {tmp_path}/checkpoint-2: step 2 of 4" in caplog.text
        return
    with pytest.raises(ValueError, match=r"checkpoint-2 holds weights alone \(save_only_model\)"):
        finetune(settings_of(base, table, tmp_path, **stated))
    finetune(settings_of(base, table, tmp_path, resume_from_checkpoint="none", **stated))
    # a finished run has nothing to go on with
    finetune(settings_of(base, table, tmp_path, **stated))
    assert "checkpoint-4 has all 4 steps: none is left" in caplog.text
