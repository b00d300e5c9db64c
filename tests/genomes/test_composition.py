"""What is in a genome, counted by a plain loop beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dnagpt_hf.genomes import composition as genome_check
from dnagpt_hf.genomes.bases import GenomeError
from dnagpt_hf.genomes.composition import (
    PUBLISHED_BASES,
    SpeciesReport,
    check_genomes,
    drop_undetermined,
)
from dnagpt_hf.genomes.contigs import Contig, ContigPart
from dnagpt_hf.genomes.fasta import open_genome
from dnagpt_hf.genomes.manifest import SpeciesGenome


def species(folder: Path, name: str = "yeast", held_out: int = 0, **records: str) -> SpeciesGenome:
    path = folder / f"{name}.fa"
    lines = (
        [f">{record}", *(bases[at : at + 50] for at in range(0, len(bases), 50))]
        for record, bases in records.items()
    )
    path.write_text("".join(f"{line}\n" for one in lines for line in one))
    contigs = tuple(open_genome(path).contigs.values())
    split = len(contigs) - held_out
    return SpeciesGenome(name, "<U>", contigs[:split], contigs[split:])


def test_counts_are_those_of_a_plain_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(genome_check, "_BLOCK", 100)
    rng = np.random.default_rng(0)
    bases = "".join(rng.choice(list("ACGTUNRacgtunr"), 1234))
    one = species(tmp_path, a=bases[:700], b=bases[700:], held_out=1)
    (report,) = check_genomes([one])
    known = [base for base in bases.upper() if base in "ACGTU"]
    assert report == SpeciesReport(
        name="yeast",
        token="<U>",
        contigs=2,
        bases=1234,
        undetermined=1234 - len(known),
        gc_content=sum(base in "GC" for base in known) / len(known),
        soft_masked=sum(base.islower() for base in bases) / 1234,
        training_bases=700,
        held_out_bases=534,
        undetermined_parts=(),
        published_bases=None,
    )


def test_a_contig_with_held_out_parts_is_one(tmp_path: Path) -> None:
    one = species(tmp_path, a="ACGT" * 30)
    contig = one.training[0]
    parts = (ContigPart(contig, 0, 50), ContigPart(contig, 80, 120))
    held_out = (ContigPart(contig, 50, 80),)
    (report,) = check_genomes([SpeciesGenome("yeast", "<U>", parts, held_out)])
    assert (report.contigs, report.bases, report.held_out_bases) == (1, 120, 30)


def test_much_is_read_with_little_memory(tmp_path: Path) -> None:
    """The process's memory, pages of the file among it, while a larger file is read."""
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("this system does not tell it")

    def resident(done: int) -> None:
        lines = status.read_text().splitlines()
        seen.append(sum(int(line.split()[1]) for line in lines if line.startswith("Rss")))

    seen: list[int] = []
    one = species(tmp_path, a="ACGT" * 10_000_000)
    check_genomes([one], resident)
    assert max(seen) - seen[0] < 5_000


def test_parts_are_counted_alone(tmp_path: Path) -> None:
    (contig,) = species(tmp_path, a="A" * 60 + "g" * 40 + "N" * 20).training
    assert isinstance(contig, Contig)
    one = SpeciesGenome("yeast", "<U>", (contig.part(50, 70), contig.part(100, 120)))
    (report,) = check_genomes([one])
    assert (report.bases, report.gc_content, report.soft_masked) == (40, 0.5, 0.25)
    assert (report.undetermined, report.undetermined_parts) == (20, ("a:101-120",))


def test_contigs_of_n_are_dropped(tmp_path: Path) -> None:
    one = species(tmp_path, a="ACGT", b="NNNN", c="RYKM", d="NA", e="NNN", held_out=1)
    reports = check_genomes([one])
    assert reports[0].undetermined_parts == ("b", "c", "e")
    (kept,) = drop_undetermined([one], reports)
    assert [part.name for part in kept.training] == ["a", "d"]
    assert kept.held_out == ()
    nothing = species(tmp_path, "mouse", a="NNN")
    (report,) = check_genomes([nothing])
    assert np.isnan(report.gc_content)
    with pytest.raises(ValueError, match="species mouse: all of its training contigs hold nothing"):
        drop_undetermined([nothing], [report])


def test_other_characters_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(genome_check, "_BLOCK", 100)
    one = species(tmp_path, a="ACGT", b="A" * 234 + "?" + "A" * 80)
    with pytest.raises(GenomeError, match=r"yeast\.fa: record b: '\?' at position 235 "):
        check_genomes([one])


def test_progress_counts_all_bases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(genome_check, "_BLOCK", 100)
    seen: list[int] = []
    genomes = [species(tmp_path, name, a="A" * 250, b="C" * 30) for name in ("one", "two")]
    check_genomes(genomes, seen.append)
    assert seen == [100, 100, 50, 30] * 2


def test_published_bases_are_those_of_the_paper(tmp_path: Path) -> None:
    assert sum(PUBLISHED_BASES.values()) == 10_159_412_992
    (report,) = check_genomes([species(tmp_path, "Homo_sapiens", a="ACGT")])
    assert report.published_bases == 3_088_286_401
