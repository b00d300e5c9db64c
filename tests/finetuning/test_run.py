"""Fine-tuning from a table to a checkpoint: what is learned, kept, and written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas
import pytest
import torch
import yaml
from finetuning_runs import (
    ANSWERS,
    BOTH,
    CLASS,
    NUMBER,
    as_records,
    content_of,
    planted,
    settings_of,
    shuffled,
    write_base,
    write_table,
)
from safetensors.torch import load_file

import dnagpt_hf
from dnagpt_hf import DNAGPTForMultiTask, DNAGPTForSequenceClassification, DNAGPTTokenizer
from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.checkpoints.publishing import checkpoint_files
from dnagpt_hf.finetuning.run import FineTuned, finetune
from dnagpt_hf.finetuning.trainer import FineTuningTrainer
from dnagpt_hf.inference.prediction import predict_records
from dnagpt_hf.inference.prediction_heads import checkpoint_task
from dnagpt_hf.presets import vocabulary_fields
from dnagpt_hf.tasks.views import Views
from dnagpt_hf.training.checkpoints import seal_checkpoint

Weights = Mapping[str, torch.Tensor]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base") / "base")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("small") / "small.csv", planted(48))


def run(base: Path, table: Path, output: Path, **stated: Any) -> FineTuned:
    return finetune(settings_of(base, table, output, **stated))


def weights_of(folder: Path) -> Weights:
    return load_file(folder / "model.safetensors")


def changed(folder: Path, base: Path) -> set[str]:
    """Names of the weights that differ from those of the base."""
    before, after = weights_of(base), weights_of(folder)
    return {name for name in after if name not in before or not after[name].equal(before[name])}


def history(folder: Path, name: str) -> list[float]:
    state = json.loads((folder / "trainer_state.json").read_text())
    return [entry[name] for entry in state["log_history"] if name in entry]


def prediction_head(folder: Path) -> list[dict[str, float]]:
    """What `dnagpt predict` would say of some records."""
    loaded = dnagpt_hf.load(folder, device="cpu")
    model, tokenizer = loaded.model, loaded.tokenizer
    return [
        {
            name: value
            for answer in one.answers.values()
            for name, value in (*answer.probabilities.items(), *answer.numbers.items())
        }
        for one in predict_records(model, tokenizer, as_records(planted(20, 5)))
    ]


def check_close(found: list[dict[str, float]], wanted: list[dict[str, float]]) -> None:
    assert [list(one) for one in found] == [list(one) for one in wanted]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(list(one.values()), list(other.values()), rtol=1e-4, atol=1e-4)


# -- what is learned -------------------------------------------------------------------------------


def learned(base: Path, folder: Path, rows: Any, **stated: Any) -> Mapping[str, float]:
    table = write_table(folder / "a.csv", rows)
    options: dict[str, Any] = {"num_train_epochs": 6, "learning_rate": 3e-3, **stated}
    return run(base, table, folder / "out", logging_steps=50, **options).metrics


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_motif_and_a_number_are_learned_in_the_language(
    base: Path, tmp_path: Path, shuffle: bool
) -> None:
    """And nothing is where the answers are those of other records."""
    rows = planted(400)
    rows = shuffled(rows, "label", "level") if shuffle else rows
    metrics = learned(base, tmp_path, rows, template=BOTH)
    if shuffle:
        assert abs(metrics["label_mcc"]) < 0.3 and metrics["level_r2"] < 0.1
        return
    assert metrics["label_mcc"] > 0.8 and metrics["label_auroc"] > 0.95
    assert metrics["level_pearson"] > 0.7 and metrics["level_r2"] > 0.4


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_motif_is_learned_by_a_head(base: Path, tmp_path: Path, shuffle: bool) -> None:
    rows = shuffled(planted(400), "label") if shuffle else planted(400)
    metrics = learned(base, tmp_path, rows, head="classification", learning_rate=1e-2)
    assert metrics["auroc"] > 0.9 if not shuffle else 0.3 < metrics["auroc"] < 0.7
    # the model that was written is the one that was measured
    scores = prediction_head(tmp_path / "out")
    rows = planted(20, 5)
    right = [
        (one["signal"] > 0.5) == (row["label"] == "signal")
        for one, row in zip(scores, rows, strict=True)
    ]
    assert shuffle or sum(right) >= 15


# -- what is kept ----------------------------------------------------------------------------------


def test_the_best_checkpoint_is_kept(base: Path, tmp_path: Path) -> None:
    """Where labels are learned by heart, that is not the last one."""
    noise = write_table(tmp_path / "noise.csv", shuffled(planted(48), "label"))
    stated = {"num_train_epochs": 4, "learning_rate": 0.03, "metric": "loss"}
    tuned = run(base, noise, tmp_path, **stated)
    losses = history(tmp_path, "eval_loss")
    state = json.loads((tmp_path / "trainer_state.json").read_text())
    best = int(np.argmin(losses)) + 1
    assert len(losses) == 4 and best < 4
    checkpoint = Path(state["best_model_checkpoint"])
    assert checkpoint.name == f"checkpoint-{best * 4}"
    kept, written = weights_of(checkpoint), weights_of(tmp_path)
    assert all(kept[name].equal(written[name]) for name in written)
    # of the others the last one is left, by which the command given again finds nothing to do
    names = {path.name for path in tmp_path.glob("checkpoint-*")}
    assert names == {checkpoint.name, "checkpoint-16"}
    files = {path: path.stat().st_mtime_ns for path in tmp_path.glob("checkpoint-*/*")}
    assert run(base, noise, tmp_path, **stated).metrics == tuned.metrics
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("checkpoint-*/*")} == files


@pytest.mark.parametrize(
    ("metric", "better"), [("mcc", True), ("label_loss", False), ("mse", False)]
)
def test_which_metric_is_the_best(
    base: Path, small: Path, tmp_path: Path, metric: str, better: bool, monkeypatch: Any
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(FineTuningTrainer, "train", lambda trainer, **_: asked.append(trainer.args))
    run(base, small, tmp_path, template=BOTH, metric=metric)
    assert asked[0].greater_is_better is better
    assert asked[0].metric_for_best_model == metric


def test_a_run_without_gain_ends_early_and_stays_so(
    base: Path, small: Path, tmp_path: Path
) -> None:
    stated = {"num_train_epochs": 9, "learning_rate": 0.0, "early_stopping": 2}
    first = run(base, small, tmp_path, **stated)
    assert len(history(tmp_path, "eval_mcc")) == 3
    # given again, the same command finds nothing to do
    files = {path: path.stat().st_mtime_ns for path in tmp_path.glob("checkpoint-*/*")}
    second = run(base, small, tmp_path, **stated)
    assert len(history(tmp_path, "eval_mcc")) == 3
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("checkpoint-*/*")} == files
    assert first.metrics == second.metrics


def test_evaluations_without_gain_are_counted_across_runs(
    base: Path, small: Path, tmp_path: Path
) -> None:
    stated = {"num_train_epochs": 9, "learning_rate": 0.0, "save_total_limit": 9}
    run(base, small, tmp_path, early_stopping=3, **stated)
    assert len(history(tmp_path, "eval_mcc")) == 4
    for step in (12, 16):
        shutil.rmtree(tmp_path / f"checkpoint-{step}")
    run(base, small, tmp_path, early_stopping=3, **stated)
    assert len(history(tmp_path, "eval_mcc")) == 4


# -- what is trained -------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["language", "classification"])
def test_all_is_trained(base: Path, small: Path, tmp_path: Path, head: str) -> None:
    run(base, small, tmp_path, head=head)
    names = set(weights_of(tmp_path))
    # numbers are neither read nor answered: that they could be is not forgotten
    assert changed(tmp_path, base) == {name for name in names if "number_" not in name}


@pytest.mark.parametrize("head", ["language", "classification"])
def test_the_head_alone_is_trained(base: Path, small: Path, tmp_path: Path, head: str) -> None:
    run(base, small, tmp_path, head=head, trained="head")
    names = changed(tmp_path, base)
    assert names
    assert all(name.startswith(("token_head.", "score.")) for name in names)


def test_from_scratch(base: Path, small: Path, tmp_path: Path) -> None:
    options = {"learning_rate": 0.0, "num_train_epochs": 1, "from_scratch": True}
    run(base, small, tmp_path / "one", **options)
    run(base, small, tmp_path / "other", seed=7, **options)
    one, other = weights_of(tmp_path / "one"), weights_of(tmp_path / "other")
    for name, weight in one.items():
        if weight.ndim == 2:
            assert not weight.equal(weights_of(base)[name]) and not weight.equal(other[name])
    assert "trained from new weights" in (tmp_path / "one" / "README.md").read_text().lower()


def test_weights_are_trained_in_full_precision(small: Path, tmp_path: Path) -> None:
    half = write_base(tmp_path / "half", dtype="bfloat16")
    for scratch in (True, False):
        folder = tmp_path / f"out-{scratch}"
        run(half, small, folder, from_scratch=scratch, num_train_epochs=1)
        assert {weight.dtype for weight in weights_of(folder).values()} == {torch.float32}


def test_a_vocabulary_of_6_mers(small: Path, tmp_path: Path) -> None:
    base = tmp_path / "fixed"
    from dnagpt_hf.presets import preset_config

    config = preset_config("dnagpt-test", **vocabulary_fields(6, False))
    DNAGPTForMultiTask(config).save_pretrained(base)
    DNAGPTTokenizer(dynamic_kmer=False).save_pretrained(base)
    run(base, small, tmp_path / "out", answers=None, num_train_epochs=1)
    model = DNAGPTForMultiTask.from_pretrained(tmp_path / "out")
    task = checkpoint_task(model.config)
    assert task is not None
    assert task.answer_list[0].tokens == {"<0>": "none", "<1>": "signal"}
    assert model.config.id2label == {0: "none", 1: "signal"}


def test_views_of_a_run(base: Path, small: Path, tmp_path: Path) -> None:
    """They are learned in, measured over, kept, stated, and part of what a run is."""
    views = {"phases": "all", "strands": "both"}
    tuned = run(base, small, tmp_path / "views", views=views)
    plain = run(base, small, tmp_path / "plain")
    assert not any(
        torch.equal(weight, weights_of(tmp_path / "plain")[name])
        for name, weight in weights_of(tmp_path / "views").items()
        if name.endswith("q_proj.weight")
    )
    model = dnagpt_hf.load(tmp_path / "views")
    assert model.task is not None and model.task.as_dict()["views"] == views
    rows = predictions(tmp_path / "views")
    by_name = {str(n): row for n, row in enumerate(planted(48), start=1)}
    table = [by_name[row["name"]] for row in rows]
    for kept, found in zip(rows, model.predict(table), strict=True):
        assert kept["probability_signal"] == pytest.approx(found.probabilities["signal"], abs=1e-5)
    first = [one.probabilities["signal"] for one in model.predict(table, views="first")]
    assert np.abs(np.subtract(first, [row["probability_signal"] for row in rows])).max() > 1e-4
    card = (tmp_path / "views" / "README.md").read_text(encoding="utf-8")
    assert "over 6 views" in card and "6 times" in card
    assert "views" not in (tmp_path / "plain" / "README.md").read_text(encoding="utf-8")
    assert tuned.data.task.views == Views("all", "both")
    with pytest.raises(ValueError, match=r"run with views .*phases"):
        run(base, small, tmp_path / "views", views={"phases": "all"})
    # a run of an earlier release has no views among its settings
    for path in (tmp_path / "plain").glob("checkpoint-*/run.json"):
        before = json.loads(path.read_text(encoding="utf-8"))
        del before["views"]
        path.write_text(json.dumps(before), encoding="utf-8")
        seal_checkpoint(path.parent)
    with pytest.raises(ValueError, match=r"records in 6 views, hash \w+ now"):
        run(base, small, tmp_path / "plain", views=views)
    assert plain.metrics == run(base, small, tmp_path / "plain").metrics


# -- adapters --------------------------------------------------------------------------------------


@pytest.mark.parametrize("adapter", ["lora", "rslora", "dora", "ia3"])
def test_adapters(base: Path, small: Path, tmp_path: Path, adapter: str) -> None:
    """The adapter beside its base answers as the model into which it was merged."""
    pytest.importorskip("peft")
    before = weights_of(base)
    options = {"template": BOTH, "adapter": adapter, "num_train_epochs": 2}
    beside = run(base, small, tmp_path / "beside", **options)
    merged = run(base, small, tmp_path / "merged", merge=True, **options)
    assert beside.metrics == pytest.approx(merged.metrics, rel=1e-3, abs=1e-4)
    assert not (tmp_path / "beside" / "model.safetensors").exists()
    assert not (tmp_path / "merged" / "adapter_config.json").exists()
    check_close(prediction_head(tmp_path / "beside"), prediction_head(tmp_path / "merged"))
    # it did learn, and only beside what stays
    assert all(before[name].equal(one) for name, one in weights_of(base).items())
    names = changed(tmp_path / "merged", base)
    linear = ("q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj")
    assert any("q_proj" in name for name in names)
    assert any("number_head" in name for name in names)
    whole = ("number_head.", "model.number_embedding.")
    assert all(
        name.startswith(whole) or (".layers." in name and any(part in name for part in linear))
        for name in names
    )


def test_a_run_is_merged_later_and_taken_apart_again(
    base: Path, small: Path, tmp_path: Path
) -> None:
    """An adapter and the weights that it was merged into would both be loaded, one on the other."""
    pytest.importorskip("peft")
    expected = None
    for merge in (False, True, False):
        run(base, small, tmp_path, adapter="lora", merge=merge, num_train_epochs=1)
        assert (tmp_path / "model.safetensors").exists() is merge
        assert (tmp_path / "adapter_model.safetensors").exists() is not merge
        assert (tmp_path / "adapter_config.json").exists() is not merge
        weights = open_checkpoint(tmp_path).load_model().state_dict()
        expected = weights if expected is None else expected
        for name, weight in weights.items():
            torch.testing.assert_close(weight, expected[name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("lora", [False, True])
def test_a_model_is_not_written_into_its_base(
    base: Path, small: Path, tmp_path: Path, lora: bool
) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "base"))
    before = sorted(folder.iterdir())
    with pytest.raises(ValueError, match=r"base holds the model .* further, .*: choose another"):
        run(folder, small, tmp_path / "." / "base", lora=lora)
    assert sorted(folder.iterdir()) == before


def test_a_training_that_diverged_blames_no_record(base: Path, small: Path, tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match=r"not finite after step 4: the training has div"):
        run(base, small, tmp_path, learning_rate=1e30, num_train_epochs=1)


def test_a_warm_up_longer_than_the_run_is_said(
    base: Path, small: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(base, small, tmp_path, max_steps=2, warmup_steps=100, learning_rate=1e-3)
    said = (
        "warmup_steps is 100, but the run has 2 steps: its learning rate ends at 2e-05 of 0.001; "
    )
    assert said + "state fewer, as --warmup_steps 0" in caplog.messages


def test_an_adapter_of_a_head(base: Path, small: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    found = run(base, small, tmp_path, head="classification", lora=True)
    model = open_checkpoint(tmp_path).load_model()
    assert isinstance(model, DNAGPTForSequenceClassification)
    assert model.config.id2label == {0: "none", 1: "signal"}
    # a new head was trained, and is that of the adapter
    rows = {row["name"]: row for row in predictions(tmp_path)}
    table = {str(n): row for n, row in enumerate(planted(48), start=1)}
    records = as_records([table[name] for name in rows])
    tokenizer = DNAGPTTokenizer.from_pretrained(tmp_path)
    for row, one in zip(rows.values(), predict_records(model, tokenizer, records), strict=True):
        assert one.probabilities["signal"] == pytest.approx(row["probability_signal"], abs=1e-5)
    assert found.split == "test"


def test_an_adapter_goes_on(base: Path, small: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    options = {"lora": True, "num_train_epochs": 3, "save_total_limit": 9}
    run(base, small, tmp_path, **options)
    before = load_file(tmp_path / "adapter_model.safetensors")
    for step in (8, 12):
        shutil.rmtree(tmp_path / f"checkpoint-{step}")
    run(base, small, tmp_path, **options)
    after = load_file(tmp_path / "adapter_model.safetensors")
    assert before.keys() == after.keys()
    assert all(before[name].equal(after[name]) for name in before)


def predictions(folder: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(folder / "predictions.parquet").to_pylist()
    return rows


# -- what is written -------------------------------------------------------------------------------


def test_the_checkpoint_knows_its_task(base: Path, small: Path, tmp_path: Path) -> None:
    tuned = run(base, small, tmp_path, template=BOTH, bootstrap=20)
    model = DNAGPTForMultiTask.from_pretrained(tmp_path)
    assert checkpoint_task(model.config) == tuned.data.task
    assert len(tuned.data.task.standardization) == 2
    model.save_pretrained(tmp_path / "again")
    again = DNAGPTForMultiTask.from_pretrained(tmp_path / "again")
    assert checkpoint_task(again.config) == tuned.data.task
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert content["metrics"] == tuned.metrics and content["records"] == 12
    written = json.loads((tmp_path / "data.json").read_text())
    assert written == {
        **tuned.data.report,
        "data": {"files": small.name},
        "division": {"split": None, "split_seed": 0, "group": None, "duplicates": "remove"},
    }
    card = (tmp_path / "README.md").read_text()
    for name, content in checkpoint_files(tmp_path).items():
        published = content if isinstance(content, bytes) else content.read_bytes()
        assert str(base.parent).encode() not in published, name
    assert "- steps: `" in card and "It reads the column" in card
    assert f"| label_mcc | {tuned.metrics['label_mcc']:.4f} |" in card
    assert len(predictions(tmp_path)) == 12


def test_a_token_that_means_two_things_is_left_to_the_task(base: Path, tmp_path: Path) -> None:
    rows = [{**row, "other": "up" if n % 2 else "down"} for n, row in enumerate(planted(48))]
    table = write_table(tmp_path / "a.csv", rows)
    stated = {
        "template": "<R>{sequence}<=><B>{label}<B>{other}",
        "answers": {"label": ANSWERS, "other": {"A": "up", "N": "down"}},
    }
    run(base, table, tmp_path / "out", **stated)
    config = DNAGPTForMultiTask.from_pretrained(tmp_path / "out").config
    assert "up" not in config.id2label.values() and "signal" not in config.id2label.values()
    assert set(prediction_head(tmp_path / "out")[0]) == {"none", "signal", "up", "down"}


def test_several_seeds(base: Path, small: Path, tmp_path: Path) -> None:
    tuned = run(base, small, tmp_path, seeds=[3, 5], num_train_epochs=1)
    content = json.loads((tmp_path / "results.json").read_text())
    runs = [
        json.loads((tmp_path / f"seed-{seed}" / "metrics.json").read_text())["metrics"]
        for seed in (3, 5)
    ]
    assert content["runs"] == runs and content["seeds"] == [3, 5] and content["part"] == "test"
    assert runs[0] != runs[1]
    for name in runs[0]:
        values = [one[name] for one in runs]
        assert tuned.metrics[name] == content["mean"][name] == pytest.approx(np.mean(values))
        deviation = np.std(values, ddof=1)
        assert tuned.deviations[name] == pytest.approx(deviation)
        assert content["standard deviation"][name] == pytest.approx(deviation)
    # the same seed alone gives the same run
    alone = run(base, small, tmp_path / "alone", seed=3, num_train_epochs=1)
    assert alone.metrics == runs[0]


def test_without_a_test_part_the_validation_part_is_measured(
    base: Path, small: Path, tmp_path: Path
) -> None:
    tuned = run(base, small, tmp_path, split=[3, 1], num_train_epochs=1)
    assert tuned.split == "validation" and len(predictions(tmp_path)) == 12
    assert history(tmp_path, "eval_loss")[-1] == tuned.metrics["loss"]


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"metric": "mccc"}, "metric is 'mccc': choose one of loss, accuracy"),
        ({"metric": "r2"}, "metric is 'r2'"),
        ({"positive": "sgnal"}, "positive is 'sgnal': choose one of none, signal"),
        ({"class_weights": {"sgnal": 2}}, "class_weights name label 'sgnal'"),
        ({"template": NUMBER, "answers": None, "metric": "mcc"}, "metric is 'mcc'"),
        ({"head": "classification", "template": BOTH}, "use head: language"),
        ({"template": CLASS.replace("<R>", "<H>")}, "template .*<H>"),
        ({"answers": {"ACGTA": "none", "A": "signal"}}, "answer 'ACGTA' is 2 tokens"),
    ],
)
def test_settings_that_do_not_fit_the_data_are_refused_before_training(
    base: Path, small: Path, tmp_path: Path, stated: dict[str, Any], message: str, monkeypatch: Any
) -> None:
    def train(*_: Any, **__: Any) -> None:
        pytest.fail("training was started")

    monkeypatch.setattr(FineTuningTrainer, "train", train)
    with pytest.raises(ValueError, match=message):
        run(base, small, tmp_path, **stated)


# -- data and settings in Python -------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["rows", "table", "dataset", "splits", "path"])
def test_data_in_memory_give_the_model_of_a_file(
    base: Path, small: Path, tmp_path: Path, kind: str
) -> None:
    rows = planted(48)
    data: Any = {"rows": rows, "path": small, "table": pandas.DataFrame(rows)}.get(kind)
    if kind == "dataset":
        data = datasets.Dataset.from_list(rows)
    if kind == "splits":
        data = {"train": pandas.DataFrame(rows[:36]), "validation": rows[36:]}
    stated = content_of(base, small, tmp_path / "memory", num_train_epochs=1, max_steps=2)
    tuned = finetune({**stated, "data": data})
    if kind == "splits":
        assert (tuned.split, len(tuned.data.splits["train"])) == ("validation", 36)
        return
    assert tuned.metrics == run(base, small, tmp_path / "file", max_steps=2).metrics
    # an equal table is the same run, another one is not
    assert finetune(stated, data=data).metrics == tuned.metrics
    with pytest.raises(ValueError, match="is of a run with data"):
        finetune(stated, data=rows[:40])


def test_settings_of_a_file_are_overridden(base: Path, small: Path, tmp_path: Path) -> None:
    content = content_of(base, Path(small.name), Path("elsewhere"))
    path = small.parent / "task.yaml"
    path.write_text(yaml.safe_dump(content))
    tuned = finetune(path, output_dir=tmp_path, max_steps=1, learning_rate=1e-4, adapter_rank=2)
    assert tuned.folder == tmp_path
    assert json.loads((tmp_path / "trainer_state.json").read_text())["global_step"] == 1
    with pytest.raises(ValueError, match="unknown setting 'learning_rat': did you mean"):
        finetune(path, learning_rat=1)
    assert not Path("elsewhere").exists()


@pytest.mark.parametrize("stated", [{}, {"adapter": "lora"}, {"adapter": "lora", "merge": True}])
def test_weights_can_be_read_by_those_who_read_the_rest(
    base: Path, tmp_path: Path, stated: dict[str, Any]
) -> None:
    if stated:
        pytest.importorskip("peft")
    folder = tmp_path / "out"
    table = write_table(tmp_path / "a.csv", planted(40))
    run(base, table, folder, max_steps=1, **stated)
    (weights,) = folder.glob("*.safetensors")
    assert weights.stat().st_mode == (folder / "config.json").stat().st_mode
