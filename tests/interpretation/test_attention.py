"""Attention maps, beside those that Transformers returns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from interpreted_models import CLASS, NUMBER, classifier, dna, louder, record

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTModel, DNAGPTTokenizer
from dnagpt_hf.interpretation import attention
from dnagpt_hf.interpretation.attention import attention_maps
from dnagpt_hf.records.files import RecordError


@pytest.fixture
def model(tiny_model: DNAGPTForMultiTask) -> DNAGPTForMultiTask:
    return louder(tiny_model)


def reference(model: Any, tokenizer: DNAGPTTokenizer, text: str) -> np.ndarray[Any, Any]:
    """(layers, heads, tokens, tokens) as the model itself returns them."""
    implementation = model.config._attn_implementation
    model.set_attn_implementation("eager")
    with torch.no_grad():
        outputs = model(**tokenizer(text, return_tensors="pt"), output_attentions=True)
    model.set_attn_implementation(implementation)
    return torch.stack(outputs.attentions)[:, 0].numpy()


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("rows", [4, 256])
def test_maps_are_those_of_the_model(
    model: DNAGPTForMultiTask,
    tiny_tokenizer: DNAGPTTokenizer,
    monkeypatch: pytest.MonkeyPatch,
    implementation: str,
    rows: int,
) -> None:
    monkeypatch.setattr(attention, "_ROWS", rows)
    model.set_attn_implementation(implementation)
    one = record(dna(70, 1), x="0.5 2")
    found = attention_maps(model, tiny_tokenizer, one, template=NUMBER)
    expected = reference(model, tiny_tokenizer, f"<R>{one.values['sequence']}<+><M>0.5 2<=><M>")
    np.testing.assert_allclose(found.weights, expected, atol=1e-5)
    assert found.layers == (1, 2)
    assert model.config._attn_implementation == implementation
    # far from even, so that the comparison means something
    assert found.weights[0, :, -1].max() > 4 / found.weights.shape[-1]


def test_rows_sum_to_one_and_nothing_attends_ahead(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    weights = attention_maps(model, tiny_tokenizer, record(dna(70, 1)), template=CLASS).weights
    assert weights.shape == (2, 4, 15, 15)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)
    assert not np.triu(weights, 1).any()


def test_layers_and_heads_can_be_chosen(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    one = record(dna(70, 1))
    every = attention_maps(model, tiny_tokenizer, one, template=CLASS)
    last = attention_maps(model, tiny_tokenizer, one, template=CLASS, layers=[-1], heads="mean")
    assert (last.layers, last.heads, last.weights.shape) == ((2,), "mean", (1, 1, 15, 15))
    np.testing.assert_allclose(last.weights[0, 0], every.weights[1].mean(0), atol=1e-6)
    swapped = attention_maps(model, tiny_tokenizer, one, template=CLASS, layers=[2, 1, -1])
    assert swapped.layers == (2, 1)
    np.testing.assert_array_equal(swapped.weights, every.weights[::-1])
    for layer in (0, 3, -3):
        with pytest.raises(ValueError, match=f"layer {layer} does not exist: the model has 2"):
            attention_maps(model, tiny_tokenizer, one, template=CLASS, layers=[layer])
    with pytest.raises(ValueError, match="unknown heads 'max': choose all, mean"):
        attention_maps(model, tiny_tokenizer, one, template=CLASS, heads="max")  # type: ignore[arg-type]


def test_bad_records_and_weights(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    with pytest.raises(RecordError):
        attention_maps(model, tiny_tokenizer, record("A" * 400), template=CLASS)
    with torch.no_grad():
        model.model.layers[1].self_attn.q_proj.weight[0, 0] = torch.nan
    with pytest.raises(RecordError, match="the model's output is not finite"):
        attention_maps(model, tiny_tokenizer, record(dna(70, 1)), template=CLASS)


def test_maps_in_bases(model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer) -> None:
    one = record(dna(20, 1))
    found = attention_maps(model, tiny_tokenizer, one, template=CLASS)
    by_base = found.in_bases()
    assert by_base.shape == (2, 4, 20, 20)
    # tokens 1 to 4: three of six bases, and one of two
    assert by_base[1, 2, 19, 3] == pytest.approx(found.weights[1, 2, 4, 1] / 6)
    assert by_base[1, 2, 19, 18] == pytest.approx(found.weights[1, 2, 4, 4] / 2)
    inside = found.weights[:, :, [1, 1, 2, 4], 1:5].sum(-1)
    np.testing.assert_allclose(by_base[:, :, [0, 5, 6, 19]].sum(-1), inside, atol=1e-6)


def test_bases_receive_what_the_last_position_pays(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    one = record(dna(20, 1))
    found = attention_maps(model, tiny_tokenizer, one, template=CLASS, queries="answer")
    last = attention_maps(model, tiny_tokenizer, one, template=CLASS).weights[:, :, -1]
    by_base = found.in_bases()
    assert by_base.shape == (2, 4, 20)
    np.testing.assert_allclose(found.weights[:, :, 0], last, atol=1e-6)
    np.testing.assert_allclose(by_base[..., 7], last[..., 2] / 6, atol=1e-6)
    np.testing.assert_allclose(by_base.sum(-1), last[..., 1:5].sum(-1), atol=1e-6)


def test_a_head_over_the_mean_is_read_everywhere(tiny_tokenizer: DNAGPTTokenizer) -> None:
    model = classifier(num_labels=2, classifier_pooling="mean")
    one = record(dna(20, 1))
    found = attention_maps(model, tiny_tokenizer, one, layers=[2], queries="answer").in_bases()
    mean = attention_maps(model, tiny_tokenizer, one, layers=[2]).weights.mean(2)
    np.testing.assert_allclose(found[..., 7], mean[..., 1] / 6, atol=1e-6)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-6)


def test_a_decoder_without_a_head_has_maps_too(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    decoder: DNAGPTModel = model.model
    found = attention_maps(decoder, tiny_tokenizer, record(dna(20, 1)), template=CLASS)
    expected = attention_maps(model, tiny_tokenizer, record(dna(20, 1)), template=CLASS)
    np.testing.assert_array_equal(found.weights, expected.weights)
