"""An evaluation as figures, and as a table in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dnagpt_hf.evaluation.evaluation import Aspect, Evaluation
from dnagpt_hf.evaluation.figures import (
    plot_confusion_matrix,
    plot_precision_recall,
    plot_predicted_against_true,
    plot_roc,
    save_figure,
)
from dnagpt_hf.evaluation.published import comparison_table


def write_figures(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Draw what an evaluation found.

    ROC and precision-recall curves and, of one class per record, the confusion matrix; of numbers
    the predicted against the true ones.

    Args:
        evaluation: the answers.
        folder: where the PNG files go, replacing those of the same names.

    Returns:
        The files, whose names begin with the name of the output where there are several.

    Raises:
        ImportError: matplotlib is not installed.
    """
    written: list[Path] = []
    for aspect in evaluation.aspects:
        prefix = f"{aspect.output.name}_" if len(evaluation.aspects) > 1 else ""
        for name, figure in _figures(aspect).items():
            written.append(folder / f"{prefix}{name}.png")
            save_figure(figure, written[-1], overwrite=True)
    return written


def report(
    content: Mapping[str, Any], name: str, compare: str | None = None, *, note: str | None = None
) -> str:
    """Metrics with their intervals as a table, beside published figures where they are asked for.

    Args:
        content: what `Evaluation.write` gives.
        name: name of the model.
        compare: name of published figures (`dnagpt_hf.evaluation.published`).
        note: what was measured on, which the comparison says.
    """
    text = metrics_table(content) + "\n"
    if compare is not None:
        text += "\n" + comparison_table(compare, content["metrics"], name, note=note) + "\n"
    return text


def metrics_table(content: Mapping[str, Any]) -> str:
    """The metrics of `Evaluation.write`, one on a line.

    Example:

        >>> print(metrics_table({"records": 9, "metrics": {"mcc": 0.5}, "intervals_95": {}}))
        | metric, 9 records | value | 95 % interval |
        | --- | ---: | --- |
        | mcc | 0.5000 |  |
    """
    intervals = content.get("intervals_95", {})
    lines = [
        f"| metric, {content['records']:,} records | value | 95 % interval |",
        "| --- | ---: | --- |",
    ]
    for name, value in content["metrics"].items():
        low, high = intervals.get(name, (None, None))
        between = "" if low is None else f"{low:.4f} to {high:.4f}"
        lines.append(f"| {name} | {value:.4f} | {between} |")
    return "\n".join(lines)


def _figures(aspect: Aspect) -> dict[str, Any]:
    output = aspect.output
    if not output.labels:
        return {
            "predicted_against_true": plot_predicted_against_true(
                aspect.targets, aspect.scores, output.name
            )
        }
    curves: dict[str, Any] = {
        "roc": plot_roc(aspect.targets, aspect.scores, output.labels, positive=aspect.positive),
        "precision_recall": plot_precision_recall(
            aspect.targets, aspect.scores, output.labels, positive=aspect.positive
        ),
    }
    if not output.multilabel:
        predicted = aspect.scores.argmax(1)
        curves["confusion"] = plot_confusion_matrix(aspect.targets, predicted, output.labels)
    return curves
