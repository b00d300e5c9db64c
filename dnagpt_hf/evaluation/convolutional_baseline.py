"""A small convolutional network on one-hot bases, trained from nothing for one task."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn
from torch.nn import functional

from dnagpt_hf.evaluation.kmer_baseline import (
    ProblemType,
    Sequences,
    check_problem_type,
    sequence_columns,
)
from dnagpt_hf.evaluation.metrics import (
    classification_metrics,
    multilabel_metrics,
    regression_metrics,
)
from dnagpt_hf.messages import count

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
Records = tuple[Sequences, ArrayLike, ArrayLike | None]
"""Sequences, targets and numbers of records."""

CHANNELS, HIDDEN = 64, 64
FIRST_POOL, SECOND_POOL = 4, 6
# positions behind the second pooling, of short and of long sequences
FEWEST_PLACES, MOST_PLACES = 8, 32
# 12 epochs, and more of small data
LEAST_EPOCHS, MOST_EPOCHS, LEAST_STEPS = 12, 100, 1000
BATCH_SIZE, LEARNING_RATE, WEIGHT_DECAY = 64, 1e-3, 0.01
_PREDICTED_AT_ONCE = 512
# codes of A, C, G and T are 0 to 3
_UNKNOWN = 4
_CODES = np.full(256, _UNKNOWN, dtype=np.uint8)
_CODES[np.frombuffer(b"ACGT", dtype=np.uint8)] = np.arange(_UNKNOWN)


class ConvolutionalNetwork(nn.Module):
    """Two convolutions and a hidden layer; numbers of the record join the last layer.

    Args:
        length: bases of a record, padding included.
        numbers: further numbers of a record.
        outputs: logits or numbers that are predicted.
    """

    one_hot: torch.Tensor

    def __init__(self, length: int, numbers: int, outputs: int) -> None:
        super().__init__()
        pooled = length // FIRST_POOL
        places = min(max(pooled // SECOND_POOL, FEWEST_PLACES), MOST_PLACES)
        # N and padding are 0 in all four channels
        self.register_buffer("one_hot", torch.eye(_UNKNOWN + 1, _UNKNOWN), persistent=False)
        # images of one row, since PyTorch's faster layout, channels last, is for images alone
        self.convolutions = nn.Sequential(
            nn.Conv2d(_UNKNOWN, CHANNELS, (1, 12), padding=(0, 6)),
            nn.BatchNorm2d(CHANNELS),
            # behind the pooling, ReLU gives the same and has less to do
            nn.MaxPool2d((1, FIRST_POOL)),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Conv2d(CHANNELS, CHANNELS, (1, 8), padding=(0, 4)),
            nn.BatchNorm2d(CHANNELS),
            nn.AdaptiveMaxPool2d((1, places)),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Flatten(),
        ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.hidden = nn.Sequential(
            nn.Linear(CHANNELS * places, HIDDEN), nn.ReLU(), nn.Dropout(0.5)
        )
        self.output = nn.Linear(HIDDEN + numbers, outputs)

    def forward(self, bases: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        """Compute logits or standardized numbers, float32 `(batch, outputs)`.

        Args:
            bases: codes 0 to 3, and 4 for N and padding, `(batch, length)`.
            numbers: standardized numbers, `(batch, numbers)`.
        """
        # (batch, 4, 1, length)
        one_hot = self.one_hot[bases.long()].transpose(1, 2).unsqueeze(2)
        hidden = self.hidden(self.convolutions(one_hot))
        outputs: torch.Tensor = self.output(torch.cat([hidden, numbers.to(hidden.dtype)], dim=1))
        return outputs.float()


class ConvolutionalBaseline:
    """A convolutional network that is trained by one recipe, whatever the task.

    Two convolutions (64 filters of 12 bases, 64 of 8) with batch normalization, max pooling
    by 4 and by 6, ReLU and dropout (0.2, 0.3), and a hidden layer of 64 with dropout 0.5. The
    second pooling leaves at least 8 places in short sequences, at most 32 in long ones. AdamW with
    a learning rate of 0.001 and a weight decay of 0.01, batches of 64, 12 epochs, or up to 100
    until there were 1,000 steps. The weights of the epoch with the best AUROC on validation
    records, or the best r² of numbers, are kept.

    The number of epochs was chosen once, on the validation split of human AATAAA signals
    (`examples/configs/finetune-human-pas-aataaa.yaml`: AUROC 0.909 after 12 epochs, 0.911 after
    25), the number of places by the size of the layer behind them; no task has others.

    Sequences are padded on the right to the longest of the training records; longer ones are cut
    there, with a warning. Several sequences of a record stand behind each other. Numbers, and
    targets that are numbers, are standardized by the training records.

    Args:
        problem_type: as of [`KmerBaseline`].
        seed: of weights, dropout and the order of the records.
        device: where the network is trained.
        bf16: whether it computes in bfloat16.

    Raises:
        ValueError: the problem type is unknown.

    Example:

        >>> sequences, classes = ["ACGTTGCA" * 3, "GGCATTAC" * 3] * 16, [0, 1] * 16
        >>> records = (sequences, classes, None)
        >>> baseline = ConvolutionalBaseline(seed=1).fit(*records, validation=records)
        >>> baseline.predict_proba(sequences[:3]).shape
        (3, 2)
    """

    def __init__(
        self,
        *,
        problem_type: ProblemType = "single_label_classification",
        seed: int = 0,
        device: str | torch.device = "cpu",
        bf16: bool = False,
    ) -> None:
        check_problem_type(problem_type)
        self.problem_type = problem_type
        self.seed = seed
        self.device = torch.device(device)
        self.bf16 = bf16
        self._is_cut_said = False

    def fit(
        self,
        sequences: Sequences,
        targets: ArrayLike,
        numbers: ArrayLike | None = None,
        *,
        validation: Records,
        progress: Callable[[int, int], object] = lambda done, total: None,
    ) -> ConvolutionalBaseline:
        """Train the network.

        Args:
            sequences: `(records,)`, or `(records, columns)`.
            targets: numbers of classes, from 0, `(records,)`; 0 or 1 of each label
                `(records, labels)`; or numbers `(records,)` or `(records, targets)`.
            numbers: further numbers of each record, `(records, columns)` or `(records,)`.
            validation: sequences, targets and numbers of other records.
            progress: called after each epoch with the number of epochs that are done, and of all.

        Raises:
            ValueError: a letter stands for no nucleotide, or the shapes do not agree.
        """
        wanted = np.asarray(targets)
        columns = sequence_columns(sequences)
        # at least 8 places remain behind the first pooling
        least = FIRST_POOL * FEWEST_PLACES
        self.lengths = [max(least, *map(len, column)) for column in columns]
        self.number_scales = _scales(_as_columns(numbers, len(wanted)))
        self.target_shape = wanted.shape[1:]
        if self.problem_type == "single_label_classification":
            outputs = int(max(wanted.max(), np.max(validation[1]))) + 1
        else:
            rows = _as_columns(wanted, len(wanted))
            outputs, self.target_scales = rows.shape[1], _scales(rows)
        self.classes = np.arange(outputs)
        bases, values = self._inputs(sequences, numbers)
        answers = self._answers(wanted)
        with _seeded(self.seed, self.device):
            self.network = ConvolutionalNetwork(bases.shape[1], values.shape[1], outputs)
            self.network.to(self.device)
            self._train(bases, values, answers, validation, progress)
        return self

    def predict_proba(self, sequences: Sequences, numbers: ArrayLike | None = None) -> Floats:
        """Predict the probability of each class or label, `(records, classes)`."""
        raw = self._raw(sequences, numbers)
        is_multilabel = self.problem_type == "multi_label_classification"
        return (raw.sigmoid() if is_multilabel else raw.softmax(-1)).numpy()

    def predict(self, sequences: Sequences, numbers: ArrayLike | None = None) -> NDArray[Any]:
        """Predict classes, labels or numbers, in the shape of the targets."""
        raw = self._raw(sequences, numbers).numpy()
        if self.problem_type == "single_label_classification":
            return raw.argmax(1)
        if self.problem_type == "multi_label_classification":
            return (raw > 0).astype(int)
        mean, deviation = self.target_scales
        return (raw * deviation + mean).reshape(-1, *self.target_shape)

    def _train(
        self,
        bases: torch.Tensor,
        values: torch.Tensor,
        answers: torch.Tensor,
        validation: Records,
        progress: Callable[[int, int], object],
    ) -> None:
        network, records = self.network, len(answers)
        optimizer = torch.optim.AdamW(
            network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY
        )
        # batches of nearly equal size, so that none has a single record, which has no variance
        batches = -(-records // BATCH_SIZE)
        epochs = max(LEAST_EPOCHS, min(-(-LEAST_STEPS // batches), MOST_EPOCHS))
        best, weights = float("-inf"), network.state_dict()
        for epoch in range(epochs):
            network.train()
            for batch in torch.randperm(records).tensor_split(batches):
                loss = self._loss(self._forward(bases[batch], values[batch]), answers[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            score = self._validation_score(*validation)
            # a score without a meaning, as of a single class, keeps the last epoch
            if not score <= best:
                best, weights = score, deepcopy(network.state_dict())
            progress(epoch + 1, epochs)
        network.load_state_dict(weights)

    def _forward(self, bases: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            outputs: torch.Tensor = self.network(bases.to(self.device), values.to(self.device))
        return outputs

    def _loss(self, outputs: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
        answers = answers.to(outputs.device)
        if self.problem_type == "single_label_classification":
            return functional.cross_entropy(outputs, answers)
        if self.problem_type == "multi_label_classification":
            return functional.binary_cross_entropy_with_logits(outputs, answers)
        return functional.mse_loss(outputs, answers)

    def _validation_score(
        self, sequences: Sequences, targets: ArrayLike, numbers: ArrayLike | None
    ) -> float:
        if self.problem_type == "regression":
            return float(regression_metrics(targets, self.predict(sequences, numbers))["r2"])
        is_multilabel = self.problem_type == "multi_label_classification"
        metrics = multilabel_metrics if is_multilabel else classification_metrics
        return float(metrics(targets, self.predict_proba(sequences, numbers))["auroc"])

    @torch.inference_mode()
    def _raw(self, sequences: Sequences, numbers: ArrayLike | None) -> torch.Tensor:
        self.network.eval()
        batches = zip(
            *(one.split(_PREDICTED_AT_ONCE) for one in self._inputs(sequences, numbers)),
            strict=True,
        )
        return torch.cat([self._forward(bases, values).cpu() for bases, values in batches])

    def _inputs(
        self, sequences: Sequences, numbers: ArrayLike | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Lay out codes of bases, `(records, length)`, and numbers, `(records, numbers)`."""
        columns = sequence_columns(sequences)
        longer = sum(
            len(text) > length
            for texts, length in zip(columns, self.lengths, strict=True)
            for text in texts
        )
        # the validation records come back in every epoch
        if longer and not self._is_cut_said:
            self._is_cut_said = True
            logger.warning(
                "%s longer than those of the training records: their right ends are cut",
                count(longer, "sequence is", "sequences are"),
            )
        codes = [_codes(texts, self.lengths[index]) for index, texts in enumerate(columns)]
        mean, deviation = self.number_scales
        values = (_as_columns(numbers, len(columns[0])) - mean) / deviation
        return torch.from_numpy(np.hstack(codes)), torch.from_numpy(values.astype(np.float32))

    def _answers(self, targets: NDArray[Any]) -> torch.Tensor:
        if self.problem_type == "single_label_classification":
            return torch.from_numpy(targets.astype(np.int64))
        rows = _as_columns(targets, len(targets))
        if self.problem_type == "regression":
            mean, deviation = self.target_scales
            rows = (rows - mean) / deviation
        return torch.from_numpy(rows.astype(np.float32))


def _codes(texts: list[bytes], length: int) -> NDArray[np.uint8]:
    """Pad or cut sequences on the right, `(records, length)`."""
    padded = b"".join(text[:length].ljust(length, b"N") for text in texts)
    return _CODES[np.frombuffer(padded, dtype=np.uint8)].reshape(len(texts), length)


def _as_columns(numbers: ArrayLike | None, records: int) -> Floats:
    if numbers is None:
        return np.zeros((records, 0))
    return np.asarray(numbers, dtype=np.float64).reshape(records, -1)


def _scales(columns: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each column; 1 for one that is the same everywhere."""
    deviation = columns.std(0)
    return columns.mean(0), np.where(deviation > 0, deviation, 1.0)


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Draw by a seed, and leave the random state of the program as it was."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
