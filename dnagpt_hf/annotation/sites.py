"""Sites in a genome: starts and ends of regions, genes, coding sequences and introns."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dnagpt_hf.annotation.bed import read_bed
from dnagpt_hf.annotation.gene_assembly import read_genes
from dnagpt_hf.annotation.gff import read_features
from dnagpt_hf.annotation.transcripts import Gene, Transcript
from dnagpt_hf.genomes.bases import Interval
from dnagpt_hf.messages import did_you_mean
from dnagpt_hf.records.files import RecordError, ending

# bases that make the site itself: a codon, or the two at an end of an intron
ANCHORS = {
    "start": 0,
    "centre": 0,
    "tss": 0,
    "tts": 0,
    "tis": 3,
    "stop": 3,
    "donor": 2,
    "acceptor": 2,
}
_OF_TRANSCRIPTS = ("tss", "tts", "tis", "stop", "donor", "acceptor")
_OF_BED = ("start", "centre", "tss", "tts")


@dataclass(frozen=True, slots=True)
class Site:
    """A place on a strand of a contig.

    Args:
        contig: name of the contig.
        position: the cut between two bases, counted from the left end of the contig, before which
            stands what is upstream. The bases of the site itself are behind it, in the direction
            of the strand.
        strand: `+`, `-`, or `.`, which is read as `+`.
        name: name of the region, gene or transcript.
        line: line of the file.
        gene: name of its gene.
        within: the interval of its gene.
        values: further columns of its line.
    """

    contig: str
    position: int
    strand: str
    name: str
    line: int
    gene: str = ""
    within: Interval | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> tuple[str, bool, int]:
        """Contig, strand and position, by which equal sites are found."""
        return self.contig, self.strand == "-", self.position


# regions with further columns, as tools for peaks write them
_BED_ENDINGS = (".bed", ".narrowpeak", ".broadpeak", ".gappedpeak", ".bed3", ".bed6", ".bed12")


def is_bed(path: str | os.PathLike[str]) -> bool:
    """Tell by its name whether a file is BED.

    Example:

        >>> is_bed("sites.bed.gz"), is_bed("genes.gff3")
        (True, False)
    """
    return ending(path) in _BED_ENDINGS


def check_anchor(path: str | os.PathLike[str], anchor: str, feature: str | None) -> None:
    """Refuse an anchor that a file cannot have.

    Raises:
        ValueError: it is unknown, or not one of this kind of file; or a feature does not fit it.
    """
    if anchor not in ANCHORS:
        raise ValueError(
            f"unknown anchor {anchor!r}{did_you_mean(anchor, ANCHORS)} (choose one of "
            f"{', '.join(ANCHORS)})"
        )
    if is_bed(path) and anchor not in _OF_BED:
        raise ValueError(
            f"{os.fspath(path)}: BED does not say where {anchor} is: give a GFF3 or GTF file, or "
            f"one of {', '.join(_OF_BED)}"
        )
    if feature is not None and (is_bed(path) or anchor in _OF_TRANSCRIPTS):
        raise ValueError(
            f"feature {feature!r}: only the anchors start and centre of a GFF3 or GTF file are "
            f"those of a feature: leave it out for {anchor}"
            + (" of a BED file" if is_bed(path) else "")
        )


def read_sites(
    path: str | os.PathLike[str], anchor: str, *, feature: str | None = None
) -> tuple[Iterator[Site], Counter[str]]:
    """Read the sites of a BED, GFF3 or GTF file, plain or compressed with gzip or bgzip.

    Args:
        path: the file; one whose name ends in `.bed` is BED.
        anchor:
            Kind of site. `start` and `centre` are those of a region of BED or of a feature; `tss`
            and `tts` the two ends of a transcript, or of a region of BED; `tis` is the first codon
            and `stop` the last one of a coding sequence; `donor` and `acceptor` are the first and
            the last two bases of an intron. All of them follow the strand.
        feature: type of the features, such as `gene`, of which `start` and `centre` are taken.

    Returns:
        The sites, and counts of those that were left out by reason, complete once all sites are
        read. Transcripts of a gene that share a site give it once; a region of BED is kept as often
        as it is listed.

    Raises:
        ValueError: the anchor does not fit the file.
        RecordError: a line is malformed, or there is no site.
    """
    check_anchor(path, anchor, feature)
    left_out: Counter[str] = Counter()
    if is_bed(path):
        sites = _bed_sites(path, anchor)
    elif anchor in _OF_TRANSCRIPTS:
        sites = _unique(_transcript_sites(read_genes(path), anchor, left_out))
    else:
        sites = _unique(_feature_sites(path, anchor, feature or "gene"))
    return _some(sites, f"{os.fspath(path)} has no {feature or anchor}"), left_out


def _some(sites: Iterable[Site], problem: str) -> Iterator[Site]:
    site = None
    for site in sites:
        yield site
    if site is None:
        raise RecordError(f"{problem}: there is nothing to cut windows from")


def _unique(sites: Iterable[Site]) -> Iterator[Site]:
    seen = set()
    for site in sites:
        if site.place not in seen:
            seen.add(site.place)
            yield site


def _cut(anchor: str, start: int, end: int, strand: str) -> int:
    """Return the position of an anchor of a region."""
    is_reverse = strand == "-"
    if anchor == "centre":
        # the middle base of an odd length stands behind the cut on either strand
        return (start + end + is_reverse) // 2
    return end if (anchor == "tts") != is_reverse else start


def _bed_sites(path: str | os.PathLike[str], anchor: str) -> Iterator[Site]:
    for region in read_bed(path):
        yield Site(
            region.contig,
            _cut(anchor, region.start, region.end, region.strand),
            region.strand,
            region.name,
            region.line,
            values={"score": region.score, **region.values},
        )


def _feature_sites(path: str | os.PathLike[str], anchor: str, kind: str) -> Iterator[Site]:
    for feature in read_features(path):
        if feature.kind == kind:
            name = next(
                filter(None, map(feature.attribute, ("ID", "transcript_id", "gene_id", "Name"))), ""
            )
            yield Site(
                feature.contig,
                _cut(anchor, feature.start, feature.end, feature.strand),
                feature.strand,
                name,
                feature.line,
                within=Interval(feature.start, feature.end),
            )


def _transcript_sites(genes: Iterable[Gene], anchor: str, left_out: Counter[str]) -> Iterator[Site]:
    for gene in genes:
        for transcript in gene.transcripts:
            for position, strand in _positions(transcript, anchor, left_out):
                yield Site(
                    transcript.contig,
                    position,
                    strand,
                    transcript.name,
                    transcript.line,
                    gene=gene.name,
                    within=Interval(gene.start, gene.end),
                )


def _positions(
    transcript: Transcript, anchor: str, left_out: Counter[str]
) -> Iterator[tuple[int, str]]:
    """List positions and strands of an anchor of a transcript, in its own direction."""
    strand = transcript.strand
    step = -1 if strand == "-" else 1
    width = ANCHORS[anchor]
    if anchor in ("tis", "stop"):
        if transcript.coding_start is None or transcript.coding_end is None:
            left_out["untranslated transcripts"] += 1
        elif anchor == "tis" and transcript.phase:
            left_out["transcripts without a start codon"] += 1
        elif anchor == "tis":
            yield transcript.coding_start
        else:
            end, strand = transcript.coding_end
            yield (end + width if strand == "-" else end - width), strand
    elif transcript.rearranged:
        left_out["transcripts that are trans-spliced or run over an origin"] += 1
    elif anchor in ("tss", "tts"):
        yield _cut(anchor, transcript.start, transcript.end, strand), strand
    else:
        for intron in transcript.introns[::step]:
            if intron.end - intron.start < 2 * width:
                left_out["introns too short for it"] += 1
            else:
                first, last = intron[::step]
                yield (first if anchor == "donor" else last - step * width), strand
