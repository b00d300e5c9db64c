"""Scores of a batch of records: probabilities of classes, and numbers.

A [`DNAGPTForMultiTask`] answers in the token language: its prompt ends where a token or a number
follows (paper, Fig. 2b), and each further answer is read after those before it. A
[`DNAGPTForSequenceClassification`] has a head over the whole record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dnagpt_hf.inference.batching import Views, check_finite, map_in_batches, padded_views
from dnagpt_hf.modeling_dnagpt import (
    CACHE_NAME,
    DNAGPTForMultiTask,
    DNAGPTForSequenceClassification,
)
from dnagpt_hf.tasks.encoding import EncodedRecord
from dnagpt_hf.tasks.examples import gaps_between_answers
from dnagpt_hf.tasks.task import Head, Task

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
    """One output of a prediction head.

    Args:
        name: the column that it predicts.
        labels: its classes or labels; empty for a number.
        multilabel: whether any number of labels may hold at once.
    """

    name: str
    labels: tuple[str, ...] = ()
    multilabel: bool = False

    @property
    def width(self) -> int:
        """Count its scores: a probability for each label, or one number."""
        return max(1, len(self.labels))


class LanguageHead:
    """Predictions in the token language, by a model with both heads.

    Args:
        model: the model.
        tokenizer: its tokenizer.
        task: the template and its answers; where it names no tokens, `config.id2label` does.

    Raises:
        ValueError: an answer is no token, or neither task nor configuration names the answers.
    """

    def __init__(self, model: DNAGPTForMultiTask, tokenizer: DNAGPTTokenizer, task: Task) -> None:
        self.model = model
        self.task = task
        self.tokens = [
            {} if answer.is_number else answer_tokens(tokenizer, model.config, answer.tokens)
            for answer in task.answer_list
        ]
        self.gaps = gaps_between_answers(task, tokenizer)
        self.scales = task.answer_scales
        self.outputs = [
            Output(
                "number" if answer.column == "answer" and answer.is_number else answer.column,
                tuple(tokens.values()),
            )
            for answer, tokens in zip(task.answer_list, self.tokens, strict=True)
        ]

    def raw(self, index: int, **inputs: torch.Tensor) -> torch.Tensor:
        """Compute the logits of one answer, `(batch, labels)`, or its number, `(batch, 1)`."""
        return self._raw(index, self.model(**inputs, use_cache=False, logits_to_keep=1))

    def _raw(self, index: int, outputs: Any) -> torch.Tensor:
        # float32, since a softmax in half precision loses small probabilities
        if self.tokens[index]:
            return outputs.logits[:, -1, list(self.tokens[index])].float()
        mean, deviation = self.scales[index]
        return outputs.number_predictions[:, -1:].float() * deviation + mean

    def scores(self, inputs: Inputs, views: int = 1) -> torch.Tensor:
        """Predict all answers of a batch.

        Args:
            inputs: prompts padded on the left, `(records · views, length)` each.
            views: number of views of each record, which follow each other. Logits and numbers are
                averaged over them, and all go on with that answer.

        Returns:
            Float32 `(records, scores)`: probabilities, and numbers on the scale of the data.
        """
        scores: list[torch.Tensor] = []
        several, cache = len(self.outputs) > 1, None
        for index, tokens in enumerate(self.tokens):
            outputs = self.model(
                **inputs, logits_to_keep=1, use_cache=several, **{CACHE_NAME: cache}
            )
            raw = mean_of_views(self._raw(index, outputs), views)
            scores.append(raw.softmax(-1) if tokens else raw)
            if index + 1 < len(self.tokens):
                cache = outputs[CACHE_NAME]
                ids = torch.tensor(list(tokens) or [self.model.config.number_token_id])
                chosen = ids.to(raw.device)[raw.argmax(-1)]
                value = torch.zeros_like(raw[:, 0])
                if not tokens:
                    value = mean_of_views(outputs.number_predictions[:, -1].float(), views)
                chosen, value = chosen.repeat_interleave(views), value.repeat_interleave(views)
                inputs = self._continued(inputs, chosen, value, self.gaps[index + 1])
        return torch.cat(scores, dim=-1)

    def _continued(
        self, inputs: Inputs, chosen: torch.Tensor, value: torch.Tensor, gap: list[int]
    ) -> Inputs:
        """Append an answer and the text before the next one to the cached prompt."""
        behind = torch.tensor(gap, dtype=torch.long, device=chosen.device)
        ids = torch.cat([chosen[:, None], behind.expand(len(chosen), -1)], dim=1)
        values = torch.zeros_like(ids, dtype=torch.float32)
        values[:, 0] = value
        mask = torch.cat([inputs["attention_mask"], torch.ones_like(ids)], dim=1)
        return {"input_ids": ids, "attention_mask": mask, "number_values": values}


class ClassificationHead:
    """Predictions of a classification head: a class, any of several labels, or numbers.

    Args:
        model: the model; `config.problem_type` and `config.id2label` name its outputs.
        task: the task of its training, by whose standardization numbers are put back.
    """

    def __init__(self, model: DNAGPTForSequenceClassification, task: Task | None = None) -> None:
        self.model = model
        config = model.config
        labels = tuple(str(label) for _, label in sorted((config.id2label or {}).items()))
        self.problem = config.problem_type or (
            # the rule by which the model chooses its loss
            "regression" if len(labels) == 1 else "single_label_classification"
        )
        columns = [] if task is None else [answer.column for answer in task.answer_list]
        if self.problem == "regression":
            names = labels if len(labels) > 1 or stated_labels(config) else ("number",)
            self.outputs = [Output(name) for name in names]
            scales = [] if task is None else task.answer_scales
            self.scales = scales if len(scales) == len(names) else [(0.0, 1.0)] * len(names)
        else:
            multilabel = self.problem == "multi_label_classification"
            name = columns[0] if columns and not multilabel else "answer"
            self.outputs = [Output(name, labels, multilabel)]
        self.task = None if task is None else self._with_own_classes(task)

    def raw(self, index: int, **inputs: torch.Tensor) -> torch.Tensor:
        """Compute all logits, `(batch, labels)`, or the number of an index, `(batch, 1)`."""
        raw = self._raw(inputs)
        return raw[:, index : index + 1] if self.problem == "regression" else raw

    def _raw(self, inputs: Inputs) -> torch.Tensor:
        logits: torch.Tensor = self.model(**inputs, use_cache=False).logits.float()
        if self.problem == "regression":
            means, deviations = torch.tensor(self.scales, device=logits.device).T
            return logits * deviations + means
        return logits

    def scores(self, inputs: Inputs, views: int = 1) -> torch.Tensor:
        """Predict a batch: probabilities or numbers put back, `(records, labels)`.

        Arguments are those of [`LanguageHead.scores`].
        """
        raw = mean_of_views(self._raw(inputs), views)
        if self.problem == "regression":
            return raw
        return raw.sigmoid() if self.outputs[0].multilabel else raw.softmax(-1)

    def _with_own_classes(self, task: Task) -> Task:
        """Give a task the classes that `config.id2label` names, in the order of the ids."""
        labels = self.outputs[0].labels
        answer, *others = task.answer_list
        if others or answer.is_number or not labels:
            return task
        tokens = {label: token for token, label in answer.tokens.items()}
        if set(tokens) != set(labels):
            # a head answers without tokens, and numbers stand in for them
            tokens = {label: f"<{number}>" for number, label in enumerate(labels)}
        return replace(task, answers={answer.column: {tokens[label]: label for label in labels}})


PredictionHead = LanguageHead | ClassificationHead


def mean_of_views(values: torch.Tensor, views: int) -> torch.Tensor:
    """Average over the views of each record, `(records · views, …)` to `(records, …)`."""
    return values if views == 1 else values.unflatten(0, (-1, views)).mean(1)


def head_of(model: Any) -> Head:
    """Name the kind of head by which a model answers."""
    return "classification" if isinstance(model, DNAGPTForSequenceClassification) else "language"


def prediction_head(
    model: Predictor, tokenizer: DNAGPTTokenizer, task: Task | None
) -> PredictionHead:
    """Choose the prediction head of a model for a task.

    Raises:
        ValueError: the model has no head, or it answers in the token language and there is no task.
    """
    if isinstance(model, DNAGPTForSequenceClassification):
        return ClassificationHead(model, task)
    if not isinstance(model, DNAGPTForMultiTask):
        raise ValueError("a DNAGPTModel has no head to predict with: load a model with heads")
    if task is None:
        raise ValueError(NO_TASK)
    return LanguageHead(model, tokenizer, task)


def predict_scores(
    head: PredictionHead,
    records: Iterable[Views],
    *,
    max_records: int = 64,
    max_tokens: int = 16_384,
) -> Iterator[tuple[EncodedRecord, np.ndarray[Any, Any]]]:
    """Predict the records of a stream, in batches of similar lengths; results keep the order.

    Args:
        head: the prediction head. The caller sets evaluation mode, since a generator cannot
            restore it reliably.
        records: prompts of records in all their views, of which all have as many; a bounded number
            is in memory.
        max_records: most records of a batch, each as often as it has views.
        max_tokens: most tokens of a batch, padding included.

    Yields:
        Each record and its scores, float32 `(scores,)`.

    Raises:
        RecordError: a score is not finite.
    """
    model = head.model

    @torch.inference_mode()
    def predict(batch: list[Views]) -> list[np.ndarray[Any, Any]]:
        inputs = padded_views(batch, model.config.pad_token_id)
        inputs = {name: value.to(model.device) for name, value in inputs.items()}
        scores = head.scores(inputs, len(batch[0]))
        return list(scores.float().cpu().numpy())

    for encoded, scores in map_in_batches(
        predict, records, max_records=max_records, max_tokens=max_tokens
    ):
        check_finite(encoded.record, scores)
        yield encoded, scores


def checkpoint_task(config: PreTrainedConfig) -> Task | None:
    """Read the task that a checkpoint was trained for, if its configuration has one."""
    return Task.from_dict(config.task) if config.task else None


def stated_labels(config: PreTrainedConfig) -> dict[int, str]:
    """List the labels of a configuration, without the `LABEL_0`, … that Transformers makes up.

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
    """List token ids and labels of the allowed answers.

    Args:
        tokenizer: the model's tokenizer.
        config: its configuration; `id2label` names the answers where `answers` names none.
        answers: label of each token; `A` and `<A>` are the same token.

    Raises:
        ValueError: there are no answers, one of them is not a token, or two are the same.

    Example:

        >>> from dnagpt_hf import DNAGPTConfig, DNAGPTTokenizer
        >>> answer_tokens(DNAGPTTokenizer(), DNAGPTConfig(), {"<N>": "true", "<A>": "false"})
        {34: 'true', 35: 'false'}
    """
    if answers:
        return token_ids(tokenizer, answers)
    named = stated_labels(config)
    if not named:
        raise ValueError(
            "the checkpoint does not name the tokens that are answers: state them with answers "
            "(--answers A=false,N=true), or end the template in <M> for a number"
        )
    unknown = [token for token in named if not 0 <= token < tokenizer.number_token_id]
    if unknown:
        raise ValueError(f"config.id2label names token {unknown[0]}, which does not exist")
    return named


def token_ids(tokenizer: DNAGPTTokenizer, answers: Mapping[str, str]) -> dict[int, str]:
    """Map the id of each answer's token to its label.

    Raises:
        ValueError: an answer is not one token, or a token or label stands twice.
    """
    tokens: dict[int, str] = {}
    for token, label in answers.items():
        ids = list(tokenizer(token)["input_ids"])
        if len(ids) != 1 or ids[0] in (tokenizer.number_token_id, tokenizer.pad_token_id):
            raise ValueError(f"answer {token!r} is {len(ids)} tokens: an answer is one token")
        if ids[0] in tokens or label in tokens.values():
            raise ValueError(f"answer {token}={label}: its token or its label stands twice")
        tokens[ids[0]] = label
    return tokens
