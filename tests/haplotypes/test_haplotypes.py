"""Haplotypes: what they hold, parts of them, and agreement of sites."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from haplotype_sets import make_haplotypes, make_sites

from dnagpt_hf.genomes.regions import Region
from dnagpt_hf.haplotypes.haplotypes import Haplotypes, split_by_sample
from dnagpt_hf.haplotypes.sites import HaplotypeError, Sites


def test_sites_must_agree_in_number() -> None:
    with pytest.raises(HaplotypeError, match="2 chromosomes, 2 positions, 1 references"):
        Sites(["1", "1"], [1, 2], ["A"], ["C", "C"])


@pytest.mark.parametrize(
    ("alleles", "names", "message"),
    [
        ([[0, 2]], ["a"], r"haplotype a has the allele 2 at site 2: only 0 and 1"),
        ([[0.5, 1]], ["a"], "has the allele 0.5 at site 1"),
        ([[-1, 1]], ["a"], "has the allele -1 at site 1"),
        ([[0, 1], [1, 1]], ["a"], "2 haplotypes, but 1 names"),
        ([[0, 1], [1, 1]], ["a", "a"], "a stands twice, as number 1 and as number 2"),
        ([0, 1], ["a"], r"alleles of shape \(2,\)"),
        (np.empty((0, 5)), [], "at least one of each"),
    ],
)
def test_what_is_no_set_of_haplotypes(alleles: object, names: list[str], message: str) -> None:
    with pytest.raises(HaplotypeError, match=message):
        Haplotypes(alleles, names, source="x.hapt")


def test_wrong_alleles_are_named_with_their_site() -> None:
    with pytest.raises(HaplotypeError, match=r"site 2 \(1:\d+_[ACGT]_[ACGT]\)"):
        Haplotypes([[0, 9, 1]], ["a"], make_sites(3))


def test_numbers_of_sites_and_populations_must_agree() -> None:
    with pytest.raises(HaplotypeError, match="3 sites in the haplotypes, but 2 in the list"):
        Haplotypes([[0, 1, 1]], ["a"], make_sites(2))
    with pytest.raises(HaplotypeError, match="1 haplotypes, but 2 populations"):
        Haplotypes([[0, 1, 1]], ["a"], populations=["x", "y"])


def test_alleles_of_other_types_become_bytes() -> None:
    found = Haplotypes(np.asarray([[True, False]]), ["a"]).alleles
    assert found.dtype == np.uint8 and found.tolist() == [[1, 0]]


def test_region_keeps_both_ends() -> None:
    one = make_haplotypes(sites=20, chromosomes=2)
    places = one.sites.positions
    part = one.in_region(Region("1", int(places[3]), int(places[7])))
    assert part.sites.positions.tolist() == places[3:8].tolist()
    assert (part.alleles == one.alleles[:, 3:8]).all()
    assert one.in_region(Region("2")).num_sites == 10


def test_empty_region() -> None:
    one = make_haplotypes(sites=20)
    with pytest.raises(
        HaplotypeError, match=r"set 0: no site lies in 1:1-5; there are sites in 1:"
    ):
        one.in_region(Region("1", 1, 5))
    with pytest.raises(HaplotypeError, match="no site lies in chr1"):
        one.in_region(Region("chr1"))
    with pytest.raises(HaplotypeError, match="has no positions of its sites"):
        replace(one, sites=None).in_region(Region("1"))


def test_samples_and_populations() -> None:
    one = make_haplotypes()
    part = one.of_samples(["P3", "P1"])
    assert part.names.tolist() == ["P1_A", "P1_B", "P3_A", "P3_B"]
    assert (part.alleles == one.alleles[[2, 3, 6, 7]]).all()
    east = one.of_populations(["EAST"])
    assert set(east.populations) == {"EAST"} and 0 < east.num_haplotypes < one.num_haplotypes
    with pytest.raises(HaplotypeError, match="no sample Q1, Q2 among its 30 samples"):
        one.of_samples(["P1", "Q1", "Q2"])
    with pytest.raises(HaplotypeError, match="choice of samples is empty"):
        one.of_samples([])
    with pytest.raises(HaplotypeError, match="'NORTH'; there are EAST, WEST"):
        one.of_populations(["NORTH"])
    with pytest.raises(HaplotypeError, match="populations are not known"):
        replace(one, populations=None).of_populations(["EAST"])


def test_populations_from_a_table() -> None:
    one = replace(make_haplotypes(2, 5), populations=None)
    assert one.with_populations({"P0": "x", "P1": "y"}).populations.tolist() == [*"xxyy"]
    with pytest.raises(HaplotypeError, match="lacks 1 sample, the first one P1"):
        one.with_populations({"P0": "x"})


def test_minor_allele_frequency() -> None:
    one = Haplotypes([[0, 0, 1, 1], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]], [*"abcd"])
    assert one.minor_allele_frequencies().tolist() == [0, 0.25, 0.25, 0.5]
    assert one.with_minor_allele_frequency(0.25).num_sites == 3
    with pytest.raises(HaplotypeError, match=r"no site has .* 0\.5 or more; the highest is 0\.25"):
        one.take_sites(np.arange(3)).with_minor_allele_frequency(0.5)
    with pytest.raises(HaplotypeError, match=r"not between 0 and 0\.5"):
        one.with_minor_allele_frequency(0.7)


def test_people_are_in_one_part_only() -> None:
    one = make_haplotypes(20)
    training, test = split_by_sample(one, 0.25, seed=1)
    assert test.num_haplotypes == 10 and training.num_haplotypes == 30
    assert not set(training.samples) & set(test.samples)
    assert (split_by_sample(one, 0.25, seed=1)[1].names == test.names).all()
    assert (split_by_sample(one, 0.25, seed=2)[1].names != test.names).any()
    with pytest.raises(HaplotypeError, match="one split would be empty"):
        split_by_sample(one, 0.01)


def test_same_sites_are_taken_over() -> None:
    real = make_haplotypes(seed=1)
    other = replace(make_haplotypes(seed=2), sites=None)
    assert other.align_to(real).sites is real.sites
    chosen = np.asarray([2, 5, 9])
    found = make_haplotypes(seed=2).align_to(real.take_sites(chosen))
    assert (found.alleles == other.alleles[:, chosen]).all()


def test_sites_that_do_not_fit() -> None:
    real, other = make_haplotypes(seed=1), make_haplotypes(seed=2)
    with pytest.raises(HaplotypeError, match="set 2 has 119 sites, but set 1 has 120"):
        replace(other.take_sites(np.arange(119)), sites=None).align_to(real)
    with pytest.raises(HaplotypeError, match=r"set 2 lacks 1 of the 120 sites of set 1.*site 4 \("):
        other.take_sites(np.delete(np.arange(120), 3)).align_to(real)
    order = np.arange(120)
    order[[6, 7]] = 7, 6
    with pytest.raises(HaplotypeError, match=r"another order than set 1: site 8 \(.*is its site 7"):
        other.take_sites(order).align_to(real)
    sites = replace(other.sites, references=other.sites.alternatives)
    with pytest.raises(HaplotypeError, match="lacks 120 of the 120"):
        replace(other, sites=sites).align_to(real)
