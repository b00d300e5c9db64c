"""FASTA files of every kind that users have, and the windows cut from them."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from dnagpt_hf.genomes.bases import (
    GenomeError,
    Interval,
    gc_content,
    hold_out,
    normalize_bases,
    reverse_complement,
    window_starts,
)
from dnagpt_hf.genomes.fasta import read_genome


def write_fasta(folder: Path, content: bytes, name: str = "genome.fa") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def read_as_text(path: Path) -> dict[str, str]:
    return {name: bases.tobytes().decode() for name, bases in read_genome(path).items()}


@pytest.mark.parametrize(
    "content",
    [
        b">chr1 first record\nACGT\nACNN\nGG\n>chr2\nTTTT\n",
        b">chr1 first record\r\nACGT\r\nACNN\r\nGG\r\n>chr2\r\nTTTT\r\n",
        b">chr1\nacgt\nacnn\ngg\n>chr2\nuuuu",
        b">chr1\nACGTACRYGG\n\n>chr2 other\nTTTT\n",
    ],
    ids=["lines", "crlf", "lower-case-rna-without-line-end", "iupac-and-blank-line"],
)
def test_reads_records_of_every_form(tmp_path: Path, content: bytes) -> None:
    assert read_as_text(write_fasta(tmp_path, content)) == {"chr1": "ACGTACNNGG", "chr2": "TTTT"}


def test_reads_bgzip(tmp_path: Path) -> None:
    bgzf = pytest.importorskip("Bio.bgzf")
    path = tmp_path / "genome.fa.gz"
    sequence = "".join(np.random.default_rng(0).choice(list("acgtN"), 70_000))
    with bgzf.BgzfWriter(str(path)) as file:
        lines = "\n".join(sequence[i : i + 60] for i in range(0, len(sequence), 60))
        file.write(f">chr1 long\n{lines}\n>chr2\nAC\n".encode())
    assert read_as_text(path) == {"chr1": sequence.upper(), "chr2": "AC"}


def test_index_goes_where_it_is_asked_to(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = write_fasta(tmp_path / "data", b">chr1\nACGT\n")
    read_genome(path, index_folder=tmp_path / "index")
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["genome.fa"]
    assert len(list((tmp_path / "index").glob("*-genome.fa.fai"))) == 1


def test_index_of_another_file_of_the_same_name_is_not_used(tmp_path: Path) -> None:
    for folder, content in (("old", b">chr1\nACGT\n"), ("new", b">other\nGG\nT\n")):
        (tmp_path / folder).mkdir()
        path = write_fasta(tmp_path / folder, content)
        genome = read_genome(path, index_folder=tmp_path / "index")
    assert genome["other"].tobytes() == b"GGT"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b">chr1\nACGT\n>chr2\n", "record chr2 is empty"),
        (b">chr1\nACGT\nACxT\n", "record chr1: 'x' at position 7"),
        (b">chr1\nACGT\n>chr1\nAC\n", "chr1"),
        (b">chr1\nACG\nACGTA\nAC\n", "lines of different lengths"),
        (b"ACGT\n", "no FASTA file"),
        (b"", "is empty"),
        (bytes(range(128, 256)), "no FASTA file"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = write_fasta(tmp_path, content)
    with pytest.raises(GenomeError, match=message) as error:
        read_genome(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_file() -> None:
    with pytest.raises(GenomeError, match=r"nothing\.fa: no such file"):
        read_genome("nothing.fa")


def test_plain_gzip_is_read_and_may_be_changed(tmp_path: Path) -> None:
    path = write_fasta(tmp_path, gzip.compress(b">chr1\nACGT\n"), "genome.fa.gz")
    genome = read_genome(path)
    genome["chr1"][0] = ord("T")
    assert genome["chr1"].tobytes() == b"TCGT"
    assert read_as_text(path) == {"chr1": "ACGT"}


def test_gc_content_leaves_out_n() -> None:
    assert gc_content(normalize_bases(b"GGCANNNNNN")) == 0.75
    assert np.isnan(gc_content(normalize_bases(b"NNN")))


def test_reverse_complement_is_its_own_inverse() -> None:
    bases = normalize_bases(b"ACGTNNACCGT")
    assert reverse_complement(bases).tobytes() == b"ACGGTNNACGT"
    assert reverse_complement(reverse_complement(bases)).tobytes() == bases.tobytes()


def test_windows_reach_both_ends() -> None:
    bases = normalize_bases(b"ACGTACGTAC")
    assert window_starts(bases, 4).tolist() == [0, 4]
    assert window_starts(bases, 4, stride=3).tolist() == [0, 3, 6]
    assert window_starts(bases, 10).tolist() == [0]
    assert window_starts(bases, 11).tolist() == []


def test_windows_with_more_than_five_percent_n_are_dropped() -> None:
    bases = normalize_bases(b"A" * 95 + b"N" * 6 + b"A" * 99)
    starts = window_starts(bases, 100, stride=1)
    n_count = {int(start): int((bases[start : start + 100] == ord("N")).sum()) for start in starts}
    assert max(n_count.values()) == 5
    # exactly the windows that hold all six N are missing
    assert sorted(set(range(101)) - set(n_count)) == list(range(1, 96))


def test_held_out_part_shares_no_base_with_training() -> None:
    training, held_out = hold_out(1000, start=0.4, end=0.6, gap=20)
    assert held_out == Interval(400, 600)
    assert training == [Interval(0, 380), Interval(620, 1000)]
    assert hold_out(1000, start=0.85, end=1, gap=20)[0] == [Interval(0, 830)]


@pytest.mark.parametrize(
    ("start", "end", "gap"), [(0.5, 0.5, 0), (0.6, 0.4, 0), (-0.1, 0.4, 0), (0, 1, 0), (0.5, 1, -1)]
)
def test_impossible_split_is_refused(start: float, end: float, gap: int) -> None:
    with pytest.raises(ValueError, match="held"):
        hold_out(1000, start=start, end=end, gap=gap)
