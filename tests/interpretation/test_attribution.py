"""Gradients, beside differences of scores."""

from __future__ import annotations

import sys
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

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
from dnagpt_hf.inference.scored_records import ScoredRecord, score_answer
from dnagpt_hf.interpretation.attribution import input_gradients, integrated_gradients
from dnagpt_hf.records.files import RecordError


@pytest.fixture
def model(tiny_model: DNAGPTForMultiTask) -> DNAGPTForMultiTask:
    return louder(tiny_model)


@pytest.fixture(scope="module")
def planted() -> tuple[DNAGPTForMultiTask, DNAGPTTokenizer]:
    return motif_model()


def asked(model: Any, tokenizer: DNAGPTTokenizer, **options: Any) -> ScoredRecord:
    one = record(dna(50, 1), x="0.5 -1")
    return score_answer(model, tokenizer, one, **options)


def embeddings(scored: ScoredRecord) -> torch.Tensor:
    inputs = scored.inputs()
    with torch.no_grad():
        return scored.model.base_model.embed(inputs["input_ids"], inputs["number_values"])


@pytest.mark.parametrize("options", [{"template": CLASS, "answers": ANSWERS}, {"template": NUMBER}])
def test_gradients_are_small_differences(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer, options: dict[str, Any]
) -> None:
    scored = asked(model.double(), tiny_tokenizer, **options)
    found = input_gradients(scored)
    embeds, step = embeddings(scored), 1e-5
    with torch.no_grad():
        for place in range(len(scored.tokenized.tokens)):
            scores = []
            for factor in (1 - step, 1 + step):
                changed = embeds.clone()
                changed[0, place] *= factor
                scores.append(float(scored.score_of(inputs_embeds=changed)))
            slope = (scores[1] - scores[0]) / (2 * step)
            # scores are given in float32
            assert found.values[place] == pytest.approx(slope, abs=0.02 + 1e-2 * abs(slope))
    assert np.abs(found.values).max() > 0.2


def test_gradients_of_numbers(model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer) -> None:
    found = input_gradients(asked(model, tiny_tokenizer, template=NUMBER))
    assert found.number_gradients is not None
    places = np.flatnonzero(np.isfinite(found.number_gradients))
    assert [found.scored.tokenized.tokens[place].start for place in places] == [0, 1]
    step = 1e-2
    for place, numbers in zip(places, (("{} -1", 0.5), ("0.5 {}", -1.0)), strict=True):
        scores = [
            score_answer(
                model,
                tiny_tokenizer,
                record(dna(50, 1), x=numbers[0].format(numbers[1] + change)),
                template=NUMBER,
            ).score
            for change in (-step, step)
        ]
        slope = (scores[1] - scores[0]) / (2 * step)
        assert found.number_gradients[place] == pytest.approx(slope, rel=0.05, abs=1e-2)


def plain_integral(scored: ScoredRecord, steps: int) -> np.ndarray[Any, Any]:
    """The definition: gradients at Gauss-Legendre points from baseline to record, one by one."""
    inputs, embed = scored.inputs(), scored.model.base_model.embed
    ids, numbers = inputs["input_ids"].clone(), inputs["number_values"].clone()
    for place, token in enumerate(scored.tokenized.tokens):
        if token.kind == "sequence":
            ids[0, place] = int(scored.tokenizer.encode_dna("N" * len(token.text))[0])
        elif token.kind == "number":
            numbers[0, place] = 0
    with torch.no_grad():
        start, end = embed(ids, numbers), embeddings(scored)
    integral = torch.zeros_like(end)
    points, weights = np.polynomial.legendre.leggauss(steps)
    for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
        embeds = torch.lerp(start, end, float(point)).requires_grad_()
        score = scored.score_of(inputs_embeds=embeds).sum()
        integral += weight * torch.autograd.grad(score, embeds)[0]
    return ((end - start) * integral).sum(-1)[0].numpy()


@pytest.mark.parametrize("options", [{"template": CLASS, "answers": ANSWERS}, {"template": NUMBER}])
def test_integrated_gradients_are_those_of_the_definition(
    tiny_model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer, options: dict[str, Any]
) -> None:
    scored = asked(tiny_model.double(), tiny_tokenizer, **options)
    expected = plain_integral(scored, 20)
    assert np.abs(expected).max() > 1e-3
    for max_tokens in (16_384, 40):
        found = integrated_gradients(scored, steps=20, max_tokens=max_tokens)
        np.testing.assert_allclose(found.values, expected, atol=1e-6)


def test_captum_is_named_where_it_is_missing(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(ImportError, match=r"pip install 'dnagpt_hf\[interpretation\]'"):
        integrated_gradients(asked(model, tiny_tokenizer, template=NUMBER))


@pytest.mark.parametrize(
    "options",
    [{"template": CLASS, "answers": ANSWERS, "target": "none"}, {"template": NUMBER}, None],
)
def test_integrated_gradients_share_out_the_difference(
    tiny_model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer, options: Any
) -> None:
    network: Any = tiny_model if options else classifier(num_labels=3, classifier_pooling="mean")
    with torch.no_grad():
        network.base_model.embed_tokens.weight.mul_(3)
    scored = asked(network, tiny_tokenizer, **options or {})
    found = integrated_gradients(scored, steps=100)
    assert found.baseline_score is not None
    difference = scored.score - found.baseline_score
    assert abs(difference) > 1e-3
    assert found.values.sum() == pytest.approx(difference, abs=1e-3 * abs(difference) + 1e-5)
    few = integrated_gradients(scored, steps=100, max_tokens=170)
    np.testing.assert_allclose(few.values, found.values, atol=1e-5)


def test_the_baseline_is_n_and_0(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    scored = asked(model, tiny_tokenizer, template=NUMBER)
    baseline = score_answer(model, tiny_tokenizer, record("N" * 50, x="0 0"), template=NUMBER)
    found = integrated_gradients(scored, steps=2)
    assert found.baseline_score == pytest.approx(baseline.score, abs=1e-5)
    # the template's own tokens are the same in both
    own = [token.column is None for token in scored.tokenized.tokens]
    assert not found.values[own].any()
    assert found.values[np.logical_not(own)].all()
    with pytest.raises(ValueError, match="in 0 steps"):
        integrated_gradients(scored, steps=0)


def test_gradients_leave_the_model_alone(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    scored = asked(model, tiny_tokenizer, template=CLASS, answers=ANSWERS)
    with torch.inference_mode(False), torch.no_grad():
        input_gradients(scored)
        integrated_gradients(scored, steps=2)
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())


@pytest.mark.parametrize("seed", [1001, 1002, 1003])
def test_a_planted_motif_is_found(
    planted: tuple[DNAGPTForMultiTask, DNAGPTTokenizer], seed: int
) -> None:
    sequence, start = with_motif(seed)
    scored = score_answer(
        *planted, record(sequence), template=CLASS, answers=ANSWERS, target="motif"
    )
    assert scored.score > 2
    motif = slice(start, start + len(MOTIF))
    by_base = input_gradients(scored).per_base()
    assert by_base.shape == (36,)
    assert np.abs(by_base[motif]).min() > np.abs(np.delete(by_base, motif)).max()
    assert by_base[motif].sum() > 0
    integrated = integrated_gradients(scored)
    by_base = integrated.per_base()
    assert by_base[motif].min() > np.abs(np.delete(by_base, motif)).max()
    assert by_base[motif].sum() > 0.5 * integrated.values.sum()


def test_gradients_that_are_not_finite(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    scored = asked(model, tiny_tokenizer, template=CLASS, answers=ANSWERS)
    with torch.no_grad():
        model.model.norm.weight.fill_(torch.inf)
    with pytest.raises(RecordError, match="the model's output is not finite"):
        input_gradients(scored)
