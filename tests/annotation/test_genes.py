"""Promoters and half-life features of genes."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from annotated_genome import MODELS, Model, complement, fasta, genome, gff3, gtf, mirrored, write

from dnagpt_hf.annotation.gene_assembly import read_genes
from dnagpt_hf.annotation.genes import FEATURES, GeneTable, representative, untranslated
from dnagpt_hf.annotation.transcripts import Gene, Transcript
from dnagpt_hf.records.files import RecordError

EXPRESSION = "gene_id,leaf,root\ng1,1.5,0\ng2.1,7,\ng4,2,\nother,9,9\n"


def table(folder: Path, **options: Any) -> GeneTable:
    annotation, sequence = write(folder)
    return GeneTable(annotation, sequence, options.pop("upstream", 20), 15, **options)


def by_hand(model: Model) -> dict[str, float]:
    """The features, base by base."""
    contig = genome()[model.contig]
    exonic = [p for start, end in model.exons for p in range(start, end)]
    coding = {p for start, end in model.coding for p in range(start, end)}
    if model.strand == "-":
        exonic.reverse()
    first, last = (
        next(i for i, p in enumerate(order) if p in coding) for order in (exonic, exonic[::-1])
    )
    parts = exonic[:first], sorted(coding), exonic[len(exonic) - last :]

    def gc(positions: list[int]) -> float:
        bases = [contig[p] for p in positions]
        return sum(base in "GC" for base in bases) / len(bases) if bases else 0

    introns = model.exons[-1][1] - model.exons[0][0] - len(exonic)
    lengths = (len(parts[0]), len(parts[1]), introns, len(parts[2]))
    density = 1000 * len(model.coding) / len(coding)
    return dict(zip(FEATURES, (*lengths, *map(gc, parts), density), strict=True))


def test_features_and_promoters_against_counting(tmp_path: Path) -> None:
    records = list(table(tmp_path, edge="pad"))
    assert [record.name for record in records] == ["g1", "g2", "g4"]
    for record, model in zip(records, (MODELS[0], MODELS[2], MODELS[4]), strict=True):
        values = record.values
        for name, value in by_hand(model).items():
            assert values[name] == pytest.approx(value, abs=1e-6), (record.name, name)
        contig = genome()[model.contig]
        tss = model.exons[0][0]
        if model.strand == "-":
            contig, tss = complement(contig), len(contig) - model.exons[-1][1]
        assert values["PROMOTER"] == contig[tss - 20 : tss + 15]
        assert (values["chrom"], values["strand"]) == (model.contig, model.strand)
        assert values["transcript"] == model.name
        assert values["end"] - values["start"] == 35
    assert list(records[0].values) == [
        *("ENSID", *FEATURES, "chrom", "start", "end", "strand", "transcript", "PROMOTER"),
    ]


@pytest.mark.parametrize("form", ["gtf", "mirror image", "other systems"])
def test_the_same_genes_in_other_forms(tmp_path: Path, form: str) -> None:
    expected = [
        {k: v for k, v in record.values.items() if k not in ("start", "end", "strand")}
        for record in table(tmp_path)
    ]
    annotation, sequence = tmp_path / "other", tmp_path / "other.fa"
    models = mirrored() if form == "mirror image" else MODELS
    annotation.write_text(gtf(models) if form == "gtf" else gff3(models))
    contigs = genome()
    if form == "mirror image":
        contigs = {name: complement(bases) for name, bases in contigs.items()}
    sequence.write_text(fasta(contigs))
    if form == "other systems":
        annotation.write_bytes(gzip.compress(gff3().replace("\n", "\r\n").encode("utf-16")))
        text = fasta({name: bases.lower() for name, bases in contigs.items()})
        sequence.write_bytes(gzip.compress(text.replace("\n", "\r\n").encode()))
    found = [
        {k: v for k, v in record.values.items() if k not in ("start", "end", "strand")}
        for record in GeneTable(annotation, sequence, 20, 15)
    ]
    assert found == expected


def test_gc_leaves_out_n(tmp_path: Path) -> None:
    annotation, sequence = write(tmp_path)
    bases = genome()["chr1"]
    # the 5' UTR of g1 is 20 bases: ten G, ten N; its 3' UTR nothing but N
    changed = f"{bases[:100]}{'G' * 10}{'N' * 10}{bases[120:350]}{'N' * 50}{bases[400:]}"
    sequence.write_text(fasta({**genome(), "chr1": changed}))
    first = next(iter(GeneTable(annotation, sequence, 20, 15)))
    assert (first.values["UTR5GC"], first.values["UTR3GC"]) == (1.0, 0.0)
    assert (first.values["UTR5LEN"], first.values["UTR3LEN"]) == (20, 50)


@pytest.mark.parametrize("ending", [".csv", ".tsv.gz"])
def test_expression_is_joined_by_the_names_of_genes(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"counts{ending}"
    text = "\ufeff" + EXPRESSION.replace("\n", "\r\n")
    if ending == ".csv":
        path.write_text(text)
    else:
        path.write_bytes(gzip.compress(text.replace(",", "\t").encode()))
    genes = table(tmp_path, expression=path, target="leaf", edge="pad")
    records = list(genes)
    assert [(r.values["ENSID"], r.values["EXPRESSION"]) for r in records] == [
        ("g1", "1.5"),
        ("g4", "2"),
    ]
    assert genes.counts == {
        "genes": 2,
        "with a CDS that is no multiple of 3": 0,
        "left out: not translated": 1,
        "left out: without expression": 1,
    }
    # an empty cell is no expression either, nor is what R writes
    path = tmp_path / "na.csv"
    path.write_text(EXPRESSION.replace("7,\n", "7,NA\n").replace("2,\n", "2,nan\nNA,1,1\n,1,1\n"))
    assert [r.name for r in table(tmp_path, expression=path, target="root")] == ["g1"]


@pytest.mark.parametrize(
    ("ours", "theirs", "is_same"),
    [
        ("ENSG00000141510", "ENSG00000141510.18", True),
        ("ENSG00000141510.3", "ENSG00000141510", True),
        ("ENSMUSG00000000001.4", "ENSMUSG00000000001.5", True),
        ("Y74C9A.3", "Y74C9A.2", False),
        ("Y74C9A.3", "Y74C9A", False),
        ("gene:AT1G01010", "AT1G01010", True),
        ("gene-AT1G01010", "gene-AT1G01010", True),
    ],
)
def test_versions_and_prefixes_of_names(
    tmp_path: Path, ours: str, theirs: str, is_same: bool
) -> None:
    annotation, sequence = write(tmp_path)
    annotation.write_text(gff3(MODELS[:1]).replace("gene-g1", ours))
    path = tmp_path / "counts.csv"
    path.write_text(f"gene_id,x\n{theirs},1\n")
    genes = GeneTable(annotation, sequence, 5, 5, expression=path, target="x")
    if is_same:
        assert len(list(genes)) == 1
    else:
        with pytest.raises(RecordError, match="no gene is left: 1 left out: without expression"):
            list(genes)


def test_genes_that_are_left_out_or_odd_are_counted(tmp_path: Path) -> None:
    annotation, sequence = write(tmp_path)
    annotation.write_text(gff3() + "chr1\tx\tCDS\t1001\t1031\t.\t+\t0\tID=odd\n")
    genes = GeneTable(annotation, sequence, 310, 5, contigs=["chr2", "chr1"])
    assert [record.name for record in genes] == ["g2", "odd"]
    assert genes.counts == {
        "genes": 2,
        "left out: promoter at the end of a contig": 2,
        "with a CDS that is no multiple of 3": 1,
        "left out: not translated": 1,
    }
    genes = GeneTable(annotation, sequence, 5, 5, contigs=["chr2"])
    assert [record.name for record in genes] == ["g4"]
    assert genes.counts["left out: on other contigs"] == 3


def transcript(name: str, exons: str, coding: str) -> Transcript:
    def parts(text: str) -> Any:
        return tuple(tuple(map(int, part.split("-"))) for part in text.split())

    text = "".join(
        f"c\tx\t{kind}\t{start + 1}\t{end}\t.\t+\t0\tID={name}\n"
        for kind, some in (("exon", parts(exons)), ("CDS", parts(coding)))
        for start, end in some
    )
    path = Path(f"{name}.gff")
    path.write_text(text)
    return read_genes(path)[0].transcripts[0]


def test_the_transcript_with_the_longest_coding_sequence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shorter = transcript("a", "0-400", "100-160")
    plain = transcript("b", "90-200", "100-190")
    more_utr5 = transcript("c", "80-195", "100-190")
    more_utr3 = transcript("d", "80-200", "100-190")
    twin = transcript("e", "80-200", "100-190")
    untranslated_one = transcript("f", "0-900", "")
    gene = Gene("g", ("g",), "c", "+", 0, 900, 1)
    gene.transcripts = [untranslated_one]
    assert representative(gene) is None
    for one in (shorter, plain, more_utr5, more_utr3):
        gene.transcripts.append(one)
        assert representative(gene) is one
    gene.transcripts.append(twin)
    assert representative(gene) is more_utr3
    assert untranslated(more_utr3) == ([(80, 100)], [(190, 200)])


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("gene,x\ng1,1\n", {}, r"record 1 \(line 2\): there is no column 'gene_id', only gene, x"),
        ("gene_id,leaf\ng1,1\n", {"target": "leave"}, "no column 'leave'.*: did you mean leaf"),
        ("gene_id,x\ng1,1\ng1,2\n", {}, r"record 2 \(line 3\): gene g1 stands there twice"),
        ("gene_id,x\ng9,1\n", {}, "no gene is left: 3 left out: without expression, 1 left"),
        ("gene_id,x\ng1,1\n", {"target": None}, "expression and target belong together"),
        ("gene_id,x\ng1,1\n", {"edge": "cut"}, "edge is 'cut'"),
        ("gene_id,x\ng1,1\n", {"edge": "error", "upstream": 200}, "g1: its window, bases -99 to"),
    ],
)
def test_tables_that_do_not_fit(
    tmp_path: Path, text: str, options: dict[str, Any], message: str
) -> None:
    path = tmp_path / "counts.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        list(table(tmp_path, **{"expression": path, "target": "x", **options}))


def test_genes_behind_the_end_of_their_contig_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "g.fa").write_text(">c\n" + "ACGTA" * 20 + "\n")
    lines = [
        f"c\tx\tCDS\t{a}\t{b}\t.\t+\t0\tID={a}\n" for a, b in [(11, 40), (95, 103), (200, 290)]
    ]
    (tmp_path / "g.gff").write_text("".join(lines))
    table = GeneTable(tmp_path / "g.gff", tmp_path / "g.fa", 3, 3)
    assert [record.name for record in table] == ["11"]
    assert table.counts["left out: behind the end of their contig"] == 2
    (warning,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert "line 2: base 103 lies behind the end of contig c, which has 100" in warning


def test_rearranged_genes_have_no_half_life_features(tmp_path: Path) -> None:
    (tmp_path / "g.fa").write_text(">c\n" + "ACGTA" * 20 + "\n")
    parts = [(90, 98, "ID=a;part=1"), (11, 19, "ID=a;part=2"), (31, 39, "ID=b")]
    lines = [f"c\tx\tCDS\t{a}\t{b}\t.\t+\t0\t{text}\n" for a, b, text in parts]
    (tmp_path / "g.gff").write_text("".join(lines))
    table = GeneTable(tmp_path / "g.gff", tmp_path / "g.fa", 3, 3)
    assert [record.name for record in table] == ["b"]
    assert table.counts["left out: trans-spliced or over an origin"] == 1
