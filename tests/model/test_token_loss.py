"""The choice of the token loss, and the kernel of liger-kernel beside the own one."""

import sys

import pytest
import torch
from transformers.utils import logging

from dnagpt_hf.token_loss import choose_token_loss, chunked_token_loss, liger_token_loss


@pytest.fixture
def with_liger(monkeypatch):
    """liger-kernel and a CUDA device seem to be there."""
    for name in ("liger_kernel", "liger_kernel.transformers"):
        monkeypatch.setitem(sys.modules, name, type(sys)(name))
    functional = type(sys)("liger_kernel.transformers.functional")
    monkeypatch.setitem(sys.modules, functional.__name__, functional)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    return functional


def test_each_name_chooses_a_function(tiny_model, with_liger):
    assert choose_token_loss(tiny_model.config, "liger") is liger_token_loss
    assert choose_token_loss(tiny_model.config) is chunked_token_loss
    with pytest.raises(ValueError, match=r"token loss 'fast': choose one of auto, chunked, liger"):
        choose_token_loss(tiny_model.config, "fast")


def test_liger_needs_its_library(tiny_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "liger_kernel", None)
    with pytest.raises(ImportError, match="needs liger-kernel: pip install liger-kernel"):
        choose_token_loss(tiny_model.config, "liger")


def test_liger_needs_cuda(tiny_model, with_liger, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="needs a CUDA device: choose 'chunked'"):
        choose_token_loss(tiny_model.config, "liger")


def test_a_vocabulary_with_tokens_behind_the_number_is_chunked(tiny_model, with_liger, caplog):
    tiny_model.resize_token_embeddings(tiny_model.config.num_tokens + 3)
    logger = logging.get_logger("dnagpt_hf.token_loss")
    logger.addHandler(caplog.handler)
    assert choose_token_loss(tiny_model.config, "liger") is chunked_token_loss
    logger.removeHandler(caplog.handler)
    assert "the number position 19,564 is not the last of 19,568 tokens" in caplog.text


def test_rows_that_are_no_tokens_do_not_reach_the_kernel(tiny_model, with_liger):
    seen = {}

    def kernel(hidden_states, weight, targets, **options):
        seen.update(options, rows=len(weight), dtype=hidden_states.dtype)
        scores = (hidden_states @ weight.t()).float()
        return torch.nn.functional.cross_entropy(scores, targets, reduction="none")

    with_liger.liger_fused_linear_cross_entropy = kernel
    ids = torch.randint(34, 19000, (2, 9), generator=torch.Generator().manual_seed(0))
    labels = ids.clone()
    labels[0, 3:6] = -100
    outputs = tiny_model(ids, labels=labels, token_loss_function=liger_token_loss)
    expected = tiny_model(ids, labels=labels)
    assert seen["rows"] == tiny_model.config.number_token_id
    torch.testing.assert_close(outputs.token_loss, expected.token_loss)
    torch.testing.assert_close(outputs.token_losses, expected.token_losses)
    assert not outputs.token_losses.requires_grad
    with torch.autocast("cpu", dtype=torch.bfloat16):
        tiny_model(ids, labels=labels, token_loss_function=liger_token_loss)
    assert seen["dtype"] == torch.bfloat16


@pytest.mark.gpu
@pytest.mark.parametrize("autocast", [False, True])
def test_liger_gives_the_loss_and_the_gradients_of_the_plain_path(tiny_model, autocast):
    pytest.importorskip("liger_kernel")
    model = tiny_model.cuda()
    ids = torch.randint(34, 19000, (4, 50), device="cuda")
    labels = ids.clone()
    labels[1, 5:40] = -100

    def losses_and_gradients(**options):
        model.zero_grad()
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=autocast):
            outputs = model(ids, labels=labels, **options)
        outputs.loss.backward()
        gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        return outputs.token_losses, gradients

    expected, gradients = losses_and_gradients()
    close = {"atol": 2e-2, "rtol": 2e-2} if autocast else {"atol": 1e-4, "rtol": 1e-4}
    for function in (chunked_token_loss, liger_token_loss):
        losses, own = losses_and_gradients(token_loss_function=function)
        torch.testing.assert_close(losses, expected, **close)
        for ours, theirs in zip(own, gradients, strict=True):
            torch.testing.assert_close(ours / theirs.norm(), theirs / theirs.norm(), **close)
