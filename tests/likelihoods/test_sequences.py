"""Log-probabilities of bases against the enumeration of k-mers."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from likelihood_models import base_log_probability, dna, kmer_log_probability, reverse, split, tiny

from dnagpt_hf.genomes.bases import normalize_bases
from dnagpt_hf.likelihoods import sequences as module
from dnagpt_hf.likelihoods.sequences import BaseScores, ScoreSettings, SequenceScorer

CLOSE = 1e-9


def scores_of(
    loaded: Any, sequence: str, start: int = 0, end: int | None = None, **settings: Any
) -> BaseScores:
    scorer = SequenceScorer(*loaded, ScoreSettings(**settings))
    blocks = list(scorer.blocks(normalize_bases(sequence.encode()), start, end))
    strands = {
        name: np.concatenate([block.strands[name] for block in blocks])
        for name in blocks[0].strands
    }
    return BaseScores(start, np.concatenate([block.bases for block in blocks]), strands)


def forward(loaded: Any, sequence: str, **settings: Any) -> Any:
    found = scores_of(loaded, sequence, strand="forward", **settings)
    return found.of_bases(found.log_probabilities)


def expected(loaded: Any, sequence: str, **options: Any) -> Any:
    found = [
        base_log_probability(*loaded, sequence, base, **options) for base in range(len(sequence))
    ]
    return np.array(found, float)


@pytest.mark.parametrize("kmer_size", [1, 3, 4, 6])
@pytest.mark.parametrize("dynamic", [True, False])
@pytest.mark.parametrize("phases", ["all", "first"])
def test_conditionals_equal_the_enumeration_of_kmers(
    kmer_size: int, dynamic: bool, phases: Any
) -> None:
    loaded = tiny(kmer_size, dynamic)
    sequence = dna(4 * kmer_size + 2, 1)
    for species in ("R", None):
        found = forward(loaded, sequence, species=species, phases=phases)
        options = {"species": species, "phases": None if phases == "all" else 1}
        np.testing.assert_allclose(found, expected(loaded, sequence, **options), atol=CLOSE)
        # without a species token the first k-mer is context only
        assert np.isnan(found).sum() == (0 if species else kmer_size)


def test_windows_of_long_sequences_have_the_stated_bases_before_each_one() -> None:
    loaded, sequence = tiny(), dna(100, 2)
    found = forward(loaded, sequence, species="R", window=31, stride=13)
    options: dict[str, Any] = {"species": "R", "window": 10, "stride": 4}
    np.testing.assert_allclose(found, expected(loaded, sequence, **options), atol=CLOSE)
    # a part is scored in the light of the whole, whatever the size of blocks
    part = scores_of(loaded, sequence, 37, 71, species="R", strand="forward", window=31, stride=13)
    assert (part.of_bases(part.log_probabilities) == found[37:71]).all()


def test_blocks_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, sequence = tiny(6, dtype=torch.float32), dna(1000, 3)
    whole = scores_of(loaded, sequence, species="R", window=180)
    monkeypatch.setattr(module, "_BLOCK", 77)
    parts = scores_of(loaded, sequence, species="R", window=180)
    for name in ("forward", "reverse"):
        np.testing.assert_array_equal(whole.strands[name], parts.strands[name])


@pytest.mark.parametrize("kmer_size", [1, 3, 6])
def test_bases_of_a_phase_add_up_to_its_kmers(kmer_size: int) -> None:
    loaded = tiny(kmer_size)
    kmers = split(dna(5 * kmer_size, 4), kmer_size)
    found = forward(loaded, "".join(kmers), species="R", phases="first").reshape(5, kmer_size)
    tokens = [kmer_log_probability(*loaded, "R", kmers, place) for place in range(5)]
    np.testing.assert_allclose(found.sum(1), tokens, atol=CLOSE)


@pytest.mark.parametrize("kmer_size", [1, 2, 3])
@pytest.mark.parametrize("phases", ["all", "first"])
@pytest.mark.parametrize("length", [4, 5])
def test_the_probabilities_of_all_sequences_sum_to_one(
    kmer_size: int, phases: Any, length: int
) -> None:
    loaded = tiny(kmer_size)
    total = 0.0
    scorer = SequenceScorer(*loaded, ScoreSettings(species="R", strand="forward", phases=phases))
    for letters in itertools.product(b"ACGT", repeat=length):
        [block] = scorer.blocks(np.array(letters, np.uint8))
        total += math.exp(block.of_bases(block.log_probabilities).sum())
    assert total == pytest.approx(1.0, abs=CLOSE)


def test_the_four_bases_are_normalized_at_each_position() -> None:
    found = scores_of(tiny(4), dna(50, 5), species="R")
    for scores in found.strands.values():
        np.testing.assert_allclose(np.exp(scores).sum(-1), 1.0, atol=CLOSE)


def test_the_reverse_strand_is_the_reverse_complement() -> None:
    loaded, sequence = tiny(), dna(100, 6)
    there = scores_of(loaded, sequence, 10, 60, species="R", window=60)
    back = scores_of(loaded, reverse(sequence), 40, 90, species="R", window=60)
    np.testing.assert_array_equal(there.strands["reverse"], back.strands["forward"][::-1, ::-1])
    np.testing.assert_allclose(there.log_probabilities, back.log_probabilities[::-1, ::-1])
    mean = (there.strands["forward"] + there.strands["reverse"]) / 2
    np.testing.assert_array_equal(there.log_probabilities, mean)
    alone = scores_of(loaded, sequence, 10, 60, species="R", window=60, strand="reverse")
    np.testing.assert_array_equal(alone.log_probabilities, there.strands["reverse"])


def test_a_kmer_with_an_undetermined_base_is_context_only() -> None:
    loaded = tiny()
    sequence = dna(20, 7) + "N" + dna(10, 8) + "NNN" + dna(20, 9)
    found = forward(loaded, sequence, species="R")
    np.testing.assert_allclose(found, expected(loaded, sequence, species="R"), atol=CLOSE)
    assert np.flatnonzero(np.isnan(found)).tolist() == [20, 31, 32, 33]
    one = forward(loaded, sequence, species="R", phases="first")
    np.testing.assert_allclose(one, expected(loaded, sequence, species="R", phases=1), atol=CLOSE)
    assert np.flatnonzero(np.isnan(one)).tolist() == [18, 19, 20, 30, 31, 32, 33, 34, 35]
    # soft masks and IUPAC codes
    again = forward(loaded, sequence.replace("N", "y").lower(), species="R")
    np.testing.assert_array_equal(again, found)


def test_the_vocabulary_can_have_the_whole_probability() -> None:
    loaded, sequence = tiny(), dna(20, 10)
    found = forward(loaded, sequence, species="R", normalize="vocabulary")
    options = {"species": "R", "normalize": "vocabulary"}
    np.testing.assert_allclose(found, expected(loaded, sequence, **options), atol=CLOSE)
    assert (found <= forward(loaded, sequence, species="R") + CLOSE).sum() > 10


@pytest.mark.parametrize("normalize", ["acgt", "vocabulary"])
def test_a_remainder_can_end_its_segment(normalize: Any) -> None:
    model, tokenizer = loaded = tiny()
    sequence = dna(11, 11)
    options: dict[str, Any] = {"species": "R", "phases": "first", "normalize": normalize}
    found = forward(loaded, sequence, remainder="segment", **options)
    np.testing.assert_array_equal(found[:9], forward(loaded, sequence, **options)[:9])
    ids = tokenizer(f"<R>{sequence}")["input_ids"]
    with torch.no_grad():
        scores = model(input_ids=torch.tensor([ids[:-1]])).logits[0, -1]
    tokens = range(len(tokenizer))
    if normalize == "acgt":
        names = tokenizer.convert_ids_to_tokens(list(tokens))
        tokens = [place for place, name in enumerate(names) if set(name) <= set("ACGT")]
    token = scores[ids[-1]] - scores[list(tokens)].logsumexp(0)
    assert found[9:].sum() == pytest.approx(float(token), abs=CLOSE)
    with pytest.raises(ValueError, match="choose phases first"):
        ScoreSettings(remainder="segment")
    with pytest.raises(ValueError, match="fixed vocabulary"):
        forward(tiny(dynamic=False), sequence, remainder="segment", **options)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4])
def test_short_sequences_have_what_can_be_scored(length: int) -> None:
    loaded, sequence = tiny(), dna(length, 12)
    scorer = SequenceScorer(*loaded, ScoreSettings())
    blocks = list(scorer.blocks(normalize_bases(sequence.encode())))
    assert len(blocks) == (length > 0)
    if length:
        found = forward(loaded, sequence, species="R")
        np.testing.assert_allclose(found, expected(loaded, sequence, species="R"), atol=CLOSE)
        missing = min(length, 3)
        assert np.isnan(forward(loaded, sequence)).sum() == missing


def test_both_strands_and_all_phases_cost_two_positions_a_base(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, tokenizer = tiny(6)
    read = []
    forward_of_model = model.model.forward

    def counting(input_ids: torch.Tensor, **others: Any) -> Any:
        read.append(input_ids.numel())
        return forward_of_model(input_ids=input_ids, **others)

    monkeypatch.setattr(model.model, "forward", counting)
    scores_of((model, tokenizer), dna(300, 13), species="R")
    assert sum(read) == 2 * 300


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_probabilities_are_normalized_in_float32_whatever_the_type(dtype: torch.dtype) -> None:
    found = scores_of(tiny(dtype=dtype), dna(50, 14), species="R", strand="forward")
    np.testing.assert_allclose(np.exp(found.log_probabilities).sum(-1), 1.0, atol=1e-5)


def test_settings_that_do_not_fit_are_refused() -> None:
    for settings, message in (
        ({"strand": "left"}, "strand is 'left': choose both or forward or reverse"),
        ({"window": 300}, "the model reads 192 bases at most"),
        ({"window": 30, "stride": 33}, "does not fit"),
        ({"stride": 2}, "does not fit"),
        ({"normalize": "all"}, "choose acgt or vocabulary"),
    ):
        with pytest.raises(ValueError, match=message):
            scores_of(tiny(), "ACGT", **settings)


def test_a_model_that_gives_no_numbers_is_refused() -> None:
    model, tokenizer = tiny()
    with torch.no_grad():
        model.model.norm.weight.fill_(torch.nan)
    with pytest.raises(ValueError, match="not finite"):
        forward((model, tokenizer), "ACGTACGT")
    with pytest.raises(ValueError, match="load the checkpoint of a language model"):
        forward((model.model, tokenizer), "ACGTACGT")
