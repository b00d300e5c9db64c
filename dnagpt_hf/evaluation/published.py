"""Published results of the tasks, and tables of measured results beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from itertools import product
from pathlib import Path

import pandas as pd
import yaml

from dnagpt_hf.messages import did_you_mean, markdown_table

_RESULTS = Path(__file__).with_name("paper_results.yaml")


def paper_results(task: str) -> pd.DataFrame:
    """List the published results of a task, those of the paper before others.

    Args:
        task:
            `gsr-SPECIES-pas-aataaa`, `gsr-SPECIES-pas-all` or `gsr-SPECIES-tis` for human, mouse,
            fruitfly and bovine (tables S2 to S4); `mrna-human`, `mrna-mouse` (Fig. 3f);
            `nt-H3K4me1` and others of the Nucleotide Transformer benchmark (table S1);
            `gue-prom_core_all`, `gue-prom_300_all`, `gue-splice` (an independent run of the
            released weights, which other tasks have beside the paper's results).

    Returns:
        A row for each figure: `task`, `model`, `metric` (as in `dnagpt_hf.evaluation.metrics`),
        `value` as a fraction even if the source prints percent, `source` (table or figure of the
        paper, or another one), and `data` with their split.

    Raises:
        ValueError: no result of a task with that name is published.

    Example:

        >>> paper_results("mrna-mouse")[["model", "value", "source"]].values.tolist()
        [['DNAGPT-M', 0.73, 'Fig. 3f'], ['Xpresso', 0.71, 'Fig. 3f']]
    """
    results = _all_results()
    known = list(results["task"].unique())
    if task not in known:
        hint = did_you_mean(task, known) or f": choose one of {', '.join(known)}"
        raise ValueError(f"no published results of a task {task!r}{hint}")
    return results[results["task"] == task]


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
    metrics = list(published["metric"].unique())
    rows = []
    for (model, source), figures in published.groupby(["model", "source"], sort=False):
        values = dict(zip(figures["metric"], figures["value"], strict=True))
        rows.append([model, *(_cell(values.get(metric), "g") for metric in metrics), source])
    cells = [_cell(measured.get(metric), ".4f") for metric in metrics]
    rows.append([f"**{model_name}**", *cells, "measured"])
    header = ["model", *metrics, "source"]
    sources = published.groupby("data", sort=False)["source"].unique()
    data = ". ".join(f"{data} ({', '.join(of_data)})" for data, of_data in sources.items())
    text = f"{markdown_table(header, rows, align='l' * len(header))}\n\nPublished figures: {data}."
    if note:
        differing = note.strip().removesuffix(".")
        text += f"\n\n**Not comparable one to one**, data or split differ: {differing}."
    return text


def _cell(value: float | None, format: str) -> str:
    return "" if value is None or math.isnan(value) else f"{value:{format}}"


@cache
def _all_results() -> pd.DataFrame:
    rows = []
    for block in yaml.safe_load(_RESULTS.read_text(encoding="utf-8")):
        columns = list(product(block["models"], block["metrics"]))
        # hundredths of a percent are as much as is printed
        scale = 100 if block.get("unit") == "percent" else 1
        for task, values in block["results"].items():
            rows += [
                (task, model, metric, round(value / scale, 4), block["source"], block["data"])
                for (model, metric), value in zip(columns, values, strict=True)
            ]
    return pd.DataFrame(rows, columns=["task", "model", "metric", "value", "source", "data"])
