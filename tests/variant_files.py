"""A small genome and files of variants for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

HEADER = (
    "##fileformat=VCFv4.2",
    "##contig=<ID=chr1,length=900>",
    '##INFO=<ID=AC,Number=A,Type=Integer,Description="Allele count">',
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tNA1",
)


def bases() -> str:
    """The bases of contig chr1, with an N at its position 500."""
    drawn = "".join(np.random.default_rng(7).choice(list("ACGT"), 900))
    return drawn[:499] + "N" + drawn[500:]


def other(base: str) -> str:
    """Another base."""
    return "CGTA"["ACGT".index(base)]


def write_genome(folder: Path) -> Path:
    """Write chr1 and the mitochondrion."""
    path = folder / "genome.fa"
    path.write_text(f">chr1\n{bases()}\n>chrM\n{bases()[:300]}\n")
    return path


def lines() -> list[str]:
    """Records of each kind, sorted."""
    dna = bases()
    written = []

    def add(position: int, length: int, alt: str, info: str = "AC=1", chrom: str = "chr1") -> None:
        ref = dna[position - 1 : position - 1 + length]
        written.append(f"{chrom}\t{position}\t.\t{ref}\t{alt}\t10.50\tPASS\t{info}\tGT\t0/1")

    add(401, 1, other(dna[400]))
    add(420, 3, f"{dna[419]},<DEL>", "AC=1,2")
    add(430, 1, f"{dna[429]}GATTACA,*", ".")
    add(440, 1, f"{dna[439]}[chr1:700[")
    add(450, 1, ".", "")
    add(500, 1, "A")
    add(510, 1, other(dna[509]).lower())
    return written


def write_vcf(path: Path, records: list[str], header: tuple[str, ...] = HEADER) -> Path:
    """Write a VCF file."""
    path.write_text("\n".join([*header, *records]) + "\n")
    return path
