"""The classifier of poly(A) signals that comes with the package."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard
from typer.testing import CliRunner

import dnagpt_hf
from dnagpt_hf.cli import app

ROOT = Path(__file__).resolve().parents[2]
FOLDER = dnagpt_hf.bundled("dnagpt-tiny-pas")


# compositions of A, C, G and T
GC_RICH, A_RICH, GT_RICH = (0.15, 0.35, 0.35, 0.15), (0.45, 0.15, 0.2, 0.2), (0.15, 0.1, 0.3, 0.45)


def window(
    generator: np.random.Generator, around: tuple[float, ...], behind: tuple[float, ...]
) -> str:
    """606 bp with a signal in the middle and 40 bp of another composition right behind it."""
    parts = [
        "".join(generator.choice(list("ACGT"), length, p=composition))
        for length, composition in ((300, around), (40, behind), (260, around))
    ]
    return f"{parts[0]}AATAAA{parts[1]}{parts[2]}"


def test_it_is_small_and_knows_its_task() -> None:
    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
    from dnagpt_hf.inference.prediction_heads import checkpoint_task

    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 16e6
    assert not list(FOLDER.glob("*.py"))
    task = checkpoint_task(DNAGPTConfig.from_pretrained(FOLDER))
    assert task is not None
    assert task.answer_list[0].tokens == {"A": "signal", "N": "none"}
    assert task.positive_label(task.answer_list[0]) == "signal"


def test_it_answers_by_its_name(tmp_path: Path) -> None:
    # a GT-rich element behind the signal is what the cleavage factor CstF binds to
    generator = np.random.default_rng(0)
    kinds = {
        "element": (GC_RICH, GT_RICH),
        "without": (GC_RICH, GC_RICH),
        "repeat": (A_RICH, A_RICH),
    }
    records = [
        f">{kind}{number}\n{window(generator, *compositions)}\n"
        for kind, compositions in kinds.items()
        for number in range(40)
    ]
    (tmp_path / "windows.fa").write_text("".join(records))
    output = tmp_path / "answers.tsv"
    result = CliRunner().invoke(
        app, ["predict", "dnagpt-tiny-pas", str(tmp_path / "windows.fa"), "-o", str(output)]
    )
    assert result.exit_code == 0, result.output
    with output.open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    signal = {
        kind: np.mean(
            [float(row["probability_signal"]) for row in rows if row["name"].startswith(kind)]
        )
        for kind in kinds
    }
    assert signal["element"] > signal["without"] + 0.15
    assert signal["element"] > signal["repeat"] + 0.6


def test_a_window_of_another_length_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short.fa").write_text(">one\n" + "ACGT" * 150 + "\n")
    result = CliRunner().invoke(app, ["predict", "dnagpt-tiny-pas", str(tmp_path / "short.fa")])
    assert result.exit_code == 1
    assert "600 bp, but the task needs 606 bp" in result.output + result.stderr


@pytest.mark.parametrize("path", [FOLDER / "README.md", ROOT / "model_cards/dnagpt-tiny-pas.md"])
def test_the_card(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ModelCard(text).data.license == "apache-2.0"
    assert "plant-dnagpt" in text
    assert "AUROC" in text
    assert text == (ROOT / "model_cards" / "dnagpt-tiny-pas.md").read_text(encoding="utf-8")
