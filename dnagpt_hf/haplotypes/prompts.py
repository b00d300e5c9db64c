"""Prompts of genomes: the population and the alleles of the first sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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

        Raises:
            HaplotypeError: a population is not known, or `known` lacks the population before it.
        """
        if populations is None and codec.populations and known is None:
            first = codec.prompt(next(iter(codec.populations)))[:-1]
            return cls(np.asarray([first]), np.zeros((1, 0), np.uint8), np.zeros(number, np.int64))
        known = np.zeros((1, 0), np.uint8) if known is None else known
        kmer_size = int(codec.tokenizer.kmer_size)
        whole = known.shape[1] // kmer_size
        filled = np.zeros((len(known), codec.num_sites), np.uint8)
        filled[:, : known.shape[1]] = known
        # every row of known alleles after every population
        names: Any = [None]
        head = np.zeros(number, np.int64)
        if populations is not None:
            names, head = np.unique(populations, return_inverse=True)
        ids = [codec.encode(filled, name and [str(name)] * len(known)) for name in names]
        begun = np.tile(known[:, whole * kmer_size :], (len(names), 1))
        which = head * len(known) + np.arange(number) % len(known)
        return cls(np.concatenate(ids)[:, : codec.start + whole], begun, which)
