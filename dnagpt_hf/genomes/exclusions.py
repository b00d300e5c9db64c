"""Contigs, regions and patterns: which bases of a genome they name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import islice

from dnagpt_hf.genomes.bases import Interval
from dnagpt_hf.genomes.fasta import Contig, ContigPart

_REGION = re.compile(r"(.+):([\d,]+)-([\d,]+)")
# to compare a name with more takes seconds
_COMPARED = 10_000


class RegionError(ValueError):
    """A name that does not fit the contigs of a genome."""


def intervals_of(
    names: Sequence[str], contigs: Mapping[str, Contig]
) -> dict[str, dict[str, list[Interval]]]:
    """The bases that each name stands for, as intervals by contig.

    Args:
        names: contigs, regions `X:1-10000` (positions from 1, the last one included) or patterns
            `KI27*`. An exact name wins over a region, a region over a pattern.
        contigs: those of the genome, by name.

    Raises:
        RegionError: a name fits none, or a region does not lie in its contig.
    """
    found: dict[str, dict[str, list[Interval]]] = {}
    for name in names:
        intervals = found.setdefault(name, {})
        for contig, interval in _resolved(name, contigs):
            intervals.setdefault(contig, []).append(interval)
    return found


def _resolved(name: str, contigs: Mapping[str, Contig]) -> Iterator[tuple[str, Interval]]:
    region = _REGION.fullmatch(name)
    if name in contigs:
        yield name, Interval(0, len(contigs[name]))
    elif region and region[1] in contigs:
        contig, length = region[1], len(contigs[region[1]])
        start, end = (int(region[group].replace(",", "")) for group in (2, 3))
        if not 1 <= start <= end <= length:
            raise RegionError(f"{name}: contig {contig} has the positions 1 to {length:,}")
        yield contig, Interval(start - 1, end)
    else:
        fitting = [contig for contig in contigs if fnmatchcase(contig, name)]
        if not fitting:
            similar = ", ".join(similar_contigs(name, contigs))
            raise RegionError(f"no contig {name}; there are {similar}, …")
        for contig in fitting:
            yield contig, Interval(0, len(contigs[contig]))


def similar_contigs(name: str, contigs: Mapping[str, Contig]) -> list[str]:
    """Contigs that may be meant; the first ones if none is similar."""
    name = name.partition(":")[0].lower().removeprefix("chr")
    known = list(islice(contigs, _COMPARED))
    close = [one for one in known if one.lower().removeprefix("chr") == name]
    close += difflib.get_close_matches(name, known, n=3)
    return list(dict.fromkeys(close)) or known[:5]


def without(intervals: Sequence[Interval], removed: Sequence[Interval]) -> list[Interval]:
    """What remains of intervals, in their order.

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
    """Intervals of a contig as its parts; all of it as itself."""
    return [
        contig if len(contig) == one.end - one.start else contig.part(one.start, one.end)
        for one in intervals
    ]
