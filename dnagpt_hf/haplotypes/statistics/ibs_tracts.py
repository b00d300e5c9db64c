"""Short haplotypes in windows, and how far two haplotypes are the same without a break.

Neither is in the paper. Both look at what pairs of sites do not show: whether whole stretches of a
chromosome look like real ones.

- Windows: the sites are cut into windows of some neighbouring sites. The alleles in a window are a
  small haplotype. How far its frequencies differ in two sets is their total variation, half the sum
  of the absolute differences: 0 for the same frequencies, 1 for nothing in common. Windows of two
  sites count pairs of neighbouring alleles, as dinucleotides do for bases.
- Stretches: two random haplotypes of a set are compared from one end to the other. Where they are
  the same at a site, that site lies in a stretch without a difference. The lengths of the stretches
  around all such sites are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.haplotypes.haplotypes import Alleles
from dnagpt_hf.haplotypes.statistics.distances import Counts, count_mean, count_wasserstein

WINDOWS = (2, 10)
"""Sites of a window."""

NUM_PAIRS = 1000
_AT_ONCE = 100
_WIDEST = 16


@dataclass(frozen=True)
class WindowComparison:
    """Short haplotypes in windows of one width.

    Args:
        width: sites of a window.
        total_variation: mean over the windows, 0 to 1.
        unseen: share of the haplotypes of the other set, over all windows, whose short haplotype
            no real one has.
        real_kinds: different short haplotypes to a window in the real set, on average.
        other_kinds: the same in the other set.
    """

    width: int
    total_variation: float
    unseen: float
    real_kinds: float
    other_kinds: float


@dataclass(frozen=True, eq=False)
class IBSTractComparison:
    """Stretches over which pairs of haplotypes do not differ.

    Args:
        wasserstein: distance of the lengths around a site, in sites.
        real_mean: mean length around a site in the real set, in sites.
        other_mean: mean length around a site in the other set.
        real_counts: sites that lie in a stretch of each length in the real set, `(sites + 1,)`.
        other_counts: the same in the other set.
    """

    wasserstein: float
    real_mean: float
    other_mean: float
    real_counts: Counts
    other_counts: Counts


def window_frequencies(alleles: Alleles, width: int) -> NDArray[np.float64]:
    """Frequency of every short haplotype in every window: `(windows, 2 ** width)`.

    What remains behind the last full window is left out. The first site of a window is the most
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


def compare_windows(real: Alleles, other: Alleles, width: int) -> WindowComparison | None:
    """Compare short haplotypes in windows; `None` if there are fewer sites than a window has."""
    if real.shape[1] < width:
        return None
    first, second = window_frequencies(real, width), window_frequencies(other, width)
    return WindowComparison(
        width=width,
        total_variation=float(np.abs(first - second).sum(axis=1).mean() / 2),
        unseen=float((second * (first == 0)).sum(axis=1).mean()),
        real_kinds=float((first > 0).sum(axis=1).mean()),
        other_kinds=float((second > 0).sum(axis=1).mean()),
    )


def ibs_tract_counts(alleles: Alleles, number: int = NUM_PAIRS, seed: int = 0) -> Counts:
    """Sites that lie in a stretch of each length without a difference: `(sites + 1,)`.

    Args:
        alleles: `(haplotypes, sites)`, two haplotypes or more.
        number: random pairs of different haplotypes.
        seed: decides which.
    """
    rows, sites = alleles.shape
    rng = np.random.default_rng(seed)
    first = rng.integers(0, rows, number)
    second = (first + rng.integers(1, rows, number)) % rows
    counts = np.zeros(sites + 1, np.int64)
    for start in range(0, number, _AT_ONCE):
        pairs = slice(start, start + _AT_ONCE)
        differs = np.ones((len(first[pairs]), sites + 1), dtype=bool)
        # the end of a haplotype ends a stretch as a difference does
        differs[:, :sites] = alleles[first[pairs]] != alleles[second[pairs]]
        lengths = np.diff(np.flatnonzero(differs), prepend=-1) - 1
        counts += np.bincount(lengths, minlength=sites + 1) * np.arange(sites + 1)
    return counts


def compare_ibs_tracts(
    real: Alleles, other: Alleles, number: int = NUM_PAIRS, seed: int = 0
) -> IBSTractComparison | None:
    """Compare the stretches of two sets; `None` if one has fewer than two haplotypes."""
    if min(len(real), len(other)) < 2:
        return None
    first, second = ibs_tract_counts(real, number, seed), ibs_tract_counts(other, number, seed)
    return IBSTractComparison(
        wasserstein=count_wasserstein(first, second),
        real_mean=count_mean(first),
        other_mean=count_mean(second),
        real_counts=first,
        other_counts=second,
    )
