"""Published results of the tasks, and tables of measured results beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import yaml

from dnagpt_hf.messages import did_you_mean, markdown_table

_RESULTS = Path(__file__).with_name("paper_results.yaml")


@dataclass(frozen=True)
class PaperResult:
    """One published number.

    Args:
        task: name of the task, such as `gsr-human-tis`.
        model: name of the model.
        metric: name of the metric, as in `dnagpt_hf.evaluation.metrics`.
        value: as a fraction, even if the source prints percent.
        source: table or figure of the paper, or another source.
        data: the data and their split.
    """

    task: str
    model: str
    metric: str
    value: float
    source: str
    data: str


def paper_results(task: str) -> list[PaperResult]:
    """List the published results of a task, those of the paper before others.

    Args:
        task:
            `gsr-SPECIES-pas-aataaa`, `gsr-SPECIES-pas-all` or `gsr-SPECIES-tis` for human, mouse,
            fruitfly and bovine (tables S2 to S4); `mrna-human`, `mrna-mouse` (Fig. 3f);
            `nt-H3K4me1` and others of the Nucleotide Transformer benchmark (table S1);
            `gue-prom_core_all`, `gue-prom_300_all`, `gue-splice` (an independent run of the
            released weights, which other tasks have beside the paper's results).

    Raises:
        ValueError: no result of a task with that name is published.

    Example:

        >>> [(result.model, result.value, result.source) for result in paper_results("mrna-mouse")]
        [('DNAGPT-M', 0.73, 'Fig. 3f'), ('Xpresso', 0.71, 'Fig. 3f')]
    """
    results = _all_results()
    if task not in results:
        hint = did_you_mean(task, results) or f": choose one of {', '.join(results)}"
        raise ValueError(f"no published results of a task {task!r}{hint}")
    return list(results[task])


def comparison_table(
    task: str, measured: Mapping[str, float], model_name: str, *, note: str | None = None
) -> str:
    """Lay out measured results beside the published ones, in Markdown.

    Args:
        task: as of `paper_results`.
        measured: results by metric, as fractions; the table shows those that are published.
        model_name: name of the measured model.
        note: the difference in data or split from the published results, if there is one.

    Raises:
        ValueError: as of `paper_results`.

    Example:

        >>> print(comparison_table("mrna-mouse", {"r2": 0.7}, "mine", note="half of the genes"))
        | model | r2 | source |
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
    metrics = list(dict.fromkeys(result.metric for result in published))
    values: dict[tuple[str, str], dict[str, str]] = {}
    sources: dict[str, dict[str, None]] = {}
    for result in published:
        row = values.setdefault((result.model, result.source), {})
        row[result.metric] = f"{result.value:g}"
        sources.setdefault(result.data, {})[result.source] = None
    values[f"**{model_name}**", "measured"] = {
        metric: f"{measured[metric]:.4f}"
        for metric in metrics
        if not math.isnan(measured.get(metric, math.nan))
    }
    header = ["model", *metrics, "source"]
    rows = [
        [model, *(of_model.get(metric, "") for metric in metrics), source]
        for (model, source), of_model in values.items()
    ]
    data = ". ".join(f"{data} ({', '.join(of_data)})" for data, of_data in sources.items())
    text = f"{markdown_table(header, rows, align='l' * len(header))}\n\nPublished figures: {data}."
    if note:
        differing = note.strip().removesuffix(".")
        text += f"\n\n**Not comparable one to one**, data or split differ: {differing}."
    return text


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
