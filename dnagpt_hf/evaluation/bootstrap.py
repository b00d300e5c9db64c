"""Confidence intervals of metrics by the bootstrap over records (Efron 1979)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

# as many weights of records are in memory at once
_WEIGHTS_AT_ONCE = 1 << 20


def bootstrap_intervals(
    metrics: Callable[..., dict[str, Any]],
    records: int,
    *,
    samples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Compute percentile intervals of metrics by resampling the records.

    Args:
        metrics: a function from `sample_weight` `(samples, records)` to values `(samples,)` by
            name, such as a partial [`classification_metrics`].
        records: number of records.
        samples: number of bootstrap samples.
        seed: the intervals are a function of it and of the other arguments.
        confidence: coverage of the intervals, between 0 and 1.

    Returns:
        `dict`: lower and upper end by the metric's name, NaN where no sample has a value. Samples
        without one, such as the AUROC of a single class, are left out.

    Raises:
        ValueError: samples or confidence is out of range, or as of the metrics.

    Example:

        >>> from functools import partial
        >>> from dnagpt_hf.evaluation.metrics import classification_metrics
        >>> labels, probabilities = [0, 1] * 50, [[0.9, 0.1], [0.3, 0.7]] * 49 + [[0.2, 0.8]] * 2
        >>> metrics = partial(classification_metrics, labels, probabilities)
        >>> bootstrap_intervals(metrics, records=100)["accuracy"]
        (0.97, 1.0)
    """
    if samples < 1:
        raise ValueError(f"{samples} bootstrap samples: take 1 or more, 1,000 for two digits")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
    blocks = [
        metrics(sample_weight=weights)
        for weights in draw_weights(np.random.default_rng(seed), samples, records)
    ]
    intervals = {}
    for name in blocks[0]:
        values = np.concatenate([block[name] for block in blocks])
        known = values[~np.isnan(values)]
        ends = [(1 - confidence) / 2, (1 + confidence) / 2]
        lower, upper = np.quantile(known, ends).tolist() if len(known) else (math.nan, math.nan)
        intervals[name] = lower, upper
    return intervals


def draw_weights(
    generator: np.random.Generator, samples: int, records: int
) -> Iterator[NDArray[np.float64]]:
    """Draw records with replacement and count the draws of each, in blocks `(samples, records)`."""
    at_once = max(_WEIGHTS_AT_ONCE // records, 1)
    for start in range(0, samples, at_once):
        rows = min(at_once, samples - start)
        drawn = generator.integers(records, size=(rows, records))
        # every sample has bins of its own
        drawn += np.arange(rows)[:, None] * records
        counts = np.bincount(drawn.reshape(-1), minlength=rows * records)
        yield counts.reshape(rows, records).astype(np.float64)
