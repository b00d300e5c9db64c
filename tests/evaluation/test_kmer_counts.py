"""Counts of k-mers against a plain count, one window at a time."""

from collections import Counter
from itertools import product

import numpy as np
import pytest

from dnagpt_hf.evaluation.kmer_counts import count_kmers


def plain_counts(sequence: str, kmer_size: int, parts: int) -> list[int]:
    """The definition, written out."""
    kmers = ["".join(kmer) for kmer in product("ACGT", repeat=kmer_size)]
    text = sequence.upper().replace("U", "T")
    counts = []
    for part in range(parts):
        piece = text[len(text) * part // parts : len(text) * (part + 1) // parts]
        windows = range(len(piece) - kmer_size + 1)
        seen = Counter(piece[start : start + kmer_size] for start in windows)
        counts += [seen[kmer] for kmer in kmers]
    return counts


@pytest.mark.parametrize("kmer_size", [1, 2, 4, 7])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_equals_a_plain_count(kmer_size: int, parts: int) -> None:
    rng = np.random.default_rng(kmer_size)
    letters = list("ACGTACGTACGTacgtuNR")
    lengths = [0, 1, 2, 3, 5, 8, 0, 60, 61, 300]
    sequences = ["".join(rng.choice(letters, length)) for length in lengths]
    counts = count_kmers(sequences, kmer_size, parts)
    assert counts.tolist() == [plain_counts(one, kmer_size, parts) for one in sequences]


@pytest.mark.parametrize("at_once", [1, 100])
def test_groups_do_not_meet(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    sequences = ["ACGTTGCA" * 5, "", "NNAC", "GGGG", ""]
    expected = count_kmers(sequences, 3, 2)
    monkeypatch.setattr("dnagpt_hf.evaluation.kmer_counts._BASES_AT_ONCE", at_once)
    assert np.array_equal(count_kmers(sequences, 3, 2), expected)
    # eighteen windows in each half of the first, none in the halves of the others
    assert expected.sum() == 36


def test_no_sequences() -> None:
    assert count_kmers([], 4, 2).shape == (0, 512)
    assert not count_kmers(["", "AC"], 4).any()


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="sequence 2: '!' at position 3 is no nucleotide letter"):
        count_kmers(["ACGT", "AC!T"])
    with pytest.raises(ValueError, match="sequence 1: 'é'"):
        count_kmers(["é"])
    with pytest.raises(ValueError, match="k-mers of 9 bases: choose 1 to 8"):
        count_kmers(["ACGT"], kmer_size=9)
    with pytest.raises(ValueError, match="0 parts"):
        count_kmers(["ACGT"], parts=0)
