"""Three-point correlations, which allele frequencies and pairs of sites do not determine.

For sites i, j, k with alternative alleles x of frequencies f, the correlation is the third central
moment E[(x_i - f_i)(x_j - f_j)(x_k - f_k)]. Yelmen et al. (2021) compute it for each of the eight
combinations of alleles; since x is 0 or 1, these eight are this number with either sign. Their
correlation coefficient over all eight is the one below, without the mean being taken off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.haplotypes.haplotypes import Alleles
from dnagpt_hf.haplotypes.statistics.frequencies import Floats
from dnagpt_hf.haplotypes.statistics.metrics import metric

Gap = int | Literal["random"]
"""Number of sites between those of a triplet; `"random"` for three sites anywhere."""

GAPS: tuple[Gap, ...] = (0, 1, 4, 16, 64, 256, 512, 1024, "random")
"""Gaps of Yelmen et al. (2021), and 0 for neighboring sites."""

NUM_TRIPLETS = 1000

Triplets = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ThreePointComparison:
    """Three-point correlations of two sets at the same triplets.

    Args:
        gap: number of sites between those of a triplet.
        correlation: coefficient over the eight combinations of alleles of all triplets.
        real: three-point correlations of the real set, `(triplets,)`.
        other: three-point correlations of the other set, `(triplets,)`.
    """

    gap: Gap
    correlation: float = field(
        metadata=metric(
            {
                0: "three-point correlations, neighbors: r ↑",
                16: "three-point correlations, 16 sites apart: r ↑",
                "random": "three-point correlations, anywhere: r ↑",
            }
        )
    )
    real: Floats = field(repr=False)
    other: Floats = field(repr=False)


def site_triplets(num_sites: int, gap: Gap, number: int = NUM_TRIPLETS, seed: int = 0) -> Triplets:
    """Choose random triplets of sites, `(number, 3)`; none if there are too few sites.

    Args:
        num_sites: sites to choose from.
        gap: sites between the first and the second, and the second and the third.
        number: number of triplets, some of which may be equal.
        seed: of the random choice, together with the gap.
    """
    step = 0 if gap == "random" else gap + 1
    rng = np.random.default_rng([seed, step])
    if num_sites < (2 * step + 1 if step else 3):
        return np.empty((0, 3), np.int64)
    if not step:
        return np.stack([rng.choice(num_sites, 3, replace=False) for _ in range(number)])
    first = rng.integers(0, num_sites - 2 * step, number)
    return first[:, None] + step * np.arange(3)


def three_point_correlations(alleles: Alleles, triplets: Triplets) -> Floats:
    """Compute the third central moment of each triplet of sites: `(triplets,)`.

    Args:
        alleles: `(haplotypes, sites)`.
        triplets: sites, `(triplets, 3)`.

    Example:

        >>> alleles = np.array([[0, 0, 0], [1, 1, 1], [1, 0, 1], [0, 1, 1]], np.uint8)
        >>> three_point_correlations(alleles, np.array([[0, 1, 2]]))
        array([-0.0625])
    """
    x, y, z = (alleles[:, sites] - alleles[:, sites].mean(axis=0) for sites in triplets.T)
    return np.einsum("ht,ht,ht->t", x, y, z) / len(alleles)


def compare_three_point(
    real: Alleles,
    other: Alleles,
    gaps: Sequence[Gap] = GAPS,
    number: int = NUM_TRIPLETS,
    seed: int = 0,
) -> list[ThreePointComparison]:
    """Compare three-point correlations, one result for each gap that the sites have room for."""
    results = []
    for gap in gaps:
        triplets = site_triplets(real.shape[1], gap, number, seed)
        if len(triplets):
            first, second = (three_point_correlations(one, triplets) for one in (real, other))
            size = float(np.sqrt((first**2).sum() * (second**2).sum()))
            correlation = float((first * second).sum() / size) if size > 0 else float("nan")
            results.append(ThreePointComparison(gap, correlation, first, second))
    return results
