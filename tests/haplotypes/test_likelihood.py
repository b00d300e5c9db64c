"""Losses of haplotypes against a plain sum over their tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from haplotype_sets import make_haplotypes

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
from dnagpt_hf.haplotypes.codec import HaplotypeCodec
from dnagpt_hf.haplotypes.format import HaplotypeFormat
from dnagpt_hf.haplotypes.likelihood import (
    haplotype_losses,
    independent_loss,
    losses_per_site,
)


@pytest.mark.parametrize("with_populations", [False, True])
def test_losses_are_those_of_the_alleles(
    tiny_model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer, with_populations: bool
) -> None:
    haplotypes = make_haplotypes(individuals=4, sites=50)
    names = haplotypes.populations.tolist() if with_populations else None
    codec = HaplotypeCodec(tiny_tokenizer, HaplotypeFormat.of_populations(50, names))
    ids = codec.encode(haplotypes.alleles, names)
    losses = haplotype_losses(tiny_model, codec, ids, batch_size=3)
    with torch.no_grad():
        logits = tiny_model(torch.from_numpy(ids)).logits.log_softmax(-1)
    for row, loss in zip(range(8), losses, strict=True):
        places = range(codec.start, codec.length - 1)
        expected = -sum(float(logits[row, place - 1, ids[row, place]]) for place in places)
        assert loss == pytest.approx(expected, rel=1e-5)


def test_losses_per_site() -> None:
    assert losses_per_site(np.log(2) * 600, 20, 10)["bits_per_site"] == pytest.approx(3)
    assert losses_per_site(600, 20, 10)["nats_per_site"] == 3


def test_independent_sites() -> None:
    training = np.asarray([[0, 1, 1], [0, 1, 0], [0, 1, 1]], np.uint8)
    test = np.asarray([[0, 1, 0], [0, 0, 0]], np.uint8)
    p = [3.5 / 4, 3.5 / 4, 1.5 / 4, 3.5 / 4, 0.5 / 4, 1.5 / 4]
    assert independent_loss(training, test) == pytest.approx(-np.log2(p).mean())
