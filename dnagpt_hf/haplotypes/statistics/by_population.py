"""How each population of real haplotypes is met by another set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dnagpt_hf.haplotypes.haplotypes import Haplotypes, Texts
from dnagpt_hf.haplotypes.statistics.distances import (
    DistanceBlocks,
    count_wasserstein,
    distance_counts,
)
from dnagpt_hf.haplotypes.statistics.frequencies import compare_frequencies
from dnagpt_hf.haplotypes.statistics.pca import (
    PCAComparison,
    score_wasserstein,
)


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
        components: mean over the components of the Wasserstein distance of its scores.
    """

    population: str
    num_real: int
    num_other: int
    real_share: float
    other_share: float
    frequency_correlation: float
    within: float
    components: float


def populations_of(real: Haplotypes, other: Haplotypes, distances: DistanceBlocks) -> Texts:
    """The population of each haplotype of a set: its own, or that of the nearest real haplotype."""
    if other.populations is not None:
        return other.populations
    if real.populations is None:
        raise ValueError(f"{real.source}: populations are not known")
    return real.populations[distances.between.argmin(axis=0)]


def compare_populations(
    real: Haplotypes,
    other: Haplotypes,
    distances: DistanceBlocks,
    components: PCAComparison,
) -> list[PopulationComparison]:
    """Compare a set with real haplotypes, population by population.

    Haplotypes that state no population are counted to that of the nearest real haplotype.

    Args:
        real: haplotypes whose populations are known.
        other: haplotypes over the same sites.
        distances: within and between both sets.
        components: their principal components.
    """
    if real.populations is None:
        return []
    assigned = populations_of(real, other, distances)
    results = []
    for population in np.unique(real.populations).tolist():
        first = np.flatnonzero(real.populations == population)
        second = np.flatnonzero(assigned == population)
        correlation = within = apart = float("nan")
        if len(second):
            correlation = compare_frequencies(
                real.alleles[first], other.alleles[second]
            ).correlation
            within = count_wasserstein(
                distance_counts(
                    distances.real[np.ix_(first, first)], real.num_sites, is_within=True
                ),
                distance_counts(
                    distances.other[np.ix_(second, second)], real.num_sites, is_within=True
                ),
            )
            apart = float(
                score_wasserstein(components.real[first], components.other[second]).mean()
            )
        results.append(
            PopulationComparison(
                population=population,
                num_real=len(first),
                num_other=len(second),
                real_share=len(first) / real.num_haplotypes,
                other_share=len(second) / other.num_haplotypes,
                frequency_correlation=correlation,
                within=within,
                components=apart,
            )
        )
    return results
