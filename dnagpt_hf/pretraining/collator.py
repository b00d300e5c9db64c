"""Batches for DNAGPT: padding, masks, and targets of tokens and numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dnagpt_hf.configuration_dnagpt import IGNORED_TOKEN
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer


@dataclass
class DNAGPTDataCollator:
    """Pads examples to one length, with the targets of [`DNAGPTForMultiTask`].

    An example holds `input_ids`, and may hold `number_values` (0 by default), `labels` and
    `number_labels`. Without labels, all its tokens and numbers are targets; with one kind of
    labels, there are no targets of the other.

    Args:
        tokenizer: gives the ids of padding, of numbers and of `<=>`, and the side of padding.
        answers_only: where labels are made from inputs, only the tokens behind the last `<=>` are
            targets.
        pad_to_multiple_of: lengths are rounded up to a multiple of this.

    Returns:
        `input_ids`, `attention_mask` and `labels` (int64; -100 at padding and at numbers), and
        `number_values` and `number_labels` (float32; NaN where there is no target), each
        of shape `(batch, length)`.

    Example:

        >>> from dnagpt_hf import DNAGPTTokenizer
        >>> tokenizer = DNAGPTTokenizer()
        >>> collate = DNAGPTDataCollator(tokenizer, answers_only=True)
        >>> batch = collate([tokenizer("<R>ACGTACGG<=><M>0.5")])
        >>> batch["labels"].tolist(), batch["number_labels"].tolist()
        ([[-100, -100, -100, -100, 18, -100]], [[nan, nan, nan, nan, nan, 0.5]])
    """

    tokenizer: DNAGPTTokenizer
    answers_only: bool = False
    pad_to_multiple_of: int | None = None

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        if not examples:
            raise ValueError("a batch needs at least one example, and none was given")
        rows = [self._complete(index, example) for index, example in enumerate(examples)]
        length = max(len(row["input_ids"]) for row in rows)
        if self.pad_to_multiple_of is not None:
            length = -(-length // self.pad_to_multiple_of) * self.pad_to_multiple_of
        fill = {
            "input_ids": self.tokenizer.pad_token_id,
            "attention_mask": 0,
            "number_values": 0.0,
            "labels": IGNORED_TOKEN,
            "number_labels": np.nan,
        }
        batch = {
            name: np.full((len(rows), length), fill[name], rows[0][name].dtype) for name in fill
        }
        for number, row in enumerate(rows):
            size = len(row["input_ids"])
            start = length - size if self.tokenizer.padding_side == "left" else 0
            for name, array in batch.items():
                array[number, start : start + size] = row[name]
        return {name: torch.from_numpy(array) for name, array in batch.items()}

    def _complete(self, index: int, example: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Make all five arrays of an example."""
        ids = np.asarray(example["input_ids"], dtype=np.int64)

        def given(name: str, dtype: type[np.generic], default: float) -> NDArray[Any]:
            values = example.get(name)
            return np.asarray(np.full(ids.shape, default) if values is None else values, dtype)

        row = {
            "input_ids": ids,
            "attention_mask": given("attention_mask", np.int64, 1),
            "number_values": given("number_values", np.float32, 0.0),
            "labels": given("labels", np.int64, IGNORED_TOKEN),
            "number_labels": given("number_labels", np.float32, np.nan),
        }
        for name, values in row.items():
            if values.shape != ids.shape or values.ndim != 1:
                raise ValueError(
                    f"example {index} of the batch: {name} of shape {values.shape} does not fit "
                    f"input_ids of shape {ids.shape}: both need one value per position"
                )
        if "labels" not in example and "number_labels" not in example:
            is_target = self._targets(index, ids) & (row["attention_mask"] != 0)
            is_number = ids == self.tokenizer.number_token_id
            row["labels"] = np.where(is_target & ~is_number, ids, IGNORED_TOKEN)
            row["number_labels"] = np.where(is_target & is_number, row["number_values"], np.nan)
        return row

    def _targets(self, index: int, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        if not self.answers_only:
            return np.ones(ids.shape, dtype=bool)
        connections = np.flatnonzero(ids == self.tokenizer.convert_tokens_to_ids("<=>"))
        if not len(connections):
            raise ValueError(
                f"example {index} of the batch has no <=>, behind which an answer stands: "
                "write one, or pass answers_only=False"
            )
        return np.arange(len(ids)) > connections[-1]
