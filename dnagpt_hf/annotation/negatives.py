"""Negatives: positions with the motif of a site that are no sites."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.annotation.sites import ANCHORS, Site
from dnagpt_hf.annotation.windows import GenomeWindows, Window
from dnagpt_hf.genomes.bases import Bases, Interval, reverse_complement
from dnagpt_hf.genomes.contigs import Contig

NEGATIVE = "none"
DrawNegatives = Callable[[Site], list[Site]]


@dataclass(frozen=True)
class Negatives:
    """Rule by which negatives are drawn for the sites of a genome.

    Args:
        match: motif at each negative, or several alternatives, such as `ATG` for starts of
            translation, `GT` for donors, `AG` for acceptors.
        per_site: number of negatives per site.
        seed: the same seed draws the same.
        within: `gene` draws from the site's own gene, on its strand; `genome` from both strands of
            the contigs with sites. By default `gene`, and `genome` for BED.
        label: their label.

    Raises:
        ValueError: one of them is not possible.
    """

    match: str | Sequence[str]
    per_site: int = 1
    seed: int = 0
    within: str | None = None
    label: str = NEGATIVE

    def __post_init__(self) -> None:
        several = isinstance(self.match, list | tuple)
        motifs = tuple(map(str, self.match)) if several else (str(self.match),)
        object.__setattr__(self, "match", motifs)
        if not motifs or not all(motif and set(motif) <= set("ACGT") for motif in motifs):
            raise ValueError(
                f"negatives: match is {', '.join(motifs)!r}: give a motif of A, C, G and T, as ATG"
            )
        if len({len(motif) for motif in motifs}) > 1:
            raise ValueError(f"negatives: {', '.join(motifs)} differ in length: give those of one")
        if type(self.per_site) is not int or self.per_site < 1:
            raise ValueError(f"negatives: per_site is {self.per_site!r}: give a number, 1 or more")
        if type(self.seed) is not int or self.seed < 0:
            raise ValueError(f"negatives: seed is {self.seed!r}: give a number, 0 or more")
        if self.within not in (None, "gene", "genome"):
            raise ValueError(f"negatives: within is {self.within!r}: choose gene or genome")

    def check(self, anchor: str, window: Window, is_bed: bool) -> None:
        """Refuse a motif or place that an anchor, its window or file cannot have.

        Raises:
            ValueError: the motif is as long as no such site, is not in the window, or the file has
                no genes.
        """
        width, motif = ANCHORS[anchor], self.match[0]
        if width and len(motif) != width:
            raise ValueError(
                f"negatives: {motif} has {len(motif)} bases, but {anchor} has {width}: match them"
            )
        if len(motif) > window.site + window.downstream:
            raise ValueError(
                f"negatives: {motif} is longer than the {window.downstream} bases downstream, in "
                "which it stands: give more"
            )
        if is_bed and self.within == "gene":
            raise ValueError(
                "negatives: BED has no genes: choose within genome, or give a GFF file"
            )

    def matches_at(self, sequence: str, position: int) -> bool:
        """Tell whether a motif begins at a position of a sequence."""
        return sequence[position : position + len(self.match[0])] in self.match


def negative_drawer(
    negatives: Negatives, sites: Sequence[Site], genome: GenomeWindows, window: Window
) -> DrawNegatives:
    """Make the function that draws the negatives of a site; call it in the order of the sites.

    No position is drawn twice, none is a site, and the window of each lies in its contig unless
    windows are padded. A gene with too few positions gives fewer negatives.

    Args:
        negatives: motif, number and region of the negatives.
        sites: all sites, so that none is drawn.
        genome: genome to draw from.
        window: window to cut around each negative.
    """
    within = negatives.within or ("gene" if sites and sites[0].within else "genome")
    draw = _gene_drawer if within == "gene" else _genome_drawer
    return draw(negatives, sites, genome, window)


def _gene_drawer(
    negatives: Negatives, sites: Sequence[Site], genome: GenomeWindows, window: Window
) -> DrawNegatives:
    """Draw from the gene of each site."""
    taken = {site.place for site in sites}
    generator = np.random.default_rng(negatives.seed)

    # sites of a gene stand together
    @lru_cache(maxsize=1)
    def positions_in(name: str, strand: str, within: Interval | None) -> NDArray[np.int64]:
        contig = genome.contigs[name]
        part = within or Interval(0, len(contig))
        return _occurrences(contig, part, strand == "-", negatives.match, window)

    def draw(site: Site) -> list[Site]:
        positions = positions_in(site.contig, site.strand, site.within)
        drawn: list[Site] = []
        for index in generator.permutation(len(positions)):
            place = site.contig, int(positions[index]), site.strand
            negative = _negative(site, *place, gene=site.gene)
            if negative.place not in taken:
                taken.add(negative.place)
                drawn.append(negative)
            if len(drawn) == negatives.per_site:
                break
        return drawn

    return draw


def _genome_drawer(
    negatives: Negatives, sites: Sequence[Site], genome: GenomeWindows, window: Window
) -> DrawNegatives:
    """Draw from all contigs on which there are sites."""
    positions_of: dict[tuple[str, str], list[int]] = {}
    for site in sites:
        if site.contig in genome.contigs:
            for strand in "+-":
                found = positions_of.setdefault((site.contig, strand), [])
                if (strand == "-") == (site.strand == "-"):
                    found.append(site.position)

    def candidates() -> Iterator[tuple[str, str, NDArray[np.int64]]]:
        """Contigs, strands, and all positions on them that are no site."""
        for (name, strand), known in positions_of.items():
            contig = genome.contigs[name]
            part = Interval(0, len(contig))
            found = _occurrences(contig, part, strand == "-", negatives.match, window)
            yield name, strand, np.setdiff1d(found, known)

    # positions of a large genome are not kept, but found once more
    ends = np.cumsum([0, *(len(positions) for _, _, positions in candidates())])
    total = int(ends[-1])
    size = min(negatives.per_site * len(sites), total)
    chosen = np.random.default_rng(negatives.seed).choice(total, size=size, replace=False)
    places: list[tuple[str, int, str]] = [("", 0, "")] * size
    for start, (name, strand, positions) in zip(ends[:-1], candidates(), strict=True):
        ranks = chosen - start
        for place in np.flatnonzero((ranks >= 0) & (ranks < len(positions))):
            places[place] = name, int(positions[ranks[place]]), strand
    drawn = iter(places)
    return lambda site: [_negative(site, *place) for place in islice(drawn, negatives.per_site)]


def _negative(site: Site, contig: str, position: int, strand: str, gene: str = "") -> Site:
    """Make a negative of a site; it does not inherit the columns of the site's line."""
    return Site(
        contig,
        position,
        strand,
        name=f"{contig}:{position + (strand != '-')}({strand})",
        line=site.line,
        gene=gene,
        values=dict.fromkeys(site.values, ""),
    )


def _occurrences(
    contig: Contig, part: Interval, is_reverse: bool, motifs: Sequence[str], window: Window
) -> NDArray[np.int64]:
    """Find positions in a part of a contig with a motif and room for a window."""
    bases = contig[part.start : part.end]
    width = len(motifs[0])
    found = np.zeros(max(len(bases) - width + 1, 0), dtype=bool)
    for motif in motifs:
        letters = np.frombuffer(motif.encode(), np.uint8)
        found |= _matches(bases, reverse_complement(letters) if is_reverse else letters)
    positions = np.flatnonzero(found) + part.start + (width if is_reverse else 0)
    if window.edge == "pad":
        return positions
    # the same for all positions of a strand
    start, end = window.interval(0, is_reverse)
    return positions[(positions + start >= 0) & (positions + end <= len(contig))]


def _matches(bases: Bases, motif: Bases) -> NDArray[np.bool_]:
    """Mark the positions of a sequence at which a motif begins."""
    found = np.ones(max(len(bases) - len(motif) + 1, 0), dtype=bool)
    for offset, base in enumerate(motif):
        found &= bases[offset : offset + len(found)] == base
    return found
