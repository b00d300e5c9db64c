"""Settings of a run: what wins over what, and errors in them."""

import json

import pytest

from dnagpt_hf.presets import get_preset
from dnagpt_hf.pretraining.settings import parse_settings
from dnagpt_hf.training.settings import recipe_arguments

GENOMES = ["--genomes", "manifest.yaml"]


@pytest.mark.parametrize("name", ["dnagpt-h", "dnagpt-m", "dnagpt-s-512", "dnagpt-b-512"])
def test_the_recipe_of_a_preset_is_the_default(name: str) -> None:
    training = parse_settings(["--preset", name, *GENOMES]).training
    recipe = get_preset(name).pretraining
    assert training.learning_rate == recipe.learning_rate
    assert training.num_train_epochs == recipe.epochs
    assert training.gradient_accumulation_steps == 5
    assert (training.adam_beta1, training.adam_beta2) == (0.9, 0.98)
    assert (training.weight_decay, training.max_grad_norm) == (0.1, 1.0)
    assert training.lr_scheduler_type == "cosine"
    # one epoch of ten, or 10,000 steps
    assert training.get_warmup_steps(50_000) == (10_000 if recipe.warmup_steps else 5_000)


def test_command_line_wins_over_file_and_file_over_recipe() -> None:
    stated = {"preset": "dnagpt-m", "learning_rate": "3e-4", "seed": 5, "genomes": "a.yaml"}
    settings = parse_settings(["--seed", "7"], stated)
    assert settings.training.learning_rate == 3e-4
    assert settings.training.seed == 7
    assert settings.data.genomes == "a.yaml"
    assert settings.training.adam_beta2 == 0.98
    # the recipe is that of the preset that wins
    assert parse_settings(["--preset=dnagpt-b-512"], stated).training.max_grad_norm == 1.0
    assert parse_settings(["--preset", "dnagpt-s-512", *GENOMES]).training.learning_rate == 6e-5


def test_config_is_a_mapping_in_a_file_and_on_the_command_line() -> None:
    fields = {"hidden_size": 64}
    assert parse_settings([*GENOMES, "--config", '{"hidden_size": 64}']).model.config == fields
    assert parse_settings(GENOMES, {"config": fields}).model.config == fields
    with pytest.raises(ValueError, match="config is 'wide'"):
        parse_settings([*GENOMES, "--config", "wide"])


@pytest.mark.parametrize(
    ("arguments", "stated", "message"),
    [
        ([], {}, "no genomes are given"),
        ([*GENOMES, "--learnin_rate", "1"], {}, "learnin_rate: did you mean learning_rate"),
        (GENOMES, {"learnin_rate": 1}, "'learnin_rate': did you mean learning_rate"),
        ([*GENOMES, "--max_steps", "few"], {}, "max.steps"),
        (GENOMES, {"max_steps": "few"}, "max.steps"),
        (["--preset", "dnagpt-xl", *GENOMES], {}, "unknown preset 'dnagpt-xl': choose one of"),
    ],
)
def test_errors_name_the_setting(
    arguments: list[str], stated: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        parse_settings(arguments, stated)


def test_float16_is_for_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = get_preset("dnagpt-m").pretraining
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "fp16" not in recipe_arguments(recipe)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert recipe_arguments(recipe)["fp16"] is True
    assert recipe_arguments(get_preset("dnagpt-b-512").pretraining)["bf16"] is True


@pytest.mark.filterwarnings("error::FutureWarning")
@pytest.mark.parametrize("name", ["gradient_checkpointing", "activation_checkpointing"])
def test_recomputed_activations_have_either_name(name: str) -> None:
    """Transformers 5.24 calls it otherwise than the releases before."""
    kwargs = {"use_reentrant": False}
    for settings in (
        parse_settings([f"--{name}", f"--{name}_kwargs={json.dumps(kwargs)}", *GENOMES]),
        parse_settings(GENOMES, {name: True, f"{name}_kwargs": kwargs}),
    ):
        assert settings.training.gradient_checkpointing
        assert settings.training.gradient_checkpointing_kwargs == kwargs
    assert not parse_settings([f"--{name}=false", *GENOMES]).training.gradient_checkpointing
