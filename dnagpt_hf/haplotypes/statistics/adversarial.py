"""Nearest-neighbour adversarial accuracy: whether real and generated haplotypes can be told apart.

With the distance d_TS of a real (true) haplotype to the nearest synthetic one, d_TT to the nearest
other real one, and d_ST and d_SS likewise (Yale et al., 2020; Yelmen et al., 2021):

    AA_truth = share of real haplotypes with d_TS > d_TT
    AA_syn   = share of synthetic haplotypes with d_ST > d_SS
    AATS     = (AA_truth + AA_syn) / 2

0.5 is best. Above, the two can be told apart (underfitting); below, synthetic haplotypes are copies
of real ones (overfitting). The privacy score is the AATS against haplotypes that the generator has
not seen less the AATS against those that it was trained on: above 0, it lies closer to the latter.

The larger of two sets has nearer neighbours for its size alone. Sets are therefore cut to the same
size, as often as all of the largest is used, and the results averaged.
"""

from __future__ import annotations

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
    """Nearest-neighbour adversarial accuracy and its two parts.

    Args:
        truth: share of real haplotypes that have a nearer neighbour among the real ones.
        synthetic: share of synthetic haplotypes that have a nearer neighbour among themselves.
        size: haplotypes of each set that were compared.
        draws: how often.
    """

    truth: float
    synthetic: float
    size: int
    draws: int

    @property
    def both(self) -> float:
        """AATS: the mean of the two parts."""
        return (self.truth + self.synthetic) / 2


def adversarial_accuracy(
    distances: DistanceBlocks, size: int | None = None, seed: int = 0
) -> AdversarialAccuracy:
    """Nearest-neighbour adversarial accuracy of a set against real haplotypes.

    Args:
        distances: within and between both sets.
        size: haplotypes of each that are compared; by default as many as the smaller set has.
        seed: decides which of the larger set; the same seed gives the same result.

    Example:

        >>> real = np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)
        >>> far = np.full((2, 2), 9, np.float32)
        >>> adversarial_accuracy(DistanceBlocks(real, far, real)).both
        1.0
    """
    numbers = (len(distances.real), len(distances.other))
    size = min(numbers) if size is None else min(size, *numbers)
    if size < 2:
        return AdversarialAccuracy(float("nan"), float("nan"), size, 0)
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
    truth, synthetic = parts.mean(axis=0)
    return AdversarialAccuracy(float(truth), float(synthetic), size, draws)


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
