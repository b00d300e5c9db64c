"""Tables of an evaluation of artificial genomes, and what they are tables of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from dnagpt_hf.haplotypes.statistics.evaluation import (
    TEST,
    HaplotypeEvaluation,
    SetEvaluation,
)
from dnagpt_hf.haplotypes.statistics.three_point import RANDOM

PUBLISHED_NOTE = (
    "* As published by Zhang et al. (2023, Fig. 4 and 5) for 10,000 SNPs of chromosome 15: other "
    "data than here, so that these figures give the scale and no comparison. They do not say "
    "whether the distance over components is a mean or a sum."
)


@dataclass(frozen=True)
class Metric:
    """A row of the table.

    Args:
        label: what it is, and which way is better.
        value: reads it from a set; NaN where it is not defined.
        digits: digits behind the point.
        published: the figures of the paper by model.
    """

    label: str
    value: Callable[[SetEvaluation], float]
    digits: int = 3
    published: Mapping[str, float] = field(default_factory=dict)


def _linkage(name: str) -> Callable[[SetEvaluation], float]:
    return lambda one: math.nan if one.linkage is None else getattr(one.linkage, name)


def _triplets(gap: int) -> Callable[[SetEvaluation], float]:
    return lambda one: next((t.correlation for t in one.triplets if t.gap == gap), math.nan)


def _window(name: str, width: int) -> Callable[[SetEvaluation], float]:
    return lambda one: next((getattr(w, name) for w in one.windows if w.width == width), math.nan)


PUBLISHED = ("GAN", "RBM", "DNAGPT")
"""Models of the paper."""

METRICS: tuple[Metric, ...] = (
    Metric("haplotypes", lambda one: one.num_haplotypes, 0),
    Metric(
        "principal components 1 to 6: mean Wasserstein distance ↓",
        lambda one: one.components.mean,
        published={"GAN": 1.753, "RBM": 3.432, "DNAGPT": 1.131},
    ),
    Metric("principal components 1 to 6: sum ↓", lambda one: one.components.sum),
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
    Metric("adversarial accuracy AATS (0.5)", lambda one: one.adversarial.both),
    Metric("AA truth (0.5)", lambda one: one.adversarial.truth),
    Metric("AA synthetic (0.5)", lambda one: one.adversarial.synthetic),
    Metric(
        "privacy score (0)",
        lambda one: math.nan if one.privacy is None else one.privacy,
    ),
    Metric("copies of real haplotypes", lambda one: one.distances.num_copies, 0),
    Metric("haplotypes that repeat another one", lambda one: one.distances.num_repeats, 0),
    Metric("three-point correlations, neighbours: r ↑", _triplets(0)),
    Metric("three-point correlations, 16 sites apart: r ↑", _triplets(16)),
    Metric("three-point correlations, anywhere: r ↑", _triplets(RANDOM)),
    Metric("pairs of neighbouring alleles: total variation ↓", _window("total_variation", 2)),
    Metric("windows of 10 sites: total variation ↓", _window("total_variation", 10)),
    Metric("windows of 10 sites: share that no real one has ↓", _window("unseen", 10)),
    Metric(
        "stretches without a difference: Wasserstein distance ↓",
        lambda one: math.nan if one.stretches is None else one.stretches.wasserstein,
        2,
    ),
)


def table(evaluation: HaplotypeEvaluation) -> tuple[list[str], list[list[str]]]:
    """Header and rows: a row for each metric, a column for each set and published model."""
    header = ["", *(one.name for one in evaluation.sets), *(f"{name}*" for name in PUBLISHED)]
    rows = []
    for metric in METRICS:
        values = [metric.value(one) for one in evaluation.sets]
        published = [metric.published.get(name, math.nan) for name in PUBLISHED]
        row = [_number(value, metric.digits) for value in values]
        rows.append([metric.label, *row, *(f"{v:g}" if v == v else "" for v in published)])
    return header, rows


def population_table(evaluation: HaplotypeEvaluation) -> tuple[list[str], list[list[str]]] | None:
    """A row for each set and population; `None` where populations are not known."""
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
            _number(part.components, 3),
        ]
        for one in evaluation.sets
        for part in one.populations
    ]
    return (header, rows) if rows else None


def _number(value: float, digits: int) -> str:
    return "" if value != value else f"{value:,.{digits}f}"


def description(evaluation: HaplotypeEvaluation) -> list[str]:
    """Sentences about what was compared."""
    real = evaluation.real
    where = "" if real.sites is None else f" in {real.sites.extent()}"
    people = len(set(real.samples.tolist()))
    sentences = [
        f"{real.num_haplotypes:,} real haplotypes of {people:,} people over {real.num_sites:,} "
        f"sites{where}, from {evaluation.source}. Every set is compared with them."
    ]
    if evaluation.test_was_given:
        sentences.append(
            f"The column “{TEST}” holds real haplotypes of other people. It shows how far a figure "
            "is off by chance alone; with fewer haplotypes, that is further."
        )
    else:
        sentences.append(
            f"No test part was given, so that the column “{TEST}” holds people set aside from the "
            "real haplotypes. It shows how far a figure is off by chance alone. A model trained on "
            "all of them has seen these, so that there is no privacy score."
        )
    generators = [one.name for one in evaluation.sets if one.kind == "generator"]
    sentences.append(f"Simple generators made from the real haplotypes: {', '.join(generators)}.")
    if evaluation.linkage is None:
        sentences.append("Fewer than two sites vary in every set, so that there is no linkage.")
    else:
        kept = int(evaluation.linkage.sites.sum())
        sentences.append(
            f"Linkage is that of the {kept:,} sites that vary in every set; "
            f"{real.num_sites - kept:,} are left out."
        )
    return sentences


def as_markdown(evaluation: HaplotypeEvaluation) -> str:
    """The table of all sets, with what was compared."""
    parts = ["# Artificial genomes", *description(evaluation), _markdown_table(*table(evaluation))]
    parts.append(PUBLISHED_NOTE.replace("*", "\\*", 1))
    populations = population_table(evaluation)
    if populations is not None:
        parts += ["## By population", _markdown_table(*populations)]
    return "\n\n".join(parts) + "\n"


def _markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [[cell.replace("|", "\\|").replace("*", "\\*") for cell in row] for row in rows]
    names = [cell.replace("|", "\\|").replace("*", "\\*") for cell in header]
    rule = ["---", *("---:" for _ in names[1:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in (names, rule, *cells))
