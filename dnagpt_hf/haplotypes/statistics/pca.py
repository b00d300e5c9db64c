"""Principal components of real haplotypes and another set together, from their distances.

The squared Euclidean distance of two rows of 0 and 1 is the number of sites at which they differ.
With the distances D and the centering matrix J, principal components are the leading eigenvectors
of -JDJ/2, scaled by the roots of their eigenvalues (classical scaling; Torgerson, 1952; Gower,
1966), which is kernel PCA with the kernel -D/2. So the distances, which are needed anyway, replace
another pass over the alleles.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.stats import wasserstein_distance
from sklearn.decomposition import KernelPCA

from dnagpt_hf.haplotypes.statistics.distances import DistanceBlocks
from dnagpt_hf.haplotypes.statistics.frequencies import Floats
from dnagpt_hf.haplotypes.statistics.metrics import metric

NUM_COMPONENTS = 6
"""Components that the paper shows and measures (Fig. 4a)."""

# up to this number of haplotypes, all eigenvectors in float64 take no time
_SMALL = 400
_TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class PCAComparison:
    """Two sets on the principal components of both together.

    Args:
        wasserstein: Wasserstein distance of the two sets on each component, `(components,)`.
        mean: mean of these distances, as in Yelmen et al. (2021).
        sum: their sum.
        explained: share of the variance on each component, `(components,)`.
        real: scores of the real set, `(real, components)`.
        other: scores of the other set, `(other, components)`.
    """

    wasserstein: Floats
    mean: float = field(
        metadata=metric(
            "principal components 1 to 6: mean Wasserstein distance ↓",
            published={"GAN": 1.753, "RBM": 3.432, "DNAGPT": 1.131},
        )
    )
    sum: float = field(metadata=metric("principal components 1 to 6: sum ↓"))
    explained: Floats
    real: Floats = field(repr=False)
    other: Floats = field(repr=False)


def compare_pca(distances: DistanceBlocks, num_components: int = NUM_COMPONENTS) -> PCAComparison:
    """Compute principal components of two sets together, and their distance on each.

    Args:
        distances: within and between both sets.
        num_components: number of components; beyond the rank of the data, scores are 0.
    """
    kernel = np.block([[distances.real, distances.between], [distances.between.T, distances.other]])
    size, num_real = len(kernel), len(distances.real)
    is_small = size <= max(_SMALL, 2 * num_components)
    # float32 keeps the kernel of 10,000 haplotypes at 400 MB
    kernel = kernel.astype(np.float64 if is_small else np.float32, copy=False)
    kernel *= -0.5
    # the trace of the centered kernel, whose diagonal was 0 before
    total_variance = -kernel.sum(dtype=np.float64) / size
    found = min(num_components, size)
    pca = KernelPCA(
        found,
        kernel="precomputed",
        eigen_solver="dense" if is_small else "arpack",
        tol=0 if is_small else _TOLERANCE,
        copy_X=False,
        random_state=0,
    )
    scores = np.zeros((size, num_components))
    scores[:, :found] = pca.fit_transform(kernel)
    explained = np.zeros(num_components)
    if total_variance > 0:
        explained[:found] = pca.eigenvalues_ / total_variance
    # the sign of a component is arbitrary: the skewness of the real scores is made positive
    scores *= np.where((scores[:num_real] ** 3).sum(axis=0) < 0, -1, 1)
    real, other = scores[:num_real], scores[num_real:]
    apart = score_wasserstein(real, other)
    return PCAComparison(apart, float(apart.mean()), float(apart.sum()), explained, real, other)


def score_wasserstein(first: Floats, second: Floats) -> Floats:
    """Compute the Wasserstein distance of two sets of scores on each component: `(components,)`."""
    pairs = zip(first.T, second.T, strict=True)
    return np.asarray([wasserstein_distance(one, other) for one, other in pairs])
