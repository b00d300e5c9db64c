"""Windows of bases."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import pytest
from annotated_genome import complement

from dnagpt_hf.annotation.windows import GenomeWindows, Window, open_windows
from dnagpt_hf.records.files import RecordError

BASES = "ACGTTGCANNACGGTTACGA"


@pytest.fixture
def genome(tmp_path: Path) -> GenomeWindows:
    path = tmp_path / "genome.fa"
    path.write_text(">c1 first\nACGttGCANN\nrcGGTTACgA\n>c2\nAC\n".replace("r", "a"))
    return open_windows(path, tmp_path / "sites.bed")


@pytest.mark.parametrize(("upstream", "downstream", "site"), [(3, 4, 0), (0, 2, 3), (2, 0, 2)])
def test_windows_against_the_whole_contig(
    genome: GenomeWindows, upstream: int, downstream: int, site: int
) -> None:
    window = Window(upstream, downstream, site)
    contig = genome.contigs["c1"]
    other = complement(BASES)
    for position in range(len(BASES) + 1):
        for is_reverse, strand, cut in (
            (False, BASES, position),
            (True, other, len(BASES) - position),
        ):
            start, end = cut - upstream, cut + site + downstream
            inside = start >= 0 and end <= len(BASES)
            expected = strand[start:end] if inside else None
            assert window.cut(contig, position, is_reverse) == expected


@pytest.mark.parametrize("is_reverse", [False, True])
@pytest.mark.parametrize("position", [0, 1, 2, 19, 20])
def test_padding(genome: GenomeWindows, position: int, is_reverse: bool) -> None:
    window = Window(3, 2, edge="pad")
    start, end = window.interval(position, is_reverse)
    plain = ("N" * 10 + BASES + "N" * 10)[start + 10 : end + 10]
    assert len(plain) == 5
    sequence = window.cut(genome.contigs["c1"], position, is_reverse)
    assert sequence == (complement(plain) if is_reverse else plain)


def test_windows_of_nothing_but_padding_are_left_out(genome: GenomeWindows) -> None:
    for position, is_reverse in ((30, False), (-9, True)):
        assert Window(3, 2, edge="pad").cut(genome.contigs["c1"], position, is_reverse) is None


def test_windows_that_must_not_leave_their_contig(genome: GenomeWindows) -> None:
    with pytest.raises(ValueError, match=r"bases 0 to 4, leaves contig c1 of 20: choose edge"):
        Window(3, 2, edge="error").cut(genome.contigs["c1"], 2, False)


def test_a_compressed_genome_and_a_folder_for_what_is_made_of_it(tmp_path: Path) -> None:
    path = tmp_path / "genome" / "genome.fa.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(b">c1\r\nacgt\r\nAC\r\n"))
    opened = open_windows(path, "sites.bed", cache_folder=tmp_path / "cache")
    assert Window(2, 4).cut(opened.contigs["c1"], 2, False) == "ACGTAC"
    assert list(path.parent.iterdir()) == [path]


def test_contigs_that_a_genome_lacks(genome: GenomeWindows) -> None:
    message = r"sites.bed, line 3: .*genome.fa has no contig chr1; its contigs are c1, c2: name"
    with pytest.raises(RecordError, match=message):
        genome.contig("chr1", 1, 3, Counter())
    assert genome.contig("c2", 2, 3, Counter()) is genome.contigs["c2"]


def test_contigs_that_are_chosen(genome: GenomeWindows) -> None:
    chosen = open_windows(genome.genome, genome.regions, {"chr1": "c1"})
    counts: Counter[str] = Counter()
    found = chosen.contig("chr1", 1, 1, counts)
    assert found is not None and found.name == "c1"
    assert chosen.contig("c2", 1, 1, counts) is None
    assert chosen.contig("chr1", 21, 1, counts) is None
    assert counts == {
        "left out: on other contigs": 1,
        "left out: behind the end of their contig": 1,
    }
    assert list(open_windows(genome.genome, genome.regions, ["c2"]).contigs) == ["c2"]
    with pytest.raises(
        ValueError, match=r"contigs: .*genome.fa has no contig c3; its contigs are c"
    ):
        open_windows(genome.genome, genome.regions, ["c3"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"upstream": -1, "downstream": 3}, "upstream is -1: give a number of bases"),
        ({"upstream": 1, "downstream": "3"}, "downstream is '3': give a number of bases"),
        ({"upstream": True, "downstream": 3}, "upstream is True"),
        ({"upstream": 0, "downstream": 0}, "are 0: give one of them"),
        ({"upstream": 1, "downstream": 1, "edge": "clip"}, "edge is 'clip': choose one of drop"),
    ],
)
def test_windows_that_are_not_possible(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Window(**options)  # type: ignore[arg-type]
