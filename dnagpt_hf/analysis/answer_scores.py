"""What a model answers for a record as one score, to see what in the record it depends on.

The score of a class is its log-odds against all other answers, and that of a number is the number.
Unlike a probability it does not saturate where the model is sure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from dnagpt_hf.analysis.batches import RecordEncoder, Truncation, padded_batch
from dnagpt_hf.analysis.prediction import DEFAULT_TEMPLATE, Predictor, answer_tokens
from dnagpt_hf.analysis.token_places import PlacedRecord, place_record
from dnagpt_hf.data.records import Record
from dnagpt_hf.data.templates import Template
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask, DNAGPTForSequenceClassification

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
    filled = prompt_template(model, template)
    names, kind, outputs = _outputs(model, tokenizer, filled, answers)
    encoder = RecordEncoder(tokenizer, filled, model.config.max_position_embeddings, truncation)
    placed = place_record(encoder, record)
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


def prompt_template(model: DNAGPTPreTrainedModel, text: str | None) -> Template:
    """The template of a prompt: what is stated, or what the checkpoint was fine-tuned for.

    Raises:
        ValueError: the model answers in the token language, and there is neither.
    """
    if text is None:
        text = (model.config.to_dict().get("task") or {}).get("prompt")
    if text is None and isinstance(model, DNAGPTForMultiTask):
        raise ValueError(
            "this model answers in the token language: state a template (--template) such as "
            "'<R>{sequence}<=><B>' for a class or '<R>{sequence}<=><M>' for a number"
        )
    return Template(DEFAULT_TEMPLATE if text is None else text)


def _outputs(
    model: Predictor,
    tokenizer: DNAGPTTokenizer,
    template: Template,
    answers: Mapping[str, str] | None,
) -> tuple[list[str], AnswerKind, Outputs]:
    """Names of the answers, their kind, and how they are computed."""
    if isinstance(model, DNAGPTForSequenceClassification):
        if answers is not None:
            raise ValueError(
                "answers are tokens, and this model has a classification head: its labels are "
                "those of config.id2label"
            )
        names, kind = _names_of_head(model)
        return names, kind, lambda **inputs: model(**inputs, use_cache=False).logits.float()

    def at_end(**inputs: torch.Tensor) -> Any:
        return model(**inputs, use_cache=False, logits_to_keep=1)

    if template.asks_for_number:
        if answers is not None:
            raise ValueError(
                f"template {template.text!r} ends in <M> and asks for a number, which has no "
                "answers to choose from: leave one of them out"
            )
        return ["number"], "number", lambda **inputs: at_end(**inputs).number_predictions.float()
    labels = answer_tokens(tokenizer, model.config, answers)
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


def _names_of_head(model: DNAGPTForSequenceClassification) -> tuple[list[str], AnswerKind]:
    config = model.config
    names = [str(label) for _, label in sorted((config.id2label or {}).items())]
    if config.problem_type == "multi_label_classification":
        return names, "label"
    # without a problem type, as the model decides when it is trained
    if config.problem_type == "regression" or (config.problem_type is None and len(names) == 1):
        return ["number"] if len(names) == 1 else names, "number"
    return names, "class"


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
