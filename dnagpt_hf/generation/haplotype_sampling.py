"""Haplotypes drawn token by token, a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..data.haplotype_codec import HaplotypeCodec, Ids
from ..modeling_dnagpt import DNAGPTForMultiTask
from .decoding import CachedDecoder
from .sampling import Sampling, gumbel_noise

# steps between two looks at whether a batch is lost
_STEPS_BETWEEN_CHECKS = 32


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


class HaplotypeSampler:
    """Draws what follows prompts, up to the last site.

    Args:
        model: a model that was trained on haplotypes, in evaluation mode.
        codec: how it writes them.
        sampling: how tokens are drawn.
        constrained: whether nothing but alleles is drawn, and the stop symbol behind them.
    """

    def __init__(
        self,
        model: DNAGPTForMultiTask,
        codec: HaplotypeCodec,
        sampling: Sampling,
        constrained: bool,
    ) -> None:
        self.model, self.codec, self.constrained = model, codec, constrained
        self.head = model.token_head
        self.warpers = sampling.warpers()
        self.device = model.device
        self.decoder: CachedDecoder | None = None
        # an id that stands for every token that is neither an allele nor the stop symbol, as what
        # it is does not matter: a sequence with one of them is thrown away. It is no token itself,
        # so that its noise is that of no other.
        self.other = int(model.config.number_token_id)

    @torch.inference_mode()
    def draw(self, prompts: Prompts, genomes: NDArray[np.int64], keys: torch.Tensor) -> Ids:
        """Whole sequences.

        Args:
            prompts: of all genomes.
            genomes: the genomes to draw, `(rows,)`.
            keys: of their random streams, `(rows,)`.

        Returns:
            Ids `(rows, codec.length)`; the padding token stands for any other that is no allele.
        """
        distinct, which = np.unique(prompts.which[genomes], return_inverse=True)
        ids = torch.from_numpy(prompts.ids[distinct])
        begun = torch.from_numpy(prompts.begun[distinct][which]).long().to(self.device)
        rows, given = torch.from_numpy(which), ids.shape[1]
        keys = keys.to(self.device)
        # the stop symbol is drawn, but not read
        decoder = self._decoder(len(genomes))
        states = decoder.read(ids, rows)
        sequences = torch.empty(
            len(genomes), self.codec.length, dtype=torch.long, device=self.device
        )
        sequences[:, :given] = ids.to(self.device)[rows.to(self.device)]
        lost = torch.zeros(len(genomes), dtype=torch.bool, device=self.device)
        end = self.codec.length - 1 if self.constrained else self.codec.length
        for place in range(given, end):
            allowed = self._allowed(place)
            scores, candidates = self._scores(states, allowed, begun if place == given else None)
            noise = gumbel_noise(keys, place - given, candidates)
            drawn = candidates[(scores + noise).argmax(-1)]
            sequences[:, place] = drawn
            if place == end - 1:
                break
            if not self.constrained:
                lost |= (drawn == self.other) | (drawn == self.codec.stop_id)
                drawn = drawn.masked_fill(lost, self.codec.stop_id)
                if place % _STEPS_BETWEEN_CHECKS == 0 and bool(lost.all()):
                    break
            states = decoder.step(drawn)
        sequences[:, place + 1 :] = self.codec.stop_id
        pad = self.codec.tokenizer.pad_token_id
        return sequences.masked_fill(sequences == self.other, pad).cpu().numpy()

    def _decoder(self, rows: int) -> CachedDecoder:
        if self.decoder is None or self.decoder.rows != rows:
            # the memory of one is given back before another takes some
            self.decoder = None
            self.decoder = CachedDecoder(self.model, rows, self.codec.length - 1)
        return self.decoder

    def _allowed(self, place: int) -> torch.Tensor:
        """Ids that a valid sequence may have at a place, in the order of the alleles."""
        codec = self.codec
        if place == codec.length - 1:
            ids = np.asarray([codec.stop_id])
        elif place < codec.start:
            ids = np.asarray([codec.prompt(population)[place] for population in codec.populations])
        else:
            ids = codec.allele_ids(place - codec.start)
        return torch.from_numpy(ids).to(self.device)

    def _scores(
        self, states: torch.Tensor, allowed: torch.Tensor, begun: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores `(rows, candidates)` and the candidates' ids."""
        if self.constrained:
            # the rows of the last map that belong to these tokens, instead of all
            weight = self.head.out_proj.weight[allowed]
            scores = nn.functional.linear(self.head.transform(states), weight).float()
            scores = self._without_others(scores, begun, torch.arange(len(allowed)))
            return self._warped(scores), allowed
        scores = self._without_others(self.head(states).float(), begun, allowed)
        scores = self._warped(scores)
        if allowed[0] != self.codec.stop_id:
            allowed = torch.cat([allowed, allowed.new_tensor([self.codec.stop_id])])
        # one draw among all other tokens together has the probability of their sum
        others = scores.index_fill(1, allowed, -torch.inf).logsumexp(-1, keepdim=True)
        scores = torch.cat([scores[:, allowed], others], dim=-1)
        return scores, torch.cat([allowed, allowed.new_tensor([self.other])])

    def _without_others(
        self, scores: torch.Tensor, begun: torch.Tensor | None, columns: torch.Tensor
    ) -> torch.Tensor:
        """Scores in which tokens that begin with other alleles than known are ruled out."""
        if begun is None or not begun.shape[1]:
            return scores
        bits = len(columns).bit_length() - 1
        # (tokens, alleles), as `allele_ids` orders them
        alleles = torch.arange(len(columns), device=self.device)[:, None] >> torch.arange(
            bits - 1, -1, -1, device=self.device
        )
        differs = ((alleles & 1)[:, : begun.shape[1]] != begun[:, None]).any(-1)
        ruled_out = torch.zeros_like(scores, dtype=torch.bool)
        ruled_out[:, columns.to(self.device)] = differs
        return scores.masked_fill(ruled_out, -torch.inf)

    def _warped(self, scores: torch.Tensor) -> torch.Tensor:
        for warper in self.warpers:
            # none of them looks at the ids
            scores = warper(None, scores)
        return scores
