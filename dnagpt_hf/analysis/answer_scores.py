"""What a model answers for a record as one score, to see what in the record it depends on.

The score of a class is its log-odds against all other answers, and that of a number is the number.
Unlike a probability it does not saturate where the model is sure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from dnagpt_hf.analysis.answering import HeadAnswers, Predictor, answers_of
from dnagpt_hf.analysis.batches import padded_batch
from dnagpt_hf.analysis.prediction import DEFAULT_TEMPLATE, asked_task
from dnagpt_hf.analysis.token_places import PlacedRecord, place_record
from dnagpt_hf.data.encoding import RecordEncoder, Truncation
from dnagpt_hf.data.records import Record
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask, DNAGPTForSequenceClassification
from dnagpt_hf.tasks.task import Task

if TYPE_CHECKING:
    from dnagpt_hf.modeling_dnagpt import DNAGPTPreTrainedModel
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

AnswerKind = Literal["class", "label", "number"]
# inputs of a model to its raw answers, (batch, answers)
Outputs = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class AnsweredRecord:
    """A record and the score of one answer to it.

    Args:
        model: the model that was asked.
        tokenizer: its tokenizer.
        placed: the record, token by token.
        answer: the class, the label or the number whose score it is.
        kind: `"class"`, one of several that exclude each other, `"label"`, which holds or not, or
            `"number"`.
        score: log-odds of the class or label in nats, or the number.
        score_of: the same score for other inputs of the model, given by keyword: float32
            `(batch,)`, through which gradients flow.
    """

    model: Predictor
    tokenizer: DNAGPTTokenizer
    placed: PlacedRecord
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
        inputs = padded_batch([self.placed.encoded], self.model.config.pad_token_id)
        return {name: value.to(self.model.device) for name, value in inputs.items()}


def answer_record(
    model: Predictor,
    tokenizer: DNAGPTTokenizer,
    record: Record,
    *,
    template: str | None = None,
    answers: Mapping[str, str] | None = None,
    target: str | None = None,
    truncation: Truncation | None = None,
) -> AnsweredRecord:
    """Ask a model about one record.

    Args:
        model: [`DNAGPTForMultiTask`] or [`DNAGPTForSequenceClassification`], in evaluation mode.
        tokenizer: the model's tokenizer.
        record: the record.
        template: as in [`~dnagpt_hf.analysis.prediction.predict_records`].
        answers: as there.
        target: the answer whose score is wanted; by default the one with the highest, or the one
            number.
        truncation: end at which too long a sequence is cut; by default it is an error.

    Raises:
        RecordError: the record cannot be read in the token language or is too long.
        ValueError: template, answers and target do not fit the model.

    Example:

        >>> from dnagpt_hf import DNAGPTTokenizer
        >>> from dnagpt_hf.presets import preset_config
        >>> model = DNAGPTForMultiTask(preset_config("dnagpt-test")).eval()
        >>> record = Record({"sequence": "ACGTAC"}, "first", "a.fa", 1, 1)
        >>> template, answers = "<R>{sequence}<=><B>", {"A": "false", "N": "true"}
        >>> answered = answer_record(
        ...     model, DNAGPTTokenizer(), record, template=template, answers=answers, target="true"
        ... )
        >>> answered.kind, answered.unit
        ('class', 'log-odds of true')
    """
    if answers is not None and not isinstance(model, DNAGPTForMultiTask):
        raise ValueError(
            "answers are tokens, and this model has a classification head: its labels are "
            "those of config.id2label"
        )
    task = asked_of(model, template, answers)
    names, kind, outputs = _outputs(model, tokenizer, task)
    placed = place_prompt(model, tokenizer, record, task, truncation)
    inputs = padded_batch([placed.encoded], model.config.pad_token_id)
    with torch.inference_mode():
        found = outputs(**{name: value.to(model.device) for name, value in inputs.items()})
        scores = torch.stack([_score(found, kind, place) for place in range(len(names))], -1)[0]
    if not scores.isfinite().all():
        raise record.error(
            "the model's output is not finite: its weights are damaged, or their data type is too "
            "narrow (--dtype float32)"
        )
    place = _place_of(target, names, kind, scores)
    return AnsweredRecord(
        model,
        tokenizer,
        placed,
        names[place],
        kind,
        float(scores[place]),
        lambda **other: _score(outputs(**other), kind, place),
    )


def asked_of(
    model: DNAGPTPreTrainedModel, template: str | None, answers: Mapping[str, str] | None = None
) -> Task:
    """What a model is asked: what is stated, or what the checkpoint was fine-tuned for.

    Raises:
        ValueError: the model answers in the token language, and there is neither.
    """
    task = asked_task(model.config, template, answers)
    if task is None and isinstance(model, DNAGPTForMultiTask):
        raise ValueError(
            "this model answers in the token language: state a template (--template) such as "
            "'<R>{sequence}<=><B>' for a class or '<R>{sequence}<=><M>' for a number"
        )
    return Task(DEFAULT_TEMPLATE) if task is None else task


def place_prompt(
    model: DNAGPTPreTrainedModel,
    tokenizer: DNAGPTTokenizer,
    record: Record,
    task: Task,
    truncation: Truncation | None = None,
) -> PlacedRecord:
    """A record up to where its first answer is asked for, token by token.

    Raises:
        RecordError: it cannot be read in the token language or is too long.
    """
    encoder = RecordEncoder(
        tokenizer,
        task.input if isinstance(model, DNAGPTForSequenceClassification) else task.prompt,
        model.config.max_position_embeddings,
        truncation,
        task.prepare,
        task.input_standardization,
    )
    return place_record(encoder, record, task.sequences)


def _outputs(
    model: Predictor, tokenizer: DNAGPTTokenizer, task: Task
) -> tuple[list[str], AnswerKind, Outputs]:
    """Names of the answers, their kind, and how they are computed; of several answers, the first.

    Numbers are put back by the standardisation of the task.
    """
    answering = answers_of(model, tokenizer, task)
    if isinstance(answering, HeadAnswers):
        return _outputs_of_head(answering)

    def at_end(**inputs: torch.Tensor) -> Any:
        return answering.model(**inputs, use_cache=False, logits_to_keep=1)

    labels = answering.tokens[0]
    if not labels:
        mean, deviation = answering.scales[0]
        return (
            [answering.outputs[0].name],
            "number",
            lambda **inputs: at_end(**inputs).number_predictions.float() * deviation + mean,
        )
    if len(labels) == 1:
        raise ValueError(
            f"{next(iter(labels.values()))!r} is the only answer, but log-odds compare it with "
            "others: state two answers or more"
        )
    ids = list(labels)
    return (
        list(labels.values()),
        "class",
        lambda **inputs: at_end(**inputs).logits[:, -1, ids].float(),
    )


def _outputs_of_head(answering: HeadAnswers) -> tuple[list[str], AnswerKind, Outputs]:
    def logits(**inputs: torch.Tensor) -> torch.Tensor:
        return answering.model(**inputs, use_cache=False).logits.float()

    if answering.problem == "regression":
        means, deviations = torch.tensor(answering.scales).T
        names = [output.name for output in answering.outputs]
        return names, "number", lambda **inputs: logits(**inputs) * deviations + means
    several = answering.problem == "multi_label_classification"
    return list(answering.outputs[0].labels), "label" if several else "class", logits


def _score(outputs: torch.Tensor, kind: AnswerKind, place: int) -> torch.Tensor:
    """(batch, answers) to the score of one answer, (batch,)."""
    if kind != "class":
        # the sigmoid of a label's output is its probability, so that the output is its log-odds
        return outputs[:, place]
    others = torch.cat([outputs[:, :place], outputs[:, place + 1 :]], -1)
    return outputs[:, place] - others.logsumexp(-1)


def _place_of(target: str | None, names: list[str], kind: AnswerKind, scores: torch.Tensor) -> int:
    if target is None and kind == "number" and len(names) > 1:
        raise ValueError(f"the model answers with several numbers: choose one of {_join(names)}")
    if target is None:
        return int(scores.argmax())
    if target not in names:
        raise ValueError(f"there is no answer {target!r}: choose one of {_join(names)}")
    return names.index(target)


def _join(names: list[str]) -> str:
    return ", ".join(names)
