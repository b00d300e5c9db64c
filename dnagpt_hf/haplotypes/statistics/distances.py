"""Distances between haplotypes: at how many sites two of them differ.

Two haplotypes with a and b alternative alleles, of which they share c, differ at a + b - 2c sites.
The c of all pairs are one matrix product. Its terms are whole numbers below 2^24, so that float32
holds them exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.haplotypes.haplotypes import Alleles
from dnagpt_hf.haplotypes.sites import HaplotypeError

Distances = NDArray[np.float32]
Counts = NDArray[np.int64]

# above, float32 does not hold every whole number
_MOST_SITES = 1 << 24
_SITES_AT_ONCE = 4096
_ROWS_AT_ONCE = 512


@dataclass(frozen=True, eq=False)
class DistanceBlocks:
    """Distances within and between the real haplotypes and others.

    Args:
        real: within the real ones, `(real, real)`.
        between: from each real one to each other one, `(real, other)`.
        other: within the others, `(other, other)`.
    """

    real: Distances
    between: Distances
    other: Distances


@dataclass(frozen=True, eq=False)
class DistanceComparison:
    """How distances within a set, and from real ones to it, differ from those among real ones.

    Args:
        within: Wasserstein distance of the distances within the set to those among real ones, in
            sites (paper, Fig. 5c).
        between: the same for the distances between real haplotypes and those of the set.
        mean_real: mean distance among real haplotypes, in sites.
        mean_within: mean distance within the set.
        mean_between: mean distance between real haplotypes and those of the set.
        num_copies: haplotypes of the set that are equal to a real one.
        num_repeats: haplotypes of the set that are equal to another one of it.
        real_counts: pairs of real haplotypes at each distance, `(sites + 1,)`.
        within_counts: pairs of the set at each distance.
        between_counts: pairs of a real one and one of the set at each distance.
        real_nearest: distance of each real haplotype to the nearest other real one, `(real,)`.
        nearest: distance of each haplotype of the set to the nearest real one, `(other,)`.
    """

    within: float
    between: float
    mean_real: float
    mean_within: float
    mean_between: float
    num_copies: int
    num_repeats: int
    real_counts: Counts
    within_counts: Counts
    between_counts: Counts
    real_nearest: Distances
    nearest: Distances


def haplotype_distances(first: Alleles, second: Alleles | None = None) -> Distances:
    """Number of sites at which haplotypes differ, float32 `(first, second)`.

    Args:
        first: `(haplotypes, sites)`.
        second: others over the same sites; by default the first ones, each with each.

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
    shared = np.zeros((len(first), len(others)), np.float32)
    for start in range(0, sites, _SITES_AT_ONCE):
        columns = slice(start, start + _SITES_AT_ONCE)
        block = first[:, columns].astype(np.float32)
        # the product of a matrix with its own transpose takes half the time
        shared += block @ (block if second is None else others[:, columns].astype(np.float32)).T
    shared *= -2
    shared += first.sum(axis=1, dtype=np.float32)[:, None]
    shared += others.sum(axis=1, dtype=np.float32)
    return shared


def compare_distances(distances: DistanceBlocks, num_sites: int) -> DistanceComparison:
    """Compare all distances of a set with those among real haplotypes."""
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
    """Pairs at each distance from 0 to the number of sites: `(num_sites + 1,)`.

    Args:
        distances: whole numbers, `(first, second)`.
        num_sites: sites of a haplotype.
        is_within: whether both are the same haplotypes, so that each pair counts once and none
            with itself.
    """
    counts = np.zeros(num_sites + 1, np.int64)
    for rows in _row_groups(len(distances)):
        values = distances[rows].astype(np.int64).ravel()
        counts += np.bincount(values, minlength=num_sites + 1)
    if is_within:
        counts[0] -= len(distances)
        counts //= 2
    return counts


def count_wasserstein(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Wasserstein distance of two distributions over 0, 1, 2, …, given as counts.

    In one dimension it is the area between the two distribution functions. NaN if one is empty.

    Example:

        >>> count_wasserstein(np.array([1, 1, 0, 0]), np.array([0, 0, 1, 1]))
        2.0
    """
    if not first.sum() or not second.sum():
        return float("nan")
    difference = np.cumsum(first) / first.sum() - np.cumsum(second) / second.sum()
    return float(np.abs(difference[:-1]).sum())


def count_mean(counts: NDArray[Any]) -> float:
    """Mean of a distribution over 0, 1, 2, …, given as counts; NaN if it is empty."""
    total = counts.sum()
    return float((counts * np.arange(len(counts))).sum() / total) if total else float("nan")


def nearest_others(distances: Distances) -> Distances:
    """Distance of each haplotype to the nearest other one of the same set: `(haplotypes,)`."""
    nearest = np.empty(len(distances), np.float32)
    for rows in _row_groups(len(distances)):
        block = distances[rows].copy()
        block[np.arange(len(block)), np.arange(rows.start, rows.start + len(block))] = np.inf
        nearest[rows] = block.min(axis=1)
    return nearest


def _row_groups(rows: int) -> Iterator[slice]:
    for start in range(0, rows, _ROWS_AT_ONCE):
        yield slice(start, start + _ROWS_AT_ONCE)
