"""Short haplotypes in windows, and IBS tracts."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

import numpy as np
import pytest
from haplotype_sets import make_haplotypes

from dnagpt_hf.haplotypes.statistics.ibs_tracts import (
    compare_ibs_tracts,
    compare_windows,
    ibs_tract_counts,
    window_frequencies,
)


@pytest.mark.parametrize("width", [1, 2, 7])
def test_frequencies_of_short_haplotypes(width: int) -> None:
    alleles = make_haplotypes(sites=31).alleles
    found = window_frequencies(alleles, width)
    assert found.shape == (31 // width, 2**width)
    for window, row in enumerate(found):
        part = alleles[:, window * width : (window + 1) * width]
        counts = Counter("".join(map(str, one)) for one in part.tolist())
        for code, frequency in enumerate(row):
            assert frequency == counts[f"{code:0{width}b}"] / len(alleles)


def test_windows_of_two_sets() -> None:
    real = np.asarray([[0, 0, 1, 1], [0, 0, 0, 0]], np.uint8)
    other = np.asarray([[0, 0, 1, 1], [1, 1, 1, 1]], np.uint8)
    found = compare_windows(real, other, 2)
    # first window: 00 in one half of the other set and all of the real one
    assert found.total_variation == (0.5 + 0.5) / 2
    assert found.unseen == (0.5 + 0) / 2
    assert (found.real_kinds, found.other_kinds) == (1.5, 1.5)
    with pytest.raises(ValueError, match="width 17 is not between 1 and 16"):
        window_frequencies(real, 17)


def test_ibs_tracts_of_all_pairs() -> None:
    alleles = make_haplotypes(4, sites=60).alleles
    found = ibs_tract_counts(alleles, number=40, seed=3)
    rng = np.random.default_rng(3)
    first = rng.integers(0, 8, 40)
    second = (first + rng.integers(1, 8, 40)) % 8
    assert (first != second).all()
    expected: Counter[int] = Counter()
    for a, b in zip(alleles[first], alleles[second], strict=True):
        for is_same, sites in groupby((a == b).tolist()):
            length = len(list(sites))
            expected[length] += length * is_same
    assert dict(enumerate(found)) == {length: expected[length] for length in range(61)}


def test_ibs_tracts_of_two_sets() -> None:
    real = make_haplotypes(seed=1).alleles
    # sites of their own, so that tracts are short
    rng = np.random.default_rng(0)
    other = np.stack([rng.permutation(column) for column in real.T], axis=1)
    found = compare_ibs_tracts(real, other)
    assert found.other_mean < 0.8 * found.real_mean
    assert found.wasserstein >= found.real_mean - found.other_mean - 1e-9
    assert compare_ibs_tracts(real, real).wasserstein == 0
