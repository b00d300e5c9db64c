"""Figures of pre-training beside the joint loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from dnagpt_hf.configuration_dnagpt import IGNORED_TOKEN
from dnagpt_hf.modeling_dnagpt import DNAGPTOutput
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer, KmerVocabulary

_SUMS = (
    "token_loss",
    "tokens",
    "sequence_loss",
    "bases",
    "number_square",
    "number_error",
    "numbers",
    "right_answers",
    "answers",
)


def bases_of_tokens(tokenizer: DNAGPTTokenizer) -> torch.Tensor:
    """Count the bases of each token, `(tokens,)`; 0 for all but k-mers."""
    vocabulary = KmerVocabulary(tokenizer.kmer_size, tokenizer.dynamic_kmer)
    bases = torch.zeros(len(tokenizer))
    for length, first in vocabulary.first_id.items():
        bases[first : first + 5**length] = length
    return bases


class ObjectiveMetrics:
    """Sums over batches, from which the losses of the three objectives are computed.

    Nothing is read from the device before `compute`.

    Args:
        tokenizer: gives the bases of a token, and the id of `<B>`.
        number_loss_weight: λ of the joint loss.
    """

    def __init__(self, tokenizer: DNAGPTTokenizer, number_loss_weight: float) -> None:
        self.bases = bases_of_tokens(tokenizer)
        self.class_instruction = tokenizer.get_vocab()["<B>"]
        self.number_loss_weight = number_loss_weight
        self.sums: torch.Tensor | None = None

    @torch.no_grad()
    def update(self, inputs: Mapping[str, torch.Tensor], outputs: DNAGPTOutput) -> None:
        """Add a batch and the outputs of the model, `token_losses` included."""
        labels = inputs["labels"][:, 1:]
        if self.bases.device != labels.device:
            self.bases = self.bases.to(labels.device)
        losses = outputs["token_losses"][:, :-1]
        numbers = outputs["number_predictions"][:, :-1].float()
        is_target = labels != IGNORED_TOKEN
        is_answer = is_target & (inputs["input_ids"][:, :-1] == self.class_instruction)
        is_sequence = is_target & ~is_answer
        bases = self.bases[labels.clamp(min=0)] * is_sequence
        errors = numbers - inputs["number_labels"][:, 1:]
        known = ~errors.isnan()
        errors = errors.nan_to_num()
        sums = torch.stack(
            [
                losses.sum(),
                is_target.sum(),
                (losses * is_sequence).sum(),
                bases.sum(),
                errors.square().sum(),
                errors.abs().sum(),
                known.sum(),
                # a probability above one half: the model gives the right answer
                ((losses < math.log(2)) & is_answer).sum(),
                is_answer.sum(),
            ]
        )
        self.sums = sums if self.sums is None else self.sums + sums

    def compute(
        self, reduce: Callable[[torch.Tensor], torch.Tensor] = lambda sums: sums
    ) -> dict[str, float]:
        """Compute the figures since the last call, and reset the sums.

        Args:
            reduce: adds the sums of all processes; called once, where there are sums.

        Returns:
            `loss` (λ·MSE + cross-entropy), `token_loss` in nats per token, `nats_per_base` and
            `bits_per_base` of sequence tokens, `gc_error` (mean absolute error of the GC content)
            and `order_accuracy` (of sequence order), each only where it had targets; `bases`, the
            number of predicted bases.
        """
        if self.sums is None:
            return {}
        sums = dict(zip(_SUMS, reduce(self.sums).tolist(), strict=True))
        self.sums = None
        figures = {"bases": sums["bases"], "loss": 0.0}
        if sums["tokens"]:
            figures["token_loss"] = sums["token_loss"] / sums["tokens"]
            figures["loss"] += figures["token_loss"]
        if sums["bases"]:
            figures["nats_per_base"] = sums["sequence_loss"] / sums["bases"]
            figures["bits_per_base"] = figures["nats_per_base"] / math.log(2)
        if sums["numbers"]:
            figures["loss"] += self.number_loss_weight * sums["number_square"] / sums["numbers"]
            figures["gc_error"] = sums["number_error"] / sums["numbers"]
        if sums["answers"]:
            figures["order_accuracy"] = sums["right_answers"] / sums["answers"]
        return figures


def target_counts(batch: Mapping[str, Any]) -> torch.Tensor:
    """Count the targets of a batch, tokens and numbers, `(2,)`."""
    tokens = (batch["labels"][:, 1:] != IGNORED_TOKEN).sum()
    numbers = (~batch["number_labels"][:, 1:].isnan()).sum()
    return torch.stack([tokens, numbers])
