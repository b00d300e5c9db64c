"""Tables of populations."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from dnagpt_hf.haplotypes.populations import read_populations
from dnagpt_hf.haplotypes.sites import HaplotypeError


@pytest.mark.parametrize(
    "text",
    [
        "Sample name\tPopulation code\tSuperpopulation code\nHG1\tFIN\tEUR\nNA2\tYRI\tAFR\n",
        "sample\tpop\tsuper_pop\tgender\nHG1\tFIN\tEUR\tmale\nNA2\tYRI\tAFR\tfemale\n",
        "#IID\tPopulation\nHG1\tEUR\nNA2\tAFR\n",
    ],
)
def test_tables_of_several_projects(tmp_path: Path, text: str) -> None:
    path = tmp_path / "samples.tsv.gz"
    with gzip.open(path, "wt") as stream:
        stream.write(text)
    assert read_populations(path) == {"HG1": "EUR", "NA2": "AFR"}


def test_a_chosen_column_and_a_file_without_ending(tmp_path: Path) -> None:
    path = tmp_path / "integrated.panel"
    path.write_text("sample\tpop\tsuper_pop\nHG1\tFIN\tEUR\nHG2\tNA\t\n")
    assert read_populations(path, "pop") == {"HG1": "FIN"}


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("name\tpop\na\tx\n", None, "no column of samples .*its columns are name, pop"),
        ("sample\tplace\na\tx\n", None, "no column of populations .*sample, place"),
        ("sample\tpop\na\tx\n", "super", r"no column of populations \(super\)"),
        ("sample\tpop\na\tx\na\ty\n", None, "line 3: sample a is of population y, but of x before"),
    ],
)
def test_tables_that_cannot_be_read(
    tmp_path: Path, text: str, column: str | None, message: str
) -> None:
    path = tmp_path / "samples.tsv"
    path.write_text(text)
    with pytest.raises(HaplotypeError, match=message):
        read_populations(path, column)
