"""Regions, contigs and patterns: the bases of a genome that a text names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from typing import TYPE_CHECKING

from dnagpt_hf.genomes.bases import Interval
from dnagpt_hf.genomes.contig_names import ContigNames
from dnagpt_hf.genomes.contigs import Contig, ContigPart

if TYPE_CHECKING:
    from dnagpt_hf.genomes.fasta import Genome

_REGION = re.compile(r"(.+):([\d,]*\d[\d,]*)-([\d,]*)")
# comparing a name with more contigs takes seconds
_MOST_COMPARED, _MOST_LISTED = 10_000, 5


@dataclass(frozen=True)
class Region:
    """Positions of a contig, counted from 1, both ends included, as samtools counts them.

    Args:
        contig: name of the contig or chromosome.
        start: first position.
        end: last position; `None` for the end of the contig.

    Raises:
        ValueError: the end lies before the start, or the start before 1.
    """

    contig: str
    start: int = 1
    end: int | None = None

    def __post_init__(self) -> None:
        if self.start < 1 or (self.end is not None and self.end < self.start):
            raise ValueError(
                f"region {self}: positions count from 1, and the end does not lie before the start"
            )

    @classmethod
    def parse(cls, text: str) -> Region:
        """Read `chr1:1,000-2,000`, `chr1:1000-` up to the end of the contig, or `chr1` alone.

        Raises:
            ValueError: the end lies before the start, or the start before 1.

        Example:

            >>> Region.parse("1:11,697,036-11,836,540")
            Region(contig='1', start=11697036, end=11836540)
            >>> str(Region.parse("HLA:A*01:5-"))
            'HLA:A*01:5-'
        """
        found = _REGION.fullmatch(text.strip())
        if not found:
            return cls(text.strip())
        start, end = (found[group].replace(",", "") for group in (2, 3))
        return cls(found[1], int(start), int(end) if end else None)

    def __str__(self) -> str:
        if self.start == 1 and self.end is None:
            return self.contig
        return f"{self.contig}:{self.start:,}-{'' if self.end is None else f'{self.end:,}'}"


def find_intervals(
    name: str,
    contigs: Mapping[str, Contig],
    genome: object = "the genome",
    names: ContigNames | None = None,
) -> list[tuple[str, Interval]]:
    """Find the bases that a name stands for, as contigs and intervals.

    Args:
        name: a contig, a region `X:1-10000` or a pattern `KI27*`. A contig has priority over a
            region, a region over a pattern.
        contigs: contigs of the genome by name.
        genome: its file, for errors.
        names: other names of the contigs; by default with and without `chr`.

    Raises:
        ValueError: the name fits no contig, or the region does not lie in its contig.
    """
    names = names or ContigNames(contigs)
    region = Region(name) if names.find(name) else Region.parse(name)
    contig = names.find(region.contig)
    if contig is not None:
        length = len(contigs[contig])
        end = length if region.end is None else region.end
        if not region.start <= end <= length:
            raise ValueError(f"{name}: contig {contig} has the positions 1 to {length:,}")
        return [(contig, Interval(region.start - 1, end))]
    fitting = [contig for contig in contigs if fnmatchcase(contig, name)]
    if not fitting:
        raise ValueError(no_such_contig(region.contig, contigs, genome))
    return [(contig, Interval(0, len(contigs[contig]))) for contig in fitting]


def contig_of_region(genome: Genome, name: str, start: int, end: int, where: str = "") -> str:
    """Find the contig of a region by any of its names.

    Args:
        genome: the genome.
        name: name of the contig, with or without `chr`, or another one that the genome knows.
        start: first base of the region, from 0.
        end: end of the region, excluded.
        where: place that names the region, such as the line of a file.

    Raises:
        ValueError: the genome has no such contig, or the region is empty or does not lie in it.
    """
    region = f"{where}{': ' if where else ''}region {name}:{start + 1:,}-{end:,}"
    contig = genome.names.find(name)
    if contig is None:
        raise ValueError(f"{region}: {no_such_contig(name, genome.contigs, genome.path)}")
    length = len(genome.contigs[contig])
    if not 0 <= start <= end <= length:
        raise ValueError(f"{region}: contig {contig} has the positions 1 to {length:,}")
    if start == end:
        raise ValueError(f"{region} has no bases")
    return contig


def no_such_contig(name: str, contigs: Mapping[str, Contig], genome: object) -> str:
    """Say that a genome lacks a contig, for an error message.

    Example:

        >>> no_such_contig("chrII", {"I": None}, "genome.fa")
        'genome.fa has no contig chrII; its contigs are I'
    """
    return f"{genome} has no contig {name}; its contigs are {similar_contigs(name, contigs)}"


def similar_contigs(name: str, contigs: Mapping[str, Contig]) -> str:
    """List contigs for an error message; of many, first those that a mistyped name may mean.

    Example:

        >>> similar_contigs("CHR7", dict.fromkeys("123456789"))
        '7, 1, 2, 3, 4, …'
    """
    if len(contigs) <= _MOST_LISTED:
        return ", ".join(contigs)
    known = list(islice(contigs, _MOST_COMPARED))
    bare = name.lower().removeprefix("chr")
    close = [one for one in known if one.lower().removeprefix("chr") == bare]
    close += difflib.get_close_matches(name, known, n=3)
    listed = list(dict.fromkeys([*close, *known]))[:_MOST_LISTED]
    return ", ".join([*listed, *["…"] * (len(listed) < len(contigs))])


def without(intervals: Sequence[Interval], removed: Sequence[Interval]) -> list[Interval]:
    """Subtract intervals from others, whose order stays.

    Example:

        >>> without([Interval(0, 10)], [Interval(2, 3), Interval(8, 20)])
        [Interval(start=0, end=2), Interval(start=3, end=8)]
    """
    rest = list(intervals)
    for gap in removed:
        rest = [
            part
            for one in rest
            for part in (
                Interval(one.start, min(one.end, gap.start)),
                Interval(max(one.start, gap.end), one.end),
            )
            if part.start < part.end
        ]
    return rest


def parts_of(contig: Contig, intervals: Sequence[Interval]) -> list[Contig | ContigPart]:
    """Cut intervals from a contig; an interval of all of it is the contig itself."""
    return [
        contig if len(contig) == one.end - one.start else contig.part(one.start, one.end)
        for one in intervals
    ]
