"""Classes and numbers that a model answers for the records of a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dnagpt_hf.inference.prediction_heads import (
    NO_TASK,
    AnswerPrediction,
    PredictionHead,
    Predictor,
    checkpoint_task,
    prediction_head,
    score_records,
    to_predictions,
)
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask, DNAGPTForSequenceClassification
from dnagpt_hf.records.encoding import RecordEncoder, Truncation
from dnagpt_hf.records.reading import Record
from dnagpt_hf.tasks.examples import prompt_positions
from dnagpt_hf.tasks.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from dnagpt_hf.modeling_dnagpt import DNAGPTPreTrainedModel
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

DEFAULT_TEMPLATE = "{sequence}"


@dataclass(frozen=True)
class Prediction:
    """What a model answers for one record.

    Args:
        record: the record.
        answers: what it says, by the columns of the task's answers.
    """

    record: Record
    answers: Mapping[str, AnswerPrediction]

    @property
    def first(self) -> AnswerPrediction:
        """The first answer, which for most tasks is the only one."""
        return next(iter(self.answers.values()))

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the first answer."""
        return self.first.labels

    @property
    def several(self) -> bool:
        """Whether any number of labels of the first answer may hold at once."""
        return self.first.several

    @property
    def probabilities(self) -> Mapping[str, float]:
        """Probabilities of the first answer; empty for numbers."""
        return self.first.probabilities

    @property
    def numbers(self) -> Mapping[str, float]:
        """Numbers of the first answer by their names; empty for classes."""
        return self.first.numbers


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
        records: any number of records; a bounded part of them is in memory.
        task: what is asked; by default what the checkpoint was trained for (`config.task`).
        template:
            In place of a task: text of the token language with columns in braces, such as
            `<R>{sequence}<=><B>`; one that ends in `<M>` asks [`DNAGPTForMultiTask`] for a number.
            For the other model `{sequence}` where it has no task.
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
    asked, answering = resolve_head(model, tokenizer, task, template, answers)
    encoder = prompt_encoder(model, tokenizer, asked, truncation)

    names = [output.name for output in answering.outputs]
    for encoded, scores in score_records(
        answering, map(encoder, records), max_records=max_records, max_tokens=max_tokens
    ):
        answered = to_predictions(answering.outputs, scores)
        yield Prediction(encoded.record, dict(zip(names, answered, strict=False)))


def resolve_head(
    model: Predictor,
    tokenizer: DNAGPTTokenizer,
    task: Task | None,
    template: str | None,
    answers: Mapping[str, str] | None,
) -> tuple[Task | None, PredictionHead]:
    """What is asked, and how the model answers it; arguments are those of [`predict_records`].

    Raises:
        ValueError: template and answers do not fit the model.
    """
    if answers is not None and not isinstance(model, DNAGPTForMultiTask):
        raise ValueError(
            "answers are tokens, and this model has a classification head: its labels are "
            "those of config.id2label"
        )
    asked = task if task is not None else resolve_task(model.config, template, answers)
    return asked, prediction_head(model, tokenizer, asked)


def prompt_encoder(
    model: DNAGPTPreTrainedModel,
    tokenizer: DNAGPTTokenizer,
    task: Task | None,
    truncation: Truncation | None = None,
) -> RecordEncoder:
    """Turns records into what a model reads before it answers a task.

    Args:
        model: any DNAGPT model. One with a classification head reads what stands before `<=>`.
        tokenizer: the model's tokenizer.
        task: what is asked; without one, `{sequence}` is read.
        truncation: end at which too long a sequence is cut; by default it is an error.

    Raises:
        ValueError: the model answers in the token language, and there is no task.
    """
    positions = model.config.max_position_embeddings
    if isinstance(model, DNAGPTForMultiTask):
        if task is None:
            raise ValueError(NO_TASK)
        positions = prompt_positions(task, tokenizer, positions)
    asked = Task(DEFAULT_TEMPLATE) if task is None else task
    has_head = isinstance(model, DNAGPTForSequenceClassification)
    return RecordEncoder(
        tokenizer,
        asked.input if has_head else asked.prompt,
        positions,
        truncation,
        asked.prepare,
        asked.input_standardization,
    )


def resolve_task(
    config: PreTrainedConfig, template: str | None, answers: Mapping[str, str] | None
) -> Task | None:
    """The task of a template, or of the checkpoint; what both know is taken from the latter.

    Args:
        config: of the checkpoint.
        template: text of the token language with columns in braces, if one is stated.
        answers: label of each token, if they are stated.

    Returns:
        What is asked; `None` if neither the template nor the checkpoint says it.

    Raises:
        ValueError: template and answers do not fit each other.
    """
    trained = checkpoint_task(config)
    if template is None:
        if trained is None or answers is None:
            return trained
        template = trained.template
    task = Task(template, answers=dict(answers or {}))
    if trained is None:
        return task
    if answers is None:
        known = {answer.column: answer.tokens for answer in trained.answer_list if answer.tokens}
        asked = [answer.column for answer in task.answer_list if answer.column in known]
        task = replace(task, answers={column: known[column] for column in asked})
    columns = {*task.prompt.columns, *(answer.column for answer in task.answer_list)}
    return replace(
        task,
        sequences={name: cut for name, cut in trained.sequences.items() if name in columns},
        transforms={name: one for name, one in trained.transforms.items() if name in columns},
        standardization=trained.standardization,
        positive=trained.positive,
    )
