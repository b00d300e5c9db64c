"""Report of an evaluation: figures, and a table in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from dnagpt_hf.evaluation.evaluation import Evaluation
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
    kinds: tuple[Literal["roc", "precision_recall"], ...] = ("roc", "precision_recall")
    written: list[Path] = []
    for prefix, one in zip(evaluation.prefixes(), evaluation.by_target, strict=True):
        output, targets, scores = one.output, one.targets, one.scores
        figures: dict[str, Any] = {}
        if output.labels:
            labels, positive = output.labels, one.positive
            for kind in kinds:
                figures[kind] = plot_curves(targets, scores, labels, kind=kind, positive=positive)
            if not output.multilabel:
                figures["confusion"] = plot_confusion_matrix(targets, scores.argmax(1), labels)
        else:
            drawn = plot_predicted_against_true(targets, scores, output.name)
            figures["predicted_against_true"] = drawn
        for name, figure in figures.items():
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
        table += f"\n\nf1, precision, recall, auroc and auprc are those of {classes}."
        if any(name.endswith("_macro") for name in content["metrics"]):
            table += " Names in _macro are averages over both classes."
    return table
