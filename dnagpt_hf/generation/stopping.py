"""Stop tokens at exact positions, and the end of generation."""

from collections.abc import Sequence

import torch
from transformers.generation import StoppingCriteria

from dnagpt_hf.generation.constraints import Constraint, ExactBases, per_row
from dnagpt_hf.generation.vocabulary import KmerTable, token_id
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer


class StopAfterTokens(Constraint):
    """Writes a stop token behind an exact number of new tokens, not before, then padding.

    Args:
        tokenizer (`DNAGPTTokenizer`): Tokenizer of the model.
        stop_token (`str` or `int`): Token or id.
        num_tokens (`int` or `Sequence[int]`): New tokens before it, for all rows or for each.
        prompt_length (`int`): Length of the (padded) prompt in tokens.
    """

    def __init__(
        self,
        tokenizer: DNAGPTTokenizer,
        stop_token: str | int,
        num_tokens: int | Sequence[int],
        prompt_length: int,
    ) -> None:
        lengths = [num_tokens] if isinstance(num_tokens, int) else list(num_tokens)
        if min(lengths) < 0:
            raise ValueError(f"num_tokens {num_tokens} lies below 0")
        self.num_tokens = torch.tensor(lengths)
        self.prompt_length = prompt_length
        self.stop = token_id(tokenizer, stop_token)
        self.pad = tokenizer.pad_token_id
        self.ids = torch.arange(len(tokenizer))

    def is_done(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Mark the rows that have their stop token, `(rows,)`."""
        return self._missing(input_ids) < 0

    def allowed(self, input_ids: torch.Tensor) -> torch.Tensor:
        missing = self._missing(input_ids)[:, None]
        self.ids = self.ids.to(input_ids.device)
        is_due = torch.where(missing == 0, self.ids == self.stop, self.ids == self.pad)
        return torch.where(missing > 0, self.ids != self.stop, is_due)

    def _missing(self, input_ids: torch.Tensor) -> torch.Tensor:
        return per_row(self.num_tokens, input_ids) - (input_ids.shape[1] - self.prompt_length)


class StopWhenComplete(StoppingCriteria):
    """Stops when every row is complete in the sense of its constraint.

    Args:
        constraint ([`ExactBases`] or [`StopAfterTokens`]): The constraint in use.
    """

    def __init__(self, constraint: ExactBases | StopAfterTokens) -> None:
        self.constraint = constraint

    def __call__(
        self, input_ids: torch.Tensor, scores: object = None, **kwargs: object
    ) -> torch.Tensor:
        return self.constraint.is_done(input_ids)


def stops_in_place(
    sequences: torch.Tensor,
    tokenizer: DNAGPTTokenizer,
    stop_token: str | int,
    prompt_length: int,
    *,
    num_tokens: int | None = None,
    num_bases: int | None = None,
) -> torch.Tensor:
    """Mark the freely generated sequences that have the stop token at the right position.

    This is how artificial genomes are filtered: the first stop token must stand behind exactly
    `num_tokens` new tokens, or behind new DNA of exactly `num_bases` bases and nothing else.

    Args:
        sequences (`torch.LongTensor` of shape `(batch, length)`): Output of `generate`.
        tokenizer (`DNAGPTTokenizer`): Tokenizer of the model.
        stop_token (`str` or `int`): Token or id.
        prompt_length (`int`): Length of the (padded) prompt in tokens.
        num_tokens (`int`, *optional*): New tokens before the stop token.
        num_bases (`int`, *optional*): New bases before the stop token.

    Returns:
        `torch.BoolTensor` of shape `(batch,)`.

    Raises:
        ValueError: unless one of `num_tokens` and `num_bases` is given.
    """
    new = sequences[:, prompt_length:]
    is_stop = new == token_id(tokenizer, stop_token)
    before = is_stop.cumsum(-1) == 0
    if num_bases is None and num_tokens is not None:
        return is_stop.any(-1) & (before.sum(-1) == num_tokens)
    if num_bases is None or num_tokens is not None:
        raise ValueError("pass num_tokens or num_bases, one of the two")
    lengths = KmerTable(tokenizer).lengths.to(new.device)[new]
    only_dna = ((lengths > 0) | ~before).all(-1)
    return is_stop.any(-1) & only_dna & ((lengths * before).sum(-1) == num_bases)
