"""Models run on tensors without values, by which memory and FLOPs are planned."""

from contextlib import AbstractContextManager

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTForSequenceClassification
from dnagpt_hf.modeling_dnagpt import CACHE_NAME
from dnagpt_hf.presets import preset_config
from dnagpt_hf.token_loss import chunked_token_loss

SHAPE = (2, 16)
INPUTS = ["ids", "mask", "positions", "numbers"]


def _without_values(mode: str) -> AbstractContextManager[object]:
    return FakeTensorMode() if mode == "fake" else torch.device("meta")


def _inputs(kind: str) -> dict[str, torch.Tensor]:
    inputs = {"input_ids": torch.zeros(SHAPE, dtype=torch.long)}
    if kind != "ids":
        inputs["attention_mask"] = torch.ones(SHAPE, dtype=torch.long)
    if kind == "positions":
        inputs["position_ids"] = torch.arange(SHAPE[1]).expand(SHAPE)
    if kind == "numbers":
        inputs["number_values"] = torch.zeros(SHAPE)
    return inputs


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("mode", ["fake", "meta"])
def test_step_of_training_and_of_generation(mode: str, kind: str, attention: str) -> None:
    with _without_values(mode):
        config = preset_config("dnagpt-test", attn_implementation=attention)
        model, inputs = DNAGPTForMultiTask(config), _inputs(kind)
        labels = {"labels": inputs["input_ids"], "number_labels": torch.zeros(SHAPE)}
        for function in (None, chunked_token_loss):
            loss = model.train()(**inputs, **labels, token_loss_function=function).loss
            loss.backward()
        first = model.eval()(**inputs, use_cache=True)
        cache = {CACHE_NAME: first[CACHE_NAME]}
        mask = torch.ones(SHAPE[0], SHAPE[1] + 1, dtype=torch.long)
        token = inputs["input_ids"][:, :1]
        second = model(input_ids=token, attention_mask=mask, **cache)
    assert loss.shape == ()
    assert first.logits.shape == (*SHAPE, config.vocab_size)
    assert second.logits.shape == (SHAPE[0], 1, config.vocab_size)


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("mode", ["fake", "meta"])
def test_classifier(mode: str, kind: str) -> None:
    with _without_values(mode):
        model = DNAGPTForSequenceClassification(preset_config("dnagpt-test", num_labels=3))
        output = model(**_inputs(kind), labels=torch.zeros(SHAPE[0], dtype=torch.long))
        output.loss.backward()
    assert output.logits.shape == (SHAPE[0], 3)
