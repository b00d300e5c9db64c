"""Three-point correlations."""

from __future__ import annotations

from itertools import product
from math import isnan
from typing import Any

import numpy as np
import pytest
from haplotype_sets import make_haplotypes

from dnagpt_hf.haplotypes.statistics.three_point import (
    compare_three_point,
    site_triplets,
    three_point_correlations,
)


def plain_correlations(alleles: Any, sites: Any) -> list[float]:
    """The eight correlations of three sites, from the frequencies of their haplotypes."""
    columns = alleles[:, sites].T
    values = []
    for a, b, c in product((0, 1), repeat=3):
        x, y, z = (column == allele for column, allele in zip(columns, (a, b, c), strict=True))
        values.append(
            (x & y & z).mean()
            - (x & y).mean() * z.mean()
            - (y & z).mean() * x.mean()
            - (x & z).mean() * y.mean()
            + 2 * x.mean() * y.mean() * z.mean()
        )
    return values


def test_the_eight_correlations_are_one_number() -> None:
    alleles = make_haplotypes().alleles
    triplets = site_triplets(120, "random", number=300)
    found = three_point_correlations(alleles, triplets)
    for value, sites in zip(found, triplets, strict=True):
        plain = plain_correlations(alleles, sites)
        assert np.abs(plain) == pytest.approx(np.full(8, abs(value)), abs=1e-12)
        # all three alternative alleles
        assert plain[-1] == pytest.approx(value, abs=1e-12)


def test_correlation_of_two_sets_is_that_over_all_eight() -> None:
    real, other = make_haplotypes(seed=1).alleles, make_haplotypes(seed=2).alleles
    (found,) = compare_three_point(real, other, gaps=[4], number=50)
    triplets = site_triplets(120, 4, number=50)
    plain = [[v for t in triplets for v in plain_correlations(x, t)] for x in (real, other)]
    assert found.correlation == pytest.approx(np.corrcoef(*plain)[0, 1])
    assert 0.3 < found.correlation < 1


@pytest.mark.parametrize("gap", [0, 1, 16])
def test_gaps(gap: int) -> None:
    triplets = site_triplets(60, gap, number=500)
    assert (np.diff(triplets, axis=1) == gap + 1).all()
    assert triplets.min() == 0 and triplets.max() == 59


def test_random_triplets() -> None:
    triplets = site_triplets(20, "random", number=500)
    assert all(len(set(row)) == 3 for row in triplets.tolist())
    assert set(triplets.ravel().tolist()) == set(range(20))
    assert (site_triplets(20, "random", 500, seed=0) == triplets).all()
    assert (site_triplets(20, "random", 500, seed=1) != triplets).any()


def test_too_few_sites() -> None:
    assert len(site_triplets(2, "random")) == 0
    assert len(site_triplets(2, 0)) == 0 and len(site_triplets(3, 0)) == 1000
    assert len(site_triplets(8, 3)) == 0 and len(site_triplets(9, 3)) == 1000
    alleles = make_haplotypes(sites=12).alleles
    assert [one.gap for one in compare_three_point(alleles, alleles)] == [0, 1, 4, "random"]
    fixed = np.zeros_like(alleles)
    assert isnan(compare_three_point(alleles, fixed)[0].correlation)
