"""What is given of each genome before it is generated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.haplotypes.codec import HaplotypeCodec, Ids


@dataclass(frozen=True)
class Prompts:
    """What is given of each genome.

    Args:
        ids: first tokens of each distinct prompt, `(prompts, tokens)`.
        begun: alleles that begin the next token, `(prompts, fewer than a token has)`.
        which: prompt of each genome, `(genomes,)`.
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
        """Prompts of populations and of the alleles of the first sites.

        Args:
            codec: how haplotypes are written.
            number: genomes to generate.
            populations: one for each genome; without them, a codec with populations leaves the
                population to the model.
            known: alleles `(prompts, first sites)`, which genomes continue in turn.
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
        place = np.zeros(number, np.int64)
        if populations is not None:
            place = np.searchsorted(names, populations)
        begun = np.tile(known[:, whole * per_token :], (len(heads), 1))
        return cls(ids[:, : codec.start + whole], begun, place * len(known) + genomes % len(known))
