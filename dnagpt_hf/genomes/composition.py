"""Composition of genomes: one reading before training starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.genomes.bases import normalize_bases
from dnagpt_hf.genomes.contigs import Contig, ContigPart
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

# for larger arrays, the system hands out memory anew each time, which halves the speed
_BLOCK = 1 << 17
# clears the bit in which ASCII letters of lower and upper case differ
_TO_UPPER = 0xDF
_LAST_UPPER = ord("Z")


@dataclass(frozen=True)
class SpeciesReport:
    """Composition of a genome.

    Args:
        name: species.
        token: its instruction token.
        contigs: number of contigs, of which one may have training and held-out parts.
        bases: number of bases in them.
        undetermined: number of bases that are N or another code for several bases.
        gc_content: fraction of G and C among the others.
        soft_masked: fraction of lower-case letters.
        training_bases: number of bases in training parts.
        held_out_bases: number of bases in held-out parts.
        undetermined_parts: names of the parts that hold nothing but N.
        published_bases: number in the paper, or `None` for species that it does not have.
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
    species: Sequence[SpeciesGenome], progress: Callable[[int], object] = lambda read: None
) -> list[SpeciesReport]:
    """Read all parts of all genomes once.

    Args:
        species: opened genomes.
        progress: called with the number of bases of each block that was read.

    Raises:
        GenomeError: a character is no nucleotide letter; the message names file, record and
            position.
    """
    return [_check_genome(one, progress) for one in species]


def drop_undetermined(
    species: Sequence[SpeciesGenome], reports: Sequence[SpeciesReport]
) -> list[SpeciesGenome]:
    """Drop the parts of genomes that hold nothing but N.

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


def _check_genome(one: SpeciesGenome, progress: Callable[[int], object]) -> SpeciesReport:
    parts = (*one.training, *one.held_out)
    # (parts, numbers of all letters, of those that are not N, of G and C, of lower case)
    counts = [_count_part(part, progress) for part in parts]
    bases, known, gc, lower_case = np.sum(counts, axis=0).tolist()
    return SpeciesReport(
        name=one.name,
        token=one.token,
        contigs=len({(contig.path, contig.name) for contig in map(_contig, parts)}),
        bases=bases,
        undetermined=bases - known,
        gc_content=gc / known if known else float("nan"),
        soft_masked=lower_case / bases,
        training_bases=sum(map(len, one.training)),
        held_out_bases=sum(map(len, one.held_out)),
        undetermined_parts=tuple(
            part.name for part, number in zip(parts, counts, strict=True) if not number[1]
        ),
        published_bases=PUBLISHED_BASES.get(one.name.lower()),
    )


def _contig(part: Contig | ContigPart) -> Contig:
    return part.contig if isinstance(part, ContigPart) else part


def _count_part(part: Contig | ContigPart, progress: Callable[[int], object]) -> NDArray[np.int64]:
    contig, first = _contig(part), part.start if isinstance(part, ContigPart) else 0
    counts = np.zeros(4, np.int64)
    for start in range(first, first + len(part), _BLOCK):
        end = min(start + _BLOCK, first + len(part))
        counts += _count(contig.letters(start, end), f"{contig.path}: record {contig.name}", start)
        # a whole genome would otherwise fill this process's memory
        contig.release_pages(start, end)
        progress(end - start)
    return counts


def _count(letters: NDArray[np.uint8], source: str, start: int) -> NDArray[np.int64]:
    """Count the letters of a block: all, those that are not N, G and C among them, lower case."""
    # five comparisons of the block are several times as fast as a histogram of its bytes
    upper = letters & _TO_UPPER
    a, c, g, t, n = (np.count_nonzero(upper == base) for base in b"ACGTN")
    if a + c + g + t + n != len(letters):
        # other codes are rare, so that this may be slow; any other character is an error
        bases = normalize_bases(letters, source, start)
        a, c, g, t = (np.count_nonzero(bases == base) for base in b"ACGT")
    lower_case = np.count_nonzero(letters > _LAST_UPPER)
    return np.array([len(letters), a + c + g + t, c + g, lower_case])
