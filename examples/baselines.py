"""A Markov model of bases, which a language model of DNA has to beat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.genomes.bases import Bases

UNIFORM_LOSS = float(np.log(4))
"""Nats per base of a model that gives each base the probability 1/4."""
_CODES = np.full(256, -1, dtype=np.int64)
_CODES[np.frombuffer(b"ACGT", dtype=np.uint8)] = np.arange(4)


class MarkovModel:
    """Frequencies of (order + 1)-mers, smoothed by those of shorter ones.

    The probability of a base behind a context of k bases is
    `(count + concentration * p) / (total + concentration)`, where p is its probability behind the
    last k - 1 of them, and at k = 0 one quarter. Where fewer than `order` bases precede, at the
    start and behind an N, the context is as long as they allow.

    Args:
        order: bases in the longest context.
        concentration: number of observations that the shorter context counts for.

    Raises:
        ValueError: order is negative or above 12, or concentration is not positive.

    Example:

        >>> bases = np.frombuffer(b"ACACACACACAC", dtype=np.uint8)
        >>> model = MarkovModel(order=1).fit([bases])
        >>> bool(model.losses(bases).mean() < UNIFORM_LOSS)
        True
    """

    def __init__(self, order: int = 5, concentration: float = 100.0) -> None:
        if not (0 <= order <= 12 and concentration > 0):
            raise ValueError(
                f"order {order}, concentration {concentration}: choose 0 to 12, and above 0"
            )
        self.order = order
        self.concentration = concentration

    def fit(self, sequences: Iterable[Bases]) -> MarkovModel:
        """Count k-mers in sequences; those with N are left out."""
        # (contexts, 4) for each order
        self.counts = [np.zeros((4**k, 4)) for k in range(self.order + 1)]
        for codes in (_CODES[bases] for bases in sequences):
            for count, contexts in zip(self.counts, self._contexts(codes), strict=True):
                known = (contexts >= 0) & (codes >= 0)
                kmers = 4 * contexts[known] + codes[known]
                count += np.bincount(kmers, minlength=count.size).reshape(-1, 4)
        return self.smooth(self.concentration)

    def smooth(self, concentration: float) -> MarkovModel:
        """Compute the probabilities of the counts with another concentration."""
        self.concentration = concentration
        self.probabilities: list[NDArray[np.float64]] = []
        shorter = np.full((1, 4), 0.25)
        for count in self.counts:
            # the first base of a context is its most significant digit
            prior = np.tile(shorter, (len(count) // len(shorter), 1))
            total = count.sum(1, keepdims=True)
            shorter = (count + concentration * prior) / (total + concentration)
            self.probabilities.append(shorter)
        return self

    def losses(self, bases: Bases) -> NDArray[np.float64]:
        """Compute the negative log-probability of each base in nats; NaN for N."""
        codes = _CODES[bases]
        likelihoods = np.full(len(codes), np.nan)
        for probabilities, contexts in zip(self.probabilities, self._contexts(codes), strict=True):
            known = (contexts >= 0) & (codes >= 0)
            likelihoods[known] = probabilities[contexts[known], codes[known]]
        return -np.log(likelihoods)

    def _contexts(self, codes: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Number the context before every base for each order; -1 where there is none."""
        contexts = np.zeros_like(codes)
        yield contexts
        for k in range(1, self.order + 1):
            # the base k places back becomes the most significant digit
            before = np.pad(codes, (k, 0), constant_values=-1)[: len(codes)]
            known = (contexts >= 0) & (before >= 0)
            contexts = np.where(known, before * 4 ** (k - 1) + contexts, -1)
            yield contexts
