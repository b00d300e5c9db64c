"""Genes and transcripts of a GFF3 or GTF file, joined from its lines."""

from __future__ import annotations

import os
import re
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

from dnagpt_hf.annotation.gff import Feature, read_features
from dnagpt_hf.annotation.transcripts import CodingEnd, Gene, Transcript
from dnagpt_hf.genomes.bases import Interval
from dnagpt_hf.records.files import RecordError

_EXON, _CODING = "exon", "CDS"
_EXONIC = (_EXON, _CODING, "stop_codon")
# types of lines inside a transcript
_PARTS = frozenset(
    (*_EXONIC, "start_codon", "intron", "protein", "polypeptide", "five_prime_utr")
) | {"five_prime_UTR", "three_prime_UTR", "three_prime_utr", "UTR"}
_GENE_NAMES = ("locus_tag", "gene_id", "Name", "gene", "gene_name")
_PREFIX = re.compile(r"^(gene|rna|transcript|cds)[-:]", re.IGNORECASE)
_TRANS_SPLICING = "trans-splicing"
_NUMBER = re.compile(r"\d+")


def read_genes(path: str | os.PathLike[str]) -> list[Gene]:
    """Read the genes of a GFF3 or GTF file with their transcripts, in the order of the file.

    In GFF3, the Parent of exons and coding parts is a transcript, and the upper end of its chain of
    Parents is the gene; a gene without transcripts, as of bacteria, is its own. In GTF the
    attributes `transcript_id` and `gene_id` name them, and the stop codon is added to the coding
    sequence, where GFF3 has it.

    An identifier stands for one transcript on each contig and strand, and in GTF in each gene.
    It stands for several where its `transcript` lines, repeated exon numbers, or untranslated
    exonic bases between two coding parts show that it was given to several. Parts on two strands,
    or with an attribute `part`, belong to one transcript if the file marks them as trans-spliced or
    numbers them.

    Raises:
        RecordError: a line is no feature, or no feature belongs to a gene.
        OSError: the file cannot be opened.
    """
    genes = _Genes()
    for feature in read_features(path):
        if feature.is_gtf:
            genes.add_gtf(feature)
        else:
            genes.add_gff(feature)
    found = genes.finished()
    if not found:
        raise RecordError(
            f"{os.fspath(path)}: no exon or CDS belongs to a gene: Parent in GFF3, or gene_id and "
            "transcript_id in GTF, must name it"
        )
    return found


class _Part(NamedTuple):
    """An exon or coding part; without the text of its line, since there are many.

    `exon_number` is that of GTF. `order` is the attribute `part` of GFF3, by which the parts of a
    transcript are numbered that is trans-spliced or runs over an origin. Both are 0 if not given.
    The file states the order of linked parts, which that of positions need not be.
    """

    contig: str
    strand: str
    kind: str
    start: int
    end: int
    phase: int
    line: int
    parents: tuple[str, ...]
    exon_number: int
    order: int
    is_linked: bool


@dataclass(slots=True)
class _Node:
    """A gene or transcript: its names, its place, and the key of its parent."""

    names: tuple[str, ...]
    contig: str
    start: int
    end: int
    line: int
    parent: str


class _Genes:
    """Collects features, in any order of lines, and joins them to genes."""

    def __init__(self) -> None:
        # lines of genes and transcripts, of which one identifier may have several
        self._nodes: dict[str, list[_Node]] = {}
        # genes and transcripts of GTF that only their parts name
        self._implied: dict[str, list[_Node]] = {}
        self._parts: dict[str, list[_Part]] = {}

    def add_gff(self, feature: Feature) -> None:
        """Keep a feature of GFF3."""
        parents = feature.parents("Parent")
        if feature.kind in _EXONIC:
            # without a parent, features of one identifier are one
            self._add_part(feature, parents or [feature.attribute("ID") or f"{feature.line}"])
        elif feature.kind not in _PARTS and (identifier := feature.attribute("ID")):
            names = [] if parents else [feature.attribute(name) for name in _GENE_NAMES]
            self._nodes.setdefault(identifier, []).append(
                _node(feature, [identifier, *names], "".join(parents[:1]))
            )

    def add_gtf(self, feature: Feature) -> None:
        """Keep a feature of GTF."""
        transcript = feature.attribute("transcript_id")
        # where no gene is named, a transcript is one of its own
        gene = feature.attribute("gene_id") or transcript
        # a gene and a transcript may have the same name, and two genes a transcript of one name
        gene_key, transcript_key = f"gene {gene}", f"transcript {transcript} of {gene}"

        def gene_node() -> _Node:
            return _node(feature, [gene, feature.attribute("gene_name")], "")

        if feature.kind == "gene" and gene:
            self._nodes.setdefault(gene_key, []).append(gene_node())
        elif feature.kind == "transcript" and transcript:
            node = _node(feature, [transcript], gene_key)
            self._nodes.setdefault(transcript_key, []).append(node)
        elif feature.kind in _EXONIC and gene:
            if gene_key not in self._implied:
                self._implied[gene_key] = [gene_node()]
            if transcript and transcript_key not in self._implied:
                self._implied[transcript_key] = [_node(feature, [transcript], gene_key)]
            if transcript:
                self._add_part(feature, [transcript_key])

    def finished(self) -> list[Gene]:
        """Join the parts to transcripts and genes, in the order of their lines."""
        genes: dict[tuple[str, str, str, int], Gene] = {}
        for key, parts in self._parts.items():
            if not self._known(key):
                # the other parent of a coding part is often a protein
                parts = [part for part in parts if not any(map(self._known, part.parents))]
            for copy in self._copies(key, parts):
                (_, own), (root, place, node) = self._find(key, copy[0]), self._root(key, copy[0])
                transcript = _transcript(own, copy)
                # a gene of the X and the Y chromosome has one name in some files
                place_key = root, transcript.contig, transcript.strand, place
                if place_key not in genes:
                    genes[place_key] = _gene(node, transcript)
                gene = genes[place_key]
                gene.transcripts.append(transcript)
                gene.start = min(gene.start, transcript.start)
                gene.end = max(gene.end, transcript.end)
        return sorted(genes.values(), key=lambda gene: gene.line)

    def _copies(self, key: str, parts: list[_Part]) -> Iterator[list[_Part]]:
        """Divide the parts of one identifier into those of each transcript that has it."""
        has_several = len(self._known(key)) > 1
        groups: dict[tuple[str, str, int], list[_Part]] = {}
        for part in parts:
            place = part.contig, part.strand, self._find(key, part)[0] if has_several else 0
            # linked parts may be anywhere on a contig
            groups.setdefault((part.contig, "", 0) if part.is_linked else place, []).append(part)
        for group in groups.values():
            yield from _split_copies(group)

    def _add_part(self, feature: Feature, parents: list[str]) -> None:
        is_numbered = feature.is_gtf and feature.kind == _EXON
        order = _number(feature.attribute("part"))
        number = _number(feature.attribute("exon_number")) if is_numbered else 0
        is_linked = order > 0 or feature.attribute("exception") == _TRANS_SPLICING
        contig, kind, start, end, strand, phase, *_, line = feature
        place = sys.intern(contig), strand, kind, start, end, phase, line
        part = _Part(*place, tuple(parents), number, order, is_linked)
        for parent in parents:
            self._parts.setdefault(parent, []).append(part)

    def _known(self, key: str) -> list[_Node]:
        return self._nodes.get(key) or self._implied.get(key) or []

    def _find(self, key: str, part: _Part) -> tuple[int, _Node]:
        """Find the gene or transcript to which a part belongs, and its index among those of a key.

        It is the one around the part, else the first on its contig, else one made of the part.
        """
        nodes = self._known(key)
        here = [(index, node) for index, node in enumerate(nodes) if node.contig == part.contig]
        for index, node in here:
            if node.start <= part.start and part.end <= node.end:
                return index, node
        if here:
            return here[0]
        names, parent = (nodes[0].names, nodes[0].parent) if nodes else (_all_names([key]), "")
        return -1, _Node(names, part.contig, part.start, part.end, part.line, parent)

    def _root(self, key: str, part: _Part) -> tuple[str, int, _Node]:
        """Follow a chain of parents to its upper end: its key, index and gene."""
        seen = {key}
        index, node = self._find(key, part)
        while node.parent not in ("", *seen):
            key = node.parent
            seen.add(key)
            index, node = self._find(key, part)
        return key, index, node


def _number(text: str) -> int:
    """Read the number at the start of a text; 0 if there is none."""
    found = _NUMBER.match(text) if text else None
    return int(found[0]) if found else 0


def _node(feature: Feature, names: Sequence[str], parent: str) -> _Node:
    return _Node(
        _all_names(names), feature.contig, feature.start, feature.end, feature.line, parent
    )


def _all_names(names: Sequence[str]) -> tuple[str, ...]:
    """List the names that are not empty, that of the first without its prefix before all."""
    return tuple(dict.fromkeys(filter(None, (_PREFIX.sub("", names[0]), *names))))


def _gene(node: _Node, first: Transcript) -> Gene:
    """Make a gene that has no transcripts yet, at the place of its first one."""
    is_there = node.contig == first.contig
    start, end = (node.start, node.end) if is_there else (first.start, first.end)
    line = node.line if is_there else first.line
    return Gene(node.names[0], node.names, first.contig, first.strand, start, end, line)


def _split_copies(parts: list[_Part]) -> list[list[_Part]]:
    """Divide parts on one strand of a contig into copies of a transcript, if there are several.

    A copy begins with an exon whose number there was before, or at a junction of two exons that
    both have untranslated bases there although coding parts lie on either side.
    """
    if parts[0].is_linked:
        return [parts]
    exons = [part for part in parts if part.kind == _EXON]
    copies: list[list[_Part]] = [[]]
    numbers: set[int] = set()
    for exon in exons:
        if exon.exon_number in numbers:
            copies.append([])
            numbers = set()
        copies[-1].append(exon)
        numbers |= {exon.exon_number} - {0}
    coding = [part for part in parts if part.kind != _EXON]
    if len(copies) == 1 and len(exons) > 1 and len(coding) > 1:
        copies = _split_at_junctions(exons, coding)
    if len(copies) == 1:
        return [parts]
    for part in coding:
        around = [
            copy
            for copy in copies
            if any(exon.start <= part.start and part.end <= exon.end for exon in copy)
        ]
        (around or copies)[0].append(part)
    return copies


def _split_at_junctions(exons: list[_Part], coding: list[_Part]) -> list[list[_Part]]:
    bounds = []
    ends = {part.end for part in coding}
    for left, right in pairwise(_joined(exons)):
        if left.end in ends:
            # translated up to the junction, as nearly all are
            continue
        before = [part.end for part in coding if part.start < left.end]
        after = [part.start for part in coding if part.end > right.start]
        if before and after and max(before) < left.end and min(after) > right.start:
            bounds.append(right.start)
    copies: list[list[_Part]] = [[] for _ in range(len(bounds) + 1)]
    for exon in exons:
        copies[bisect_right(bounds, exon.start)].append(exon)
    return copies


def _transcript(node: _Node, parts: list[_Part]) -> Transcript:
    """Make a transcript of its parts."""
    translated = _in_order([part for part in parts if part.kind == _CODING])
    in_order = translated or _in_order(parts)
    strand = in_order[0].strand
    step = -1 if strand == "-" else 1
    rearranged = False
    if parts[0].is_linked:
        starts = [part.start for part in in_order]
        is_sorted = starts == sorted(starts)[::step]
        rearranged = not is_sorted or len({part.strand for part in parts}) > 1
    # a stop codon of GTF lies behind the last coding part; without a coding part it is none
    coding = _joined(part for part in parts if part.kind != _EXON) if translated else ()
    coding_start = coding_end = None
    if rearranged and translated:
        coding_start = CodingEnd(_outer(translated[0]), translated[0].strand)
        coding_end = CodingEnd(_outer(translated[-1], last=True), translated[-1].strand)
    elif coding:
        first, last = (coding[0].start, coding[-1].end)[::step]
        coding_start, coding_end = CodingEnd(first, strand), CodingEnd(last, strand)
    return Transcript(
        name=node.names[0],
        contig=parts[0].contig,
        strand=strand,
        line=node.line,
        exons=_joined(parts),
        coding=coding,
        phase=translated[0].phase if translated else 0,
        coding_start=coding_start,
        coding_end=coding_end,
        rearranged=rearranged,
    )


def _in_order(parts: list[_Part]) -> list[_Part]:
    """Sort parts as they follow each other in the transcript."""
    if parts and parts[0].is_linked:
        # of trans-spliced parts without a number, as in the file
        return sorted(parts, key=attrgetter("order"))
    if parts and parts[0].strand == "-":
        return sorted(parts, key=attrgetter("end"), reverse=True)
    return sorted(parts, key=attrgetter("start"))


def _outer(part: _Part, last: bool = False) -> int:
    """Return the first end of a part in the direction of its strand, or its last one."""
    return part.end if (part.strand == "-") != last else part.start


def _joined(parts: Iterable[_Part]) -> tuple[Interval, ...]:
    """Join the intervals of parts, from left to right; those that overlap or touch are one."""
    joined: list[list[int]] = []
    for start, end in sorted({(part.start, part.end) for part in parts}):
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(end, joined[-1][1])
        else:
            joined.append([start, end])
    return tuple(Interval(start, end) for start, end in joined)
