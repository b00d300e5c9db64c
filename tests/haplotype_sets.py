"""Small sets of haplotypes with linkage and populations, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from dnagpt_hf.haplotypes.haplotypes import STRANDS, Haplotypes
from dnagpt_hf.haplotypes.sites import Sites


def make_sites(number: int, chromosomes: int = 1, step: int = 500) -> Sites:
    """Sites on one or several chromosomes, with gaps of random length."""
    rng = np.random.default_rng(0)
    letters = np.asarray([*"ACGT"])
    reference = rng.integers(0, 4, number)
    alternative = (reference + rng.integers(1, 4, number)) % 4
    positions = 1000 + np.cumsum(rng.integers(1, 2 * step, number))
    names = np.sort(np.arange(number) * chromosomes // number + 1).astype(str)
    return Sites(names, positions, letters[reference], letters[alternative])


def make_haplotypes(
    individuals: int = 30,
    sites: int = 120,
    seed: int = 0,
    *,
    prefix: str = "P",
    chromosomes: int = 1,
) -> Haplotypes:
    """Two haplotypes for each individual: mosaics of a few ancestors of one of two populations."""
    rng = np.random.default_rng(seed)
    # the ancestors are the same for every seed
    founders = np.random.default_rng(99)
    frequencies = founders.beta(0.6, 0.9, (2, sites))
    ancestors = founders.random((2, 8, sites)) < frequencies[:, None]
    population = rng.integers(0, 2, individuals).repeat(2)
    pieces = rng.integers(0, 8, (2 * individuals, sites // 15 + 1)).repeat(15, axis=1)[:, :sites]
    alleles = ancestors[population[:, None], pieces, np.arange(sites)].astype(np.uint8)
    alleles ^= rng.random(alleles.shape) < 0.02
    names = [
        f"{prefix}{individual}{strand}" for individual in range(individuals) for strand in STRANDS
    ]
    return Haplotypes(
        alleles,
        np.asarray(names),
        make_sites(sites, chromosomes),
        np.asarray(["EAST", "WEST"])[population],
        source=f"set {seed}",
    )


def plain_linkage(alleles: Any) -> Any:
    """r² of all pairs of sites, NaN where one is fixed: `(sites, sites)`."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.corrcoef(alleles.astype(float), rowvar=False) ** 2
