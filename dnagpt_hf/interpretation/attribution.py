"""How much each token of a record speaks for an answer, by gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from dnagpt_hf.inference.scored_records import ScoredRecord
from dnagpt_hf.inference.token_spans import Array


@dataclass(frozen=True)
class Attribution:
    """What each token of a record adds to the score of an answer.

    Args:
        answered: the record, the answer and its score.
        values: float32 `(tokens,)`, above 0 where a token speaks for the answer.
        number_gradients: float32 `(tokens,)`: change of the score for each unit of the number that
            stands there, as the model reads it: transformed and standardised. NaN where there is
            none; `None` for integrated gradients.
        baseline_score: score of what integrated gradients start from.
    """

    answered: ScoredRecord
    values: Array
    number_gradients: Array | None = None
    baseline_score: float | None = None

    def per_base(self, column: str | None = None) -> Array:
        """The values in a column of DNA: that of a token is divided evenly among its bases.

        Args:
            column: by default the longest one.

        Returns:
            float32 `(bases,)`.
        """
        placed = self.answered.placed
        return placed.per_base(self.values, placed.column(column))


def input_gradients(answered: ScoredRecord) -> Attribution:
    """Gradient times input: to first order, what the embedding of each token adds to the score.

    It takes one forward and one backward pass, and leaves the gradients of weights alone.

    Args:
        answered: the record and the answer that is asked about.

    Example:

        >>> from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
        >>> from dnagpt_hf.inference.scored_records import score_answer
        >>> from dnagpt_hf.records.reading import Record
        >>> from dnagpt_hf.presets import preset_config
        >>> model = DNAGPTForMultiTask(preset_config("dnagpt-test")).eval()
        >>> record = Record({"sequence": "ACGTAC", "x": "0.5"}, "first", "a.fa", 1, 1)
        >>> answered = score_answer(
        ...     model, DNAGPTTokenizer(), record, template="<R>{sequence}<+><M>{x}<=><M>"
        ... )
        >>> found = input_gradients(answered)
        >>> found.values.shape, found.per_base("sequence").shape
        ((7,), (6,))
        >>> np.isfinite(found.number_gradients).tolist()
        [False, False, False, False, True, False, False]
    """
    inputs = answered.inputs()
    is_number = inputs["input_ids"] == answered.model.config.number_token_id
    with torch.enable_grad():
        numbers = inputs["number_values"].requires_grad_()
        embeds = answered.model.base_model.embed(inputs["input_ids"], numbers)
        score = answered.score_of(inputs_embeds=embeds, attention_mask=inputs["attention_mask"])
        by_embeds, by_numbers = torch.autograd.grad(score.sum(), [embeds, numbers])
    values = (embeds.detach().float() * by_embeds.float()).sum(-1)
    by_numbers = by_numbers.float().masked_fill(~is_number, torch.nan)
    return Attribution(answered, _finite(answered, values), by_numbers[0].cpu().numpy())


def integrated_gradients(
    answered: ScoredRecord, *, steps: int = 64, max_tokens: int = 16_384
) -> Attribution:
    """Gradients integrated from a baseline to the record, which share out the difference in score.

    The baseline is the record without what stands in its columns: each token of DNA becomes a
    token of as many N, and each number 0, which is the mean where numbers are standardised. The
    path between the two is a straight line in the space of embeddings. The values add up to
    `score - baseline_score`, but for the error of the integral, which is taken at Gauss-Legendre
    points (Sundararajan et al. 2017).

    Args:
        answered: the record and the answer that is asked about.
        steps: points of the path.
        max_tokens: most tokens of a batch of points.

    Raises:
        ValueError: there are no steps.

    Example:

        >>> from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
        >>> from dnagpt_hf.inference.scored_records import score_answer
        >>> from dnagpt_hf.records.reading import Record
        >>> from dnagpt_hf.presets import preset_config
        >>> model = DNAGPTForMultiTask(preset_config("dnagpt-test")).eval()
        >>> record = Record({"sequence": "ACGTACGTACGT"}, "first", "a.fa", 1, 1)
        >>> answered = score_answer(
        ...     model, DNAGPTTokenizer(), record, template="<R>{sequence}<=><M>"
        ... )
        >>> found = integrated_gradients(answered)
        >>> error = found.values.sum() - (answered.score - found.baseline_score)
        >>> abs(float(error)) < 1e-4
        True
    """
    if steps < 1:
        raise ValueError(f"integrated gradients in {steps} steps: give 1 or more")
    inputs, embed = answered.inputs(), answered.model.base_model.embed
    with torch.no_grad():
        end = embed(inputs["input_ids"], inputs["number_values"])
        start = embed(*_baseline(answered, inputs))
        baseline_score = float(answered.score_of(inputs_embeds=start))
    points, weights = np.polynomial.legendre.leggauss(steps)
    total = torch.zeros_like(end[0], dtype=torch.float32)
    rows = max(1, max_tokens // end.shape[1])
    for first in range(0, steps, rows):
        # (rows, 1, 1), from [-1, 1] to [0, 1]
        place, weight = (
            torch.tensor(values[first : first + rows], dtype=torch.float32)[:, None, None]
            for values in ((points + 1) / 2, weights / 2)
        )
        gradient = _gradient(answered, torch.lerp(start, end, place.to(end)))
        total += (gradient.float() * weight.to(end.device)).sum(0)
    values = ((end - start).float() * total).sum(-1)
    return Attribution(answered, _finite(answered, values), baseline_score=baseline_score)


def _gradient(answered: ScoredRecord, embeds: torch.Tensor) -> torch.Tensor:
    """Gradient of each row's score by its embeddings."""
    with torch.enable_grad():
        embeds = embeds.detach().requires_grad_()
        # rows do not see each other, so that the gradient of the sum is that of each
        (gradient,) = torch.autograd.grad(answered.score_of(inputs_embeds=embeds).sum(), embeds)
    return gradient


def _baseline(
    answered: ScoredRecord, inputs: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and numbers of the record with N for its DNA and 0 for its numbers."""
    ids, numbers = inputs["input_ids"].clone(), inputs["number_values"].clone()
    for place, token in enumerate(answered.placed.tokens):
        if token.column is None:
            continue
        if token.kind == "number":
            numbers[0, place] = 0.0
        elif token.kind == "sequence":
            ids[0, place] = int(answered.tokenizer.encode_dna("N" * len(token.text))[0])
    return ids, numbers


def _finite(answered: ScoredRecord, values: torch.Tensor) -> Array:
    """(1, tokens) as an array (tokens,)."""
    if not values.isfinite().all():
        raise answered.placed.record.error(
            "a gradient is not finite: the model's weights are damaged, or their data type is too "
            "narrow (--dtype float32)"
        )
    return values[0].cpu().numpy()
