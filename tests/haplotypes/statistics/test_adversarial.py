"""Nearest-neighbor adversarial accuracy."""

from __future__ import annotations

from math import isnan
from typing import Any

import numpy as np
import pytest
from haplotype_sets import make_haplotypes

from dnagpt_hf.haplotypes.statistics.adversarial import adversarial_accuracy
from dnagpt_hf.haplotypes.statistics.distances import DistanceBlocks, haplotype_distances


def blocks(real: Any, other: Any) -> DistanceBlocks:
    return DistanceBlocks(
        haplotype_distances(real), haplotype_distances(real, other), haplotype_distances(other)
    )


def plain_accuracy(real: Any, other: Any) -> tuple[float, float]:
    """Both parts, haplotype by haplotype."""

    def nearest(one: Any, others: Any) -> int:
        return min(int((one != candidate).sum()) for candidate in others)

    truth = [
        nearest(one, other) > nearest(one, np.delete(real, row, axis=0))
        for row, one in enumerate(real)
    ]
    synthetic = [
        nearest(one, real) > nearest(one, np.delete(other, row, axis=0))
        for row, one in enumerate(other)
    ]
    return float(np.mean(truth)), float(np.mean(synthetic))


def test_both_parts() -> None:
    real, other = make_haplotypes(15, seed=1).alleles, make_haplotypes(15, seed=2).alleles
    found = adversarial_accuracy(blocks(real, other))
    assert (found.truth, found.synthetic) == plain_accuracy(real, other)
    assert found.aats == (found.truth + found.synthetic) / 2
    assert (found.size, found.draws) == (30, 1)


def test_copies_and_strangers() -> None:
    real = make_haplotypes(20, seed=1).alleles
    assert adversarial_accuracy(blocks(real, real)).aats == 0
    # all real ones are near each other, and so are the others
    found = adversarial_accuracy(blocks(real, 1 - real))
    assert found.aats > 0.9


def test_sets_are_cut_to_the_same_size() -> None:
    real, other = make_haplotypes(40, seed=1).alleles, make_haplotypes(10, seed=2).alleles
    found = adversarial_accuracy(blocks(real, other))
    # 80 real haplotypes, 20 at a time
    assert (found.size, found.draws) == (20, 4)
    order = np.random.default_rng(0).permutation(80)
    parts = [plain_accuracy(real[np.sort(order[i : i + 20])], other) for i in range(0, 80, 20)]
    assert (found.truth, found.synthetic) == pytest.approx(np.mean(parts, axis=0))
    assert adversarial_accuracy(blocks(real, other)) == found
    smaller = adversarial_accuracy(blocks(real, other), size=7)
    assert (smaller.size, smaller.draws) == (7, 11)


def test_too_few_haplotypes() -> None:
    one = make_haplotypes(5).alleles
    assert isnan(adversarial_accuracy(blocks(one, one[:1])).aats)
