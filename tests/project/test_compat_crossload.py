"""The program that loads checkpoints across releases notices what it is there to notice."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(Path(__file__).parents[1] / "compat"))

from environments import running_environment
from matrix import check, write, write_with_package

# several processes that import PyTorch and Transformers; `make compat-quick` runs the program
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an environment without the package has written of a checkpoint of the package."""
    work = tmp_path_factory.mktemp("crossload")
    source = write_with_package(work / "package")
    assert write(running_environment(), source, work / "written", work / "writer") is None
    return work / "written"


def other_weight(folder: Path) -> None:
    path = folder / "classifier" / "model.safetensors"
    weights = load_file(path)
    weights["score.weight"] = weights["score.weight"] * 1.01
    save_file(weights, path, metadata={"format": "pt"})


def lost_weight(folder: Path) -> None:
    path = folder / "multi-task" / "model.safetensors"
    weights = {name: torch.clone(weight) for name, weight in load_file(path).items()}
    del weights["number_head.out_proj.weight"]
    save_file(weights, path, metadata={"format": "pt"})


def other_side(folder: Path) -> None:
    path = folder / "multi-task" / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "padding_side": "left"}))


def other_code(folder: Path) -> None:
    path = folder / "multi-task" / "modeling_dnagpt.py"
    path.write_text(path.read_text().replace("number_predictions=", "number_predictions=1.01 * "))


# each change, and what must be said of it
CHANGES: dict[Callable[[Path], None], str] = {
    other_weight: "class logits: deviates",
    lost_weight: "missing_keys': ['number_head.out_proj.weight']",
    other_side: "input_ids: ",
    other_code: "number predictions: deviates",
}


def test_what_has_changed_is_said(written: Path, tmp_path: Path) -> None:
    folders = {"unchanged": written}
    for change in CHANGES:
        folder = shutil.copytree(written, tmp_path / change.__name__)
        change(folder)
        folders[change.__name__] = folder
    found = check(running_environment(), list(folders.values()), tmp_path / "reader")
    assert found[str(written)] == []
    for change, sign in CHANGES.items():
        assert sign in "; ".join(found[str(folders[change.__name__])]), change.__name__


def test_numbers_are_generated_and_compared(written: Path) -> None:
    expected = json.loads((written / "expected.json").read_text())
    tensors = load_file(written / "expected.safetensors")
    assert "<M>0.5<=><M>" in expected["generated text"]
    assert int((tensors["generated numbers"] != 0).sum()) >= 2
    assert set(tensors) == {
        "hidden states",
        "token logits",
        "number predictions",
        "class logits",
        "generated numbers",
    }
    assert tensors["token logits"].std() > 0.1
