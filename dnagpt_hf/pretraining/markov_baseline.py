"""Models of DNA without a network, to compare losses with."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.genomes.bases import Bases

UNIFORM_LOSS = float(np.log(4))
"""Nats per base of a model that knows nothing."""

_CODES = np.full(256, -1, dtype=np.int64)
_CODES[np.frombuffer(b"ACGT", dtype=np.uint8)] = np.arange(4)


class MarkovModel:
    """Frequencies of (order + 1)-mers, smoothed by those of shorter ones.

    The probability of a base behind a context of k bases is
    `(count + concentration * p) / (total + concentration)`, where p is its probability behind the
    last k - 1 of them, and at k = 0 one quarter. Where fewer than `order` bases precede, at the
    start and behind an N, as many are used as there are.

    Args:
        order: bases in the longest context.
        concentration: how many observations the shorter context counts for.

    Raises:
        ValueError: order is negative or above 12, or concentration is not positive.

    Example:

        >>> bases = np.frombuffer(b"ACACACACACAC", dtype=np.uint8)
        >>> model = MarkovModel(order=1).fit([bases])
        >>> bool(model.losses(bases).mean() < UNIFORM_LOSS)
        True
    """

    def __init__(self, order: int = 5, concentration: float = 100.0) -> None:
        if not 0 <= order <= 12:
            raise ValueError(f"order {order} is not between 0 and 12")
        if not concentration > 0:
            raise ValueError(f"concentration {concentration} is not above 0")
        self.order = order
        self.concentration = concentration
        # (contexts, 4) for each order
        self.probabilities: list[NDArray[np.float64]] = []

    def fit(self, sequences: Iterable[Bases]) -> "MarkovModel":
        """Count k-mers in sequences; N, and what it is part of, does not count."""
        counts = [np.zeros((4**k, 4)) for k in range(self.order + 1)]
        for bases in sequences:
            codes = _CODES[bases]
            for k, contexts in enumerate(self._contexts(codes)):
                seen = (contexts >= 0) & (codes >= 0)
                joint = 4 * contexts[seen] + codes[seen]
                counts[k] += np.bincount(joint, minlength=4 ** (k + 1)).reshape(-1, 4)
        shorter = np.full((1, 4), 0.25)
        self.probabilities = []
        for count in counts:
            # the first base of a context is its most significant digit
            prior = np.tile(shorter, (len(count) // len(shorter), 1))
            total = count.sum(1, keepdims=True)
            shorter = (count + self.concentration * prior) / (total + self.concentration)
            self.probabilities.append(shorter)
        return self

    def losses(self, bases: Bases) -> NDArray[np.float64]:
        """Negative log-probability of each base in nats, given those before it; NaN for N.

        Raises:
            ValueError: the model has not been fitted.
        """
        if not self.probabilities:
            raise ValueError("the Markov model has no frequencies yet: call fit first")
        codes = _CODES[bases]
        likelihoods = np.full(len(codes), np.nan)
        for probabilities, contexts in zip(self.probabilities, self._contexts(codes), strict=True):
            known = (contexts >= 0) & (codes >= 0)
            likelihoods[known] = probabilities[contexts[known], codes[known]]
        return -np.log(likelihoods)

    def _contexts(self, codes: NDArray[np.int64]) -> Iterable[NDArray[np.int64]]:
        """For each order the number of the context before every base, -1 where there is none."""
        contexts = np.zeros_like(codes)
        yield contexts
        for k in range(1, self.order + 1):
            # the base k places back becomes the most significant digit
            longer = np.full_like(codes, -1)
            first, rest = codes[: len(codes) - k], contexts[k:]
            known = (first >= 0) & (rest >= 0)
            longer[k:][known] = first[known] * 4 ** (k - 1) + rest[known]
            contexts = longer
            yield contexts
