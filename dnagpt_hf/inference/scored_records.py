"""One answer to a record as a differentiable score, for attribution and mutagenesis.

The score of a class is its log-odds against all other answers, and that of a number is the number.
Unlike a probability it does not saturate where the model is sure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from dnagpt_hf.inference.batching import check_finite, padded_batch
from dnagpt_hf.inference.prediction import encoder_of, resolve_head
from dnagpt_hf.inference.prediction_heads import LanguageHead, Predictor
from dnagpt_hf.inference.token_spans import TokenizedRecord, TokenSpan, token_kind, tokenize_record
from dnagpt_hf.records.reading import Record
from dnagpt_hf.records.templates import Truncation
from dnagpt_hf.tasks.task import Task

if TYPE_CHECKING:
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

AnswerKind = Literal["class", "label", "number"]


@dataclass(frozen=True)
class ScoredRecord:
    """A record and the score of one answer to it.

    Args:
        model: the model.
        tokenizer: its tokenizer.
        tokenized: the record, token by token, up to the answer.
        answer: the class, the label or the number that is scored.
        kind: `"class"`, one of several that exclude each other, `"label"`, which holds or not, or
            `"number"`.
        score: log-odds of the class or label in nats, or the number.
        score_of: the same score for other inputs of the model, given by keyword: float32
            `(batch,)`, through which gradients flow.
    """

    model: Predictor
    tokenizer: DNAGPTTokenizer
    tokenized: TokenizedRecord
    answer: str
    kind: AnswerKind
    score: float
    score_of: Callable[..., torch.Tensor]

    @property
    def unit(self) -> str:
        """Name the score, for axes and messages."""
        return self.answer if self.kind == "number" else f"log-odds of {self.answer}"

    def inputs(self) -> dict[str, torch.Tensor]:
        """Return `input_ids`, `attention_mask` and `number_values`, `(1, tokens)`."""
        return _inputs(self.model, self.tokenized)


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
    encoder = encoder_of(model, tokenizer, head.task, truncation)
    tokenized = tokenize_record(encoder, record, None if head.task is None else head.task.sequences)
    if isinstance(head, LanguageHead):
        for before in range(index):
            tokenized = _continued(tokenized, head, before, tokenizer)
    output, raw = head.outputs[index], partial(head.raw, index)
    with torch.inference_mode():
        found = raw(**_inputs(model, tokenized))
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
    label = int(found[0].argmax()) if label is None else label
    return ScoredRecord(
        model,
        tokenizer,
        tokenized,
        names[label],
        kind,
        float(_score(found, kind, label)),
        lambda **inputs: _score(raw(**inputs), kind, label),
    )


def _inputs(model: Predictor, tokenized: TokenizedRecord) -> dict[str, torch.Tensor]:
    inputs = padded_batch([tokenized.encoded], model.config.pad_token_id)
    return {name: value.to(model.device) for name, value in inputs.items()}


def _chosen(names: list[str], wanted: str | None, what: str) -> int | None:
    if wanted is None:
        return None
    if wanted not in names:
        raise ValueError(f"there is no {what} {wanted!r}: choose one of {', '.join(names)}")
    return names.index(wanted)


def _score(raw: torch.Tensor, kind: AnswerKind, label: int) -> torch.Tensor:
    """Turn logits, `(batch, labels)`, into the score of one label, `(batch,)`."""
    if kind != "class":
        # the sigmoid of a label's logit is its probability, so that the logit is its log-odds
        return raw[:, label]
    others = torch.cat([raw[:, :label], raw[:, label + 1 :]], -1)
    return raw[:, label] - others.logsumexp(-1)


def _continued(
    tokenized: TokenizedRecord, head: LanguageHead, index: int, tokenizer: DNAGPTTokenizer
) -> TokenizedRecord:
    """Append the model's answer of an index, and the text before the next one, to a record."""
    with torch.inference_mode():
        found = head.raw(index, **_inputs(head.model, tokenized))
    tokens, value = list(head.tokens[index]), 0.0
    if not tokens:
        mean, deviation = head.scales[index]
        value = (float(found) - mean) / deviation
    chosen = tokens[int(found.argmax())] if tokens else tokenizer.number_token_id
    ids = [chosen, *head.gaps[index + 1]]
    names = tokenizer.convert_ids_to_tokens(ids)
    values = np.zeros(len(ids), np.float32)
    values[0] = value
    encoded = replace(
        tokenized.encoded,
        input_ids=np.append(tokenized.encoded.input_ids, ids),
        number_values=np.append(tokenized.encoded.number_values, values),
    )
    return replace(
        tokenized,
        encoded=encoded,
        tokens=(*tokenized.tokens, *(TokenSpan(name, token_kind(name)) for name in names)),
        bases_of_token=np.append(tokenized.bases_of_token, np.zeros(len(ids), np.int64)),
    )
