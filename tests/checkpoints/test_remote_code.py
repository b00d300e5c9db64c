"""A checkpoint folder without the package: its own code, loaded by the Auto classes, offline."""

import json
import shutil
import subprocess
import venv
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)
from without_package import PROMPTS, run_without_package

import dnagpt_hf
from dnagpt_hf.checkpoints.saving import init_checkpoint
from dnagpt_hf.tasks.task import Task

CODE = {
    "configuration_dnagpt.py",
    "generation_dnagpt.py",
    "modeling_dnagpt.py",
    "tokenization_dnagpt.py",
}
# what a fine-tuned model is asked; pairs have an order that is not that of the alphabet
TASK = {
    "name": "signals",
    "template": "<R>{sequence}<+><M>{x}<=><B>{label}<M>{y}",
    "answers": {"label": [["N", "none"], ["A", "signal"]]},
    "standardization": [[0.1, 3.0], [1e-30, 0.3333333333333333]],
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("remote") / "dnagpt-m"
    return init_checkpoint("dnagpt-test", folder, task=TASK)


@pytest.fixture(scope="module")
def reports(checkpoint: Path) -> list[dict[str, Any]]:
    """Of the folder, and of the copy that the first process saved; the second saves one more."""
    work = checkpoint.with_name("work")
    second, third = checkpoint.with_name("second"), checkpoint.with_name("third")
    return [
        run_without_package(checkpoint, second, work),
        run_without_package(second, third, work),
    ]


def test_every_auto_class_finds_the_code_in_the_folder(reports: list[dict[str, Any]]) -> None:
    for report in reports:
        assert report["classes"] == {
            "AutoConfig": "DNAGPTConfig",
            "AutoTokenizer": "DNAGPTTokenizer",
            "AutoModel": "DNAGPTModel",
            "AutoModelForCausalLM": "DNAGPTForMultiTask",
            "AutoModelForSequenceClassification": "DNAGPTForSequenceClassification",
        }
        assert all(name.startswith("transformers_modules.") for name in report["modules"].values())
        assert not report["package"]


def test_shapes(reports: list[dict[str, Any]]) -> None:
    batch, length = len(reports[0]["input_ids"]), len(reports[0]["input_ids"][0])
    assert reports[0]["shapes"] == {
        "AutoModel": [batch, length, 32],
        "AutoModelForCausalLM": [batch, length, 19584],
        "AutoModelForSequenceClassification": [batch, 2],
    }


def test_only_the_new_head_is_missing(reports: list[dict[str, Any]]) -> None:
    for report in reports:
        keys = report["keys"]
        assert keys["AutoModelForCausalLM"]["missing_keys"] == []
        assert keys["AutoModelForCausalLM"]["unexpected_keys"] == []
        assert keys["AutoModel"]["missing_keys"] == []
        assert keys["AutoModelForSequenceClassification"]["missing_keys"] == ["score.weight"]
        assert all(found["mismatched_keys"] == [] for found in keys.values())


def test_saved_again_it_is_the_same(reports: list[dict[str, Any]]) -> None:
    same = ("input_ids", "numbers", "text", "logits", "predictions", "generated")
    for key in same:
        assert reports[1][key] == reports[0][key], key
    assert [text.replace("<P>", "") for text in reports[0]["text"]] == PROMPTS


def test_the_task_is_kept(checkpoint: Path, reports: list[dict[str, Any]]) -> None:
    assert [report["task"] for report in reports] == [TASK, TASK]
    for name in ("dnagpt-m", "third", "second-classes"):
        assert AutoConfig.from_pretrained(checkpoint.with_name(name)).task == TASK
        assert Task.from_dict(TASK).as_dict() == TASK


def test_saved_again_it_is_complete(checkpoint: Path, reports: list[dict[str, Any]]) -> None:
    for name in ("dnagpt-m", "second", "third"):
        folder = checkpoint.with_name(name)
        config = json.loads((folder / "config.json").read_text())
        tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
        assert {path.name for path in folder.glob("*.py")} == CODE
        assert config["model_type"] == "dnagpt"
        assert config["architectures"] == ["DNAGPTForMultiTask"]
        assert config["auto_map"] == {
            "AutoConfig": "configuration_dnagpt.DNAGPTConfig",
            "AutoModel": "modeling_dnagpt.DNAGPTModel",
            "AutoModelForCausalLM": "modeling_dnagpt.DNAGPTForMultiTask",
            "AutoModelForSequenceClassification": "modeling_dnagpt.DNAGPTForSequenceClassification",
        }
        assert tokenizer["tokenizer_class"] == "DNAGPTTokenizer"
        assert tokenizer["auto_map"] == {
            "AutoTokenizer": ["tokenization_dnagpt.DNAGPTTokenizer", None]
        }
        for file in CODE:
            assert (folder / file).read_bytes() == (checkpoint / file).read_bytes()


def test_saved_classifier_loads_whole(checkpoint: Path, reports: list[dict[str, Any]]) -> None:
    folder = checkpoint.with_name("second-classes")
    assert {path.name for path in folder.glob("*.py")} >= {
        "configuration_dnagpt.py",
        "modeling_dnagpt.py",
    }
    _, info = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]


def test_objects_of_the_package_save_their_code(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    dnagpt_hf.DNAGPTForMultiTask.from_pretrained(checkpoint).save_pretrained(folder)
    dnagpt_hf.DNAGPTTokenizer.from_pretrained(checkpoint).save_pretrained(folder)
    assert {path.name for path in folder.glob("*.py")} == CODE
    report = run_without_package(folder, tmp_path / "copy", tmp_path / "work")
    assert report["keys"]["AutoModelForCausalLM"]["missing_keys"] == []


def test_with_the_package_no_code_is_trusted(checkpoint: Path, tmp_path: Path) -> None:
    # The classes of the package are used even where the folder holds no code.
    folder = shutil.copytree(checkpoint, tmp_path / "bare", ignore=shutil.ignore_patterns("*.py"))
    for source in (checkpoint, folder):
        found = [
            AutoConfig.from_pretrained(source),
            AutoTokenizer.from_pretrained(source),
            AutoModel.from_pretrained(source),
            AutoModelForCausalLM.from_pretrained(source),
            AutoModelForSequenceClassification.from_pretrained(
                source, problem_type="single_label_classification"
            ),
        ]
        assert [type(value) for value in found] == [
            dnagpt_hf.DNAGPTConfig,
            dnagpt_hf.DNAGPTTokenizer,
            dnagpt_hf.DNAGPTModel,
            dnagpt_hf.DNAGPTForMultiTask,
            dnagpt_hf.DNAGPTForSequenceClassification,
        ]


def test_package_and_code_of_the_folder_agree(
    checkpoint: Path, reports: list[dict[str, Any]]
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForCausalLM.from_pretrained(checkpoint).eval()
    batch = tokenizer(PROMPTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = model(**batch).logits[:, -1, :50]
    torch.testing.assert_close(logits, torch.tensor(reports[0]["logits"]))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_loads_in_half_precision(checkpoint: Path, dtype: str) -> None:
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=dtype)
    assert {parameter.dtype for parameter in model.parameters()} == {getattr(torch, dtype)}


@pytest.mark.slow
def test_environment_with_torch_transformers_and_safetensors_only(
    checkpoint: Path, tmp_path: Path
) -> None:
    venv.create(tmp_path / "environment", with_pip=True)
    python = str(tmp_path / "environment" / "bin" / "python")
    packages = [
        f"{name}=={version(name).split('+')[0]}"
        for name in ("torch", "transformers", "safetensors")
    ]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    report = run_without_package(
        checkpoint, tmp_path / "copy", tmp_path / "work", python=python, absent=()
    )
    assert report["classes"]["AutoModelForCausalLM"] == "DNAGPTForMultiTask"
    assert not report["package"]
