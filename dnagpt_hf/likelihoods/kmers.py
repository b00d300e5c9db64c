"""A model as a sequence of distributions over k-mers, and of conditionals of their bases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import Cache

from dnagpt_hf.genomes.bases import Bases
from dnagpt_hf.inference.shared_prefix import shared_prefix
from dnagpt_hf.likelihoods.settings import Normalization
from dnagpt_hf.likelihoods.strands import BASES, BEHIND_THE_END, Array, digits_of
from dnagpt_hf.modeling_dnagpt import CACHE_NAME, DNAGPTForMultiTask
from dnagpt_hf.records.species import species_token_id
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

# scores of k-mers that are in memory at a time
_SCORES = 1 << 22


class KmerModel:
    """A model that reads k-mers and gives the distribution of the next one.

    Only the rows of the last map that belong to k-mers of A, C, G and T are computed, in float32 or
    in the model's type if that is more precise.

    Args:
        model: the model, in evaluation mode.
        tokenizer: its tokenizer.
        species: name of the species token in front, such as `"R"`. Without one the first k-mer has
            no distribution.
        normalize: the 4^k k-mers of A, C, G and T have the whole probability (`"acgt"`), or all
            tokens of the `"vocabulary"`.

    Attributes:
        kmer_size: bases of a k-mer, k.
        first: the first k-mer that has a distribution: 0 behind a species token, else 1.
        max_kmers: most k-mers of a window.

    Raises:
        ValueError: the model has no token head, or there is no such species token.
    """

    def __init__(
        self,
        model: DNAGPTForMultiTask,
        tokenizer: DNAGPTTokenizer,
        *,
        species: str | None = None,
        normalize: Normalization = "acgt",
    ) -> None:
        if not isinstance(model, DNAGPTForMultiTask):
            raise ValueError(
                f"a {type(model).__name__} gives tokens no probability: load the checkpoint of a "
                "language model, a DNAGPTForMultiTask"
            )
        self.model = model
        self.tokenizer = tokenizer
        self.kmer_size = tokenizer.kmer_size
        self.species_ids = [] if species is None else [species_token_id(species)]
        self.first = 1 - len(self.species_ids)
        self.max_kmers = model.config.max_position_embeddings
        ids = tokenizer.encode_dna(_all_kmers(self.kmer_size))
        weight = model.token_head.out_proj.weight.detach()
        dtype = torch.promote_types(weight.dtype, torch.float32)
        # (4^k, hidden)
        self._kmers = weight[torch.from_numpy(ids).long()].to(dtype)
        self._others: torch.Tensor | None = None
        if normalize == "vocabulary":
            is_other = np.ones(model.config.num_tokens, bool)
            is_other[ids] = False
            # the position of a number is no token
            is_other[model.config.number_token_id] = False
            self._others = weight[torch.from_numpy(is_other.nonzero()[0])].to(dtype)

    @torch.inference_mode()
    def read(self, kmers: Bases, *, use_cache: bool = False) -> tuple[torch.Tensor, Any]:
        """Read rows of k-mers.

        Args:
            kmers: uint8 `(rows, count, k)`. Letters behind the end of a strand stand on the right,
                where they reach no state before them.
            use_cache: return keys and values too.

        Returns:
            The states `(rows, count - first, hidden)` that predict the k-mers from `first` on, and
            the cache of all that was read.
        """
        ids = self._token_ids(kmers[:, :-1])
        front = ids.new_tensor(self.species_ids).expand(len(ids), -1)
        ids = torch.cat([front, ids], dim=1)
        if not ids.shape[1]:
            return ids.new_empty(len(ids), 0, self.model.config.hidden_size), None
        outputs = self.model.model(input_ids=ids, use_cache=use_cache)
        states = _finite(outputs.last_hidden_state)
        return states, outputs[CACHE_NAME] if use_cache else None

    @torch.inference_mode()
    def read_behind(self, cache: Any, kmers: Bases, places: Array) -> torch.Tensor:
        """Read rows of k-mers that continue rows read before, each from a place of its own.

        Args:
            cache: keys and values of `read`, of some rows.
            kmers: uint8 `(times * rows, count, k)`; row i continues row `i % rows`.
            places: `(times * rows,)`: number of k-mers of the row read before that each one sees.

        Returns:
            `(times * rows, count, hidden)`: the states that predict the k-mer behind each one.
        """
        ids = self._token_ids(kmers)
        past, count = cache.get_seq_length(), ids.shape[1]
        # (times * rows, 1): tokens before the first one
        before = torch.from_numpy(places).to(ids.device)[:, None] + len(self.species_ids)
        positions = before + torch.arange(count, device=ids.device)
        # (times * rows, 1, count, past + count)
        is_seen = torch.cat(
            [
                (torch.arange(past, device=ids.device) < before)[:, None].expand(-1, count, -1),
                torch.ones(count, count, dtype=torch.bool, device=ids.device)
                .tril()
                .expand(len(ids), -1, -1),
            ],
            dim=-1,
        )[:, None]
        dtype = self.model.dtype
        mask = torch.zeros(is_seen.shape, dtype=dtype, device=ids.device)
        mask.masked_fill_(~is_seen, torch.finfo(dtype).min)
        outputs = self.model.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            use_cache=True,
            **{CACHE_NAME: Cache(layers=shared_prefix(cache))},
        )
        return _finite(outputs.last_hidden_state)

    def base_log_probabilities(self, states: torch.Tensor, kmers: Bases) -> Array:
        """Compute log p(base | all before it) for each of the four bases at each place of k-mers.

        Args:
            states: `(rows, count, hidden)`, which predict the k-mers.
            kmers: uint8 `(rows, count, k)`.

        Returns:
            float64 `(rows, count, k, 4)` in nats, bases in the order A, C, G, T. NaN in k-mers with
            N and behind the end of a strand; the bases before the end have their marginal over all
            k-mers that begin with them.
        """
        digits = torch.from_numpy(digits_of(kmers)).to(states.device)
        found = self._in_chunks(_conditionals, states, digits)
        # the end of a strand cuts a k-mer, N makes it context
        is_cut = kmers == BEHIND_THE_END
        is_missing = is_cut | ((digits_of(kmers) < 0) & ~is_cut).any(-1, keepdims=True)
        found[is_missing] = np.nan
        return found

    def kmer_log_probabilities(self, states: torch.Tensor, kmers: Bases) -> Array:
        """Compute the log-probability of k-mers in nats.

        Args:
            states: `(rows, count, hidden)`, which predict the k-mers.
            kmers: uint8 `(rows, count, k)`.

        Returns:
            float64 `(rows, count)`; NaN for k-mers with N or behind the end.
        """
        digits = digits_of(kmers)
        powers = len(BASES) ** np.arange(self.kmer_size)[::-1]
        codes = torch.from_numpy((digits.clip(0) * powers).sum(-1)).to(states.device)
        found = self._in_chunks(lambda one, code: one.gather(-1, code), states, codes[..., None])
        found = found[..., 0]
        found[(digits < 0).any(-1)] = np.nan
        return found

    @torch.inference_mode()
    def segment_log_probabilities(self, state: torch.Tensor, bases: Bases) -> Array:
        """Compute log p for the bases of a shorter k-mer, with which a segment of DNA ends.

        They add up to the log-probability of its token among all k-mers of A, C, G and T, the
        shorter ones included, or in the whole vocabulary.

        Args:
            state: `(hidden,)`, which predicts the token.
            bases: uint8 `(bases,)`, fewer than k.

        Returns:
            float64 `(bases, 4)` in nats; NaN if there is an N among the bases.
        """
        digits = digits_of(bases)
        if (digits < 0).any():
            return np.full((len(bases), 4), np.nan)
        dtype = self._kmers.dtype
        head = self.model.token_head
        scores = head.out_proj.weight.to(dtype) @ head.transform(state).to(dtype)
        ids = [self._short_ids(length) for length in range(1, self.kmer_size + 1)]
        others = np.concatenate(ids)
        if self._others is not None:
            is_token = np.arange(self.model.config.num_tokens)
            others = is_token[is_token != self.model.config.number_token_id]
        log_kmers = scores[ids[len(bases) - 1]] - scores[others].logsumexp(0)
        known = torch.from_numpy(digits).to(state.device)
        values: Array = _conditionals(log_kmers[None], known[None])[0].cpu().double().numpy()
        return values

    def _short_ids(self, length: int) -> Array:
        """Look up the ids of the k-mers of A, C, G and T of a length, in alphabetical order."""
        kmers = _all_kmers(length).reshape(-1, length).tobytes().decode()
        texts = [kmers[start : start + length] for start in range(0, len(kmers), length)]
        ids: Array = np.array(self.tokenizer.convert_tokens_to_ids(texts))
        return ids

    @torch.inference_mode()
    def _in_chunks(
        self,
        function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        states: torch.Tensor,
        digits: torch.Tensor,
    ) -> Array:
        """Apply a function to the log-probabilities of all k-mers, `(states, 4^k)`, and digits."""
        size = max(1, _SCORES // len(self._kmers))
        flat, known = states.flatten(0, 1), digits.flatten(0, 1)
        found = [
            function(self._distributions(flat[start : start + size]), known[start : start + size])
            for start in range(0, len(flat), size)
        ]
        whole = torch.cat(found).unflatten(0, states.shape[:2])
        values: Array = whole.cpu().double().numpy()
        return values

    def _distributions(self, states: torch.Tensor) -> torch.Tensor:
        """Compute the log-probabilities of all k-mers of A, C, G and T, `(states, 4^k)`."""
        read = self.model.token_head.transform(states).to(self._kmers.dtype)
        scores = read @ self._kmers.t()
        total = scores.logsumexp(-1, keepdim=True)
        if self._others is not None:
            others = (read @ self._others.t()).logsumexp(-1, keepdim=True)
            total = torch.logaddexp(total, others)
        return scores - total

    def _token_ids(self, kmers: Bases) -> torch.Tensor:
        letters = np.where(kmers == BEHIND_THE_END, ord("N"), kmers).astype(np.uint8)
        ids = self.tokenizer.encode_dna(letters.ravel()).reshape(kmers.shape[:2])
        return torch.from_numpy(ids).long().to(self.model.device)


def _conditionals(log_kmers: torch.Tensor, digits: torch.Tensor) -> torch.Tensor:
    """Split the log-probabilities of k-mers into those of one base after the other.

    Args:
        log_kmers: `(states, 4^k)`, in alphabetical order.
        digits: `(states, k)`, the bases of the k-mer that follows.

    Returns:
        `(states, k, 4)`.
    """
    found = []
    # log-probability of the bases so far, and of the k-mers that agree with them
    known: Any = 0.0
    agreeing = log_kmers
    for digit in digits.clamp(min=0).unbind(-1):
        # (states, 4, k-mers that agree with one base more)
        by_base = agreeing.unflatten(-1, (len(BASES), -1))
        options = by_base.logsumexp(-1)
        found.append(options - known)
        known = options.gather(-1, digit[:, None])
        agreeing = by_base[torch.arange(len(digit), device=digit.device), digit]
    return torch.stack(found, dim=1)


def _all_kmers(kmer_size: int) -> Bases:
    """Write all k-mers of A, C, G and T in alphabetical order, one behind the other."""
    codes = np.arange(len(BASES) ** kmer_size)[:, None]
    digits = codes // len(BASES) ** np.arange(kmer_size)[::-1] % len(BASES)
    return np.frombuffer(BASES, np.uint8)[digits].ravel()


def _finite(states: torch.Tensor) -> torch.Tensor:
    if not states.isfinite().all():
        raise ValueError(
            "the model's output is not finite: its weights are damaged, or their data type is too "
            "narrow (--dtype float32)"
        )
    return states
