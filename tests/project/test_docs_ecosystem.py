"""The Python blocks of docs/ecosystem.md, executed in their order."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "ecosystem.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
# libraries that a block needs, where they may be missing
OPTIONAL = ("onnxruntime", "onnxscript", "peft", "torchao", "bitsandbytes", "trl", "vllm")


def is_missing(name: str) -> bool:
    return importlib.util.find_spec(name) is None


def test_blocks_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    left_out = set()
    for block in BLOCKS:
        needed = {name for name in OPTIONAL if name in block}
        needed |= {"onnxscript"} if "onnx.export" in block or "onnxruntime" in block else set()
        if missing := set(filter(is_missing, needed)):
            left_out |= missing
            continue
        exec(block, names)
    printed = capsys.readouterr().out
    assert "torch.Size([1, 10, 128])" in printed
    assert "True" in printed
    assert (tmp_path / "checkpoint" / "tokenizer.json").is_file()
    if left_out:
        pytest.skip(f"blocks that need {', '.join(sorted(left_out))} were left out")
    assert (tmp_path / "model.onnx").is_file()
    assert (tmp_path / "merged" / "model.safetensors").is_file()
