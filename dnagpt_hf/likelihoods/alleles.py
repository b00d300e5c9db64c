"""Alleles of a genome, and the haplotypes that carry them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from dnagpt_hf.genomes.bases import Bases, N, reverse_complement
from dnagpt_hf.genomes.contigs import Contig
from dnagpt_hf.likelihoods.strands import Strand, padded

Note = Literal[
    "ref_mismatch",
    "n_in_allele",
    "symbolic",
    "breakend",
    "spanning_deletion",
    "no_alt",
    "too_long",
    "no_context",
    "unknown_contig",
]

_NUCLEOTIDES = frozenset("ACGT")
# N and the other IUPAC codes
_UNDETERMINED = frozenset("NRYSWKMBDHV")
# bases that are compared at a time where an allele is shifted along a repeat
_COMPARED = 4096


@dataclass(frozen=True)
class Variant:
    """One alternative allele.

    Lower case is scored as upper case.

    Args:
        contig: name of a contig of the genome, with or without `chr`.
        position: first base of `ref`, counted from 0.
        ref: the reference allele; empty, or `-`, for an insertion without an anchor base.
        alt: the alternative allele, likewise, or what a VCF file has in its place: `<DEL>`, a
            breakend, `*`, or `.`.

    Example:

        >>> Variant("chr17", 43_044_294, "C", "T").position
        43044294
    """

    contig: str
    position: int
    ref: str
    alt: str


@dataclass(frozen=True)
class Haplotypes:
    """A strand of a contig, and the same with an alternative allele in it.

    Args:
        strand: the reference haplotype.
        position: first base of the reference allele, from 0.
        ref: the reference allele; it shares neither its first nor its last base with the other one.
        alt: the alternative allele.
    """

    strand: Strand
    position: int
    ref: bytes
    alt: bytes

    @classmethod
    def of(cls, contig: Contig, variant: Variant) -> Haplotypes:
        """Write the alleles of a variant without the bases that they share at their ends."""
        ref, alt = variant.ref.encode(), variant.alt.encode()
        end = _shared(ref[::-1], alt[::-1])
        ref, alt = ref[: len(ref) - end], alt[: len(alt) - end]
        start = _shared(ref, alt)
        return cls(Strand(contig), variant.position + start, ref[start:], alt[start:])

    @property
    def on_reverse(self) -> Haplotypes:
        """The haplotypes of the other strand."""
        strand = Strand(self.strand.sequence, not self.strand.is_reverse)
        position = len(strand) - self.position - len(self.ref)
        return Haplotypes(
            strand, position, reverse_complement(self.ref), reverse_complement(self.alt)
        )

    @property
    def is_single_base(self) -> bool:
        """True if one base stands in the place of another."""
        return len(self.ref) == len(self.alt) == 1

    def alternative(self, start: int, end: int) -> Bases:
        """Read the alternative haplotype from `start` to `end`; 0 stands behind its end."""
        behind = self.position + len(self.alt)
        shift = len(self.ref) - len(self.alt)
        allele = self.alt[max(0, start - self.position) : max(0, end - self.position)]
        parts = [
            self.strand[start : max(start, min(end, self.position))],
            np.frombuffer(allele, np.uint8),
            self.strand[max(start, behind) + shift : max(end, behind) + shift],
        ]
        return padded(np.concatenate(parts), end - start)

    @cached_property
    def first_difference(self) -> int:
        """The first position at which the haplotypes differ.

        An allele in a repeat may be written at several places; this one is the same for all.
        """
        start = self.position
        if self.ref and self.alt:
            return start
        while start < len(self.strand):
            end = start + _COMPARED
            reference = padded(self.strand[start:end], _COMPARED)
            is_different = reference != self.alternative(start, end)
            if is_different.any():
                return start + int(is_different.argmax())
            start = end
        return start


def _shared(first: bytes, second: bytes) -> int:
    """Count the letters that two alleles share at their beginning."""
    shorter = min(len(first), len(second))
    pairs = zip(first, second, strict=False)
    return next((index for index, (one, other) in enumerate(pairs) if one != other), shorter)


def note_of_alleles(ref: str, alt: str) -> Note | None:
    """Find the reason for which two alleles are no two sequences; `None` if they are.

    Example:

        >>> [note_of_alleles("A", alt) for alt in ("C", ".", "*", "<DEL>", "A[chr2:7[", "R")]
        [None, 'no_alt', 'spanning_deletion', 'symbolic', 'breakend', 'n_in_allele']
    """
    if alt == "." or not ref + alt:
        return "no_alt"
    if alt == "*":
        return "spanning_deletion"
    if "[" in alt or "]" in alt or "." in (alt[:1], alt[-1:]):
        return "breakend"
    letters = set(ref + alt)
    if letters <= _NUCLEOTIDES:
        return None
    return "n_in_allele" if letters <= _NUCLEOTIDES | _UNDETERMINED else "symbolic"


def note_of_reference(contig: Contig, variant: Variant) -> Note | None:
    """Find the reason for which the reference allele is not that of the genome."""
    end = variant.position + len(variant.ref)
    if variant.position < 0 or end > len(contig):
        return "ref_mismatch"
    found = contig[variant.position : end]
    if found.tobytes() == variant.ref.encode():
        return None
    return "n_in_allele" if (found == N).any() else "ref_mismatch"
