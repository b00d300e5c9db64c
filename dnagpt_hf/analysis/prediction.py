"""Classes and numbers that a model answers for records.

A [`DNAGPTForMultiTask`] answers in the token language: its prompt, made from a record by a
template, ends where a token or a number is to follow (paper, Fig. 2b). A
[`DNAGPTForSequenceClassification`] has a head over the whole record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dnagpt_hf.analysis.batches import (
    EncodedRecord,
    RecordEncoder,
    Truncation,
    map_in_batches,
    padded_batch,
)
from dnagpt_hf.data.records import Record
from dnagpt_hf.data.templates import Template
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask, DNAGPTForSequenceClassification

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

DEFAULT_TEMPLATE = "{sequence}"
Predictor = DNAGPTForMultiTask | DNAGPTForSequenceClassification


@dataclass(frozen=True)
class Prediction:
    """What a model answers for one record.

    Args:
        record: the record.
        labels: the most probable class, or, of several labels, those more probable than not.
        probabilities: probability of each class or label; empty for numbers.
        numbers: predicted numbers by their names; empty for classes.
        several: whether any number of labels may hold at once.
    """

    record: Record
    labels: tuple[str, ...] = ()
    several: bool = False
    probabilities: Mapping[str, float] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)


def predict_records(
    model: Predictor,
    tokenizer: DNAGPTTokenizer,
    records: Iterable[Record],
    *,
    template: str | None = None,
    answers: Mapping[str, str] | None = None,
    truncation: Truncation | None = None,
    max_records: int = 64,
    max_tokens: int = 16_384,
) -> Iterator[Prediction]:
    """Predict a class, labels or numbers for each record of a stream, in its order.

    Args:
        model: [`DNAGPTForMultiTask`] or [`DNAGPTForSequenceClassification`].
        tokenizer: the model's tokenizer.
        records: any number of records; a bounded part of them is in memory.
        template:
            Text of the token language with columns in braces, such as `<R>{sequence}<=><B>`; one
            that ends in `<M>` asks [`DNAGPTForMultiTask`] for a number. For the other model
            `{sequence}` by default.
        answers:
            Label of each token that may follow, such as `{"A": "false", "N": "true"}`.
            Probabilities are those among these tokens. By default `config.id2label`, in which
            token ids are the keys. For [`DNAGPTForMultiTask`] only.
        truncation: `"left"` or `"right"` end at which too long a sequence is cut; by default such
            a sequence is an error.
        max_records: most records of a batch.
        max_tokens: most tokens of a batch, padding included.

    Raises:
        RecordError: a record cannot be read in the token language or is too long.
        ValueError: template and answers do not fit the model.

    Example:

        >>> from dnagpt_hf import DNAGPTTokenizer
        >>> from dnagpt_hf.presets import preset_config
        >>> model = DNAGPTForMultiTask(preset_config("dnagpt-test")).eval()
        >>> records = [Record({"sequence": "ACGTAC"}, "first", "a.fa", 1, 1)]
        >>> answers = {"A": "false", "N": "true"}
        >>> for prediction in predict_records(
        ...     model, DNAGPTTokenizer(), records, template="<R>{sequence}<=><B>", answers=answers
        ... ):
        ...     print(prediction.record.name, list(prediction.probabilities))
        first ['false', 'true']
    """
    filled = _template(model, template)
    if isinstance(model, DNAGPTForMultiTask):
        answer = _multi_task_answer(model, tokenizer, filled, answers)
    else:
        if answers is not None:
            raise ValueError(
                "answers are tokens, and this model has a classification head: its labels are "
                "those of config.id2label"
            )
        answer = _classification_answer(model)
    encoder = RecordEncoder(tokenizer, filled, model.config.max_position_embeddings, truncation)

    @torch.inference_mode()
    def predict(batch: list[EncodedRecord]) -> list[np.ndarray[Any, Any]]:
        inputs = padded_batch(batch, model.config.pad_token_id)
        outputs = answer.compute({name: value.to(model.device) for name, value in inputs.items()})
        return list(outputs.float().cpu().numpy())

    # evaluation mode is the caller's to set: a generator cannot set it back reliably
    rows = map_in_batches(
        predict, map(encoder, records), max_records=max_records, max_tokens=max_tokens
    )
    for encoded, scores in rows:
        if not np.isfinite(scores).all():
            raise encoded.record.error(
                "the model's output is not finite: its weights are damaged, or their data type "
                "is too narrow (--dtype float32)"
            )
        yield answer.read(encoded.record, scores)


@dataclass(frozen=True)
class _Answer:
    """How a batch is computed, (batch, scores), and how a row of scores is read."""

    compute: Callable[[dict[str, torch.Tensor]], torch.Tensor]
    read: Callable[[Record, np.ndarray[Any, Any]], Prediction]


def stated_labels(config: PreTrainedConfig) -> dict[int, str]:
    """The labels of a configuration, without those that Transformers makes up.

    Example:

        >>> from dnagpt_hf import DNAGPTConfig
        >>> stated_labels(DNAGPTConfig()), stated_labels(DNAGPTConfig(id2label={35: "false"}))
        ({}, {35: 'false'})
    """
    labels = {int(number): str(label) for number, label in (config.id2label or {}).items()}
    made_up = all(label == f"LABEL_{number}" for number, label in labels.items())
    return {} if made_up else labels


def answer_tokens(
    tokenizer: DNAGPTTokenizer, config: PreTrainedConfig, answers: Mapping[str, str] | None = None
) -> dict[int, str]:
    """Token ids and labels of the answers that are allowed.

    Args:
        tokenizer: the model's tokenizer.
        config: its configuration; `id2label` holds the answers if `answers` does not.
        answers: label of each token; `A` and `<A>` are the same token.

    Raises:
        ValueError: there are no answers, one of them is not a token, or two are the same.

    Example:

        >>> from dnagpt_hf import DNAGPTConfig, DNAGPTTokenizer
        >>> answer_tokens(DNAGPTTokenizer(), DNAGPTConfig(), {"<N>": "true", "<A>": "false"})
        {34: 'true', 35: 'false'}
    """
    if answers is None:
        named = stated_labels(config)
        if not named:
            raise ValueError(
                "the checkpoint does not say which tokens are answers: state them with answers "
                "(--answers A=false,N=true), or end the template in <M> for a number"
            )
        unknown = [token for token in named if not 0 <= token < tokenizer.number_token_id]
        if unknown:
            raise ValueError(f"config.id2label names token {unknown[0]}, which does not exist")
        return named
    tokens: dict[int, str] = {}
    for token, label in answers.items():
        ids = list(tokenizer(token)["input_ids"])
        if len(ids) != 1 or ids[0] in (tokenizer.number_token_id, tokenizer.pad_token_id):
            raise ValueError(f"answer {token!r} is {len(ids)} tokens: an answer is one token")
        if ids[0] in tokens or label in tokens.values():
            raise ValueError(f"answer {token}={label}: its token or its label stands twice")
        tokens[ids[0]] = label
    if not tokens:
        raise ValueError("there are no answers: state at least one token and its label")
    return tokens


def _template(model: Predictor, text: str | None) -> Template:
    if text is None and isinstance(model, DNAGPTForMultiTask):
        raise ValueError(
            "this model answers in the token language: state a template (--template) such as "
            "'<R>{sequence}<=><B>' for a class or '<R>{sequence}<=><M>' for a number"
        )
    return Template(DEFAULT_TEMPLATE if text is None else text)


def _multi_task_answer(
    model: DNAGPTForMultiTask,
    tokenizer: DNAGPTTokenizer,
    template: Template,
    answers: Mapping[str, str] | None,
) -> _Answer:
    if template.asks_for_number:
        if answers is not None:
            raise ValueError(
                f"template {template.text!r} ends in <M> and asks for a number, which has no "
                "answers to choose from: leave one of them out"
            )
        return _Answer(
            lambda inputs: model(**inputs, logits_to_keep=1, use_cache=False).number_predictions,
            lambda record, scores: _numbers(record, ["number"], scores),
        )
    labels = answer_tokens(tokenizer, model.config, answers)
    ids = list(labels)

    def compute(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        logits = model(**inputs, logits_to_keep=1, use_cache=False).logits
        return logits[:, -1, ids].float().softmax(-1)

    return _Answer(
        compute, lambda record, scores: _one_class(record, list(labels.values()), scores)
    )


def _classification_answer(model: DNAGPTForSequenceClassification) -> _Answer:
    config = model.config
    labels = [str(label) for _, label in sorted((config.id2label or {}).items())]
    problem = config.problem_type
    if problem is None:
        # as the model decides when it is trained
        problem = "regression" if len(labels) == 1 else "single_label_classification"
    if problem == "regression":
        names = ["number"] if len(labels) == 1 else labels
        return _Answer(
            lambda inputs: model(**inputs, use_cache=False).logits,
            lambda record, scores: _numbers(record, names, scores),
        )
    if problem == "multi_label_classification":
        return _Answer(
            lambda inputs: model(**inputs, use_cache=False).logits.float().sigmoid(),
            lambda record, scores: _several_labels(record, labels, scores),
        )
    return _Answer(
        lambda inputs: model(**inputs, use_cache=False).logits.float().softmax(-1),
        lambda record, scores: _one_class(record, labels, scores),
    )


def _one_class(record: Record, labels: list[str], scores: np.ndarray[Any, Any]) -> Prediction:
    label = labels[int(scores.argmax())]
    return Prediction(record, (label,), probabilities=_by_name(labels, scores))


def _several_labels(record: Record, labels: list[str], scores: np.ndarray[Any, Any]) -> Prediction:
    likely = tuple(label for label, score in zip(labels, scores, strict=True) if score > 0.5)
    return Prediction(record, likely, several=True, probabilities=_by_name(labels, scores))


def _numbers(record: Record, names: list[str], scores: np.ndarray[Any, Any]) -> Prediction:
    return Prediction(record, numbers=_by_name(names, scores))


def _by_name(names: list[str], scores: np.ndarray[Any, Any]) -> dict[str, float]:
    """Scores as the shortest decimals that stand for the same float32."""
    return {name: float(str(score)) for name, score in zip(names, scores, strict=True)}
