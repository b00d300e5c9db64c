"""`dnagpt data`."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from annotated_genome import write
from typer.testing import CliRunner

from dnagpt_hf.cli.application import app


def run(*arguments: object, status: int = 0) -> Any:
    result = CliRunner().invoke(app, ["data", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    return tmp_path


TIS = ("windows", "genes.gff", "genome.fa", "--anchor", "tis", "--upstream", 6, "--downstream", 4)


def test_windows(work: Path) -> None:
    result = run(*TIS, "--negatives", "ATG", "--per-site", 2, "--output", "sites.tsv")
    assert result.stdout == ""
    assert result.stderr == (
        "3 signal, 5 none, 1 negatives lacking in their genes, 1 untranslated transcripts\n"
    )
    with open("sites.tsv", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert [row["label"] for row in rows] == [*["signal", "none", "none"] * 2, "signal", "none"]
    assert all(row["sequence"][6:9] == "ATG" and len(row["sequence"]) == 13 for row in rows)
    assert list(rows[0]) == ["name", "label", "chrom", "start", "end", "strand", "gene", "sequence"]


def test_windows_to_standard_output(work: Path) -> None:
    result = run(*TIS, "--contig", "chr1=chr1", "--output-format", "jsonl", "--edge", "pad")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["name"] for row in rows] == ["t1", "t3"]
    assert "1 left out: on other contigs" in result.stderr


def test_the_seed_decides(work: Path) -> None:
    outputs = {
        run(*TIS, "--negatives", "ATG", "--within", "genome", "--seed", seed).stdout
        for seed in (0, 0, 1)
    }
    assert len(outputs) == 2


def test_genes(work: Path) -> None:
    Path("counts.csv").write_text("gene,leaf\ng1,1.5\ng2,2\n")
    options = ("--expression", "counts.csv", "--id", "gene", "--target", "leaf")
    cache = ("--cache-folder", "cache")
    result = run(
        "genes", "genes.gff", "genome.fa", "--upstream", 9, "--downstream", 5, *options, *cache
    )
    rows = list(csv.DictReader(result.stdout.splitlines()))
    assert [(row["ENSID"], row["EXPRESSION"], len(row["PROMOTER"])) for row in rows] == [
        ("g1", "1.5", 14),
        ("g2", "2", 14),
    ]
    assert result.stderr == (
        "2 genes, 1 left out: not translated, 1 left out: without expression\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*TIS, "--contig", "chr9"), "contigs: genome.fa has no contig chr9"),
        ((*TIS, "--contig", "chr1="), "--contig: 'chr1=' is not of the form NAME or NAME=NAME"),
        ((*TIS, "--negatives", "GTA", "--negatives", "GT"), "GTA, GT differ in length"),
        (("genes", "genes.gff", "none.fa"), "none.fa: no such file"),
        (("genes", "none.gff", "genome.fa"), "none.gff: No such file"),
        (("genes", "genes.gff", "genome.fa", "--target", "x"), "expression and target belong"),
    ],
)
def test_errors_are_one_line(work: Path, arguments: tuple[object, ...], message: str) -> None:
    result = run(*arguments, "--output", "out.csv", status=1)
    assert result.stderr.startswith("dnagpt: error: ") and message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not Path("out.csv").exists()


def test_help() -> None:
    assert "windows" in run("--help").stdout and "genes" in run("--help").stdout
