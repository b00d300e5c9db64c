"""Parts of messages and reports: counted nouns, suggestions of names, Markdown tables."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Write a number and its noun.

    Args:
        number: the number.
        noun: the noun in the singular.
        plural: the noun in the plural; by default with an s.

    Example:

        >>> count(1, "record"), count(12_000, "record"), count(0, "index", "indices")
        ('1 record', '12,000 records', '0 indices')
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def did_you_mean(name: str, known: Collection[str], limit: int = 3) -> str:
    """Suggest the known names that resemble a mistyped one.

    Args:
        name: what was written.
        known: what exists.
        limit: most names to suggest.

    Returns:
        A clause to put behind a message; empty if nothing resembles the name.

    Example:

        >>> f"unknown name 'chr2l'{did_you_mean('chr2l', ['chr1', 'chr2'], limit=1)}"
        "unknown name 'chr2l': did you mean chr2?"
        >>> did_you_mean("x", ["learning_rate"])
        ''
    """
    close = difflib.get_close_matches(name, sorted(known), n=limit)
    return f": did you mean {' or '.join(close)}?" if close else ""


def on_one_line(error: BaseException) -> str:
    """Write the message of an error without line breaks.

    Example:

        >>> on_one_line(ValueError("two" + chr(10) + "lines"))
        'two lines'
    """
    return " ".join(str(error).split())


def markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[object]], align: str | None = None
) -> str:
    """Lay out a table in Markdown.

    Args:
        header: titles of the columns.
        rows: cells; a bar in a cell is escaped.
        align: a letter for each column, `l` or `r`; by default the first is left, others right.

    Example:

        >>> print(markdown_table(["metric", "value"], [["MCC", "0.71"]]))
        | metric | value |
        | --- | ---: |
        | MCC | 0.71 |
    """
    sides = align or "l" + "r" * (len(header) - 1)
    rule = ["---" if side == "l" else "---:" for side in sides]
    cells = [list(header), rule, *([str(cell).replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
