"""Embeddings of records and of their tokens."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
import torch

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTModel, DNAGPTTokenizer
from dnagpt_hf.inference.embedding import embed_records
from dnagpt_hf.records.files import RecordError
from dnagpt_hf.records.reading import Record


def records(count: int = 20) -> list[Record]:
    draw = random.Random(0)
    sequences = ["".join(draw.choices("ACGT", k=draw.randrange(1, 300))) for _ in range(count)]
    return [
        Record({"sequence": sequence}, f"r{number}", "a.fa", number, 2 * number - 1)
        for number, sequence in enumerate(sequences, start=1)
    ]


@pytest.fixture
def model(tiny_model: DNAGPTForMultiTask) -> DNAGPTModel:
    with torch.no_grad():
        for weight in tiny_model.parameters():
            if weight.ndim == 2:
                weight.mul_(10)
    return tiny_model.model


def reference(model: DNAGPTModel, inputs: Any, pooling: str, layer: int) -> np.ndarray[Any, Any]:
    """What an unpadded call gives, written down plainly."""
    with torch.no_grad():
        states = model(**inputs, output_hidden_states=True).hidden_states
    vectors = states[layer][0].numpy()
    return {"mean": vectors.mean(0), "last": vectors[-1], "token": vectors}[pooling]


@pytest.mark.parametrize("pooling", ["mean", "last", "token"])
@pytest.mark.parametrize("layer", [0, 1, 2, -1, -3])
def test_a_row_is_the_record_alone(
    model: DNAGPTModel, tiny_tokenizer: DNAGPTTokenizer, pooling: Any, layer: int
) -> None:
    found = list(
        embed_records(
            model,
            tiny_tokenizer,
            records(),
            template="<R>{sequence}",
            pooling=pooling,
            layer=layer,
            max_records=6,
        )
    )
    assert [embedding.record.name for embedding in found] == [one.name for one in records()]
    for one, embedding in zip(records(), found, strict=True):
        inputs = tiny_tokenizer(f"<R>{one.values['sequence']}", return_tensors="pt")
        wanted = reference(model, inputs, pooling, layer)
        np.testing.assert_allclose(embedding.vectors, wanted, atol=1e-5, rtol=1e-5)
        assert embedding.vectors.dtype == np.float32
        assert embedding.input_ids.tolist() == inputs["input_ids"][0].tolist()


def test_padding_never_contributes(model: DNAGPTModel, tiny_tokenizer: DNAGPTTokenizer) -> None:
    """Whatever the embedding of the padding token holds."""
    before = [embedding.vectors for embedding in embed_records(model, tiny_tokenizer, records())]
    with torch.no_grad():
        model.embed_tokens.weight[tiny_tokenizer.pad_token_id] = math.nan
    after = [embedding.vectors for embedding in embed_records(model, tiny_tokenizer, records())]
    np.testing.assert_array_equal(before, after)


def test_numbers_are_embedded(model: DNAGPTModel, tiny_tokenizer: DNAGPTTokenizer) -> None:
    def vector(value: str) -> np.ndarray[Any, Any]:
        one = Record({"sequence": "ACGT", "x": value}, "a", "a.csv", 1, 2)
        template = "{sequence}<+><M>{x}"
        (embedding,) = embed_records(model, tiny_tokenizer, [one], template=template)
        return embedding.vectors

    np.testing.assert_array_equal(vector("0.5"), vector("5e-1"))
    assert np.abs(vector("0.5") - vector("-0.5")).max() > 1e-3


@pytest.mark.parametrize("layer", [3, -4])
def test_layers_that_do_not_exist(
    model: DNAGPTModel, tiny_tokenizer: DNAGPTTokenizer, layer: int
) -> None:
    with pytest.raises(ValueError, match=rf"layer {layer} does not exist: the model has 2"):
        list(embed_records(model, tiny_tokenizer, records(), layer=layer))


def test_unknown_pooling(model: DNAGPTModel, tiny_tokenizer: DNAGPTTokenizer) -> None:
    with pytest.raises(ValueError, match="unknown pooling 'sum': choose mean, last, max, token"):
        list(embed_records(model, tiny_tokenizer, records(), pooling="sum"))  # type: ignore


def test_too_long_and_truncated(model: DNAGPTModel, tiny_tokenizer: DNAGPTTokenizer) -> None:
    long = Record({"sequence": "ACGTCA" * 65}, "long", "a.fa", 1, 1)
    with pytest.raises(RecordError, match=r"a\.fa, record long \(line 1\): 65 tokens"):
        list(embed_records(model, tiny_tokenizer, [long]))
    cut = Record({"sequence": "ACGTCA" * 64}, "cut", "a.fa", 1, 1)
    (whole,) = embed_records(model, tiny_tokenizer, [cut])
    (truncated,) = embed_records(model, tiny_tokenizer, [long], truncation="right")
    np.testing.assert_array_equal(whole.vectors, truncated.vectors)


def test_an_embedding_that_is_not_finite_is_an_error(
    model: DNAGPTModel, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    with torch.no_grad():
        model.norm.weight.fill_(math.inf)
    with pytest.raises(RecordError, match=r"record r1 .*output is not finite"):
        list(embed_records(model, tiny_tokenizer, records(2)))
