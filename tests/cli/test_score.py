"""`dnagpt score`."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from likelihood_models import dna
from typer.testing import CliRunner

import dnagpt_hf
from dnagpt_hf.cli import app

CONTIGS = {"chr1": dna(400, 1), "chr2": "ACGTNNacgtRACGTACGT"}


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "genome.fa"
    path.write_text("".join(f">{name}\n{bases}\n" for name, bases in CONTIGS.items()))
    return path


def run(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, ["score", "dnagpt-tiny", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result.output


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_records_are_scored_as_by_the_method(fasta: Path) -> None:
    found = rows(run(fasta, "--species", "U", "--window", 300))
    expected = dnagpt_hf.load("dnagpt-tiny").score(fasta, species="U", window=300)
    assert [row["name"] for row in found] == ["chr1", "chr2"]
    for row, one in zip(found, expected, strict=True):
        assert float(row["bits_per_base"]) == one.likelihood.bits_per_base
        assert float(row["reverse_log_likelihood"]) == one.strands["reverse"].log_likelihood
    assert [row["bases"] for row in found] == ["400", "16"]


def test_regions_and_tables(fasta: Path, tmp_path: Path) -> None:
    bed = tmp_path / "regions.bed"
    bed.write_text("chr1\t100\t200\texon\nchr2\t0\t4\tend\n")
    by_bed = rows(run(fasta, "--bed", bed, "--strand", "forward"))
    assert [row["name"] for row in by_bed] == ["exon", "end"]
    assert list(by_bed[0])[:4] == ["contig", "start", "end", "name"]
    [one] = rows(run(fasta, "--region", "chr1:101-200", "--strand", "forward"))
    assert one["log_likelihood"] == by_bed[0]["log_likelihood"]
    table = tmp_path / "table.csv"
    table.write_text("dna\nACGTACGTAC\n")
    columns = ("--columns", "sequence=dna")
    by_option, by_column = (
        run(table, *columns, *one) for one in (("--species", "U"), ("--set", "species=U"))
    )
    assert by_option == by_column and rows(by_option)[0]["bases"] == "10"


def test_names_of_contigs_are_those_of_other_files_too(fasta: Path, tmp_path: Path) -> None:
    (tmp_path / "names.tsv").write_text("chr1\tNC_1\n")
    (tmp_path / "a.bed").write_text("NC_1\t100\t200\n1\t100\t200\n")
    first, second = rows(
        run(fasta, "--bed", tmp_path / "a.bed", "--chrom-aliases", tmp_path / "names.tsv")
    )
    assert first == second and first["name"] == "chr1:101-200"


def test_tracks_of_records_and_regions_agree(fasta: Path, tmp_path: Path) -> None:
    pyBigWig = pytest.importorskip("pyBigWig")
    options = ("--species", "U", "-o", tmp_path / "scores.csv", "--overwrite")
    run(fasta, "--per-base", tmp_path / "a.bw", *options)
    file = pyBigWig.open(str(tmp_path / "a.bw"))
    assert file.chroms() == {"chr1": 400, "chr2": 19}
    values = np.array(file.values("chr1", 0, 400))
    total = float(rows((tmp_path / "scores.csv").read_text())[0]["log_likelihood"])
    assert values.sum() == pytest.approx(total, rel=1e-6)
    run(fasta, "--region", "chr1:101-200", "--per-base", tmp_path / "part.npz", *options)
    with np.load(tmp_path / "part.npz") as arrays:
        np.testing.assert_allclose(arrays["chr1:100"], values[100:200])
    four = ("--per-base", tmp_path / "b.bedgraph", "--all-bases")
    run(fasta, "--region", "chr2", *four, *options)
    lines = (tmp_path / "b.G.bedgraph").read_text().splitlines()
    assert len(lines) == 16 and lines[4].startswith("chr2\t6\t7\t-")


def test_a_logo_of_a_region(fasta: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    annotation = tmp_path / "genes.gff3"
    annotation.write_text("1\t.\tgene\t120\t300\t.\t+\t.\tID=g;Name=abc\n")
    arguments = ("--logo", tmp_path / "logo.svg", "--annotation", annotation)
    run(fasta, "--region", "chr1:101-220", *arguments)
    assert "abc" in (tmp_path / "logo.svg").read_text()
    output = run(fasta, "--region", "chr1", "--logo", tmp_path / "b.gif", status=1)
    assert "names no format for figures" in output


def test_options_that_do_not_fit_are_refused(fasta: Path, tmp_path: Path) -> None:
    assert "needs --per-base" in run(fasta, "--all-bases", status=2)
    assert "needs --bed or" in run(fasta, "--chrom-aliases", fasta, status=2)
    assert "needs records" in run(fasta, "--region", "chr1", "--set", "species=U", status=2)
    assert "needs --logo" in run(fasta, "--annotation", fasta, status=2)
    assert "no contig chrX" in run(fasta, "--region", "chrX:1-9", status=1)
    assert "the ending names no format" in run(fasta, "--per-base", "a.txt", status=1)
    assert "give a file, not -" in run("-", "--per-base", tmp_path / "a.bw", status=1)
    assert not (tmp_path / "a.bw").exists()


@pytest.mark.parametrize(
    ("regions", "said"),
    [
        ("track name=none\n", "regions.bed has no regions: give a BED file"),
        ("chr1\t1\t90\nchr1\t7\t7\n", "regions.bed, line 2: region chr1:8-7 has no bases"),
        ("chr1\t1\t90\nchr1\t9\t9999\n", "regions.bed, line 2: region chr1:10-9,999: contig chr1"),
    ],
)
def test_regions_are_looked_at_before_the_first_is_scored(
    fasta: Path, tmp_path: Path, regions: str, said: str
) -> None:
    (tmp_path / "regions.bed").write_text(regions)
    found = run(fasta, "--bed", tmp_path / "regions.bed", status=1)
    assert found.startswith(f"dnagpt: error: {tmp_path}/{said}")
