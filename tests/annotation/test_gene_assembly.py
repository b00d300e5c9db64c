"""Genes and transcripts of GFF3 and GTF."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from annotated_genome import MODELS, gff3, gtf

from dnagpt_hf.annotation.gene_assembly import read_genes
from dnagpt_hf.annotation.transcripts import Gene
from dnagpt_hf.records.files import RecordError


def genes_of(folder: Path, text: str) -> list[Gene]:
    path = folder / "annotation"
    path.write_text(text)
    return read_genes(path)


def line(kind: str, start: int, end: int, text: str, strand: str = "+", phase: str = ".") -> str:
    return f"chr1\tx\t{kind}\t{start}\t{end}\t.\t{strand}\t{phase}\t{text}\n"


@pytest.mark.parametrize("text", [gff3(), gtf()])
def test_genes_have_the_transcripts_of_the_file(tmp_path: Path, text: str) -> None:
    genes = genes_of(tmp_path, text)
    assert [gene.name for gene in genes] == ["g1", "g2", "g3", "g4"]
    transcripts = {t.name: (gene, t) for gene in genes for t in gene.transcripts}
    assert list(transcripts) == [model.name for model in MODELS]
    for model in MODELS:
        gene, transcript = transcripts[model.name]
        assert (gene.name, transcript.contig, transcript.strand) == (
            *(model.gene, model.contig, model.strand),
        )
        assert transcript.exons == model.exons and transcript.coding == model.coding
        assert transcript.phase == 0
    assert (genes[0].start, genes[0].end) == (90, 400)


def test_lines_may_stand_in_any_order(tmp_path: Path) -> None:
    header, *lines = gff3().splitlines()
    random.Random(1).shuffle(lines)
    mixed = genes_of(tmp_path, "\n".join([header, *lines]))
    assert {g.name: {(t.name, t.exons, t.coding) for t in g.transcripts} for g in mixed} == {
        g.name: {(t.name, t.exons, t.coding) for t in g.transcripts}
        for g in genes_of(tmp_path, gff3())
    }


def test_names_of_a_gene(tmp_path: Path) -> None:
    text = "ID=gene-AT1;Name=NAC001;locus_tag=AT1G01010;gene=NAC001"
    (gene,) = genes_of(
        tmp_path,
        line("gene", 1, 9, text)
        + line("mRNA", 1, 9, "ID=rna-a;Parent=gene-AT1")
        + line("exon", 1, 9, "Parent=rna-a"),
    )
    assert gene.name == "AT1"
    assert gene.names == ("AT1", "gene-AT1", "AT1G01010", "NAC001")
    assert (gene.line, gene.transcripts[0].line) == (1, 2)


def test_genes_of_bacteria_are_their_own_transcripts(tmp_path: Path) -> None:
    # a programmed frameshift: two parts that overlap by one base
    (gene,) = genes_of(
        tmp_path,
        line("gene", 11, 99, "ID=gene-prfB")
        + line("CDS", 11, 40, "ID=cds-1;Parent=gene-prfB", phase="0")
        + line("CDS", 40, 99, "ID=cds-1;Parent=gene-prfB", phase="0"),
    )
    (transcript,) = gene.transcripts
    assert transcript.exons == transcript.coding == ((10, 99),)
    assert not transcript.introns


def test_coding_parts_without_a_gene(tmp_path: Path) -> None:
    genes = genes_of(
        tmp_path,
        line("CDS", 11, 19, "ID=a") + line("CDS", 31, 39, "ID=a") + line("CDS", 51, 59, "note=b"),
    )
    assert [(gene.name, gene.start, gene.end) for gene in genes] == [("a", 10, 39), ("3", 50, 59)]
    assert genes[0].transcripts[0].coding == ((10, 19), (30, 39))


def test_a_part_may_have_several_parents(tmp_path: Path) -> None:
    (gene,) = genes_of(
        tmp_path,
        line("gene", 1, 99, "ID=g")
        + line("mRNA", 1, 99, "ID=t1;Parent=g")
        + line("mRNA", 1, 50, "ID=t2;Parent=g")
        + line("protein", 1, 9, "ID=t1-Protein;Derives_from=t1")
        + line("exon", 1, 50, "Parent=t1,t2")
        + line("exon", 60, 99, "Parent=t1")
        + line("CDS", 1, 9, "Parent=t1,t1-Protein;", phase="0"),
    )
    assert [(t.name, len(t.exons), len(t.coding)) for t in gene.transcripts] == [
        ("t1", 2, 1),
        ("t2", 1, 0),
    ]


@pytest.mark.parametrize(("strand", "phase"), [("+", 2), ("-", 1)])
def test_phase_is_that_of_the_first_part(tmp_path: Path, strand: str, phase: int) -> None:
    (gene,) = genes_of(
        tmp_path,
        line("CDS", 1, 10, "ID=a", strand, "2") + line("CDS", 21, 30, "ID=a", strand, "1"),
    )
    assert gene.transcripts[0].phase == phase


def test_one_identifier_on_two_strands_is_two_transcripts(tmp_path: Path) -> None:
    genes = genes_of(
        tmp_path,
        line("exon", 1, 9, "ID=a", "+")
        + line("exon", 21, 29, "ID=a", "-")
        + line("exon", 1, 9, "ID=b"),
    )
    assert [(gene.name, gene.strand, gene.start) for gene in genes] == [
        ("a", "+", 0),
        ("a", "-", 20),
        ("b", "+", 0),
    ]


def test_one_transcript_identifier_in_several_genes(tmp_path: Path) -> None:
    text = 'gene_id "{}"; transcript_id "unknown_transcript_1";'
    places = {"x": (11, 19, "+"), "y": (31, 39, "+"), "z": (51, 59, "-")}
    genes = genes_of(
        tmp_path,
        "".join(
            line("CDS", start, end, text.format(gene), strand)
            for gene, (start, end, strand) in places.items()
        ),
    )
    assert [(g.name, g.start, g.end, g.strand, len(g.transcripts)) for g in genes] == [
        (gene, start - 1, end, strand, 1) for gene, (start, end, strand) in places.items()
    ]


GTF = 'gene_id "x"; transcript_id "t"; '
COPIES = [
    # untranslated bases at the junction, on both sides, between coding parts
    [("exon", 1, 50, GTF), ("CDS", 10, 30, GTF), ("exon", 101, 150, GTF), ("CDS", 110, 130, GTF)],
    # a line for each copy
    [
        *(("transcript", 1, 50, GTF), ("transcript", 101, 150, GTF)),
        *(("exon", 1, 50, GTF), ("exon", 101, 150, GTF)),
    ],
    # exon numbers that begin again
    [("exon", 1, 50, GTF + "exon_number 1;"), ("exon", 101, 150, GTF + "exon_number 1;")],
]


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize("rows", COPIES)
def test_copies_on_one_chromosome(
    tmp_path: Path, rows: list[tuple[str, int, int, str]], strand: str
) -> None:
    genes = genes_of(tmp_path, "".join(line(*row, strand) for row in rows))
    transcripts = [transcript for gene in genes for transcript in gene.transcripts]
    assert [transcript.exons for transcript in transcripts] == [((0, 50),), ((100, 150),)]
    if "CDS" in rows[1]:
        assert [transcript.coding for transcript in transcripts] == [((9, 30),), ((109, 130),)]


def test_a_spliced_transcript_is_no_copy(tmp_path: Path) -> None:
    rows = [("exon", 1, 50, 1), ("CDS", 10, 50, 1), ("exon", 101, 150, 2), ("CDS", 101, 130, 2)]
    text = "".join(line(kind, a, b, f"{GTF}exon_number {n};") for kind, a, b, n in rows)
    (gene,) = genes_of(tmp_path, text)
    (transcript,) = gene.transcripts
    assert transcript.coding == ((9, 50), (100, 130)) and transcript.introns == [(50, 100)]


def test_trans_splicing(tmp_path: Path) -> None:
    # as rps12 of chloroplasts: the first part is behind the others, on the other strand
    text = "ID=cds-r;Parent=gene-r;exception=trans-splicing"
    (gene,) = genes_of(
        tmp_path,
        line("gene", 501, 560, "ID=gene-r;part=1;exception=trans-splicing", "-")
        + line("gene", 101, 230, "ID=gene-r;part=2;exception=trans-splicing", "+")
        + line("CDS", 501, 560, text, "-", "0")
        + line("CDS", 101, 140, text, "+", "0")
        + line("CDS", 201, 230, text, "+", "2"),
    )
    (transcript,) = gene.transcripts
    assert transcript.rearranged and not transcript.introns
    assert transcript.coding_start == (560, "-") and transcript.coding_end == (230, "+")


def test_a_gene_over_the_origin_of_a_circular_contig(tmp_path: Path) -> None:
    (gene,) = genes_of(
        tmp_path,
        line("gene", 951, 1000, "ID=gene-c;part=1")
        + line("gene", 1, 40, "ID=gene-c;part=2")
        + line("CDS", 1, 40, "ID=cds-c;Parent=gene-c;part=2", phase="1")
        + line("CDS", 951, 1000, "ID=cds-c;Parent=gene-c;part=1", phase="0"),
    )
    (transcript,) = gene.transcripts
    assert transcript.rearranged and transcript.phase == 0
    assert (transcript.coding_start, transcript.coding_end) == ((950, "+"), (40, "+"))


def test_numbered_parts_that_follow_each_other_are_an_ordinary_transcript(tmp_path: Path) -> None:
    rows = "".join(line("CDS", a, a + 8, f"ID=c;part={n}", "-") for n, a in [(1, 31), (2, 1)])
    (gene,) = genes_of(tmp_path, rows)
    assert not gene.transcripts[0].rearranged and gene.transcripts[0].introns == [(9, 30)]


def test_a_gene_and_its_transcript_may_have_the_same_name(tmp_path: Path) -> None:
    (gene,) = genes_of(tmp_path, line("exon", 1, 9, 'gene_id "x"; transcript_id "x";'))
    assert (gene.name, gene.transcripts[0].name) == ("x", "x")


def test_a_transcript_without_a_gene_is_one(tmp_path: Path) -> None:
    text = 'gene_id ""; transcript_id "{}";'
    genes = genes_of(tmp_path, "".join(line("exon", 1, 9, text.format(name)) for name in "xy"))
    assert [gene.name for gene in genes] == ["x", "y"]


def test_a_gene_of_two_contigs_is_two(tmp_path: Path) -> None:
    text = 'gene_id "x"; transcript_id "{}";'
    genes = genes_of(
        tmp_path,
        line("exon", 11, 19, text.format("a"))
        + line("exon", 501, 509, text.format("b")).replace("chr1", "chr2")
        + line("exon", 31, 39, text.format("c")),
    )
    assert [(gene.name, gene.contig, gene.start, gene.end) for gene in genes] == [
        ("x", "chr1", 10, 39),
        ("x", "chr2", 500, 509),
    ]


def test_parents_that_form_a_circle(tmp_path: Path) -> None:
    genes = genes_of(
        tmp_path,
        line("gene", 1, 9, "ID=a;Parent=b")
        + line("gene", 1, 9, "ID=b;Parent=a")
        + line("exon", 1, 9, "Parent=a"),
    )
    assert len(genes) == 1


def test_a_file_without_transcripts(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no exon or CDS belongs to a gene: Parent in GFF3"):
        genes_of(tmp_path, line("gene", 1, 9, "ID=a"))
