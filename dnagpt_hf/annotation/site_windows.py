"""Records around sites of a genome, and real places without a site as negatives."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from dnagpt_hf.annotation.negatives import Negatives, negative_drawer
from dnagpt_hf.annotation.sites import ANCHORS, Site, check_anchor, is_bed, read_sites
from dnagpt_hf.annotation.windows import GenomeWindows, Window, open_windows
from dnagpt_hf.records.files import RecordError
from dnagpt_hf.records.reading import Record

logger = logging.getLogger(__name__)

POSITIVE = "signal"


@dataclass
class RegionWindows:
    """Records of the windows around sites of a genome, read anew in each iteration.

    The values of a record are `sequence` (A, C, G, T and N, in the direction of the strand),
    `label`, `chrom` (as the genome calls it), `start` and `end` of the window (from 0, the end left
    out; they may leave a contig where windows are padded), `strand`, `name`, and `gene`, which
    keeps windows of a gene in one part of a split; of BED also its further columns, named by a
    header line that begins with `#`, or `column7`, …; a column `label` among them is the label.

    Args:
        regions (`str` or `os.PathLike`): BED, GFF3 or GTF, plain or compressed with gzip or bgzip.
        genome (`str` or `os.PathLike`): FASTA, likewise.
        anchor (`str`): One of `ANCHORS`; see [`read_sites`].
        upstream (`int`): Bases before the site.
        downstream (`int`): Bases behind it. The site's own, 3 of a codon or 2 of an intron's end,
            stand between: 300 and 300 around `tis` are 603 bp with ATG at `[300:303]`.
        edge (`str`, defaults to `"drop"`): `drop`, `pad` or `error`, for windows that leave their
            contig.
        feature (`str`, *optional*): Type of the features of a GFF3 or GTF file that `start` and
            `centre` are taken of; `gene` by default.
        label (`str`, defaults to `"signal"`): Label of the sites.
        negatives ([`Negatives`], *optional*): Which other places to draw. Each site is followed by
            its own, and sites that do not have the motif are left out.
        contigs (`Sequence[str]` or `Mapping[str, str]`, *optional*): Contigs to use; see
            [`open_windows`].
        cache_folder (`Path`, *optional*): Where what is made of the genome is kept.

    Attributes:
        counts: After an iteration, how many records there are of each label, and how many sites
            were left out, and why.

    Raises:
        ValueError: an argument is not possible; while records are read, a line of a file is
            malformed, a contig is missing, or a window leaves its contig.

    Example:

        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "genome.fa").write_text(">chr1\\nAACCGGTTAC\\n")
        >>> _ = (folder / "sites.bed").write_text("chr1\\t4\\t6\\ta\\t0\\t-\\n")
        >>> windows = RegionWindows(
        ...     folder / "sites.bed", folder / "genome.fa", "start", upstream=2, downstream=3
        ... )
        >>> [record.values["sequence"] for record in windows], windows.counts
        (['AACCG'], {'signal': 1})
    """

    regions: str | os.PathLike[str]
    genome: str | os.PathLike[str]
    anchor: str
    upstream: int
    downstream: int
    edge: str = "drop"
    feature: str | None = None
    label: str = POSITIVE
    negatives: Negatives | None = None
    contigs: Sequence[str] | Mapping[str, str] | None = None
    cache_folder: Path | None = None
    counts: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_anchor(self.regions, self.anchor, self.feature)
        self._window = Window(self.upstream, self.downstream, ANCHORS[self.anchor], self.edge)
        if self.negatives is not None:
            self.negatives.check(self.anchor, self._window, is_bed(self.regions))
            if self.negatives.label == self.label:
                raise ValueError(
                    f"negatives: their label is {self.label!r}, as that of the sites: change one"
                )

    @cached_property
    def _opened(self) -> GenomeWindows:
        return open_windows(self.genome, self.regions, self.contigs, self.cache_folder)

    def __iter__(self) -> Iterator[Record]:
        counts: Counter[str] = Counter({self.label: 0})
        if self.negatives is not None:
            counts[self.negatives.label] = 0
        number = 0
        for number, (site, label, sequence) in enumerate(self._labelled(counts), start=1):
            counts[label] += 1
            yield self._record(site, label, sequence, number)
        self.counts = dict(counts)
        logger.info("%s: %s", self.regions, counted(self.counts))
        if number == 0:
            raise RecordError(f"{self.regions}: no window is left: {counted(self.counts)}")

    def _labelled(self, counts: Counter[str]) -> Iterator[tuple[Site, str, str]]:
        """Sites, their labels and windows; each is followed by its negatives."""
        sites, left_out = read_sites(self.regions, self.anchor, feature=self.feature)
        negatives, draw = self.negatives, None
        if negatives is not None:
            known = list(sites)
            sites = iter(known)
            draw = negative_drawer(negatives, known, self._opened, self._window)
        for site in sites:
            sequence = self._cut(site, counts)
            if sequence is None:
                continue
            if negatives is None or draw is None:
                yield site, self._label(site), sequence
            elif not negatives.matches_at(sequence, self.upstream):
                counts["left out: another motif"] += 1
            else:
                yield site, self._label(site), sequence
                drawn = draw(site)
                counts["negatives lacking in their genes"] += negatives.per_site - len(drawn)
                for negative in drawn:
                    yield negative, negatives.label, self._cut(negative, counts) or ""
        counts.update(left_out)

    def _label(self, site: Site) -> str:
        return str(site.values.get("label", self.label))

    def _cut(self, site: Site, counts: Counter[str]) -> str | None:
        contig = self._opened.contig(site.contig, site.position, site.line, counts)
        if contig is None:
            return None
        place = contig, site.position, site.strand
        sequence = self._opened.cut(self._window, *place, site.line, site.name)
        if sequence is None:
            counts["left out: at the end of a contig"] += 1
        return sequence

    def _record(self, site: Site, label: str, sequence: str, number: int) -> Record:
        start, end = self._window.interval(site.position, site.strand == "-")
        values: dict[str, Any] = {
            **site.values,
            "name": site.name or str(number),
            "label": label,
            "chrom": self._opened.contigs[site.contig].name,
            "start": start,
            "end": end,
            "strand": site.strand,
            "gene": site.gene,
            "sequence": sequence,
        }
        return Record(values, values["name"], str(self.regions), number, site.line)


def counted(counts: Mapping[str, int]) -> str:
    """Write counts in words.

    Example:

        >>> counted({"signal": 1200, "none": 1199, "left out": 0})
        '1,200 signal, 1,199 none'
    """
    return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
