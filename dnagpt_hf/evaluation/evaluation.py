"""Evaluation of a model on labeled records: predictions beside targets, metrics, intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dnagpt_hf.atomic_files import new_file, write_json
from dnagpt_hf.evaluation.bootstrap import bootstrap_intervals
from dnagpt_hf.evaluation.metrics import (
    CLASSIFICATION_METRICS,
    MACRO_METRICS,
    REGRESSION_METRICS,
    classification_metrics,
    multilabel_metrics,
    regression_metrics,
)
from dnagpt_hf.inference.prediction_heads import Output, PredictionHead, predict_scores
from dnagpt_hf.tasks.examples import Examples
from dnagpt_hf.tasks.task import Task

# float32 probabilities may round to 0, whose logarithm is infinite
_LEAST_PROBABILITY = 1e-7


@dataclass(frozen=True)
class TargetEvaluation:
    """Predictions of one output of a model for all records, beside their targets.

    Args:
        output: name and labels of the output.
        targets: index of the right label, `(records,)`; 0 or 1 for each of several labels,
            `(records, labels)`; or the right number, `(records,)`.
        scores: probabilities, `(records, labels)`, or numbers, `(records,)`.
        positive: index of the positive label of two; `None` for other numbers of labels.
        scale: standard deviation of a number among the training records, by which the model
            divides; 1 for other outputs.
    """

    output: Output
    targets: NDArray[Any]
    scores: NDArray[Any]
    positive: int | None = None
    scale: float = 1.0

    def metrics(self, sample_weight: ArrayLike | None = None) -> dict[str, Any]:
        """Compute the metrics of the output's kind; see `dnagpt_hf.evaluation.metrics`.

        Args:
            sample_weight: weights of the records, `(samples, records)`; 1 by default.
        """
        arrays = self.targets, self.scores
        if self.output.multilabel:
            return multilabel_metrics(*arrays, self.output.labels, sample_weight=sample_weight)
        if self.output.labels:
            return classification_metrics(
                *arrays, positive=self.positive, sample_weight=sample_weight
            )
        return regression_metrics(*arrays, sample_weight=sample_weight)

    def loss(self) -> float:
        """Average the negative log probability among the labels, in nats, or the squared error.

        The error is that of standardized numbers, as in training, so that the losses of classes
        and of numbers in any unit can be added.
        """
        if not self.output.labels:
            return float(np.square((self.scores - self.targets) / self.scale).mean())
        scores = self.scores.astype(np.float64)
        if self.output.multilabel:
            right = np.where(self.targets > 0, scores, 1 - scores)
        else:
            right = scores[np.arange(len(scores)), self.targets]
        return float(-np.log(np.maximum(right, _LEAST_PROBABILITY)).mean())

    def row(self, record: int) -> dict[str, Any]:
        """Lay out target, prediction and probabilities of one record by their names."""
        target, scores, labels = self.targets[record], self.scores[record], self.output.labels
        if not labels:
            return {"target": float(target), "predicted": float(scores)}
        if self.output.multilabel:
            true: Any = [label for label, holds in zip(labels, target, strict=True) if holds]
            likely: Any = [label for label, p in zip(labels, scores, strict=True) if p > 0.5]
        else:
            true, likely = labels[target], labels[int(scores.argmax())]
        probabilities = zip(labels, map(float, scores), strict=True)
        return {
            "target": true,
            "predicted": likely,
            **{f"probability_{label}": probability for label, probability in probabilities},
        }


@dataclass(frozen=True)
class Evaluation:
    """Predictions of a model for records with targets.

    Args:
        names: names of the records.
        by_target: the evaluation of each output of the model.
        targets: all targets, `(records, answers)`.
        scores: all scores, `(records, scores)`.
    """

    names: list[str]
    by_target: list[TargetEvaluation]
    targets: NDArray[np.float64]
    scores: NDArray[np.float32]

    @classmethod
    def from_scores(
        cls,
        task: Task,
        outputs: Sequence[Output],
        examples: Examples,
        scores: NDArray[np.float32],
    ) -> Evaluation:
        """Set a model's scores beside the targets of examples.

        Args:
            task: the task with the labels in the order of the model's outputs.
            outputs: the outputs of the model, in the order of the scores.
            examples: the records with their targets.
            scores: `(records, scores)`, in the order of the records.

        Raises:
            ValueError: a head with several labels has others than the task.
        """
        ends = np.cumsum([output.width for output in outputs])
        columns = np.split(scores, ends[:-1], axis=1)
        asked = [answer.column for answer in task.answer_list]
        by_target: list[TargetEvaluation] = []
        for place, (output, of_output) in enumerate(zip(outputs, columns, strict=True)):
            if output.multilabel:
                # a head with several labels has all answers, numbered 0 and 1, as targets
                if set(output.labels) != set(asked):
                    raise ValueError(
                        f"the head predicts {', '.join(output.labels)}, but the template asks for "
                        f"{', '.join(asked)}: name the labels of the head"
                    )
                order = [asked.index(label) for label in output.labels]
                targets = examples.targets[:, order].astype(int)
                by_target.append(TargetEvaluation(output, targets, of_output))
            elif output.labels:
                label = task.positive_label(task.answer_list[place])
                positive = None if label is None else output.labels.index(label)
                targets = examples.targets[:, place].astype(int)
                by_target.append(TargetEvaluation(output, targets, of_output, positive))
            else:
                place = asked.index(output.name) if output.name in asked else place
                scale = task.answer_scales[place][1]
                targets = examples.targets[:, place]
                by_target.append(TargetEvaluation(output, targets, of_output[:, 0], scale=scale))
        return cls(examples.names, by_target, examples.targets, scores)

    @classmethod
    def of_model(
        cls,
        head: PredictionHead,
        task: Task,
        examples: Examples,
        *,
        max_records: int = 64,
        max_tokens: int = 16_384,
    ) -> Evaluation:
        """Predict all examples with a model.

        Args:
            head: the prediction head of the model.
            task: the task.
            examples: the records, whose numbers are standardized already.
            max_records: most records of a batch.
            max_tokens: most tokens of a batch, padding included.
        """
        records = map(examples.in_views, range(len(examples)))
        rows = predict_scores(head, records, max_records=max_records, max_tokens=max_tokens)
        scores = np.stack([scores for _, scores in rows])
        return cls.from_scores(task, head.outputs, examples, scores)

    def metrics(self) -> dict[str, float]:
        """Compute the metrics of all outputs, `loss` included.

        Several outputs have `COLUMN_METRIC` each, and the mean of every metric.
        """
        values = [{"loss": one.loss(), **one.metrics()} for one in self.by_target]
        if len(values) == 1:
            return values[0]
        means = {
            name: float(np.mean([one[name] for one in values if name in one]))
            for name in dict.fromkeys(name for one in values for name in one)
        }
        return means | {
            f"{prefix}{name}": value
            for prefix, one in zip(self.prefixes(), values, strict=True)
            for name, value in one.items()
        }

    def intervals(self, *, samples: int = 1000, seed: int = 0) -> dict[str, tuple[float, float]]:
        """Compute 95 % intervals of the metrics by resampling the records.

        Args:
            samples: number of bootstrap samples.
            seed: seed of the draws.
        """
        return {
            f"{prefix}{name}": pair
            for prefix, one in zip(self.prefixes(), self.by_target, strict=True)
            for name, pair in bootstrap_intervals(
                one.metrics, len(self.names), samples=samples, seed=seed
            ).items()
        }

    def prefixes(self) -> list[str]:
        """Give the prefixes of the names of each output's metrics, empty for a single output."""
        is_single = len(self.by_target) == 1
        return ["" if is_single else f"{one.output.name}_" for one in self.by_target]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield a row for each record: its name, targets, predictions and probabilities."""
        for number, name in enumerate(self.names):
            row: dict[str, Any] = {"name": name}
            for prefix, one in zip(self.prefixes(), self.by_target, strict=True):
                row |= {f"{prefix}{key}": value for key, value in one.row(number).items()}
            yield row

    def write(self, folder: Path, *, samples: int = 1000, seed: int = 0) -> dict[str, Any]:
        """Write `predictions.parquet` and `metrics.json` into a folder.

        Args:
            folder: made where it does not exist.
            samples: bootstrap samples for the intervals; 0 leaves them out.
            seed: seed of the draws.

        Returns:
            The content of `metrics.json`, in which NaN is `null`.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        folder.mkdir(parents=True, exist_ok=True)
        with new_file(folder / "predictions.parquet", overwrite=True) as partial:
            pq.write_table(pa.Table.from_pylist(list(self.rows())), partial)
        content: dict[str, Any] = {"records": len(self.names), "metrics": self.metrics()}
        content["positive"] = {
            one.output.name: one.output.labels[one.positive]
            for one in self.by_target
            if one.positive is not None
        }
        if samples:
            intervals = self.intervals(samples=samples, seed=seed)
            content["intervals_95"] = {name: list(pair) for name, pair in intervals.items()}
        write_json(folder / "metrics.json", content)
        return content


def metric_names(outputs: Sequence[Output]) -> list[str]:
    """List the names in the [`Evaluation.metrics`] of a model.

    Args:
        outputs: the outputs of the model.

    Example:

        >>> metric_names([Output("level")])
        ['loss', 'r2', 'pearson', 'spearman', 'mse', 'mae']
    """
    by_output = [["loss", *_names(output)] for output in outputs]
    if len(outputs) == 1:
        return by_output[0]
    means = dict.fromkeys(name for names in by_output for name in names)
    of_outputs = zip(outputs, by_output, strict=True)
    return [*means, *(f"{output.name}_{name}" for output, names in of_outputs for name in names)]


def _names(output: Output) -> list[str]:
    if not output.labels:
        return [*REGRESSION_METRICS]
    if not output.multilabel:
        return [*CLASSIFICATION_METRICS, *(MACRO_METRICS if len(output.labels) == 2 else ())]
    of_labels = (f"{name}_{label}" for label in output.labels for name in CLASSIFICATION_METRICS)
    return [*CLASSIFICATION_METRICS, *of_labels, "subset_accuracy"]
