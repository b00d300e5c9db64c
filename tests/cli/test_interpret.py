"""`dnagpt attention` and `dnagpt attribute`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interpreted_models import classifier, dna
from typer.testing import CliRunner

from dnagpt_hf import DNAGPTModel, DNAGPTTokenizer
from dnagpt_hf.checkpoints.saving import init_checkpoint
from dnagpt_hf.cli import app
from dnagpt_hf.presets import preset_config

pytest.importorskip("matplotlib")
CLASS = ("--template", "<R>{sequence}<=><B>", "--answers", "A=signal,N=none")
PROMPT = CLASS[:2]


def run(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == status, result.output
    return result.output


def refused(*arguments: object) -> str:
    """The one line on standard error of a command that ends with status 1."""
    output = run(*arguments, status=1)
    assert output.startswith("dnagpt: error: ")
    assert output.count("\n") == 1
    return output


def saved(path: str) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, Any]]:
    with np.load(path) as archive:
        arrays = dict(archive)
    return arrays, json.loads(str(arrays.pop("description")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return init_checkpoint("dnagpt-test", tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("a.fa").write_text(f">2\n{dna(40, 1)}\n>b\n{dna(40, 2)}\n>1\n{dna(40, 3)}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ((), (2, 1)),
        (("--layer", -1), (1, 1)),
        (("--layer", 1, "--heads", "all"), (1, 4)),
        (("--heads", "all"), (2, 4)),
    ],
)
def test_attention_of_layers_and_heads(
    work: Path, folder: Path, options: tuple[object, ...], shape: tuple[int, int]
) -> None:
    regions = ("--region", "5'UTR:1-20", "--region", "coding:21-40")
    outputs = ("-o", "maps.png", "--arrays", "maps.npz")
    assert run("attention", folder, "a.fa", *PROMPT, *options, *regions, *outputs) == ""
    assert Path("maps.png").read_bytes().startswith(b"\x89PNG")
    arrays, description = saved("maps.npz")
    assert arrays["weights"].shape == (*shape, 10, 10)
    assert arrays["received"].shape == (shape[0], 4, 40)
    np.testing.assert_allclose(arrays["weights"].sum(-1), 1, atol=1e-5)
    assert description["record"] == "2"


@pytest.mark.parametrize(
    ("wanted", "found", "sequence"),
    [(None, "2", 1), ("b", "b", 2), ("1", "1", 3), ("2", "2", 1), ("3", "1", 3)],
)
def test_records_are_found_by_name_before_number(
    work: Path, folder: Path, wanted: str | None, found: str, sequence: int
) -> None:
    options = () if wanted is None else ("--record", wanted)
    run("attention", folder, "a.fa", *PROMPT, *options, "--arrays", "maps.npz")
    description = saved("maps.npz")[1]
    assert (description["record"], description["bases"]) == (found, dna(40, sequence))


def test_attribute_draws_and_tells(work: Path, folder: Path) -> None:
    methods = [part for name in METHODS for part in ("--method", name)]
    output = run(
        *("attribute", folder, "a.fa", *CLASS, "--target", "signal", *methods),
        *("--range", "11-20", "--region", "signal:13-18", "-o", "tracks.svg"),
        *("--arrays", "tracks.npz"),
    )
    lines = output.splitlines()
    assert lines[0].startswith("2: log-odds of signal = ")
    assert lines[1].startswith("integrated gradients: ")
    assert lines[2].startswith("largest effects of substitutions: ")
    assert len(lines[2].split(", ")) == 5
    assert "<svg" in Path("tracks.svg").read_text()
    arrays, description = saved("tracks.npz")
    assert arrays["effects"].shape == (10, 4)
    assert (description["start"], description["end"]) == (10, 20)
    assert description["score"] == pytest.approx(float(lines[0].split("=")[1]), rel=1e-3)
    assert arrays["integrated"].sum() == pytest.approx(
        description["score"] - description["baseline_score"], abs=1e-3
    )


METHODS = ("gradient", "integrated", "mutagenesis")


def test_gradients_and_mutagenesis_by_default(work: Path, folder: Path) -> None:
    number = ("--template", "<R>{sequence}<=><M>")
    output = run("attribute", folder, "a.fa", *number, "--record", "b", "--arrays", "all.npz")
    assert output.startswith("b: number = ")
    arrays = saved("all.npz")[0]
    assert {"gradient", "effects", "number_gradients"} < set(arrays)
    assert "integrated" not in arrays
    assert arrays["effects"].shape == (40, 4)
    one = ("--method", "mutagenesis", "--batch-size", 3, "--arrays", "few.npz")
    run("attribute", folder, "a.fa", *number, "--record", "b", *one)
    np.testing.assert_allclose(saved("few.npz")[0]["effects"], arrays["effects"], atol=1e-5)
    assert "gradient" not in saved("few.npz")[0]


def test_models_with_a_head_and_without(work: Path) -> None:
    classifier(id2label={0: "exon", 1: "intron"}).save_pretrained("head")
    DNAGPTModel(preset_config("dnagpt-test")).save_pretrained("bare")
    for folder in ("head", "bare"):
        DNAGPTTokenizer().save_pretrained(folder)
        run("attention", folder, "a.fa", "-o", f"{folder}.png")
    output = run("attribute", "head", "a.fa", "--target", "intron", "-o", "tracks.png")
    assert output.startswith("2: log-odds of intron = ")
    assert "has no head" in refused("attribute", "bare", "a.fa", "-o", "bare.pdf")


def test_a_checkpoint_that_knows_its_task(work: Path, folder: Path) -> None:
    from dnagpt_hf import DNAGPTForMultiTask

    model = DNAGPTForMultiTask.from_pretrained(folder)
    model.config.task = {"template": "<R>{sequence}<=><M>{y}"}
    model.save_pretrained("tuned")
    DNAGPTTokenizer().save_pretrained("tuned")
    output = run("attribute", "tuned", "a.fa", "--method", "gradient", "-o", "tracks.png")
    assert output.startswith("2: y = ")
    run("attention", "tuned", "a.fa", "-o", "maps.png")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("attention", "a.fa", "-o", "a.png"), "state a template"),
        (("attention", "a.fa", *PROMPT, "-o", "a.jpg"), "'.jpg' names no format"),
        (("attention", "a.fa", *PROMPT, "--arrays", "a.npy"), "a.npy: arrays are written as .npz"),
        (("attention", "a.fa", *PROMPT, "-o", "old.png"), "old.png exists"),
        (("attention", "a.fa", *PROMPT, "-o", "a.png", "--record", "9"), "none of its 3 records"),
        (("attention", "a.fa", *PROMPT, "-o", "a.png", "--layer", "3"), "layer 3 does not exist"),
        (("attention", "a.fa", *PROMPT, "-o", "a.png", "--layer", "x"), "layer 'x' is no number"),
        (
            ("attention", "a.fa", *PROMPT, "-o", "a.png", "--region", "a:1-50"),
            "region a ends at 50",
        ),
        (("attention", "a.fa", *PROMPT, "-o", "a.png", "--region", "1-5"), "not of the form NAME"),
        (("attention", "a.fa", *PROMPT, "-o", "a.png", "--region", "a:5"), "not of the form NAME"),
        (
            ("attention", "a.fa", *PROMPT, "-o", "a.png", "--region", "a:0-5"),
            "positions count from 1",
        ),
        (("attention", "a.fa", *PROMPT, "-o", "a.png", "--column", "name"), "choose sequence"),
        (("attention", "none.fa", *PROMPT, "-o", "a.png"), "none.fa: No such file"),
        (("attention", "long.fa", *PROMPT, "-o", "a.png"), "exceed the model's 64 positions"),
        (
            ("attribute", "a.fa", *CLASS, "-o", "a.png", "--range", "30-41"),
            "30-41 is no part of it",
        ),
        (("attribute", "a.fa", *CLASS, "-o", "a.png", "--range", "9-3"), "the end does not lie"),
        (
            ("attribute", "a.fa", *CLASS, "-o", "a.png", "--target", "x"),
            "choose one of signal, none",
        ),
        (
            ("attribute", "a.fa", *PROMPT, "-o", "a.png"),
            "does not name the tokens that are answers",
        ),
    ],
)
def test_bad_input_is_one_line_and_no_output(
    work: Path, folder: Path, options: tuple[str, ...], message: str
) -> None:
    Path("old.png").write_text("old")
    Path("long.fa").write_text(f">a\n{dna(500, 1)}\n")
    before = sorted(work.iterdir())
    assert message in refused(options[0], folder, *options[1:])
    assert sorted(work.iterdir()) == before
    assert Path("old.png").read_text() == "old"


def test_too_long_a_sequence_can_be_cut(work: Path, folder: Path) -> None:
    Path("long.fa").write_text(f">a\n{dna(500, 1)}\n")
    cut = ("--truncate", "left", "-o", "a.png", "--arrays", "a.npz")
    run("attention", folder, "long.fa", *PROMPT, "--layer", 1, *cut)
    arrays, description = saved("a.npz")
    assert description["bases"] == dna(500, 1)
    assert arrays["received"].shape == (1, 4, 500)
    assert not arrays["received"][..., : 500 - 61 * 6].any()


def test_something_must_be_written(work: Path, folder: Path) -> None:
    for command in ("attention", "attribute"):
        assert "--output or --arrays" in run(command, folder, "a.fa", *PROMPT, status=2)
