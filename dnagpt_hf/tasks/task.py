"""A task as data: a template, what its answers mean, and how columns are prepared.

    template: "<{species}>{sequence}<=><B>{label}"
    answers: {A: signal, N: none}
    sequences: {sequence: {cut_out: [300, 306]}}

What stands behind the last `<=>` is answered, what stands before is given. An answer behind `<M>`
is a number, any other one a token, and `answers` says which token means what (paper, Fig. 2b). A
checkpoint keeps its task in `config.task`, so that it can be asked without repeating it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from dnagpt_hf.records.templates import Slot, Template
from dnagpt_hf.tasks.preparation import Preparation, SequenceCut, Transform

if TYPE_CHECKING:
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

CONNECTION = "<=>"
_TRUE, _FALSE = "A", "N"
_DIGITS = tuple(f"<{digit}>" for digit in range(10))
_KEYS = ("name", "template", "answers", "positive", "sequences", "transforms", "metric")


@dataclass(frozen=True)
class Answer:
    """One answer of a record.

    Args:
        column: the column that holds it in training data; `"answer"` where the template names none.
        before: text between the answer before, or the prompt, and this one: `<B>` or `<M>`, and for
            the first nothing, since it ends the prompt.
        is_number: whether it is a number.
        tokens: label of each token that may be answered.
    """

    column: str
    before: str
    is_number: bool
    tokens: Mapping[str, str] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels, in the order of `tokens`."""
        return tuple(self.tokens.values())

    def token(self, value: Any) -> str:
        """The token that stands for a label.

        Raises:
            ValueError: no token does.
        """
        label = str(value).strip()
        # spreadsheets and parquet files write classes as 1.0
        for spelling in (label, label.removesuffix(".0")):
            for token, known in self.tokens.items():
                if known == spelling:
                    return token
        raise ValueError(
            f"column {self.column!r} holds {label!r}, which is none of the answers "
            f"{', '.join(f'{token}={known}' for token, known in self.tokens.items())}"
        )


@dataclass(frozen=True)
class Task:
    """What a model is asked and what it may answer.

    Args:
        template: text with names of columns in braces, from the input to the answers. One that
            names no column behind `<=>`, or has none, can be asked but not trained on.
        answers: label of each token, `{"A": "signal", "N": "none"}`, for all columns of answers or
            by column. Without it they are taken from the training data.
        positive: the label that precision, recall and areas are about; by default that of `A`.
        sequences: the part of each sequence that is read, by column.
        transforms: functions of numbers, by column. A transformed number that is answered stays
            transformed: it is what is measured.
        standardization: mean and standard deviation of each number of a record, by which it enters
            the stream and is put back from it; as fitted on the training data.
        name: name of the task.
        metric: what the best checkpoint is chosen by; by default `mcc`, `auroc` or `r2`.

    Raises:
        ValueError: `answers`, `sequences` or `transforms` do not fit the template.

    Example:

        >>> task = Task("<R>{sequence}<=><B>{label}", answers={"A": "signal", "N": "none"})
        >>> task.prompt.text, task.answer_list[0].labels
        ('<R>{sequence}<=><B>', ('signal', 'none'))
        >>> task.text({"sequence": "ACGT", "label": "signal"})
        '<R>ACGT<=><B>A'
    """

    template: str
    answers: Mapping[str, Any] = field(default_factory=dict)
    positive: str | None = None
    sequences: Mapping[str, SequenceCut] = field(default_factory=dict)
    transforms: Mapping[str, Transform] = field(default_factory=dict)
    standardization: tuple[tuple[float, float], ...] = ()
    name: str = "task"
    metric: str | None = None

    def __post_init__(self) -> None:
        known = {*Template(self.template).columns, "answer"}
        for kind in ("sequences", "transforms"):
            for column in getattr(self, kind):
                if column not in known:
                    raise ValueError(f"{kind} name column {column!r}, which the template has not")
        for answer in self.answer_list:
            if not all(isinstance(label, str) for label in answer.tokens.values()):
                raise ValueError(
                    f"answers of {answer.column!r} are {dict(answer.tokens)}: labels are text"
                )
            if len(set(answer.labels)) < len(answer.labels):
                raise ValueError(f"answers of {answer.column!r}: a label stands twice")
        asked = [answer.column for answer in self.answer_list if not answer.is_number]
        if self.answers and not asked:
            raise ValueError(
                f"template {self.template!r} asks for a number, which has no answers to choose "
                "from: leave one of them out"
            )
        for column, tokens in self.answers.items():
            if isinstance(tokens, Mapping) and column not in asked:
                raise ValueError(
                    f"answers name column {column!r}: the template asks for {', '.join(asked)}"
                )

    @cached_property
    def prepare(self) -> Preparation:
        """Makes the values that the template reads from those of a record."""
        return Preparation(self.sequences, self.transforms)

    @cached_property
    def _sides(self) -> tuple[list[str | Slot], list[str | Slot]]:
        """What stands before `<=>`, and it with what stands behind it."""
        parts = Template(self.template).parts
        places = [place for place, part in enumerate(parts) if part == CONNECTION]
        middle = places[-1] if places else len(parts)
        return parts[:middle], parts[middle:]

    @cached_property
    def answer_list(self) -> tuple[Answer, ...]:
        """The answers in the order in which they are given."""
        answers: list[Answer] = []
        before = ""
        for part in self._sides[1][1:]:
            if isinstance(part, Slot):
                tokens = {} if part.is_number else self._tokens(part.column)
                # what stands before the first answer ends the prompt
                answers.append(
                    Answer(part.column, before if answers else "", part.is_number, tokens)
                )
                before = ""
            else:
                before += part
        if not answers:
            is_number = Template(self.template).asks_for_number
            answers.append(
                Answer("answer", "", is_number, {} if is_number else self._tokens("answer"))
            )
        return tuple(answers)

    @property
    def prompt(self) -> Template:
        """The template up to the first answer, at whose end it is asked for."""
        asked = takewhile(lambda part: not isinstance(part, Slot), self._sides[1])
        return _template([*self._sides[0], *asked])

    @property
    def input(self) -> Template:
        """The template up to `<=>`: what a model with a classification head reads."""
        return _template(self._sides[0])

    @property
    def is_answered(self) -> bool:
        """Whether the template has places for answers, so that it can be trained on."""
        return any(isinstance(part, Slot) for part in self._sides[1])

    @property
    def input_standardization(self) -> tuple[tuple[float, float], ...]:
        """Mean and deviation of the numbers that are given, without those of numbers answered."""
        answered = sum(answer.is_number for answer in self.answer_list)
        return self.standardization[: max(0, len(self.standardization) - answered)]

    @property
    def answer_scales(self) -> list[tuple[float, float]]:
        """Mean and deviation for each answer: (0, 1) for what is no standardised number."""
        left = iter(self.standardization[len(self.input_standardization) :])
        return [
            next(left, (0.0, 1.0)) if answer.is_number else (0.0, 1.0)
            for answer in self.answer_list
        ]

    def text(self, values: Mapping[str, Any]) -> str:
        """The whole record in the token language, answers included.

        Args:
            values: columns of a record, not yet prepared.

        Raises:
            ValueError: a column is missing, or does not hold what the template needs.
        """
        prepared = self.prepare(values)
        for answer in self.answer_list:
            if answer.column not in prepared:
                raise ValueError(
                    f"there is no column {answer.column!r}, only {', '.join(prepared)}"
                )
            if not answer.is_number:
                prepared[answer.column] = answer.token(prepared[answer.column])
        return Template(self.template).fill(prepared)

    def positive_label(self, answer: Answer) -> str | None:
        """The label that a binary metric is about; `None` unless there are two."""
        if len(answer.tokens) != 2:
            return None
        if self.positive in answer.labels:
            return self.positive
        # the same token, written in either way
        tokens = {token.strip("<>"): label for token, label in answer.tokens.items()}
        return tokens.get(_TRUE, answer.labels[-1])

    def with_labels(self, labels: Mapping[str, Sequence[str]], tokenizer: DNAGPTTokenizer) -> Task:
        """The task with tokens for the labels of columns that `answers` does not state.

        Two labels are answered `N` and `A` in the order of the alphabet, so that 0 and 1, or false
        and true, get the paper's; more, or two in a vocabulary of 6-mers only, by `<0>`, `<1>`, ….

        Raises:
            ValueError: a column has one label, or more than ten; or `positive` is none of them.
        """
        chosen: dict[str, Any] = {}
        for answer in self.answer_list:
            if answer.is_number or answer.tokens:
                chosen[answer.column] = answer.tokens
                continue
            found = sorted(set(labels[answer.column]))
            if not 2 <= len(found) <= len(_DIGITS):
                raise ValueError(
                    f"column {answer.column!r} holds {len(found)} labels "
                    f"({', '.join(found[:12])}): state the answers, two or more"
                )
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
        """Plain data from which `from_dict` makes the task again."""
        content: dict[str, Any] = {"name": self.name, "template": self.template}
        # pairs, since Transformers sorts the keys of mappings in JSON, and classes have an order
        answers = {
            answer.column: [list(pair) for pair in answer.tokens.items()]
            for answer in self.answer_list
            if answer.tokens
        }
        if answers:
            content["answers"] = answers
        for key in ("positive", "metric"):
            if getattr(self, key) is not None:
                content[key] = getattr(self, key)
        if self.sequences:
            content["sequences"] = {
                column: {
                    name: list(value)
                    for name, value in (("window", cut.window), ("cut_out", cut.cut_out))
                    if value is not None
                }
                | ({} if cut.length is None else {"length": cut.length})
                for column, cut in self.sequences.items()
            }
        if self.transforms:
            content["transforms"] = {column: t.text for column, t in self.transforms.items()}
        if self.standardization:
            content["standardization"] = [list(pair) for pair in self.standardization]
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Task:
        """A task from plain data, as it stands in a YAML file or in `config.task`.

        Raises:
            ValueError: a key is unknown or missing, or a value does not fit.
        """
        for key in content:
            if key not in (*_KEYS, "standardization"):
                raise ValueError(f"unknown key {key!r} in a task: choose of {', '.join(_KEYS)}")
        if not isinstance(content.get("template"), str):
            raise ValueError("a task has no template: write one as <R>{sequence}<=><B>{label}")
        sequences: dict[str, SequenceCut] = {}
        for column, cut in _mapping(content, "sequences").items():
            if not isinstance(cut, Mapping) or not set(cut) <= {"window", "cut_out", "length"}:
                raise ValueError(f"sequences: {column} is {cut!r}: give window, cut_out or length")
            sequences[column] = SequenceCut(**cut)
        return cls(
            template=content["template"],
            answers=_text_answers(_mapping(content, "answers")),
            positive=None if content.get("positive") is None else str(content["positive"]),
            sequences=sequences,
            transforms={
                column: Transform(str(text))
                for column, text in _mapping(content, "transforms").items()
            },
            standardization=_standardization(content.get("standardization") or ()),
            name=str(content.get("name") or "task"),
            metric=content.get("metric"),
        )

    def _tokens(self, column: str) -> Mapping[str, str]:
        if not self.answers:
            return {}
        by_column = [isinstance(value, Mapping) for value in self.answers.values()]
        if all(by_column):
            return self.answers.get(column, {})
        if any(by_column):
            raise ValueError(
                "answers mix tokens and columns: give {TOKEN: LABEL} or {COLUMN: {TOKEN: LABEL}}"
            )
        return self.answers


def _template(parts: Sequence[str | Slot]) -> Template:
    return Template("".join(part if isinstance(part, str) else part.text for part in parts))


def _mapping(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = content.get(key) or {}
    if not isinstance(value, Mapping):
        raise ValueError(f"{key} is {value!r}: give a mapping, one name: value on a line")
    return value


def _standardization(pairs: Any) -> tuple[tuple[float, float], ...]:
    try:
        return tuple((float(mean), float(deviation)) for mean, deviation in pairs)
    except (TypeError, ValueError):
        raise ValueError(
            f"standardization is {pairs!r}: give a list of [mean, deviation] of numbers"
        ) from None


def _pairs(token: Any, labels: Any) -> dict[Any, Any]:
    try:
        return dict(labels)
    except (TypeError, ValueError):
        raise ValueError(
            f"answers: {token} is {labels!r}: give one label, or {{TOKEN: LABEL}} for a column"
        ) from None


def _text_answers(answers: Mapping[Any, Any]) -> dict[str, Any]:
    """Labels as text: YAML reads 1 as a number, and no and yes as truth values."""
    text: dict[str, Any] = {}
    for token, label in answers.items():
        if isinstance(label, Mapping | list):
            text[str(token)] = _text_answers(_pairs(token, label))
        elif isinstance(label, bool):
            raise ValueError(
                f"answer {token} is {str(label).lower()} in YAML, which may have been yes, no, on "
                "or off: put the label in quotation marks"
            )
        else:
            text[str(token)] = str(label)
    return text
