"""Means in which NaN stands for what is missing."""

from __future__ import annotations

import numpy as np

from dnagpt_hf.likelihoods.strands import Array


def mean_of_known(values: Array, axis: int) -> Array:
    """Average over an axis; NaN where all is missing.

    Example:

        >>> mean_of_known(np.array([[1.0, 3.0], [2.0, np.nan]]), axis=1).tolist()
        [2.0, 2.0]
    """
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: Array = np.where(known, values, 0.0).sum(axis) / known.sum(axis)
    return mean


def log_mean_exp(values: Array, axis: int) -> Array:
    """Average probabilities over an axis, from logarithms to logarithms; NaN where all is missing.

    Example:

        >>> log_mean_exp(np.log([[0.25, 0.75], [0.5, np.nan]]), axis=1).round(3).tolist()
        [-0.693, -0.693]
    """
    known = ~np.isnan(values)
    total = np.logaddexp.reduce(np.where(known, values, -np.inf), axis=axis)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean: Array = total - np.log(known.sum(axis))
    return mean
