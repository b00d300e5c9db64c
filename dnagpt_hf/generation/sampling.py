"""Sampling in which every sequence has a random stream of its own.

`torch.multinomial` draws one stream for the whole batch, so that a sequence depends on the
others in its batch. Here each draw is a hash of its indices (seed, prompt, copy, step, token), so
that a sequence is the same in a batch of any size and order, on any device, and alone.

Tokens are drawn by the Gumbel-max trick: the token with the highest score plus Gumbel noise has the
distribution softmax(scores). It is chosen over inverting one uniform number through the cumulated
probabilities because sums over the whole vocabulary differ in the last bits between batch sizes,
which moves thousands of boundaries, where here only the two best tokens can change places.
"""

from dataclasses import dataclass

import torch
from transformers.generation import (
    LogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)


@dataclass(frozen=True)
class Sampling:
    """Settings by which tokens are drawn.

    Args:
        temperature (`float`, defaults to 1.0): Scores are divided by this.
        top_k (`int`, *optional*): Draw from this number of most probable tokens only.
        top_p (`float`, *optional*): Draw from the most probable tokens that sum to this only.
        seed (`int`, defaults to 0): Start of all random streams.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0

    def processors(self, keys: torch.Tensor, prompt_length: int) -> list[LogitsProcessor]:
        """Processors for `generate(..., do_sample=False)`, to be put behind all constraints.

        Args:
            keys (`torch.LongTensor` of shape `(rows,)`): From [`sequence_keys`].
            prompt_length (`int`): Length of the (padded) prompt in tokens.
        """
        temperature = TemperatureLogitsWarper(float(self.temperature))
        return [temperature, *self.filters(), SeededNoise(keys, prompt_length)]

    def filters(self) -> list[LogitsProcessor]:
        """Build the processors that leave tokens out, `top_k` and `top_p`."""
        processors: list[LogitsProcessor] = []
        if self.top_k is not None:
            processors.append(TopKLogitsWarper(self.top_k))
        if self.top_p is not None:
            processors.append(TopPLogitsWarper(self.top_p))
        return processors


class SeededNoise(LogitsProcessor):
    """Adds Gumbel noise that depends on a row's key, the step and the token, and nothing else.

    The highest of the returned scores is a draw from softmax(scores).

    Args:
        keys (`torch.LongTensor` of shape `(rows,)`): Key of each row's random stream.
        prompt_length (`int`): Length of the (padded) prompt in tokens.
    """

    def __init__(self, keys: torch.Tensor, prompt_length: int) -> None:
        self.keys = keys
        self.prompt_length = prompt_length

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        tokens = torch.arange(scores.shape[-1], device=scores.device)
        step = input_ids.shape[1] - self.prompt_length
        return scores + gumbel_noise(self.keys.to(scores.device), step, tokens)


def gumbel_noise(keys: torch.Tensor, step: int, tokens: torch.Tensor) -> torch.Tensor:
    """Compute Gumbel noise, by which the highest score becomes a draw from softmax(scores).

    Args:
        keys (`torch.LongTensor` of shape `(rows,)`): Key of each row's random stream.
        step (`int`): Number of tokens that each row has drawn.
        tokens (`torch.LongTensor` of shape `(tokens,)`): Ids of the tokens that may be drawn.

    Returns:
        `torch.FloatTensor` of shape `(rows, tokens)`; that of a token is the same whatever others
        are asked for.
    """
    # (rows, 1)
    state = _mix(keys + _signed(_GOLDEN_GAMMA * (step + 1)))[:, None]
    bits = _mix(state + _GOLDEN_GAMMA * (tokens + 1))
    # 63 bits as a fraction, whose small values keep their precision in float32; the bounds
    # keep the noise finite, which a row with a single allowed token needs
    fraction = (_shift(bits, 1).float() * 2.0**-63).clamp(2.0**-64, 1 - 2.0**-24)
    return -torch.log(-torch.log1p(-fraction))


def sequence_keys(seed: int, prompts: torch.Tensor, copies: torch.Tensor) -> torch.Tensor:
    """Derive keys of random streams, one for each pair of a prompt and a copy.

    Args:
        seed (`int`): Any integer.
        prompts (`torch.LongTensor` of shape `(rows,)`): Number of the prompt.
        copies (`torch.LongTensor` of shape `(rows,)`): Number of the continuation of this prompt.

    Returns:
        `torch.LongTensor` of shape `(rows,)`.
    """
    key = _mix(torch.tensor(_signed(seed)))
    key = _mix(key + _GOLDEN_GAMMA * (prompts + 1))
    return _mix(key + _GOLDEN_GAMMA * (copies + 1))


def _signed(value: int) -> int:
    """The 64-bit integer with the same bits, as PyTorch has no unsigned arithmetic."""
    value %= 2**64
    return value - 2**64 if value >= 2**63 else value


# SplitMix64 (Steele, Lea and Flood 2014): a counter in steps of this, and two rounds of mixing
_GOLDEN_GAMMA = _signed(0x9E3779B97F4A7C15)
_MULTIPLIERS = (_signed(0xBF58476D1CE4E5B9), _signed(0x94D049BB133111EB))


def _shift(bits: torch.Tensor, by: int) -> torch.Tensor:
    """Logical shift to the right; PyTorch's own repeats the sign."""
    return (bits >> by) & (2 ** (64 - by) - 1)


def _mix(bits: torch.Tensor) -> torch.Tensor:
    bits = (bits ^ _shift(bits, 30)) * _MULTIPLIERS[0]
    bits = (bits ^ _shift(bits, 27)) * _MULTIPLIERS[1]
    return bits ^ _shift(bits, 31)
