"""`dnagpt genomes check`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from dnagpt_hf.cli.application import app
from dnagpt_hf.genomes import composition as genome_check


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    (tmp_path / "human.fa").write_text(">1\nACGTaccN\n>2\nNNNN\n>21\nGGCC\n>MT\nAA\n")
    (tmp_path / "other.fa").write_text("".join(f">s{number}\nACGT\n" for number in range(7)))
    species = [
        {
            "name": "homo_sapiens",
            "token": "<R>",
            "files": ["human.fa"],
            "leave_out": ["MT"],
            "held_out": ["21"],
        },
        {"name": "unicorn", "token": "<X>", "files": ["other.fa"]},
    ]
    path = tmp_path / "manifest.yaml"
    path.write_text(yaml.safe_dump({"species": species}))
    return path


def run(*arguments: object, status: int = 0) -> Any:
    result = CliRunner().invoke(app, ["genomes", "check", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result


def test_table(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(genome_check.PUBLISHED_BASES, "homo_sapiens", 16)
    _, _, human, unicorn, *_ = run(manifest).stdout.splitlines()
    assert human == "| homo_sapiens | <R> | 3 | 16 | 31.25% | 72.73% | 18.75% | 12 | 4 | equal |"
    assert unicorn == "| unicorn | <X> | 7 | 28 | 0.00% | 50.00% | 0.00% | 28 | 0 |  |"


def test_differences_to_the_paper(manifest: Path) -> None:
    assert "-3,088,286,385" in run(manifest).stdout


def test_contigs_that_are_short_or_undetermined_are_named(manifest: Path) -> None:
    lines = run(manifest, "--window", 5).stdout.splitlines()[4:]
    assert lines == [
        "The paper counts assemblies of Ensembl, without the mitochondrion of most species: "
        "another assembly, or contigs that the manifest leaves out, make the difference. Held-out "
        "parts are counted here.",
        "homo_sapiens: 2 contigs shorter than 5 bp: 2, 21",
        "homo_sapiens: 1 contig of nothing but N, not used: 2",
        "unicorn: 7 contigs shorter than 5 bp: s0, s1, s2, s3, s4, …",
    ]
    assert "shorter" not in run(manifest, "--window", 4).stdout
    assert "3 contigs shorter than 3,072 bp" in run(manifest).stdout


def test_json(manifest: Path, tmp_path: Path) -> None:
    result = run(manifest, "--json", "--window", 5, "--cache-folder", tmp_path / "cache")
    human, unicorn = json.loads(result.stdout)
    assert human["bases"] == 16 and human["published_bases"] == 3_088_286_401
    assert (human["undetermined_parts"], human["undetermined_names"]) == (1, ["2"])
    assert (unicorn["short_parts"], unicorn["short_names"][-1]) == (7, "s4")
    assert unicorn["published_bases"] is None
    assert not list(tmp_path.glob("*.fai"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (">1\nAC-T\n>21\nGG\n>MT\nA\n", "record 1: '-' at position 3"),
        (">1\nACGT\n", "no contig MT"),
    ],
)
def test_errors_are_one_line(manifest: Path, content: str, message: str) -> None:
    (manifest.parent / "human.fa").write_text(content)
    result = run(manifest, status=1)
    assert result.stderr.startswith("dnagpt: error: ") and message in result.stderr
    assert result.stderr.count("\n") == 1 and result.stdout == ""


def test_genomes_that_are_still_to_be_fetched() -> None:
    result = run("dnagpt-h", status=1)
    assert "fetch it first, by dnagpt genomes fetch dnagpt-h --folder GENOMES" in result.stderr


def test_help() -> None:
    result = CliRunner().invoke(app, ["genomes", "--help"])
    assert result.exit_code == 0
    assert "fetch" in result.stdout and "check" in result.stdout
