"""The lean decoding loop against the model itself."""

from __future__ import annotations

import pytest
import torch

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
from dnagpt_hf.generation.decoding import CachedDecoder


@pytest.fixture(autouse=True)
def large_weights(tiny_model: DNAGPTForMultiTask) -> None:
    """Weights with which attention and positions matter."""
    with torch.no_grad():
        for weight in tiny_model.parameters():
            if weight.ndim == 2:
                weight.mul_(8)


def random_ids(rows: int, length: int) -> torch.Tensor:
    return torch.randint(34, 19000, (rows, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("static", [False, True], ids=["as needed", "shapes of a graph"])
def test_states_are_those_of_the_model(tiny_model: DNAGPTForMultiTask, static: bool) -> None:
    ids = random_ids(4, 40)
    ids[2:, :7] = ids[:2, :7]
    with torch.inference_mode():
        expected = tiny_model.model(ids).last_hidden_state
    decoder = CachedDecoder(tiny_model, 4, 40, static=static)
    # two prompts, each of which two rows go on from; the second time the memory is not empty
    for _ in range(2):
        states = decoder.read(ids[:2, :7], torch.tensor([0, 1, 0, 1]))
        torch.testing.assert_close(states, expected[:, 6], atol=1e-4, rtol=1e-4)
        for place in range(7, 40):
            states = decoder.step(ids[:, place])
            torch.testing.assert_close(states, expected[:, place], atol=1e-4, rtol=1e-4)


def test_greedy_tokens_are_those_of_generate(
    tiny_model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    prompts = random_ids(3, 5)
    expected = tiny_model.generate(
        prompts,
        attention_mask=torch.ones_like(prompts),
        max_new_tokens=20,
        do_sample=False,
        suppress_tokens=[tiny_tokenizer.get_vocab()["<M>"]],
    )
    decoder = CachedDecoder(tiny_model, 3, 25)
    states, drawn = decoder.read(prompts, torch.arange(3)), []
    for _ in range(20):
        with torch.inference_mode():
            scores = tiny_model.token_head(states)
            scores[:, tiny_tokenizer.get_vocab()["<M>"]] = -torch.inf
        drawn.append(scores.argmax(-1))
        states = decoder.step(drawn[-1])
    assert torch.stack(drawn, 1).tolist() == expected[:, 5:].tolist()


def test_half_precision(tiny_model: DNAGPTForMultiTask) -> None:
    ids = random_ids(2, 12)
    model = tiny_model.bfloat16()
    decoder = CachedDecoder(model, 2, 12)
    decoder.read(ids[:, :1], torch.arange(2))
    for place in range(1, 12):
        states = decoder.step(ids[:, place])
    with torch.inference_mode():
        expected = model.model(ids).last_hidden_state[:, -1]
    assert states.dtype == torch.bfloat16
    assert (states - expected).abs().mean() < 0.1


def test_too_many_tokens(tiny_model: DNAGPTForMultiTask) -> None:
    with pytest.raises(ValueError, match="rows of 65 tokens exceed the model's 64 positions"):
        CachedDecoder(tiny_model, 2, 65)
    decoder = CachedDecoder(tiny_model, 1, 2)
    decoder.read(torch.tensor([[21]]), torch.tensor([0]))
    decoder.step(torch.tensor([40]))
    with pytest.raises(ValueError, match="all 2 positions are taken"):
        decoder.step(torch.tensor([40]))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_graphs_of_cuda(tiny_model: DNAGPTForMultiTask) -> None:
    ids, model = random_ids(4, 40).cuda(), tiny_model.cuda()
    with torch.inference_mode():
        expected = model.model(ids).last_hidden_state
    decoder = CachedDecoder(model, 4, 40)
    decoder.read(ids[:, :1], torch.arange(4))
    for place in range(1, 40):
        states = decoder.step(ids[:, place])
        torch.testing.assert_close(states, expected[:, place], atol=1e-3, rtol=1e-3)
    assert decoder.graphs
