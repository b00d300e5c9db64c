"""Reading genomes once, to know what is in them before training starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.genomes.bases import normalize_bases
from dnagpt_hf.genomes.fasta import Contig, ContigPart
from dnagpt_hf.genomes.manifest import SpeciesGenome

# Base pairs of the nine genomes of DNAGPT-M after preprocessing (paper, supplementary materials)
PUBLISHED_BASES = {
    "arabidopsis_thaliana": 119_146_348,
    "caenorhabditis_elegans": 100_272_607,
    "bos_taurus": 2_628_394_923,
    "danio_rerio": 1_345_101_833,
    "drosophila_melanogaster": 137_547_960,
    "escherichia_coli_gca_001721525": 5_176_750,
    "homo_sapiens": 3_088_286_401,
    "mus_musculus": 2_723_414_844,
    "saccharomyces_cerevisiae": 12_071_326,
}

# of larger arrays, the system gives the memory anew each time, which halves the speed
_BLOCK = 1 << 17
_KNOWN, _GC = (np.frombuffer(bases, np.uint8) for bases in (b"ACGT", b"GC"))
_TO_UPPER = 0xDF
_LAST_UPPER = ord("Z")


@dataclass(frozen=True)
class Counts:
    """Letters of some sequence: all, those that are not N, G and C among them, lower case."""

    bases: int = 0
    known: int = 0
    gc: int = 0
    lower_case: int = 0

    def __add__(self, other: Counts) -> Counts:
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Counts(*(one + two for one, two in pairs))


@dataclass(frozen=True)
class SpeciesReport:
    """What a genome holds.

    Args:
        name: species.
        token: its instruction token.
        contigs: parts that are trained on or held out.
        bases: bases in them.
        undetermined: how many of them are N or another code for several bases.
        gc_content: fraction of G and C among the others.
        soft_masked: fraction of lower-case letters.
        training_bases: bases that are trained on.
        held_out_bases: bases that are held out.
        undetermined_parts: names of the parts that hold nothing but N.
        published_bases: what the paper states for this species, or `None`.
    """

    name: str
    token: str
    contigs: int
    bases: int
    undetermined: int
    gc_content: float
    soft_masked: float
    training_bases: int
    held_out_bases: int
    undetermined_parts: tuple[str, ...]
    published_bases: int | None


def check_genomes(
    species: Sequence[SpeciesGenome], progress: Callable[[int], None] | None = None
) -> list[SpeciesReport]:
    """Read all parts of all genomes once.

    Args:
        species: opened genomes.
        progress: called with the number of bases read so far.

    Raises:
        GenomeError: a character is no nucleotide letter; the message names file, record and
            position.
    """
    done = 0
    reports = []
    for one in species:
        counts = Counts()
        empty = []
        for part in (*one.training, *one.held_out):
            in_part = _count_part(part, progress, done)
            done += len(part)
            counts += in_part
            if not in_part.known:
                empty.append(part.name)
        reports.append(_report(one, counts, tuple(empty)))
    return reports


def drop_undetermined(
    species: Sequence[SpeciesGenome], reports: Sequence[SpeciesReport]
) -> list[SpeciesGenome]:
    """Genomes without the parts that hold nothing but N.

    Raises:
        ValueError: nothing would be left of a species to train on.
    """
    kept = []
    for one, report in zip(species, reports, strict=True):
        dropped = set(report.undetermined_parts)
        training, held_out = (
            tuple(part for part in parts if part.name not in dropped)
            for parts in (one.training, one.held_out)
        )
        if not training:
            raise ValueError(f"species {one.name}: all of its training contigs hold nothing but N")
        kept.append(replace(one, training=training, held_out=held_out))
    return kept


def _report(one: SpeciesGenome, counts: Counts, empty: tuple[str, ...]) -> SpeciesReport:
    return SpeciesReport(
        name=one.name,
        token=one.token,
        contigs=len(one.training) + len(one.held_out),
        bases=counts.bases,
        undetermined=counts.bases - counts.known,
        gc_content=counts.gc / counts.known if counts.known else float("nan"),
        soft_masked=counts.lower_case / counts.bases,
        training_bases=sum(map(len, one.training)),
        held_out_bases=sum(map(len, one.held_out)),
        undetermined_parts=empty,
        published_bases=PUBLISHED_BASES.get(one.name.lower()),
    )


def _count_part(
    part: Contig | ContigPart, progress: Callable[[int], None] | None, done: int
) -> Counts:
    contig, first = (part.contig, part.start) if isinstance(part, ContigPart) else (part, 0)
    counts = Counts()
    for start in range(first, first + len(part), _BLOCK):
        end = min(start + _BLOCK, first + len(part))
        counts += _count(contig.letters(start, end), f"{contig.path}: record {contig.name}", start)
        contig.release_pages(start, end)
        if progress is not None:
            progress(done + end - first)
    return counts


def _count(letters: NDArray[np.uint8], source: str, start: int) -> Counts:
    """What letters are, several times as fast as by a count of each byte."""
    upper = letters & _TO_UPPER
    a, c, g, t, n = (np.count_nonzero(upper == base) for base in b"ACGTN")
    known, gc = a + c + g + t, c + g
    if known + n != len(letters):
        # other codes are rare, so that this may be slow; what is no letter is an error
        bases = normalize_bases(letters, source, start)
        known, gc = (np.isin(bases, some).sum() for some in (_KNOWN, _GC))
    lower_case = np.count_nonzero(letters > _LAST_UPPER)
    return Counts(len(letters), int(known), int(gc), int(lower_case))
