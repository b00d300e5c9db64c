"""A checkpoint folder without the package: its own code, loaded by the Auto classes, offline."""

import json
import os
import shutil
import subprocess
import sys
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

import dnagpt_hf
from dnagpt_hf.checkpoint import init_checkpoint
from dnagpt_hf.tasks.task import Task

CODE = {"configuration_dnagpt.py", "modeling_dnagpt.py", "tokenization_dnagpt.py"}
# what a fine-tuned model is asked; pairs have an order that is not that of the alphabet
TASK = {
    "name": "signals",
    "template": "<R>{sequence}<+><M>{x}<=><B>{label}<M>{y}",
    "answers": {"label": [["N", "none"], ["A", "signal"]]},
    "standardization": [[0.1, 3.0], [1e-30, 0.3333333333333333]],
}
PROMPTS = ["<R>ATCGATTTACGC<+><M>-0.5 0.25<=><B>", "<R>GGCCTAN<=>"]

# What torch, transformers and safetensors do not bring along, and the package itself. Python treats
# a module that is None in `sys.modules` as one that is not installed.
ABSENT = ["dnagpt_hf", "accelerate", "datasets", "evaluate", "pandas", "pyarrow", "pyfaidx"]

PROGRAM = """
import json, sys

folder, copy, absent, prompts = json.loads(sys.argv[1])
sys.modules.update(dict.fromkeys(absent))
import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM
from transformers import AutoModelForSequenceClassification, AutoTokenizer

def load(auto_class, **arguments):
    return auto_class.from_pretrained(folder, trust_remote_code=True, **arguments)

config = load(AutoConfig)
tokenizer = load(AutoTokenizer)
loaded, keys, logits = {"AutoConfig": config, "AutoTokenizer": tokenizer}, {}, {}
batch = tokenizer(prompts, padding=True, return_tensors="pt")
for auto_class in (AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification):
    model, info = load(auto_class, output_loading_info=True)
    loaded[auto_class.__name__] = model
    keys[auto_class.__name__] = {name: sorted(map(str, info[name])) for name in info}
    with torch.no_grad():
        logits[auto_class.__name__] = list(model.eval()(**batch)[0].shape)

model = loaded["AutoModelForCausalLM"]
with torch.no_grad():
    output = model(**batch)
generated = model.generate(
    **tokenizer(prompts[:1], return_tensors="pt"), max_new_tokens=4, do_sample=False
)
model.save_pretrained(copy)
tokenizer.save_pretrained(copy)
loaded["AutoModelForSequenceClassification"].save_pretrained(copy + "-classes")

print(json.dumps({
    "classes": {name: type(value).__name__ for name, value in loaded.items()},
    "modules": {name: type(value).__module__ for name, value in loaded.items()},
    "keys": keys,
    "shapes": logits,
    "input_ids": batch["input_ids"].tolist(),
    "numbers": batch["number_values"].tolist(),
    "text": tokenizer.batch_decode(batch["input_ids"], number_values=batch["number_values"]),
    "logits": output.logits[:, -1, :50].tolist(),
    "predictions": output.number_predictions.tolist(),
    "generated": generated.tolist(),
    "task": model.config.task,
    "package": sys.modules["dnagpt_hf"] is not None if "dnagpt_hf" in sys.modules else False,
}))
"""


def run_without_package(
    folder: Path | str,
    copy: Path,
    work: Path,
    python: str = sys.executable,
    absent: tuple[str, ...] = tuple(ABSENT),
    **environment: str,
) -> dict[str, Any]:
    """What `PROGRAM` reports of `folder`, of which it writes a copy; `work` is its home."""
    argument = json.dumps([str(folder), str(copy), absent, PROMPTS])
    return report_of(PROGRAM, argument, work, python, **environment)


def report_of(
    program: str, argument: str, work: Path, python: str = sys.executable, **environment: str
) -> Any:
    """What a program prints last, as JSON, in a process of its own; `work` is its home."""
    work.mkdir(exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(work),
        "HF_HOME": str(work / "home"),
        "HF_MODULES_CACHE": str(work / "modules"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        **environment,
    }
    # -I: neither the current folder nor PYTHONPATH are searched for modules
    command = [python, "-I", "-c", program, argument]
    done = subprocess.run(
        command, cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


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
            AutoModelForSequenceClassification.from_pretrained(source),
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
