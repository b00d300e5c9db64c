"""Haplotypes drawn token by token, a batch at a time.

A sequence with a token that is neither an allele nor the stop symbol is rejected, whichever it is.
So all such tokens are drawn as one, whose probability is the sum of theirs, and which changes
nothing in the sequences that are kept. Alleles are drawn first, with the few rows of the output
projection that belong to them; the total of the thousands of other tokens is computed afterwards,
for many positions at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dnagpt_hf.generation.decoding import CachedDecoder
from dnagpt_hf.generation.sampling import Sampling, gumbel_noise
from dnagpt_hf.haplotypes.codec import HaplotypeCodec, Ids
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask

# positions that are drawn before the total of the other tokens is computed
_BLOCK = 32
# scores of other tokens in memory at a time: 4 MB, which fit into a cache
_SCORES = 2**20

# position, input of the projection `(rows, hidden)`, score with noise of the drawn token `(rows,)`
Drawn = tuple[int, torch.Tensor, torch.Tensor]


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
        kmer_size = codec.kmer_size
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


class HaplotypeSampler:
    """Draws the tokens after prompts, up to the last site.

    Args:
        model: a model that was trained on haplotypes, in evaluation mode.
        codec: notation of haplotypes.
        sampling: temperature and filters.
        constrained: draw only alleles, and the stop symbol after them.
    """

    def __init__(
        self,
        model: DNAGPTForMultiTask,
        codec: HaplotypeCodec,
        sampling: Sampling,
        constrained: bool,
    ) -> None:
        self.model, self.codec, self.constrained = model, codec, constrained
        self.temperature, self.filters = sampling.temperature, sampling.filters()
        self.head = model.token_head
        self.device = model.device
        self.decoder: CachedDecoder | None = None
        # the id of all other tokens together: no token has it, so that its noise is its own
        self.other = int(model.config.number_token_id)

    @torch.inference_mode()
    def draw(self, prompts: Prompts, genomes: NDArray[np.int64], keys: torch.Tensor) -> Ids:
        """Draw whole sequences.

        Args:
            prompts: prompts of all genomes.
            genomes: the genomes to draw, `(rows,)`.
            keys: keys of their random streams, `(rows,)`.

        Returns:
            Ids `(rows, codec.length)`; the padding token stands for all others that are no alleles.
        """
        distinct, which = np.unique(prompts.which[genomes], return_inverse=True)
        ids, rows = torch.from_numpy(prompts.ids[distinct]), torch.from_numpy(which)
        begun = torch.from_numpy(prompts.begun[distinct][which]).long().to(self.device)
        keys, given = keys.to(self.device), ids.shape[1]
        decoder = self._decoder(len(genomes))
        states = decoder.read(ids, rows)
        sequences = torch.full((len(genomes), self.codec.length), self.codec.stop_id)
        sequences[:, :given] = ids[rows]
        sequences = sequences.to(self.device)
        last = self.codec.length - 1 - self.constrained
        pending: list[Drawn] = []
        for position in range(given, last + 1):
            states = self.head.transform(states) / self.temperature
            scores, candidates = self._scores(
                states, position, begun if position == given else None
            )
            best, index = (scores + gumbel_noise(keys, position - given, candidates)).max(-1)
            sequences[:, position] = candidates[index]
            if not self.constrained:
                pending.append((position, states, best))
                if len(pending) == _BLOCK or position == last:
                    self._draw_others(sequences, pending, keys, given)
                    pending.clear()
                    if self._is_hopeless(sequences[:, given : position + 1]):
                        break
            if position < last:
                states = decoder.step(sequences[:, position])
        pad = self.codec.tokenizer.pad_token_id
        return sequences.masked_fill(sequences == self.other, pad).cpu().numpy()

    def _decoder(self, rows: int) -> CachedDecoder:
        if self.decoder is None or self.decoder.rows != rows:
            # the cache of the old decoder is freed before another is allocated
            self.decoder = None
            # the stop symbol is drawn, but not read
            self.decoder = CachedDecoder(self.model, rows, self.codec.length - 1)
        return self.decoder

    def _is_hopeless(self, drawn: torch.Tensor) -> bool:
        """Check whether every row will be rejected already."""
        is_end = drawn.shape[1] == self.codec.length
        alleles = drawn[:, :-1] if is_end else drawn
        return bool(((alleles == self.other) | (alleles == self.codec.stop_id)).any(-1).all())

    def _allowed(self, position: int) -> torch.Tensor:
        """List the ids of a haplotype at a position, alleles in the order of the codec."""
        codec = self.codec
        if position == codec.length - 1:
            ids = np.asarray([codec.stop_id])
        elif position < codec.start:
            ids = np.asarray(
                [codec.prompt(population)[position] for population in codec.populations]
            )
        else:
            ids = codec.allele_ids(position - codec.start)
        return torch.from_numpy(ids).to(self.device)

    def _named(self, position: int) -> torch.Tensor:
        """List these ids and, where any token may be drawn, the stop symbol after them."""
        allowed = self._allowed(position)
        if self.constrained or position == self.codec.length - 1:
            return allowed
        return torch.cat([allowed, allowed.new_tensor([self.codec.stop_id])])

    def _scores(
        self, states: torch.Tensor, position: int, begun: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute scores `(rows, candidates)` and list the candidates' ids.

        Args:
            states: input of the projection, divided by the temperature, `(rows, hidden)`.
            position: position of the token.
            begun: known alleles at the start of the token, `(rows, alleles)`.
        """
        named = self._named(position)
        if self.constrained or not self.filters:
            scores = self._products(states, named)
            return self._filtered(self._beginning(scores, position, begun)), named
        # filters depend on the scores of all tokens
        scores = torch.full((len(states), self.model.config.num_tokens), -torch.inf)
        scores = scores.to(self.device)
        scores[:, : self.other] = self._products(states, slice(self.other))
        scores[:, named] = self._beginning(scores[:, named], position, begun)
        scores = self._filtered(scores)
        kept = scores[:, named]
        scores[:, self.other] = scores.index_fill_(1, named, -torch.inf).logsumexp(-1)
        candidates = torch.cat([named, named.new_tensor([self.other])])
        return torch.cat([kept, scores[:, self.other, None]], -1), candidates

    def _products(self, states: torch.Tensor, ids: torch.Tensor | slice) -> torch.Tensor:
        """Apply the rows of some ids of the output projection."""
        return nn.functional.linear(states, self.head.out_proj.weight[ids]).float()

    def _beginning(
        self, scores: torch.Tensor, position: int, begun: torch.Tensor | None
    ) -> torch.Tensor:
        """Rule out k-mers that start with other alleles than the known ones."""
        if begun is None or not begun.shape[1]:
            return scores
        number = len(self._allowed(position))
        bits = torch.arange(number.bit_length() - 2, -1, -1, device=self.device)
        # (k-mers, alleles)
        alleles = (torch.arange(number, device=self.device)[:, None] >> bits) & 1
        differs = (alleles[:, : begun.shape[1]] != begun[:, None]).any(-1)
        differs = nn.functional.pad(differs, (0, scores.shape[1] - number))
        return scores.masked_fill(differs, -torch.inf)

    def _filtered(self, scores: torch.Tensor) -> torch.Tensor:
        for leave_out in self.filters:
            # no filter reads the ids
            scores = leave_out(None, scores)
        return scores

    def _draw_others(
        self, sequences: torch.Tensor, drawn: list[Drawn], keys: torch.Tensor, given: int
    ) -> None:
        """Write the id of all other tokens where one of them would have been drawn.

        Args:
            sequences: tokens that were drawn without them, `(rows, length)`.
            drawn: position, states and best score of each position.
            keys: keys of the rows' random streams.
            given: position of the first token that was drawn.
        """
        if self.filters:
            return
        for ids, group in groupby(drawn, key=lambda one: self._named(one[0]).tolist()):
            same, named = list(group), torch.tensor(ids, device=self.device)
            totals = self._others(torch.cat([states for _, states, _ in same]), named)
            other = named.new_tensor([self.other])
            for (position, _, best), total in zip(same, totals.split(len(keys)), strict=True):
                noise = gumbel_noise(keys, position - given, other)[:, 0]
                sequences[:, position].masked_fill_(total + noise > best, self.other)

    def _others(self, states: torch.Tensor, named: torch.Tensor) -> torch.Tensor:
        """Compute the joint score of all tokens but the named ones: `(states,)`."""
        is_other = torch.ones(self.other, dtype=torch.bool, device=self.device)
        is_other[named] = False
        weight = self.head.out_proj.weight[: self.other][is_other]
        total = torch.full((len(states),), -torch.inf, device=self.device)
        for part in weight.split(max(1, _SCORES // len(states))):
            scores = nn.functional.linear(states, part).float()
            total = torch.logaddexp(total, scores.logsumexp(-1))
        return total
