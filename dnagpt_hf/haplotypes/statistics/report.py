"""The report on artificial genomes: a folder with JSON, Markdown, a page in HTML and figures."""

from __future__ import annotations

import base64
import io
import math
import os
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader

from dnagpt_hf.atomic_files import DestinationError, new_files, write_json
from dnagpt_hf.haplotypes.statistics.evaluation import HaplotypeEvaluation
from dnagpt_hf.haplotypes.statistics.tables import (
    METRICS,
    PUBLISHED,
    PUBLISHED_NOTE,
    as_markdown,
    description,
    metric_table,
    population_table,
)

_DPI = 110


def as_dict(evaluation: HaplotypeEvaluation) -> dict[str, Any]:
    """Collect all results as plain data, without arrays that only figures show."""
    real, linkage = evaluation.real, evaluation.linkage
    return {
        "real": {
            "source": evaluation.source,
            "haplotypes": real.num_haplotypes,
            "sites": real.num_sites,
            "test_was_given": evaluation.test_was_given,
        },
        "seed": evaluation.seed,
        "linkage": {
            "sites": 0 if linkage is None else int(linkage.sites.sum()),
            "edges": None if linkage is None else _plain(linkage.edges),
            "pairs": [] if linkage is None else linkage.pairs.tolist(),
            "real_decay": None if linkage is None else _plain(linkage.real.decay),
            "real_mean": None if linkage is None else linkage.real.mean,
        },
        "sets": _plain(evaluation.sets),
        "published": {
            name: {one.label: one.published[name] for one in METRICS if name in one.published}
            for name in PUBLISHED
        },
    }


def _plain(value: Any) -> Any:
    """Turn dataclasses and arrays into dictionaries and lists; `repr=False` marks figure data."""
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value) if one.repr}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(one) for one in value]
    # JSON has no NaN
    return None if isinstance(value, float) and math.isnan(value) else value


def write_report(
    evaluation: HaplotypeEvaluation, folder: str | os.PathLike[str], *, overwrite: bool = False
) -> list[Path]:
    """Write `evaluation.json`, `evaluation.md`, `evaluation.html` and a PNG for each figure.

    The page holds its figures, so that a browser needs no other file and no network.

    Args:
        evaluation: results of [`evaluate_haplotypes`].
        folder: folder of the files, made if need be.
        overwrite: replace files of these names in a folder with content.

    Returns:
        The files.

    Raises:
        DestinationError: the folder has content and `overwrite` is not given, or is a file.
        ImportError: matplotlib is not installed.

    Example:

        >>> import tempfile
        >>> from dnagpt_hf import Haplotypes, evaluate_haplotypes
        >>> alleles = np.random.default_rng(0).integers(0, 2, (60, 20), np.uint8)
        >>> real, other = (Haplotypes(half, np.arange(30)) for half in (alleles[:30], alleles[30:]))
        >>> evaluation = evaluate_haplotypes(real, {"model": other})
        >>> files = write_report(evaluation, tempfile.mkdtemp())
        >>> [path.name for path in files][:3]
        ['evaluation.json', 'evaluation.md', 'evaluation.html']
    """
    path = check_report_folder(folder, overwrite=overwrite)
    from dnagpt_hf.haplotypes.statistics.figures import figures

    drawn = []
    for name, caption, figure in figures(evaluation):
        image = io.BytesIO()
        figure.savefig(image, format="png", dpi=_DPI)
        drawn.append((name, caption, image.getvalue()))
    contents = {
        "evaluation.md": as_markdown(evaluation).encode(),
        "evaluation.html": as_html(evaluation, drawn).encode(),
        **{f"{name}.png": image for name, _, image in drawn},
    }
    with new_files(path) as partial:
        write_json(partial / "evaluation.json", as_dict(evaluation))
        for name, content in contents.items():
            (partial / name).write_bytes(content)
    return [path / name for name in ("evaluation.json", *contents)]


def check_report_folder(folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Refuse a folder of a report before any work is done.

    Raises:
        DestinationError: the folder has content and `overwrite` is not given, or is a file.
        ImportError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "the report on artificial genomes needs matplotlib: pip install 'dnagpt_hf[haplotypes]'"
        ) from error
    path = Path(folder)
    if path.exists() and not path.is_dir():
        raise DestinationError(f"{path} is a file: choose another name for the folder")
    if not overwrite and path.is_dir() and any(path.iterdir()):
        raise DestinationError(
            f"{path} has content: choose another folder, or overwrite the report (--overwrite)"
        )
    return path


def as_html(evaluation: HaplotypeEvaluation, drawn: Sequence[tuple[str, str, bytes]]) -> str:
    """Render one page with the tables and the figures.

    Args:
        evaluation: results of [`evaluate_haplotypes`].
        drawn: name, caption and PNG of each figure.
    """
    loader = PackageLoader("dnagpt_hf.haplotypes.statistics", "")
    template = Environment(loader=loader, autoescape=True).get_template("report.html.jinja")
    images = [
        (name, caption, base64.b64encode(image).decode("ascii")) for name, caption, image in drawn
    ]
    return template.render(
        description=description(evaluation),
        metrics=metric_table(evaluation),
        # classes of the columns
        kinds=["", *(one.kind for one in evaluation.sets), *("published" for _ in PUBLISHED)],
        note=PUBLISHED_NOTE,
        figures=images,
        populations=population_table(evaluation),
    )
