"""Batches of a task: prompts padded on the left, and the targets of their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from dnagpt_hf.inference.batching import padded_batch
from dnagpt_hf.inference.prediction_heads import token_ids
from dnagpt_hf.records.encoding import EncodedRecord
from dnagpt_hf.records.reading import Record
from dnagpt_hf.tasks.examples import Head, answer_token_ids
from dnagpt_hf.tasks.task import Task
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

_NO_RECORD = Record({}, "", "", 0, 0)


class TaskCollator:
    """Makes batches of the examples of a task.

    For answers in the token language every row ends in its answers, without the last one, so that
    the last columns predict them. All records of a task have the same count of answers.

    Args:
        task: the task, with the tokens of its labels and its standardization.
        tokenizer: the model's tokenizer.
        head: `"language"` or `"classification"`.

    Returns:
        `input_ids` and `attention_mask` (int64) and, where there are numbers, `number_values`
        (float32), `(batch, length)`; and `targets`, `(batch, answers)`, float32: indices of labels,
        and standardized numbers.
    """

    def __init__(self, task: Task, tokenizer: DNAGPTTokenizer, head: Head = "language") -> None:
        self.pad_token_id = int(tokenizer.pad_token_id)
        self.number_token_id = int(tokenizer.number_token_id)
        answers = task.answer_list
        self.is_number = np.array([answer.is_number for answer in answers])
        self.scales = np.array(task.answer_scales)
        self.answer_ids: list[int | None] = []
        self.token_ids: list[np.ndarray[Any, Any]] = []
        if head == "language":
            self.answer_ids = answer_token_ids(task, tokenizer)
            self.token_ids = [
                np.array(
                    [self.number_token_id]
                    if answer.is_number
                    else list(token_ids(tokenizer, answer.tokens))
                )
                for answer in answers
            ]

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        targets = np.stack([example["targets"] for example in examples])
        targets = (targets - self.scales[:, 0]) / self.scales[:, 1]
        rows = [
            EncodedRecord(_NO_RECORD, *self._with_answers(example, target))
            for example, target in zip(examples, targets, strict=True)
        ]
        batch = padded_batch(rows, self.pad_token_id)
        if not (batch["input_ids"] == self.number_token_id).any():
            # the model embeds numbers only where it gets their values
            del batch["number_values"]
        return {**batch, "targets": torch.from_numpy(targets.astype(np.float32))}

    def _with_answers(
        self, example: Mapping[str, Any], target: np.ndarray[Any, Any]
    ) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Append all answers but the last to the ids and numbers of a prompt."""
        if len(self.answer_ids) < 2:
            return example["input_ids"], example["number_values"]
        ids, values, answer = [], [], 0
        for token in self.answer_ids[:-1]:
            is_answer = token is None
            is_number = is_answer and bool(self.is_number[answer])
            index = 0 if is_number else int(target[answer])
            ids.append(int(self.token_ids[answer][index]) if token is None else token)
            values.append(float(target[answer]) if is_number else 0.0)
            answer += is_answer
        return (
            np.concatenate([example["input_ids"], np.array(ids, dtype=np.int64)]),
            np.concatenate([example["number_values"], np.array(values, dtype=np.float32)]),
        )
