"""Log-probabilities of the bases of sequences, on both strands and in all phases of the k-mers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dnagpt_hf.genomes.bases import Bases
from dnagpt_hf.likelihoods.kmers import KmerModel
from dnagpt_hf.likelihoods.settings import ScoreSettings
from dnagpt_hf.likelihoods.strands import Array, Strand, digits_of

if TYPE_CHECKING:
    from dnagpt_hf.genomes.contigs import Contig, ContigPart
    from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

# bases whose probabilities are in memory at a time
_BLOCK = 1 << 18


@dataclass(frozen=True)
class BaseScores:
    """Log-probabilities of a part of a sequence.

    Args:
        start: its first base, from 0.
        bases: its bases on the forward strand, uint8 `(bases,)`.
        strands: for `"forward"` and `"reverse"`, or one of them, log p in nats of the four bases
            given all before in the direction of the strand, float64 `(bases, 4)` in the order A, C,
            G, T of the forward strand; NaN where they are missing.
    """

    start: int
    bases: Bases
    strands: dict[str, Array]

    @property
    def log_probabilities(self) -> Array:
        """Mean over the strands, `(bases, 4)`; NaN where it is missing on one of them."""
        mean: Array = np.mean(list(self.strands.values()), axis=0)
        return mean

    def of_bases(self, log_probabilities: Array) -> Array:
        """Pick the log-probability of the base that stands at each position, `(bases,)`."""
        digits = digits_of(self.bases)
        found: Array = log_probabilities[np.arange(len(digits)), digits]
        return np.where(digits < 0, np.nan, found)


class SequenceScorer:
    """Computes log p(base | all before) for the bases of sequences.

    In phase f = 0 … k − 1 a sequence is cut into k-mers from base f on. All phases and both strands
    of L bases cost 2 L positions of the model, and 2 L window / stride where windows overlap.

    Args:
        model: the model, in evaluation mode.
        tokenizer: its tokenizer.
        settings: definition of the log-probabilities.

    Attributes:
        strands: names of the strands that are read.

    Raises:
        ValueError: the settings do not fit the model.
    """

    def __init__(
        self, model: DNAGPTForMultiTask, tokenizer: DNAGPTTokenizer, settings: ScoreSettings
    ) -> None:
        self.kmers = KmerModel(
            model, tokenizer, species=settings.species, normalize=settings.normalize
        )
        self.settings = settings
        self._of_species = {settings.species: self}
        k, most = self.kmers.kmer_size, self.kmers.max_kmers
        if settings.remainder == "segment" and not tokenizer.dynamic_kmer and k > 1:
            raise ValueError(
                "a fixed vocabulary has no tokens for the ends of segments: choose remainder prefix"
            )
        self.phases = k if settings.phases == "all" else 1
        strand = settings.strand
        self.strands = ["forward", "reverse"] if strand == "both" else [strand]
        # in k-mers
        self.window = most if settings.window is None else settings.window // k
        self.stride = max(1, self.window // 2) if settings.stride is None else settings.stride // k
        if not 1 <= self.stride <= self.window <= most:
            raise ValueError(
                f"a window of {self.window * k:,} bases with a stride of {self.stride * k:,} does "
                f"not fit: the model reads {most * k:,} bases at most, and a stride has {k} or more"
            )

    def of_species(self, species: str) -> SequenceScorer:
        """Return the scorer with the same settings for another species."""
        if species not in self._of_species:
            settings = replace(self.settings, species=species)
            scorer = SequenceScorer(self.kmers.model, self.kmers.tokenizer, settings)
            self._of_species[species] = scorer
        return self._of_species[species]

    def blocks(
        self,
        sequence: Contig | ContigPart | Bases,
        start: int = 0,
        end: int | None = None,
    ) -> Iterator[BaseScores]:
        """Score a part of a sequence in the light of all of it, block by block.

        Args:
            sequence: a contig, or an array of bases.
            start: first base to score.
            end: end of the bases to score, excluded; by default that of the sequence.

        Raises:
            ValueError: the model's output is not finite.
        """
        length = len(sequence)
        end = length if end is None else end
        for first in range(start, end, _BLOCK):
            behind = min(end, first + _BLOCK)
            strands = {}
            if "forward" in self.strands:
                strands["forward"] = self._scores(Strand(sequence), first, behind)
            if "reverse" in self.strands:
                mirrored = Strand(sequence, is_reverse=True)
                # A, C, G, T backwards are their complements
                found = self._scores(mirrored, length - behind, length - first)[::-1, ::-1]
                strands["reverse"] = found
            yield BaseScores(first, sequence[first:behind], strands)

    def _scores(self, strand: Strand, start: int, end: int) -> Array:
        """Compute the log-probabilities of the four bases, float64 `(end - start, 4)`."""
        k = self.kmers.kmer_size
        total, count = np.zeros((end - start, 4)), np.zeros((end - start, 1), np.int64)
        first = self._window_of(max(0, start - self.phases + 1) // k)
        for index in range(first, self._window_of((end - 1) // k) + 1):
            begin, of_phases = self._window_scores(strand, index)
            for phase, scores in enumerate(of_phases):
                # the bases of a phase that lie in the part
                low = max(start, begin + phase)
                high = max(low, min(end, begin + phase + len(scores)))
                found = scores[low - begin - phase : high - begin - phase]
                known = ~np.isnan(found[:, :1])
                total[low - start : high - start] += np.where(known, np.exp(found), 0.0)
                count[low - start : high - start] += known
        with np.errstate(divide="ignore", invalid="ignore"):
            mixed: Array = np.log(total / count)
        return mixed

    def _window_of(self, kmer: int) -> int:
        """Find the window in which a k-mer is scored."""
        return 0 if kmer < self.window else (kmer - self.window) // self.stride + 1

    def _window_scores(self, strand: Strand, index: int) -> tuple[int, Array]:
        """Score the k-mers of a window, and of all but the first the last `stride` ones.

        Returns:
            The first base of the first phase, and `(phases, bases, 4)`.
        """
        k, start = self.kmers.kmer_size, index * self.stride
        count = min(self.window, -(-len(strand) // k) - start)
        # (phases, count, k)
        kmers = strand.kmers(start * k, count, k, self.phases)
        states, _ = self.kmers.read(kmers)
        scored = max(self.kmers.first, self.window - self.stride if index else 0)
        states, kmers = states[:, scored - self.kmers.first :], kmers[:, scored:]
        if not states.shape[1]:
            return 0, np.empty((self.phases, 0, 4))
        scores = self.kmers.base_log_probabilities(states, kmers)
        last, rest = divmod(len(strand), k)
        last -= start + scored
        if self.settings.remainder == "segment" and rest and 0 <= last < kmers.shape[1]:
            segment = self.kmers.segment_log_probabilities(states[0, last], kmers[0, last, :rest])
            scores[0, last, :rest] = segment
        return (start + scored) * k, scores.reshape(self.phases, -1, 4)
