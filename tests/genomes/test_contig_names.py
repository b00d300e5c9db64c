"""Names of chromosomes in two files."""

from __future__ import annotations

from pathlib import Path

import pytest

from dnagpt_hf.genomes.contig_names import ContigNames, read_aliases
from dnagpt_hf.records.files import RecordError


@pytest.mark.parametrize(
    ("contig", "written"),
    [("chr1", "1"), ("1", "chr1"), ("X", "chrX"), ("MT", "chrM"), ("chrM", "MT"), ("chrMT", "M")],
)
def test_names_with_and_without_chr(contig: str, written: str) -> None:
    assert ContigNames([contig]).find(written) == contig
    assert ContigNames([contig]).find(contig) == contig


def test_the_same_name_has_priority() -> None:
    names = ContigNames(["1", "chr1", "MT", "chrM"])
    assert [names.find(name) for name in ("1", "chr1", "chrM", "2")] == ["1", "chr1", "chrM", None]


def test_aliases(tmp_path: Path) -> None:
    path = tmp_path / "aliases.tsv"
    path.write_text("# names\nchr1\tNC_1\tone\nchr2\tNC_2\n\nchr9\tNC_9\n")
    aliases = read_aliases(path, ["chr1", "chr2"])
    assert aliases == {"NC_1": "chr1", "one": "chr1", "NC_2": "chr2"}
    assert ContigNames(["chr1"], aliases).find("one") == "chr1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr1\tchr2\n", "line 1: chr1 and chr2 are two contigs"),
        ("chr1\ta\nchr2\ta\n", "line 2: a is an alias of chr2 and of chr1"),
        ("x\ty\n", "no line has a contig of the genome, such as chr1"),
    ],
)
def test_aliases_that_are_not_clear(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "aliases.tsv"
    path.write_text(text)
    with pytest.raises(RecordError, match=message):
        read_aliases(path, ["chr1", "chr2"])
