"""An evaluation of artificial genomes as JSON and as a page, and the folder with all of it."""

from __future__ import annotations

import base64
import html
import io
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dnagpt_hf.atomic_files import DestinationError, new_file
from dnagpt_hf.haplotypes.statistics.evaluation import HaplotypeEvaluation, SetEvaluation
from dnagpt_hf.haplotypes.statistics.figures import figures
from dnagpt_hf.haplotypes.statistics.tables import (
    METRICS,
    PUBLISHED,
    PUBLISHED_NOTE,
    as_markdown,
    description,
    population_table,
    table,
)
from dnagpt_hf.haplotypes.statistics.three_point import RANDOM

_DPI = 110


def as_dict(evaluation: HaplotypeEvaluation) -> dict[str, Any]:
    """Everything that a program may want to read, without what is there for figures alone.

    Numbers that are not defined are `None`, since JSON has no NaN.
    """
    linkage = evaluation.linkage
    edges = None if linkage is None or linkage.edges is None else linkage.edges.tolist()
    found: dict[str, Any] = {
        "real": {
            "source": evaluation.source,
            "haplotypes": evaluation.real.num_haplotypes,
            "sites": evaluation.real.num_sites,
            "test_was_given": evaluation.test_was_given,
        },
        "seed": evaluation.seed,
        "linkage": {
            "sites": 0 if linkage is None else int(linkage.sites.sum()),
            "edges": edges,
            "pairs": [] if linkage is None else linkage.pairs.tolist(),
            "real_decay": _list(None if linkage is None else linkage.real.decay),
            "real_mean": None if linkage is None else linkage.real.mean,
        },
        "sets": [_set_dict(one) for one in evaluation.sets],
        "published": {
            name: {one.label: one.published[name] for one in METRICS if name in one.published}
            for name in PUBLISHED
        },
    }
    return _without_nan(found)


def _set_dict(one: SetEvaluation) -> dict[str, Any]:
    distances, linkage, frequencies = one.distances, one.linkage, one.frequencies
    return {
        "name": one.name,
        "kind": one.kind,
        "haplotypes": one.num_haplotypes,
        "components": {
            "wasserstein": one.components.wasserstein.tolist(),
            "mean": one.components.mean,
            "sum": one.components.sum,
            "explained": one.components.explained.tolist(),
        },
        "frequencies": {
            name: getattr(frequencies, name)
            for name in ("correlation", "rare_correlation", "mean_difference", "num_lost")
        },
        "linkage": None
        if linkage is None
        else {
            "correlation": linkage.correlation,
            "mean": linkage.mean,
            "mean_difference": linkage.mean_difference,
            "root_mean_square": linkage.root_mean_square,
            "decay": _list(linkage.decay),
            "decay_difference": linkage.decay_difference,
        },
        "distances": {
            name: getattr(distances, name)
            for name in (
                "within",
                "between",
                "mean_real",
                "mean_within",
                "mean_between",
                "num_copies",
                "num_repeats",
            )
        },
        "adversarial": {"aats": one.adversarial.both, **asdict(one.adversarial)},
        "privacy": one.privacy,
        "triplets": [
            {"gap": "random" if t.gap == RANDOM else t.gap, "correlation": t.correlation}
            for t in one.triplets
        ],
        "windows": [asdict(window) for window in one.windows],
        "stretches": None
        if one.stretches is None
        else {
            name: getattr(one.stretches, name)
            for name in ("wasserstein", "real_mean", "other_mean")
        },
        "populations": [asdict(part) for part in one.populations],
    }


def _list(values: Any) -> list[float] | None:
    return None if values is None else values.tolist()


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def write_report(
    evaluation: HaplotypeEvaluation, folder: str | os.PathLike[str], *, overwrite: bool = False
) -> list[Path]:
    """Write `evaluation.json`, `evaluation.md`, `evaluation.html` and a PNG for each figure.

    The page holds its figures, so that it can be opened anywhere without a network.

    Args:
        evaluation: what to write.
        folder: where; it is made if it is not there.
        overwrite: replace files of these names in a folder that has content.

    Returns:
        The files.

    Raises:
        DestinationError: the folder has content and `overwrite` is not given, or is a file.
        ImportError: matplotlib or scipy is not installed.
    """
    path = check_report_folder(folder, overwrite=overwrite)
    drawn = []
    for name, caption, figure in figures(evaluation):
        image = io.BytesIO()
        figure.savefig(image, format="png", dpi=_DPI)
        drawn.append((name, caption, image.getvalue()))
    contents = {
        "evaluation.json": (json.dumps(as_dict(evaluation), indent=2) + "\n").encode(),
        "evaluation.md": as_markdown(evaluation).encode(),
        "evaluation.html": as_html(evaluation, drawn).encode(),
        **{f"{name}.png": image for name, _, image in drawn},
    }
    for name, content in contents.items():
        with new_file(path / name, overwrite=overwrite) as partial:
            partial.write_bytes(content)
    return [path / name for name in contents]


def check_report_folder(folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Refuse a place for the report before any work is done.

    Raises:
        DestinationError: the folder has content and `overwrite` is not given, or is a file.
        ImportError: matplotlib or scipy is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
        import scipy.stats  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "the evaluation of genomes needs matplotlib and scipy: pip install "
            "'dnagpt_hf[haplotypes]'"
        ) from error
    path = Path(folder)
    if path.exists() and not path.is_dir():
        raise DestinationError(f"{path} is a file: choose another name for the folder")
    if not overwrite and path.is_dir() and any(path.iterdir()):
        raise DestinationError(
            f"{path} has content: choose another folder, or overwrite the report (--overwrite)"
        )
    return path


_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1200px; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse; margin: 1em 0; font-size: 13px }
th, td { padding: 3px 9px; border-bottom: 1px solid #ddd; text-align: right }
th:first-child, td:first-child { text-align: left }
th { border-bottom: 2px solid #888; vertical-align: bottom }
td.test, th.test { background: #eef7f4 } td.generator, th.generator { background: #fbf6ee }
td.published, th.published { color: #777 }
figure { margin: 2em 0 } figure img { max-width: 100% } figcaption { color: #444; font-size: 13px }
.wide { overflow-x: auto }
"""


def as_html(evaluation: HaplotypeEvaluation, drawn: Sequence[tuple[str, str, bytes]]) -> str:
    """One page with the tables and the figures.

    Args:
        evaluation: what it shows.
        drawn: name, caption and PNG of each figure.
    """
    kinds = ["", *(one.kind for one in evaluation.sets), *("published" for _ in PUBLISHED)]
    parts = ["<h1>Artificial genomes</h1>"]
    parts += [f"<p>{html.escape(sentence)}</p>" for sentence in description(evaluation)]
    parts.append(_html_table(*table(evaluation), kinds))
    parts.append(f"<p>{html.escape(PUBLISHED_NOTE)}</p>")
    for name, caption, image in drawn:
        source = base64.b64encode(image).decode("ascii")
        parts.append(
            f'<figure class="wide"><img src="data:image/png;base64,{source}" alt="{name}">'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        )
    populations = population_table(evaluation)
    if populations is not None:
        header, rows = populations
        parts += ["<h2>By population</h2>", _html_table(header, rows, [""] * len(header))]
    head = f"<title>Artificial genomes</title><style>{_STYLE}</style>"
    lines = [
        "<!DOCTYPE html>",
        f'<html lang="en"><head><meta charset="utf-8">{head}</head>',
        "<body>",
        *parts,
        "</body></html>",
    ]
    return "\n".join(lines) + "\n"


def _html_table(header: Sequence[str], rows: Sequence[Sequence[str]], kinds: Sequence[str]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        written = [
            f'<{tag} class="{kind}">{html.escape(cell)}</{tag}>'
            for cell, kind in zip(cells, kinds, strict=True)
        ]
        return f"<tr>{''.join(written)}</tr>"

    lines = [line(header, "th"), *(line(row, "td") for row in rows)]
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'
