"""Genes and their transcripts from GFF3 and GTF files."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dnagpt_hf.annotation.gff import Feature, read_features
from dnagpt_hf.genomes.bases import Interval
from dnagpt_hf.records.reading import RecordError

_EXON, _CODING = "exon", "CDS"
_EXONIC = (_EXON, _CODING, "stop_codon")
# what lies in a transcript and is no transcript itself
_PARTS = frozenset(
    (*_EXONIC, "start_codon", "intron", "protein", "polypeptide", "five_prime_utr")
) | {"five_prime_UTR", "three_prime_UTR", "three_prime_utr", "UTR"}
_GENE_NAMES = ("locus_tag", "gene_id", "Name", "gene", "gene_name")
_PREFIX = re.compile(r"^(gene|rna|transcript|cds)[-:]", re.IGNORECASE)


@dataclass(slots=True)
class Transcript:
    """A transcript: exons and coding parts from left to right, whatever its strand.

    Args:
        name: its identifier.
        contig: name of its contig.
        strand: `+`, `-` or `.`.
        line: line of the file on which it, or its first part, stands.
        exons: exons; those that touch are one.
        coding: parts of exons that are translated, the stop codon included.
        phase: bases before the first whole codon; 0 unless the start of the coding sequence is
            unknown.
    """

    name: str
    contig: str
    strand: str
    line: int
    exons: tuple[Interval, ...]
    coding: tuple[Interval, ...]
    phase: int

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
        """What lies between its exons, from left to right."""
        return [
            Interval(left.end, right.start)
            for left, right in zip(self.exons, self.exons[1:], strict=False)
        ]


@dataclass(slots=True)
class Gene:
    """A gene and its transcripts.

    Args:
        name: its identifier, without the prefixes `gene-` and `gene:` of NCBI and Ensembl.
        names: all that it is called, its name first.
        contig: name of its contig.
        strand: `+`, `-` or `.`.
        start: its leftmost base, from 0.
        end: the base behind its rightmost one.
        line: line of the file on which it, or its first part, stands.
        transcripts: those of its transcripts that have exons or coding parts.
    """

    name: str
    names: tuple[str, ...]
    contig: str
    strand: str
    start: int
    end: int
    line: int
    transcripts: list[Transcript] = field(default_factory=list)


def read_genes(path: str | os.PathLike[str]) -> list[Gene]:
    """Genes of a GFF3 or GTF file, in the order of the file, with their transcripts.

    In GFF3, what exons and coding parts have as their Parent is a transcript, and what is at the
    upper end of its chain of Parents is the gene; a gene without transcripts, as of bacteria, is
    its own. In GTF, `transcript_id` and `gene_id` say it, and the stop codon is added to the coding
    sequence, where GFF3 has it. Transcripts with parts on two contigs or strands are left out.

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
            "transcript_id in GTF, must say to which"
        )
    return found


class _Part(NamedTuple):
    """An exon or coding part; without the text of its line, since there are many."""

    contig: str
    strand: str
    kind: str
    start: int
    end: int
    phase: int
    line: int
    parents: tuple[str, ...]


@dataclass(slots=True)
class _Node:
    """A gene or transcript: what it is called, where it stands, what is above it."""

    names: tuple[str, ...]
    contig: str
    strand: str
    start: int
    end: int
    line: int
    parent: str


class _Genes:
    """Puts features together; they may stand in any order."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}
        self._parts: dict[str, list[_Part]] = {}

    def add_gff(self, feature: Feature) -> None:
        """Keep a feature of GFF3."""
        parents = feature.parents("Parent")
        if feature.kind in _EXONIC:
            # without a parent, features of one identifier are one
            self._add_part(feature, parents or [feature.attribute("ID") or f"{feature.line}"])
        elif feature.kind not in _PARTS:
            identifier = feature.attribute("ID")
            names = [] if parents else [feature.attribute(name) for name in _GENE_NAMES]
            self._add_node(identifier, feature, [identifier, *names], "".join(parents[:1]))

    def add_gtf(self, feature: Feature) -> None:
        """Keep a feature of GTF."""
        transcript = feature.attribute("transcript_id")
        # where no gene is named, a transcript is one of its own
        gene = feature.attribute("gene_id") or transcript
        # a gene and a transcript may have the same name
        gene_key, transcript_key = f"gene {gene}", f"transcript {transcript}"
        if gene and (feature.kind == "gene" or feature.kind in _EXONIC):
            names = [gene, feature.attribute("gene_name")]
            self._add_node(gene_key, feature, names, "")
        if feature.kind in _EXONIC and transcript:
            self._add_node(transcript_key, feature, [transcript], gene_key)
            self._add_part(feature, [transcript_key])

    def finished(self) -> list[Gene]:
        """The genes, in the order of their lines."""
        genes: dict[tuple[str, str, str], Gene] = {}
        for identifier, parts in self._parts.items():
            if identifier not in self._nodes:
                # the other parent of a coding part is often a protein
                parts = [part for part in parts if not self._nodes.keys() & part.parents]
            transcript = _transcript(self._node(identifier, parts[0]), parts) if parts else None
            if transcript is None:
                continue
            root = self._root(identifier)
            # a gene of the X and the Y chromosome has one name in some files
            place = root, transcript.contig, transcript.strand
            if place not in genes:
                genes[place] = _gene(self._node(root, parts[0]), transcript)
            gene = genes[place]
            gene.transcripts.append(transcript)
            gene.start, gene.end = min(gene.start, transcript.start), max(gene.end, transcript.end)
        return sorted(genes.values(), key=lambda gene: gene.line)

    def _add_node(self, key: str, feature: Feature, names: list[str], parent: str) -> None:
        if key and key not in self._nodes:
            self._nodes[key] = _Node(
                _all_names(names),
                feature.contig,
                feature.strand,
                feature.start,
                feature.end,
                feature.line,
                parent,
            )

    def _add_part(self, feature: Feature, parents: list[str]) -> None:
        part = _Part(
            sys.intern(feature.contig),
            feature.strand,
            feature.kind,
            feature.start,
            feature.end,
            feature.phase,
            feature.line,
            tuple(parents),
        )
        for parent in parents:
            self._parts.setdefault(parent, []).append(part)

    def _node(self, identifier: str, part: _Part) -> _Node:
        """The gene or transcript of that name, made from one of its parts if no line tells it."""
        return self._nodes.get(identifier) or _Node(
            *(_all_names([identifier]), part.contig, part.strand, part.start, part.end),
            part.line,
            parent="",
        )

    def _root(self, identifier: str) -> str:
        """The upper end of a chain of parents."""
        seen = {identifier}
        while identifier in self._nodes and self._nodes[identifier].parent not in ("", *seen):
            identifier = self._nodes[identifier].parent
            seen.add(identifier)
        return identifier


def _all_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names that are not empty, the first one also without its prefix, and that before all."""
    return tuple(dict.fromkeys(filter(None, (_PREFIX.sub("", names[0]), *names))))


def _gene(node: _Node, first: Transcript) -> Gene:
    """A gene that has no transcripts yet, at the place of its first one."""
    is_there = (node.contig, node.strand) == (first.contig, first.strand)
    start, end = (node.start, node.end) if is_there else (first.start, first.end)
    line = node.line if is_there else first.line
    return Gene(node.names[0], node.names, first.contig, first.strand, start, end, line)


def _transcript(node: _Node, parts: list[_Part]) -> Transcript | None:
    """A transcript of its parts, unless they lie on two contigs or strands."""
    if len({(part.contig, part.strand) for part in parts}) > 1:
        return None
    coding = [part for part in parts if part.kind != _EXON]
    first: _Part | None = None
    if any(part.kind == _CODING for part in coding):
        translated = [part for part in coding if part.kind == _CODING]
        is_reverse = parts[0].strand == "-"
        first = max(translated, key=_end) if is_reverse else min(translated, key=_start)
    return Transcript(
        name=node.names[0],
        contig=parts[0].contig,
        strand=parts[0].strand,
        line=node.line,
        exons=_joined(parts),
        coding=_joined(coding) if first else (),
        phase=first.phase if first else 0,
    )


def _start(part: _Part) -> int:
    return part.start


def _end(part: _Part) -> int:
    return part.end


def _joined(parts: Iterable[_Part]) -> tuple[Interval, ...]:
    """Intervals from left to right; those that overlap or touch are one."""
    joined: list[Interval] = []
    for start, end in sorted((part.start, part.end) for part in parts):
        if joined and start <= joined[-1].end:
            joined[-1] = Interval(joined[-1].start, max(end, joined[-1].end))
        else:
            joined.append(Interval(start, end))
    return tuple(joined)
