"""Promoters, half-life features and expression of genes, as Xpresso has them.

Agarwal and Shendure 2020, "Predicting mRNA abundance directly from genomic sequence using deep
convolutional neural networks", with the definitions of its program where the paper has none.
"""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dnagpt_hf.annotation.gene_assembly import read_genes
from dnagpt_hf.annotation.site_windows import counted
from dnagpt_hf.annotation.transcripts import Gene, Transcript
from dnagpt_hf.annotation.windows import GenomeWindows, Window, open_windows
from dnagpt_hf.genomes.bases import Interval, gc_content
from dnagpt_hf.genomes.contigs import Contig
from dnagpt_hf.messages import did_you_mean
from dnagpt_hf.records.files import RecordError
from dnagpt_hf.records.reading import Record, RecordReader, is_missing

logger = logging.getLogger(__name__)

FEATURES = (
    "UTR5LEN",
    "CDSLEN",
    "INTRONLEN",
    "UTR3LEN",
    "UTR5GC",
    "CDSGC",
    "UTR3GC",
    "ORFEXONDENSITY",
)
ID, TARGET, PROMOTER = "ENSID", "EXPRESSION", "PROMOTER"
_BASES_OF_DENSITY = 1000
_DIGITS = 6
# other names with a point in them, as those of C. elegans, have no version behind it
_VERSIONED = re.compile(r"(ENS[A-Z]*G\d{11})\.\d+")


@dataclass
class GeneTable:
    """A record for each gene: its promoter, its half-life features and its expression.

    The values of a record have the names of Xpresso's table: `ENSID`, `EXPRESSION`, the eight
    features as [`half_life_features`] has them, and `PROMOTER`; then `chrom`, `start` and `end` of
    the promoter, `strand` and `transcript`. Numbers are as they are: neither logarithms nor
    standardised. A gene stands for one transcript, [`representative`], whose first base is its TSS.

    Genes are left out, and counted, that have no translated transcript, whose promoter leaves its
    contig (unless it is padded), or that the table of expression lacks or has no number for. A
    coding sequence whose length is no multiple of 3 is counted and kept.

    Args:
        annotation (`str` or `os.PathLike`): GFF3 or GTF, plain or compressed with gzip or bgzip.
        genome (`str` or `os.PathLike`): FASTA, likewise.
        upstream (`int`): Bases of the promoter before the TSS; Xpresso has 10,000, of which its
            model reads 7,000.
        downstream (`int`): Bases of the promoter from the TSS on; 10,000 and 3,500.
        expression (`str` or `os.PathLike`, *optional*): Table with a row for each gene. Without it
            records have no `EXPRESSION`.
        id (`str`, defaults to `"gene_id"`): Its column with a name of the gene: its identifier in
            the annotation, `locus_tag` or `Name`. The version of an Ensembl identifier, as in
            `ENSG00000141510.18`, and the prefixes `gene-` and `gene:` may be missing.
        target (`str`, *optional*): Its column with the expression.
        edge (`str`, defaults to `"drop"`): `drop`, `pad` or `error`, for promoters that leave
            their contig.
        contigs (`Sequence[str]` or `Mapping[str, str]`, *optional*): Contigs to use; see
            [`open_windows`].
        cache_folder (`Path`, *optional*): Where what is made of the genome is kept.

    Attributes:
        counts: After an iteration, how many genes there are, and how many were left out, and why.

    Raises:
        ValueError: an argument is not possible; while records are read, a file is malformed, a
            column is missing, or no gene is left.

    Example:

        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "genome.fa").write_text(">chr1\\nAACCATGGTTAACC\\n")
        >>> line = "chr1\\t.\\tCDS\\t5\\t10\\t.\\t+\\t0\\tID=gene-a\\n"
        >>> _ = (folder / "genes.gff").write_text(line)
        >>> (record,) = GeneTable(folder / "genes.gff", folder / "genome.fa", 3, 4)
        >>> [record.values[column] for column in ("ENSID", "CDSLEN", "CDSGC", "PROMOTER")]
        ['a', 6, 0.333333, 'ACCATGG']
    """

    annotation: str | os.PathLike[str]
    genome: str | os.PathLike[str]
    upstream: int
    downstream: int
    expression: str | os.PathLike[str] | None = None
    id: str = "gene_id"
    target: str | None = None
    edge: str = "drop"
    contigs: Sequence[str] | Mapping[str, str] | None = None
    cache_folder: Path | None = None
    counts: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._window = Window(self.upstream, self.downstream, edge=self.edge)
        if (self.expression is None) != (self.target is None):
            raise ValueError(
                "expression and target belong together: a table, and its column to predict"
            )

    @cached_property
    def _opened(self) -> GenomeWindows:
        return open_windows(self.genome, self.annotation, self.contigs, self.cache_folder)

    def __iter__(self) -> Iterator[Record]:
        counts: Counter[str] = Counter({"genes": 0})
        targets = self._targets()
        for gene in read_genes(self.annotation):
            values = self._values(gene, targets, counts)
            if values is not None:
                counts["genes"] += 1
                number = counts["genes"]
                yield Record(values, gene.name, str(self.annotation), number, gene.line)
        self.counts = dict(counts)
        logger.info("%s: %s", self.annotation, counted(self.counts))
        if not counts["genes"]:
            raise RecordError(f"{self.annotation}: no gene is left: {counted(self.counts)}")

    def _values(
        self, gene: Gene, targets: Mapping[str, str] | None, counts: Counter[str]
    ) -> dict[str, Any] | None:
        """Compute the values of a gene; `None` if it is left out."""
        transcript = representative(gene)
        if transcript is None:
            counts["left out: not translated"] += 1
            return None
        place = transcript.contig, transcript.end, transcript.line
        contig = self._opened.contig(*place, counts)
        if contig is None:
            return None
        if transcript.rearranged:
            counts["left out: trans-spliced or over an origin"] += 1
            return None
        target: dict[str, str] = {}
        if targets is not None:
            name = next((name for name in _names(gene) if name in targets), None)
            if name is None:
                counts["left out: without expression"] += 1
                return None
            target = {TARGET: targets[name]}
        promoter = self._promoter(gene, transcript, contig)
        if promoter is None:
            counts["left out: promoter at the end of a contig"] += 1
            return None
        features = half_life_features(transcript, contig)
        counts["with a CDS that is no multiple of 3"] += features["CDSLEN"] % 3 != 0
        return {ID: gene.name, **target, **features, **promoter}

    def _promoter(
        self, gene: Gene, transcript: Transcript, contig: Contig
    ) -> dict[str, Any] | None:
        is_reverse = transcript.strand == "-"
        tss = transcript.end if is_reverse else transcript.start
        place = contig, tss, transcript.strand
        promoter = self._opened.cut(self._window, *place, gene.line, gene.name)
        start, end = self._window.interval(tss, is_reverse)
        if promoter is None:
            return None
        return {
            "chrom": contig.name,
            "start": start,
            "end": end,
            "strand": transcript.strand,
            "transcript": transcript.name,
            PROMOTER: promoter,
        }

    def _targets(self) -> dict[str, str] | None:
        """Read the expression of genes by their names."""
        if self.expression is None or self.target is None:
            return None
        targets: dict[str, str] = {}
        with RecordReader(self.expression) as reader:
            for record in reader:
                for column in (self.id, self.target):
                    if column not in record.values:
                        raise record.error(
                            f"there is no column {column!r}, only {', '.join(record.values)}"
                            + did_you_mean(column, record.values)
                        )
                name, value = (str(record.values[key]).strip() for key in (self.id, self.target))
                if name in targets:
                    raise record.error(f"gene {name} stands there twice: remove a row")
                if not is_missing(name) and not is_missing(value):
                    targets[name] = value
        # the version may be missing on either side
        return {_VERSIONED.sub(r"\1", name): value for name, value in targets.items()} | targets


def _names(gene: Gene) -> Iterator[str]:
    yield from gene.names
    for name in gene.names:
        yield _VERSIONED.sub(r"\1", name)


def representative(gene: Gene) -> Transcript | None:
    """Choose the transcript that represents a gene: the one with the longest coding sequence.

    Ties are broken by the longest 5' UTR, then the longest 3' UTR, then the order of the file.
    Returns `None` if no transcript is translated. Xpresso uses the same rule, but compares one
    transcript with the next, so that a longer coding sequence without a 5' UTR may lose against a
    shorter one.
    """
    coding = [transcript for transcript in gene.transcripts if transcript.coding]

    def lengths(transcript: Transcript) -> tuple[int, int, int]:
        upstream, downstream = untranslated(transcript)
        return _length(transcript.coding), _length(upstream), _length(downstream)

    return max(coding, key=lengths, default=None)


def untranslated(transcript: Transcript) -> tuple[list[Interval], list[Interval]]:
    """Return the 5' and the 3' UTR of a translated transcript, from left to right on its contig.

    Example:

        >>> exons, coding = (Interval(0, 10), Interval(20, 30)), (Interval(5, 10), Interval(20, 22))
        >>> untranslated(Transcript("a", "chr1", "+", 1, exons, coding, 0))
        ([Interval(start=0, end=5)], [Interval(start=22, end=30)])
    """
    start, end = transcript.coding[0].start, transcript.coding[-1].end
    left = [
        Interval(exon.start, min(exon.end, start))
        for exon in transcript.exons
        if exon.start < start
    ]
    right = [
        Interval(max(exon.start, end), exon.end) for exon in transcript.exons if exon.end > end
    ]
    return (right, left) if transcript.strand == "-" else (left, right)


def half_life_features(transcript: Transcript, contig: Contig) -> dict[str, float]:
    """Compute the eight features of an mRNA that Xpresso reads besides the promoter.

    Args:
        transcript: a translated transcript.
        contig: its contig.

    Returns:
        `UTR5LEN`, `CDSLEN`, `INTRONLEN` and `UTR3LEN` in bases, introns of UTRs included; `UTR5GC`,
        `CDSGC` and `UTR3GC`, fractions of G and C among the bases that are not N, and 0 where there
        are none; and `ORFEXONDENSITY`, coding exons per 1,000 bases of coding sequence.

    The table of Xpresso counts each exon one base shorter, and the stop codon as intron, because of
    its sums over the positions of a GTF file; here lengths are those of the sequences.
    """
    utr5, utr3 = untranslated(transcript)
    lengths = _length(utr5), _length(transcript.coding), _length(utr3)
    introns = transcript.end - transcript.start - _length(transcript.exons)
    # one request, from which the parts are taken
    bases = contig[transcript.start : transcript.end]

    def gc(parts: Sequence[Interval]) -> float:
        pieces = [bases[start - transcript.start : end - transcript.start] for start, end in parts]
        fraction = gc_content(np.concatenate(pieces)) if pieces else 0.0
        return 0.0 if np.isnan(fraction) else round(fraction, _DIGITS)

    density = len(transcript.coding) * _BASES_OF_DENSITY / lengths[1]
    values = (lengths[0], lengths[1], introns, lengths[2])
    fractions = (gc(utr5), gc(transcript.coding), gc(utr3))
    return dict(zip(FEATURES, (*values, *fractions, round(density, _DIGITS)), strict=True))


def _length(parts: Sequence[Interval]) -> int:
    return sum(end - start for start, end in parts)
