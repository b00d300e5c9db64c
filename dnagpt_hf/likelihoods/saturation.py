"""Scores of all three alternatives of every base of a region."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dnagpt_hf.genomes.bases import Bases
from dnagpt_hf.genomes.regions import contig_of_region
from dnagpt_hf.likelihoods.alleles import Variant
from dnagpt_hf.likelihoods.settings import Mode, VariantSettings
from dnagpt_hf.likelihoods.strands import BASES, Array
from dnagpt_hf.likelihoods.variants import score_variants

if TYPE_CHECKING:
    import pandas

    from dnagpt_hf.genomes.fasta import Genome
    from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer


@dataclass(frozen=True)
class Saturation:
    """Scores of all single-base substitutions of a region.

    Args:
        contig: name of the contig.
        start: first base, from 0.
        bases: the reference, uint8 `(bases,)`.
        scores: float64 `(bases, 4)` in nats: log p with A, C, G or T in place of a base less log p
            of the reference. 0 for the base itself, NaN where it is N or was not scored.
        mode: `"full"` scores are of haplotypes, `"site"` ones of bases given those before them.
    """

    contig: str
    start: int
    bases: Bases
    scores: Array
    mode: Mode

    def to_pandas(self) -> pandas.DataFrame:
        """Lay the substitutions out as a table.

        Returns:
            `pandas.DataFrame`: `chrom`, `pos` (from 1), `ref`, `alt`, and the score as `llr` in
            mode `"full"` or `site` in mode `"site"`; a row for each of the three alternatives of
            each base.
        """
        import pandas

        rows = [
            (self.contig, self.start + base + 1, chr(ref), chr(alt), self.scores[base, column])
            for base, ref in enumerate(self.bases.tolist())
            for column, alt in enumerate(BASES)
            if alt != ref
        ]
        score = "llr" if self.mode == "full" else "site"
        return pandas.DataFrame(rows, columns=["chrom", "pos", "ref", "alt", score])


def saturate(
    model: DNAGPTForMultiTask,
    tokenizer: DNAGPTTokenizer,
    genome: Genome,
    contig: str,
    start: int,
    end: int,
    settings: VariantSettings,
    *,
    progress: Callable[[int], object] = lambda added: None,
) -> Saturation:
    """Score the three alternatives of every base of a region.

    In mode `"site"` they cost no more than the reference.

    Args:
        model: the model, in evaluation mode.
        tokenizer: its tokenizer.
        genome: the genome.
        contig: name of the contig, with or without `chr`.
        start: first base, from 0.
        end: end of the region, excluded.
        settings: definition of the scores: log-likelihood ratios of haplotypes in mode `"full"`, of
            bases given those before them in mode `"site"`.
        progress: called with the number of substitutions of each finished block.

    Raises:
        ValueError: the region does not lie in the genome, or the settings do not fit the model.

    Example:

        >>> import tempfile, pathlib, dnagpt_hf
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "genome.fa"
        >>> _ = path.write_text(">chr1\\n" + "ACGTTGCATG" * 9 + "\\n")
        >>> genome, model = dnagpt_hf.open_genome(path), dnagpt_hf.load("dnagpt-tiny")
        >>> settings = VariantSettings(species="U", mode="site")
        >>> found = saturate(model.model, model.tokenizer, genome, "chr1", 40, 45, settings)
        >>> found.scores.shape, found.scores[0, 0]
        ((5, 4), np.float64(0.0))
    """
    contig = contig_of_region(genome, contig, start, end)
    bases = genome.contigs[contig][start:end]
    # (bases, 4): A, C, G, T other than the base
    is_alternative = bases[:, None] != np.frombuffer(BASES, np.uint8)

    def variants() -> Iterator[Variant]:
        for base, column in np.argwhere(is_alternative).tolist():
            yield Variant(contig, start + base, chr(bases[base]), chr(BASES[column]))

    found = score_variants(model, tokenizer, genome, variants(), settings, progress=progress)
    is_full = settings.mode == "full"
    scores = np.zeros(is_alternative.shape)
    # None becomes NaN
    scores[is_alternative] = np.array([one.llr if is_full else one.site for one in found], float)
    return Saturation(contig, start, bases, scores, settings.mode)
