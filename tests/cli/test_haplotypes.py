"""`dnagpt haplotypes evaluate` and `dnagpt haplotypes convert`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from haplotype_runs import arguments, write_set
from haplotype_sets import make_haplotypes
from typer.testing import CliRunner

from dnagpt_hf.cli.application import app
from dnagpt_hf.haplotypes.files.formats import read_haplotypes, write_haplotypes
from dnagpt_hf.haplotypes.haplotypes import split_by_sample

pytest.importorskip("scipy")
pytest.importorskip("matplotlib")


def run(command: str, *arguments: object, status: int = 0) -> Any:
    result = CliRunner().invoke(app, ["haplotypes", command, *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    real = make_haplotypes(30, seed=1)
    write_haplotypes(real, "real.hapt")
    write_haplotypes(make_haplotypes(15, seed=2, prefix="T"), "test.npz")
    nameless = replace(make_haplotypes(20, seed=3, prefix="AG"), populations=None)
    write_haplotypes(nameless, "t0.8.npz")
    write_haplotypes(nameless, "t1.2.npy")
    rows = [f"P{individual}\t{real.populations[2 * individual]}" for individual in range(30)]
    rows += [f"T{individual}\tEAST" for individual in range(15)]
    Path("samples.tsv").write_text("\n".join(["sample\tpop", *rows, ""]))
    return tmp_path


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are tested with the report, and take time."""
    monkeypatch.setattr(
        "dnagpt_hf.haplotypes.statistics.figures.figures", lambda evaluation: iter(())
    )


def test_train(tmp_path: Path) -> None:
    real = write_set(tmp_path / "real.hapt")
    _, _, *settings = arguments(real, tmp_path / "model", max_steps=1)
    printed = run("train", real, *settings).stdout
    assert "validation 24 haplotypes of 40 sites" in printed
    assert "bits per site of independent sites" in printed
    assert "did you mean min_maf" in run("train", real, "--min_mafs", "0.1", status=1).stderr


def test_evaluate(folder: Path, drawn: None) -> None:
    result = run(
        *("evaluate", "real.hapt", "t0.8.npz", "t1.2.npy", "--test", "test.npz"),
        *("--populations", "samples.tsv", "--output", "report"),
    )
    lines = result.stdout.splitlines()
    header = next(line for line in lines if "t0.8" in line)
    assert header.startswith("|  | t0.8 | t1.2 | real test | ")
    assert "| haplotypes | 40 | 40 | 30 | 60 | 60 | 60 |" in lines
    assert lines[-1] == "report/evaluation.html"
    found = json.loads(Path("report/evaluation.json").read_text())
    assert found["real"]["test_was_given"]
    assert [one["population"] for one in found["sets"][0]["populations"]] == ["EAST", "WEST"]
    assert found["sets"][0]["privacy"] is not None


def test_evaluate_filtered_and_without_a_test_part(folder: Path, drawn: None) -> None:
    result = run(
        *("evaluate", "real.hapt", "t0.8.npz", "--names", "model", "--min-maf", "0.1"),
        *("--region", "1:1-30,000", "--seed", "3", "-o", "report"),
    )
    real = read_haplotypes("real.hapt", min_maf=0.1)
    number = int((real.sites.positions <= 30_000).sum())
    assert 10 < number < 100
    assert f"over {number} sites in 1:" in result.stdout
    assert "No test split was given" in result.stdout
    found = json.loads(Path("report/evaluation.json").read_text())
    assert found["sets"][0]["name"] == "model" and found["seed"] == 3


def test_a_share_of_people_is_that_of_the_training(folder: Path, drawn: None) -> None:
    training, test = split_by_sample(read_haplotypes("real.hapt"), 0.25, seed=4)
    write_haplotypes(training, "training.npz")
    write_haplotypes(test, "other.npz")
    run("evaluate", "training.npz", "t0.8.npz", "--test", "other.npz", "-o", "files")
    share = ("--test", "0.25", "--split-seed", "4")
    run("evaluate", "real.hapt", "t0.8.npz", *share, "-o", "share")
    found = [json.loads(Path(one, "evaluation.json").read_text()) for one in ("files", "share")]
    assert found[0]["sets"][0]["privacy"] is not None
    assert found[0]["sets"] == found[1]["sets"]


def test_evaluate_does_nothing_before_its_place_is_clear(folder: Path) -> None:
    Path("report").mkdir()
    Path("report/x").write_text("")
    result = run("evaluate", "missing.hapt", "-o", "report", status=1)
    assert "report has content: choose another folder" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["real.hapt", "t0.8.npz", "--names", "a,b"], 2, "2 --names for 1 generated files"),
        (
            ["real.hapt", "t0.8.npz", "t1.2.npy", "--names", "a,a"],
            2,
            "two of the --names are",
        ),
        (["missing.hapt"], 1, "missing.hapt: No such file or directory"),
        (["real.hapt", "t1.2.npy", "--min-maf", "0.1"], 1, "t1.2.npy has 120 sites, but real.hapt"),
        (["real.hapt", "--region", "7"], 1, "real.hapt: no site lies in 7; there are sites in 1:"),
        (["real.hapt", "--test", "real.hapt"], 1, "30 samples of real.hapt are in real.hapt"),
        (["test.npz", "--populations", "t0.8.npz"], 1, "t0.8.npz"),
    ],
)
def test_errors_of_evaluate(folder: Path, arguments: list[str], status: int, message: str) -> None:
    result = run("evaluate", *arguments, "-o", "report", status=status)
    assert message in " ".join(result.output.replace("│", " ").split())
    assert not Path("report").exists()


def test_convert(folder: Path) -> None:
    result = run("convert", "real.hapt", "out.npz", "--min-maf", "0.05")
    assert result.stdout.startswith("out.npz: 60 haplotypes of 30 individuals, ")
    expected = read_haplotypes("real.hapt", min_maf=0.05)
    assert (read_haplotypes("out.npz").alleles == expected.alleles).all()
    assert "exists" in run("convert", "real.hapt", "out.npz", status=1).stderr
    run("convert", "real.hapt", "out.npz", "--overwrite")


def test_convert_some_people(folder: Path) -> None:
    Path("individuals.txt").write_text("P2\nP5\n")
    run("convert", "real.hapt", "two.hapt", "--samples", "individuals.txt", "--label", "AG")
    assert read_haplotypes("two.hapt").samples.tolist() == ["P2", "P2", "P5", "P5"]
    assert Path("two.hapt").read_text().startswith("AG P2_A ")
    arguments = ("--populations", "samples.tsv", "--population", "EAST", "--min-maf", "0.2")
    run("convert", "real.hapt", "east.npz", *arguments)
    east = read_haplotypes("east.npz")
    assert set(east.populations) == {"EAST"}
    assert east.minor_allele_frequencies().min() >= 0.2
    result = run("convert", "real.hapt", "x.npz", "--population", "EAST", status=2)
    assert "--population needs a table" in result.output


def test_convert_vcf(folder: Path) -> None:
    pytest.importorskip("cyvcf2")
    run("convert", "real.hapt", "out.vcf")
    text = Path("out.vcf").read_text()
    # one genotype of the first individual is no longer phased
    lines = text.splitlines()
    row = next(i for i, line in enumerate(lines) if "\tGT\t0|1" in line or "\tGT\t1|0" in line)
    lines[row] = lines[row].replace("\tGT\t0|1", "\tGT\t0/1").replace("\tGT\t1|0", "\tGT\t1/0")
    Path("out.vcf").write_text("\n".join([*lines, ""]))
    result = run("convert", "out.vcf", "back.hapt", status=1)
    assert "the genotype of sample P0 is not phased" in result.stderr
    assert not Path("back.hapt").exists()
    run("convert", "out.vcf", "back.hapt", "--unphased", "as_written")
    assert (read_haplotypes("back.hapt").alleles == read_haplotypes("real.hapt").alleles).all()
    run("convert", "out.vcf", "fewer.npz", "--unphased", "drop")
    assert read_haplotypes("fewer.npz").num_sites == 119
