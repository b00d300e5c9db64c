"""`dnagpt variants`, from a file to a file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result
from variant_files import HEADER, bases, lines, other, write_genome, write_vcf

from dnagpt_hf.cli import app

FAST = ("--window", "60", "--stride", "30", "--right", "12", "--phases", "first")


def run(*arguments: object, status: int = 0) -> Result:
    texts = [str(argument) for argument in ("variants", "dnagpt-tiny", *arguments)]
    result = CliRunner().invoke(app, [*texts, *FAST])
    assert result.exit_code == status, result.output
    return result


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a genome and a file of variants."""
    monkeypatch.chdir(tmp_path)
    write_genome(tmp_path)
    write_vcf(tmp_path / "a.vcf", lines())
    return tmp_path


def own_fields(line: str) -> dict[str, list[str]]:
    """The entries of INFO that the command wrote, by name."""
    entries = [entry.partition("=") for entry in line.split("\t")[7].split(";")]
    return {name: value.split(",") for name, _, value in entries if name.startswith("DNAGPT_")}


def without_own(line: str) -> str:
    """A line without these entries."""
    fields = line.split("\t")
    kept = [one for one in fields[7].split(";") if not one.startswith("DNAGPT_")]
    return "\t".join([*fields[:7], ";".join(kept), *fields[8:]])


def test_records_are_unchanged_and_have_a_score_or_a_note(work: Path) -> None:
    result = run("a.vcf", "genome.fa", "-o", "b.vcf", "--site", "--species", "U")
    written = Path("b.vcf").read_text().splitlines()
    header = [line for line in written if line.startswith("#")]
    assert [line for line in header if "DNAGPT" not in line.upper()] == list(HEADER)
    assert sum("Number=A" in line for line in header if "DNAGPT" in line) == 3
    (settings,) = [line for line in header if line.startswith("##dnagpt_variants=")]
    for part in ("model dnagpt-tiny", "revision ", "species U", "window 60", "phases first"):
        assert part in settings
    body = written[len(header) :]
    assert [without_own(line) for line in body] == [
        line.replace("\t.\tGT", "\t\tGT") for line in lines()
    ]
    fields = [own_fields(line) for line in body]
    assert [one.get("DNAGPT_NOTE") for one in fields] == [
        None, [".", "symbolic"], [".", "spanning_deletion"], ["breakend"], ["no_alt"],
        ["n_in_allele"], None,
    ]  # fmt: skip
    assert float(fields[0]["DNAGPT_LLR"][0]) != 0
    assert fields[1]["DNAGPT_LLR"][1] == "."
    assert "DNAGPT_SITE" not in fields[1]
    assert "DNAGPT_LLR" not in fields[3]
    assert result.stderr == (
        "dnagpt: 7 records, 4 of 9 alleles scored; breakend 1; n_in_allele 1; no_alt 1; "
        "spanning_deletion 1; symbolic 1\n"
    )


def test_all_formats_have_the_same_scores(work: Path) -> None:
    pytest.importorskip("pysam")
    cyvcf2 = pytest.importorskip("cyvcf2")
    pandas = pytest.importorskip("pandas")
    run("a.vcf", "genome.fa", "-o", "b.vcf")
    expected = [own_fields(line) for line in Path("b.vcf").read_text().splitlines()[8:]]
    for name, index in (("b.vcf.gz", ".tbi"), ("b.bcf", ".csi")):
        run("a.vcf", "genome.fa", "-o", name)
        assert Path(f"{name}{index}").is_file()
        read = cyvcf2.VCF(name)
        assert [own_fields(str(record).rstrip()) for record in read] == expected
        assert [record.POS for record in read("chr1:420-440")] == [420, 430, 440]
    # all but the numbers of QUAL, which a program writes in its own way
    run("b.bcf", "genome.fa", "-o", "c.vcf")
    assert [own_fields(line) for line in Path("c.vcf").read_text().splitlines()[9:]] == expected
    run("b.vcf.gz", "genome.fa", "-o", "d.vcf")
    assert Path("d.vcf").read_bytes() == Path("b.vcf").read_bytes()
    run("a.vcf", "genome.fa", "-o", "b.tsv")
    run("a.vcf", "genome.fa", "-o", "b.parquet")
    table, parquet = pandas.read_table("b.tsv"), pandas.read_parquet("b.parquet")
    numbers = [one for fields in expected for one in fields.get("DNAGPT_LLR", ["."])]
    numbers = [float(one) for one in numbers if one != "."]
    for found in (table, parquet):
        assert found["POS"].tolist() == [401, 420, 420, 430, 430, 440, 450, 500, 510]
        assert found["DNAGPT_LLR"].dropna().tolist() == numbers


@pytest.fixture
def vcf_on_standard_input(work: Path) -> Iterator[None]:
    kept = os.dup(0)
    with open("a.vcf", "rb") as stream:
        os.dup2(stream.fileno(), 0)
    yield
    os.dup2(kept, 0)
    os.close(kept)


def test_streams(vcf_on_standard_input: None) -> None:
    run("a.vcf", "genome.fa", "-o", "b.vcf")
    assert run("-", "genome.fa", "-o", "-").stdout == Path("b.vcf").read_text()


def test_a_table_as_a_stream(work: Path) -> None:
    found = run("a.vcf", "genome.fa", "-o", "-", "--output-format", "jsonl").stdout
    assert len([json.loads(line) for line in found.splitlines()]) == 9


def test_a_second_run_replaces_and_says_so(work: Path) -> None:
    run("a.vcf", "genome.fa", "-o", "b.vcf", "--site")
    result = run("b.vcf", "genome.fa", "-o", "c.vcf", "--site")
    assert "DNAGPT fields of an earlier run replaced" in result.stderr
    assert Path("c.vcf").read_bytes() == Path("b.vcf").read_bytes()
    run("a.vcf", "genome.fa", "-o", "b.tsv", "--site")
    result = run("b.tsv", "genome.fa", "-o", "c.tsv")
    assert "DNAGPT fields of an earlier run replaced" in result.stderr
    # nothing of the earlier run is left
    assert "DNAGPT_SITE" not in Path("c.tsv").read_text()


def test_an_unsorted_file_keeps_its_order_and_gets_no_index(work: Path) -> None:
    pytest.importorskip("pysam")
    write_vcf(work / "a.vcf", lines()[::-1])
    Path("b.vcf.gz.tbi").touch()
    result = run("a.vcf", "genome.fa", "-o", "b.vcf.gz")
    assert "no index: its records are not sorted" in result.stderr
    assert sorted(path.name for path in work.glob("*b.vcf*")) == ["b.vcf.gz"]


def test_names_of_chromosomes(work: Path) -> None:
    renamed = [line.replace("chr1\t", "1\t", 1) for line in lines()]
    renamed += [f"MT\t200\t.\t{bases()[199]}\t{other(bases()[199])}\t.\t.\t."]
    renamed += [
        "chrUn\t5\t.\tA\tC\t.\t.\t.",
        "NC_1\t401\t.\t" + "\t".join(lines()[0].split("\t")[3:]),
    ]
    write_vcf(work / "a.vcf", renamed)
    (work / "names.tsv").write_text("chr1\tNC_1\n")
    result = run("a.vcf", "genome.fa", "-o", "b.vcf", "--chrom-aliases", "names.tsv")
    fields = [own_fields(line) for line in Path("b.vcf").read_text().splitlines()[8:]]
    assert fields[-1] == fields[0]
    assert "DNAGPT_LLR" in fields[-3]
    assert fields[-2] == {"DNAGPT_NOTE": ["unknown_contig"]}
    assert "unknown_contig 1" in result.stderr


def test_the_wrong_assembly(work: Path) -> None:
    wrong = [line.replace("\tAC=1\t", "\t.\t") for line in lines()]
    first = wrong[0].split("\t")
    first[3], first[4] = other(first[3]), first[3]
    write_vcf(work / "a.vcf", ["\t".join(first), *wrong[1:]])
    result = run("a.vcf", "genome.fa", "-o", "b.vcf", status=1)
    assert result.stderr.count("\n") == 1
    assert "1 of 7 records (14%)" in result.stderr
    assert f"chr1:401 with REF {first[3]}, where the FASTA has {first[4]}" in result.stderr
    assert not list(work.glob("*b.vcf*"))
    result = run("a.vcf", "genome.fa", "-o", "b.vcf", "--max-mismatches", "0.2")
    assert "ref_mismatch 1" in result.stderr


def test_a_position_behind_the_end_of_its_contig(work: Path) -> None:
    write_vcf(work / "a.vcf", ["chr1\t20000\t.\tA\tC\t.\t.\t."])
    result = run("a.vcf", "genome.fa", "-o", "b.vcf", status=1)
    end = f"lies behind the end of contig chr1 ({len(bases()):,} bases)"
    assert f"chr1:20000 with REF A, which {end}" in result.stderr


def test_no_chromosome_of_the_genome(work: Path) -> None:
    write_vcf(work / "a.vcf", [line.replace("chr1", "NC_1", 1) for line in lines()])
    result = run("a.vcf", "genome.fa", "-o", "b.vcf", status=1)
    assert "none of its chromosomes (NC_1) is in genome.fa" in result.stderr


@pytest.mark.parametrize("format", ["csv", "tsv", "parquet"])
def test_tables(work: Path, format: str) -> None:
    pandas = pytest.importorskip("pandas")
    dna = bases()
    rows = {
        "gene": ["a", "b", "c"],
        "Chromosome": ["1", "1", "1"],
        "position (hg19)": [401, 420, 430],
        "Reference": [dna[400], dna[419:422], dna[429]],
        "Alt": [other(dna[400]), "-", f"{other(dna[429])},{dna[429]}GG"],
        "score": [0.5, None, 2.0],
    }
    table = pandas.DataFrame(rows)
    name = f"a.{format}"
    if format == "parquet":
        table.to_parquet(name)
    else:
        table.to_csv(name, sep="\t" if format == "tsv" else ",", index=False)
    run(name, "genome.fa", "-o", f"b.{format}")
    read: Any = {"csv": pandas.read_csv, "tsv": pandas.read_table, "parquet": pandas.read_parquet}
    found = read[format](f"b.{format}")
    assert list(found) == [*rows, "DNAGPT_LLR", "DNAGPT_NOTE"]
    assert found["gene"].tolist() == ["a", "b", "c", "c"]
    assert found["position (hg19)"].tolist() == [401, 420, 430, 430]
    assert found["Alt"].tolist()[2:] == [other(dna[429]), f"{dna[429]}GG"]
    np.testing.assert_array_equal(found["score"], [0.5, np.nan, 2.0, 2.0])
    assert found["DNAGPT_LLR"].notna().all()
    run("a.vcf", "genome.fa", "-o", "expected.vcf")
    (expected,) = own_fields(Path("expected.vcf").read_text().splitlines()[8])["DNAGPT_LLR"]
    assert found["DNAGPT_LLR"][0] == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chrom,pos,ref\nchr1,5,A\n", "none of its columns may be alt"),
        ("chrom,chr,pos,ref,alt\n1,1,5,A,C\n", "columns chrom and chr both may be chrom"),
        ("chrom,pos,ref,alt\n1,x,A,C\n", "its position 'x' is no number"),
        ("chrom,pos,ref,alt\n1,5,-,C\n", "its reference allele is '-'"),
    ],
)
def test_a_table_that_is_not_clear(work: Path, text: str, message: str) -> None:
    Path("a.csv").write_text(text)
    assert message in run("a.csv", "genome.fa", "-o", "b.csv", status=1).stderr


def test_columns_of_other_names(work: Path) -> None:
    dna = bases()
    Path("a.csv").write_text(f"where,pos,ref,alt\nchr1,401,{dna[400]},{other(dna[400])}\n")
    run("a.csv", "genome.fa", "-o", "b.vcf", "--columns", "chrom=where")
    assert "DNAGPT_LLR" in Path("b.vcf").read_text().splitlines()[-1]


def test_saturation(work: Path) -> None:
    pytest.importorskip("matplotlib")
    Path("names.tsv").write_text("chr1\tNC_1\n")
    region = ("--saturate", "NC_1:491-510", "--chrom-aliases", "names.tsv")
    run("genome.fa", "-o", "b.vcf", *region, "--figure", "b.png")
    assert f"##contig=<ID=chr1,length={len(bases())}>" in Path("b.vcf").read_text()
    body = [line for line in Path("b.vcf").read_text().splitlines() if line[0] != "#"]
    # the base 500 is N
    assert len(body) == 19
    assert all(len(own_fields(line)["DNAGPT_SITE"]) == 3 for line in body if "NOTE" not in line)
    assert Path("b.png").read_bytes().startswith(b"\x89PNG")
    result = run("genome.fa", "-o", "d.vcf", "--saturate", "chrX:1-9", status=1)
    assert "genome.fa has no contig chrX; its contigs are chr1, " in result.stderr
    result = run("genome.fa", "-o", "d.vcf", "--saturate", "chr*", status=1)
    assert "region chr* fits 2 contigs (chr1, chrM" in result.stderr
    both = ("--mode", "site", "--site")
    assert "leave out" in run("genome.fa", "-o", "d.vcf", *region, *both, status=2).stderr
    run("genome.fa", "-o", "c.vcf", "--saturate", "1:491-492", "--site")
    assert set(own_fields(Path("c.vcf").read_text().splitlines()[-1])) == {
        "DNAGPT_LLR",
        "DNAGPT_SITE",
    }


def test_an_output_that_exists(work: Path) -> None:
    Path("b.vcf").write_text("mine")
    assert "b.vcf exists" in run("a.vcf", "genome.fa", "-o", "b.vcf", status=1).stderr
    assert Path("b.vcf").read_text() == "mine"


def test_a_line_that_breaks_leaves_nothing(work: Path) -> None:
    write_vcf(work / "a.vcf", [*lines(), "chr1\t5"])
    assert "line 13: 2 columns" in run("a.vcf", "genome.fa", "-o", "b.vcf", status=1).stderr
    assert not list(work.glob("*b.vcf*"))


def test_bcf_of_a_header_without_definitions(work: Path) -> None:
    cyvcf2 = pytest.importorskip("cyvcf2")
    pytest.importorskip("pysam")
    records = [line.replace("PASS", "q10;q20").replace("AC=", "DB;AC=") for line in lines()]
    write_vcf(work / "a.vcf", records, (HEADER[0], HEADER[-1]))
    result = run("a.vcf", "genome.fa", "-o", "b.bcf")
    added = "added to the header, as text: FILTER/q10, FILTER/q20, INFO/DB, INFO/AC, FORMAT/GT"
    assert added in result.stderr and result.stderr.count("\n") == 1
    for record, line in zip(cyvcf2.VCF("b.bcf"), records, strict=True):
        found, expected = str(record).rstrip().split("\t"), line.split("\t")
        # all but the way in which QUAL is written
        assert found[:5] + found[6:7] + found[8:] == expected[:5] + expected[6:7] + expected[8:]
        assert without_own("\t".join(found)).split("\t")[7] in (expected[7], "")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ((HEADER[0], "##ALT=<ID=DEL:A,B", *HEADER[2:]), None),
    ],
)
def test_a_header_that_bcf_cannot_have(
    work: Path, header: tuple[str, ...], message: str | None
) -> None:
    """A broken line of the header is no crash."""
    pytest.importorskip("cyvcf2")
    pytest.importorskip("pysam")
    write_vcf(work / "a.vcf", lines(), header)
    texts = ["variants", "dnagpt-tiny", "a.vcf", "genome.fa", "-o", "b.bcf", *FAST]
    result = CliRunner().invoke(app, texts)
    assert result.exit_code in (0, 1)
    assert result.stderr.count("\n") == 1 and len(result.stderr) < 400
    if message is not None:
        assert message in result.stderr
    assert bool(list(work.glob("*b.bcf*"))) == (result.exit_code == 0)
