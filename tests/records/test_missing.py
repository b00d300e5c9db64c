"""Missing values."""

from __future__ import annotations

import pandas
from pandas._libs.parsers import STR_NA_VALUES

from dnagpt_hf.records.reading import MISSING_TEXTS, is_missing


def test_the_texts_are_those_of_pandas() -> None:
    assert MISSING_TEXTS == STR_NA_VALUES


def test_missing_values_in_memory() -> None:
    for value in (None, float("nan"), pandas.NA, " NA\n", [1, "nan"]):
        assert is_missing(value), value
    for value in ("none", "na", 0, 0.0, False, "NAN", "signal"):
        assert not is_missing(value), value
