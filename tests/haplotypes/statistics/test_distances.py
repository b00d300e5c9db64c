"""Distances between haplotypes."""

from __future__ import annotations

from itertools import combinations
from math import isnan
from typing import Any

import numpy as np
import pytest
from haplotype_sets import make_haplotypes

from dnagpt_hf.haplotypes.sites import HaplotypeError
from dnagpt_hf.haplotypes.statistics import distances as module
from dnagpt_hf.haplotypes.statistics.distances import (
    DistanceBlocks,
    compare_distances,
    count_wasserstein,
    distance_counts,
    haplotype_distances,
    nearest_others,
)


def plain_distances(first: Any, second: Any) -> Any:
    return (first[:, None] != second[None]).sum(axis=2)


@pytest.mark.parametrize("at_once", [7, 4096])
def test_distances_are_counts_of_differences(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(module, "_SITES_AT_ONCE", at_once)
    first, second = make_haplotypes(20, seed=1).alleles, make_haplotypes(15, seed=2).alleles
    assert (haplotype_distances(first, second) == plain_distances(first, second)).all()
    assert (haplotype_distances(first) == plain_distances(first, first)).all()


def test_distances_agree_with_scikit_allel() -> None:
    allel = pytest.importorskip("allel")
    alleles = make_haplotypes(20).alleles
    expected = allel.pairwise_distance(alleles.T, metric="hamming") * alleles.shape[1]
    found = haplotype_distances(alleles)[np.triu_indices(len(alleles), 1)]
    assert found == pytest.approx(expected)


def test_numbers_of_sites_must_agree() -> None:
    with pytest.raises(HaplotypeError, match="over 120 and 119 sites"):
        haplotype_distances(make_haplotypes().alleles, make_haplotypes().alleles[:, 1:])


def test_wasserstein_distance_is_that_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 30, 200), rng.integers(5, 60, 300)
    counts = [np.bincount(values, minlength=60) for values in (first, second)]
    expected = stats.wasserstein_distance(first, second)
    assert count_wasserstein(*counts) == pytest.approx(expected)
    assert isnan(count_wasserstein(counts[0], np.zeros(60)))


def test_pairs_within_a_set_count_once() -> None:
    alleles = make_haplotypes(12).alleles
    found = distance_counts(haplotype_distances(alleles), 120, is_within=True)
    pairs = [int((a != b).sum()) for a, b in combinations(alleles, 2)]
    assert found.tolist() == np.bincount(pairs, minlength=121).tolist()


def test_nearest_other_is_never_itself() -> None:
    alleles = make_haplotypes(12).alleles
    # a haplotype that stands twice
    alleles[3] = alleles[7]
    plain = plain_distances(alleles, alleles).astype(float)
    np.fill_diagonal(plain, np.inf)
    assert (nearest_others(haplotype_distances(alleles)) == plain.min(axis=1)).all()


def test_comparison_of_sets() -> None:
    stats = pytest.importorskip("scipy.stats")
    real, other = make_haplotypes(20, seed=1).alleles, make_haplotypes(15, seed=2).alleles.copy()
    # a copy of a real haplotype, twice
    other[3] = other[8] = real[5]
    blocks = DistanceBlocks(
        haplotype_distances(real), haplotype_distances(real, other), haplotype_distances(other)
    )
    found = compare_distances(blocks, 120)
    within = [plain_distances(x, x)[np.triu_indices(len(x), 1)] for x in (real, other)]
    between = plain_distances(real, other)
    assert found.within == pytest.approx(stats.wasserstein_distance(*within))
    assert found.between == pytest.approx(stats.wasserstein_distance(within[0], between.ravel()))
    assert found.mean_real == pytest.approx(within[0].mean())
    assert found.mean_within == pytest.approx(within[1].mean())
    assert found.mean_between == pytest.approx(between.mean())
    assert (found.num_copies, found.num_repeats) == (2, 2)
    assert (found.nearest == between.min(axis=0)).all()
