"""Reading genomes once, to know what is in them before training starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.data.genome_files import Contig, ContigPart
from dnagpt_hf.data.genomes import normalise_bases
from dnagpt_hf.data.manifest import SpeciesGenome

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

_BLOCK = 1 << 20
_GC = np.frombuffer(b"GCgc", dtype=np.uint8)
_KNOWN = np.frombuffer(b"ACGTUacgtu", dtype=np.uint8)
_LOWER = np.arange(ord("a"), ord("z") + 1)
_LETTERS = np.frombuffer(b"ACGTUNRYSWKMBDHVacgtunryswkmbdhv", dtype=np.uint8)


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
        undetermined_parts: names of the training parts that hold nothing but N.
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
        counts = np.zeros(256, dtype=np.int64)
        empty = []
        for index, part in enumerate((*one.training, *one.held_out)):
            letters = _count_letters(part, progress, done)
            done += len(part)
            counts += letters
            if index < len(one.training) and not letters[_KNOWN].sum():
                empty.append(part.name)
        reports.append(_report(one, counts, tuple(empty)))
    return reports


def drop_undetermined(
    species: Sequence[SpeciesGenome], reports: Sequence[SpeciesReport]
) -> list[SpeciesGenome]:
    """Genomes without the training parts that hold nothing but N.

    Raises:
        ValueError: nothing would be left of a species.
    """
    kept = []
    for one, report in zip(species, reports, strict=True):
        training = tuple(
            part for part in one.training if part.name not in report.undetermined_parts
        )
        if not training:
            raise ValueError(f"species {one.name}: all of its training contigs hold nothing but N")
        kept.append(replace(one, training=training))
    return kept


def _report(one: SpeciesGenome, counts: NDArray[np.int64], empty: tuple[str, ...]) -> SpeciesReport:
    bases, known = int(counts.sum()), int(counts[_KNOWN].sum())
    return SpeciesReport(
        name=one.name,
        token=one.token,
        contigs=len(one.training) + len(one.held_out),
        bases=bases,
        undetermined=bases - known,
        gc_content=int(counts[_GC].sum()) / known if known else float("nan"),
        soft_masked=int(counts[_LOWER].sum()) / bases,
        training_bases=sum(map(len, one.training)),
        held_out_bases=sum(map(len, one.held_out)),
        undetermined_parts=empty,
        published_bases=PUBLISHED_BASES.get(one.name.lower()),
    )


def _count_letters(
    part: Contig | ContigPart, progress: Callable[[int], None] | None, done: int
) -> NDArray[np.int64]:
    """How often each byte occurs, `(256,)`."""
    contig, first = (part.contig, part.start) if isinstance(part, ContigPart) else (part, 0)
    counts = np.zeros(256, dtype=np.int64)
    for start in range(first, first + len(part), _BLOCK):
        letters = contig.letters(start, min(start + _BLOCK, first + len(part)))
        block = np.bincount(letters, minlength=256)
        if block.sum() != block[_LETTERS].sum():
            # says where it stands
            normalise_bases(letters, f"{contig.path}: record {contig.name}", start)
        counts += block
        if progress is not None:
            progress(done + start - first + len(letters))
    return counts
