"""A small genome with genes on both strands, as FASTA, GFF3 and GTF, and its mirror image."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

Part = tuple[int, int]


@dataclass(frozen=True)
class Model:
    """A transcript: parts from left to right, from 0, the end left out."""

    name: str
    gene: str
    contig: str
    strand: str
    exons: tuple[Part, ...]
    coding: tuple[Part, ...] = ()


MODELS = (
    Model(
        *("t1", "g1", "chr1", "+"),
        exons=((100, 160), (200, 260), (300, 400)),
        coding=((120, 160), (200, 260), (300, 350)),
    ),
    # the same start of translation, a shorter coding sequence
    Model("t2", "g1", "chr1", "+", ((90, 160), (300, 380)), ((120, 160), (300, 341))),
    Model(
        *("t3", "g2", "chr1", "-"),
        exons=((500, 580), (640, 700), (760, 820)),
        coding=((520, 580), (640, 700), (760, 790)),
    ),
    Model("t4", "g3", "chr1", "+", ((900, 950), (970, 991))),
    Model("t5", "g4", "chr2", "-", ((10, 100),), ((10, 100),)),
)
LENGTHS = {"chr1": 1200, "chr2": 400}


def complement(sequence: str) -> str:
    """The other strand, letter by letter."""
    pairs = {"A": "T", "C": "G", "G": "C", "T": "A", "N": "N"}
    return "".join(pairs[base] for base in reversed(sequence))


def sense(contig: str, strand: str, start: int, end: int) -> str:
    """Bases from `start` to `end`, read in the direction of a strand."""
    return complement(contig[start:end]) if strand == "-" else contig[start:end]


def genome(models: Sequence[Model] = MODELS) -> dict[str, str]:
    """Random contigs, with ATG, TAA, GT and AG where the models have them."""
    draw = random.Random(7)
    contigs = {name: draw.choices("ACGT", k=length) for name, length in LENGTHS.items()}
    for model in models:
        for position, motif in motifs(model):
            letters = complement(motif) if model.strand == "-" else motif
            contigs[model.contig][position : position + len(motif)] = letters
    return {name: "".join(letters) for name, letters in contigs.items()}


def motifs(model: Model) -> list[tuple[int, str]]:
    """Leftmost base of each site of a model, and what stands there in the strand's direction."""
    introns = [(a[1], b[0]) for a, b in zip(model.exons, model.exons[1:], strict=False)]
    left, right = ("GT", "AG") if model.strand == "+" else ("AG", "GT")
    found = [(start, left) for start, _ in introns] + [(end - 2, right) for _, end in introns]
    if model.coding:
        first, last = ("ATG", "TAA") if model.strand == "+" else ("TAA", "ATG")
        found += [(model.coding[0][0], first), (model.coding[-1][1] - 3, last)]
    return found


def fasta(contigs: dict[str, str], width: int = 60) -> str:
    """A FASTA file of contigs."""
    return "".join(
        f">{name} a contig\n"
        + "".join(f"{bases[i : i + width]}\n" for i in range(0, len(bases), width))
        for name, bases in contigs.items()
    )


def gff3(models: Sequence[Model] = MODELS) -> str:
    """GFF3 with phases, the stop codon in the CDS."""
    lines = ["##gff-version 3"]
    for gene in dict.fromkeys(model.gene for model in models):
        ours = [model for model in models if model.gene == gene]
        start = min(model.exons[0][0] for model in ours)
        end = max(model.exons[-1][1] for model in ours)
        lines.append(_line(ours[0], "gene", start, end, ".", f"ID=gene-{gene};Name={gene}%3Bx"))
        for model in ours:
            span = model.exons[0][0], model.exons[-1][1]
            text = f"ID=rna-{model.name};Parent=gene-{gene}"
            lines.append(_line(model, "mRNA" if model.coding else "lnc_RNA", *span, ".", text))
            parent = f"Parent=rna-{model.name}"
            lines += [_line(model, "exon", *part, ".", parent) for part in model.exons]
            lines += [
                _line(model, "CDS", *part, phase, f"ID=cds-{model.name};{parent}")
                for part, phase in _phases(model, model.coding)
            ]
    return "\n".join([*lines, ""])


def gtf(models: Sequence[Model] = MODELS) -> str:
    """GTF without lines of genes and transcripts, the stop codon beside the CDS."""
    lines = ['#!genome-build "x"']
    for model in models:
        text = f'gene_id "{model.gene}"; transcript_id "{model.name}"; gene_name "n;{model.gene}";'
        lines += [_line(model, "exon", *part, ".", text) for part in model.exons]
        if model.coding:
            coding, stop = _without_stop(model)
            lines += [_line(model, "CDS", *p, phase, text) for p, phase in _phases(model, coding)]
            lines.append(_line(model, "stop_codon", *stop, "0", text))
    return "\n".join([*lines, ""])


def mirrored(models: Sequence[Model] = MODELS) -> list[Model]:
    """The models on the other strand of contigs that are read the other way round."""

    def flip(parts: Sequence[Part], length: int) -> tuple[Part, ...]:
        return tuple((length - end, length - start) for start, end in reversed(parts))

    return [
        replace(
            model,
            strand="-" if model.strand == "+" else "+",
            exons=flip(model.exons, LENGTHS[model.contig]),
            coding=flip(model.coding, LENGTHS[model.contig]),
        )
        for model in models
    ]


def write(folder: Path, models: Sequence[Model] = MODELS) -> tuple[Path, Path]:
    """The models as GFF3 and their genome, as files."""
    annotation, sequence = folder / "genes.gff", folder / "genome.fa"
    annotation.write_text(gff3(models))
    sequence.write_text(fasta(genome(models)))
    return annotation, sequence


def _line(model: Model, kind: str, start: int, end: int, phase: str, text: str) -> str:
    fields = (model.contig, "test", kind, start + 1, end, ".", model.strand, phase, text)
    return "\t".join(map(str, fields))


def _phases(model: Model, coding: Sequence[Part]) -> list[tuple[Part, str]]:
    read, phases = 0, {}
    for part in coding if model.strand == "+" else reversed(coding):
        phases[part] = str(-read % 3)
        read += part[1] - part[0]
    return [(part, phases[part]) for part in coding]


def _without_stop(model: Model) -> tuple[list[Part], Part]:
    coding = list(model.coding)
    if model.strand == "+":
        start, end = coding[-1]
        coding[-1] = (start, end - 3)
        return coding, (end - 3, end)
    start, end = coding[0]
    coding[0] = (start + 3, end)
    return coding, (start, start + 3)
