"""Likelihoods as methods of a loaded model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnagpt_hf.likelihoods.saturation import Saturation
    from dnagpt_hf.likelihoods.scores import (
        PerBase,
        SequencePart,
        SequenceScore,
        SequenceScores,
    )
    from dnagpt_hf.likelihoods.variants import Variant, VariantScores
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer


class LikelihoodMethods:
    """Methods of [`LoadedModel`] that compute likelihoods."""

    model: Any
    tokenizer: DNAGPTTokenizer

    def score(self, data: Any, **options: Any) -> SequenceScores:
        """Compute the likelihood of sequences: nats, bits per base, perplexity.

        The likelihood is exact: each base has its probability given all bases before it, whatever
        the k-mers of the model, and on both strands.

        Args:
            data: as for [`predict`]; with `regions` the path of a FASTA file, or an opened genome.
            **options: as for [`iter_scores`].

        Returns:
            `SequenceScores`: a list of [`SequenceScore`]s, with `to_pandas()`.

        Example:

            >>> import dnagpt_hf
            >>> model = dnagpt_hf.load("dnagpt-tiny")
            >>> scores = model.score(["ACGTACGTAC", "TTTTTTTT"], species="U", per_base="all")
            >>> scores.to_pandas()["bases"].tolist(), scores[0].per_base.shape
            ([10, 8], (10, 4))
        """
        from dnagpt_hf.likelihoods.scores import SequenceScores

        return SequenceScores(self.iter_scores(data, **options))

    def iter_scores(
        self,
        data: Any,
        *,
        regions: str | Path | Iterable[str | tuple[str, int, int]] | None = None,
        columns: Mapping[str, str] | None = None,
        set: Mapping[str, Any] | None = None,
        per_base: PerBase | None = None,
        **settings: Any,
    ) -> Iterator[SequenceScore]:
        """Score sequences one after the other, in bounded memory.

        Args:
            data: as for [`score`].
            regions: a BED file, or a list of regions as `"chrI:101-200"` (from 1, both ends
                included) or `("chrI", 100, 200)` (from 0, the end excluded). A base of a region has
                its probability given all before it in its contig.
            columns: columns of the data to rename, `{NEW: OLD}`.
            set: columns to add with one value for all records, as `{"species": "U"}`. Each record
                has the species token of its column `species`, unless the settings state one.
            per_base: keep the log-probability of each `"base"`, or of `"all"` four.
            **settings: those of [`~dnagpt_hf.likelihoods.settings.ScoreSettings`]: `species`,
                `strand`, `phases`, `window`, `stride`, `normalize` and `remainder`.

        Raises:
            RecordError: a record has no sequence.
            ValueError: the settings do not fit the model, or a region the genome.
        """
        from dnagpt_hf.genomes.fasta import open_genome
        from dnagpt_hf.likelihoods.scores import record_parts, region_parts, score_part
        from dnagpt_hf.likelihoods.sequences import SequenceScorer
        from dnagpt_hf.likelihoods.settings import ScoreSettings
        from dnagpt_hf.records.reading import change_columns, to_records

        scorer = SequenceScorer(self.model, self.tokenizer, ScoreSettings(**settings))
        parts: Iterable[SequencePart]
        if regions is None:
            records = change_columns(to_records(data), columns, set)
            parts = record_parts(records, scorer.settings.species)
        else:
            parts = region_parts(open_genome(data), regions)
        return (score_part(scorer, part, per_base=per_base) for part in parts)

    def variants(self, variants: Iterable[Variant], genome: Any, **settings: Any) -> VariantScores:
        """Score variants by the log-likelihood ratio of their haplotypes.

        Args:
            variants: alleles, each a [`~dnagpt_hf.likelihoods.variants.Variant`].
            genome: the path of a FASTA file, or an opened genome.
            **settings: those of [`~dnagpt_hf.likelihoods.settings.VariantSettings`]: `species`,
                `window`, `stride`, `right`, `phases`, `strand` and `mode`.

        Returns:
            `VariantScores`: a list of [`~dnagpt_hf.likelihoods.variants.VariantScore`]s, with
            `to_pandas()`: `llr` in nats, below 0 where the alternative is less likely, and `note`
            where there is none.

        Raises:
            TypeError: these are no `Variant`s.
            ValueError: the settings do not fit the model.

        Example:

            >>> import tempfile, pathlib, dnagpt_hf
            >>> from dnagpt_hf.likelihoods.variants import Variant
            >>> path = pathlib.Path(tempfile.mkdtemp()) / "genome.fa"
            >>> _ = path.write_text(">chr1\\n" + "ACGTTGCATG" * 9 + "\\n")
            >>> model = dnagpt_hf.load("dnagpt-tiny")
            >>> alleles = [Variant("chr1", 40, "A", "G"), Variant("chr1", 40, "AC", "A")]
            >>> model.variants(alleles, path, species="U").to_pandas().columns.tolist()
            ['chrom', 'pos', 'ref', 'alt', 'llr', 'site', 'note']
        """
        from dnagpt_hf.genomes.fasta import open_genome
        from dnagpt_hf.likelihoods.settings import VariantSettings
        from dnagpt_hf.likelihoods.variants import VariantScores, score_variants

        chosen = VariantSettings(**settings)
        opened = open_genome(genome)
        return VariantScores(score_variants(self.model, self.tokenizer, opened, variants, chosen))

    def saturate(
        self, genome: Any, contig: str, start: int, end: int, **settings: Any
    ) -> Saturation:
        """Score the three alternatives of every base of a region.

        Args:
            genome: the path of a FASTA file, or an opened genome.
            contig: name of the contig, with or without `chr`.
            start: first base, from 0.
            end: end of the region, excluded.
            **settings: as for [`variants`], but `mode` is `"site"` by default, which costs no more
                than the reference; `"full"` reads each alternative.

        Raises:
            ValueError: the region does not lie in the genome, or the settings do not fit the model.

        Example:

            >>> import tempfile, pathlib, dnagpt_hf
            >>> path = pathlib.Path(tempfile.mkdtemp()) / "genome.fa"
            >>> _ = path.write_text(">chr1\\n" + "ACGTTGCATG" * 9 + "\\n")
            >>> model = dnagpt_hf.load("dnagpt-tiny")
            >>> model.saturate(path, "chr1", 40, 50).scores.shape
            (10, 4)
        """
        from dnagpt_hf.genomes.fasta import open_genome
        from dnagpt_hf.likelihoods.saturation import saturate
        from dnagpt_hf.likelihoods.settings import VariantSettings

        chosen = VariantSettings(**{"mode": "site", **settings})
        opened = open_genome(genome)
        return saturate(self.model, self.tokenizer, opened, contig, start, end, chosen)
