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
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.haplotypes.statistics.distances import (
    DistanceBlocks,
    Distances,
    nearest_others,
)


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

    aats: float
    truth: float
    synthetic: float
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
    numbers = (len(distances.real), len(distances.other))
    size = min(numbers) if size is None else min(size, *numbers)
    if size < 2:
        return AdversarialAccuracy(math.nan, math.nan, math.nan, size, 0)
    draws = max(number // size for number in numbers)
    rng = np.random.default_rng(seed)
    # each permutation is read in pieces, so that as many haplotypes as possible take part
    orders = [rng.permutation(number) for number in numbers]
    parts = np.asarray(
        [
            _accuracy(distances, *(_piece(order, draw, size) for order in orders))
            for draw in range(draws)
        ]
    )
    truth, synthetic = parts.mean(axis=0).tolist()
    return AdversarialAccuracy((truth + synthetic) / 2, truth, synthetic, size, draws)


def _piece(order: NDArray[np.int64], draw: int, size: int) -> NDArray[np.int64]:
    start = draw % (len(order) // size) * size
    return np.sort(order[start : start + size])


def _accuracy(
    distances: DistanceBlocks, real: NDArray[np.int64], other: NDArray[np.int64]
) -> tuple[float, float]:
    between = _part(distances.between, real, other)
    truth = between.min(axis=1) > nearest_others(_part(distances.real, real, real))
    synthetic = between.min(axis=0) > nearest_others(_part(distances.other, other, other))
    return float(truth.mean()), float(synthetic.mean())


def _part(matrix: Distances, rows: NDArray[Any], columns: NDArray[Any]) -> Distances:
    if (len(rows), len(columns)) == matrix.shape:
        return matrix
    return matrix[rows][:, columns]
