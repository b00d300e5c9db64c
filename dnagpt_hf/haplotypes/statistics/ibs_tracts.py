"""Short haplotypes in windows, and tracts over which two haplotypes are identical by state (IBS).

Neither is in the paper. Both show properties of the haplotypes beyond pairs of sites.

- Windows: the sites are cut into windows of neighboring sites. The alleles in a window are a short
  haplotype. The frequencies of two sets are compared by their total variation, half the sum of the
  absolute differences: 0 for equal frequencies, 1 for nothing in common. Windows of two sites count
  pairs of neighboring alleles, as dinucleotides do for bases.
- IBS tracts: two random haplotypes of a set are compared over all sites. A tract is a maximal run
  of sites at which they are equal. The lengths of the tracts around all such sites are compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.haplotypes.haplotypes import Alleles
from dnagpt_hf.haplotypes.statistics.distances import Counts, count_mean, count_wasserstein
from dnagpt_hf.haplotypes.statistics.metrics import metric

WINDOWS = (2, 10)
"""Sites of a window."""

NUM_PAIRS = 1000
_WIDEST = 16


@dataclass(frozen=True)
class WindowComparison:
    """Short haplotypes in windows of one width.

    Args:
        width: sites of a window.
        total_variation: mean over the windows, 0 to 1.
        unseen: share of the short haplotypes of the other set, over all windows, that no real
            haplotype has.
        real_kinds: mean number of different short haplotypes in a window in the real set.
        other_kinds: the same in the other set.
    """

    width: int
    total_variation: float = field(
        metadata=metric(
            {
                2: "pairs of neighboring alleles: total variation ↓",
                10: "windows of 10 sites: total variation ↓",
            }
        )
    )
    unseen: float = field(
        metadata=metric({10: "windows of 10 sites: share that no real one has ↓"})
    )
    real_kinds: float
    other_kinds: float


@dataclass(frozen=True, eq=False)
class IBSTractComparison:
    """IBS tracts of pairs of haplotypes in two sets.

    Args:
        wasserstein: Wasserstein distance of the tract lengths around a site, in sites.
        real_mean: mean length around a site in the real set, in sites.
        other_mean: mean length around a site in the other set.
        real_counts: sites that lie in a tract of each length in the real set, `(sites + 1,)`.
        other_counts: the same in the other set.
    """

    wasserstein: float = field(
        metadata=metric("IBS tracts: Wasserstein distance of lengths ↓", digits=2)
    )
    real_mean: float
    other_mean: float
    real_counts: Counts = field(repr=False)
    other_counts: Counts = field(repr=False)


def window_frequencies(alleles: Alleles, width: int) -> NDArray[np.float64]:
    """Compute the frequency of every short haplotype in every window: `(windows, 2 ** width)`.

    Sites after the last full window are left out. The first site of a window is the most
    significant bit of the number of its haplotype.

    Args:
        alleles: `(haplotypes, sites)`.
        width: sites of a window, 1 to 16.

    Raises:
        ValueError: the width is not between 1 and 16.

    Example:

        >>> window_frequencies(np.array([[0, 1, 1, 1], [0, 1, 0, 1]], np.uint8), 2).tolist()
        [[0.0, 1.0, 0.0, 0.0], [0.0, 0.5, 0.0, 0.5]]
    """
    if not 1 <= width <= _WIDEST:
        raise ValueError(f"width {width} is not between 1 and {_WIDEST}")
    windows = alleles.shape[1] // width
    codes = np.zeros((len(alleles), windows), np.int32)
    for column in range(width):
        codes = 2 * codes + alleles[:, column : windows * width : width]
    codes += np.arange(windows, dtype=np.int32) * 2**width
    counts = np.bincount(codes.ravel(), minlength=windows * 2**width)
    return counts.reshape(windows, -1) / len(alleles)


def compare_windows(real: Alleles, other: Alleles, width: int) -> WindowComparison:
    """Compare the short haplotypes of two sets in windows of some sites."""
    first, second = window_frequencies(real, width), window_frequencies(other, width)
    return WindowComparison(
        width=width,
        total_variation=float(np.abs(first - second).sum(axis=1).mean() / 2),
        unseen=float((second * (first == 0)).sum(axis=1).mean()),
        real_kinds=float((first > 0).sum(axis=1).mean()),
        other_kinds=float((second > 0).sum(axis=1).mean()),
    )


def ibs_tract_counts(alleles: Alleles, number: int = NUM_PAIRS, seed: int = 0) -> Counts:
    """Count the sites that lie in an IBS tract of each length: `(sites + 1,)`.

    Args:
        alleles: `(haplotypes, sites)`, two haplotypes or more.
        number: random pairs of different haplotypes.
        seed: of the random pairs.
    """
    rows, sites = alleles.shape
    rng = np.random.default_rng(seed)
    first = rng.integers(0, rows, number)
    second = (first + rng.integers(1, rows, number)) % rows
    # the last column stays True: the end of a haplotype ends a tract as a difference does
    differs = np.ones((number, sites + 1), dtype=bool)
    differs[:, :sites] = alleles[first] != alleles[second]
    lengths = np.diff(np.flatnonzero(differs), prepend=-1) - 1
    return np.bincount(lengths, minlength=sites + 1) * np.arange(sites + 1)


def compare_ibs_tracts(
    real: Alleles, other: Alleles, number: int = NUM_PAIRS, seed: int = 0
) -> IBSTractComparison:
    """Compare the IBS tracts of two sets, which need two haplotypes each."""
    first, second = ibs_tract_counts(real, number, seed), ibs_tract_counts(other, number, seed)
    return IBSTractComparison(
        wasserstein=count_wasserstein(first, second),
        real_mean=count_mean(first),
        other_mean=count_mean(second),
        real_counts=first,
        other_counts=second,
    )
