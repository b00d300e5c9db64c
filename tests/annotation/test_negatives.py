"""Places that are no sites."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from annotated_genome import complement, genome, gff3, sense, write

from dnagpt_hf.annotation.negatives import Negatives
from dnagpt_hf.annotation.site_windows import RegionWindows
from dnagpt_hf.records.reading import Record

SIDE = 12


def drawn(folder: Path, anchor: str, edge: str = "drop", **options: object) -> list[Record]:
    negatives = Negatives(**options)  # type: ignore[arg-type]
    return list(RegionWindows(*write(folder), anchor, SIDE, SIDE, edge, negatives=negatives))


def place(record: Record) -> tuple[str, str, int]:
    values = record.values
    return values["chrom"], values["strand"], values["start"]


def occurrences(motif: str, start: int, end: int, contig: str, strand: str) -> set[int]:
    """Starts of the windows round each occurrence in a part of a contig, found letter by letter."""
    bases = genome()[contig]
    starts = set()
    for left in range(start, end - len(motif) + 1):
        if sense(bases, strand, left, left + len(motif)) == motif:
            window = left - SIDE, left + len(motif) + SIDE
            if window[0] >= 0 and window[1] <= len(bases):
                starts.add(window[0])
    return starts


@pytest.mark.parametrize("within", ["gene", "genome"])
@pytest.mark.parametrize(("anchor", "motif"), [("tis", "ATG"), ("donor", "GT"), ("acceptor", "AG")])
def test_negatives_have_the_motif_and_are_no_site(
    tmp_path: Path, anchor: str, motif: str, within: str
) -> None:
    records = drawn(tmp_path, anchor, match=motif, within=within)
    sites = {place(r) for r in records if r.values["label"] == "signal"}
    others = [r for r in records if r.values["label"] == "none"]
    assert len(sites) == len(others) > 0
    assert len({place(r) for r in others}) == len(others)
    assert not sites & {place(r) for r in others}
    for record in others:
        values = record.values
        assert values["sequence"][SIDE : SIDE + len(motif)] == motif
        bases = genome()[values["chrom"]]
        assert values["sequence"] == sense(bases, values["strand"], values["start"], values["end"])


def test_each_site_is_followed_by_negatives_of_its_gene(tmp_path: Path) -> None:
    records = drawn(tmp_path, "donor", match="GT", per_site=2)
    site = None
    counts: Counter[tuple[str, str, int]] = Counter()
    for record in records:
        if record.values["label"] == "signal":
            site = record
            continue
        assert site is not None
        assert record.values["gene"] == site.values["gene"]
        assert record.values["strand"] == site.values["strand"]
        assert record.line == site.line
        counts[place(site)] += 1
    genes = {"g1": (90, 400), "g2": (500, 820), "g3": (900, 991)}
    for record in records:
        start, end = genes[record.values["gene"]]
        assert start <= record.values["start"] + SIDE < end
    assert len(counts) == 5 and set(counts.values()) == {2}


def test_all_occurrences_of_a_gene_may_be_drawn(tmp_path: Path) -> None:
    annotation, sequence = write(tmp_path)
    windows = RegionWindows(
        annotation, sequence, "tis", SIDE, SIDE, negatives=Negatives("ATG", per_site=500)
    )
    records = list(windows)
    for gene, start, end, contig, strand in (
        ("g1", 90, 400, "chr1", "+"),
        ("g2", 500, 820, "chr1", "-"),
        ("g4", 10, 100, "chr2", "-"),
    ):
        of_gene = [r for r in records if r.values["gene"] == gene]
        found = {r.values["start"] for r in of_gene}
        assert found == occurrences("ATG", start, end, contig, strand)
        assert len(of_gene) == len(found)
        assert sum(r.values["label"] == "signal" for r in of_gene) == 1
    lacking = windows.counts["negatives lacking in their genes"]
    assert lacking == 3 * 500 - windows.counts["none"]


def test_all_occurrences_of_a_genome_may_be_drawn(tmp_path: Path) -> None:
    records = drawn(tmp_path, "tis", match="ATG", within="genome", per_site=500)
    expected = {
        (contig, strand, start)
        for contig, bases in genome().items()
        for strand in "+-"
        for start in occurrences("ATG", 0, len(bases), contig, strand)
    }
    assert sorted(map(place, records)) == sorted(expected)


def test_windows_that_leave_their_contig_are_drawn_only_if_they_are_padded(tmp_path: Path) -> None:
    _, sequence = write(tmp_path)
    sequence.write_text(">chr1\nATG" + "A" * 40 + "ATG" + "A" * 40 + "\n")
    bed = tmp_path / "a.bed"
    bed.write_text("chr1\t43\t46\n")
    for edge, starts in (("drop", [31]), ("pad", [31, -12])):
        windows = RegionWindows(
            *(bed, sequence, "start", 12, 20, edge), negatives=Negatives("ATG", per_site=9)
        )
        assert [record.values["start"] for record in windows] == starts


def test_the_seed_alone_decides(tmp_path: Path) -> None:
    for within in ("gene", "genome"):
        first, again, other = (
            [place(r) for r in drawn(tmp_path, "donor", match="GT", within=within, seed=seed)]
            for seed in (3, 3, 4)
        )
        assert first == again and first != other


def test_sites_without_the_motif_are_left_out(tmp_path: Path) -> None:
    annotation, sequence = write(tmp_path)
    text = gff3() + "chr1\tx\tCDS\t1001\t1030\t.\t+\t0\tID=other\n"
    annotation.write_text(text)
    contigs = genome()
    bases = contigs["chr1"]
    sequence.write_text(f">chr1\n{bases[:1000]}CTG{bases[1003:]}\n>chr2\n{contigs['chr2']}\n")
    windows = RegionWindows(annotation, sequence, "tis", 5, 5, negatives=Negatives("ATG"))
    assert "other" not in [record.name for record in windows]
    assert windows.counts["left out: another motif"] == 1
    both = RegionWindows(annotation, sequence, "tis", 5, 5, negatives=Negatives(["ATG", "CTG"]))
    assert "other" in [record.name for record in both]


def test_of_several_motifs_one_stands_there(tmp_path: Path) -> None:
    records = drawn(tmp_path, "stop", match=["TAA", "TAG", "TGA"], per_site=5, within="genome")
    found = Counter(r.values["sequence"][SIDE : SIDE + 3] for r in records)
    assert set(found) == {"TAA", "TAG", "TGA"}


def test_bed_draws_from_the_contigs_with_regions(tmp_path: Path) -> None:
    _, sequence = write(tmp_path)
    bases = genome()["chr1"]
    at = bases.index("CAG", 100)
    other = complement(bases).index("CAG", 100)
    bed = tmp_path / "a.bed"
    end = len(bases) - other
    bed.write_text(f"chr1\t{at}\t{at + 3}\ta\t5\t+\tx\nchr1\t{end - 3}\t{end}\tb\t5\t-\ty\n")
    windows = RegionWindows(bed, sequence, "start", 10, 13, negatives=Negatives("CAG", per_site=3))
    records = list(windows)
    assert [record.values["label"] for record in records] == ["signal", *["none"] * 3] * 2
    assert {record.values["chrom"] for record in records} == {"chr1"}
    assert all(record.values["sequence"][10:13] == "CAG" for record in records)
    # what the line of a site says is not said of others
    assert records[0].values["column7"] == "x" and records[1].values["column7"] == ""
    with pytest.raises(ValueError, match="BED has no genes: choose within genome"):
        RegionWindows(bed, sequence, "start", 10, 13, negatives=Negatives("CAG", within="gene"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"match": "ATN"}, "match is 'ATN': give a motif of A, C, G and T"),
        ({"match": []}, "match is ''"),
        ({"match": 5}, "match is '5'"),
        ({"match": ["GT", "GTA"]}, "GT, GTA differ in length"),
        ({"match": "GT", "per_site": 0}, "per_site is 0: give a number, 1 or more"),
        ({"match": "GT", "seed": "x"}, "seed is 'x'"),
        ({"match": "GT", "within": "contig"}, "within is 'contig': choose gene or genome"),
    ],
)
def test_negatives_that_are_not_possible(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Negatives(**options)  # type: ignore[arg-type]
