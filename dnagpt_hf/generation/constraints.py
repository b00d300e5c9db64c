"""Logits processors for the token language.

A processor sees all rows of a batch at once, the finished ones included, and masks the tokens that
are not allowed. None keeps a state from step to step: everything is read from the tokens behind the
prompt, so that a processor may be used again and rows may be reordered by beam search. Where
an argument is given per row, rows that `generate` repeats (beams, several sequences) are followed.
"""

from collections.abc import Sequence

import torch
from torch import nn
from transformers.generation import LogitsProcessor

from dnagpt_hf.generation.vocabulary import KmerTable, token_id
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer


class Constraint(LogitsProcessor):
    """A processor that masks all tokens but the allowed ones."""

    def allowed(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Mark the allowed tokens.

        Args:
            input_ids (`torch.LongTensor` of shape `(rows, length)`): Tokens so far.

        Returns:
            `torch.BoolTensor` of shape `(rows, tokens)` or `(1, tokens)`.
        """
        raise NotImplementedError

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        allowed = self.allowed(input_ids).to(scores.device)
        # a model may have more rows than its tokenizer has entries
        allowed = nn.functional.pad(allowed, (0, scores.shape[-1] - allowed.shape[-1]))
        return scores.masked_fill(~allowed, -torch.inf)


class DNAOnly(Constraint):
    """Allows DNA only: k-mers over A, C, G and T, cut as the tokenizer cuts them.

    A k-mer of fewer than `kmer_size` bases ends a stretch of DNA, so that it is allowed only where
    a stop token can follow it.

    Args:
        tokenizer (`DNAGPTTokenizer`): Tokenizer of the model.
        allow_n (`bool`, defaults to `False`): Allow N.
        stop_tokens (`Sequence[str | int]`, *optional*):
            Tokens or ids that may end the DNA, such as the stop symbol of artificial genomes.

    Example:

    ```python
    >>> from dnagpt_hf import DNAGPTTokenizer
    >>> from dnagpt_hf.generation import DNAOnly
    >>> int(DNAOnly(DNAGPTTokenizer()).allowed(torch.zeros(1, 1, dtype=torch.long)).sum()) == 4**6
    True

    ```
    """

    def __init__(
        self,
        tokenizer: DNAGPTTokenizer,
        allow_n: bool = False,
        stop_tokens: Sequence[str | int] = (),
    ) -> None:
        table = KmerTable(tokenizer)
        is_dna = (table.lengths > 0) if allow_n else (table.lengths > 0) & ~table.has_n
        self.lengths = table.lengths
        self.kmer_size = tokenizer.kmer_size
        self.stop = torch.zeros(len(table), dtype=torch.bool)
        self.stop[[token_id(tokenizer, token) for token in stop_tokens]] = True
        is_full = table.lengths == self.kmer_size
        self.open = self.stop | (is_dna if stop_tokens else is_dna & is_full)

    def allowed(self, input_ids: torch.Tensor) -> torch.Tensor:
        if not self.stop.any():
            return self.open[None]
        last = self.lengths.to(input_ids.device)[input_ids[:, -1]]
        ended = ((last > 0) & (last < self.kmer_size))[:, None]
        return torch.where(ended, self.stop.to(last.device), self.open.to(last.device))


class AnswersOnly(Constraint):
    """Allows given answers only, for instance `A` and `N` behind `<B>`.

    Args:
        tokenizer (`DNAGPTTokenizer`): Tokenizer of the model.
        answers (`Sequence[str | int]`): Tokens or ids; each must be one token.
        prompt_length (`int`, *optional*):
            Length of the (padded) prompt. Without it every new token must be an answer.
        num_tokens (`int`, defaults to 1):
            With `prompt_length`, the number of new tokens that must be answers; others are free.

    Raises:
        ValueError: if there is no answer, or one is not a token.
    """

    def __init__(
        self,
        tokenizer: DNAGPTTokenizer,
        answers: Sequence[str | int],
        prompt_length: int | None = None,
        num_tokens: int = 1,
    ) -> None:
        if isinstance(answers, str) or not answers:
            raise ValueError(f"answers is {answers!r}: pass a list of tokens such as ['A', 'N']")
        self.end = None if prompt_length is None else prompt_length + num_tokens
        self.is_answer = torch.zeros(1, len(tokenizer), dtype=torch.bool)
        self.is_answer[0, [token_id(tokenizer, answer) for answer in answers]] = True

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if self.end is not None and input_ids.shape[1] >= self.end:
            return scores
        return super().__call__(input_ids, scores)

    def allowed(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.is_answer


class WellFormedText(LogitsProcessor):
    """Keeps new text well-formed: no DNA right behind a number or behind a shorter k-mer.

    Numbers reach from `<M>` to the next property token, and bases that follow each other are cut
    anew when text is read. Only where the other constraints leave nothing but DNA, DNA is written.

    Args:
        tokenizer (`DNAGPTTokenizer`): Tokenizer of the model.
        prompt_length (`int`): Length of the (padded) prompt; its own last k-mer may be continued.
    """

    def __init__(self, tokenizer: DNAGPTTokenizer, prompt_length: int) -> None:
        self.lengths = KmerTable(tokenizer).lengths
        self.kmer_size = tokenizer.kmer_size
        self.number = tokenizer.number_token_id
        self.prompt_length = prompt_length

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.lengths = self.lengths.to(scores.device)
        last = input_ids[:, -1]
        closed = last == self.number
        if input_ids.shape[1] > self.prompt_length:
            closed = closed | ((self.lengths[last] > 0) & (self.lengths[last] < self.kmer_size))
        is_dna = nn.functional.pad(self.lengths > 0, (0, scores.shape[-1] - len(self.lengths)))
        without_dna = scores.masked_fill(closed[:, None] & is_dna, -torch.inf)
        return torch.where(without_dna.isfinite().any(-1, keepdim=True), without_dna, scores)


class ExactBases(Constraint):
    """Writes an exact number of bases behind the prompt, cut as the tokenizer cuts them.

    All tokens have `kmer_size` bases but the last, which has the remainder. A row that has its
    bases gets padding from then on.

    A prompt whose DNA ends in fewer than `kmer_size` bases would put the new tokens out of frame.
    Take this remainder off the prompt ([`split_remainder`]) and pass it here: the first token then
    begins with it, and remainder and new bases read as one stretch.

    Args:
        tokenizer (`DNAGPTTokenizer`): Tokenizer of the model.
        num_bases (`int` or `Sequence[int]`): New bases, for all rows or for each.
        prompt_length (`int`): Length of the (padded) prompt in tokens, `input_ids.shape[1]`.
        remainders (`Sequence[str]`, *optional*): Bases that were taken off each prompt.
        allow_n (`bool`, defaults to `False`): Allow N.

    Raises:
        ValueError: if a length is below 1 or, in the fixed vocabulary, fits no whole k-mers.
    """

    def __init__(
        self,
        tokenizer: DNAGPTTokenizer,
        num_bases: int | Sequence[int],
        prompt_length: int,
        remainders: Sequence[str] | None = None,
        allow_n: bool = False,
    ) -> None:
        lengths = [num_bases] if isinstance(num_bases, int) else list(num_bases)
        begun = [""] if remainders is None else list(remainders)
        rows = max(len(lengths), len(begun))
        if {len(lengths), len(begun)} - {1, rows}:
            raise ValueError(f"{len(lengths)} lengths do not fit {len(begun)} remainders")
        lengths = lengths * rows if len(lengths) == 1 else lengths
        begun = begun * rows if len(begun) == 1 else begun
        for length, remainder in zip(lengths, begun, strict=True):
            check_num_bases(tokenizer, length, len(remainder))

        table = KmerTable(tokenizer)
        distinct = sorted(set(begun))
        self.prompt_length = prompt_length
        self.kmer_size = tokenizer.kmer_size
        self.pad = tokenizer.pad_token_id
        self.lengths = table.lengths
        self.total = torch.tensor([n + len(r) for n, r in zip(lengths, begun, strict=True)])
        self.first = torch.stack([table.starting_with(bases, allow_n) for bases in distinct])
        self.first_index = torch.tensor([distinct.index(bases) for bases in begun])
        self.later = table.starting_with("", allow_n)

    def allowed(self, input_ids: torch.Tensor) -> torch.Tensor:
        self.lengths = self.lengths.to(input_ids.device)
        self.first = self.first.to(input_ids.device)
        self.later = self.later.to(input_ids.device)
        # bases that are still to be written, (rows, 1)
        written = self.lengths[input_ids[:, self.prompt_length :]].sum(-1)
        missing = (per_row(self.total, input_ids) - written)[:, None]
        may_stand_here = self.later
        if input_ids.shape[1] == self.prompt_length:
            may_stand_here = self.first[per_row(self.first_index, input_ids)]
        is_pad = torch.arange(len(self.lengths), device=input_ids.device) == self.pad
        # (rows, tokens)
        dna = (self.lengths == missing.clamp(max=self.kmer_size)) & may_stand_here
        return torch.where(missing > 0, dna, is_pad)


def check_num_bases(tokenizer: DNAGPTTokenizer, num_bases: int, remainder: int) -> None:
    """Refuse lengths that cannot be written behind `remainder` bases of an unfinished k-mer."""
    if num_bases < 1:
        raise ValueError(f"num_bases is {num_bases}: ask for at least 1")
    excess = (remainder + num_bases) % tokenizer.kmer_size
    if excess and not tokenizer.dynamic_kmer:
        nearest = [num_bases - excess, num_bases - excess + tokenizer.kmer_size]
        behind = f" behind the {remainder} bases that end the prompt" if remainder else ""
        raise ValueError(
            f"num_bases {num_bases}{behind} does not fill k-mers of {tokenizer.kmer_size}, and the "
            f"fixed vocabulary has no shorter ones: ask for "
            f"{' or '.join(str(length) for length in nearest if length > 0)}"
        )


def per_row(values: torch.Tensor, input_ids: torch.Tensor) -> torch.Tensor:
    """Repeat values, one for each prompt, as `generate` repeats rows.

    Args:
        values: `(prompts,)`.
        input_ids: `(rows, length)`, in which each prompt takes the same number of rows.

    Returns:
        `(rows,)`, on the device of `input_ids`.
    """
    rows, given = input_ids.shape[0], values.shape[0]
    if rows % given:
        raise ValueError(f"{given} lengths or remainders do not fit {rows} rows of input_ids")
    return values.to(input_ids.device).repeat_interleave(rows // given)
