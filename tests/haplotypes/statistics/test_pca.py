"""Principal components of two sets together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from haplotype_sets import make_haplotypes

from dnagpt_hf.haplotypes.statistics.distances import DistanceBlocks, haplotype_distances
from dnagpt_hf.haplotypes.statistics.pca import compare_pca

stats = pytest.importorskip("scipy.stats")


def blocks(real: Any, other: Any) -> DistanceBlocks:
    return DistanceBlocks(
        haplotype_distances(real), haplotype_distances(real, other), haplotype_distances(other)
    )


def plain_scores(real: Any, other: Any, number: int = 6) -> tuple[Any, Any]:
    """Scores by a singular value decomposition of the centered alleles, and shares of variance."""
    both = np.concatenate([real, other]).astype(float)
    left, values, _ = np.linalg.svd(both - both.mean(axis=0), full_matrices=False)
    return left[:, :number] * values[:number], (values**2 / (values**2).sum())[:number]


# all eigenvectors at once in float64, and the leading ones alone in float32
@pytest.mark.parametrize(("individuals", "tolerance"), [(40, 1e-9), (150, 1e-3)])
def test_components_are_those_of_the_alleles(individuals: int, tolerance: float) -> None:
    real = make_haplotypes(individuals, seed=1).alleles
    other = make_haplotypes(individuals - 10, seed=2).alleles
    found = compare_pca(blocks(real, other))
    scores, explained = plain_scores(real, other)
    assert found.explained == pytest.approx(explained, rel=tolerance)
    both = np.concatenate([found.real, found.other])
    signs = np.sign((both * scores).sum(axis=0))
    assert both * signs == pytest.approx(scores, abs=tolerance)
    expected = [
        stats.wasserstein_distance(scores[: len(real), i], scores[len(real) :, i]) for i in range(6)
    ]
    assert found.wasserstein == pytest.approx(expected, rel=tolerance)
    assert found.mean == pytest.approx(np.mean(expected), rel=tolerance)
    assert found.sum == pytest.approx(np.sum(expected), rel=tolerance)


def test_components_agree_with_scikit_allel() -> None:
    allel = pytest.importorskip("allel")
    real, other = make_haplotypes(40, seed=1).alleles, make_haplotypes(30, seed=2).alleles
    found = compare_pca(blocks(real, other))
    both = np.concatenate([real, other])
    # it keeps the precision that it is given
    scores, _ = allel.pca(both.T.astype(float), n_components=6, scaler=None)
    ours = np.concatenate([found.real, found.other])
    assert np.abs(ours) == pytest.approx(np.abs(scores), abs=1e-3)


def test_same_input_gives_the_same_components() -> None:
    real, other = make_haplotypes(150, seed=1).alleles, make_haplotypes(150, seed=2).alleles
    first, second = (compare_pca(blocks(real, other)) for _ in range(2))
    assert (first.real == second.real).all()
    # the direction does not depend on which set stands beside the real one
    third = compare_pca(blocks(real, real))
    assert (np.corrcoef(first.real[:, 0], third.real[:, 0])[0, 1]) > 0.9
    assert third.wasserstein == pytest.approx(np.zeros(6), abs=1e-3)


def test_fewer_dimensions_than_components() -> None:
    real = np.asarray([[0, 0], [1, 1], [0, 1]], np.uint8)
    found = compare_pca(blocks(real, real[:2]))
    assert found.real.shape == (3, 6)
    assert found.real[:, 2:] == pytest.approx(np.zeros((3, 4)), abs=1e-6)
    assert found.explained.sum() == pytest.approx(1)
    same = compare_pca(blocks(real[:1].repeat(3, 0), real[:1].repeat(2, 0)))
    assert same.mean == 0 and not same.explained.any()
