"""What a model answers for a record as one score, to see what in the record it depends on.

The score of a class is its log-odds against all other answers, and that of a number is the number.
Unlike a probability it does not saturate where the model is sure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from dnagpt_hf.inference.batching import padded_batch
from dnagpt_hf.inference.prediction import prompt_encoder, resolve_head
from dnagpt_hf.inference.prediction_heads import (
    ClassificationHead,
    LanguageHead,
    Output,
    PredictionHead,
    Predictor,
)
from dnagpt_hf.inference.token_spans import TokenizedRecord, TokenSpan, token_kind, tokenize_record
from dnagpt_hf.records.encoding import Truncation
from dnagpt_hf.records.reading import Record
from dnagpt_hf.tasks.task import Task

if TYPE_CHECKING:
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

AnswerKind = Literal["class", "label", "number"]
# inputs of a model to what it says before it is turned into a score, (batch, labels)
RawAnswer = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class ScoredRecord:
    """A record and the score of one answer to it.

    Args:
        model: the model that was asked.
        tokenizer: its tokenizer.
        placed: the record, token by token, up to the answer.
        answer: the class, the label or the number whose score it is.
        kind: `"class"`, one of several that exclude each other, `"label"`, which holds or not, or
            `"number"`.
        score: log-odds of the class or label in nats, or the number.
        score_of: the same score for other inputs of the model, given by keyword: float32
            `(batch,)`, through which gradients flow.
    """

    model: Predictor
    tokenizer: DNAGPTTokenizer
    placed: TokenizedRecord
    answer: str
    kind: AnswerKind
    score: float
    score_of: Callable[..., torch.Tensor]

    @property
    def unit(self) -> str:
        """What the score is, for axes and messages."""
        return self.answer if self.kind == "number" else f"log-odds of {self.answer}"

    def inputs(self) -> dict[str, torch.Tensor]:
        """`input_ids`, `attention_mask` and `number_values` of the record, `(1, tokens)`."""
        return _inputs(self.model, self.placed)


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
    """Ask a model about one record.

    Args:
        model: [`DNAGPTForMultiTask`] or [`DNAGPTForSequenceClassification`], in evaluation mode.
        tokenizer: the model's tokenizer.
        record: the record.
        task: as in [`~dnagpt_hf.inference.prediction.predict_records`].
        template: as there.
        answers: as there.
        answer: the column that is answered, where the task has several; by default the first. In
            the token language it follows what the model answers before.
        target: the label whose score is wanted; by default that with the highest score.
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
        >>> answered = score_answer(
        ...     model, DNAGPTTokenizer(), record, template=template, answers=answers, target="true"
        ... )
        >>> answered.kind, answered.unit
        ('class', 'log-odds of true')
    """
    asked, answering = resolve_head(model, tokenizer, task, template, answers)
    place = _chosen([output.name for output in answering.outputs], answer, "answer") or 0
    encoder = prompt_encoder(model, tokenizer, asked, truncation)
    placed = tokenize_record(encoder, record, None if asked is None else asked.sequences)
    if isinstance(answering, LanguageHead):
        for before in range(place):
            placed = _continued(placed, answering, before, tokenizer)
    output, raw = answering.outputs[place], _raw_answer(answering, place)
    with torch.inference_mode():
        found = raw(**_inputs(model, placed))
    if not found.isfinite().all():
        raise record.error(
            "the model's output is not finite: its weights are damaged, or their data type is too "
            "narrow (--dtype float32)"
        )
    kind = _kind(output)
    label = _chosen(list(output.labels or (output.name,)), target, "target")
    label = int(found[0].argmax()) if label is None else label
    return ScoredRecord(
        model,
        tokenizer,
        placed,
        (output.labels or (output.name,))[label],
        kind,
        float(_score(found, kind, label)),
        lambda **inputs: _score(raw(**inputs), kind, label),
    )


def _inputs(model: Predictor, placed: TokenizedRecord) -> dict[str, torch.Tensor]:
    inputs = padded_batch([placed.encoded], model.config.pad_token_id)
    return {name: value.to(model.device) for name, value in inputs.items()}


def _chosen(names: list[str], wanted: str | None, what: str) -> int | None:
    if wanted is None:
        return None
    if wanted not in names:
        raise ValueError(f"there is no {what} {wanted!r}: choose one of {', '.join(names)}")
    return names.index(wanted)


def _kind(output: Output) -> AnswerKind:
    if not output.labels:
        return "number"
    if output.multilabel:
        return "label"
    if len(output.labels) == 1:
        raise ValueError(
            f"{output.labels[0]!r} is the only answer, but log-odds compare it with others: state "
            "two answers or more"
        )
    return "class"


def _raw_answer(answering: PredictionHead, place: int) -> RawAnswer:
    """Logits of labels, `(batch, labels)`, or the number put back, `(batch, 1)`."""
    is_number = not answering.outputs[place].labels
    mean, deviation = answering.scales[place] if is_number else (0.0, 1.0)
    if isinstance(answering, ClassificationHead):
        where = slice(place, place + 1) if is_number else slice(None)
        return lambda **inputs: (
            answering.model(**inputs, use_cache=False).logits[:, where].float() * deviation + mean
        )
    ids = list(answering.tokens[place])

    def raw(**inputs: torch.Tensor) -> torch.Tensor:
        outputs = answering.model(**inputs, use_cache=False, logits_to_keep=1)
        if is_number:
            return outputs.number_predictions.float() * deviation + mean
        logits: torch.Tensor = outputs.logits[:, -1, ids].float()
        return logits

    return raw


def _score(raw: torch.Tensor, kind: AnswerKind, label: int) -> torch.Tensor:
    """(batch, labels) to the score of one label, (batch,)."""
    if kind != "class":
        # the sigmoid of a label's output is its probability, so that the output is its log-odds
        return raw[:, label]
    others = torch.cat([raw[:, :label], raw[:, label + 1 :]], -1)
    return raw[:, label] - others.logsumexp(-1)


def _continued(
    placed: TokenizedRecord, answering: LanguageHead, place: int, tokenizer: DNAGPTTokenizer
) -> TokenizedRecord:
    """A record with what the model answers at a place, and what leads to the next answer."""
    with torch.inference_mode():
        found = _raw_answer(answering, place)(**_inputs(answering.model, placed))
    tokens, value = list(answering.tokens[place]), 0.0
    if tokens:
        chosen = tokens[int(found.argmax())]
    else:
        mean, deviation = answering.scales[place]
        chosen, value = tokenizer.number_token_id, (float(found) - mean) / deviation
    ids = [chosen, *answering.between[place + 1]]
    names = tokenizer.convert_ids_to_tokens(ids)
    values = np.zeros(len(ids), np.float32)
    values[0] = value
    encoded = replace(
        placed.encoded,
        input_ids=np.append(placed.encoded.input_ids, ids),
        number_values=np.append(placed.encoded.number_values, values),
    )
    return replace(
        placed,
        encoded=encoded,
        tokens=(*placed.tokens, *(TokenSpan(name, token_kind(name)) for name in names)),
        bases_of_token=np.append(placed.bases_of_token, np.zeros(len(ids), np.int64)),
    )
