"""Allele frequencies of two sets of haplotypes, and their correlation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.haplotypes.haplotypes import Alleles
from dnagpt_hf.haplotypes.statistics.metrics import metric

Floats = NDArray[np.float64]

RARE = 0.2
"""Highest real allele frequency of the sites that the paper shows apart (Fig. 4c)."""


@dataclass(frozen=True, eq=False)
class FrequencyComparison:
    """Allele frequencies of two sets over the same sites.

    Args:
        correlation: Pearson's r over all sites; NaN where a set has the same frequency everywhere.
        rare_correlation: r over the sites with a real frequency of `RARE` or less.
        mean_difference: mean absolute difference.
        num_lost: sites that vary in the real set and not in the other.
        real: frequencies of allele 1 in the real set, `(sites,)`.
        other: frequencies of allele 1 in the other set, `(sites,)`.
    """

    correlation: float = field(
        metadata=metric("allele frequencies: r ↑", published={"GAN": 0.99, "DNAGPT": 0.99})
    )
    rare_correlation: float = field(
        metadata=metric(
            "allele frequencies, real 0.2 or less: r ↑",
            published={"GAN": 0.94, "RBM": 0.83, "DNAGPT": 0.96},
        )
    )
    mean_difference: float
    num_lost: int = field(metadata=metric("sites that no longer vary ↓", digits=0))
    real: Floats = field(repr=False)
    other: Floats = field(repr=False)


def allele_frequencies(alleles: Alleles) -> Floats:
    """Compute the frequency of allele 1 at each site: `(sites,)`."""
    return alleles.mean(axis=0, dtype=np.float64)


def varies(alleles: Alleles) -> NDArray[np.bool_]:
    """Find the sites that have both alleles: `(sites,)`."""
    frequencies = allele_frequencies(alleles)
    return (frequencies > 0) & (frequencies < 1)


def compare_frequencies(real: Alleles, other: Alleles) -> FrequencyComparison:
    """Compare the allele frequencies of two sets, `(haplotypes, sites)` each.

    Example:

        >>> real = np.array([[0, 1, 1], [0, 0, 1]], np.uint8)
        >>> compare_frequencies(real, real).correlation
        1.0
    """
    first, second = allele_frequencies(real), allele_frequencies(other)
    is_rare = first <= RARE
    return FrequencyComparison(
        correlation=correlation(first, second),
        rare_correlation=correlation(first[is_rare], second[is_rare]),
        mean_difference=float(np.abs(first - second).mean()),
        num_lost=int((varies(real) & ~varies(other)).sum()),
        real=first,
        other=second,
    )


def correlation(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Compute Pearson's r; NaN for fewer than two values or for values that are all the same.

    Example:

        >>> correlation(np.array([0.1, 0.2, 0.4]), np.array([0.2, 0.4, 0.8]))
        1.0
    """
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1].clip(-1, 1).round(15))
