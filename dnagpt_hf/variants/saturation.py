"""Saturation: all three alternatives of every base of a region as records of variants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from dnagpt_hf.genomes.fasta import Genome
from dnagpt_hf.genomes.regions import find_intervals
from dnagpt_hf.likelihoods.saturation import Saturation
from dnagpt_hf.likelihoods.settings import Mode
from dnagpt_hf.likelihoods.variants import VariantScore
from dnagpt_hf.variants.records import VariantRecord
from dnagpt_hf.variants.vcf import plain_line

MOST_DRAWN = 2000
"""Most bases of a heat map."""

_BASES = "ACGT"
# bases of the genome in memory at a time
_BLOCK = 1 << 16


class RegionVariants:
    """The variants of a region: one record for each base, with three alternatives.

    A base that is not known (N) has no alternatives, and no record.

    Args:
        genome: the genome.
        region: the region, such as `chrI:71,486-72,091`; positions count from 1, both included.

    Raises:
        ValueError: the genome has no such region, or several contigs fit it.

    Example:

        >>> import tempfile, pathlib
        >>> from dnagpt_hf import open_genome
        >>> path = pathlib.Path(tempfile.mkdtemp(), "genome.fa")
        >>> _ = path.write_text(">chrI\\nACGTN\\n")
        >>> records = list(RegionVariants(open_genome(path), "I:4-5"))
        >>> [(str(record), record.ref, record.alts) for record in records]
        [('chrI:4', 'T', ('A', 'C', 'G'))]
    """

    def __init__(self, genome: Genome, region: str) -> None:
        found = find_intervals(region, genome.contigs, genome.path, genome.names)
        if len(found) > 1:
            listed = ", ".join(contig for contig, _ in found[:3])
            raise ValueError(f"region {region} fits {len(found):,} contigs ({listed}, …): name one")
        self.contig, (self.start, self.end) = found[0]
        self.genome, self.source = genome, f"region {region}"

    def __iter__(self) -> Iterator[VariantRecord]:
        """Make the records in the order of their positions."""
        contig = self.genome.contigs[self.contig]
        for start in range(self.start, self.end, _BLOCK):
            bases = contig[start : min(start + _BLOCK, self.end)].tobytes().decode()
            for position, ref in enumerate(bases, start=start):
                if ref in _BASES:
                    alts = tuple(base for base in _BASES if base != ref)
                    line = plain_line(self.contig, position, ref, alts)
                    yield VariantRecord(self.contig, position, ref, alts, line, position + 1)


class Watched:
    """Keeps the scores of a region while they are written, to be drawn.

    Args:
        region: the variants.
        mode: definition of their scores.

    Attributes:
        found: the scores, of haplotypes or else of single bases.

    Raises:
        ValueError: the region is too long to be drawn.
    """

    def __init__(self, region: RegionVariants, mode: Mode) -> None:
        length = region.end - region.start
        if length > MOST_DRAWN:
            raise ValueError(
                f"{region.source} has {length:,} bases, and a figure shows {MOST_DRAWN:,} at most: "
                "draw a part of it"
            )
        bases = region.genome.contigs[region.contig][region.start : region.end]
        scores = np.full((length, len(_BASES)), np.nan)
        self.found = Saturation(region.contig, region.start, bases, scores, mode)

    def watch(
        self, scored: Iterable[tuple[VariantRecord, list[VariantScore]]]
    ) -> Iterator[tuple[VariantRecord, list[VariantScore]]]:
        """Pass scored records on, and keep their scores."""
        for record, scores in scored:
            row = self.found.scores[record.position - self.found.start]
            row[_BASES.index(record.ref)] = 0.0
            for alt, score in zip(record.alts, scores, strict=True):
                value = score.llr if self.found.mode == "full" else score.site
                row[_BASES.index(alt)] = np.nan if value is None else value
            yield record, scores
