"""Nearest-neighbor adversarial accuracy: can real and generated haplotypes be told apart?

With the distance d_TS of a real (true) haplotype to the nearest synthetic one, d_TT to the nearest
other real one, and d_ST and d_SS likewise (Yale et al., 2020; Yelmen et al., 2021):

    AA_truth = share of real haplotypes with d_TS > d_TT
    AA_syn   = share of synthetic haplotypes with d_ST > d_SS
    AATS     = (AA_truth + AA_syn) / 2

0.5 is best. Above, the two can be told apart (underfitting); below, synthetic haplotypes are copies
of real ones (overfitting). The privacy score is the AATS against test haplotypes minus the AATS
against training haplotypes: above 0, generated haplotypes lie closer to the training split.

The larger of two sets has nearer neighbors for its size alone. Both are therefore cut to the same
size, repeatedly until the larger is used up, and the results averaged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from dnagpt_hf.haplotypes.statistics.distances import DistanceBlocks, nearest_others
from dnagpt_hf.haplotypes.statistics.metrics import metric


@dataclass(frozen=True)
class AdversarialAccuracy:
    """Nearest-neighbor adversarial accuracy and its two parts.

    Args:
        aats: mean of the two parts.
        truth: share of real haplotypes that have a nearer neighbor among the real ones.
        synthetic: share of synthetic haplotypes that have a nearer neighbor among themselves.
        size: haplotypes of each set that were compared.
        draws: number of comparisons.
    """

    aats: float = field(metadata=metric("adversarial accuracy AATS (0.5)"))
    truth: float = field(metadata=metric("AA truth (0.5)"))
    synthetic: float = field(metadata=metric("AA synthetic (0.5)"))
    size: int
    draws: int


def adversarial_accuracy(
    distances: DistanceBlocks, size: int | None = None, seed: int = 0
) -> AdversarialAccuracy:
    """Compute the nearest-neighbor adversarial accuracy of a set against real haplotypes.

    Args:
        distances: within and between both sets.
        size: haplotypes of each set that are compared; by default the size of the smaller set.
        seed: of the random choice from the larger set.

    Example:

        >>> real = np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)
        >>> far = np.full((2, 2), 9, np.float32)
        >>> adversarial_accuracy(DistanceBlocks(real, far, real)).aats
        1.0
    """
    numbers = distances.between.shape
    size = min(numbers) if size is None else min(size, *numbers)
    if size < 2:
        return AdversarialAccuracy(math.nan, math.nan, math.nan, size, 0)
    draws = max(numbers) // size
    rng = np.random.default_rng(seed)
    # each permutation is read in pieces, so that as many haplotypes as possible take part
    pieces = [rng.permutation(number)[: number // size * size] for number in numbers]
    parts = []
    for draw in range(draws):
        part = distances.take(*(np.sort(np.roll(one, -draw * size)[:size]) for one in pieces))
        truth = part.between.min(axis=1) > nearest_others(part.real)
        synthetic = part.between.min(axis=0) > nearest_others(part.other)
        parts.append((truth.mean(), synthetic.mean()))
    truth_share, synthetic_share = np.mean(parts, axis=0).tolist()
    mean = (truth_share + synthetic_share) / 2
    return AdversarialAccuracy(mean, truth_share, synthetic_share, size, draws)
