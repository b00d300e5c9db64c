"""Linkage disequilibrium: the squared correlation r² of the alleles at two sites.

All sets are read together, block by block of sites: a block of r² is one matrix product, whose
sums are accumulated. The matrices of all r², 400 MB for each set of 10,000 sites, are never in
memory.

Sites that are fixed in one of the sets have no r² there. They are left out of all sets, as in the
paper (Fig. 6g), so that every set is measured at the same pairs of sites.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.haplotypes.haplotypes import Alleles
from dnagpt_hf.haplotypes.sites import Sites
from dnagpt_hf.haplotypes.statistics.frequencies import Floats, allele_frequencies, varies

NUM_BINS = 50
"""Bins of distance between two sites (paper, Fig. 6g)."""

PIXELS = 300
"""Rows and columns of the image of an LD matrix; a pixel is the mean over its pairs of sites."""

CELLS = 50
"""Rows and columns of the table of real against other r²."""

_BLOCK = 1024

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

    correlation: float
    mean: float
    mean_difference: float
    root_mean_square: float
    decay: Floats | None
    decay_difference: float
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
    if kept.sum() < 2:
        return None
    bins = _DistanceBins(None if sites is None else sites.take(kept))
    sets = [_Accumulator(one[:, kept], bins) for one in (real, *others.values())]
    starts = range(0, int(kept.sum()), block)
    # blocks on the diagonal of the matrix and above it
    blocks = combinations_with_replacement([slice(one, one + block) for one in starts], 2)
    for rows, columns in blocks:
        numbers = bins.numbers(rows, columns)
        of_real: Block | None = None
        for one in sets:
            values = one.values(rows, columns)
            of_real = values if of_real is None else of_real
            one.add(rows, columns, values, of_real, numbers)
    real_linkage = sets[0].result(sets[0])
    results = {name: one.result(sets[0]) for name, one in zip(others, sets[1:], strict=True)}
    return Linkage(kept, bins.edges, bins.pairs, real_linkage, results)


def _standardized(alleles: Alleles) -> Block:
    """Scale columns that vary to mean 0 and length 1: `(haplotypes, sites)`."""
    frequencies = allele_frequencies(alleles)
    scale = 1 / np.sqrt(len(alleles) * frequencies * (1 - frequencies))
    columns = np.subtract(alleles, frequencies, dtype=np.float32)
    columns *= scale.astype(np.float32)
    return columns


class _DistanceBins:
    """Bins of the distance between two sites, evenly spaced on a logarithmic scale."""

    def __init__(self, sites: Sites | None) -> None:
        self.edges: Floats | None = None
        self.pairs = np.zeros(NUM_BINS, np.int64)
        if sites is None:
            return
        self.positions = sites.positions.astype(np.float64)
        self.chromosomes = np.unique(sites.chromosomes, return_inverse=True)[1]
        shortest, longest = self._extent()
        if longest > 0:
            self.low, self.span = np.log(shortest), np.log(longest) - np.log(shortest)
            self.edges = np.exp(self.low + self.span * np.arange(NUM_BINS + 1) / NUM_BINS)

    def _extent(self) -> tuple[float, float]:
        """Find the shortest and longest distance of two sites of a chromosome; 0 for none."""
        shortest, longest = np.inf, 0.0
        for chromosome in np.unique(self.chromosomes):
            positions = np.sort(self.positions[self.chromosomes == chromosome])
            gaps = np.diff(positions)
            if (gaps > 0).any():
                shortest = min(shortest, float(gaps[gaps > 0].min()))
                longest = max(longest, float(positions[-1] - positions[0]))
        return shortest, longest

    def numbers(self, rows: slice, columns: slice) -> NDArray[np.int64] | None:
        """Assign each pair of a block to a bin, or to `NUM_BINS` if it does not count."""
        if self.edges is None:
            return None
        distance = np.abs(self.positions[rows, None] - self.positions[columns])
        # two records at the same position go to the first bin
        np.maximum(distance, np.exp(self.low), out=distance)
        scale = NUM_BINS / self.span if self.span > 0 else 0.0
        numbers = ((np.log(distance) - self.low) * scale).astype(np.int64)
        np.minimum(numbers, NUM_BINS - 1, out=numbers)
        numbers[self.chromosomes[rows, None] != self.chromosomes[columns]] = NUM_BINS
        if rows == columns:
            numbers[np.tril_indices(len(numbers))] = NUM_BINS
        self.pairs += np.bincount(numbers.ravel(), minlength=NUM_BINS + 1)[:NUM_BINS]
        return numbers


class _Accumulator:
    """Sums over the blocks of r² of one set."""

    def __init__(self, alleles: Alleles, bins: _DistanceBins) -> None:
        self.alleles, self.bins = alleles, bins
        self.num_sites = alleles.shape[1]
        self.sum = self.square = self.product = self.squared_difference = 0.0
        self.in_bins = np.zeros(NUM_BINS)
        self.cells = np.zeros(CELLS * CELLS, np.int64)
        self.pixels = min(PIXELS, self.num_sites)
        self.picture = np.zeros((self.pixels, self.pixels))
        self._pixel = np.arange(self.num_sites) * self.pixels // self.num_sites
        # the last block of rows, which stays the same for many blocks of columns
        self._rows: tuple[slice, Block] | None = None

    def values(self, rows: slice, columns: slice) -> Block:
        """Compute r² of a block of pairs, 0 below and on the diagonal of the matrix."""
        if self._rows is None or self._rows[0] != rows:
            self._rows = (rows, _standardized(self.alleles[:, rows]))
        first = self._rows[1]
        second = first if rows == columns else _standardized(self.alleles[:, columns])
        values: Block = first.T @ second
        np.square(values, out=values)
        # rounding may lead beyond 1
        np.minimum(values, 1, out=values)
        return np.triu(values, 1) if rows == columns else values

    def add(
        self,
        rows: slice,
        columns: slice,
        values: Block,
        real: Block,
        numbers: NDArray[np.int64] | None,
    ) -> None:
        self.sum += _total("ij->i", values)
        self.square += _total("ij,ij->i", values, values)
        self.product += _total("ij,ij->i", values, real)
        difference = values - real
        self.squared_difference += _total("ij,ij->i", difference, difference)
        cells = (real * (CELLS - 1e-3)).astype(np.int32) * CELLS
        cells += (values * (CELLS - 1e-3)).astype(np.int32)
        self.cells += np.bincount(cells.ravel(), minlength=CELLS * CELLS)
        if numbers is not None:
            weights = values.ravel()
            self.in_bins += np.bincount(numbers.ravel(), weights, NUM_BINS + 1)[:NUM_BINS]
        (first, down), (second, across) = self._pixels_of(rows), self._pixels_of(columns)
        self.picture[first, second] += down.T @ values @ across

    def _pixels_of(self, part: slice) -> tuple[slice, Block]:
        """Find the pixels of a block of sites, and their 0/1 matrix: `(sites, pixels)`."""
        pixels = self._pixel[part]
        found = slice(int(pixels[0]), int(pixels[-1]) + 1)
        return found, (pixels[:, None] == np.arange(found.start, found.stop)).astype(np.float32)

    def result(self, real: _Accumulator) -> SetLinkage:
        pairs = self.num_sites * (self.num_sites - 1) // 2
        decay = difference = None
        if self.bins.edges is not None:
            decay, real_decay = self._decay(), real._decay()
            difference = float(np.nanmean(np.abs(decay - real_decay)))
        cells = self.cells.copy()
        # the zeros on and below the diagonal, which are no pairs
        cells[0] -= cells.sum() - pairs
        return SetLinkage(
            correlation=self._correlation(real, pairs),
            mean=self.sum / pairs,
            mean_difference=(self.sum - real.sum) / pairs,
            root_mean_square=float(np.sqrt(self.squared_difference / pairs)),
            decay=decay,
            decay_difference=float("nan") if difference is None else difference,
            picture=self._picture(),
            cells=cells.reshape(CELLS, CELLS),
        )

    def _decay(self) -> Floats:
        pairs = self.bins.pairs
        return np.divide(self.in_bins, pairs, out=np.full(NUM_BINS, np.nan), where=pairs > 0)

    def _correlation(self, real: _Accumulator, pairs: int) -> float:
        covariance = self.product / pairs - self.sum * real.sum / pairs**2
        variances = [one.square / pairs - (one.sum / pairs) ** 2 for one in (self, real)]
        if min(variances) <= 0:
            return float("nan")
        return float(np.clip(covariance / np.sqrt(variances[0] * variances[1]), -1, 1))

    def _picture(self) -> Floats:
        counts = np.bincount(self._pixel, minlength=self.pixels)
        pairs = np.outer(counts, counts) - np.diag(counts)
        both = self.picture + self.picture.T
        return np.divide(both, pairs, out=np.full_like(both, np.nan), where=pairs > 0)


def _total(subscripts: str, *blocks: Any) -> float:
    """Sum over a block: rows in float32, the rest in float64, which is exact enough and fast."""
    return float(np.einsum(subscripts, *blocks).sum(dtype=np.float64))
