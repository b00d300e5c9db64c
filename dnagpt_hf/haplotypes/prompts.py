"""Prompts of genomes: the population and the alleles of the first sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.haplotypes.codec import HaplotypeCodec, Ids


@dataclass(frozen=True)
class Prompts:
    """Prompts of all genomes, each stored once.

    Args:
        ids: tokens of each distinct prompt, `(prompts, tokens)`.
        begun: known alleles at the start of the next token, `(prompts, alleles)`.
        which: index of the prompt of each genome, `(genomes,)`.
    """

    ids: Ids
    begun: NDArray[np.uint8]
    which: NDArray[np.int64]

    @classmethod
    def of_known(
        cls,
        codec: HaplotypeCodec,
        number: int,
        populations: Sequence[str] | None,
        known: NDArray[np.uint8] | None,
    ) -> Prompts:
        """Make the prompts of populations and of the alleles of the first sites.

        Args:
            codec: notation of haplotypes.
            number: genomes to generate.
            populations: one for each genome; `None` if the model draws them or knows none.
            known: alleles of the first sites, which genomes continue in turn, `(rows, sites)`.
        """
        genomes = np.arange(number)
        known = np.zeros((1, 0), np.uint8) if known is None else known
        names = [] if populations is None else sorted(set(populations))
        if populations is None and codec.populations:
            first = codec.prompt(next(iter(codec.populations)))[:-1]
            return cls(np.asarray([first]), np.zeros((1, 0), np.uint8), np.zeros(number, np.int64))
        per_token = int(codec.tokenizer.kmer_size)
        whole = known.shape[1] // per_token
        filled = np.zeros((len(known), codec.num_sites), np.uint8)
        filled[:, : known.shape[1]] = known
        heads: list[list[str] | None] = [[name] * len(known) for name in names]
        heads = heads or [None]
        ids = np.concatenate([codec.encode(filled, head) for head in heads])
        head = np.zeros(number, np.int64)
        if populations is not None:
            head = np.searchsorted(names, populations)
        begun = np.tile(known[:, whole * per_token :], (len(heads), 1))
        return cls(ids[:, : codec.start + whole], begun, head * len(known) + genomes % len(known))
