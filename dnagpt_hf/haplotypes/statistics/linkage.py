"""Linkage disequilibrium: the squared correlation r² of the alleles at two sites.

All sets are read together, a block of sites against all sites behind it: a block of r² is one
matrix product, whose sums are accumulated. The matrices of all r², 400 MB for each set of 10,000
sites, are never in memory.

Sites that are fixed in one of the sets have no r² there. They are left out of all sets, as in the
paper (Fig. 6g), so that every set is measured at the same pairs of sites.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.haplotypes.haplotypes import Alleles
from dnagpt_hf.haplotypes.sites import Sites
from dnagpt_hf.haplotypes.statistics.frequencies import Floats, allele_frequencies, varies
from dnagpt_hf.haplotypes.statistics.metrics import metric

NUM_BINS = 50
"""Bins of distance between two sites (paper, Fig. 6g)."""

PIXELS = 300
"""Rows and columns of the image of an LD matrix; a pixel is the mean over its pairs of sites."""

CELLS = 50
"""Rows and columns of the table of real against other r²."""

_BLOCK = 512

Block = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SetLinkage:
    """Linkage disequilibrium of one set and its difference to the real one.

    Args:
        correlation: Pearson's r between the r² of all pairs of sites (paper, Fig. 5b).
        mean: mean r² over all pairs.
        mean_difference: mean of r² minus real r²; below 0 where linkage is too weak.
        root_mean_square: root of the mean squared difference.
        decay: mean r² in each bin of distance, NaN in an empty one, `(bins,)`; `None` if positions
            are not known.
        decay_difference: mean absolute difference of the decay to the real one, over the bins.
        picture: r² as an image, `(pixels, pixels)`.
        cells: pairs of sites by real r² (rows) and r² (columns), `(CELLS, CELLS)`.
    """

    correlation: float = field(
        metadata=metric(
            "linkage r² of all pairs of sites: r ↑",
            published={"GAN": 0.92, "RBM": 0.94, "DNAGPT": 0.98},
        )
    )
    mean: float
    mean_difference: float = field(metadata=metric("linkage r²: mean difference (0)", digits=4))
    root_mean_square: float
    decay: Floats | None
    decay_difference: float = field(
        metadata=metric("linkage decay over distance: mean difference ↓", digits=4)
    )
    picture: Floats = field(repr=False)
    cells: NDArray[np.int64] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Linkage:
    """Linkage disequilibrium of real haplotypes and other sets, at the same sites.

    Args:
        sites: mask of the sites that vary in every set, `(sites,)`.
        edges: edges of the bins of distance in bp, `(bins + 1,)`; `None` if positions are not
            known, or no two sites lie on the same chromosome.
        pairs: pairs of sites in each bin, `(bins,)`.
        real: the real set beside itself.
        others: the other sets by name.
    """

    sites: NDArray[np.bool_]
    edges: Floats | None
    pairs: NDArray[np.int64]
    real: SetLinkage
    others: dict[str, SetLinkage]


def compare_linkage(
    real: Alleles,
    others: Mapping[str, Alleles],
    sites: Sites | None = None,
    *,
    block: int = _BLOCK,
) -> Linkage | None:
    """Compare the linkage disequilibrium of several sets with that of real haplotypes.

    Args:
        real: `(haplotypes, sites)`.
        others: sets over the same sites, by name.
        sites: positions of the sites; without them there is no decay with distance.
        block: sites of a block.

    Returns:
        [`Linkage`], or `None` if fewer than two sites vary in every set.
    """
    kept = np.logical_and.reduce([varies(one) for one in (real, *others.values())])
    number = int(kept.sum())
    if number < 2:
        return None
    sites = None if sites is None else sites.take(kept)
    edges = None if sites is None else _bin_edges(sites)
    sums = [_Sums(one[:, kept], number) for one in (real, *others.values())]
    pairs = np.zeros(NUM_BINS + 1, np.int64)
    for start in range(0, number, block):
        rows = slice(start, min(start + block, number))
        bins = None
        if sites is not None and edges is not None:
            bins = _bins_of_pairs(sites, rows, edges)
            pairs += np.bincount(bins, minlength=NUM_BINS + 1)
        of_real = sums[0].r_squared(rows)
        for one in sums:
            one.add(rows, of_real if one is sums[0] else one.r_squared(rows), of_real, bins)
    real_sums, pairs = sums[0], pairs[:NUM_BINS]
    results = [one.result(real_sums, None if edges is None else pairs) for one in sums]
    return Linkage(kept, edges, pairs, results[0], dict(zip(others, results[1:], strict=True)))


def _bin_edges(sites: Sites) -> Floats | None:
    """Space the edges of the bins on a logarithmic scale; `None` without two sites to a chromosome.

    The bins reach from the shortest distance above 0 of two sites of a chromosome to the longest.
    """
    shortest, longest = np.inf, 0.0
    for chromosome in np.unique(sites.chromosomes):
        positions = np.sort(sites.positions[sites.chromosomes == chromosome])
        gaps = np.diff(positions)
        if (gaps > 0).any():
            shortest = min(shortest, float(gaps[gaps > 0].min()))
            longest = max(longest, float(positions[-1] - positions[0]))
    return np.geomspace(shortest, longest, NUM_BINS + 1) if longest > 0 else None


def _bins_of_pairs(sites: Sites, rows: slice, edges: Floats) -> NDArray[np.int64]:
    """Find the bin of each pair of a block, or `NUM_BINS` for what is no pair of a chromosome.

    Two records at the same position are in the first bin.
    """
    positions, chromosomes = sites.positions[rows.start :], sites.chromosomes[rows.start :]
    size = rows.stop - rows.start
    distances = np.abs(positions[:size, None] - positions)
    bins = np.searchsorted(edges[1:-1], distances, side="right")
    bins[chromosomes[:size, None] != chromosomes] = NUM_BINS
    bins[np.tril_indices(size)] = NUM_BINS
    return bins.ravel()


class _Sums:
    """Sums over the blocks of r² of one set."""

    def __init__(self, alleles: Alleles, number: int) -> None:
        self.alleles, self.number = alleles, number
        self.sum = self.square = self.product = self.squared_difference = 0.0
        self.in_bins = np.zeros(NUM_BINS + 1)
        self.cells = np.zeros(CELLS * CELLS, np.int64)
        # 0/1 matrix of the sites of each pixel, `(sites, pixels)`
        pixels = min(PIXELS, number)
        pixel = np.arange(number) * pixels // number
        self.pixels: Block = (pixel[:, None] == np.arange(pixels)).astype(np.float32)
        self.picture = np.zeros((pixels, pixels))

    def r_squared(self, rows: slice) -> Block:
        """Compute r² of a block of sites with all sites from its start on: `(rows, columns)`.

        It is 0 below and on the diagonal of the matrix, so that each pair counts once.
        """
        alleles = self.alleles[:, rows.start :]
        frequencies = allele_frequencies(alleles)
        # columns of mean 0 and length 1
        scaled = np.subtract(alleles, frequencies, dtype=np.float32)
        lengths = np.sqrt(len(alleles) * frequencies * (1 - frequencies))
        scaled *= (1 / lengths).astype(np.float32)
        values: Block = scaled[:, : rows.stop - rows.start].T @ scaled
        # rounding may lead beyond 1
        return np.triu(np.minimum(np.square(values, out=values), 1, out=values), 1)

    def add(self, rows: slice, values: Block, real: Block, bins: NDArray[np.int64] | None) -> None:
        """Add a block to the sums."""
        self.sum += _total("ij->i", values)
        self.square += _total("ij,ij->i", values, values)
        self.product += _total("ij,ij->i", values, real)
        difference = values - real
        self.squared_difference += _total("ij,ij->i", difference, difference)
        cells = (real * (CELLS - 1e-3)).astype(np.int32) * CELLS
        cells += (values * (CELLS - 1e-3)).astype(np.int32)
        self.cells += np.bincount(cells.ravel(), minlength=CELLS * CELLS)
        if bins is not None:
            self.in_bins += np.bincount(bins, values.ravel(), NUM_BINS + 1)
        self.picture += self.pixels[rows].T @ values @ self.pixels[rows.start :]

    def result(self, real: _Sums, pairs_in_bins: NDArray[np.int64] | None) -> SetLinkage:
        pairs = self.number * (self.number - 1) // 2
        decay, difference = None, np.nan
        if pairs_in_bins is not None:
            decay, real_decay = (
                _quotient(one.in_bins[:NUM_BINS], pairs_in_bins) for one in (self, real)
            )
            difference = float(np.nanmean(np.abs(decay - real_decay)))
        cells = self.cells.copy()
        # the zeros on and below the diagonal, which are no pairs
        cells[0] -= cells.sum() - pairs
        counts = self.pixels.sum(axis=0)
        return SetLinkage(
            correlation=self._correlation(real, pairs),
            mean=self.sum / pairs,
            mean_difference=(self.sum - real.sum) / pairs,
            root_mean_square=float(np.sqrt(self.squared_difference / pairs)),
            decay=decay,
            decay_difference=difference,
            picture=_quotient(
                self.picture + self.picture.T, np.outer(counts, counts) - np.diag(counts)
            ),
            cells=cells.reshape(CELLS, CELLS),
        )

    def _correlation(self, real: _Sums, pairs: int) -> float:
        covariance = self.product / pairs - self.sum * real.sum / pairs**2
        variances = [one.square / pairs - (one.sum / pairs) ** 2 for one in (self, real)]
        if min(variances) <= 0:
            return float("nan")
        return float(np.clip(covariance / np.sqrt(variances[0] * variances[1]), -1, 1))


def _total(subscripts: str, *blocks: Any) -> float:
    """Sum over a block: rows in float32, the rest in float64, which is exact enough and fast."""
    return float(np.einsum(subscripts, *blocks).sum(dtype=np.float64))


def _quotient(sums: Floats, numbers: NDArray[Any]) -> Floats:
    """Divide sums by numbers; NaN where there is none."""
    return np.divide(sums, numbers, out=np.full_like(sums, np.nan), where=numbers > 0)
