"""Models without pre-training on the records of a fine-tuning: what a user would take instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dnagpt_hf.atomic_files import check_new_file, new_files, sole_writer_of_folder, write_json
from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.evaluation.convolutional_baseline import ConvolutionalBaseline, Records
from dnagpt_hf.evaluation.evaluation import Evaluation
from dnagpt_hf.evaluation.kmer_baseline import FloorBaseline, KmerBaseline, ProblemType
from dnagpt_hf.finetuning.run import read_task, resolve_settings
from dnagpt_hf.finetuning.settings import FineTuningSettings
from dnagpt_hf.inference.prediction_heads import Output
from dnagpt_hf.messages import count, markdown_table
from dnagpt_hf.tasks.dataset import TaskData
from dnagpt_hf.tasks.examples import Examples
from dnagpt_hf.tasks.task import Head, Task
from dnagpt_hf.tokenization_dnagpt import PROPERTY_TOKENS, DNAGPTTokenizer

BASELINE = "baseline.json"
Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Baselines:
    """Baselines that were measured on the records of a task.

    Args:
        folder: the folder of `baseline.json` and the predictions.
        content: that of `baseline.json`.
        data: the task and its examples.
    """

    folder: Path
    content: Mapping[str, Any]
    data: TaskData

    def metrics(self, name: str) -> Mapping[str, float]:
        """Give the metrics of `"floor"`, `"kmers"` or `"network"`, means over several seeds."""
        metrics: Mapping[str, float] = self.content["baselines"][name]["metrics"]
        return metrics

    def table(self) -> str:
        """Lay out the metrics in Markdown, with 95 % intervals, or the deviation over seeds."""
        split, found = self.content["split"], self.content["baselines"]
        records = self.content["records"][split]
        answers = self.data.task.answer_list
        numbers = all(answer.is_number for answer in answers)
        floor = "mean" if numbers else "majority class"
        kmers = "4-mers, ridge" if numbers else "4-mers, logistic"
        return markdown_table(
            [f"metric, {count(records, f'{split} record')}", floor, kmers, "convolutional network"],
            (
                [name, *(_cell(one, name) for one in found.values())]
                for name in self.metrics("floor")
            ),
        )


def baseline(
    settings: FineTuningSettings | Mapping[str, Any] | str | Path | None = None,
    *,
    output: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
    arguments: Sequence[str] = (),
    **overrides: Any,
) -> Baselines:
    """Measure simple models on the task of a fine-tuning, in the same splits of the same records.

    - *floor*: the most frequent class of the training split, or the mean of numbers;
    - *kmers*: logistic regression on counts of 4-mers in either half of each sequence, ridge
      regression for numbers ([`~dnagpt_hf.evaluation.kmer_baseline.KmerBaseline`]);
    - *network*: a small convolutional network
      ([`~dnagpt_hf.evaluation.convolutional_baseline.ConvolutionalBaseline`]), once for each seed.

    They read the bases that the model reads (windows, without what is cut out) and the numbers of
    a record, but no other tokens, such as its species. Several answers have a model each.

    Args:
        settings: as of [`finetune`]: path of a YAML file, or names and values.
        output: folder of `baseline.json`, and of a folder for each baseline with `metrics.json` and
            `predictions.parquet` as of `dnagpt evaluate`; by default `output_dir` and `-baseline`.
        overwrite: whether a `baseline.json` there is replaced.
        progress: called after each epoch of the network with the number of epochs that are done,
            and of all.
        arguments: options of a command line, which override all others.
        overrides: further settings, which override those of the file: `seeds=[0, 1, 2]`, or `data`
            as of [`finetune`].

    Returns:
        The metrics of the test split, or, where there is none, of the validation split.

    Raises:
        ValueError: settings or records cannot be used, or the training split has a single class.

    Example:

        >>> import tempfile
        >>> import pandas
        >>> rows = [(motif * n, motif) for motif in ("ACGT", "GC") for n in range(3, 12)]
        >>> found = baseline(
        ...     template="<R>{sequence}<=><B>{label}",
        ...     data=pandas.DataFrame(rows, columns=["sequence", "label"]),
        ...     output=tempfile.mkdtemp(),
        ... )
        >>> found.metrics("floor")["accuracy"]
        0.5
    """
    settings = resolve_settings(settings, arguments, overrides, output)
    folder = Path(f"{settings.training.output_dir}-baseline" if output is None else output)
    check_new_file(folder / BASELINE, overwrite=overwrite)
    checkpoint = open_checkpoint(settings.tuning.model)
    data = read_task(settings, checkpoint)
    with sole_writer_of_folder(folder), new_files(folder) as partial:
        content = _measure(settings, data, checkpoint.tokenizer, partial, progress)
        write_json(partial / BASELINE, content)
    return Baselines(folder, content, data)


def _measure(
    settings: FineTuningSettings,
    data: TaskData,
    tokenizer: DNAGPTTokenizer,
    folder: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Fit all baselines, write their predictions, and give the content of `baseline.json`."""
    training: Any = settings.training
    tuning: Any = settings.tuning
    measured = _Measurement(settings, data, tokenizer, folder, progress)
    found = {
        "floor": measured.of(FloorBaseline, "floor"),
        "kmers": measured.of(lambda kind: KmerBaseline(problem_type=kind), "kmers"),
    }

    def network(seed: int, name: str) -> dict[str, Any]:
        options = {"seed": seed, "device": training.device, "bf16": training.bf16}
        return measured.of(lambda kind: ConvolutionalBaseline(problem_type=kind, **options), name)

    if tuning.seeds is None:
        found["network"] = network(training.seed, "network")
    else:
        runs = [network(seed, f"network/seed-{seed}") for seed in tuning.seeds]
        found["network"] = _joined(tuning.seeds, runs)
    return {
        "task": data.task.name,
        "records": {name: len(one) for name, one in data.splits.items()},
        "split": measured.split,
        "baselines": found,
    }


class _Measurement:
    """Fits baselines to the training split of a task, and measures them on its test split."""

    def __init__(
        self,
        settings: FineTuningSettings,
        data: TaskData,
        tokenizer: DNAGPTTokenizer,
        folder: Path,
        progress: Progress,
    ) -> None:
        self.data, self.folder, self.progress = data, folder, progress
        self.samples = settings.tuning.bootstrap
        self.split = "test" if "test" in data.splits else "validation"
        self.outputs = _outputs(data.task, settings.tuning.head)
        _check_classes(self.outputs, data.splits["train"])
        self.sequences = {name: read_sequences(one, tokenizer) for name, one in data.splits.items()}
        self.numbers = {name: one.number_table() for name, one in data.splits.items()}

    def of(self, make: Callable[[ProblemType], Any], name: str) -> dict[str, Any]:
        """Fit a model for each output, and write metrics and predictions to a folder."""
        scores = []
        for output in self.outputs:
            model = make(_problem_type(output))
            training = self._records("train", output)
            if isinstance(model, ConvolutionalBaseline):
                validation = self._records("validation", output)
                model.fit(*training, validation=validation, progress=self.progress)
            else:
                model.fit(*training)
            scores.append(_scores(model, output, self._records(self.split, output)))
        rows = np.hstack(scores).astype(np.float32)
        examples = self.data.splits[self.split]
        evaluation = Evaluation.from_scores(self.data.task, self.outputs, examples, rows)
        return evaluation.write(self.folder / name, samples=self.samples)

    def _records(self, split: str, output: Output) -> Records:
        # a head with several labels has all answers as its targets
        column = slice(None) if output.multilabel else self.outputs.index(output)
        targets = self.data.splits[split].targets[:, column]
        kind = int if output.labels else float
        return self.sequences[split], targets.astype(kind), self.numbers[split]


def read_sequences(examples: Examples, tokenizer: DNAGPTTokenizer) -> list[tuple[str, ...]]:
    """Read the sequences of prompts in their first view, `(records, sequences)`.

    Sequences that no other token separates are one. A record without any has an empty one.

    Raises:
        RecordError: a record has another count of sequences than the first one.
    """
    rows: list[tuple[str, ...]] = []
    for record, (ids, *_) in zip(examples.records, examples.ids, strict=True):
        is_dna = (ids >= len(PROPERTY_TOKENS)) & (ids < tokenizer.number_token_id)
        ends = np.flatnonzero(np.diff(is_dna, prepend=False, append=False)).reshape(-1, 2)
        rows.append(tuple(tokenizer.decode_dna(ids[start:end]) for start, end in ends) or ("",))
        if len(rows[-1]) != len(rows[0]):
            raise record.error(
                f"it holds {count(len(rows[-1]), 'sequence')} with other tokens between them, and "
                f"the first record {len(rows[0])}: a baseline needs as many of every record"
            )
    return rows


def _outputs(task: Task, head: Head) -> list[Output]:
    """List what is predicted: each answer, or for a head with several labels all at once."""
    if head == "classification" and task.problem_type == "multi_label_classification":
        labels = tuple(answer.column for answer in task.answer_list)
        return [Output("answer", labels, multilabel=True)]
    return [Output(answer.column, answer.labels) for answer in task.answer_list]


def _problem_type(output: Output) -> ProblemType:
    if output.multilabel:
        return "multi_label_classification"
    return "single_label_classification" if output.labels else "regression"


def _check_classes(outputs: Sequence[Output], training: Examples) -> None:
    """Refuse an answer with a single class in the training split, which leaves nothing to learn."""
    for index, output in enumerate(outputs):
        classes = np.unique(training.targets[:, index]).astype(int)
        if output.labels and not output.multilabel and len(classes) < 2:
            raise ValueError(
                f"column {output.name!r}: all {len(training):,} training records are "
                f"{output.labels[classes[0]]!r}, and a baseline needs two classes: add records"
            )


def _scores(model: Any, output: Output, records: Records) -> NDArray[Any]:
    """Predict probabilities of all labels, or a number, `(records, width)`."""
    sequences, _, numbers = records
    if not output.labels:
        predicted: NDArray[Any] = model.predict(sequences, numbers)
        return predicted.reshape(-1, 1)
    scores = np.zeros((len(sequences), output.width))
    # a class without training records has the probability 0
    scores[:, model.classes] = model.predict_proba(sequences, numbers)
    return scores


def _joined(seeds: Sequence[int], runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Average the metrics of several seeds."""
    figures = pd.DataFrame([run["metrics"] for run in runs])
    return {
        "seeds": list(seeds),
        "metrics": figures.mean(skipna=False).to_dict(),
        "standard deviation": figures.std(skipna=False).to_dict(),
        "runs": list(runs),
    }


def _cell(found: Mapping[str, Any], metric: str) -> str:
    """Write a metric with its interval, or its deviation over seeds.

    Example:

        >>> _cell({"metrics": {"mcc": 0.5}, "intervals_95": {"mcc": [0.4, 0.6]}}, "mcc")
        '0.500 (0.400 to 0.600)'
        >>> _cell({"metrics": {"mcc": 0.5}, "standard deviation": {"mcc": 0.01}}, "mcc")
        '0.500 ± 0.010'
    """
    text = f"{found['metrics'][metric]:.3f}"
    if "standard deviation" in found:
        return f"{text} ± {found['standard deviation'][metric]:.3f}"
    interval = found.get("intervals_95", {}).get(metric)
    return text if interval is None else f"{text} ({interval[0]:.3f} to {interval[1]:.3f})"
