"""Rows of the table of metrics, which are declared where a statistic declares its results.

The results of a statistic are a dataclass. Fields that are metrics carry label, decimal places and
published values as metadata; fields that figures alone show have `repr=False`, and are not in the
report in JSON.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

PUBLISHED = ("GAN", "RBM", "DNAGPT")
"""Models of the paper."""


@dataclass(frozen=True)
class Metric:
    """A row of the table.

    Args:
        label: name of the metric and its direction (↑, ↓) or best value.
        digits: decimal places.
        published: values in the paper by model.
    """

    label: str
    digits: int
    published: Mapping[str, float]


def metric(
    label: str | Mapping[Any, str],
    *,
    digits: int = 3,
    published: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Describe a metric, as the metadata of its field.

    Args:
        label: label of the row. A statistic with a result for each of several widths has a label
            for each width that is shown; the width is the first field of its results.
        digits: decimal places.
        published: values in the paper by model.
    """
    labels = {None: label} if isinstance(label, str) else label
    return {"rows": {key: Metric(one, digits, published or {}) for key, one in labels.items()}}


def metrics_of(results: Any) -> Iterator[tuple[Metric, float | None]]:
    """Find the metrics in a dataclass and in the dataclasses and lists of them within it."""
    width = fields(results)[0].name
    for one in fields(results):
        value = getattr(results, one.name)
        if "rows" in one.metadata:
            rows = one.metadata["rows"]
            row = rows.get(None) or rows.get(getattr(results, width))
            if row is not None:
                yield row, value
        for part in value if isinstance(value, list) else [value]:
            if is_dataclass(part):
                yield from metrics_of(part)


def plain(value: Any) -> Any:
    """Turn dataclasses and arrays into dictionaries and lists, without data of figures."""
    if is_dataclass(value):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value) if one.repr}
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    # JSON has no NaN
    return None if isinstance(value, float) and math.isnan(value) else value


def number_text(value: float | None, digits: int = 3) -> str:
    """Write a number with its decimal places; nothing where it is not defined."""
    return "" if value is None or math.isnan(value) else f"{value:,.{digits}f}"
