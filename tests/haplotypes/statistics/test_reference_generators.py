"""Simple generators of haplotypes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from haplotype_sets import make_haplotypes, plain_linkage

from dnagpt_hf.haplotypes.statistics.reference_generators import (
    GENERATORS,
    independent_sites,
    markov_chain,
    mosaic,
)


@pytest.mark.parametrize("name", GENERATORS)
def test_generators(name: str) -> None:
    real = make_haplotypes(100)
    found = GENERATORS[name](real, 3000, 7)
    assert found.alleles.shape == (3000, 120) and found.alleles.dtype == np.uint8
    assert found.sites is real.sites and found.populations is None
    assert len(set(found.names)) == 3000 and not set(found.samples) & set(real.samples)
    differences = found.alleles.mean(axis=0) - real.alleles.mean(axis=0)
    assert np.abs(differences).max() < 0.05
    again, other = GENERATORS[name](real, 50, 7), GENERATORS[name](real, 50, 8)
    assert (again.alleles == GENERATORS[name](real, 50, 7).alleles).all()
    assert (again.alleles != other.alleles).any()


def test_independent_sites_have_no_linkage() -> None:
    real = make_haplotypes(100)
    found = independent_sites(real, 4000)
    upper = np.triu_indices(120, 1)
    assert np.nanmean(plain_linkage(real.alleles)[upper]) > 0.02
    assert np.nanmean(plain_linkage(found.alleles)[upper]) < 0.002


@pytest.mark.parametrize("order", [0, 1, 3])
def test_markov_chain_keeps_neighbours(order: int) -> None:
    real = make_haplotypes(100)
    found = markov_chain(real, 4000, order=order)
    linkage = [plain_linkage(one.alleles) for one in (real, found)]
    for distance in (1, 2, 3):
        first, second = (np.diagonal(one, distance) for one in linkage)
        both = ~np.isnan(first + second)
        if distance <= order:
            assert np.abs(first - second)[both].max() < 0.1
        elif order == 0:
            assert second[both].max() < 0.02
    # whatever stands in a window of order + 1 sites stands there in a real haplotype
    for start in (0, 50, 120 - order - 1):
        window = slice(start, start + order + 1)
        seen = {tuple(row) for row in real.alleles[:, window].tolist()}
        assert {tuple(row) for row in found.alleles[:, window].tolist()} <= seen


def test_mosaic_copies() -> None:
    real = make_haplotypes(30)
    copies = mosaic(real, 200, recombination_rate=0, error_rate=0)
    rows = {row.tobytes() for row in real.alleles}
    assert all(row.tobytes() in rows for row in copies.alleles)
    # a haplotype anew at every site is one of independent sites
    mixed = mosaic(real, 200, recombination_rate=1, error_rate=0)
    assert not any(row.tobytes() in rows for row in mixed.alleles)
    wrong = mosaic(real, 200, recombination_rate=0, error_rate=0.05)
    nearest = (wrong.alleles[:, None] != real.alleles[None]).sum(axis=2).min(axis=1)
    assert nearest.mean() == pytest.approx(0.05 * 120, rel=0.2)


def test_mosaic_changes_between_chromosomes_and_with_distance() -> None:
    real = make_haplotypes(30, chromosomes=2)
    copies = mosaic(real, 100, recombination_rate=0, error_rate=0)
    rows = {row.tobytes() for row in real.alleles}
    assert sum(row.tobytes() in rows for row in copies.alleles) < 20
    parts = {row[:60].tobytes() for row in real.alleles}
    assert all(row[:60].tobytes() in parts for row in copies.alleles)

    def copied(step: int) -> float:
        sites = replace(real.sites, chromosomes=["1"] * 120, positions=step * np.arange(120))
        found = mosaic(replace(real, sites=sites), 200, error_rate=0)
        return float(np.mean([row.tobytes() in rows for row in found.alleles]))

    # at 1,000 bp 4 Nr d / n is 0.0076, so that 40 % have no change in 119 steps
    assert copied(1000) == pytest.approx(0.4, abs=0.12)
    assert copied(100) > 0.8 and copied(20_000) == 0
