"""Prediction of classes and numbers for a stream of records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dnagpt_hf.inference.prediction_heads import (
    NO_TASK,
    Output,
    PredictionHead,
    Predictor,
    checkpoint_task,
    head_of,
    predict_scores,
    prediction_head,
)
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask, DNAGPTForSequenceClassification
from dnagpt_hf.records.reading import Record
from dnagpt_hf.tasks.encoding import RecordEncoder, Truncation
from dnagpt_hf.tasks.examples import prompt_encoder
from dnagpt_hf.tasks.task import Task
from dnagpt_hf.tasks.views import ViewChoice

if TYPE_CHECKING:
    import pandas
    from transformers import PreTrainedConfig

    from dnagpt_hf.modeling_dnagpt import DNAGPTPreTrainedModel
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

DEFAULT_TEMPLATE = "{sequence}"


@dataclass(frozen=True)
class AnswerPrediction:
    """The prediction for one answer of one record.

    Args:
        labels: the most probable class; of several labels, those with a probability above 0.5.
        multilabel: whether any number of labels may hold at once.
        probabilities: probability of each class or label; empty for numbers.
        numbers: predicted numbers by their names; empty for classes.
    """

    labels: tuple[str, ...] = ()
    multilabel: bool = False
    probabilities: Mapping[str, float] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Prediction:
    """The predictions of a model for one record.

    Args:
        record: the record.
        answers: a prediction for each answer of the task, by its column.
    """

    record: Record
    answers: Mapping[str, AnswerPrediction]

    @property
    def first(self) -> AnswerPrediction:
        """The prediction for the first answer, which for most tasks is the only one."""
        return next(iter(self.answers.values()))

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the first answer; empty for numbers."""
        return self.first.labels

    @property
    def probabilities(self) -> Mapping[str, float]:
        """Probabilities of the first answer; empty for numbers."""
        return self.first.probabilities

    @property
    def numbers(self) -> Mapping[str, float]:
        """Numbers of the first answer by their names; empty for classes."""
        return self.first.numbers

    def row(self, keep: Sequence[str] = ()) -> dict[str, Any]:
        """Lay the prediction out as a row of a table.

        Args:
            keep: columns of the record to repeat.

        Returns:
            `dict`: `name`, the columns to keep, and `predicted` with `probability`; where the task
            has several answers, each answer's column with `<column>_probability`.

        Raises:
            RecordError: the record lacks a column, or a prediction has its name.
        """
        record = self.record
        row: dict[str, Any] = {"name": record.name}
        for column in keep:
            if column not in record.values:
                raise record.error(
                    f"there is no column {column!r}, only {', '.join(record.values)}"
                )
            row[column] = record.values[column]
        single = len(self.answers) == 1
        for name, answer in self.answers.items():
            cells = _cells(
                answer,
                "predicted" if single else name,
                "probability" if single else f"{name}_probability",
            )
            if taken := set(cells) & set(row):
                raise record.error(
                    f"column {min(taken)!r} cannot be kept: a prediction has its name"
                )
            row |= cells
        return row


class Predictions(list[Prediction]):
    """List the predictions of a model, one for each record, in the order of the records.

    Example:

        >>> import dnagpt_hf
        >>> model = dnagpt_hf.load("dnagpt-tiny")
        >>> found = model.predict(["ACGT"], template="<R>{sequence}<=><M>")
        >>> found.to_pandas().columns.tolist()
        ['name', 'predicted']
    """

    def to_pandas(self, keep: Sequence[str] = ()) -> pandas.DataFrame:
        """Lay the predictions out as a table.

        Args:
            keep: columns of the records to repeat.

        Returns:
            `pandas.DataFrame`: `name`, the columns to keep, and for classes `predicted` and a
            column `probability_<label>` for each label; for a number `predicted`. Where a task has
            several answers, their columns take the place of `predicted`.
        """
        import pandas

        return pandas.json_normalize([one.row(keep) for one in self], sep="_")


def _cells(answer: AnswerPrediction, name: str, probability: str) -> dict[str, Any]:
    if answer.numbers:
        numbers = dict(answer.numbers)
        return {name: next(iter(numbers.values())) if len(numbers) == 1 else numbers}
    labels = list(answer.labels)
    return {
        name: labels if answer.multilabel else labels[0],
        probability: dict(answer.probabilities),
    }


def to_predictions(
    outputs: Sequence[Output], scores: np.ndarray[Any, Any]
) -> dict[str, AnswerPrediction]:
    """Turn the scores of one record, `(scores,)`, into predictions by the columns of the answers.

    Several numbers without a class beside them are one prediction, under the first column.
    """
    predictions: dict[str, AnswerPrediction] = {}
    rows = np.split(scores, np.cumsum([output.width for output in outputs])[:-1])
    for output, row in zip(outputs, rows, strict=True):
        # the shortest decimals that stand for the same float32
        decimals = map(float, map(str, row))
        by_name = dict(zip(output.labels or (output.name,), decimals, strict=True))
        if not output.labels:
            predictions[output.name] = AnswerPrediction(numbers=by_name)
        elif output.multilabel:
            likely = tuple(label for label, score in by_name.items() if score > 0.5)
            predictions[output.name] = AnswerPrediction(likely, True, by_name)
        else:
            best = output.labels[int(row.argmax())]
            predictions[output.name] = AnswerPrediction((best,), False, by_name)
    if all(one.numbers for one in predictions.values()):
        numbers = {
            name: value for one in predictions.values() for name, value in one.numbers.items()
        }
        return {outputs[0].name: AnswerPrediction(numbers=numbers)}
    return predictions


def predict_records(
    model: Predictor,
    tokenizer: DNAGPTTokenizer,
    records: Iterable[Record],
    *,
    task: Task | None = None,
    template: str | None = None,
    answers: Mapping[str, str] | None = None,
    truncation: Truncation | None = None,
    views: ViewChoice = None,
    max_records: int = 64,
    max_tokens: int = 16_384,
) -> Iterator[Prediction]:
    """Predict classes, labels or numbers for each record of a stream, in its order.

    The model is in evaluation mode, and a bounded number of records is in memory. Further arguments
    are those of [`~dnagpt_hf.LoadedModel.iter_predictions`].

    Args:
        model: [`DNAGPTForMultiTask`] or [`DNAGPTForSequenceClassification`].
        tokenizer: the model's tokenizer.
        records: any number of records.

    Raises:
        RecordError: a record cannot be read in the token language or is too long.
        ValueError: template and answers do not fit the model.
    """
    head = resolve_head(model, tokenizer, task, template, answers)
    encoder = encoder_of(model, tokenizer, head.task, truncation, views)
    for encoded, scores in predict_scores(
        head, map(encoder.in_views, records), max_records=max_records, max_tokens=max_tokens
    ):
        yield Prediction(encoded.record, to_predictions(head.outputs, scores))


def resolve_head(
    model: Predictor,
    tokenizer: DNAGPTTokenizer,
    task: Task | None,
    template: str | None,
    answers: Mapping[str, str] | None,
) -> PredictionHead:
    """Resolve the task of a prediction, and choose the model's head for it.

    Arguments are those of [`predict_records`].

    Raises:
        ValueError: template and answers do not fit the model.
    """
    if answers is not None and isinstance(model, DNAGPTForSequenceClassification):
        raise ValueError(
            "answers are tokens, and this model has a classification head: its labels are "
            "those of config.id2label"
        )
    task = task if task is not None else resolve_task(model.config, template, answers)
    return prediction_head(model, tokenizer, task)


def encoder_of(
    model: DNAGPTPreTrainedModel,
    tokenizer: DNAGPTTokenizer,
    task: Task | None,
    truncation: Truncation | None = None,
    views: ViewChoice = None,
) -> RecordEncoder:
    """Make the encoder of a model's prompts for a task.

    Args:
        model: any DNAGPT model. One with a classification head reads the template up to `<=>`.
        tokenizer: the model's tokenizer.
        task: template and preparation of columns; without a task, `{sequence}` is read.
        truncation: end at which too long a sequence is cut; by default it is an error.
        views: `"first"`, or phases and strands; by default those of the task.

    Raises:
        ValueError: the model answers in the token language, and there is no task.
    """
    if task is None and isinstance(model, DNAGPTForMultiTask):
        raise ValueError(NO_TASK)
    return prompt_encoder(
        (task or Task(DEFAULT_TEMPLATE)).with_views(views),
        tokenizer,
        head=head_of(model),
        max_length=model.config.max_position_embeddings,
        truncation=truncation,
    )


def resolve_task(
    config: PreTrainedConfig, template: str | None, answers: Mapping[str, str] | None
) -> Task | None:
    """Combine the task of a checkpoint with a template and answers that were stated.

    A stated template keeps the checkpoint's answers, its views, and the preparation of the columns
    that both name.
    One with other columns in place of prepared ones would lose their preparation without a word.

    Args:
        config: configuration of the checkpoint.
        template: text of the token language with columns in braces, if one is stated.
        answers: label of each token, if they are stated.

    Returns:
        The task; `None` if neither the template nor the checkpoint states one.

    Raises:
        ValueError: template and answers do not fit each other, or a preparation would be lost.
    """
    trained = checkpoint_task(config)
    if template is None:
        if trained is None or answers is None:
            return trained
        template = trained.template
    task = Task(template, answers=dict(answers or {}))
    if trained is None:
        return task
    prepared = {**trained.sequences, **trained.transforms}
    for now, before in zip(_columns(task), _columns(trained), strict=True):
        lost = [column for column in before if column in prepared and column not in now]
        others = [column for column in now if column not in before]
        if lost and others:
            raise ValueError(
                f"template {task.template!r} reads {others[0]!r} in place of {lost[0]!r}, whose "
                "preparation by the checkpoint's task would be lost: keep the columns of "
                f"{trained.template!r} and rename that of the data (--columns "
                f"{lost[0]}={others[0]})"
            )
    columns = {*task.prompt.columns, *(answer.column for answer in task.answer_list)}
    if answers is None:
        known = {
            answer.column: answer.tokens
            for answer in trained.answer_list
            if answer.tokens and answer.column in columns
        }
        task = replace(task, answers=known)
    return replace(
        task,
        sequences={name: cut for name, cut in trained.sequences.items() if name in columns},
        transforms={name: one for name, one in trained.transforms.items() if name in columns},
        standardization=trained.standardization,
        positive=trained.positive,
        views=trained.views if task.has_sequence else task.views,
    )


def _columns(task: Task) -> tuple[list[str], list[str]]:
    """List the columns of the input, and those of the answers that the template names."""
    answers = [answer.column for answer in task.answer_list] if task.is_answered else []
    return list(task.prompt.columns), answers
