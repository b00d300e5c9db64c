"""Tables of an evaluation of artificial genomes, and a description of its sets."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from dnagpt_hf.haplotypes.statistics.evaluation import (
    TEST,
    HaplotypeEvaluation,
    SetEvaluation,
)
from dnagpt_hf.haplotypes.statistics.three_point import Gap
from dnagpt_hf.messages import markdown_table

PUBLISHED_NOTE = (
    "* As published by Zhang et al. (2023, Fig. 4 and 5) for 10,000 SNPs of chromosome 15: other "
    "data than here, so that these figures give the scale and no comparison. They do not say "
    "whether the distance over components is a mean or a sum."
)

Table = tuple[list[str], list[list[str]]]


@dataclass(frozen=True)
class Metric:
    """A row of the table.

    Args:
        label: name of the metric and its direction (↑, ↓) or best value.
        value: value of a set; `None` or NaN where it is not defined.
        digits: decimal places.
        published: values in the paper by model.
    """

    label: str
    value: Callable[[SetEvaluation], float | None]
    digits: int = 3
    published: Mapping[str, float] = field(default_factory=dict)


def _linkage(name: str) -> Callable[[SetEvaluation], float | None]:
    return lambda one: None if one.linkage is None else getattr(one.linkage, name)


def _three_point(gap: Gap) -> Callable[[SetEvaluation], float | None]:
    return lambda one: next((t.correlation for t in one.three_point if t.gap == gap), None)


def _window(name: str, width: int) -> Callable[[SetEvaluation], float | None]:
    return lambda one: next((getattr(w, name) for w in one.windows if w.width == width), None)


PUBLISHED = ("GAN", "RBM", "DNAGPT")
"""Models of the paper."""

METRICS: tuple[Metric, ...] = (
    Metric("haplotypes", lambda one: one.haplotypes, 0),
    Metric(
        "principal components 1 to 6: mean Wasserstein distance ↓",
        lambda one: one.pca.mean,
        published={"GAN": 1.753, "RBM": 3.432, "DNAGPT": 1.131},
    ),
    Metric("principal components 1 to 6: sum ↓", lambda one: one.pca.sum),
    Metric(
        "allele frequencies: r ↑",
        lambda one: one.frequencies.correlation,
        published={"GAN": 0.99, "DNAGPT": 0.99},
    ),
    Metric(
        "allele frequencies, real 0.2 or less: r ↑",
        lambda one: one.frequencies.rare_correlation,
        published={"GAN": 0.94, "RBM": 0.83, "DNAGPT": 0.96},
    ),
    Metric("sites that no longer vary ↓", lambda one: one.frequencies.num_lost, 0),
    Metric(
        "linkage r² of all pairs of sites: r ↑",
        _linkage("correlation"),
        published={"GAN": 0.92, "RBM": 0.94, "DNAGPT": 0.98},
    ),
    Metric("linkage r²: mean difference (0)", _linkage("mean_difference"), 4),
    Metric("linkage decay over distance: mean difference ↓", _linkage("decay_difference"), 4),
    Metric(
        "haplotype distances within: Wasserstein distance ↓",
        lambda one: one.distances.within,
        2,
        published={"GAN": 108.15, "RBM": 30.21, "DNAGPT": 71.04},
    ),
    Metric(
        "haplotype distances to real: Wasserstein distance ↓",
        lambda one: one.distances.between,
        2,
        published={"DNAGPT": 28.63},
    ),
    Metric("adversarial accuracy AATS (0.5)", lambda one: one.adversarial.aats),
    Metric("AA truth (0.5)", lambda one: one.adversarial.truth),
    Metric("AA synthetic (0.5)", lambda one: one.adversarial.synthetic),
    Metric("privacy score (0)", lambda one: one.privacy),
    Metric("copies of real haplotypes", lambda one: one.distances.num_copies, 0),
    Metric("haplotypes that repeat another one", lambda one: one.distances.num_repeats, 0),
    Metric("three-point correlations, neighbors: r ↑", _three_point(0)),
    Metric("three-point correlations, 16 sites apart: r ↑", _three_point(16)),
    Metric("three-point correlations, anywhere: r ↑", _three_point("random")),
    Metric("pairs of neighboring alleles: total variation ↓", _window("total_variation", 2)),
    Metric("windows of 10 sites: total variation ↓", _window("total_variation", 10)),
    Metric("windows of 10 sites: share that no real one has ↓", _window("unseen", 10)),
    Metric(
        "IBS tracts: Wasserstein distance of lengths ↓", lambda one: one.ibs_tracts.wasserstein, 2
    ),
)


def metric_table(evaluation: HaplotypeEvaluation) -> Table:
    """Make header and rows: a row for each metric, a column for each set and published model."""
    header = ["", *(one.name for one in evaluation.sets), *(f"{name}*" for name in PUBLISHED)]
    rows = []
    for metric in METRICS:
        row = [_number(metric.value(one), metric.digits) for one in evaluation.sets]
        published = [metric.published.get(name, "") for name in PUBLISHED]
        rows.append([metric.label, *row, *(str(value) for value in published)])
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
            _number(part.frequency_correlation, 3),
            _number(part.within, 2),
            _number(part.pca, 3),
        ]
        for one in evaluation.sets
        for part in one.populations
    ]
    return (header, rows) if rows else None


def _number(value: float | None, digits: int) -> str:
    return "" if value is None or math.isnan(value) else f"{value:,.{digits}f}"


def description(evaluation: HaplotypeEvaluation) -> list[str]:
    """Describe the compared sets in sentences."""
    real = evaluation.real
    where = "" if real.sites is None else f" in {real.sites.extent()}"
    samples = len(set(real.samples.tolist()))
    given = (
        f"The column “{TEST}” holds real haplotypes of other individuals. It shows the deviation "
        "of each statistic by chance alone, which is larger with fewer haplotypes."
    )
    if not evaluation.test_was_given:
        given = (
            f"No test split was given, so that the column “{TEST}” holds individuals set aside "
            "from the real haplotypes. It shows the deviation of each statistic by chance alone. A "
            "model trained on all of them has seen these, so that there is no privacy score."
        )
    generators = ", ".join(one.name for one in evaluation.sets if one.kind == "generator")
    linkage = "Fewer than two sites vary in every set, so that there is no linkage."
    if evaluation.linkage is not None:
        kept = int(evaluation.linkage.sites.sum())
        linkage = (
            f"Linkage is that of the {kept:,} sites that vary in every set; "
            f"{real.num_sites - kept:,} are left out."
        )
    return [
        f"{real.num_haplotypes:,} real haplotypes of {samples:,} individuals over "
        f"{real.num_sites:,} sites{where}, from {evaluation.source}. Every set is compared with "
        "them.",
        given,
        f"Simple generators made from the real haplotypes: {generators}.",
        linkage,
    ]


def as_markdown(evaluation: HaplotypeEvaluation) -> str:
    """Write the tables and the description in Markdown."""
    parts = ["# Artificial genomes", *description(evaluation)]
    parts += [_escaped(*metric_table(evaluation)), PUBLISHED_NOTE.replace("*", r"\*", 1)]
    populations = population_table(evaluation)
    if populations is not None:
        parts += ["## By population", _escaped(*populations)]
    return "\n\n".join(parts) + "\n"


def _escaped(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    # names of sets may hold what Markdown reads as emphasis or as the end of a cell
    cells = [[cell.replace("*", r"\*") for cell in row] for row in (header, *rows)]
    return markdown_table([name.replace("|", r"\|") for name in cells[0]], cells[1:])
