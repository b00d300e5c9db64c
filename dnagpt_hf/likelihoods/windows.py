"""Windows of a reference genome, and alternative haplotypes in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dnagpt_hf.likelihoods.alleles import Haplotypes, Note
from dnagpt_hf.likelihoods.kmers import KmerModel
from dnagpt_hf.likelihoods.settings import VariantSettings
from dnagpt_hf.likelihoods.strands import Array, Strand, digits_of

# Alternatives that are read together. Neighbors must not change a bit of a score: kernels of a
# processor round the rows of a product by their place in it, so that one is read at a time, and
# those of an accelerator by the shape of the product alone, which is fixed.
_TOGETHER, _TOGETHER_ON_ACCELERATOR = 1, 8
_MASKED_ATTENTION = ("sdpa", "eager")


class WindowGrid:
    """Windows of all phases: in phase f they start at `f + i * stride`, in bases, for i = 0, 1, …

    Attributes:
        window, stride, right: lengths in k-mers.
        phases: number of phases.
        together: alternatives that are read together.
    """

    def __init__(self, kmers: KmerModel, settings: VariantSettings) -> None:
        self.kmers = kmers
        self.settings = settings
        k = kmers.kmer_size
        self.phases = k if settings.phases == "all" else 1
        is_processor = kmers.model.device.type == "cpu"
        self.together = _TOGETHER if is_processor else _TOGETHER_ON_ACCELERATOR
        self.window, self.stride, self.right = (
            bases // k for bases in (settings.window, settings.stride, settings.right)
        )
        if self.stride < 1 or self.right < 0 or self.window < self.stride + self.right:
            raise ValueError(
                f"a window of {settings.window} bases, a stride of {settings.stride} and "
                f"{settings.right} bases on the right do not fit: the stride has {k} bases or more "
                "(one k-mer), and the window those of the other two or more"
            )
        if self.window > kmers.max_kmers:
            raise ValueError(
                f"a window of {settings.window:,} bases exceeds the model's {kmers.max_kmers:,} "
                f"positions: give {kmers.max_kmers * k:,} or less"
            )

        attention = kmers.model.config._attn_implementation
        if settings.mode == "full" and attention not in _MASKED_ATTENTION:
            raise ValueError(
                f"{attention} attention takes no mask of its own for each allele: load the model "
                f"with attention {' or '.join(_MASKED_ATTENTION)}"
            )

    @property
    def left(self) -> int:
        """Fewest k-mers of a window before the one in which haplotypes differ, at i > 0."""
        return self.window - self.right - self.stride

    def indices(self, haplotypes: Haplotypes) -> Array:
        """Find the window of each phase for two haplotypes, `(phases,)`."""
        k = self.kmers.kmer_size
        before = haplotypes.first_difference - np.arange(self.phases) - self.left * k
        found: Array = (before // (self.stride * k)).clip(0)
        return found

    def note(self, haplotypes: Haplotypes) -> Note | None:
        """Find the reason for which alleles are not compared."""
        longest = max(len(haplotypes.ref), len(haplotypes.alt))
        if self.settings.mode == "full":
            return "too_long" if longest > self.settings.window else None
        return None if haplotypes.is_single_base or not longest else "too_long"


class ReferenceWindow:
    """A window of the reference in all phases, with all that is computed of it once.

    Args:
        grid: windows and model.
        strand: a strand of a contig.
        index: number of the window.
    """

    def __init__(self, grid: WindowGrid, strand: Strand, index: int) -> None:
        self.grid, self.index = grid, index
        model, k = grid.kmers, grid.kmers.kmer_size
        self.start = index * grid.stride * k
        # an insertion at the end of a strand may lie behind all of its bases
        self.count = max(1, min(grid.window, -(-(len(strand) - self.start) // k)))
        # (phases, count, k)
        kmers = strand.kmers(self.start, self.count, k, grid.phases)
        is_full = grid.settings.mode == "full"
        self.states, self.cache = model.read(kmers, use_cache=is_full)
        # (phases, count, k, 4), and (phases, count + right): k-mers behind the end are missing
        self.bases = np.full((*kmers.shape, 4), np.nan)
        self.reference = np.full((grid.phases, self.count + grid.right), np.nan)
        scored = max(model.first, grid.left if index else 0)
        if scored < self.count:
            of_bases = model.base_log_probabilities(
                self.states[:, scored - model.first :], kmers[:, scored:]
            )
            self.bases[:, scored:] = of_bases
            digits = digits_of(kmers[:, scored:]).clip(0)[..., None]
            # the bases of a k-mer add up to its log-probability
            found = np.take_along_axis(of_bases, digits, -1).sum((-2, -1))
            self.reference[:, scored : self.count] = found

    def compare(self, haplotypes: Sequence[Haplotypes]) -> tuple[Array, Array]:
        """Compare up to `grid.together` alternative haplotypes with the reference.

        Returns:
            The log-likelihood ratios `(haplotypes, phases)`, and log p(ref base) and
            log p(alt base) `(haplotypes, phases, 2)` of single bases. NaN in phases in which the
            window is not that of the haplotype, or without context.
        """
        number = len(haplotypes)
        whole = [*haplotypes, *[haplotypes[0]] * (self.grid.together - number)]
        k = self.grid.kmers.kmer_size
        phases = np.arange(self.grid.phases)
        # (together, phases): bases of the window before the first difference
        before = np.array([one.first_difference for one in whole])[:, None] - self.start - phases
        is_inside = (before >= 0) & (before < self.count * k)
        is_inside &= np.stack([self.grid.indices(one) for one in whole]) == self.index
        places = np.where(is_inside, before // k, 0)
        bases = np.full((*places.shape, 2), np.nan)
        for row, one in enumerate(whole):
            if one.is_single_base:
                found = self.bases[phases, places[row], before[row] % k]
                bases[row] = found[:, digits_of(np.frombuffer(one.ref + one.alt, np.uint8))]
        bases[~is_inside] = np.nan
        ratios = np.full(places.shape, np.nan)
        if self.cache is not None:
            ratios = np.where(is_inside, self._ratios(whole, places), np.nan)
        return ratios[:number], bases[:number]

    def _ratios(self, haplotypes: Sequence[Haplotypes], places: Array) -> Array:
        """Sum the differences of the log-probabilities of k-mers, from those at `places` on."""
        model, k = self.grid.kmers, self.grid.kmers.kmer_size
        phases, right = self.grid.phases, self.grid.right
        starts = self.start + np.arange(phases) + places * k
        # (together, phases, 1 + right, k)
        kmers = np.stack(
            [
                one.alternative(start, start + (1 + right) * k)
                for one, row in zip(haplotypes, starts.tolist(), strict=True)
                for start in row
            ]
        ).reshape(*places.shape, 1 + right, k)
        alternative = np.full(kmers.shape[:-1], np.nan)
        # the first k-mer has the same k-mers before it on both haplotypes
        row = np.arange(phases)
        states = self.states[row, (places - model.first).clip(0)]
        first = model.kmer_log_probabilities(states, kmers[:, :, 0])
        alternative[:, :, 0] = np.where(places >= model.first, first, np.nan)
        if right:
            behind = model.read_behind(
                self.cache, kmers[:, :, :-1].reshape(-1, right, k), places.ravel()
            ).unflatten(0, places.shape)
            for number, states in enumerate(behind):
                found = model.kmer_log_probabilities(states, kmers[number, :, 1:])
                alternative[number, :, 1:] = found
        columns = places[..., None] + np.arange(1 + right)
        differences = alternative - self.reference[row[:, None], columns]
        is_missing = np.isnan(differences)
        sums: Array = np.where(is_missing, 0.0, differences).sum(-1)
        return np.where(is_missing.all(-1), np.nan, sums)
