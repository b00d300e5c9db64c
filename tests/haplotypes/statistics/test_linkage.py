"""Linkage disequilibrium, block by block."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from haplotype_sets import make_haplotypes, plain_linkage

from dnagpt_hf.haplotypes.statistics import linkage as module
from dnagpt_hf.haplotypes.statistics.linkage import (
    NUM_BINS,
    compare_linkage,
)


def test_r2_agrees_with_scikit_allel() -> None:
    allel = pytest.importorskip("allel")
    alleles = make_haplotypes().alleles[:, :50]
    # genotypes of 0 and 2 alternative alleles: homozygous for each haplotype
    expected = allel.rogers_huff_r(2 * alleles.T.astype(np.int8)) ** 2
    found = compare_linkage(alleles, {})
    assert found.real.mean == pytest.approx(np.nanmean(expected), abs=1e-5)


# sites of a block: one block, blocks that fit, and blocks that do not
@pytest.mark.parametrize("block", [1000, 40, 33])
@pytest.mark.parametrize("chromosomes", [1, 3])
def test_comparison_with_whole_matrices(
    monkeypatch: pytest.MonkeyPatch, block: int, chromosomes: int
) -> None:
    monkeypatch.setattr(module, "PIXELS", 25)
    real = make_haplotypes(30, seed=1, chromosomes=chromosomes)
    sets = {"a": make_haplotypes(25, seed=2).alleles, "b": make_haplotypes(20, seed=3).alleles}
    found = compare_linkage(real.alleles, sets, real.sites, block=block)
    kept = np.logical_and.reduce([np.ptp(x, axis=0) > 0 for x in (real.alleles, *sets.values())])
    assert 20 < kept.sum() < 120 and (found.sites == kept).all()
    upper = np.triu_indices(int(kept.sum()), 1)
    matrix = plain_linkage(real.alleles[:, kept])
    first = matrix[upper]
    positions = real.sites.positions[kept]
    names = real.sites.chromosomes[kept]
    distance = np.abs(positions[:, None] - positions)[upper]
    together = (names[:, None] == names)[upper]
    edges = np.geomspace(distance[together].min(), distance[together].max(), NUM_BINS + 1)
    assert found.edges == pytest.approx(edges)
    bins = np.searchsorted(edges[1:-1], distance, "right")
    assert found.pairs.tolist() == np.bincount(bins[together], minlength=NUM_BINS).tolist()
    for name, alleles in sets.items():
        other = plain_linkage(alleles[:, kept])
        second, one = other[upper], found.others[name]
        assert one.correlation == pytest.approx(np.corrcoef(first, second)[0, 1], abs=1e-5)
        assert one.mean == pytest.approx(second.mean(), abs=1e-6)
        assert one.mean_difference == pytest.approx((second - first).mean(), abs=1e-6)
        root = np.sqrt(((second - first) ** 2).mean())
        assert one.root_mean_square == pytest.approx(root, abs=1e-6)
        decay = [second[together & (bins == i)] for i in range(NUM_BINS)]
        expected = [values.mean() if len(values) else np.nan for values in decay]
        assert one.decay == pytest.approx(expected, abs=1e-5, nan_ok=True)
        assert one.cells.sum() == len(upper[0])
        cells = np.histogram2d(first, second, bins=50, range=[[0, 1], [0, 1]])[0]
        # values at the edge of a cell may fall to either side
        assert np.abs(one.cells - cells).sum() < 0.05 * len(first)
        pixel = np.arange(kept.sum()) * 25 // int(kept.sum())
        np.fill_diagonal(other, np.nan)
        for row, column in ((0, 0), (3, 17), (24, 5)):
            mean = np.nanmean(other[np.ix_(pixel == row, pixel == column)])
            assert one.picture[row, column] == pytest.approx(mean, abs=1e-5)
    differences = np.abs(found.others["a"].decay - found.real.decay)
    assert found.others["a"].decay_difference == pytest.approx(np.nanmean(differences))


def test_a_set_beside_itself() -> None:
    real = make_haplotypes()
    found = compare_linkage(real.alleles, {"copy": real.alleles}, real.sites)
    assert found.others["copy"].correlation == pytest.approx(1, abs=1e-6)
    assert found.others["copy"].root_mean_square == 0
    assert found.real.correlation == pytest.approx(1, abs=1e-6)


def test_without_positions_there_is_no_decay() -> None:
    real = make_haplotypes()
    found = compare_linkage(real.alleles, {"copy": real.alleles})
    assert found.edges is None and found.others["copy"].decay is None
    assert isnan(found.others["copy"].decay_difference)
    # every site on a chromosome of its own
    alone = make_haplotypes(sites=20, chromosomes=20)
    assert compare_linkage(alone.alleles, {}, alone.sites).edges is None


def test_sites_that_are_fixed_in_one_set_are_left_out_of_all() -> None:
    real = make_haplotypes().alleles
    other = real.copy()
    other[:, 5] = 0
    found = compare_linkage(real, {"a": other, "b": real})
    assert not found.sites[5]
    assert found.others["a"].correlation == pytest.approx(found.others["b"].correlation)
    fixed = np.zeros_like(real)
    fixed[0, 0] = 1
    assert compare_linkage(real, {"a": fixed}) is None
