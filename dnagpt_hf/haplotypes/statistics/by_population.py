"""Comparison of a set with real haplotypes, population by population."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dnagpt_hf.haplotypes.haplotypes import Haplotypes
from dnagpt_hf.haplotypes.statistics.distances import DistanceBlocks, compare_distances
from dnagpt_hf.haplotypes.statistics.frequencies import compare_frequencies
from dnagpt_hf.haplotypes.statistics.pca import PCAComparison, score_wasserstein


@dataclass(frozen=True)
class PopulationComparison:
    """One population in the real set and in another one.

    Args:
        population: its name.
        num_real: real haplotypes of it.
        num_other: haplotypes of the other set.
        real_share: share of the real haplotypes.
        other_share: share of the other set.
        frequency_correlation: correlation of the allele frequencies within the population.
        within: Wasserstein distance of the distances between its haplotypes, in sites.
        pca: mean over the principal components of the Wasserstein distance of its scores.
    """

    population: str
    num_real: int
    num_other: int
    real_share: float
    other_share: float
    frequency_correlation: float
    within: float
    pca: float


def compare_populations(
    real: Haplotypes, other: Haplotypes, distances: DistanceBlocks, pca: PCAComparison
) -> list[PopulationComparison]:
    """Compare a set with real haplotypes, population by population.

    Haplotypes without a population are assigned to that of the nearest real haplotype.

    Args:
        real: real haplotypes.
        other: haplotypes over the same sites.
        distances: within and between both sets.
        pca: scores of both sets on their principal components.

    Returns:
        The populations of the real haplotypes by name; none if these are not known.
    """
    if real.populations is None:
        return []
    assigned = other.populations
    if assigned is None:
        assigned = real.populations[distances.between.argmin(axis=0)]
    results = []
    for population in np.unique(real.populations).tolist():
        first = np.flatnonzero(real.populations == population)
        second = np.flatnonzero(assigned == population)
        correlation = within = apart = math.nan
        if len(second):
            frequencies = compare_frequencies(real.alleles[first], other.alleles[second])
            correlation = frequencies.correlation
            within = compare_distances(distances.take(first, second), real.num_sites).within
            apart = float(score_wasserstein(pca.real[first], pca.other[second]).mean())
        shares = len(first) / real.num_haplotypes, len(second) / other.num_haplotypes
        results.append(
            PopulationComparison(
                population, len(first), len(second), *shares, correlation, within, apart
            )
        )
    return results
