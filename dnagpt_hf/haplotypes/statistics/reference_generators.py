"""Simple generators of haplotypes, as references for those of a model.

Each one keeps some properties of the real haplotypes and loses the rest:

- independent sites keep the allele frequencies, and have no linkage;
- a Markov chain over the sites keeps the haplotypes of a few neighboring sites, and has no linkage
  over longer distances;
- a mosaic copies real haplotypes, changing from one to another as recombination does (Li and
  Stephens, 2003). It keeps nearly everything but privacy, since it copies.

Yelmen et al. (2021) compare with the same three (binomial, Markov chain, HAPGEN). Each one is a
function of the haplotypes, its settings and the seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.haplotypes.haplotypes import Alleles, Haplotypes
from dnagpt_hf.haplotypes.sites import Sites

MARKOV_ORDER = 10
"""Sites before each that the Markov chain depends on, the longer window of Yelmen et al."""

EFFECTIVE_SIZE = 11_418
"""Individuals; the effective population size that HAPGEN2 takes for European haplotypes."""

RECOMBINATION_RATE = 1e-8
"""Crossovers between two neighboring bp in a generation; the average of the human genome."""


def independent_sites(real: Haplotypes, number: int, seed: int = 0) -> Haplotypes:
    """Draw haplotypes whose sites are independent, with the allele frequencies of the real ones.

    Args:
        real: haplotypes to learn from.
        number: number of haplotypes to make.
        seed: the same seed gives the same haplotypes.

    Example:

        >>> real = Haplotypes([[0, 1], [1, 1]], ["a", "b"])
        >>> independent_sites(real, 1000).alleles.mean(axis=0).round(1).tolist()
        [0.5, 1.0]
    """
    rng = np.random.default_rng([seed, 1])
    frequencies = real.alleles.mean(axis=0, dtype=np.float64).astype(np.float32)
    is_alternative = rng.random((number, real.num_sites), dtype=np.float32) < frequencies
    return _generated(real, is_alternative.view(np.uint8), "independent sites")


def markov_chain(
    real: Haplotypes, number: int, seed: int = 0, order: int = MARKOV_ORDER
) -> Haplotypes:
    """Draw haplotypes site by site, each given the sites before it.

    An allele comes with the frequency that it has among the real haplotypes with the same alleles
    at the `order` sites before it, so that each `order + 1` neighboring alleles are those of a
    real haplotype.

    Args:
        real: haplotypes to learn from.
        number: number of haplotypes to make.
        seed: the same seed gives the same haplotypes.
        order: sites before each that it depends on; memory doubles with each.
    """
    rng = np.random.default_rng([seed, 2])
    # one site after the other: rows of sites lie together in memory
    columns = np.ascontiguousarray(real.alleles.T)
    made = np.empty((real.num_sites, number), np.uint8)
    contexts = 2**order
    real_context = np.zeros(real.num_haplotypes, np.int64)
    context = np.zeros(number, np.int64)
    for site, column in enumerate(columns):
        joint = np.bincount(2 * real_context + column, minlength=2 * contexts).reshape(-1, 2)
        frequency = joint[:, 1] / np.maximum(joint.sum(axis=1), 1)
        made[site] = rng.random(number) < frequency[context]
        real_context = (2 * real_context + column) % contexts
        context = (2 * context + made[site]) % contexts
    return _generated(real, np.ascontiguousarray(made.T), f"Markov chain of order {order}")


def mosaic(
    real: Haplotypes,
    number: int,
    seed: int = 0,
    *,
    effective_size: float = EFFECTIVE_SIZE,
    recombination_rate: float = RECOMBINATION_RATE,
    error_rate: float | None = None,
) -> Haplotypes:
    """Draw haplotypes that copy segments of real ones (Li and Stephens, 2003).

    Between two sites d bp apart, a haplotype changes to a random real one with the probability
    1 - exp(-4 N r d / n), with N the effective size, r the recombination rate and n the number of
    real haplotypes (Li and Stephens, 2003). It always does so at the end of a chromosome. Without
    positions, sites are assumed to lie 1,000 bp apart.

    Args:
        real: haplotypes to copy.
        number: number of haplotypes to make.
        seed: the same seed gives the same haplotypes.
        effective_size: individuals.
        recombination_rate: for each bp and generation.
        error_rate: share of alleles that are copied wrongly; by default t / (2 (n + t)), with t the
            inverse of 1 + 1/2 + … + 1/(n - 1), as Li and Stephens set it.
    """
    rng = np.random.default_rng([seed, 3])
    size = real.num_haplotypes
    rate = 4 * effective_size * recombination_rate / size
    changes = _change_probabilities(real.sites, real.num_sites, rate)
    if error_rate is None:
        theta = 1 / max(1.0, (1 / np.arange(1, size)).sum())
        error_rate = theta / (2 * (size + theta))
    alleles = np.empty((number, real.num_sites), np.uint8)
    for row in alleles:
        starts = np.flatnonzero(rng.random(real.num_sites) < changes)
        sources = rng.integers(0, size, len(starts))
        lengths = np.diff(starts, append=real.num_sites)
        row[:] = real.alleles[np.repeat(sources, lengths), np.arange(real.num_sites)]
        errors = rng.integers(0, real.num_sites, rng.binomial(real.num_sites, error_rate))
        row[errors] ^= 1
    return _generated(real, alleles, "mosaic")


def _change_probabilities(sites: Sites | None, num_sites: int, rate: float) -> NDArray[np.float64]:
    """Compute the probability that a new segment starts at each site: `(sites,)`."""
    steps = np.full(num_sites, 1000.0)
    is_start = np.arange(num_sites) == 0
    if sites is not None:
        steps[1:] = np.abs(np.diff(sites.positions))
        is_start[1:] = sites.chromosomes[1:] != sites.chromosomes[:-1]
    return np.where(is_start, 1.0, 1 - np.exp(-rate * steps))


def _generated(real: Haplotypes, alleles: Alleles, source: str) -> Haplotypes:
    names = np.asarray([f"{source.split()[0]}_{row + 1}" for row in range(len(alleles))])
    return replace(
        real, alleles=alleles, names=names, populations=None, sample_names=None, source=source
    )


Generator = Callable[[Haplotypes, int, int], Haplotypes]

GENERATORS: dict[str, Generator] = {
    "independent": independent_sites,
    f"Markov {MARKOV_ORDER}": markov_chain,
    "mosaic": mosaic,
}
"""Reference generators by their names in tables and figures."""
