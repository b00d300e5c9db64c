"""Report of an evaluation: figures, and a table in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from dnagpt_hf.evaluation.evaluation import Evaluation, TargetEvaluation
from dnagpt_hf.evaluation.figures import (
    plot_confusion_matrix,
    plot_curves,
    plot_predicted_against_true,
    save_figure,
)
from dnagpt_hf.messages import markdown_table


def write_figures(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Draw an evaluation and write the figures as PNG files.

    Classes and labels have ROC and precision-recall curves and, if a record has one class, a
    confusion matrix; numbers have a plot of predicted against true ones.

    Args:
        evaluation: predictions and targets.
        folder: where the files go, replacing those of the same names.

    Returns:
        The files, whose names begin with that of the output where there are several.

    Raises:
        ImportError: matplotlib is not installed.
    """
    written: list[Path] = []
    for prefix, of_target in zip(evaluation.prefixes(), evaluation.by_target, strict=True):
        for name, figure in _figures(of_target).items():
            written.append(folder / f"{prefix}{name}.png")
            save_figure(figure, written[-1], overwrite=True)
    return written


def metrics_table(content: Mapping[str, Any]) -> str:
    """Lay out the metrics of `Evaluation.write`, one on a line, and name the positive classes.

    Example:

        >>> print(metrics_table({"records": 9, "metrics": {"mcc": 0.5}, "intervals_95": {}}))
        | metric, 9 records | value | 95 % interval |
        | --- | ---: | --- |
        | mcc | 0.5000 |  |
    """
    intervals = content.get("intervals_95", {})
    rows = []
    for name, value in content["metrics"].items():
        between = "{:.4f} to {:.4f}".format(*intervals[name]) if name in intervals else ""
        rows.append([name, f"{value:.4f}", between])
    header = [f"metric, {content['records']:,} records", "value", "95 % interval"]
    table = markdown_table(header, rows, align="lrl")
    if positive := content.get("positive"):
        classes = ", ".join(f"{label} (of {column})" for column, label in positive.items())
        table += (
            f"\n\nOf two classes, f1, precision, recall, auroc and auprc are those of {classes}; "
            "names in _macro are averages over both."
        )
    return table


def _figures(of_target: TargetEvaluation) -> dict[str, Any]:
    output, targets, scores = of_target.output, of_target.targets, of_target.scores
    if not output.labels:
        return {"predicted_against_true": plot_predicted_against_true(targets, scores, output.name)}
    kinds: tuple[Literal["roc", "precision_recall"], ...] = ("roc", "precision_recall")
    figures: dict[str, Any] = {
        kind: plot_curves(targets, scores, output.labels, kind=kind, positive=of_target.positive)
        for kind in kinds
    }
    if not output.multilabel:
        figures["confusion"] = plot_confusion_matrix(targets, scores.argmax(1), output.labels)
    return figures
