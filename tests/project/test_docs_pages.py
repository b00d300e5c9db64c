"""Blocks of the pages in docs/ that have no test file of their own, executed in their order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from haplotype_sets import make_haplotypes
from parity import STAND_IN, make_state_dict
from typer.testing import CliRunner

from dnagpt_hf.cli import app
from dnagpt_hf.haplotypes.files.formats import write_haplotypes

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found, page
    return found


def run(line: str, *more: str) -> str:
    program, *arguments = shlex.split(line)
    assert program == "dnagpt", line
    result = CliRunner().invoke(app, [*arguments, *more])
    assert result.exit_code == 0, f"{line}: {result.output}"
    return result.output


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_index(capsys: pytest.CaptureFixture[str]) -> None:
    _, *commands = [line for line in "".join(blocks("index.md", "bash")).splitlines() if line]
    assert "gt_rich_1,signal," in [run(line) for line in commands][-1]
    names: dict[str, Any] = {}
    for text in blocks("index.md", "python"):
        exec(text, names)
    assert "probability_signal" in capsys.readouterr().out


def test_token_language(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for text in blocks("token-language.md", "python"):
        exec(text, names)
    printed = capsys.readouterr().out
    assert "['<R>', 'ATCGTA', 'GG', '<=>', '<B>', 'A']" in printed
    assert "-0.5, 0.1" in printed


def test_likelihoods(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("pyBigWig")
    contig = list("ACGTTGCAGATTACAGG" * 30)
    contig[100], contig[200:202] = "G", "AC"
    Path("genome.fa").write_text(f">chrI\n{''.join(contig)}\n")
    Path("regions.bed").write_text("chrI\t10\t90\tpromoter\n")
    Path("genes.gff3").write_text("chrI\t.\tgene\t120\t300\t.\t+\t.\tID=g\n")
    Path("calls.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        "chrI\t101\t.\tG\tA,<DEL>\t50\tPASS\tAC=1,1\n"
    )
    for text in blocks("likelihoods.md", "bash"):
        for line in text.splitlines():
            run(line)
    names: dict[str, Any] = {}
    for text in blocks("likelihoods.md", "python"):
        exec(text, names)
    printed = capsys.readouterr().out
    assert "(120, 4)" in printed and printed.count("None") == 2
    made = {"scores.csv", "regions.csv", "scores.tsv", "track.bw", "logo.png", "saturation.png"}
    made |= {"scored.vcf", "region.vcf", "region.png", "windows.parquet", "bins.npz"}
    assert made <= {path.name for path in Path().iterdir()}


def test_released_weights() -> None:
    torch.save({"model": make_state_dict(STAND_IN)}, "dna_gpt0.1b_m.pth")
    for text in blocks("released-weights.md", "bash"):
        for line in text.strip().splitlines():
            run(line, *(["--num-heads", "2"] if " convert " in line else []))
    assert Path("again.pth").is_file()


def test_artificial_genomes() -> None:
    """With fewer genomes and steps than the page has."""
    pytest.importorskip("matplotlib")
    write_haplotypes(make_haplotypes(individuals=20, sites=30), "real.hapt")
    (text,) = blocks("artificial-genomes.md", "bash")
    few = ["--max_steps", "2", "--use_cpu", "--report_to", "none", "--validation", "0.2"]
    printed = ""
    for line in text.replace("\\\n", " ").strip().splitlines():
        printed += run(
            line.replace("5000", "6"),
            *(few if " train " in line else []),
            *(["--constrained"] if " generate " in line else []),
        )
    assert Path("report/evaluation.html").is_file()
    assert "bits per site" in printed
