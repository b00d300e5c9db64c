"""Distances between haplotypes: the number of sites at which two of them differ.

Two haplotypes with a and b alternative alleles, of which they share c, differ at a + b - 2c sites.
The c of all pairs are one matrix product. Its terms are whole numbers below 2^24, so that float32
holds them exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from dnagpt_hf.haplotypes.haplotypes import Alleles
from dnagpt_hf.haplotypes.sites import HaplotypeError
from dnagpt_hf.haplotypes.statistics.metrics import metric

Distances = NDArray[np.float32]
Counts = NDArray[np.int64]

# above, float32 does not hold every whole number
_MOST_SITES = 1 << 24
_SITES_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class DistanceBlocks:
    """Distances within and between the real haplotypes and another set.

    Args:
        real: among the real haplotypes, `(real, real)`.
        between: from each real haplotype to each one of the other set, `(real, other)`.
        other: within the other set, `(other, other)`.
    """

    real: Distances
    between: Distances
    other: Distances

    def take(self, real: NDArray[np.int64], other: NDArray[np.int64]) -> DistanceBlocks:
        """Take some of the real haplotypes and some of the others, by their indices."""
        return DistanceBlocks(
            self.real[np.ix_(real, real)],
            self.between[np.ix_(real, other)],
            self.other[np.ix_(other, other)],
        )


@dataclass(frozen=True, eq=False)
class DistanceComparison:
    """Distances within a set and from real haplotypes to it, beside those among real haplotypes.

    Args:
        within: Wasserstein distance of the distances within the set to those among real haplotypes,
            in sites (paper, Fig. 5c).
        between: the same for the distances between real haplotypes and those of the set.
        mean_real: mean distance among real haplotypes, in sites.
        mean_within: mean distance within the set.
        mean_between: mean distance between real haplotypes and those of the set.
        num_copies: haplotypes of the set that equal a real one.
        num_repeats: haplotypes of the set that equal another one of the set.
        real_counts: pairs of real haplotypes at each distance, `(sites + 1,)`.
        within_counts: pairs of the set at each distance.
        between_counts: pairs of a real haplotype and one of the set at each distance.
        real_nearest: distance of each real haplotype to the nearest other real one, `(real,)`.
        nearest: distance of each haplotype of the set to the nearest real one, `(other,)`.
    """

    within: float = field(
        metadata=metric(
            "haplotype distances within: Wasserstein distance ↓",
            digits=2,
            published={"GAN": 108.15, "RBM": 30.21, "DNAGPT": 71.04},
        )
    )
    between: float = field(
        metadata=metric(
            "haplotype distances to real: Wasserstein distance ↓",
            digits=2,
            published={"DNAGPT": 28.63},
        )
    )
    mean_real: float
    mean_within: float
    mean_between: float
    num_copies: int = field(metadata=metric("copies of real haplotypes", digits=0))
    num_repeats: int = field(metadata=metric("haplotypes that repeat another one", digits=0))
    real_counts: Counts = field(repr=False)
    within_counts: Counts = field(repr=False)
    between_counts: Counts = field(repr=False)
    real_nearest: Distances = field(repr=False)
    nearest: Distances = field(repr=False)


def haplotype_distances(first: Alleles, second: Alleles | None = None) -> Distances:
    """Count the sites at which haplotypes differ: float32 `(first, second)`.

    Args:
        first: `(haplotypes, sites)`.
        second: haplotypes over the same sites; by default `first`, each with each.

    Raises:
        HaplotypeError: the numbers of sites differ, or there are more than 16,777,216.

    Example:

        >>> haplotype_distances(np.array([[0, 1, 1], [0, 0, 1], [1, 0, 0]], np.uint8))
        array([[0., 1., 3.], [1., 0., 2.], [3., 2., 0.]], dtype=float32)
    """
    others = first if second is None else second
    sites = first.shape[1]
    if others.shape[1] != sites or sites > _MOST_SITES:
        raise HaplotypeError(
            f"haplotypes over {sites:,} and {others.shape[1]:,} sites: the same number of sites, "
            f"{_MOST_SITES:,} at most, is needed"
        )
    distances = first.sum(axis=1, dtype=np.float32)[:, None] + others.sum(axis=1, dtype=np.float32)
    for start in range(0, sites, _SITES_AT_ONCE):
        columns = slice(start, start + _SITES_AT_ONCE)
        block = first[:, columns].astype(np.float32)
        # the product of a matrix with its own transpose takes half the time
        other = block if second is None else others[:, columns].astype(np.float32)
        distances -= 2 * (block @ other.T)
    return distances


def compare_distances(distances: DistanceBlocks, num_sites: int) -> DistanceComparison:
    """Compare the distances of a set with those among real haplotypes."""
    real = distance_counts(distances.real, num_sites, is_within=True)
    within = distance_counts(distances.other, num_sites, is_within=True)
    between = distance_counts(distances.between, num_sites)
    nearest = distances.between.min(axis=0)
    return DistanceComparison(
        within=count_wasserstein(real, within),
        between=count_wasserstein(real, between),
        mean_real=count_mean(real),
        mean_within=count_mean(within),
        mean_between=count_mean(between),
        num_copies=int((nearest == 0).sum()),
        num_repeats=int((nearest_others(distances.other) == 0).sum()),
        real_counts=real,
        within_counts=within,
        between_counts=between,
        real_nearest=nearest_others(distances.real),
        nearest=nearest,
    )


def distance_counts(distances: Distances, num_sites: int, *, is_within: bool = False) -> Counts:
    """Count the pairs at each distance from 0 to the number of sites: `(num_sites + 1,)`.

    Args:
        distances: whole numbers, `(first, second)`.
        num_sites: sites of a haplotype.
        is_within: both are the same haplotypes, so that each pair counts once and none with itself.
    """
    counts = np.bincount(distances.astype(np.int64).ravel(), minlength=num_sites + 1)
    if is_within:
        counts[0] -= len(distances)
        counts //= 2
    return counts


def count_wasserstein(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Compute the Wasserstein distance of two distributions over 0, 1, 2, …, given as counts.

    Returns:
        The distance; NaN if one distribution is empty.

    Example:

        >>> count_wasserstein(np.array([1, 1, 0, 0]), np.array([0, 0, 1, 1]))
        2.0
    """
    if not first.sum() or not second.sum():
        return math.nan
    values = np.arange(len(first))
    return float(wasserstein_distance(values, values, first, second))


def count_mean(counts: NDArray[Any]) -> float:
    """Compute the mean of a distribution over 0, 1, 2, …, given as counts; NaN if it is empty."""
    return float(np.average(np.arange(len(counts)), weights=counts)) if counts.any() else math.nan


def nearest_others(distances: Distances) -> Distances:
    """Find the distance of each haplotype to the nearest other one of its set: `(haplotypes,)`."""
    if len(distances) < 2:
        return np.full(len(distances), np.inf, np.float32)
    # the smallest of a row is the distance of a haplotype to itself, 0
    return np.partition(distances, 1, axis=1)[:, 1]
