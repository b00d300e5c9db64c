"""What a model answers for labelled records, and how good that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.atomic_files import new_file, write_json
from dnagpt_hf.evaluation.metrics import (
    bootstrap_intervals,
    classification_metrics,
    multilabel_metrics,
    regression_metrics,
)
from dnagpt_hf.inference.prediction_heads import Output, PredictionHead, predict_scores
from dnagpt_hf.tasks.examples import Examples, encoded_record
from dnagpt_hf.tasks.task import Task

_LEAST_PROBABILITY = 1e-7


@dataclass(frozen=True)
class Aspect:
    """One output of a model for all records.

    Args:
        output: what it is.
        targets: place of the right label, `(records,)`; 0 or 1 for each of several labels,
            `(records, labels)`; or the right number, `(records,)`.
        scores: probabilities, `(records, labels)`, or numbers, `(records,)`.
        positive: place of the label that binary metrics are about; `None` unless there are two.
        scale: deviation by which a number was standardised in training, 1 where it was not.
    """

    output: Output
    targets: NDArray[Any]
    scores: NDArray[Any]
    positive: int | None = None
    scale: float = 1.0

    @property
    def how(self) -> tuple[Callable[..., dict[str, float]], dict[str, Any]]:
        """The function that measures it, and its options."""
        if self.output.multilabel:
            return multilabel_metrics, {"names": self.output.labels}
        if self.output.labels:
            return classification_metrics, {"positive": self.positive}
        return regression_metrics, {}

    def metrics(self) -> dict[str, float]:
        """Metrics by their names."""
        function, options = self.how
        return function(self.targets, self.scores, **options)

    def loss(self) -> float:
        """Mean negative log probability among the labels, in nats, or mean squared error.

        The error is that of standardised numbers, as in training, so that the losses of classes and
        of numbers in any unit can be added.
        """
        if not self.output.labels:
            return float(np.square((self.scores - self.targets) / self.scale).mean())
        scores = self.scores.astype(np.float64)
        if self.output.multilabel:
            right = np.where(self.targets > 0, scores, 1 - scores)
        else:
            right = scores[np.arange(len(scores)), self.targets]
        return float(-np.log(np.maximum(right, _LEAST_PROBABILITY)).mean())


@dataclass(frozen=True)
class Evaluation:
    """Answers and targets of records.

    Args:
        names: names of the records.
        places: file and line of each.
        aspects: what was answered, one for each output of the model.
        targets: targets as the examples have them, `(records, answers)`.
        scores: all scores, `(records, scores)`.
    """

    names: list[str]
    places: list[tuple[str, int]]
    aspects: list[Aspect]
    targets: NDArray[np.float64]
    scores: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        task: Task,
        outputs: Sequence[Output],
        examples: Examples,
        scores: NDArray[np.float32],
    ) -> Evaluation:
        """The evaluation of a model's scores for examples.

        Args:
            task: the task with the labels in the order of the model's outputs.
            outputs: what the scores stand for.
            examples: the records with their targets.
            scores: `(records, scores)`, in the order of the records.
        """
        aspects: list[Aspect] = []
        start = 0
        answers = task.answer_list
        for place, output in enumerate(outputs):
            part = scores[:, start : start + output.width]
            start += output.width
            if output.multilabel:
                # classes of the answers are numbered 0 and 1 where a head has several labels
                aspects.append(Aspect(output, examples.targets.astype(int), part))
            elif output.labels:
                positive = task.positive_label(answers[place])
                aspects.append(
                    Aspect(
                        output,
                        examples.targets[:, place].astype(int),
                        part,
                        None if positive is None else output.labels.index(positive),
                    )
                )
            else:
                scale = task.answer_scales[place][1]
                aspects.append(Aspect(output, examples.targets[:, place], part[:, 0], scale=scale))
        return cls(examples.names, examples.places, aspects, examples.targets, scores)

    @classmethod
    def ask(
        cls,
        answers: PredictionHead,
        task: Task,
        examples: Examples,
        *,
        max_records: int = 64,
        max_tokens: int = 16_384,
    ) -> Evaluation:
        """Ask a model for all examples, whose numbers are standardised already.

        Args:
            answers: how the model answers.
            task: the task.
            examples: the records.
            max_records: most records of a batch.
            max_tokens: most tokens of a batch, padding included.
        """
        records = (encoded_record(examples, number) for number in range(len(examples)))
        rows = predict_scores(answers, records, max_records=max_records, max_tokens=max_tokens)
        return cls.of(task, answers.outputs, examples, np.stack([scores for _, scores in rows]))

    def metrics(self) -> dict[str, float]:
        """Metrics of all outputs, `loss` included.

        With several outputs there is a mean of each metric, and `COLUMN_METRIC` for each of them.
        """
        found = [{"loss": aspect.loss(), **aspect.metrics()} for aspect in self.aspects]
        if len(found) == 1:
            return found[0]
        names = dict.fromkeys(name for one in found for name in one)
        means = {
            name: float(np.mean([one[name] for one in found if name in one])) for name in names
        }
        return means | {
            f"{aspect.output.name}_{name}": value
            for aspect, one in zip(self.aspects, found, strict=True)
            for name, value in one.items()
        }

    def intervals(self, *, samples: int = 1000, seed: int = 0) -> dict[str, tuple[float, float]]:
        """95 % intervals of the metrics, by drawing the records anew.

        Args:
            samples: how often.
            seed: of the draws.
        """
        found: dict[str, tuple[float, float]] = {}
        for aspect in self.aspects:
            prefix = f"{aspect.output.name}_" if len(self.aspects) > 1 else ""
            function, options = aspect.how
            intervals = bootstrap_intervals(
                function, [aspect.targets, aspect.scores], samples=samples, seed=seed, **options
            )
            found.update({prefix + name: pair for name, pair in intervals.items()})
        return found

    def rows(self) -> Iterator[dict[str, Any]]:
        """One row for each record: its name, what is true, what was answered, and the scores."""
        for number, name in enumerate(self.names):
            row: dict[str, Any] = {"name": name}
            for aspect in self.aspects:
                row.update(_row(aspect, number, len(self.aspects) > 1))
            yield row

    def write(self, folder: Path, *, samples: int = 1000, seed: int = 0) -> dict[str, Any]:
        """Write `predictions.parquet` and `metrics.json` into a folder, and give the latter.

        Args:
            folder: made where it does not exist.
            samples: draws for the intervals; 0 leaves them out.
            seed: of the draws.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        folder.mkdir(parents=True, exist_ok=True)
        with new_file(folder / "predictions.parquet", overwrite=True) as partial:
            pq.write_table(pa.Table.from_pylist(list(self.rows())), partial)
        content: dict[str, Any] = {"records": len(self.names), "metrics": self.metrics()}
        if samples:
            content["intervals_95"] = {
                name: list(pair)
                for name, pair in self.intervals(samples=samples, seed=seed).items()
            }
        write_json(folder / "metrics.json", content)
        return content


def _row(aspect: Aspect, number: int, with_name: bool) -> dict[str, Any]:
    prefix = f"{aspect.output.name}_" if with_name else ""
    target, scores, labels = aspect.targets[number], aspect.scores[number], aspect.output.labels
    if not labels:
        return {f"{prefix}target": float(target), f"{prefix}predicted": float(scores)}
    probabilities = {
        f"{prefix}probability_{label}": float(score)
        for label, score in zip(labels, scores, strict=True)
    }
    if aspect.output.multilabel:
        true = [label for label, holds in zip(labels, target, strict=True) if holds]
        likely = [label for label, score in zip(labels, scores, strict=True) if score > 0.5]
        return {f"{prefix}target": true, f"{prefix}predicted": likely, **probabilities}
    return {
        f"{prefix}target": labels[target],
        f"{prefix}predicted": labels[int(scores.argmax())],
        **probabilities,
    }
