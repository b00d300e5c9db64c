"""Log-likelihood ratios of variants in a genome.

The reference haplotype is read once for each occupied window of a grid, and its keys and values are
kept; an alternative haplotype is read from the k-mer on in which it first differs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from dnagpt_hf.likelihoods.alleles import (
    Haplotypes,
    Note,
    Variant,
    note_of_alleles,
    note_of_reference,
)
from dnagpt_hf.likelihoods.kmers import KmerModel
from dnagpt_hf.likelihoods.means import log_mean_exp, mean_of_known
from dnagpt_hf.likelihoods.settings import VariantSettings
from dnagpt_hf.likelihoods.strands import Strand
from dnagpt_hf.likelihoods.windows import ReferenceWindow, WindowGrid

if TYPE_CHECKING:
    import pandas

    from dnagpt_hf.genomes.fasta import Genome
    from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

# variants that are read ahead, so that those of a window share its reference pass
_AHEAD = 4096


@dataclass(frozen=True)
class VariantScore:
    """The score of one alternative allele.

    Args:
        variant: the allele, with the genome's name of its contig and in upper case.
        llr: log p(ALT) − log p(REF) in nats, of the haplotypes: the mean over phases, and over
            strands. None in mode `"site"`.
        site: log p(alt base) − log p(ref base) in nats given the bases before, of the mixture of
            the phases, and the mean over strands. None where the alleles differ in more than one
            base.
        note: the reason for which there is no score.
    """

    variant: Variant = field(compare=False)
    llr: float | None
    site: float | None
    note: Note | None


class VariantScores(list[VariantScore]):
    """List the scores of alleles, in their order."""

    def to_pandas(self) -> pandas.DataFrame:
        """Lay the scores out as a table.

        Returns:
            `pandas.DataFrame`: `chrom`, `pos` (from 1), `ref`, `alt`, the scores `llr` and `site`
            in nats, and `note`, with a missing value where there is none.
        """
        import pandas

        alleles = [one.variant for one in self]
        columns = {
            "chrom": [one.contig for one in alleles],
            "pos": [one.position + 1 for one in alleles],
            "ref": [one.ref for one in alleles],
            "alt": [one.alt for one in alleles],
            "llr": np.array([one.llr for one in self], float),
            "site": np.array([one.site for one in self], float),
            "note": [one.note for one in self],
        }
        return pandas.DataFrame(columns)


def score_variants(
    model: DNAGPTForMultiTask,
    tokenizer: DNAGPTTokenizer,
    genome: Genome,
    variants: Iterable[Variant],
    settings: VariantSettings,
    *,
    progress: Callable[[int], object] = lambda added: None,
) -> Iterator[VariantScore]:
    """Score variants one after the other, in their order and in bounded memory.

    A score depends on genome, variant and settings alone: all passes have fixed shapes, so that
    neither the order of the variants nor their neighbors change a bit of it on one device. Variants
    near each other share work where they are near each other in the stream.

    Args:
        model: the model, in evaluation mode.
        tokenizer: its tokenizer.
        genome: the genome, opened by [`~dnagpt_hf.open_genome`].
        variants: any number of alleles; a bounded number is read ahead.
        settings: definition of the score.
        progress: called with the number of variants of each finished block.

    Raises:
        TypeError: these are no `Variant`s.
        ValueError: the settings do not fit the model, or its output is not finite.
        GenomeError: the genome cannot be read.

    Example:

        >>> import tempfile, pathlib, dnagpt_hf
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "genome.fa"
        >>> _ = path.write_text(">chr1\\n" + "ACGTTGCATG" * 9 + "\\n")
        >>> model = dnagpt_hf.load("dnagpt-tiny")
        >>> variants = [Variant("chr1", 40, "A", "G"), Variant("chr1", 40, "T", "G")]
        >>> scores = score_variants(
        ...     model.model, model.tokenizer, dnagpt_hf.open_genome(path), variants,
        ...     VariantSettings(species="U"),
        ... )
        >>> [score.note for score in scores]
        [None, 'ref_mismatch']
    """
    if isinstance(variants, str) or not isinstance(variants, Iterable):
        raise _no_variant(variants)
    grid = WindowGrid(KmerModel(model, tokenizer, species=settings.species), settings)
    stream = (_normalized(variant, genome) for variant in variants)
    while ahead := list(islice(stream, _AHEAD)):
        block = _Block(grid, genome, ahead)
        block.compare()
        yield from block.scores()
        progress(len(ahead))


def _normalized(variant: Variant, genome: Genome) -> Variant:
    """Write a variant with the genome's name of its contig, and alleles in upper case."""
    if not isinstance(variant, Variant):
        raise _no_variant(variant)
    ref, alt = (
        "" if allele == "-" else allele.upper() if allele.isalpha() else allele
        for allele in (variant.ref, variant.alt)
    )
    contig = genome.names.find(variant.contig) or variant.contig
    return Variant(contig, variant.position, ref, alt)


def _no_variant(found: object) -> TypeError:
    return TypeError(
        f"variants cannot be read from a {type(found).__name__}: give a list of "
        "Variant(contig, position, ref, alt), and a file to the command dnagpt variants"
    )


class _Block:
    """Variants that are read ahead, and the terms of their scores.

    Attributes:
        notes: for each variant the reason for which it is not compared, if there is one.
        haplotypes: for each of the others its haplotypes on the strands that are read.
        ratios: `(variants, strands, phases)`: log p(ALT) − log p(REF); NaN where it is missing.
        bases: `(variants, strands, phases, 2)`: log p(ref base) and log p(alt base).
    """

    def __init__(self, grid: WindowGrid, genome: Genome, variants: Sequence[Variant]) -> None:
        self.grid = grid
        self.variants = variants
        self.notes: list[Note | None] = []
        self.haplotypes: dict[int, tuple[str, list[Haplotypes]]] = {}
        self.genome = genome
        strands = 2 if grid.settings.strand == "both" else 1
        self.ratios = np.full((len(variants), strands, grid.phases), np.nan)
        self.bases = np.full((*self.ratios.shape, 2), np.nan)
        for number, variant in enumerate(variants):
            note, found = _haplotypes(grid, genome, variant)
            self.notes.append(note)
            if found is None:
                continue
            if found.ref or found.alt:
                on_strands = [found, found.on_reverse][:strands]
                self.haplotypes[number] = (variant.contig, on_strands)
            else:
                # the alleles are the same
                self.ratios[number] = self.bases[number] = 0.0

    def compare(self) -> None:
        """Read each occupied window once, and compare the haplotypes in it."""
        occupied: dict[tuple[str, int, int], list[tuple[int, Haplotypes]]] = defaultdict(list)
        for number, (contig, on_strands) in self.haplotypes.items():
            for strand, one in enumerate(on_strands):
                for index in set(self.grid.indices(one).tolist()):
                    occupied[contig, strand, index].append((number, one))
        for (contig, strand, index), inside in occupied.items():
            read = Strand(self.genome.contigs[contig], is_reverse=bool(strand))
            window = ReferenceWindow(self.grid, read, index)
            for start in range(0, len(inside), self.grid.together):
                numbers, found = zip(*inside[start : start + self.grid.together], strict=True)
                for number, ratio, base in zip(numbers, *window.compare(found), strict=True):
                    # in some phases a variant may lie in one window, in others in the next
                    np.copyto(self.ratios[number, strand], ratio, where=~np.isnan(ratio))
                    np.copyto(self.bases[number, strand], base, where=~np.isnan(base))

    def scores(self) -> Iterator[VariantScore]:
        """Average over the phases, then over the strands."""
        llr = mean_of_known(mean_of_known(self.ratios, axis=2), axis=1)
        mixed = log_mean_exp(self.bases, axis=2)
        site = mean_of_known(mixed[..., 1] - mixed[..., 0], axis=1)
        if self.grid.settings.mode == "site":
            llr[:] = np.nan
        wanted = site if self.grid.settings.mode == "site" else llr
        for number, note in enumerate(self.notes):
            if note is None and np.isnan(wanted[number]):
                note = "no_context"
            scores = _or_none(llr[number]), _or_none(site[number])
            yield VariantScore(self.variants[number], *scores, note)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _haplotypes(
    grid: WindowGrid, genome: Genome, variant: Variant
) -> tuple[Note | None, Haplotypes | None]:
    """Write a variant as two haplotypes, or find the reason for which it is not scored."""
    note = note_of_alleles(variant.ref, variant.alt)
    if note is None and variant.contig not in genome.contigs:
        note = "unknown_contig"
    if note is None:
        note = note_of_reference(genome.contigs[variant.contig], variant)
    if note is not None:
        return note, None
    haplotypes = Haplotypes.of(genome.contigs[variant.contig], variant)
    note = grid.note(haplotypes)
    return note, None if note else haplotypes
