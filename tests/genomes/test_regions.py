"""Regions as samtools and genome browsers write them."""

import pytest

from dnagpt_hf.genomes.regions import Region


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("15", Region("15")),
        (" chr15:1,000-2,000 ", Region("chr15", 1000, 2000)),
        ("chr15:1000-", Region("chr15", 1000)),
        ("HLA:A*01:5-7", Region("HLA:A*01", 5, 7)),
        ("scaffold:7", Region("scaffold:7")),
    ],
)
def test_regions(text: str, region: Region) -> None:
    assert Region.parse(text) == Region.parse(str(region)) == region


@pytest.mark.parametrize("text", ["1:0-5", "1:9-5", "1:0-"])
def test_impossible_regions(text: str) -> None:
    with pytest.raises(ValueError, match=f"region {text}: positions count from 1"):
        Region.parse(text)
