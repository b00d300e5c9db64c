"""Principal components of real haplotypes and others together, from the distances between them.

The squared Euclidean distance of two rows of 0 and 1 is the number of places at which they differ.
Principal components of centred rows follow from these distances alone: with the distances D and the
centring matrix J they are the leading eigenvectors of -JDJ/2, scaled by the roots of their
eigenvalues (classical scaling; Torgerson, 1952; Gower, 1966). The distances are there already, so
that no second pass over the alleles is needed, and the components are exact, not randomised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.haplotypes.statistics.distances import DistanceBlocks
from dnagpt_hf.haplotypes.statistics.frequencies import Floats

NUM_COMPONENTS = 6
"""Components that the paper shows and measures (Fig. 4a)."""

# up to here all eigenvectors at once take no time
_SMALL = 400
_TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class PCAComparison:
    """Where two sets lie on the principal components of both together.

    Args:
        wasserstein: Wasserstein distance of the two sets on each component, `(components,)`.
        explained: share of the variance that lies on each component, `(components,)`.
        real: scores of the real set, `(real, components)`.
        other: scores of the other set, `(other, components)`.
    """

    wasserstein: Floats
    explained: Floats
    real: Floats
    other: Floats

    @property
    def mean(self) -> float:
        """Mean of the distances over the components, as Yelmen et al. (2021) average them."""
        return float(self.wasserstein.mean())

    @property
    def sum(self) -> float:
        """Sum of the distances over the components."""
        return float(self.wasserstein.sum())


def compare_pca(distances: DistanceBlocks, num_components: int = NUM_COMPONENTS) -> PCAComparison:
    """Principal components of two sets together, and how far the sets lie apart on each.

    Args:
        distances: within and between both sets.
        num_components: how many components; beyond the rank of the data, scores are 0.

    Raises:
        ImportError: scipy is not installed.
    """
    values, vectors, total = _eigen(distances, num_components)
    scores = vectors * np.sqrt(values)
    # either direction of a component would do: the one in which real scores are skewed is taken
    scores *= np.where((scores[: len(distances.real)] ** 3).sum(axis=0) < 0, -1, 1)
    real, other = scores[: len(distances.real)], scores[len(distances.real) :]
    explained = values / total if total > 0 else np.zeros(num_components)
    return PCAComparison(score_wasserstein(real, other), explained, real, other)


def score_wasserstein(first: Floats, second: Floats) -> Floats:
    """Wasserstein distance of the scores of two sets on each component: `(components,)`.

    Raises:
        ImportError: scipy is not installed.
    """
    try:
        from scipy.stats import wasserstein_distance
    except ImportError as error:
        raise ImportError(
            "principal components need scipy: pip install 'dnagpt_hf[haplotypes]'"
        ) from error
    pairs = zip(first.T, second.T, strict=True)
    return np.asarray([wasserstein_distance(one, other) for one, other in pairs])


class _Centred:
    """The matrix -JDJ/2 of both sets, as something to multiply a vector with."""

    def __init__(self, distances: DistanceBlocks) -> None:
        self.blocks = distances
        self.split = len(distances.real)
        self.size = self.split + len(distances.other)

    def total_variance(self) -> float:
        """The trace: the sum of all eigenvalues."""
        blocks = self.blocks
        sums = [float(block.sum(dtype=np.float64)) for block in (blocks.real, blocks.other)]
        between = float(blocks.between.sum(dtype=np.float64))
        return (sum(sums) + 2 * between) / (2 * self.size)

    def multiply(self, vector: NDArray[Any]) -> Floats:
        """The product with one vector: `(haplotypes,)`."""
        centred = np.asarray(vector, np.float64).ravel()
        centred = (centred - centred.mean()).astype(np.float32)
        first, second = centred[: self.split], centred[self.split :]
        product = np.concatenate(
            [
                self.blocks.real @ first + self.blocks.between @ second,
                first @ self.blocks.between + self.blocks.other @ second,
            ]
        ).astype(np.float64)
        return -0.5 * (product - product.mean())

    def matrix(self) -> Floats:
        """All of it: `(haplotypes, haplotypes)`."""
        blocks = self.blocks
        full = np.block([[blocks.real, blocks.between], [blocks.between.T, blocks.other]])
        full = full.astype(np.float64)
        full -= full.mean(axis=0)
        return -0.5 * (full - full.mean(axis=1, keepdims=True))


def _eigen(distances: DistanceBlocks, number: int) -> tuple[Floats, Floats, float]:
    """Leading eigenvalues, descending, their eigenvectors, and the sum of all eigenvalues."""
    centred = _Centred(distances)
    if centred.size <= max(_SMALL, 2 * number):
        values, vectors = np.linalg.eigh(centred.matrix())
    else:
        from scipy.sparse.linalg import LinearOperator, eigsh

        operator = LinearOperator(
            (centred.size, centred.size), matvec=centred.multiply, dtype=np.float64
        )
        # a start of its own, so that the same data gives the same components
        start = np.random.default_rng(0).standard_normal(centred.size)
        values, vectors = eigsh(operator, k=number, which="LA", v0=start, tol=_TOLERANCE)
    order = np.argsort(values)[::-1][:number]
    found = np.zeros(number)
    found[: len(order)] = values[order].clip(0)
    basis = np.zeros((centred.size, number))
    basis[:, : len(order)] = vectors[:, order]
    return found, basis, centred.total_variance()
