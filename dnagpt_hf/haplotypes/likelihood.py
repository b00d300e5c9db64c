"""Likelihood of haplotypes under a model: the loss in nats and bits per site."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dnagpt_hf.haplotypes.codec import HaplotypeCodec
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask
from dnagpt_hf.token_loss import chunked_token_loss


@torch.no_grad()
def haplotype_losses(
    model: DNAGPTForMultiTask, codec: HaplotypeCodec, ids: NDArray[np.int64], batch_size: int = 32
) -> NDArray[np.float64]:
    """Compute the negative log-likelihood of the alleles of each haplotype, in nats.

    The tokens before the alleles are given; the stop symbol is not counted.

    Args:
        model: a model that was trained on haplotypes, in evaluation mode.
        codec: notation of haplotypes.
        ids: haplotypes, encoded by `codec.encode`, `(haplotypes, length)`.
        batch_size: haplotypes that are read together.

    Returns:
        `(haplotypes,)`.

    Example:

        >>> from dnagpt_hf.haplotypes.format import HaplotypeFormat
        >>> from dnagpt_hf.presets import preset_config, preset_tokenizer
        >>> model = DNAGPTForMultiTask(preset_config("dnagpt-test")).eval()
        >>> codec = HaplotypeCodec(preset_tokenizer("dnagpt-test"), HaplotypeFormat(20))
        >>> haplotype_losses(model, codec, codec.encode(np.zeros((3, 20), np.uint8))).shape
        (3,)
    """
    if codec.start < 1:
        raise ValueError("the first alleles are predicted by a prefix, but this codec has none")
    losses = np.empty(len(ids))
    # the loss of a token is at the position before it
    alleles = slice(codec.start - 1, codec.start - 1 + codec.num_tokens)
    for start in range(0, len(ids), batch_size):
        rows = slice(start, start + batch_size)
        batch = torch.from_numpy(ids[rows]).to(model.device)
        outputs: Any = model(
            input_ids=batch,
            labels=batch,
            token_loss_function=chunked_token_loss,
            use_cache=False,
        )
        losses[rows] = outputs.token_losses[:, alleles].double().sum(1).cpu().numpy()
    return losses


def losses_per_site(nats: float, haplotypes: int, num_sites: int) -> Mapping[str, float]:
    """Divide the loss of a set of haplotypes by the number of alleles.

    Args:
        nats: sum over all haplotypes.
        haplotypes: number of haplotypes.
        num_sites: alleles of each.

    Example:

        >>> losses_per_site(math.log(2) * 20, haplotypes=1, num_sites=20)["bits_per_site"]
        1.0
    """
    per_site = nats / (haplotypes * num_sites)
    return {"nats_per_site": per_site, "bits_per_site": per_site / math.log(2)}


def independent_loss(training: NDArray[np.uint8], test: NDArray[np.uint8]) -> float:
    """Compute the bits per site of independent sites with the frequencies of a training split.

    Frequencies are estimated with half a haplotype more of each allele, so that none is 0.

    Args:
        training: alleles `(haplotypes, sites)`.
        test: alleles over the same sites.

    Example:

        >>> one, both = np.ones((1, 4), np.uint8), np.array([[0] * 4, [1] * 4], np.uint8)
        >>> independent_loss(both, one)
        1.0
    """
    frequencies = (training.sum(0, dtype=np.float64) + 0.5) / (len(training) + 1)
    seen = test.mean(0, dtype=np.float64)
    return float(-(seen * np.log2(frequencies) + (1 - seen) * np.log2(1 - frequencies)).mean())
