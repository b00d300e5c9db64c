"""Sites of BED, GFF3 and GTF."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from annotated_genome import MODELS, gff3, gtf

from dnagpt_hf.annotation.sites import ANCHORS, Site, is_bed, read_sites
from dnagpt_hf.records.files import RecordError


def sites_of(
    folder: Path, name: str, content: str | bytes, anchor: str, **options: str
) -> list[Site]:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_sites(path, anchor, **options)[0])  # type: ignore[arg-type]


def expected(anchor: str) -> set[tuple[str, bool, int]]:
    """Where the cuts are, by hand: left of the site on +, right of it on -."""
    places = set()
    for model in MODELS:
        is_reverse = model.strand == "-"
        introns = [(a[1], b[0]) for a, b in zip(model.exons, model.exons[1:], strict=False)]
        start, end = model.exons[0][0], model.exons[-1][1]
        found = {
            "tss": [end if is_reverse else start],
            "tts": [start if is_reverse else end],
            "donor": [right if is_reverse else left for left, right in introns],
            "acceptor": [left + 2 if is_reverse else right - 2 for left, right in introns],
        }
        if model.coding:
            first, last = model.coding[0][0], model.coding[-1][1]
            found["tis"] = [last if is_reverse else first]
            found["stop"] = [first + 3 if is_reverse else last - 3]
        places |= {(model.contig, is_reverse, cut) for cut in found.get(anchor, [])}
    return places


@pytest.mark.parametrize("anchor", ["tss", "tts", "tis", "stop", "donor", "acceptor"])
def test_sites_of_transcripts(tmp_path: Path, anchor: str) -> None:
    for name, text in (("a.gff", gff3()), ("a.gtf", gtf())):
        sites = sites_of(tmp_path, name, text, anchor)
        places = [site.place for site in sites]
        assert set(places) == expected(anchor)
        assert len(places) == len(set(places))


def test_a_site_knows_its_gene(tmp_path: Path) -> None:
    sites = sites_of(tmp_path, "a.gff", gff3(), "tis")
    assert [(site.name, site.gene, site.within) for site in sites] == [
        ("t1", "g1", (90, 400)),
        ("t3", "g2", (500, 820)),
        ("t5", "g4", (10, 100)),
    ]


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.gff"
    path.write_text(
        gff3()
        + "chr1\tx\tCDS\t1000\t1010\t.\t+\t1\tID=partial\n"
        + "chr1\tx\texon\t1100\t1110\t.\t+\t.\tID=gap\n"
        + "chr1\tx\texon\t1113\t1120\t.\t+\t.\tID=gap\n"
    )
    sites, left_out = read_sites(path, "tis")
    assert "partial" not in [site.name for site in sites]
    assert left_out == {
        "untranslated transcripts": 2,
        "transcripts without a start codon": 1,
    }
    sites, left_out = read_sites(path, "donor")
    assert "gap" not in [site.name for site in sites]
    assert left_out == {"introns too short for it": 1}


BED = "chr1\t10\t20\ta\t5\t+\tx\n\nchr1\t10\t21\tb\t0\t-\tx y\nchr2\t7\t7\t.\t.\t.\t\n"


@pytest.mark.parametrize(
    ("anchor", "cuts"),
    [("start", [10, 21, 7]), ("tss", [10, 21, 7]), ("tts", [20, 10, 7]), ("centre", [15, 16, 7])],
)
def test_regions_of_bed(tmp_path: Path, anchor: str, cuts: list[int]) -> None:
    sites = sites_of(tmp_path, "a.bed", BED, anchor)
    assert [site.position for site in sites] == cuts
    assert [(site.name, site.strand, site.line) for site in sites] == [
        ("a", "+", 1),
        ("b", "-", 3),
        ("", ".", 4),
    ]
    assert [site.values for site in sites] == [
        {"score": "5", "column7": "x"},
        {"score": "0", "column7": "x y"},
        {"score": ".", "column7": ""},
    ]


def test_bed_of_three_columns(tmp_path: Path) -> None:
    (site,) = sites_of(tmp_path, "a.bed", "chr1\t5\t9\n", "start")
    assert (site.name, site.strand, site.position) == ("", ".", 5)
    assert site.values == {"score": ""}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.bed", b"track name=x\nbrowser position\n" + BED.encode()),
        ("a.BED", BED.replace("\n", "\r\n").encode()),
        ("a.bed.gz", gzip.compress(b"\xef\xbb\xbf" + BED.encode(), mtime=0)),
        ("a.bed", BED.replace("x y", "x").replace(".\t\n", ".\tx\n").replace("\t", " ").encode()),
    ],
)
def test_bed_of_other_programs(tmp_path: Path, name: str, content: bytes) -> None:
    sites = sites_of(tmp_path, name, content, "start")
    assert [site.place for site in sites] == [
        ("chr1", False, 10),
        ("chr1", True, 21),
        ("chr2", False, 7),
    ]


def test_a_header_names_further_columns_of_bed(tmp_path: Path) -> None:
    text = "#chrom\tstart\tend\tname\tscore\tstrand\tlabel\nchr1\t1\t2\ta\t0\t+\tyes\tmore\n"
    (site,) = sites_of(tmp_path, "a.bed", text, "start")
    assert site.values == {"score": "0", "label": "yes", "column8": "more"}


def test_regions_of_bed_are_kept_however_often_they_stand_there(tmp_path: Path) -> None:
    assert len(sites_of(tmp_path, "a.bed", "chr1\t1\t2\nchr1\t1\t2\n", "start")) == 2


def test_features_of_a_type(tmp_path: Path) -> None:
    genes = sites_of(tmp_path, "a.gff", gff3(), "start")
    assert [(site.position, site.strand) for site in genes] == [
        (90, "+"),
        (820, "-"),
        (900, "+"),
        (100, "-"),
    ]
    exons = sites_of(tmp_path, "a.gff", gff3(), "start", feature="exon")
    assert {site.position for site in exons} == {90, 100, 200, 300, 580, 700, 820, 900, 970}


@pytest.mark.parametrize(
    ("name", "anchor", "options", "message"),
    [
        ("a.bed", "tis", {}, "BED does not say where tis is: give a GFF3 or GTF file"),
        ("a.bed", "stat", {}, "unknown anchor 'stat': did you mean start?"),
        ("a.bed", "start", {"feature": "exon"}, "feature 'exon'.* of a BED file"),
        ("a.gff", "tis", {"feature": "exon"}, "feature 'exon': only the anchors start and centre"),
        ("a.gff", "start", {"feature": "intron"}, "has no intron: there is nothing"),
        ("a.bed", "start", {}, "a.bed has no regions"),
    ],
)
def test_anchors_that_do_not_fit(
    tmp_path: Path, name: str, anchor: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        sites_of(tmp_path, name, gff3() if name == "a.gff" else "\n", anchor, **options)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("chr1\t5", "line 1: 2 fields, but BED has 3 or more"),
        ("chr1\t5\t9\nchr1\t5\t9\ta", "line 2: 4 fields, .*the first has 3"),
        ("chr1\t9\t5", "line 1: 9 to 5 are no positions"),
        ("chr1\t1.5\t5", "line 1: 1.5 to 5 are no positions"),
        ("chr1\t1\t5\ta\t0\tforward", "line 1: strand 'forward': write"),
    ],
)
def test_malformed_bed(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        sites_of(tmp_path, "a.bed", line, "start")


def test_kinds_of_files() -> None:
    assert [is_bed(name) for name in ("a.bed", "b.BED.GZ", "a.bed.gff", "a.gtf.gz")] == [
        *(True, True, False, False),
    ]
    assert set(ANCHORS) >= {"start", "centre"}
