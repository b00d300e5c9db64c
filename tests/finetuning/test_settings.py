"""Settings of fine-tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from finetuning_runs import CLASS, write_base

from dnagpt_hf.finetuning.settings import finetuning_recipe, parse_finetuning_settings
from dnagpt_hf.presets import get_preset

STATED: dict[str, Any] = {"template": CLASS, "data": "a.csv", "use_cpu": True}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base") / "base")


def test_the_recipe_is_that_of_the_models_size(tmp_path: Path, base: Path) -> None:
    assert finetuning_recipe("dnagpt-tiny") == get_preset("dnagpt-tiny").finetuning
    settings = parse_finetuning_settings([], STATED).training
    recipe = get_preset("dnagpt-tiny").finetuning
    assert settings.learning_rate == recipe.learning_rate
    assert settings.num_train_epochs == recipe.epochs
    # the sizes of no preset: the nearest width
    assert finetuning_recipe(str(base)) == get_preset("dnagpt-test").finetuning
    assert finetuning_recipe("dnagpt-small") == get_preset("dnagpt-tiny").finetuning


def test_what_is_stated_wins(base: Path) -> None:
    stated = {**STATED, "learning_rate": 1e-3, "seeds": [0, 1], "model": str(base)}
    settings = parse_finetuning_settings(
        ["--learning_rate", "1e-4", "--answers", "{A: x, N: y}", "--lora", "--split", "[8, 1, 1]"],
        stated,
    )
    assert settings.training.learning_rate == 1e-4
    assert settings.tuning.seeds == [0, 1]
    assert settings.tuning.adapter == "lora"
    assert settings.data.split == [8, 1, 1]
    assert settings.task.answer_list[0].tokens == {"A": "x", "N": "y"}
    assert settings.training.load_best_model_at_end


def test_a_builtin_task_beside_what_is_stated() -> None:
    settings = parse_finetuning_settings(["--task", "gsr"], {"data": "a.csv", "metric": "auroc"})
    assert settings.task.template == "<{species}>{sequence}<=><B>{label}"
    assert settings.task.sequences["sequence"].cut_out == (300, 306)
    assert settings.task.metric == "auroc"
    own = parse_finetuning_settings([], {"task": "gsr", "data": "a.csv", "template": CLASS})
    assert own.task.template == CLASS and own.task.positive == "signal"


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"data": None}, "no data are given"),
        ({"template": None}, "no template"),
        ({"template": "<R>{sequence}<=><B>"}, "has no column behind <=>, from which to learn"),
        ({"task": "pas"}, "unknown task 'pas'"),
        ({"model": "no/such/model"}, "no/such/model: no such checkpoint folder"),
        ({"learning_rat": 1}, "unknown setting 'learning_rat': did you mean learning_rate"),
        ({"head": "regression"}, "head is 'regression': choose one of language, classification"),
        ({"trained": "none"}, "trained is 'none'"),
        ({"pooling": "max"}, "pooling is 'max'"),
        ({"adapter": "lara"}, "adapter is 'lara': choose one of lora"),
        ({"duplicates": "drop"}, "duplicates is 'drop'"),
        ({"truncation": "both"}, "truncation is 'both'"),
        ({"merge": True}, "no adapter to merge"),
        ({"lora": True, "trained": "head"}, "exclude each other"),
        ({"seeds": 3}, "seeds is 3: give a list of numbers"),
        ({"seeds": []}, r"seeds is \[\]"),
        ({"seeds": [1, 2, 1]}, "state each seed once"),
        ({"seeds": ["a"]}, r"seeds is \['a'\]"),
        ({"split": 0.8}, "split is 0.8: give a list"),
        ({"split": ["a", "b"]}, "split is"),
        ({"early_stopping": 0}, "early_stopping is 0"),
        ({"early_stopping": 2, "load_best_model_at_end": False}, "needs the best checkpoint"),
        ({"metric_for_best_model": "mcc"}, "metric_for_best_model is called metric here"),
        ({"answers": "{A: x"}, "answers is .{A: x.: not valid YAML in line"),
        ({"answers": {"A": True, "N": False}}, "answers, A is True: should be"),
        ({"transforms": {"sequence": "exp(x)"}}, "unknown transform"),
    ],
)
def test_what_cannot_be(stated: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_finetuning_settings([], {**STATED, **stated})
