"""Haplotypes as VCF and BCF."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from haplotype_sets import make_haplotypes

from dnagpt_hf.haplotypes.files.formats import read_haplotypes, write_haplotypes
from dnagpt_hf.haplotypes.haplotypes import Haplotypes
from dnagpt_hf.haplotypes.sites import HaplotypeError

pytest.importorskip("cyvcf2")

HEADER = (
    "##fileformat=VCFv4.3",
    "##contig=<ID=1>",
    "##contig=<ID=2>",
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
    '##FORMAT=<ID=DS,Number=1,Type=Float,Description="Dosage">',
)
GOOD = "1 10 rs1 A T 0|1 1|1"


def vcf(path: Path, *records: str, samples: str = "S1 S2", format: str = "GT") -> Path:
    """A VCF of records `CHROM POS ID REF ALT` and genotypes."""
    columns = f"#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT {samples}"
    rows = []
    for record in records:
        fields = record.split()
        rows.append([*fields[:5], ".", ".", ".", format, *fields[5:]])
    lines = [*HEADER, "\t".join(columns.split()), *map("\t".join, rows)]
    path.write_text("\n".join([*lines, ""]))
    return path


def test_records(tmp_path: Path) -> None:
    found = read_haplotypes(
        vcf(tmp_path / "a.vcf", GOOD, "1 20 . C CA 1|0 0|0", "2 5 . G <DEL> 0|0 0|1")
    )
    assert found.names.tolist() == ["S1_A", "S1_B", "S2_A", "S2_B"]
    assert found.alleles.tolist() == [[0, 1, 0], [1, 0, 0], [1, 0, 0], [1, 0, 1]]
    assert found.sites.chromosomes.tolist() == ["1", "1", "2"]
    assert found.sites.alternatives.tolist() == ["T", "CA", "<DEL>"]
    assert found.sites.written_ids.tolist() == ["rs1", "1:20_C_CA", "2:5_G_<DEL>"]


def test_records_behind_the_end_of_their_contig(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = vcf(tmp_path / "a.vcf", GOOD, "1 20 . C G 0|0 0|1", "2 99 . C G 0|0 0|1")
    path.write_text(path.read_text().replace("<ID=1>", '<ID=1,assembly="a,b",length=19>'))
    read_haplotypes(path)
    (said,) = caplog.messages
    assert said.startswith(f"{path}: 1 record behind the end of the contig that the header states")
    assert "such as 1:20 of 19 bases" in said


BAD_RECORDS = {
    "missing": ("1 20 . C G ./. 0|1", r"record 1:20: the genotype of sample S1 is missing"),
    "half missing": ("1 20 . C G 0|1 1|.", r"record 1:20: the genotype of sample S2 is missing"),
    "unphased": ("1 20 rs7 C G 0|0 0/1", r"record 1:20 \(rs7\): .*S2 is not phased"),
    "multiallelic": ("1 20 . C G,T 0|0 0|1", r"record 1:20: 2 alternative alleles \(G,T\)"),
    "spanning deletion": ("1 20 . C * 0|0 0|1", r"record 1:20: its alternative allele is \*, none"),
    "reference twice": ("1 20 . C c 0|0 0|1", r"record 1:20: its alternative allele is c, none"),
    "any allele": ("1 20 . C <NON_REF> 0|0 0|1", r"1:20: its alternative allele is <NON_REF>"),
    "no alternative": ("1 20 . C . 0|0 0|0", r"record 1:20: 0 alternative alleles"),
}


@pytest.mark.parametrize("name", BAD_RECORDS)
def test_records_that_do_not_fit(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    record, message = BAD_RECORDS[name]
    path = vcf(tmp_path / "a.vcf", GOOD, record, "1 30 . T G 0|0 0|1")
    with pytest.raises(HaplotypeError, match=message) as error:
        read_haplotypes(path)
    assert str(path) in str(error.value)
    with caplog.at_level(logging.WARNING):
        found = read_haplotypes(path, missing="drop", unphased="drop", multiallelic="drop")
    assert found.sites.positions.tolist() == [10, 30]
    assert "left out 1 records" in caplog.text


def test_order_of_unphased_alleles(tmp_path: Path) -> None:
    # where both alleles are the same, their order does not matter
    path = vcf(tmp_path / "a.vcf", "1 10 . A T 0/0 1/1")
    assert read_haplotypes(path).alleles.ravel().tolist() == [0, 0, 1, 1]
    path = vcf(tmp_path / "b.vcf", "1 10 . A T 0/1 1/0")
    found = read_haplotypes(path, unphased="as_written")
    assert found.alleles.ravel().tolist() == [0, 1, 1, 0]


def test_rules_are_checked() -> None:
    with pytest.raises(ValueError, match="missing is 'keep': choose one of error, drop"):
        read_haplotypes("a.vcf", missing="keep")


def test_snps_only(tmp_path: Path) -> None:
    path = vcf(tmp_path / "a.vcf", GOOD, "1 20 . C CA 1|0 0|0")
    assert read_haplotypes(path, snps_only=True).num_sites == 1


def test_haploid_samples(tmp_path: Path) -> None:
    found = read_haplotypes(vcf(tmp_path / "a.vcf", "1 10 . A T 0|1 1", "1 20 . A T 1|1 0"))
    assert found.names.tolist() == ["S1_A", "S1_B", "S2"]
    assert found.alleles.tolist() == [[0, 1], [1, 1], [1, 0]]
    found = read_haplotypes(vcf(tmp_path / "b.vcf", "1 10 . A T 0 1"))
    assert found.names.tolist() == ["S1", "S2"]
    with pytest.raises(
        HaplotypeError, match=r"record 1:20: .*sample S2 is of ploidy 2, but of ploidy 1"
    ):
        read_haplotypes(vcf(tmp_path / "c.vcf", "1 10 . A T 0|1 1", "1 20 . A T 1|1 0|1"))
    with pytest.raises(HaplotypeError, match="3 alleles to a genotype"):
        read_haplotypes(vcf(tmp_path / "d.vcf", "1 10 . A T 0|1|1 1|1|1"))


def test_haploid_samples_are_individuals_of_their_own(tmp_path: Path) -> None:
    """Their names may be those that two haplotypes of one sample have elsewhere."""
    path = vcf(tmp_path / "a.vcf", "1 10 . A T 0 1 0|1", samples="S_A S_B D")
    found = read_haplotypes(path, samples=["S_A", "S_B", "D"])
    assert found.names.tolist() == ["S_A", "S_B", "D_A", "D_B"]
    assert found.samples.tolist() == ["S_A", "S_B", "D", "D"]
    assert found.of_samples(["S_B"]).names.tolist() == ["S_B"]
    populations = dict(zip(["S_A", "S_B", "D"], "xyz", strict=True))
    assert found.with_populations(populations).populations.tolist() == list("xyzz")
    for name in ("b.vcf", "b.npz"):
        write_haplotypes(found, tmp_path / name)
        assert read_haplotypes(tmp_path / name).samples.tolist() == found.samples.tolist()
    with pytest.raises(HaplotypeError, match=r"S_A and S_B would be the two haplotypes of S in"):
        write_haplotypes(found, tmp_path / "b.hapt")


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (["1 20 . C G 0|1 0|0", "1 10 . A T 0|1 0|0"], "1:10_A_T stands behind 1:20_C_G: sort"),
        (
            ["1 20 . C G 0|1 0|0", "2 1 . A T 0|1 0|0", "1 30 . A T 0|1 0|0"],
            "1:30_A_T stands behind 2:1_A_T: sort",
        ),
        (
            ["1 9 . A T 0|1 0|0", "1 20 . C G 0|1 0|0", "1 20 rs1 C G 0|0 0|1"],
            "1:20_C_G stands twice, as number 2 and as number 3",
        ),
    ],
)
def test_sites_that_are_not_sorted_or_stand_twice(
    tmp_path: Path, records: list[str], message: str
) -> None:
    with pytest.raises(HaplotypeError, match=rf"a\.vcf: site {message}"):
        read_haplotypes(vcf(tmp_path / "a.vcf", *records))


def test_other_alleles_at_one_position(tmp_path: Path) -> None:
    path = vcf(tmp_path / "a.vcf", "1 20 . C G 0|1 0|0", "1 20 . C T 0|0 0|1")
    assert read_haplotypes(path).num_sites == 2


def test_files_that_are_no_vcf(tmp_path: Path) -> None:
    path = tmp_path / "a.vcf"
    for content in ("", "hello\n", "1\t10\t.\tA\tT\n"):
        path.write_text(content)
        with pytest.raises(HaplotypeError, match=r"a\.vcf is not read as VCF"):
            read_haplotypes(path)
    with pytest.raises(HaplotypeError, match="name every sample once"):
        read_haplotypes(vcf(path, GOOD, samples="S1 S1"))
    path.write_bytes(vcf(path, GOOD).read_bytes().replace(b"S2", b"S\x80"))
    with pytest.raises(HaplotypeError, match=r"a\.vcf is not read as VCF: 'utf-8' codec"):
        read_haplotypes(path)
    for allele in (b"\tA\t", b"\tT\t"):
        whole = vcf(path, GOOD).read_bytes()
        path.write_bytes(whole.replace(allele, b"\t\x80\t"))
        with pytest.raises(
            HaplotypeError, match=r"a\.vcf, record 1:10 holds text that is no UTF-8"
        ):
            read_haplotypes(path)
    with pytest.raises(HaplotypeError, match=r"record 1:10 \(rs1\) holds no genotypes"):
        read_haplotypes(vcf(path, "1 10 rs1 A T 0.5 1", format="DS"))
    with pytest.raises(HaplotypeError, match="no site; its chromosomes: 1, 2"):
        read_haplotypes(vcf(path))
    vcf(path, GOOD).write_text(vcf(path, GOOD).read_text() + "1\t20\tx\n")
    with pytest.raises(HaplotypeError, match=r"cut off or malformed behind 1:10"):
        read_haplotypes(path)
    with pytest.raises(OSError):
        read_haplotypes(tmp_path / "missing.vcf")


@pytest.mark.parametrize("line", ["", "9", "9\tx\trs2\tC\tG", "9\t20\trs2", "9A\tT\t."])
def test_broken_lines_of_a_chromosome_that_the_header_does_not_name(
    tmp_path: Path, line: str
) -> None:
    """For which cyvcf2 gives a record that ends the process when it is asked for its name."""
    path = vcf(tmp_path / "a.vcf", GOOD)
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(HaplotypeError, match=r"malformed behind 1:10.*: a line that is empty, or"):
        read_haplotypes(path)


def test_filters(tmp_path: Path) -> None:
    path = vcf(
        tmp_path / "a.vcf", GOOD, "1 20 . C G 0|0 0|1", "1 30 . C G 1|1 1|0", "2 20 . C G 0|1 0|1"
    )
    assert read_haplotypes(path, region="1:11-30").sites.positions.tolist() == [20, 30]
    assert read_haplotypes(path, region="2").num_sites == 1
    one = read_haplotypes(path, samples=["S2"])
    assert one.names.tolist() == ["S2_A", "S2_B"] and one.num_sites == 4
    # frequencies are those among the samples that are read
    assert read_haplotypes(path, samples=["S2"], min_maf=0.5).sites.positions.tolist() == [
        20,
        30,
        20,
    ]
    with pytest.raises(HaplotypeError, match="no sample S9 among its 2 samples"):
        read_haplotypes(path, samples=["S9"])
    with pytest.raises(HaplotypeError, match=r"no site in 1:100-200; its chromosomes: 1, 2"):
        read_haplotypes(path, region="1:100-200")


@pytest.mark.parametrize("ending", [".vcf", ".vcf.gz", ".bcf"])
def test_writing_and_reading_back(tmp_path: Path, ending: str) -> None:
    written = make_haplotypes(sites=40, chromosomes=3)
    path = tmp_path / f"out{ending}"
    write_haplotypes(written, path)
    found = read_haplotypes(path)
    assert (found.alleles == written.alleles).all()
    assert (found.names == written.names).all()
    assert written.sites.first_mismatch(found.sites) is None
    if ending != ".vcf":
        # bgzip, not gzip: a further field is in the header
        assert path.read_bytes()[3] == 4
    with pytest.raises(ValueError, match="exists"):
        write_haplotypes(written, path)


def test_written_text(tmp_path: Path) -> None:
    one = Haplotypes(
        [[0, 1], [1, 1], [0, 0]], ["S1_A", "S1_B", "AG_1"], make_haplotypes(1, 2).sites
    )
    write_haplotypes(one, tmp_path / "out.vcf")
    lines = (tmp_path / "out.vcf").read_text().splitlines()
    assert lines[0] == "##fileformat=VCFv4.2"
    assert "##contig=<ID=1>" in lines
    assert lines[-3].split("\t")[-3:] == ["FORMAT", "S1", "AG_1"]
    assert lines[-2].split("\t")[-3:] == ["GT", "0|1", "0"]
    assert lines[-1].split("\t")[-3:] == ["GT", "1|1", "0"]


def test_what_cannot_be_written_as_vcf(tmp_path: Path) -> None:
    one = make_haplotypes(2, 5)
    with pytest.raises(HaplotypeError, match="VCF needs the chromosome, position and alleles"):
        write_haplotypes(replace(one, sites=None), tmp_path / "out.vcf")
    with pytest.raises(HaplotypeError, match="haplotypes of P0 do not follow each other"):
        write_haplotypes(one.take_haplotypes(np.asarray([0, 2, 1])), tmp_path / "out.vcf")
    assert not list(tmp_path.iterdir())


def test_bgzipped_file_that_is_cut_off(tmp_path: Path) -> None:
    write_haplotypes(make_haplotypes(20, 500), tmp_path / "out.vcf.gz")
    content = (tmp_path / "out.vcf.gz").read_bytes()
    # at the end of a block, where htslib sees nothing wrong, and within one
    for length in (len(content) - 28, len(content) // 2):
        (tmp_path / "out.vcf.gz").write_bytes(content[:length])
        with pytest.raises(HaplotypeError, match="cut off"):
            read_haplotypes(tmp_path / "out.vcf.gz")
