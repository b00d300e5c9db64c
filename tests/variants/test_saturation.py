"""All variants of a region, and their figure."""

from __future__ import annotations

from pathlib import Path

import pytest
from variant_files import bases, write_genome

from dnagpt_hf import open_genome
from dnagpt_hf.variants import saturation
from dnagpt_hf.variants.saturation import RegionVariants, Watched


def test_records_of_a_region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # read in blocks
    monkeypatch.setattr(saturation, "_BLOCK", 7)
    records = list(RegionVariants(open_genome(write_genome(tmp_path)), "1:481-510"))
    dna = bases()
    assert [record.position for record in records] == [*range(480, 499), *range(500, 510)]
    assert [record.ref for record in records] == [dna[record.position] for record in records]
    assert all({record.ref, *record.alts} == set("ACGT") for record in records)


def test_a_region_that_is_too_long_to_be_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saturation, "MOST_DRAWN", 100)
    region = RegionVariants(open_genome(write_genome(tmp_path)), "chr1:1-101")
    with pytest.raises(ValueError, match="region chr1:1-101 has 101 bases, and a figure shows 100"):
        Watched(region, "site")
