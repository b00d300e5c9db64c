"""Genes and their transcripts."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from dnagpt_hf.genomes.bases import Interval


class CodingEnd(NamedTuple):
    """An end of a coding sequence: the cut before or behind its outermost base, and its strand."""

    position: int
    strand: str


@dataclass(slots=True)
class Transcript:
    """A transcript: exons and coding parts from left to right, whatever its strand.

    Args:
        name: its identifier.
        contig: name of its contig.
        strand: `+`, `-` or `.`; of a trans-spliced transcript that of its first part.
        line: line of the file on which it, or its first part, stands.
        exons: exons; those that touch are one.
        coding: parts of exons that are translated, the stop codon included.
        phase: bases before the first whole codon; 0 unless the start of the coding sequence is
            unknown.
        coding_start: start of the coding sequence; `None` if it has none.
        coding_end: end of the coding sequence.
        rearranged: whether its parts do not follow each other from left to right on one strand:
            it is trans-spliced, or runs over the origin of a circular contig.
    """

    name: str
    contig: str
    strand: str
    line: int
    exons: tuple[Interval, ...]
    coding: tuple[Interval, ...]
    phase: int
    coding_start: CodingEnd | None = None
    coding_end: CodingEnd | None = None
    rearranged: bool = False

    @property
    def start(self) -> int:
        """Its leftmost base."""
        return self.exons[0].start

    @property
    def end(self) -> int:
        """The base behind its rightmost one."""
        return self.exons[-1].end

    @property
    def introns(self) -> list[Interval]:
        """The intervals between its exons, from left to right; none if it is rearranged."""
        if self.rearranged:
            return []
        return [Interval(left.end, right.start) for left, right in pairwise(self.exons)]


@dataclass(slots=True)
class Gene:
    """A gene and its transcripts.

    Args:
        name: its identifier, without the prefixes `gene-` and `gene:` of NCBI and Ensembl.
        names: all its names, `name` first.
        contig: name of its contig.
        strand: `+`, `-` or `.`.
        start: its leftmost base, from 0.
        end: the base behind its rightmost one.
        line: line of the file on which it, or its first part, stands.
        transcripts: its transcripts with exons or coding parts.
    """

    name: str
    names: tuple[str, ...]
    contig: str
    strand: str
    start: int
    end: int
    line: int
    transcripts: list[Transcript] = field(default_factory=list)
