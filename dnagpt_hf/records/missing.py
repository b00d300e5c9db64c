"""Missing values of tables, as pandas reads them."""

from __future__ import annotations

from typing import Any

# the texts that pandas.read_csv takes for missing by default
# fmt: off
MISSING_TEXTS = frozenset((
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
))
# fmt: on


def is_missing(value: Any) -> bool:
    """Tell whether a label or a number is missing, in a file or in memory.

    Sequences are not asked: `NA` is DNA of two bases.

    Args:
        value: a cell of a table. `None`, NaN and `pandas.NA` are missing as their texts are, and
            so is a list of numbers that lacks one of them.

    Example:

        >>> [is_missing(value) for value in ("NA", " ", None, float("nan"), [0.5, None])]
        [True, True, True, True, True]
        >>> [is_missing(value) for value in ("none", "no", 0, False, [0.5, 1.0])]
        [False, False, False, False, False]
    """
    if isinstance(value, list):
        return any(map(is_missing, value))
    return str(value).strip() in MISSING_TEXTS
