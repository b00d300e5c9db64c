"""Published figures of the tasks, and tables of measured figures beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from itertools import product
from pathlib import Path

import yaml

_RESULTS = Path(__file__).with_name("paper_results.yaml")
METRIC_TITLES = {
    "accuracy": "accuracy",
    "f1": "F1",
    "mcc": "MCC",
    "precision": "precision",
    "recall": "recall",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "r2": "r²",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "mse": "MSE",
    "mae": "MAE",
}
"""Headings of the metrics in tables, in their order."""


@dataclass(frozen=True)
class PaperResult:
    """One published figure.

    Args:
        task: name of the task, such as `gsr-human-tis`.
        model: who reached it.
        metric: one of `METRIC_TITLES`; precision, recall and F1 are averages over the classes.
        value: as a fraction, also where percent are printed.
        source: table or figure of the paper, or where else it is from.
        data: the data and their split.
    """

    task: str
    model: str
    metric: str
    value: float
    source: str
    data: str


def paper_results(task: str) -> list[PaperResult]:
    """The published figures of a task, those of the paper before others.

    Args:
        task:
            `gsr-SPECIES-pas-aataaa`, `gsr-SPECIES-pas-all` or `gsr-SPECIES-tis` for human, mouse,
            fruitfly and bovine (tables S2 to S4); `mrna-human`, `mrna-mouse` (Fig. 3f);
            `nt-H3K4me1` and others of the Nucleotide Transformer benchmark (table S1);
            `gue-prom_core_all`, `gue-prom_300_all`, `gue-splice` (an independent run of the
            released weights, which other tasks have beside the paper's figures).

    Raises:
        ValueError: nothing is published of a task with that name.

    Example:

        >>> [(result.model, result.value, result.source) for result in paper_results("mrna-mouse")]
        [('DNAGPT-M', 0.73, 'Fig. 3f'), ('Xpresso', 0.71, 'Fig. 3f')]
    """
    results = _all_results()
    if task not in results:
        near = get_close_matches(task, results, n=3, cutoff=0) or sorted(results)
        raise ValueError(
            f"no published figures of a task {task!r}: the nearest names are {', '.join(near)}"
        )
    return list(results[task])


def tasks_with_results() -> list[str]:
    """Names of all tasks with published figures."""
    return list(_all_results())


def comparison_table(
    task: str, measured: Mapping[str, float], model_name: str, *, note: str | None = None
) -> str:
    """A table in Markdown of measured figures beside the published ones.

    Args:
        task: as of `paper_results`.
        measured: figures by metric, as fractions; those without a title in `METRIC_TITLES` are
            left out.
        model_name: what was measured.
        note: in what data or split differ from the published ones, if they do.

    Raises:
        ValueError: as of `paper_results`.

    Example:

        >>> print(comparison_table("mrna-mouse", {"r2": 0.7}, "mine", note="half of the genes"))
        | model | r² | source |
        | --- | --- | --- |
        | DNAGPT-M | 0.73 | Fig. 3f |
        | Xpresso | 0.71 | Fig. 3f |
        | **mine** | 0.7000 | measured |
        <BLANKLINE>
        Published figures: Xpresso, promoters and eight half-life features, 1,000 genes of each \
species held out (Fig. 3f).
        <BLANKLINE>
        **Not comparable one to one**, data or split differ: half of the genes.
    """
    published = paper_results(task)
    known = measured.keys() | {result.metric for result in published}
    metrics = [metric for metric in METRIC_TITLES if metric in known]
    rows = [["model", *(METRIC_TITLES[metric] for metric in metrics), "source"]]
    rows.append(["---"] * len(rows[0]))
    for (model, source), figures in _by_model(published).items():
        values = [f"{figures[metric]:g}" if metric in figures else "" for metric in metrics]
        rows.append([model, *values, source])
    own = [_measured(measured.get(metric)) for metric in metrics]
    rows.append([f"**{model_name.replace('|', '/')}**", *own, "measured"])
    parts = ["\n".join(f"| {' | '.join(row)} |" for row in rows), _data(published)]
    if note:
        differing = note.strip().removesuffix(".")
        parts.append(f"**Not comparable one to one**, data or split differ: {differing}.")
    return "\n\n".join(parts)


@cache
def _all_results() -> dict[str, list[PaperResult]]:
    results: dict[str, list[PaperResult]] = {}
    for block in yaml.safe_load(_RESULTS.read_text(encoding="utf-8")):
        columns = list(product(block["models"], block["metrics"]))
        percent = block.get("unit") == "percent"
        for task, values in block["results"].items():
            for (model, metric), value in zip(columns, values, strict=True):
                # hundredths of a percent are as much as is printed
                fraction = round(value / 100, 4) if percent else value
                results.setdefault(task, []).append(
                    PaperResult(task, model, metric, fraction, block["source"], block["data"])
                )
    return results


def _by_model(results: list[PaperResult]) -> dict[tuple[str, str], dict[str, float]]:
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for result in results:
        rows.setdefault((result.model, result.source), {})[result.metric] = result.value
    return rows


def _measured(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.4f}"


def _data(results: list[PaperResult]) -> str:
    """On what the figures were made, with the sources that share it."""
    sources: dict[str, dict[str, None]] = {}
    for result in results:
        sources.setdefault(result.data, {})[result.source] = None
    lines = [f"{data} ({', '.join(of)})" for data, of in sources.items()]
    return f"Published figures: {'. '.join(lines)}."
