"""A task as data: a template, the meaning of its answers, and the preparation of its columns.

    template: "<{species}>{sequence}<=><B>{label}"
    answers: {A: signal, N: none}
    sequences: {sequence: {cut_out: [300, 306]}}

The text before the last `<=>` of a template is the input, the text behind it holds the answers. An
answer behind `<M>` is a number, any other one a token, and `answers` gives the label of each token
(paper, Fig. 2b). A checkpoint keeps its task in `config.task`, so that a prompt need not repeat it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict, TypeAdapter

from dnagpt_hf.records.templates import Slot, Template, parse_number
from dnagpt_hf.tasks.answers import Answer, Text, Tokens, check_spellings
from dnagpt_hf.tasks.preparation import SequenceCut, Transform
from dnagpt_hf.tasks.views import ONE_VIEW, ViewChoice, Views
from dnagpt_hf.yaml_files import validated

if TYPE_CHECKING:
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

Head = Literal["language", "classification"]

CONNECTION = "<=>"
_TRUE, _FALSE = "A", "N"
_DIGITS = tuple(f"<{digit}>" for digit in range(10))


@dataclass(frozen=True)
class Task:
    """A question to a model, and the answers that it may give.

    Args:
        template: text with names of columns in braces, from the input to the answers. A template
            without a column behind `<=>` is enough for prediction, but not for training.
        answers: label of each token, `{"A": "signal", "N": "none"}`, for all columns of answers or
            by column. Without it labels are taken from the training data.
        positive: the label of the positive class in precision, recall and areas; by default that
            of `A`.
        sequences: the part of each sequence that the model reads, by column.
        transforms: functions of numbers, by column. Predictions of a transformed number stay
            transformed, and so does its measurement.
        standardization: mean and standard deviation of each number of a record, fitted on the
            training data: numbers enter the model standardized, and predictions are converted back.
        name: name of the task.
        metric: metric by which the best checkpoint is chosen; by default `mcc`, or `r2` where all
            answers are numbers.
        views: phases and strands in which sequences are read: each record in a random view in each
            epoch of training, and the mean of the scores of all in prediction.

    Raises:
        ValueError: `answers`, `sequences`, `transforms` or `views` do not fit the template.

    Example:

        >>> task = Task("<R>{sequence}<=><B>{label}", answers={"A": "signal", "N": "none"})
        >>> task.prompt.text, task.answer_list[0].labels
        ('<R>{sequence}<=><B>', ('signal', 'none'))
    """

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    template: str
    answers: Mapping[str, Text | Tokens] = field(default_factory=dict)
    positive: Text | None = None
    sequences: Mapping[str, SequenceCut] = field(default_factory=dict)
    transforms: Mapping[str, Transform] = field(default_factory=dict)
    standardization: tuple[tuple[float, float], ...] = ()
    name: Text = "task"
    metric: str | None = None
    views: Views = ONE_VIEW

    def __post_init__(self) -> None:
        known = {*Template(self.template).columns, "answer"}
        for kind in ("sequences", "transforms"):
            for column in getattr(self, kind):
                if column not in known:
                    raise ValueError(f"{kind} name column {column!r}, which the template has not")
        if self.views != ONE_VIEW and not self.has_sequence:
            raise ValueError(
                f"template {self.template!r} reads no sequence, and numbers have no views: leave "
                "them out"
            )
        for answer in self.answer_list:
            if not all(isinstance(label, str) for label in answer.tokens.values()):
                raise ValueError(
                    f"answers of {answer.column!r} are {dict(answer.tokens)}: labels are text"
                )
            if len(set(answer.labels)) < len(answer.labels):
                raise ValueError(f"answers of {answer.column!r}: a label stands twice")
        classes = [answer.column for answer in self.answer_list if not answer.is_number]
        if self.answers and not classes:
            raise ValueError(
                f"template {self.template!r} asks for a number, which has no answers to choose "
                "from: leave one of them out"
            )
        for column, tokens in self.answers.items():
            if isinstance(tokens, Mapping) and column not in classes:
                raise ValueError(
                    f"answers name column {column!r}: the template asks for {', '.join(classes)}"
                )

    @cached_property
    def _input_and_answers(self) -> tuple[list[str | Slot], list[str | Slot]]:
        """Parts of the template before the last `<=>`, and from it on."""
        parts = Template(self.template).parts
        connections = [index for index, part in enumerate(parts) if part == CONNECTION]
        end = connections[-1] if connections else len(parts)
        return parts[:end], parts[end:]

    @cached_property
    def answer_list(self) -> tuple[Answer, ...]:
        """The answers, in the order of the template."""
        answers: list[Answer] = []
        before = ""
        for part in self._input_and_answers[1][1:]:
            if not isinstance(part, Slot):
                before += part
                continue
            tokens = {} if part.is_number else self._tokens(part.column)
            # the text before the first answer ends the prompt
            before = before if answers else ""
            answers.append(Answer(part.column, before, part.is_number, tokens))
            before = ""
        if not answers:
            is_number = Template(self.template).asks_for_number
            tokens = {} if is_number else self._tokens("answer")
            answers.append(Answer("answer", "", is_number, tokens))
        return tuple(answers)

    @cached_property
    def prompt(self) -> Template:
        """The template up to the first answer."""
        start, end = self._input_and_answers
        before_answer = takewhile(lambda part: not isinstance(part, Slot), end)
        return Template("".join(map(str, [*start, *before_answer])))

    @cached_property
    def input(self) -> Template:
        """The template up to `<=>`, which a model with a classification head reads."""
        return Template("".join(map(str, self._input_and_answers[0])))

    @property
    def is_answered(self) -> bool:
        """Tell whether the template names columns of answers, so that it can be trained on."""
        return any(isinstance(part, Slot) for part in self._input_and_answers[1])

    @property
    def has_sequence(self) -> bool:
        """Tell whether a column of the input is DNA, which has several views."""
        return any(slot.is_sequence for slot in self.prompt.slots)

    def with_views(self, choice: ViewChoice) -> Task:
        """Choose other views than those of the task.

        Args:
            choice: `"first"` for the first view alone, `{"phases": "all", "strands": "both"}` or a
                part of it, or `None` for the views of the task.

        Raises:
            ValueError: there are no such views, or no sequence.
        """
        if choice is None:
            return self
        if choice == "first":
            return replace(self, views=ONE_VIEW)
        if isinstance(choice, Views):
            return replace(self, views=choice)
        if not isinstance(choice, Mapping):
            raise ValueError(f"views is {choice!r}: write first, or phases and strands")
        stated = {"phases": self.views.phases, "strands": self.views.strands, **choice}
        return replace(self, views=validated(Views, stated, "views"))

    @property
    def best_metric(self) -> str:
        """The metric by which the best checkpoint is chosen.

        Example:

            >>> Task("{x}<=><M>{y}").best_metric, Task("{x}<=><B>{y}").best_metric
            ('r2', 'mcc')
        """
        if self.metric is not None:
            return self.metric
        return "r2" if all(answer.is_number for answer in self.answer_list) else "mcc"

    @property
    def problem_type(self) -> str:
        """The problem of a classification head, in the words of Transformers.

        Several answers that are tokens become several labels, each of which holds or not.

        Raises:
            ValueError: answers are of different kinds.

        Example:

            >>> Task("{x}<=><B>{a}<B>{b}", answers={"A": "yes", "N": "no"}).problem_type
            'multi_label_classification'
        """
        kinds = {answer.is_number for answer in self.answer_list}
        if len(kinds) > 1:
            raise ValueError(
                f"template {self.template!r} asks for classes and numbers, and a classification "
                "head gives one kind: use head: language"
            )
        if kinds == {True}:
            return "regression"
        if len(self.answer_list) == 1:
            return "single_label_classification"
        for answer in self.answer_list:
            if len(answer.tokens) > 2:
                raise ValueError(
                    f"column {answer.column!r} has {len(answer.tokens)} classes, and a head over "
                    "several columns says yes or no to each: use head: language"
                )
        return "multi_label_classification"

    @property
    def input_standardization(self) -> tuple[tuple[float, float], ...]:
        """Mean and standard deviation of the numbers of the input."""
        answered = sum(answer.is_number for answer in self.answer_list)
        return self.standardization[: max(0, len(self.standardization) - answered)]

    @property
    def answer_scales(self) -> list[tuple[float, float]]:
        """Mean and standard deviation of each answer; (0, 1) for tokens and unscaled numbers."""
        left = iter(self.standardization[len(self.input_standardization) :])
        return [
            next(left, (0.0, 1.0)) if answer.is_number else (0.0, 1.0)
            for answer in self.answer_list
        ]

    def prepare(
        self, values: Mapping[str, Any], columns: Collection[str] | None = None
    ) -> dict[str, Any]:
        """Prepare the columns of a record for the template.

        Args:
            values: the columns of the record.
            columns: those that are read; by default all.

        Raises:
            ValueError: a sequence is too short, a cell holds no number, or a transform is not
                defined at it.

        Example:

            >>> task = Task("{dna}<=><M>{x}", transforms={"x": Transform("log2(x)")})
            >>> task.prepare({"dna": "ACGT", "x": "8", "name": "a"})
            {'dna': 'ACGT', 'x': 3.0, 'name': 'a'}
        """
        prepared = dict(values)
        for column, cut in self.sequences.items():
            if isinstance(values.get(column), str):
                try:
                    prepared[column] = cut("".join(values[column].split()))
                except ValueError as error:
                    raise ValueError(f"{column}: {error}") from None
        for column, transform in self.transforms.items():
            if column in (values if columns is None else columns) and column in values:
                number = parse_number(column, values[column])
                try:
                    prepared[column] = transform(number)
                except ValueError as error:
                    raise ValueError(f"column {column!r}: {error}") from None
        return prepared

    def positive_label(self, answer: Answer) -> str | None:
        """Choose the positive class of a binary metric; `None` unless there are two classes."""
        if len(answer.tokens) != 2:
            return None
        if self.positive in answer.labels:
            return self.positive
        # A and <A> are spellings of the same token
        tokens = {token.strip("<>"): label for token, label in answer.tokens.items()}
        return tokens.get(_TRUE, answer.labels[-1])

    def with_labels(self, labels: Mapping[str, Sequence[str]], tokenizer: DNAGPTTokenizer) -> Task:
        """Give tokens to the labels of columns that `answers` does not state.

        Two labels are answered `N` and `A` in the order of the alphabet, so that 0 and 1, or false
        and true, get the paper's; more, or two in a vocabulary of 6-mers only, by `<0>`, `<1>`, ….

        Args:
            labels: labels by column, in any order.
            tokenizer: the model's tokenizer.

        Raises:
            ValueError: a column has one label, or more than ten, or one in two spellings; or
                `positive` is none of them.
        """
        chosen: dict[str, Mapping[str, str]] = {}
        for answer in self.answer_list:
            if answer.is_number or answer.tokens:
                chosen[answer.column] = answer.tokens
                continue
            found = sorted(set(labels[answer.column]))
            if not 2 <= len(found) <= len(_DIGITS):
                shown = ", ".join(found[:12]) + (", …" if len(found) > 12 else "")
                raise ValueError(
                    f"column {answer.column!r} holds {len(found)} labels ({shown}): "
                    + (
                        f"only {len(_DIGITS)} get tokens by themselves, <0> to <9>; state the "
                        "token of each in answers, or choose head: classification"
                        if found[1:]
                        else "state the answers, two or more"
                    )
                )
            check_spellings(found, answer.column)
            binary = len(found) == 2 and tokenizer.dynamic_kmer
            tokens = (_FALSE, _TRUE) if binary else _DIGITS
            chosen[answer.column] = dict(zip(tokens, found, strict=False))
        known = [label for tokens in chosen.values() for label in tokens.values()]
        if self.positive is not None and self.positive not in known:
            raise ValueError(f"positive is {self.positive!r}: choose one of {', '.join(known)}")
        return replace(
            self, answers={column: tokens for column, tokens in chosen.items() if tokens}
        )

    def as_dict(self) -> dict[str, Any]:
        """Convert the task to plain data, from which `from_dict` makes it again."""
        content: dict[str, Any] = TypeAdapter(Task).dump_python(
            self, mode="json", exclude={"name", "answers"}, exclude_defaults=True, exclude_none=True
        )
        answers = {
            answer.column: [list(pair) for pair in answer.tokens.items()]
            for answer in self.answer_list
            if answer.tokens
        }
        return {"name": self.name, **content, **({"answers": answers} if answers else {})}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Task:
        """Make a task from plain data, as a YAML file or `config.task` holds it.

        Raises:
            ValueError: a key is unknown or missing, or a value does not fit.
        """
        return validated(cls, dict(content), "task")

    def _tokens(self, column: str) -> Mapping[str, Any]:
        if not self.answers:
            return {}
        by_column = [isinstance(value, Mapping) for value in self.answers.values()]
        if all(by_column):
            return self.answers.get(column, {})  # type: ignore[return-value]
        if any(by_column):
            raise ValueError(
                "answers mix tokens and columns: give {TOKEN: LABEL} or {COLUMN: {TOKEN: LABEL}}"
            )
        return self.answers
