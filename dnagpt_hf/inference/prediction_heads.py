"""How a model answers a batch of records, and how its scores are read.

A [`DNAGPTForMultiTask`] answers in the token language: its prompt ends where a token or a number is
to follow (paper, Fig. 2b), and each further answer is given after those before it. A
[`DNAGPTForSequenceClassification`] has a head over the whole record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dnagpt_hf.inference.batching import map_in_batches, padded_batch
from dnagpt_hf.modeling_dnagpt import (
    CACHE_NAME,
    DNAGPTForMultiTask,
    DNAGPTForSequenceClassification,
)
from dnagpt_hf.records.encoding import EncodedRecord
from dnagpt_hf.tasks.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

Predictor = DNAGPTForMultiTask | DNAGPTForSequenceClassification
Inputs = dict[str, torch.Tensor]
NO_TASK = (
    "this model answers in the token language: state a template (--template) such as "
    "'<R>{sequence}<=><B>' for a class or '<R>{sequence}<=><M>' for a number"
)


@dataclass(frozen=True)
class Output:
    """One thing that a model says of a record.

    Args:
        name: the column that it stands for.
        labels: its classes or labels; empty for a number.
        several: whether any number of labels may hold at once.
    """

    name: str
    labels: tuple[str, ...] = ()
    several: bool = False

    @property
    def width(self) -> int:
        """How many scores it has: a probability for each label, or one number."""
        return max(1, len(self.labels))


@dataclass(frozen=True)
class AnswerPrediction:
    """What a model says of one record in one respect.

    Args:
        labels: the most probable class, or, of several labels, those more probable than not.
        several: whether any number of labels may hold at once.
        probabilities: probability of each class or label; empty for numbers.
        numbers: predicted numbers by their names; empty for classes.
    """

    labels: tuple[str, ...] = ()
    several: bool = False
    probabilities: Mapping[str, float] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)


class LanguageHead:
    """Answers in the token language, by a model with both heads.

    Args:
        model: the model.
        tokenizer: its tokenizer.
        task: what is asked; where its answers name no tokens, `config.id2label` does.

    Raises:
        ValueError: an answer is no token, or nothing says which tokens are answers.
    """

    def __init__(self, model: DNAGPTForMultiTask, tokenizer: DNAGPTTokenizer, task: Task) -> None:
        self.model = model
        answers = task.answer_list
        self.tokens = [
            {}
            if answer.is_number
            else answer_tokens(tokenizer, model.config, answer.tokens or None)
            for answer in answers
        ]
        # ids of what stands between an answer and the next
        self.between = [
            [int(token) for token in tokenizer(answer.before.strip())["input_ids"]]
            if answer.before.strip()
            else []
            for answer in answers
        ]
        self.outputs = [
            Output(
                "number" if answer.column == "answer" and answer.is_number else answer.column,
                tuple(tokens.values()),
            )
            for answer, tokens in zip(answers, self.tokens, strict=True)
        ]
        self.scales = task.answer_scales

    def scores(self, inputs: Inputs) -> torch.Tensor:
        """Scores of all answers, `(batch, scores)`: probabilities, and numbers put back.

        Args:
            inputs: prompts padded on the left, `(batch, length)` each.
        """
        scores: list[torch.Tensor] = []
        several, cache = len(self.outputs) > 1, None
        for place, tokens in enumerate(self.tokens):
            outputs = self.model(
                **inputs, logits_to_keep=1, use_cache=several, past_key_values=cache
            )
            if tokens:
                ids = torch.tensor(list(tokens), device=outputs.logits.device)
                answer = outputs.logits[:, -1, ids].float().softmax(-1)
                chosen, value = ids[answer.argmax(-1)], torch.zeros(len(answer), device=ids.device)
                scores.append(answer)
            else:
                value = outputs.number_predictions[:, -1].float()
                chosen = torch.full_like(value, self.model.config.number_token_id, dtype=torch.long)
                mean, deviation = self.scales[place]
                scores.append((value * deviation + mean)[:, None])
            if place + 1 < len(self.tokens):
                cache = outputs[CACHE_NAME]
                inputs = self._next(inputs, chosen, value, self.between[place + 1])
        return torch.cat(scores, dim=-1)

    def _next(
        self, inputs: Inputs, chosen: torch.Tensor, value: torch.Tensor, between: list[int]
    ) -> Inputs:
        """The answer and what leads to the next one, behind what is in the cache."""
        behind = torch.tensor(between, dtype=torch.long, device=chosen.device)
        ids = torch.cat([chosen[:, None], behind.expand(len(chosen), -1)], dim=1)
        values = torch.zeros_like(ids, dtype=torch.float32)
        values[:, 0] = value
        mask = torch.cat([inputs["attention_mask"], torch.ones_like(ids)], dim=1)
        return {"input_ids": ids, "attention_mask": mask, "number_values": values}


class ClassificationHead:
    """Answers of a classification head: a class, any of several labels, or numbers.

    Args:
        model: the model; `config.problem_type` and `config.id2label` say what it answers.
        task: what it was trained for, by whose standardisation numbers are put back.
    """

    def __init__(self, model: DNAGPTForSequenceClassification, task: Task | None = None) -> None:
        self.model = model
        config = model.config
        labels = tuple(str(label) for _, label in sorted((config.id2label or {}).items()))
        self.problem = config.problem_type or (
            # as the model decides when it is trained
            "regression" if len(labels) == 1 else "single_label_classification"
        )
        trained = [] if task is None else [answer.column for answer in task.answer_list]
        if self.problem == "regression":
            names = labels if len(labels) > 1 or stated_labels(config) else ("number",)
            self.outputs = [Output(name) for name in names]
            scales = [] if task is None else list(task.answer_scales)
            self.scales = scales if len(scales) == len(names) else [(0.0, 1.0)] * len(names)
        else:
            several = self.problem == "multi_label_classification"
            name = trained[0] if trained and not several else "answer"
            self.outputs = [Output(name, labels, several)]

    def scores(self, inputs: Inputs) -> torch.Tensor:
        """Probabilities, or numbers put back, `(batch, labels)`."""
        logits = self.model(**inputs, use_cache=False).logits.float()
        if self.problem == "regression":
            means, deviations = torch.tensor(self.scales, device=logits.device).T
            return logits * deviations + means
        if self.problem == "multi_label_classification":
            return logits.sigmoid()
        return logits.softmax(-1)


PredictionHead = LanguageHead | ClassificationHead


def prediction_head(
    model: Predictor, tokenizer: DNAGPTTokenizer, task: Task | None
) -> PredictionHead:
    """How a model answers a task.

    Raises:
        ValueError: the model answers in the token language and there is no task.
    """
    if isinstance(model, DNAGPTForSequenceClassification):
        return ClassificationHead(model, task)
    if task is None:
        raise ValueError(NO_TASK)
    return LanguageHead(model, tokenizer, task)


def score_records(
    answers: PredictionHead,
    records: Iterable[EncodedRecord],
    *,
    max_records: int = 64,
    max_tokens: int = 16_384,
) -> Iterator[tuple[EncodedRecord, np.ndarray[Any, Any]]]:
    """Ask for each record of a stream, in batches of similar lengths; results keep the order.

    Args:
        answers: how the model answers. Evaluation mode is the caller's to set: a generator cannot
            set it back reliably.
        records: prompts; a bounded part of them is in memory.
        max_records: most records of a batch.
        max_tokens: most tokens of a batch, padding included.

    Yields:
        Each record and its scores, float32, `(scores,)`.

    Raises:
        RecordError: a score is not finite.
    """
    model = answers.model

    @torch.inference_mode()
    def ask(batch: list[EncodedRecord]) -> list[np.ndarray[Any, Any]]:
        inputs = padded_batch(batch, model.config.pad_token_id)
        scores = answers.scores({name: value.to(model.device) for name, value in inputs.items()})
        return list(scores.float().cpu().numpy())

    for encoded, scores in map_in_batches(
        ask, records, max_records=max_records, max_tokens=max_tokens
    ):
        if not np.isfinite(scores).all():
            raise encoded.record.error(
                "the model's output is not finite: its weights are damaged, or their data type "
                "is too narrow (--dtype float32)"
            )
        yield encoded, scores


def to_predictions(
    outputs: list[Output], scores: np.ndarray[Any, Any]
) -> tuple[AnswerPrediction, ...]:
    """What the scores of one record say, `(scores,)`; numbers of a head are one answer."""
    answered: list[AnswerPrediction] = []
    start = 0
    for output in outputs:
        row = scores[start : start + output.width]
        start += output.width
        by_name = _by_name(output.labels or (output.name,), row)
        if not output.labels:
            answered.append(AnswerPrediction(numbers=by_name))
        elif output.several:
            likely = tuple(label for label, score in by_name.items() if score > 0.5)
            answered.append(AnswerPrediction(likely, True, by_name))
        else:
            answered.append(AnswerPrediction((output.labels[int(row.argmax())],), False, by_name))
    if len(answered) > 1 and all(answer.numbers for answer in answered):
        numbers = {name: value for one in answered for name, value in one.numbers.items()}
        return (AnswerPrediction(numbers=numbers),)
    return tuple(answered)


def checkpoint_task(config: PreTrainedConfig) -> Task | None:
    """What a checkpoint was trained for, if it says so."""
    return Task.from_dict(config.task) if config.task else None


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
    return token_ids(tokenizer, answers)


def token_ids(tokenizer: DNAGPTTokenizer, answers: Mapping[str, str]) -> dict[int, str]:
    """Id of each answer's token, and its label.

    Raises:
        ValueError: there are no answers, one of them is not a token, or two are the same.
    """
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


def _by_name(names: tuple[str, ...], scores: np.ndarray[Any, Any]) -> dict[str, float]:
    """Scores as the shortest decimals that stand for the same float32."""
    return {name: float(str(score)) for name, score in zip(names, scores, strict=True)}
