"""Transforms of numbers and parts of sequences."""

from __future__ import annotations

import math
from typing import Any

import pytest

from dnagpt_hf.tasks.preparation import SequenceCut, Transform


@pytest.mark.parametrize(
    ("text", "number", "result"),
    [
        ("log10(x + 0.1)", 0.9, 0.0),
        ("log10(x+0.1)", 0, -1.0),
        ("log2( x + 1 )", 7, 3.0),
        ("log(x)", math.e, 1.0),
        ("log(x + -1)", 2, 0.0),
        ("log10(x + 1e-1)", 0.9, 0.0),
    ],
)
def test_transforms(text: str, number: float, result: float) -> None:
    assert Transform(text)(number) == pytest.approx(result)


@pytest.mark.parametrize("text", ["", "x", "log3(x)", "log10(x + )", "log10(x + 1e)", "log10(y)"])
def test_unknown_transforms(text: str) -> None:
    with pytest.raises(ValueError, match="unknown transform"):
        Transform(text)


def test_a_number_without_a_transform() -> None:
    with pytest.raises(ValueError, match=r"-0\.1 has no log10\(x \+ 0\.1\): it is too small"):
        Transform("log10(x + 0.1)")(-0.1)


@pytest.mark.parametrize(
    ("cut", "result"),
    [
        ({}, "abcdefghij"),
        ({"window": [2, 8]}, "cdefgh"),
        ({"cut_out": [4, 6]}, "abcdghij"),
        ({"window": [2, 8], "cut_out": [4, 6]}, "cdgh"),
        # what is cut out may lie across an end of the window, or beside it
        ({"window": [2, 8], "cut_out": [0, 4]}, "efgh"),
        ({"window": [2, 8], "cut_out": [7, 10]}, "cdefg"),
        ({"window": [2, 8], "cut_out": [8, 10]}, "cdefgh"),
        ({"window": [2, 8], "cut_out": [0, 2]}, "cdefgh"),
        ({"length": 10}, "abcdefghij"),
    ],
)
def test_parts_of_a_sequence(cut: dict[str, Any], result: str) -> None:
    assert SequenceCut(**cut)("abcdefghij") == result


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        ({"window": [0, 11]}, "10 bp is shorter than the end of window, 11 bp"),
        ({"cut_out": [9, 12]}, "10 bp is shorter than the end of cut_out, 12 bp"),
        ({"length": 9}, "sequence of 10 bp, but the task needs 9 bp"),
    ],
)
def test_sequences_that_do_not_fit(cut: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SequenceCut(**cut)("abcdefghij")


@pytest.mark.parametrize(
    "cut",
    [
        *(
            {"window": value}
            for value in (300, [1], [2, 2], [-1, 3], ["1", 2], [1.0, 2], [1, 2, 3])
        ),
        {"cut_out": [5, 4]},
        *({"length": value} for value in ("606", 0, 1.5, True)),
    ],
)
def test_cuts_that_are_none(cut: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(cut))):
        SequenceCut(**cut)
