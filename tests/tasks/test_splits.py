"""Division into parts, and sequences that stand twice."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from dnagpt_hf.tasks.splits import divide, duplicates, sequence_key

COMPLEMENT = str.maketrans("ACGT", "TGCA")


def test_keys_do_not_depend_on_case_strand_and_rna() -> None:
    generator = random.Random(0)
    for _ in range(50):
        sequence = "".join(generator.choices("ACGTN", k=generator.randrange(1, 40)))
        other_strand = sequence.translate(COMPLEMENT)[::-1]
        key = sequence_key([sequence])
        assert sequence_key([other_strand]) == key
        assert sequence_key([sequence.lower()]) == key
        assert sequence_key([sequence.replace("T", "U")]) == key
        # reversed or complemented alone it is another sequence
        if sequence[::-1] not in (sequence, other_strand):
            assert sequence_key([sequence[::-1]]) != key
    assert sequence_key(["ACG", "T"]) != sequence_key(["AC", "GT"])
    assert sequence_key(["ACG", "GGG"]) != sequence_key(["GGG", "ACG"])


def test_duplicates_within_and_across_parts() -> None:
    keys = [b"a", b"b", b"a", b"c", b"b", b"a", b"d"]
    parts = ["train", "validation", "test", "train", "train", "test", "train"]
    assert duplicates(keys, parts) == {"within": [5], "across": [0, 4], "contradictory": []}
    # before they are divided the first one stays
    found = duplicates(keys, ["all"] * 7)
    assert found == {"within": [2, 4, 5], "across": [], "contradictory": []}


def test_contradictory_records_go_altogether() -> None:
    keys = [b"a", b"a", b"a", b"b", b"b"]
    found = duplicates(keys, ["train", "train", "test", "train", "test"], [0, 1, 0, 1, 1])
    assert found == {"within": [], "across": [3], "contradictory": [0, 1, 2]}


@pytest.mark.parametrize("fractions", [(6, 1.5, 2.5), (1, 1, 1), (8, 2), (0.8, 0, 0.2), (0, 1, 1)])
@pytest.mark.parametrize("count", [3, 10, 97, 1000])
def test_sizes_of_parts(fractions: tuple[float, ...], count: int) -> None:
    parts = divide(count, fractions=fractions, seed=3)
    assert parts.shape == (count,)
    sizes = np.bincount(parts, minlength=len(fractions))
    wanted = np.asarray(fractions) / sum(fractions) * count
    assert np.abs(sizes - wanted).max() <= (1 if count > 3 else 2)
    assert ((sizes > 0) == (wanted > 0)).all()


def test_classes_are_as_frequent_in_each_part() -> None:
    classes = ["a"] * 500 + ["b"] * 100 + ["c"] * 3
    random.Random(0).shuffle(classes)
    parts = divide(len(classes), classes=classes, seed=1)
    for part, share in enumerate((0.6, 0.15, 0.25)):
        chosen = [name for name, one in zip(classes, parts, strict=True) if one == part]
        assert chosen.count("a") == pytest.approx(500 * share, abs=1)
        assert chosen.count("b") == pytest.approx(100 * share, abs=1)
        # a class is in all parts however small it is
        assert chosen.count("c") == 1


def test_a_division_is_a_function_of_its_seed() -> None:
    arguments: dict[str, Any] = {"classes": [number % 2 for number in range(200)]}
    first, second = (divide(200, seed=7, **arguments) for _ in range(2))
    assert (first == second).all()
    assert (first != divide(200, seed=8, **arguments)).any()
    # and random, not in the order of the records
    assert 0 < first[:100].argmax() < 100 and set(first[:100]) == {0, 1, 2}


def test_groups_are_not_divided() -> None:
    generator = random.Random(2)
    groups = [f"chr{generator.choice(range(20))}" for _ in range(1000)]
    parts = divide(1000, groups=groups, seed=0)
    for group in set(groups):
        assert len({part for part, one in zip(parts, groups, strict=True) if one == group}) == 1
    sizes = np.bincount(parts)
    assert np.abs(sizes - [600, 150, 250]).max() <= 60
    assert (parts == divide(1000, groups=groups, seed=0)).all()
    assert (parts != divide(1000, groups=groups, seed=1)).any()


def test_every_part_gets_a_group_where_one_is_large() -> None:
    groups = ["chr1"] * 98 + ["chr2", "chr3"]
    for seed in range(5):
        assert set(divide(100, groups=groups, seed=seed).tolist()) == {0, 1, 2}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"groups": ["x"] * 5 + ["y"] * 5}, "2 groups are too few for 3 splits"),
        ({"fractions": [0, 0]}, "split is"),
        ({"fractions": [-1, 2]}, "split is"),
        ({"fractions": [float("nan"), 2]}, "split is"),
    ],
)
def test_what_cannot_be_divided(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        divide(10, **arguments)
