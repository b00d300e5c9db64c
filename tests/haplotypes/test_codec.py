"""Haplotypes as tokens and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from dnagpt_hf.haplotypes.codec import HaplotypeCodec
from dnagpt_hf.haplotypes.format import HaplotypeFormat
from dnagpt_hf.haplotypes.sites import HaplotypeError
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

POPULATIONS = {"EUR": "<1>", "AFR": "<2>"}


def alleles_of(rows: int, sites: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 2, (rows, sites)).astype(np.uint8)


def letters_of(sites: int) -> tuple[str, str]:
    rng = np.random.default_rng(1)
    return "".join(rng.choice([*"AC"], sites)), "".join(rng.choice([*"GT"], sites))


@pytest.mark.parametrize("dynamic", [True, False])
@pytest.mark.parametrize("kmer_size", [3, 6])
@pytest.mark.parametrize("sites", [1, 5, 12, 13, 97])
@pytest.mark.parametrize("style", ["plain", "populations", "letters", "no prefix"])
def test_ids_are_those_of_the_tokenizer(
    dynamic: bool, kmer_size: int, sites: int, style: str
) -> None:
    tokenizer = DNAGPTTokenizer(kmer_size=kmer_size, dynamic_kmer=dynamic)
    options: dict[str, Any] = {
        "plain": {},
        "populations": {"populations": POPULATIONS, "stop": "<&>"},
        "letters": {"letters": letters_of(sites)},
        "no prefix": {"prefix": ""},
    }[style]
    codec = HaplotypeCodec(tokenizer, HaplotypeFormat(sites, **options))
    alleles = alleles_of(9, sites)
    populations: Sequence[str] | None = None
    if style == "populations":
        populations = np.random.default_rng(2).choice([*POPULATIONS], 9).tolist()
    ids = codec.encode(alleles, populations)
    assert ids.shape == (9, codec.length) and ids.dtype == np.int64
    texts = codec.texts(alleles, populations)
    assert [tokenizer(text)["input_ids"] for text in texts] == ids.tolist()
    decoded = codec.decode(ids)
    assert decoded.is_valid.all() and (decoded.alleles == alleles).all()
    if populations is not None:
        assert decoded.populations.tolist() == populations
    for place in range(codec.num_tokens):
        assert set(ids[:, codec.start + place]) <= set(codec.allele_ids(place).tolist())


def test_what_a_haplotype_looks_like() -> None:
    codec = HaplotypeCodec(DNAGPTTokenizer(), HaplotypeFormat(8, populations=POPULATIONS))
    assert codec.texts([[0, 1, 1, 0, 0, 0, 1, 1]], ["AFR"]) == ["<R><2>ATTAAATT<!>"]
    assert (codec.start, codec.num_tokens, codec.length) == (2, 2, 5)
    assert codec.prompt("EUR") == DNAGPTTokenizer()("<R><1>")["input_ids"]
    fixed = HaplotypeCodec(DNAGPTTokenizer(dynamic_kmer=False), HaplotypeFormat(8))
    assert fixed.texts([[0] * 8]) == ["<R>AAAAAAAANNNN<!>"]
    assert fixed.prompt() == [DNAGPTTokenizer().get_vocab()["<R>"]]


def test_allowed_tokens_are_all_that_alleles_can_be() -> None:
    tokenizer = DNAGPTTokenizer()
    codec = HaplotypeCodec(tokenizer, HaplotypeFormat(8))
    assert len(codec.allele_ids(0)) == 64
    assert tokenizer.convert_ids_to_tokens(codec.allele_ids(1).tolist()) == ["AA", "AT", "TA", "TT"]


def test_many_rows_at_once() -> None:
    codec = HaplotypeCodec(DNAGPTTokenizer(), HaplotypeFormat(805))
    alleles = alleles_of(700, 805)
    assert (codec.decode(codec.encode(alleles)).alleles == alleles).all()


def changed(ids: Any, place: int, token: str) -> Any:
    changed = ids.copy()
    changed[:, place] = DNAGPTTokenizer().get_vocab()[token]
    return changed


def test_sequences_that_are_no_haplotypes() -> None:
    codec = HaplotypeCodec(DNAGPTTokenizer(), HaplotypeFormat(14, populations=POPULATIONS))
    # <R> <1> 6-mer 6-mer 2-mer <!>
    ids = codec.encode(alleles_of(1, 14), ["EUR"])
    cases = {
        "right": (ids, True, True, True),
        "stop too early": (changed(ids, 4, "<!>"), True, False, False),
        "no stop": (changed(ids, 5, "AAAAAA"), True, False, True),
        "other letters": (changed(ids, 3, "ATACAT"), True, True, False),
        "N": (changed(ids, 3, "ATNTAT"), True, True, False),
        "too short a k-mer": (changed(ids, 3, "ATAT"), True, True, False),
        "too long a k-mer": (changed(ids, 4, "ATATAT"), True, True, False),
        "a token": (changed(ids, 3, "<=>"), True, True, False),
        "no prefix": (changed(ids, 0, "<S>"), False, True, True),
        "no population": (changed(ids, 1, "<3>"), False, True, True),
    }
    for name, (sequence, *expected) in cases.items():
        decoded = codec.decode(sequence)
        found = [decoded.has_prefix[0], decoded.has_stop[0], decoded.has_alleles[0]]
        assert found == expected, name
        assert decoded.is_valid[0] == all(expected)
        if not all(expected):
            assert not decoded.alleles.any()


def test_other_lengths() -> None:
    codec = HaplotypeCodec(DNAGPTTokenizer(), HaplotypeFormat(14))
    ids = codec.encode(alleles_of(3, 14))
    longer = np.concatenate([ids, np.full((3, 4), 20)], axis=1)
    assert (codec.decode(longer).alleles == alleles_of(3, 14)).all()
    cut = codec.decode(ids[:, :-1])
    assert not cut.has_stop.any() and cut.has_alleles.all()
    assert not codec.decode(ids[:, :2]).is_valid.any()
    assert codec.decode(np.empty((0, 5), int)).alleles.shape == (0, 14)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_sites": 0}, "0 sites, but a haplotype has at least one"),
        ({"letters": ("A", "A")}, "both alleles of site 1 are the same base"),
        ({"letters": ("ACA", "TTT")}, "3 letters for allele 0, but one or 4"),
        ({"letters": ("ACAN", "TTTT")}, "'N' for allele 0 of site 4 is not A, C, G or T"),
        ({"letters": (["A", "C", "CT", "A"], "T")}, "'CT' for allele 0 of site 3"),
        ({"stop": "AAA"}, "'AAA' is no token that can be used here"),
        ({"stop": "<P>"}, "'<P>' is no token that can be used here"),
        ({"stop": "<R>"}, "<R> has two meanings"),
        ({"populations": {"EUR": "<1>", "AFR": "<1>"}}, "<1> has two meanings"),
    ],
)
def test_codecs_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(HaplotypeError, match=message):
        HaplotypeCodec(DNAGPTTokenizer(), HaplotypeFormat(**{"num_sites": 4, **options}))


def test_what_cannot_be_encoded() -> None:
    codec = HaplotypeCodec(DNAGPTTokenizer(), HaplotypeFormat(4))
    with pytest.raises(HaplotypeError, match=r"shape \(1, 3\), but \(haplotypes, 4\)"):
        codec.encode([[0, 1, 1]])
    with pytest.raises(HaplotypeError, match="haplotype 2 has the allele 3 at site 2"):
        codec.encode([[0, 1, 1, 0], [0, 3, 1, 0]])
    with pytest.raises(HaplotypeError, match="has no populations"):
        codec.encode([[0, 1, 1, 0]], ["EUR"])
    known = HaplotypeCodec(DNAGPTTokenizer(), HaplotypeFormat(4, populations=POPULATIONS))
    with pytest.raises(HaplotypeError, match="population stands before the alleles"):
        known.encode([[0, 1, 1, 0]])
    with pytest.raises(HaplotypeError, match="unknown population 'SAS'; there are EUR, AFR"):
        known.encode([[0, 1, 1, 0]], ["SAS"])
    with pytest.raises(HaplotypeError, match="ids below 19,56"):
        codec.decode([[10**6]])
