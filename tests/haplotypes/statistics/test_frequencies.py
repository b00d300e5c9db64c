"""Allele frequencies of two sets."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from haplotype_sets import make_haplotypes

from dnagpt_hf.haplotypes.statistics.frequencies import (
    compare_frequencies,
    correlation,
    varies,
)


def test_comparison_with_numpy() -> None:
    real, other = make_haplotypes(seed=1).alleles, make_haplotypes(seed=2).alleles
    found = compare_frequencies(real, other)
    first, second = real.mean(axis=0), other.mean(axis=0)
    assert found.correlation == pytest.approx(np.corrcoef(first, second)[0, 1])
    rare = first <= 0.2
    assert 3 < rare.sum() < 120
    expected = np.corrcoef(first[rare], second[rare])[0, 1]
    assert found.rare_correlation == pytest.approx(expected)
    assert found.mean_difference == pytest.approx(np.abs(first - second).mean())


def test_sites_that_no_longer_vary() -> None:
    real = np.asarray([[0, 1, 0, 1], [1, 1, 0, 0]], np.uint8)
    other = np.asarray([[0, 1, 1, 1], [0, 0, 0, 0]], np.uint8)
    assert varies(real).tolist() == [True, False, False, True]
    # the first one; the second one did not vary before either
    assert compare_frequencies(real, other).num_lost == 1


def test_correlation_of_constants_is_not_defined() -> None:
    assert isnan(correlation(np.ones(5), np.arange(5)))
    assert isnan(correlation(np.arange(5), np.ones(5)))
    assert isnan(correlation(np.ones(1), np.ones(1)))
    assert correlation(np.arange(5), -np.arange(5)) == -1
