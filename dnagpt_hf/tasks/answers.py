"""Answers of a task: their columns, and the labels of their tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BeforeValidator

from dnagpt_hf.records.reading import is_missing


def as_text(value: Any) -> Any:
    """Read a number as text, such as a label that is 0 or a contig that is 21."""
    return value if isinstance(value, bool) or not isinstance(value, int | float) else str(value)


def _from_pairs(value: Any) -> Any:
    """Read the pairs in which a checkpoint keeps tokens, as JSON files there have sorted keys."""
    is_pairs = isinstance(value, list) and all(isinstance(p, list) and len(p) == 2 for p in value)
    return dict(value) if is_pairs else value


Text = Annotated[str, BeforeValidator(as_text)]
Tokens = Annotated[Mapping[str, Text], BeforeValidator(_from_pairs)]


@dataclass(frozen=True)
class Answer:
    """One answer of a record.

    Args:
        column: its column in training data; `"answer"` where the template names none.
        before: text between the previous answer and this one, `<B>` or `<M>`; empty for the first
            answer, whose instruction ends the prompt.
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

    def is_missing(self, value: Any) -> bool:
        """Tell whether a cell of a table lacks the answer; a stated label `None` is one."""
        return is_missing(value) and str(value).strip() not in self.labels

    def label(self, value: Any) -> str:
        """Find the label that a cell of a table holds.

        Raises:
            ValueError: the cell holds none of the labels.
        """
        stated = str(value).strip()
        # spreadsheets and parquet files write classes as 1.0, and Transformers calls class 1 of a
        # head without names LABEL_1
        for spelling in (stated, stated.removesuffix(".0"), f"LABEL_{stated}"):
            if spelling in self.labels:
                return spelling
        raise ValueError(
            f"column {self.column!r} holds {stated!r}, which is none of the answers "
            f"{', '.join(f'{token}={known}' for token, known in self.tokens.items())}"
        )


def check_spellings(labels: Sequence[str], column: str) -> None:
    """Refuse labels that differ by letter case alone, or are the same number, as 1 and 1.0."""
    spelled: dict[str | float, str] = {}
    for label in labels:
        try:
            meant: str | float = float(label)
        except ValueError:
            meant = label.casefold()
        other = spelled.setdefault(meant, label)
        if other != label:
            raise ValueError(
                f"column {column!r} holds {other!r} and {label!r}, which seem to be one label: "
                "write it in one way, or state the answers"
            )
