"""Weights of classes in the loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dnagpt_hf.tasks.dataset import TaskData
from dnagpt_hf.tasks.examples import Head
from dnagpt_hf.tasks.task import Task


def class_weights(stated: Any, data: TaskData, head: Head) -> list[list[float] | None] | None:
    """Make the weights of the labels of each answer.

    Args:
        stated: `"balanced"` by the training split, the weight of each label, or nothing.
        data: the task and its examples.
        head: the head that answers.

    Returns:
        A weight for each label of each answer, `None` for numbers.

    Raises:
        ValueError: a label does not exist, or a weight is not above 0.
    """
    if stated is None:
        return None
    _check(stated, data.task)
    targets = data.splits["train"].targets
    several = head == "classification" and len(data.task.answer_list) > 1
    weights: list[list[float] | None] = []
    for index, answer in enumerate(data.task.answer_list):
        positive = data.task.positive_label(answer)
        # a head with several labels has the targets 0 and 1, whatever the order of the tokens
        labels = sorted(answer.labels, key=positive.__eq__) if several else answer.labels
        if answer.is_number:
            weights.append(None)
        elif stated == "balanced":
            weights.append(balanced_weights(targets[:, index], len(labels)))
        else:
            weights.append([float(stated.get(label, 1.0)) for label in labels])
    return weights


def balanced_weights(targets: np.ndarray[Any, Any], count: int) -> list[float]:
    """Weigh all classes alike: records / (classes · records of the class).

    Args:
        targets: class of each record, `(records,)`.
        count: number of classes.

    Example:

        >>> balanced_weights(np.array([0, 0, 0, 1]), 2)
        [0.6666666666666666, 2.0]
    """
    records = np.bincount(targets.astype(int), minlength=count)
    return [float(len(targets) / (count * number)) if number else 0.0 for number in records]


def _check(stated: Any, task: Task) -> None:
    if stated == "balanced":
        return
    if not isinstance(stated, Mapping):
        raise ValueError(
            f"class_weights is {stated!r}: write balanced, or the weight of each label"
        )
    labels = [label for answer in task.answer_list for label in answer.labels]
    for label, weight in stated.items():
        if label not in labels:
            raise ValueError(f"class_weights name label {label!r}: choose of {', '.join(labels)}")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight > 0:
            raise ValueError(f"class_weights: {label} is {weight!r}: give a number above 0")
