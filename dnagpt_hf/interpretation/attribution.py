"""Contributions of the tokens of a record to the score of an answer, by gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from dnagpt_hf.inference.batching import check_finite
from dnagpt_hf.inference.scored_records import ScoredRecord
from dnagpt_hf.inference.token_spans import Array


@dataclass(frozen=True)
class Attribution:
    """Contributions of the tokens of a record to the score of an answer.

    Args:
        scored: the record, the answer and its score.
        by_view: contributions of the tokens of each view to the score, which is that of the mean
            over all views, float32 `(tokens,)` each.
        number_gradients: float32 `(tokens,)`: change of the score per unit of a number, as the
            model reads it in all views: transformed and standardized. NaN for other tokens of the
            first view; `None` for integrated gradients.
        baseline_score: score of the baseline of integrated gradients; `None` for gradients.
    """

    scored: ScoredRecord
    by_view: tuple[Array, ...]
    number_gradients: Array | None = None
    baseline_score: float | None = None

    @property
    def values(self) -> Array:
        """Contributions of tokens, positive where one raises the score, float32 `(tokens,)`.

        The tokens are those of the first view. With several views a token of DNA has the sum over
        its bases, and any other one the sum over the views.
        """
        if len(self.by_view) == 1:
            return self.by_view[0]
        first = self.scored.tokenized
        values = np.zeros(len(first.tokens), np.float32)
        for one, of_view in zip(self.scored.views, self.by_view, strict=True):
            values[first.bases_of_token == 0] += of_view[one.bases_of_token == 0]
        for name, column in first.columns.items():
            is_read = column.token >= 0
            np.add.at(values, column.token[is_read], self.per_base(name)[is_read])
        return values

    @property
    def total(self) -> float:
        """Sum of all contributions."""
        return float(sum(of_view.sum() for of_view in self.by_view))

    def per_base(self, column: str | None = None) -> Array:
        """Divide the value of each token evenly among its bases, and add up those of all views.

        Args:
            column: column of DNA; by default the longest one.

        Returns:
            float32 `(bases,)`.
        """
        column = self.scored.tokenized.column(column)
        views = zip(self.scored.views, self.by_view, strict=True)
        by_base: Array = np.sum([one.per_base(values, column) for one, values in views], axis=0)
        return by_base


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
    by_view = _by_view(scored, (embeds.detach().float() * by_embeds.float()).sum(-1))
    # views have the same numbers in the same order
    gradients = by_numbers.float()[is_number].view(len(is_number), -1).sum(0)
    number_gradients = np.full(len(by_view[0]), np.nan, np.float32)
    number_gradients[is_number[0, -len(by_view[0]) :].cpu().numpy()] = gradients.cpu().numpy()
    return Attribution(scored, by_view, number_gradients)


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
    mask = inputs["attention_mask"]

    def score_of(embeds: torch.Tensor) -> torch.Tensor:
        repeated = mask.repeat(len(embeds) // len(mask), 1)
        return scored.score_of(inputs_embeds=embeds, attention_mask=repeated)

    with torch.no_grad():
        record = embed(inputs["input_ids"], inputs["number_values"])
        baseline = embed(*_baseline(scored, inputs))
        baseline_score = float(score_of(baseline))
    # whole steps, of all views
    batch = max(1, max_tokens // record.shape[:2].numel()) * len(record)
    # (views, tokens, hidden), by captum's default of Gauss-Legendre
    contributions = IntegratedGradients(score_of).attribute(
        record, baseline, n_steps=steps, internal_batch_size=batch
    )
    by_view = _by_view(scored, contributions.float().sum(-1))
    return Attribution(scored, by_view, baseline_score=baseline_score)


def _baseline(
    scored: ScoredRecord, inputs: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Replace the DNA of a record by N and its numbers by 0, in ids and numbers."""
    ids, numbers = inputs["input_ids"].clone(), inputs["number_values"].clone()
    for row, view in enumerate(scored.views):
        padding = ids.shape[1] - len(view.tokens)
        for place, token in enumerate(view.tokens, start=padding):
            if token.column is None:
                continue
            if token.kind == "number":
                numbers[row, place] = 0.0
            elif token.kind == "sequence":
                ids[row, place] = int(scored.tokenizer.encode_dna("N" * len(token.text))[0])
    return ids, numbers


def _by_view(scored: ScoredRecord, values: torch.Tensor) -> tuple[Array, ...]:
    """Check values `(views, tokens)` and cut the padding off."""
    array: Array = values.detach().cpu().numpy()
    check_finite(scored.tokenized.record, array)
    rows = zip(scored.views, array, strict=True)
    return tuple(row[len(row) - len(view.tokens) :] for view, row in rows)
