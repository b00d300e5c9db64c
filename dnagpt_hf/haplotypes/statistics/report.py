"""The report on artificial genomes: a folder with JSON, Markdown, a page in HTML and figures."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader

from dnagpt_hf.atomic_files import DestinationError, new_files, write_json
from dnagpt_hf.haplotypes.statistics.evaluation import HaplotypeEvaluation
from dnagpt_hf.haplotypes.statistics.metrics import PUBLISHED, metrics_of, number_text, plain
from dnagpt_hf.messages import markdown_table

_DPI = 110
_PUBLISHED_NOTE = (
    "* As published by Zhang et al. (2023, Fig. 4 and 5) for 10,000 SNPs of chromosome 15: other "
    "data than here, so that these figures give the scale and no comparison. They do not say "
    "whether the distance over components is a mean or a sum."
)

Table = tuple[list[str], list[list[str]]]


def description(evaluation: HaplotypeEvaluation) -> list[str]:
    """Describe the compared sets in sentences."""
    real = evaluation.real
    where = "" if real.sites is None else f" in {real.sites.extent()}"
    by_kind = {
        kind: ", ".join(one.name for one in evaluation.sets if one.kind == kind)
        for kind in ("test", "generator")
    }
    given = (
        f"The column “{by_kind['test']}” holds real haplotypes of other individuals. It shows the "
        "deviation of each statistic by chance alone, which is larger with fewer haplotypes."
    )
    if not evaluation.test_was_given:
        given = (
            f"No test split was given, so that the column “{by_kind['test']}” holds individuals "
            "set aside from the real haplotypes. It shows the deviation of each statistic by "
            "chance alone. A model trained on all of them has seen these, so that there is no "
            "privacy score."
        )
    linkage = "Fewer than two sites vary in every set, so that there is no linkage."
    if evaluation.linkage is not None:
        kept = int(evaluation.linkage.sites.sum())
        linkage = (
            f"Linkage is that of the {kept:,} sites that vary in every set; "
            f"{real.num_sites - kept:,} are left out."
        )
    return [
        f"{real.num_haplotypes:,} real haplotypes of {real.num_samples:,} individuals over "
        f"{real.num_sites:,} sites{where}, from {real.source}. Every set is compared with them.",
        given,
        f"Simple generators made from the real haplotypes: {by_kind['generator']}.",
        linkage,
    ]


def metric_table(evaluation: HaplotypeEvaluation, *, published: bool = True) -> Table:
    """Make header and rows: a row for each metric, a column for each set and published model.

    Args:
        evaluation: results of [`evaluate_haplotypes`].
        published: add the columns of the models of the paper.
    """
    models = PUBLISHED if published else ()
    header = ["", *(one.name for one in evaluation.sets), *(f"{name}*" for name in models)]
    rows = []
    for of_sets in zip(*map(metrics_of, evaluation.sets), strict=True):
        row = of_sets[0][0]
        values = [number_text(value, row.digits) for _, value in of_sets]
        rows.append([row.label, *values, *(str(row.published.get(name, "")) for name in models)])
    return header, rows


def population_table(evaluation: HaplotypeEvaluation) -> Table | None:
    """Make header and rows for each set and population; `None` if populations are not known."""
    header = [
        *("set", "population", "real", "of the set", "share of real", "share of the set"),
        *("allele frequencies: r", "distances within: W", "components: W"),
    ]
    rows = [
        [
            one.name,
            part.population,
            f"{part.num_real:,}",
            f"{part.num_other:,}",
            f"{part.real_share:.1%}",
            f"{part.other_share:.1%}",
            number_text(part.frequency_correlation),
            number_text(part.within, 2),
            number_text(part.pca),
        ]
        for one in evaluation.sets
        for part in one.populations
    ]
    return (header, rows) if rows else None


def as_dict(evaluation: HaplotypeEvaluation) -> dict[str, Any]:
    """Collect all results as plain data, without arrays that only figures show."""
    real, linkage = evaluation.real, evaluation.linkage
    rows = [row for row, _ in metrics_of(evaluation.sets[0])]
    return {
        "real": {
            "source": real.source,
            "haplotypes": real.num_haplotypes,
            "sites": real.num_sites,
            "test_was_given": evaluation.test_was_given,
        },
        "seed": evaluation.seed,
        "linkage": {
            "sites": 0 if linkage is None else int(linkage.sites.sum()),
            "edges": None if linkage is None else plain(linkage.edges),
            "pairs": [] if linkage is None else plain(linkage.pairs),
            "real_decay": None if linkage is None else plain(linkage.real.decay),
            "real_mean": None if linkage is None else linkage.real.mean,
        },
        "sets": plain(evaluation.sets),
        "published": {
            name: {row.label: row.published[name] for row in rows if name in row.published}
            for name in PUBLISHED
        },
    }


def as_markdown(evaluation: HaplotypeEvaluation) -> str:
    """Write the tables and the description in Markdown."""
    tables = [markdown_table(*metric_table(evaluation)), _PUBLISHED_NOTE]
    populations = population_table(evaluation)
    if populations is not None:
        tables += ["## By population", markdown_table(*populations)]
    # names of sets may hold what Markdown reads as emphasis
    tables = [one.replace("*", r"\*") for one in tables]
    return "\n\n".join(["# Artificial genomes", *description(evaluation), *tables]) + "\n"


def write_report(
    evaluation: HaplotypeEvaluation, folder: str | os.PathLike[str], *, overwrite: bool = False
) -> None:
    """Write `evaluation.json`, `evaluation.md`, `evaluation.html` and a PNG for each figure.

    The page holds its figures, so that a browser needs no other file and no network.

    Args:
        evaluation: results of [`evaluate_haplotypes`].
        folder: folder of the files, made if need be.
        overwrite: replace files of these names in a folder with content.

    Raises:
        DestinationError: the folder has content and `overwrite` is not given, or is a file.
        ImportError: matplotlib is not installed.

    Example:

        >>> import tempfile
        >>> import numpy as np
        >>> from dnagpt_hf import Haplotypes, evaluate_haplotypes
        >>> alleles = np.random.default_rng(0).integers(0, 2, (60, 20), np.uint8)
        >>> real, other = (Haplotypes(half, np.arange(30)) for half in (alleles[:30], alleles[30:]))
        >>> evaluation = evaluate_haplotypes(real, {"model": other})
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_report(evaluation, folder)
        >>> sorted(path.name for path in folder.glob("evaluation.*"))
        ['evaluation.html', 'evaluation.json', 'evaluation.md']
    """
    path = check_report_folder(folder, overwrite=overwrite)
    from dnagpt_hf.haplotypes.statistics.figures import figures

    loader = PackageLoader("dnagpt_hf.haplotypes.statistics", "")
    template = Environment(loader=loader, autoescape=True).get_template("report.html.jinja")
    with new_files(path) as partial:
        write_json(partial / "evaluation.json", as_dict(evaluation))
        (partial / "evaluation.md").write_text(as_markdown(evaluation), encoding="utf-8")
        drawn = []
        for name, caption, figure in figures(evaluation):
            image = partial / f"{name}.png"
            figure.savefig(image, dpi=_DPI)
            drawn.append((name, caption, base64.b64encode(image.read_bytes()).decode("ascii")))
        page = template.render(
            description=description(evaluation),
            metrics=metric_table(evaluation),
            # classes of the columns
            kinds=["", *(one.kind for one in evaluation.sets), *("published" for _ in PUBLISHED)],
            note=_PUBLISHED_NOTE,
            figures=drawn,
            populations=population_table(evaluation),
        )
        (partial / "evaluation.html").write_text(page, encoding="utf-8")


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
