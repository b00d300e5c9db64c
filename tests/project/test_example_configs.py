"""Every shipped configuration is read by the program that it is for, and trains."""

from __future__ import annotations

import json
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env
from safetensors.torch import load_file
from training_runs import (
    CONFIGS,
    arguments,
    finish,
    logged,
    set_environment,
    write_genomes,
    write_weights,
)

import dnagpt_hf
from dnagpt_hf.presets import get_preset
from dnagpt_hf.pretraining.settings import parse_settings
from dnagpt_hf.yaml_files import read_yaml

LAUNCHES = Path(dnagpt_hf.__file__).parent / "planning" / "accelerate"
STRATEGIES = ("ddp", "fsdp2", "zero1", "zero2", "zero3")
needs_deepspeed = pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs deepspeed")
LAUNCHED = [
    pytest.param(name, marks=needs_deepspeed if name.startswith("zero") else ())
    for name in STRATEGIES
]


def launch_environment(name: str) -> dict[str, str]:
    """Environment that `accelerate launch` gives to the processes that it starts."""
    options = ["--config_file", str(LAUNCHES / f"{name}.yaml"), "program.py"]
    options, _, _ = _validate_launch_command(launch_command_parser().parse_args(options))
    assert (options.num_processes, options.num_machines) == (8, 1)
    if options.use_deepspeed:
        options.deepspeed_fields_from_accelerate_config = ""
        _, environment = prepare_deepspeed_cmd_env(options)
    else:
        environment = prepare_multi_gpu_env(options)
    return {
        variable: value
        for variable, value in environment.items()
        if variable.startswith(("ACCELERATE_", "FSDP_"))
    }


def test_there_is_a_configuration_for_every_strategy() -> None:
    assert {path.stem for path in LAUNCHES.glob("*.yaml")} == set(STRATEGIES)
    assert {path.stem for path in (LAUNCHES.parent / "deepspeed").iterdir()} == set(STRATEGIES[2:])


@pytest.mark.parametrize(
    "path", sorted(CONFIGS.glob("pretrain-*.yaml")), ids=lambda path: path.stem
)
def test_settings_are_those_of_the_program(path: Path) -> None:
    assert path.stem == f"pretrain-{parse_settings([], read_yaml(path)).model.preset}"


@pytest.mark.parametrize("name", LAUNCHED)
def test_accelerate_reads_its_configurations(name: str) -> None:
    environment = launch_environment(name)
    # the settings of the run say it: DeepSpeed refuses to start where the two differ
    assert environment["ACCELERATE_MIXED_PRECISION"] == "no"
    sharing = {key for key in environment if key.startswith("ACCELERATE_USE")}
    if name == "ddp":
        assert not sharing
    elif name == "fsdp2":
        assert sharing == {"ACCELERATE_USE_FSDP"} and environment["FSDP_VERSION"] == "2"
        # with SHARDED_STATE_DICT, Trainer saves no model
        assert environment["FSDP_STATE_DICT_TYPE"] == "FULL_STATE_DICT"
    else:
        assert sharing == {"ACCELERATE_USE_DEEPSPEED"}
        assert environment["ACCELERATE_DEEPSPEED_ZERO_STAGE"] == name[-1]


@needs_deepspeed
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_deepspeed_reads_its_configurations(stage: int) -> None:
    from deepspeed.runtime.config import DeepSpeedConfig

    content = json.loads((LAUNCHES.parent / "deepspeed" / f"zero{stage}.json").read_text())
    batches = {"train_micro_batch_size_per_gpu": 2, "gradient_accumulation_steps": 5}
    content |= {**batches, "train_batch_size": 10, "gradient_clipping": 1.0}
    content |= {"bf16": {"enabled": True}, "fp16": {"enabled": False}}
    config = DeepSpeedConfig(content)
    assert config.zero_config.stage == stage
    assert config.zero_config.gather_16bit_weights_on_model_save == (stage == 3)


@pytest.mark.parametrize("name", ["dnagpt-h", "dnagpt-m", "dnagpt-s-512", "dnagpt-b-512"])
def test_settings_of_the_paper(name: str) -> None:
    stated = read_yaml(CONFIGS / f"pretrain-{name}.yaml")
    settings = parse_settings([], stated)
    recipe = get_preset(name).pretraining
    assert stated["preset"] == name
    # what the recipe says is not said again
    training = settings.training
    assert training.learning_rate == recipe.learning_rate
    assert training.gradient_accumulation_steps == recipe.gradient_accumulation_steps == 5
    assert training.num_train_epochs == recipe.epochs
    assert training.save_total_limit >= 2 and training.save_steps >= 500
    assert training.output_dir == name
    assert settings.data.genomes.endswith("manifest.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("name", LAUNCHED)
def test_two_processes_train_in_bfloat16(name: str, tmp_path: Path) -> None:
    """With the configuration for accelerate, and nothing said of it to the program."""
    manifest, alone, shared = write_genomes(tmp_path), tmp_path / "alone", tmp_path / "shared"
    weights = write_weights(tmp_path / "weights")
    finish(arguments(manifest, alone, model=weights), 1, alone)
    settings = {"model": weights, "bf16": True, "save_strategy": "steps", "save_steps": 3}
    batches = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 2}
    command = arguments(manifest, shared, **settings, **batches)
    finish(command, 2, shared, partial(set_environment, launch_environment(name)))
    np.testing.assert_allclose(logged(shared), logged(alone), rtol=0.01)
    found, expected = (load_file(path / "model.safetensors") for path in (shared, alone))
    assert {key: value.shape for key, value in found.items()} == {
        key: value.shape for key, value in expected.items()
    }
    # DeepSpeed keeps float32 weights of its own, and Trainer saves those of the model
    is_half = name.startswith("zero")
    assert {value.dtype for value in found.values()} == {
        torch.bfloat16 if is_half else torch.float32
    }


@pytest.mark.parametrize(
    "path", sorted(CONFIGS.glob("finetune-*.yaml")), ids=lambda path: path.stem
)
def test_settings_of_a_fine_tuning_are_read(path: Path) -> None:
    from dnagpt_hf.finetuning.settings import parse_finetuning_settings

    settings = parse_finetuning_settings([], read_yaml(path), path.parent)
    assert settings.task.is_answered
    assert settings.task.name == path.stem.removeprefix("finetune-")
    assert settings.training.output_dir == settings.task.name
