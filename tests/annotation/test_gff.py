"""Lines of GFF3 and GTF."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from annotated_genome import gff3

from dnagpt_hf.annotation.gff import read_features
from dnagpt_hf.records.files import RecordError

GFF_LINE = "chr%7C1\tx\tCDS\t5\t9\t.\t-\t2\tID=a%3Bb;Parent=p1,p%2C2; Note=ID=no;gene_id=g"
GTF_LINE = (
    'chr1\tx\texon\t5\t9\t.\t?\t.\tgene_id "g;1"; transcript_id "t1"; exon_number 2; tag "x"; '
    'tag "y"'
)


def test_gff3(tmp_path: Path) -> None:
    path = tmp_path / "a.gff"
    path.write_text(f"##gff-version 3\n\n# a comment\n{GFF_LINE}\n###\n")
    (feature,) = read_features(path)
    assert (feature.contig, feature.kind, feature.start, feature.end) == ("chr|1", "CDS", 4, 9)
    assert (feature.strand, feature.phase, feature.line) == ("-", 2, 4)
    assert feature.attribute("ID") == "a;b" and feature.attribute("gene_id") == "g"
    assert feature.attribute("D") == "" and feature.attribute("Name") == ""
    assert feature.parents("Parent") == ["p1", "p,2"] and feature.parents("Name") == []


def test_gtf(tmp_path: Path) -> None:
    path = tmp_path / "a.gtf"
    path.write_text(f"{GTF_LINE}\n")
    (feature,) = read_features(path)
    assert feature.attribute("transcript_id") == "t1"
    assert feature.attribute("exon_number") == "2"
    assert (feature.strand, feature.phase) == (".", 0)


@pytest.mark.parametrize(
    "convert",
    [
        lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: b"\xef\xbb\xbf" + content,
        lambda content: gzip.compress(content),
        lambda content: content.decode().encode("utf-16"),
        lambda content: content + b"##FASTA\n>chr1\nACGT\n",
        lambda content: content + b">chr1\nACGT\n",
    ],
)
def test_files_of_other_systems(tmp_path: Path, convert: Callable[[bytes], bytes]) -> None:
    plain, other = tmp_path / "a.gff", tmp_path / "b.gff"
    plain.write_text(gff3())
    other.write_bytes(convert(gff3().encode()))
    assert list(read_features(plain)) == list(read_features(other))
    assert len(list(read_features(plain))) > 20


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("chr1 x CDS 5 9 . - 2 ID=a", "line 2: 1 fields with tabs between them"),
        ("chr1\tx\tCDS\t0\t9\t.\t-\t2\tID=a", "line 2: 0 to 9 are no positions"),
        ("chr1\tx\tCDS\t10\t9\t.\t-\t2\tID=a", "line 2: 10 to 9 are no positions"),
        ("chr1\tx\tCDS\t-5\t9\t.\t-\t2\tID=a", "line 2: -5 to 9 are no positions"),
        ("chr1\tx\tCDS\t5\t9\t.\tplus\t2\tID=a", "line 2: strand 'plus': write"),
        ("chr1\tx\tCDS\t5\t9\t.\t+\t3\tID=a", "line 2: phase '3': write 0"),
        ("# nothing", "has no features"),
    ],
)
def test_malformed_lines_are_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "a.gff"
    path.write_text(f"##gff-version 3\n{line}\n")
    with pytest.raises(RecordError, match=message) as caught:
        list(read_features(path))
    assert str(path) in str(caught.value)


GENE_LINE = "chr1\tx\tgene\t1\t9\t.\t+\t.\t{}\n"


@pytest.mark.parametrize(
    "attributes",
    [
        # AUGUSTUS and BRAKER: genes and transcripts have a bare identifier
        ["x1", "x1.t1", 'transcript_id "x1.t1"; gene_id "x1";'],
        ["level 2; gene_id x1; transcript_id x1.t1"],
        ['note "a; gene_id=b"; gene_id "x1"; transcript_id "x1.t1"'],
        [".", 'gene_id "x1"; transcript_id "x1.t1"; tag "a=b"'],
    ],
)
@pytest.mark.parametrize("name", ["a.gtf", "a.txt"])
def test_gtf_is_told_by_all_lines(tmp_path: Path, attributes: list[str], name: str) -> None:
    path = tmp_path / name
    path.write_text("".join(map(GENE_LINE.format, attributes)))
    last = list(read_features(path))[-1]
    assert (last.attribute("gene_id"), last.attribute("transcript_id")) == ("x1", "x1.t1")


def test_quoted_values_keep_their_semicolons(tmp_path: Path) -> None:
    path = tmp_path / "a.gff3"
    path.write_text(GENE_LINE.format('ID="a;b";Note=5"-end;Name="c d"'))
    (feature,) = read_features(path)
    assert [feature.attribute(n) for n in ("ID", "Note", "Name")] == ["a;b", '5"-end', "c d"]


def test_a_file_of_two_formats_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(GENE_LINE.format('gene_id "x"') + GENE_LINE.format("ID=x"))
    with pytest.raises(RecordError, match="line 2: 'ID=x' is an attribute of GFF3, but the lines"):
        list(read_features(path))
