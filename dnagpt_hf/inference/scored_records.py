"""One answer to a record as a differentiable score, for attribution and mutagenesis.

The score of a class is its log-odds against all other answers, and that of a number is the number.
Unlike a probability it does not saturate where the model is sure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from dnagpt_hf.inference.batching import check_finite, padded_batch
from dnagpt_hf.inference.prediction import encoder_of, resolve_head
from dnagpt_hf.inference.prediction_heads import LanguageHead, Predictor, mean_of_views
from dnagpt_hf.inference.token_spans import TokenizedRecord, TokenSpan, token_kind, tokenize_views
from dnagpt_hf.records.reading import Record
from dnagpt_hf.tasks.encoding import Truncation
from dnagpt_hf.tasks.task import Task
from dnagpt_hf.tasks.views import ViewChoice

if TYPE_CHECKING:
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

AnswerKind = Literal["class", "label", "number"]


@dataclass(frozen=True)
class ScoredRecord:
    """A record and the score of one answer to it.

    Args:
        model: the model.
        tokenizer: its tokenizer.
        views: the record in each view, token by token, up to the answer.
        answer: the class, the label or the number that is scored.
        kind: `"class"`, one of several that exclude each other, `"label"`, which holds or not, or
            `"number"`.
        raw: logits, or the number, of each view, float32 `(views, labels)`.
        raw_of: the same for other inputs of the model, given by keyword: float32 `(batch, labels)`,
            through which gradients flow.
        label: index of the answer among them.
    """

    model: Predictor
    tokenizer: DNAGPTTokenizer
    views: tuple[TokenizedRecord, ...]
    answer: str
    kind: AnswerKind
    raw: torch.Tensor
    raw_of: Callable[..., torch.Tensor]
    label: int

    @property
    def tokenized(self) -> TokenizedRecord:
        """Return the record in its first view."""
        return self.views[0]

    @property
    def score(self) -> float:
        """Log-odds of the class or label in nats, or the number."""
        return float(self.from_raw(self.raw.mean(0, keepdim=True)))

    def score_of(self, **inputs: torch.Tensor) -> torch.Tensor:
        """Compute the same score for other inputs of the model, given by keyword.

        Args:
            inputs: any number of records; the views of each follow each other.

        Returns:
            Float32 `(records,)`, through which gradients flow.
        """
        return self.from_raw(mean_of_views(self.raw_of(**inputs), len(self.views)))

    def from_raw(self, raw: torch.Tensor) -> torch.Tensor:
        """Turn logits, `(batch, labels)`, or numbers, `(batch, 1)`, into scores, `(batch,)`."""
        if self.kind != "class":
            # the sigmoid of a label's logit is its probability, so that the logit is its log-odds
            return raw[:, self.label]
        others = torch.cat([raw[:, : self.label], raw[:, self.label + 1 :]], -1)
        return raw[:, self.label] - others.logsumexp(-1)

    @property
    def unit(self) -> str:
        """Name the score, for axes and messages."""
        return self.answer if self.kind == "number" else f"log-odds of {self.answer}"

    def inputs(self, view: int | None = None) -> dict[str, torch.Tensor]:
        """Return `input_ids`, `attention_mask` and `number_values`, padded on the left.

        Args:
            view: number of a view; by default all.

        Returns:
            `dict`: tensors `(views, tokens)`.
        """
        return _inputs(self.model, self.views if view is None else [self.views[view]])


def score_answer(
    model: Predictor,
    tokenizer: DNAGPTTokenizer,
    record: Record,
    *,
    task: Task | None = None,
    template: str | None = None,
    answers: Mapping[str, str] | None = None,
    answer: str | None = None,
    target: str | None = None,
    truncation: Truncation | None = None,
    views: ViewChoice = None,
) -> ScoredRecord:
    """Score one answer of a model to one record.

    Args:
        model: [`DNAGPTForMultiTask`] or [`DNAGPTForSequenceClassification`], in evaluation mode.
        tokenizer: the model's tokenizer.
        record: the record.
        task: as in [`~dnagpt_hf.inference.prediction.predict_records`].
        template: as there.
        answers: as there.
        answer: the column of the answer, where the task has several; by default the first. In the
            token language it follows the model's answers before it.
        views: as in [`~dnagpt_hf.inference.prediction.predict_records`].
        target: the label to score; by default that with the highest score.
        truncation: end at which too long a sequence is cut; by default it is an error.

    Raises:
        RecordError: the record cannot be read in the token language or is too long.
        ValueError: task, answers and target do not fit the model.

    Example:

        >>> from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
        >>> from dnagpt_hf.presets import preset_config
        >>> model = DNAGPTForMultiTask(preset_config("dnagpt-test")).eval()
        >>> record = Record({"sequence": "ACGTAC"}, "first", "a.fa", 1, 1)
        >>> template, answers = "<R>{sequence}<=><B>", {"A": "false", "N": "true"}
        >>> scored = score_answer(
        ...     model, DNAGPTTokenizer(), record, template=template, answers=answers, target="true"
        ... )
        >>> scored.kind, scored.unit
        ('class', 'log-odds of true')
    """
    head = resolve_head(model, tokenizer, task, template, answers)
    index = _chosen([output.name for output in head.outputs], answer, "answer") or 0
    encoder = encoder_of(model, tokenizer, head.task, truncation, views)
    in_views = tokenize_views(encoder, record, None if head.task is None else head.task.sequences)
    if isinstance(head, LanguageHead):
        for before in range(index):
            in_views = _continued(in_views, head, before, tokenizer)
    output, raw = head.outputs[index], partial(head.raw, index)
    with torch.inference_mode():
        found = raw(**_inputs(model, in_views))
    check_finite(record, found.cpu().numpy())
    kind: AnswerKind = "class" if output.labels else "number"
    if output.multilabel:
        kind = "label"
    elif len(output.labels) == 1:
        raise ValueError(
            f"{output.labels[0]!r} is the only answer, but log-odds compare it with others: state "
            "two answers or more"
        )
    names = list(output.labels or (output.name,))
    label = _chosen(names, target, "target")
    label = int(found.mean(0).argmax()) if label is None else label
    return ScoredRecord(model, tokenizer, in_views, names[label], kind, found, raw, label)


def _inputs(model: Predictor, views: Sequence[TokenizedRecord]) -> dict[str, torch.Tensor]:
    inputs = padded_batch([one.encoded for one in views], model.config.pad_token_id)
    return {name: value.to(model.device) for name, value in inputs.items()}


def _chosen(names: list[str], wanted: str | None, what: str) -> int | None:
    if wanted is None:
        return None
    if wanted not in names:
        raise ValueError(f"there is no {what} {wanted!r}: choose one of {', '.join(names)}")
    return names.index(wanted)


def _continued(
    views: Sequence[TokenizedRecord], head: LanguageHead, index: int, tokenizer: DNAGPTTokenizer
) -> tuple[TokenizedRecord, ...]:
    """Append the model's answer of an index, and the text before the next one, to all views."""
    with torch.inference_mode():
        found = mean_of_views(head.raw(index, **_inputs(head.model, views)), len(views))
    tokens, value = list(head.tokens[index]), 0.0
    if not tokens:
        mean, deviation = head.scales[index]
        value = (float(found) - mean) / deviation
    chosen = tokens[int(found.argmax())] if tokens else tokenizer.number_token_id
    ids = [chosen, *head.gaps[index + 1]]
    names = tokenizer.convert_ids_to_tokens(ids)
    values = np.zeros(len(ids), np.float32)
    values[0] = value
    return tuple(
        replace(
            one,
            encoded=replace(
                one.encoded,
                input_ids=np.append(one.encoded.input_ids, ids),
                number_values=np.append(one.encoded.number_values, values),
            ),
            tokens=(*one.tokens, *(TokenSpan(name, token_kind(name)) for name in names)),
            bases_of_token=np.append(one.bases_of_token, np.zeros(len(ids), np.int64)),
        )
        for one in views
    )
