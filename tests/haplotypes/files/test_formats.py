"""Files of haplotypes: `.hapt`, zip archives, and NumPy arrays."""

from __future__ import annotations

import gzip
import tracemalloc
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from haplotype_sets import make_haplotypes

from dnagpt_hf.genomes.regions import Region
from dnagpt_hf.haplotypes.files.formats import read_haplotypes, write_haplotypes
from dnagpt_hf.haplotypes.haplotypes import Haplotypes
from dnagpt_hf.haplotypes.sites import HaplotypeError, Sites
from dnagpt_hf.records.files import RecordError

HAPT = "Real HG1_A 0 1 0\nReal HG1_B 1 1 0\n"
LEGEND = "id position a0 a1\n15:10_C_A 10 C A\n15:20_T_G 20 T G\n16:5_T_TA 5 T TA\n"


@pytest.fixture
def hapt(tmp_path: Path) -> Path:
    (tmp_path / "set.hapt").write_text(HAPT)
    (tmp_path / "set.legend").write_text(LEGEND)
    return tmp_path / "set.hapt"


def check_first(found: Haplotypes) -> None:
    assert found.alleles.tolist() == [[0, 1, 0], [1, 1, 0]]
    assert found.names.tolist() == ["HG1_A", "HG1_B"]
    assert found.samples.tolist() == ["HG1", "HG1"]


def test_hapt_with_its_legend(hapt: Path) -> None:
    found = read_haplotypes(hapt)
    check_first(found)
    assert found.sites.chromosomes.tolist() == ["15", "15", "16"]
    assert found.sites.positions.tolist() == [10, 20, 5]
    assert found.sites.alternatives.tolist() == ["A", "G", "TA"]
    assert found.sites.written_ids[0] == "15:10_C_A"


def test_legend_of_another_name(hapt: Path, tmp_path: Path) -> None:
    (tmp_path / "set.legend").rename(tmp_path / "sites.legend")
    assert read_haplotypes(hapt).sites is not None
    # with two of them, it is not clear which
    (tmp_path / "more.legend").write_text(LEGEND)
    assert read_haplotypes(hapt).sites is None
    assert read_haplotypes(hapt, legend=tmp_path / "more.legend").sites is not None


def test_legend_with_a_column_of_chromosomes(hapt: Path, tmp_path: Path) -> None:
    rows = ["id chromosome position a0 a1", "rs1 7 10 C A", "rs2 7 20 T G", "rs3 8 5 T A"]
    (tmp_path / "set.legend").write_text("\n".join(rows))
    assert read_haplotypes(hapt).sites.chromosomes.tolist() == ["7", "7", "8"]


def test_gzip_and_other_spacing(tmp_path: Path) -> None:
    path = tmp_path / "set.hapt.gz"
    with gzip.open(path, "wt") as stream:
        stream.write("Real HG1_A  0 1  0 \r\n\nReal\tHG1_B\t1\t1\t0\r\n")
    check_first(read_haplotypes(path))


def test_zip_archives(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data/train.hapt", HAPT)
        archive.writestr("data/sites.legend", LEGEND)
    found = read_haplotypes(path)
    check_first(found)
    assert found.sites.positions.tolist() == [10, 20, 5]
    assert found.source == f"{path}/data/train.hapt"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("data/test.hapt", HAPT)
    with pytest.raises(HaplotypeError, match=r"2 files \.hapt: state one.*train\.hapt, data/test"):
        read_haplotypes(path)
    check_first(read_haplotypes(path / "test.hapt"))
    check_first(read_haplotypes(path / "data" / "test.hapt"))
    with pytest.raises(HaplotypeError, match=r"0 files other\.hapt"):
        read_haplotypes(path / "other.hapt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no haplotypes"),
        ("Real HG1_A\n", "line 1: 'Real HG1_A', but a label, a name and alleles are needed"),
        ("Real a 0 1 0\nReal b 0 2 0\n", r"line 2 \(b\): '2' at site 2 \(15:20_T_G\), but only 0"),
        ("Real a 0 1 0\nReal b 0 . 0\n", r"line 2 \(b\): '\.' at site 2"),
        ("Real a 0 1 0\nReal b 0 -1 0\n", r"line 2 \(b\): '-1' at site 2"),
        ("Real a 0 ! 0 \n", r"line 1 \(a\): '!' at site 2"),
        ("Real a 0  !\n", r"line 1 \(a\): '!' at site 2"),
        ("Real a 0 1 10\n", r"line 1 \(a\): '10' at site 3"),
        ("Real a 0|1 1|1\n", r"line 1 \(a\): '0\|1' at site 1"),
        ("Real a 0 1 0\nReal b 0 1\n", r"line 2 \(b\): 2 sites, but a has 3"),
        ("Real a 0 1 0\n\nReal a 1 1 1\n", "line 3: haplotype a stands in line 1 already"),
        ("Real a 0 1\n", "2 sites in the haplotypes, but 3 in the list of sites"),
    ],
)
def test_hapt_that_cannot_be_read(hapt: Path, content: str, message: str) -> None:
    hapt.write_text(content)
    with pytest.raises(HaplotypeError, match=message) as error:
        read_haplotypes(hapt)
    assert str(hapt) in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "lacks id, position, a0, a1"),
        ("id position\n", "lacks a0, a1"),
        ("id position a0 a1\n", "holds no sites"),
        ("id position a0 a1\nx 5 A\n", "line 2: 'x 5 A' is no site"),
        ("id position a0 a1\nx five A C\n", "line 2: 'x five A C' is no site"),
        (LEGEND + "15:30_A_C 30 A C\n", "15:30_A_C stands behind 16:5_T_TA: sort the file"),
        (LEGEND + "16:4_A_C 4 A C\n", "16:4_A_C stands behind 16:5_T_TA: sort the file"),
        (
            "id position a0 a1\n1:5_A_C 5 A C\n1:5_A_G 5 A G\n1:5_A_C 5 A C\n",
            "1:5_A_C stands twice, as number 1 and as number 3",
        ),
        ("id position a0 a1\nx ² A C\n", "line 2: 'x ² A C' is no site"),
        (f"id position a0 a1\nx {'9' * 30} A C\n", "line 2: 'x 9999.* is no site"),
    ],
)
def test_legend_that_cannot_be_read(hapt: Path, content: str, message: str) -> None:
    hapt.with_suffix(".legend").write_text(content)
    with pytest.raises(HaplotypeError, match=message):
        read_haplotypes(hapt)


def test_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "set.hapt.gz"
    path.write_bytes(gzip.compress(HAPT.encode() * 100)[:-12])
    with pytest.raises(RecordError, match="cut off or damaged"):
        read_haplotypes(path)
    for name in ("set.zip", "set.npz", "set.npy"):
        (tmp_path / name).write_bytes(b"PK\3\4 no archive")
        with pytest.raises(HaplotypeError, match="cut off"):
            read_haplotypes(tmp_path / name)
    with pytest.raises(HaplotypeError, match=r"names no format.*\.vcf\.gz"):
        read_haplotypes(tmp_path / "set.txt")
    with pytest.raises(OSError):
        read_haplotypes(tmp_path / "missing.hapt")


@pytest.mark.parametrize("ending", [".hapt", ".hapt.gz", ".npz"])
def test_writing_and_reading_back(tmp_path: Path, ending: str) -> None:
    written = make_haplotypes(sites=40, chromosomes=3)
    path = tmp_path / f"out{ending}"
    write_haplotypes(written, path, label="AG")
    found = read_haplotypes(path)
    assert (found.alleles == written.alleles).all()
    assert (found.names == written.names).all()
    assert written.sites.first_mismatch(found.sites) is None
    if ending == ".npz":
        assert (found.populations == written.populations).all()
    if ending == ".hapt":
        assert path.read_text().startswith("AG P0_A ")
        assert path.with_suffix(".legend").read_text().startswith("id position a0 a1\n1:")
    with pytest.raises(ValueError, match="exists"):
        write_haplotypes(written, path)
    write_haplotypes(written, path, overwrite=True)


def test_legend_keeps_chromosomes_of_named_sites(tmp_path: Path) -> None:
    one = make_haplotypes(sites=10, chromosomes=2)
    named = replace(one.sites, ids=[f"rs{number}" for number in range(10)])
    write_haplotypes(replace(one, sites=named), tmp_path / "out.hapt")
    assert one.sites.first_mismatch(read_haplotypes(tmp_path / "out.hapt").sites) is None


def test_numpy_arrays(tmp_path: Path) -> None:
    one = make_haplotypes(sites=10)
    write_haplotypes(one, tmp_path / "out.npy")
    found = read_haplotypes(tmp_path / "out.npy")
    assert (found.alleles == one.alleles).all() and found.names[1] == "haplotype_2"
    np.savez(tmp_path / "other.npz", genotypes=one.alleles)
    with pytest.raises(HaplotypeError, match="no array 'alleles'; there are genotypes"):
        read_haplotypes(tmp_path / "other.npz")
    np.save(tmp_path / "bad.npy", one.alleles.astype(int) - 1)
    with pytest.raises(HaplotypeError, match=r"bad\.npy: haplotype haplotype_1 has the allele -1"):
        read_haplotypes(tmp_path / "bad.npy")
    with pytest.raises(HaplotypeError, match="names no format that haplotypes are written in"):
        write_haplotypes(one, tmp_path / "out.txt")


def test_sites_of_numpy_arrays_are_checked(tmp_path: Path) -> None:
    one = make_haplotypes(sites=10)
    for chosen, problem in (([0, 1, 1], "stands twice"), ([0, 2, 1], "stands behind")):
        write_haplotypes(one.take_sites(np.asarray(chosen)), tmp_path / "a.npz", overwrite=True)
        with pytest.raises(HaplotypeError, match=rf"a\.npz: site .* {problem}"):
            read_haplotypes(tmp_path / "a.npz")


def test_a_legend_without_chromosomes_may_be_in_any_order(hapt: Path, tmp_path: Path) -> None:
    rows = ["id position a0 a1", "rs1 30 C A", "rs2 20 T G", "rs3 20 T G"]
    (tmp_path / "set.legend").write_text("\n".join(rows))
    assert read_haplotypes(hapt).sites.positions.tolist() == [30, 20, 20]


@pytest.fixture
def small_disk() -> Iterator[None]:
    """Files of 60,000 bytes at most."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("ending", [".hapt", ".hapt.gz", ".npy", ".npz", ".vcf", ".vcf.gz", ".bcf"])
@pytest.mark.usefixtures("small_disk")
def test_a_file_that_is_not_complete_is_no_success(tmp_path: Path, ending: str) -> None:
    if ending.startswith((".vcf", ".bcf")):
        pytest.importorskip("cyvcf2")
    rng = np.random.default_rng(0)
    alleles = rng.integers(0, 2, (1000, 1000), np.uint8)
    sites = Sites(["1"] * 1000, np.arange(1, 1001), ["A"] * 1000, ["C"] * 1000)
    path = tmp_path / f"genomes{ending}"
    path.write_text("older")
    names = [f"genome_{number}" for number in range(1000)]
    with pytest.raises(OSError, match="genomes"):
        write_haplotypes(Haplotypes(alleles, names, sites), path, overwrite=True)
    assert path.read_text() == "older"
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_names_with_spaces_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(HaplotypeError, match=r"'a b' cannot stand in a \.hapt file"):
        write_haplotypes(Haplotypes([[0, 1]], ["a b"]), tmp_path / "out.hapt")
    assert not list(tmp_path.iterdir())


def test_filters(tmp_path: Path) -> None:
    one = make_haplotypes(sites=40, chromosomes=2)
    write_haplotypes(one, tmp_path / "out.npz")
    found = read_haplotypes(tmp_path / "out.npz", region="2", samples=["P1", "P2"], min_maf=0.25)
    expected = one.of_samples(["P1", "P2"]).in_region(Region("2"))
    assert (found.alleles == expected.with_minor_allele_frequency(0.25).alleles).all()
    assert 0 < found.num_sites < 20


def test_memory_of_reading(tmp_path: Path) -> None:
    one = make_haplotypes(individuals=100, sites=10_000)
    write_haplotypes(one, tmp_path / "out.hapt")
    tracemalloc.start()
    read_haplotypes(tmp_path / "out.hapt")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # the matrix, its rows before they are put together, and the sites
    assert peak < 2 * one.alleles.nbytes + 12e6
