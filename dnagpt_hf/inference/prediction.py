"""Prediction of classes and numbers for a stream of records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dnagpt_hf.inference.prediction_heads import (
    NO_TASK,
    AnswerPrediction,
    ClassificationHead,
    PredictionHead,
    Predictor,
    checkpoint_task,
    predict_scores,
    prediction_head,
    to_predictions,
)
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask, DNAGPTForSequenceClassification
from dnagpt_hf.records.encoding import RecordEncoder, Truncation
from dnagpt_hf.records.reading import Record
from dnagpt_hf.tasks.examples import prompt_length
from dnagpt_hf.tasks.task import Task

if TYPE_CHECKING:
    import pandas
    from transformers import PreTrainedConfig

    from dnagpt_hf.modeling_dnagpt import DNAGPTPreTrainedModel
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

DEFAULT_TEMPLATE = "{sequence}"


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


def predict_records(
    model: Predictor,
    tokenizer: DNAGPTTokenizer,
    records: Iterable[Record],
    *,
    task: Task | None = None,
    template: str | None = None,
    answers: Mapping[str, str] | None = None,
    truncation: Truncation | None = None,
    max_records: int = 64,
    max_tokens: int = 16_384,
) -> Iterator[Prediction]:
    """Predict classes, labels or numbers for each record of a stream, in its order.

    Args:
        model: [`DNAGPTForMultiTask`] or [`DNAGPTForSequenceClassification`].
        tokenizer: the model's tokenizer.
        records: any number of records; a bounded number of them is in memory.
        task: template and answers; by default the task of the checkpoint (`config.task`).
        template:
            In place of a task: text of the token language with columns in braces, such as
            `<R>{sequence}<=><B>`; one that ends in `<M>` asks [`DNAGPTForMultiTask`] for a number.
            A model with a classification head and no task reads `{sequence}`.
        answers:
            Label of each token that may follow, such as `{"A": "false", "N": "true"}`.
            Probabilities are those among these tokens. By default those of the task, or
            `config.id2label`, in which token ids are the keys. For [`DNAGPTForMultiTask`] only.
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
    resolved, head = resolve_head(model, tokenizer, task, template, answers)
    encoder = prompt_encoder(model, tokenizer, resolved, truncation)
    names = [output.name for output in head.outputs]
    for encoded, scores in predict_scores(
        head, map(encoder, records), max_records=max_records, max_tokens=max_tokens
    ):
        predictions = to_predictions(head.outputs, scores)
        yield Prediction(encoded.record, dict(zip(names, predictions, strict=False)))


def resolve_head(
    model: Predictor,
    tokenizer: DNAGPTTokenizer,
    task: Task | None,
    template: str | None,
    answers: Mapping[str, str] | None,
) -> tuple[Task | None, PredictionHead]:
    """Resolve the task of a prediction and the model's head for it.

    Arguments are those of [`predict_records`]. Classes of a classification head are those of
    `config.id2label`, in the order of the ids.

    Raises:
        ValueError: template and answers do not fit the model.
    """
    if answers is not None and isinstance(model, DNAGPTForSequenceClassification):
        raise ValueError(
            "answers are tokens, and this model has a classification head: its labels are "
            "those of config.id2label"
        )
    resolved = task if task is not None else resolve_task(model.config, template, answers)
    head = prediction_head(model, tokenizer, resolved)
    if resolved is not None and isinstance(head, ClassificationHead):
        resolved = _with_classes_of_head(resolved, head)
    return resolved, head


def _with_classes_of_head(task: Task, head: ClassificationHead) -> Task:
    """Give a task the classes of a head, which `config.id2label` names in the order of the ids."""
    labels = head.outputs[0].labels
    if len(task.answer_list) > 1 or task.answer_list[0].is_number or not labels:
        return task
    answer = task.answer_list[0]
    tokens = {label: token for token, label in answer.tokens.items()}
    if set(tokens) != set(labels):
        # a head answers without tokens, and numbers stand in for them
        tokens = {label: f"<{number}>" for number, label in enumerate(labels)}
    return replace(task, answers={answer.column: {tokens[label]: label for label in labels}})


def prompt_encoder(
    model: DNAGPTPreTrainedModel,
    tokenizer: DNAGPTTokenizer,
    task: Task | None,
    truncation: Truncation | None = None,
) -> RecordEncoder:
    """Make the encoder of a model's prompts for a task.

    Args:
        model: any DNAGPT model. One with a classification head reads the template up to `<=>`.
        tokenizer: the model's tokenizer.
        task: template and preparation of columns; without a task, `{sequence}` is read.
        truncation: end at which too long a sequence is cut; by default it is an error.

    Raises:
        ValueError: the model answers in the token language, and there is no task.
    """
    positions = model.config.max_position_embeddings
    if isinstance(model, DNAGPTForMultiTask):
        if task is None:
            raise ValueError(NO_TASK)
        positions = prompt_length(task, tokenizer, positions)
    resolved = Task(DEFAULT_TEMPLATE) if task is None else task
    has_head = isinstance(model, DNAGPTForSequenceClassification)
    read = resolved.input if has_head else resolved.prompt
    return RecordEncoder(
        tokenizer,
        read,
        positions,
        truncation,
        # the numbers that are to be predicted may be missing
        partial(resolved.prepare, columns=read.columns),
        resolved.input_standardization,
    )


def resolve_task(
    config: PreTrainedConfig, template: str | None, answers: Mapping[str, str] | None
) -> Task | None:
    """Combine the task of a checkpoint with a template and answers that were stated.

    A stated template keeps the checkpoint's answers and preparation of the columns that both name.
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
    _check_prepared_columns(task, trained)
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
    )


def _check_prepared_columns(task: Task, trained: Task) -> None:
    """Refuse a template with another column in place of one that the trained task prepares."""
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


def _columns(task: Task) -> tuple[list[str], list[str]]:
    """List the columns of the input, and those of the answers that the template names."""
    answers = [answer.column for answer in task.answer_list] if task.is_answered else []
    return list(task.prompt.columns), answers
