"""Contributions of the tokens of a record to the score of an answer, by gradients."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dnagpt_hf.inference.batching import check_finite
from dnagpt_hf.inference.scored_records import ScoredRecord
from dnagpt_hf.inference.token_spans import Array


@dataclass(frozen=True)
class Attribution:
    """Contributions of the tokens of a record to the score of an answer.

    Args:
        scored: the record, the answer and its score.
        values: float32 `(tokens,)`, positive where a token raises the score.
        number_gradients: float32 `(tokens,)`: change of the score per unit of a number, as the
            model reads it: transformed and standardized. NaN for other tokens; `None` for
            integrated gradients.
        baseline_score: score of the baseline of integrated gradients; `None` for gradients.
    """

    scored: ScoredRecord
    values: Array
    number_gradients: Array | None = None
    baseline_score: float | None = None

    def per_base(self, column: str | None = None) -> Array:
        """Divide the value of each token evenly among its bases.

        Args:
            column: column of DNA; by default the longest one.

        Returns:
            float32 `(bases,)`.
        """
        tokenized = self.scored.tokenized
        return tokenized.per_base(self.values, tokenized.column(column))


def input_gradients(scored: ScoredRecord) -> Attribution:
    """Compute gradient times input: the contribution of each token's embedding, to first order.

    One forward and one backward pass give the gradients of embeddings and of numbers. The gradients
    of the weights are left alone.

    Args:
        scored: the record and the answer to explain.

    Raises:
        RecordError: a gradient is not finite.

    Example:

        >>> import numpy as np
        >>> from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
        >>> from dnagpt_hf.inference.scored_records import score_answer
        >>> from dnagpt_hf.records.reading import Record
        >>> from dnagpt_hf.presets import preset_config
        >>> model = DNAGPTForMultiTask(preset_config("dnagpt-test")).eval()
        >>> record = Record({"sequence": "ACGTAC", "x": "0.5"}, "first", "a.fa", 1, 1)
        >>> scored = score_answer(
        ...     model, DNAGPTTokenizer(), record, template="<R>{sequence}<+><M>{x}<=><M>"
        ... )
        >>> found = input_gradients(scored)
        >>> found.values.shape, found.per_base("sequence").shape
        ((7,), (6,))
        >>> np.isfinite(found.number_gradients).tolist()
        [False, False, False, False, True, False, False]
    """
    inputs = scored.inputs()
    is_number = inputs["input_ids"] == scored.model.config.number_token_id
    with torch.enable_grad():
        numbers = inputs["number_values"].requires_grad_()
        embeds = scored.model.base_model.embed(inputs["input_ids"], numbers)
        score = scored.score_of(inputs_embeds=embeds, attention_mask=inputs["attention_mask"])
        by_embeds, by_numbers = torch.autograd.grad(score.sum(), [embeds, numbers])
    values = _array(scored, (embeds.detach().float() * by_embeds.float()).sum(-1))
    number_gradients = by_numbers.float().masked_fill(~is_number, torch.nan)
    return Attribution(scored, values, number_gradients[0].cpu().numpy())


def integrated_gradients(
    scored: ScoredRecord, *, steps: int = 64, max_tokens: int = 16_384
) -> Attribution:
    """Integrate gradients from a baseline to the record (Sundararajan et al. 2017).

    The values add up to `score - baseline_score`, apart from the error of the integral over the
    straight line between the two in the space of embeddings, which is taken by Gauss-Legendre
    quadrature. The baseline is the record without the content of its columns: each token of DNA
    becomes a token of as many N, and each number 0, which is the mean of standardized numbers.

    Args:
        scored: the record and the answer to explain.
        steps: points on the path.
        max_tokens: most tokens of a batch of points.

    Raises:
        ValueError: there are no steps.
        RecordError: a gradient is not finite.
        ImportError: captum is not installed.

    Example:

        >>> from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
        >>> from dnagpt_hf.inference.scored_records import score_answer
        >>> from dnagpt_hf.records.reading import Record
        >>> from dnagpt_hf.presets import preset_config
        >>> model = DNAGPTForMultiTask(preset_config("dnagpt-test")).eval()
        >>> record = Record({"sequence": "ACGTACGTACGT"}, "first", "a.fa", 1, 1)
        >>> scored = score_answer(model, DNAGPTTokenizer(), record, template="<R>{sequence}<=><M>")
        >>> found = integrated_gradients(scored)
        >>> error = found.values.sum() - (scored.score - found.baseline_score)
        >>> abs(float(error)) < 1e-4
        True
    """
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise ImportError(
            "integrated gradients need captum: pip install 'dnagpt_hf[interpretation]'"
        ) from error
    if steps < 1:
        raise ValueError(f"integrated gradients in {steps} steps: give 1 or more")
    inputs, embed = scored.inputs(), scored.model.base_model.embed
    with torch.no_grad():
        record = embed(inputs["input_ids"], inputs["number_values"])
        baseline = embed(*_baseline(scored, inputs))
        baseline_score = float(scored.score_of(inputs_embeds=baseline))
    method = IntegratedGradients(lambda embeds: scored.score_of(inputs_embeds=embeds))
    batch = max(1, max_tokens // record.shape[1])
    # (1, tokens, hidden), by captum's default of Gauss-Legendre
    contributions = method.attribute(record, baseline, n_steps=steps, internal_batch_size=batch)
    values = _array(scored, contributions.float().sum(-1))
    return Attribution(scored, values, baseline_score=baseline_score)


def _baseline(
    scored: ScoredRecord, inputs: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Replace the DNA of a record by N and its numbers by 0, in ids and numbers `(1, tokens)`."""
    ids, numbers = inputs["input_ids"].clone(), inputs["number_values"].clone()
    for place, token in enumerate(scored.tokenized.tokens):
        if token.column is None:
            continue
        if token.kind == "number":
            numbers[0, place] = 0.0
        elif token.kind == "sequence":
            ids[0, place] = int(scored.tokenizer.encode_dna("N" * len(token.text))[0])
    return ids, numbers


def _array(scored: ScoredRecord, values: torch.Tensor) -> Array:
    """Check values `(1, tokens)` and turn them into an array `(tokens,)`."""
    array: Array = values[0].detach().cpu().numpy()
    check_finite(scored.tokenized.record, array)
    return array
