"""Every command and every Python block of docs/interpretation.md, executed in its order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from interpreted_models import dna
from typer.testing import CliRunner

from dnagpt_hf.cli import app

pytest.importorskip("matplotlib")
DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "interpretation.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(bash|python)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_blocks_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("genes.fa", "windows.fa"):
        Path(name).write_text(f">one\n{dna(606, 1)}\n")
    names: dict[str, Any] = {}
    commands = 0
    for language, text in BLOCKS:
        if language == "python":
            exec(text, names)
            continue
        for line in text.strip().splitlines():
            program, *arguments = shlex.split(line)
            assert program == "dnagpt", line
            result = CliRunner().invoke(app, arguments)
            assert result.exit_code == 0, f"{line}: {result.output}"
            commands += 1
    assert commands >= 7
    printed = capsys.readouterr().out
    assert "(1, 4, 205, 205)" in printed
    assert "(20, 4)" in printed
    written = {path.suffix for path in tmp_path.iterdir()}
    assert written >= {".png", ".svg", ".pdf", ".npz"}


def test_the_figures_are_there() -> None:
    figures = re.findall(r"!\[.*?\]\((.*?)\)", TEXT)
    assert len(figures) == 2
    assert all((DOCS / name).is_file() for name in figures)
