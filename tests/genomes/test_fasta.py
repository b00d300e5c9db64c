"""Contigs of FASTA files: what a plain parser reads, and errors that say what is wrong."""

from __future__ import annotations

import gzip
import logging
import lzma
import multiprocessing
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from dnagpt_hf.genomes.bases import GenomeError
from dnagpt_hf.genomes.contigs import Contig, ContigPart
from dnagpt_hf.genomes.fasta import Genome, open_genome

CODES = "ACGTUNRYSWKMBDHVacgtunryswkmbdhv"
READ_AS = str.maketrans(CODES, "ACGTTNNNNNNNNNNNACGTTNNNNNNNNNNN")


def write(folder: Path, content: bytes | str, name: str = "genome.fa") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def text(part: Contig | ContigPart, start: int | None = None, end: int | None = None) -> str:
    return part[start:end].tobytes().decode()


def texts(genome: Genome) -> dict[str, str]:
    return {name: text(contig) for name, contig in genome.contigs.items()}


def plain_parser(content: str) -> dict[str, str]:
    """What fast reading is compared with."""
    records: dict[str, str] = {}
    for line in content.splitlines():
        if line.startswith(">"):
            name = line[1:].split()[0]
            records[name] = ""
        else:
            records[name] += line.translate(READ_AS)
    return records


@st.composite
def fasta(draw: st.DrawFn) -> str:
    """A file with records of any length, lines of any width and either line end."""
    end = draw(st.sampled_from(["\n", "\r\n"]))
    content = ""
    for number in range(draw(st.integers(1, 4))):
        bases = draw(st.text(CODES, min_size=1, max_size=90))
        width = draw(st.integers(1, 100))
        title = draw(st.sampled_from(["", " a title", "\ttabs > and signs", " "]))
        lines = [bases[start : start + width] for start in range(0, len(bases), width)]
        content += end.join([f">record{number}{title}", *lines]) + end
    return content if draw(st.booleans()) else content.removesuffix(end)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=fasta(), slices=st.lists(st.tuples(st.integers(0, 95), st.integers(0, 95))))
def test_slices_are_those_of_a_plain_parser(
    tmp_path: Path, content: str, slices: list[tuple[int, int]]
) -> None:
    expected = plain_parser(content)
    genome = open_genome(write(tmp_path, content))
    assert texts(genome) == expected
    for name, contig in genome.contigs.items():
        assert len(contig) == len(expected[name])
        for start, end in slices:
            assert text(contig, start, end) == expected[name][start:end]
            letters = contig.letters(start, min(end, len(contig))).tobytes().decode()
            assert letters.translate(READ_AS) == expected[name][start:end]


def test_negative_positions_and_steps(tmp_path: Path) -> None:
    contig = open_genome(write(tmp_path, ">a\nACGT\nGG\n")).contigs["a"]
    assert text(contig, -3) == "TGG" and text(contig, None, -1) == "ACGTG"
    with pytest.raises(ValueError, match="without a step"):
        contig[::2]


def test_parts(tmp_path: Path) -> None:
    contig = open_genome(write(tmp_path, ">a b\nACGT\nGGCC\nA\n")).contigs["a"]
    part = contig.part(2, 8)
    assert (part.name, len(part), text(part)) == ("a:3-8", 6, "GTGGCC")
    assert text(part, 1, 100) == "TGGCC" and text(part, -2) == "CC" and text(part, 4, 2) == ""
    for start, end in ((-1, 3), (5, 4), (0, 10)):
        with pytest.raises(ValueError, match="contig a has 9 bases: no part"):
            contig.part(start, end)


def test_comments_blank_lines_and_long_titles(tmp_path: Path) -> None:
    content = ";comment\n\n>a " + "x" * 9000 + "\nACGT\nAC\n>b\nGG\n\n"
    path = write(tmp_path, content)
    assert texts(open_genome(path)) == texts(open_genome(path)) == {"a": "ACGTAC", "b": "GG"}


def test_names_end_at_any_white_space(tmp_path: Path) -> None:
    path = write(tmp_path, ">a\u00a0b\nAC\n>b\x1cc\nAC\n>c\u2028d\nAC\n>\u0434 e\nAC\n")
    for _ in range(2):
        assert list(open_genome(path).contigs) == ["a", "b", "c", "\u0434"]


def test_one_long_line(tmp_path: Path) -> None:
    bases = "".join(np.random.default_rng(0).choice(list("ACGT"), 100_000))
    contig = open_genome(write(tmp_path, f">a\n{bases}\n>b\nAC")).contigs["a"]
    assert text(contig) == bases and text(contig, 50_000, 53_000) == bases[50_000:53_000]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        (">a\nAC\n>b\n>c\nGG\n", "record b is empty"),
        (">a\nAC\n>b\n", "record b is empty"),
        (">a\nAC\n>b", "record b is empty"),
        (">a\nAC\n>a\nGG\n", "record a occurs twice: rename one"),
        (">\nAC\n", "line 1: a record without a name"),
        (">a\nACG\nACGTA\nAC\n", r"record a has lines of different lengths .*\(line 3 "),
        (">b\nAC\n>a\nACGT\nA\nACGT\n", r"record a has .*\(line 5 "),
        (">a\nACGT\n\nACGT\n", r"record a has lines of different lengths .*\(line 3 "),
        (">a\nAC\nACGT\n", "a last line that is longer"),
        (">b\nAC\n>a\nACGT\nAC\n\n\n", "record a has lines of different lengths or blank"),
        (">a\nACGT\n\n\n>b\nAC\n", r"record a has blank lines \(from line 3 "),
        ("ACGT\n", "line 1"),
        (b">a\n\xff\xfe\n", "no FASTA"),
        (bytes(range(128, 256)), "no FASTA"),
    ],
)
def test_files_that_cannot_be_opened(tmp_path: Path, content: bytes, message: str) -> None:
    path = write(tmp_path, content)
    for cache in (None, tmp_path / "cache"):
        with pytest.raises(GenomeError, match=message) as error:
            open_genome(path, cache)
        assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)
    assert not list(tmp_path.glob("**/*.partial"))


def test_missing_files_folders_and_files_that_may_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(GenomeError, match=r"none\.fa: no such file"):
        open_genome(tmp_path / "none.fa")
    with pytest.raises(GenomeError, match="is a folder"):
        open_genome(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do anything")
def test_permissions(tmp_path: Path) -> None:
    path = write(tmp_path / "data", ">a\nACGT\n")
    path.chmod(0)
    with pytest.raises(GenomeError, match=r"genome\.fa cannot be read: Permission denied"):
        open_genome(path)
    path.chmod(0o400)
    path.parent.chmod(0o500)
    with pytest.raises(GenomeError, match="give a cache folder"):
        open_genome(path)
    assert texts(open_genome(path, tmp_path / "cache")) == {"a": "ACGT"}
    path.parent.chmod(0o700)


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    path = write(tmp_path, ">a\nACGT\n")
    compressed = write(tmp_path, gzip.compress(b">a\nACGT\n"), "other.fa.gz")
    write(tmp_path, "a file", "cache")
    for source in (path, compressed):
        with pytest.raises(GenomeError, match=r"cache.* cannot be written .*give a cache folder"):
            open_genome(source, tmp_path / "cache")
    # an index beside the file that only looks older is better than none
    open_genome(path)
    os.utime(tmp_path / "genome.fa.fai", (1, 1))
    assert texts(open_genome(path, tmp_path / "cache")) == {"a": "ACGT"}


def test_other_characters_are_named_with_their_position(tmp_path: Path) -> None:
    contig = open_genome(write(tmp_path, ">a\nACGT\nA*GT\n>b\nA C\n")).contigs["a"]
    assert text(contig, 0, 5) == "ACGTA"
    for start in (0, 2, 5):
        with pytest.raises(GenomeError, match=r"record a: '\*' at position 6 "):
            contig[start:8]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_indexes_that_do_not_fit_are_made_anew(
    tmp_path: Path, line_end: str, caplog: pytest.LogCaptureFixture
) -> None:
    content = line_end.join([">a first", "ACGT", "ACGT", "AC", ">b", "GGGG", "CC", ""])
    path = write(tmp_path, content)
    expected = texts(open_genome(path))
    index = tmp_path / "genome.fa.fai"
    good = index.read_text().splitlines()
    for bad in (
        good[:1],
        good[1:],
        good[::-1],
        [good[0], good[1][:6]],
        [good[0], good[1].replace("6", "5", 1)],
        [good[0], good[1].replace("6", "7", 1)],
        [good[0].replace("a", "ab"), good[1]],
        [good[0], good[1], good[1]],
        [good[0], "b\t6\tx\t4\t5"],
        [good[0].replace("\t10\t", "\t0\t"), good[1]],
        ["a\t10\t9\t0\t0", good[1]],
        ["other\t10\t7\t10\t11"],
        ["\x00\x01"],
        [],
    ):
        caplog.clear()
        index.write_text("".join(f"{line}\n" for line in bad))
        assert texts(open_genome(path)) == expected, bad
        assert index.read_text().splitlines() == good
        assert "genome.fa.fai is not the index" in caplog.text
    index.write_bytes(b"\xff\xfe")
    assert texts(open_genome(path)) == expected


def test_index_of_an_older_or_longer_state_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, ">a\nACGT\nACGT\nAC\n>b\nGG\n")
    open_genome(path)
    # as long as before, with the same records and first lines
    path.write_text(">a\nACGT\nACG\nTAC\n>b\nGG\n")
    os.utime(path, ns=(0, (tmp_path / "genome.fa.fai").stat().st_mtime_ns + 1))
    with pytest.raises(GenomeError, match="record a has lines of different lengths"):
        open_genome(path)
    path.write_text(">a\nACG\n")
    assert texts(open_genome(path)) == {"a": "ACG"}


def test_indexes_that_nearly_fit(tmp_path: Path) -> None:
    path = write(tmp_path, ">a\nACGT\n")
    index = write(tmp_path, "a\t3\t4\t3\t4\n", "genome.fa.fai")
    assert texts(open_genome(path)) == {"a": "ACGT"}
    assert index.read_text() == "a\t4\t3\t4\t5\n"
    path = write(tmp_path, ">a\nAC\n>a\nGG\n")
    write(tmp_path, "a\t2\t3\t2\t3\na\t2\t9\t2\t3\n", "genome.fa.fai")
    with pytest.raises(GenomeError, match="record a occurs twice"):
        open_genome(path)


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    content = ">a\n" + "ACGTACGTAC\n" * 5000
    path = write(tmp_path, content)
    contig = open_genome(path).contigs["a"]
    assert text(contig, 49_990) == "ACGTACGTAC"
    copy = pickle.dumps(contig)
    os.truncate(path, 100)
    with pytest.raises(GenomeError, match="has changed since it was opened"):
        contig[49_990:50_000]
    with pytest.raises(GenomeError, match="has changed since it was opened"):
        pickle.loads(copy)[0:3]
    write(tmp_path, content)
    with pytest.raises(GenomeError, match="has changed since it was opened"):
        pickle.loads(copy)[0:3]
    write(tmp_path, content.replace("\nACGTACGTAC\nACG", "\nACGTACGT\nACACG"))
    for read in (lambda: contig[:50], lambda: contig.letters(0, 50)):
        with pytest.raises(GenomeError, match="has lines of different lengths"):
            read()


@pytest.mark.parametrize("members", [1, 3])
def test_gzip_is_unpacked_once(tmp_path: Path, members: int) -> None:
    content = b">a\nACGT\nAC\n>b\nGG\n"
    size = -(-len(content) // members)
    parts = [content[start : start + size] for start in range(0, len(content), size)]
    path = write(tmp_path, b"".join(map(gzip.compress, parts)), "genome.fa.gz")
    own = write(tmp_path, ">other\nTTT\n", "genome.fa")
    genome = open_genome(path)
    assert texts(genome) == {"a": "ACGTAC", "b": "GG"}
    unpacked = genome.contigs["a"].path
    assert own.read_text() == ">other\nTTT\n"
    inode = unpacked.stat().st_ino
    assert open_genome(path).contigs["a"].path.stat().st_ino == inode
    # file systems that keep times to the second
    os.utime(unpacked, ns=(0, unpacked.stat().st_mtime_ns // 10**9 * 10**9))
    assert open_genome(path).contigs["a"].path.stat().st_ino == inode
    # an older file takes its place
    write(tmp_path, gzip.compress(b">c\nA\n"), "genome.fa.gz")
    os.utime(path, (1, 1))
    assert texts(open_genome(path)) == {"c": "A"}


@pytest.mark.parametrize(
    "content",
    [
        b">a\rAC\rGT\r",
        b">a\r\r\nAC\r\r\nGT\r\r\n",
        b"\xef\xbb\xbf>a\nAC\nGT\n",
        lzma.compress(b"\xef\xbb\xbf>a\rACGT\r"),
    ],
)
def test_files_of_other_systems_and_compressions(tmp_path: Path, content: bytes) -> None:
    assert texts(open_genome(write(tmp_path, content, "genome.fa"))) == {"a": "ACGT"}


def test_damaged_gzip(tmp_path: Path) -> None:
    content = gzip.compress(b">a\n" + np.random.default_rng(0).bytes(5000).hex().encode())
    for bad in (content[:-1], content[:2000], content[:2000] + b"x" * 50, content + b"rest"):
        path = write(tmp_path, bad, "genome.fa.gz")
        with pytest.raises(GenomeError, match=r"genome\.fa\.gz is cut off or damaged .*again"):
            open_genome(path)
        assert sorted(file.suffix for file in tmp_path.iterdir()) == [".gz"]


def test_one_cache_for_files_of_the_same_name(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for suffix, pack in (("", bytes), (".gz", gzip.compress)):
        paths = [
            write(tmp_path / folder, pack(f">{folder}\nACGT\n".encode()), f"genome.fa{suffix}")
            for folder in ("one", "two")
        ]
        for _ in range(2):
            assert [list(open_genome(path, cache).contigs) for path in paths] == [["one"], ["two"]]
        assert [file.name for path in paths for file in path.parent.glob("*.fai")] == []
    assert len(list(cache.glob("*.fai"))) == 4


def test_names_do_not_tell_what_is_in_a_file(tmp_path: Path) -> None:
    assert texts(open_genome(write(tmp_path, ">a\nACGT\n", "genome.fa.gz"))) == {"a": "ACGT"}
    packed = write(tmp_path, gzip.compress(b">b\nACGT\n"), "genome.fa")
    assert texts(open_genome(packed)) == {"b": "ACGT"}


def test_links_have_their_index_beside_them(tmp_path: Path) -> None:
    path = write(tmp_path / "blobs", ">a\nACGT\n", "0123")
    (tmp_path / "genome.fa").symlink_to(path)
    assert texts(open_genome(tmp_path / "genome.fa")) == {"a": "ACGT"}
    assert (tmp_path / "genome.fa.fai").exists() and not list(path.parent.glob("*.fai"))


def test_pickles_are_small_and_share_a_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, ">a\n" + "ACGT\n" * 10_000 + ">b\nGG\n")
    monkeypatch.chdir(tmp_path)
    genome = open_genome(path.name)
    assert text(genome.contigs["a"], 0, 5) == "ACGTA"
    pickled = pickle.dumps([*genome.contigs.values(), genome.contigs["a"].part(1, 3)])
    assert len(pickled) < 1000
    monkeypatch.chdir("/")
    one, two, part = pickle.loads(pickled)
    assert one == genome.contigs["a"] and one.file is two.file is part.contig.file
    assert (text(one, 0, 5), text(two), text(part)) == ("ACGTA", "GG", "CG")
    again = pickle.loads(pickle.dumps(two))
    assert again.file is one.file


class Windows:
    """Windows of a contig, for a DataLoader."""

    def __init__(self, contig: Contig) -> None:
        self.contig = contig

    def __len__(self) -> int:
        return len(self.contig) - 4

    def __getitem__(self, index: int) -> str:
        return text(self.contig, index, index + 4)


# starting an interpreter that imports torch takes seconds
@pytest.mark.parametrize("context", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_workers_of_a_data_loader(tmp_path: Path, context: str) -> None:
    contig = open_genome(write(tmp_path, ">a\nACGTA\nCCGTG\nA\n")).contigs["a"]
    windows = Windows(contig)
    expected = [windows[index] for index in range(len(windows))]
    loader = DataLoader(windows, batch_size=None, num_workers=2, multiprocessing_context=context)  # type: ignore[arg-type, var-annotated]
    assert list(loader) == expected


def _open_and_read(path: Path) -> str:
    return text(open_genome(path).contigs["a"], 0, 10)


def test_many_processes_open_a_new_file_at_once(tmp_path: Path) -> None:
    content = b">a\n" + b"ACGTACGTAC\n" * 50_000
    path = write(tmp_path, gzip.compress(content, 1), "genome.fa.gz")
    with multiprocessing.get_context("fork").Pool(6) as pool:
        assert set(pool.map(_open_and_read, [path] * 12, chunksize=1)) == {"ACGTACGTAC"}
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "genome.fa.gz",
        "genome.fa.gz.unpacked",
        "genome.fa.gz.unpacked.fai",
    ]


def test_what_is_there_is_not_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, gzip.compress(b">a\nACGT\n"), "genome.fa.gz")
    with caplog.at_level(logging.INFO, logger="dnagpt_hf"):
        open_genome(path)
        assert "unpacking" in caplog.text
        caplog.clear()
        states = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
        open_genome(path)
    assert caplog.text == ""
    assert states == {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
