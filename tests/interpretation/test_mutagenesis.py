"""Substitutions, beside those that are made in the text one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from interpreted_models import (
    ANSWERS,
    CLASS,
    MOTIF,
    NUMBER,
    classifier,
    dna,
    louder,
    motif_model,
    record,
    with_motif,
)

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer, bundled
from dnagpt_hf.inference.batching import map_in_batches, padded_views
from dnagpt_hf.inference.scored_records import ScoredRecord, score_answer
from dnagpt_hf.interpretation.mutagenesis import BASES, in_silico_mutagenesis
from dnagpt_hf.records.files import RecordError
from dnagpt_hf.records.templates import Template
from dnagpt_hf.tasks.encoding import RecordEncoder

COLUMNS = "<R>{utr}{sequence}<+>{other}<=><B>"


@pytest.fixture
def model(tiny_model: DNAGPTForMultiTask) -> DNAGPTForMultiTask:
    return louder(tiny_model)


def reference(scored: ScoredRecord, template: str, column: str) -> np.ndarray[Any, Any]:
    """Effects of substitutions that are written into the record, each read as a whole."""
    values = dict(scored.tokenized.record.values)
    sequence = values[column]
    changed = [
        record(**{**values, column: sequence[:base] + letter + sequence[base + 1 :]})
        for base in range(len(sequence))
        for letter in BASES
    ]
    encoder = RecordEncoder(scored.tokenizer, Template(template), 64)

    def scores(batch: list[Any]) -> list[float]:
        inputs = padded_views(batch, scored.model.config.pad_token_id)
        with torch.no_grad():
            return scored.score_of(**inputs).tolist()

    found = [score for _, score in map_in_batches(scores, map(encoder.in_views, changed))]
    effects = np.array(found).reshape(-1, len(BASES)) - scored.score
    effects[[base == "N" for base in sequence]] = np.nan
    return effects


@pytest.mark.parametrize(
    ("template", "column", "values"),
    [
        (CLASS, "sequence", {}),
        (NUMBER, "sequence", {"x": "0.5 -1"}),
        ("AC{sequence}<=><B>", "sequence", {}),
        (COLUMNS, "sequence", {"utr": "GTA", "other": "ACGT"}),
        (COLUMNS, "utr", {"utr": "GTA", "other": "ACGT"}),
    ],
)
def test_effects_are_those_of_changed_records(
    model: DNAGPTForMultiTask,
    tiny_tokenizer: DNAGPTTokenizer,
    template: str,
    column: str,
    values: dict[str, str],
) -> None:
    answers = None if template == NUMBER else ANSWERS
    one = record("N" + dna(43, 1), **values)
    scored = score_answer(model, tiny_tokenizer, one, template=template, answers=answers)
    found = in_silico_mutagenesis(scored, column=column)
    expected = reference(scored, template, column)
    assert found.effects.shape == expected.shape
    np.testing.assert_allclose(found.effects, expected, atol=1e-4)
    for base, letter in enumerate(one.values[column]):
        if letter in BASES:
            assert found.effects[base, BASES.index(letter)] == 0
    assert np.nanmax(np.abs(found.effects)) > 1e-2


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_effects_on_a_head(tiny_tokenizer: DNAGPTTokenizer, pooling: str) -> None:
    model = classifier(num_labels=2, classifier_pooling=pooling)
    scored = score_answer(model, tiny_tokenizer, record(dna(40, 1)))
    found = in_silico_mutagenesis(scored)
    np.testing.assert_allclose(
        found.effects, reference(scored, "{sequence}", "sequence"), atol=1e-4
    )


@pytest.mark.parametrize("sizes", [{"max_records": 1}, {"max_records": 7}, {"max_tokens": 40}])
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_batches_change_nothing(
    model: DNAGPTForMultiTask,
    tiny_tokenizer: DNAGPTTokenizer,
    sizes: dict[str, int],
    implementation: str,
) -> None:
    scored = score_answer(
        model, tiny_tokenizer, record(dna(40, 1)), template=CLASS, answers=ANSWERS
    )
    expected = in_silico_mutagenesis(scored)
    model.set_attn_implementation(implementation)
    done: list[int] = []
    found = in_silico_mutagenesis(scored, **sizes, progress=done.append)
    np.testing.assert_allclose(found.effects, expected.effects, atol=1e-5)
    assert sum(done) == 120
    assert len(done) == -(-120 // sizes.get("max_records", 40 // 10))


def test_a_part_of_a_sequence(model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer) -> None:
    scored = score_answer(
        model, tiny_tokenizer, record(dna(40, 1)), template=CLASS, answers=ANSWERS
    )
    every = in_silico_mutagenesis(scored)
    part = in_silico_mutagenesis(scored, start=11, end=20)
    assert (part.start, part.end) == (11, 20)
    np.testing.assert_allclose(part.effects, every.effects[11:20], atol=1e-5)
    np.testing.assert_allclose(part.mean_effects, part.effects.sum(-1) / 3, atol=1e-6)
    for start, end in ((0, 41), (5, 5), (-1, 3)):
        with pytest.raises(RecordError, match=r"a\.csv, record r1 .*has 40 bases"):
            in_silico_mutagenesis(scored, start=start, end=end)


def test_the_largest_effects_have_names(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    sequence = dna(40, 1) + "N"
    scored = score_answer(model, tiny_tokenizer, record(sequence), template=CLASS, answers=ANSWERS)
    found = in_silico_mutagenesis(scored, start=30)
    names = found.largest(3)
    assert abs(names[0][1]) == np.nanmax(np.abs(found.effects))
    for name, effect in names:
        base = int(name[1:-1]) - 1
        assert sequence[base] == name[0]
        assert effect == found.effects[base - 30, BASES.index(name[-1])]
    assert len(found.largest(99)) == 30
    assert in_silico_mutagenesis(scored, start=40).largest(1) == []


def test_bases_that_were_cut_off_are_unknown(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    scored = score_answer(
        model,
        tiny_tokenizer,
        record(dna(400, 1)),
        template="<R>{sequence}<=><M>",
        truncation="right",
    )
    found = in_silico_mutagenesis(scored, start=355)
    assert np.isfinite(found.effects).all(-1).tolist() == [True] * 11 + [False] * 34


def test_a_planted_motif_is_found() -> None:
    model, tokenizer = motif_model()
    for seed in (1001, 1002, 1003):
        sequence, start = with_motif(seed)
        scored = score_answer(
            model,
            tokenizer,
            record(sequence),
            template=CLASS,
            answers=ANSWERS,
            target="motif",
        )
        effects = in_silico_mutagenesis(scored).mean_effects
        motif = slice(start, start + len(MOTIF))
        others = np.delete(effects, motif)
        assert effects[motif].max() < 2 * others.min()
        assert effects[motif].max() < -10 * np.abs(others).mean()


def test_a_read_gc_content_changes_by_one_base() -> None:
    """dnagpt-tiny answers the GC content, of which the effect of each substitution is known."""
    folder = bundled("dnagpt-tiny")
    model = DNAGPTForMultiTask.from_pretrained(folder).eval()
    tokenizer = DNAGPTTokenizer.from_pretrained(folder)
    sequence = dna(300, 1)
    scored = score_answer(model, tokenizer, record(sequence), template="<R>{sequence}<=><M>")
    found = in_silico_mutagenesis(scored, start=100, end=160)
    is_gc = np.array([letter in "GC" for letter in BASES], float)
    expected = (is_gc - [[letter in "GC"] for letter in sequence[100:160]]) / len(sequence)
    assert np.corrcoef(found.effects.ravel(), expected.ravel())[0, 1] > 0.8
