"""Statistics of artificial genomes against real ones, of the paper and Yelmen et al. (2021).

Every set is compared with the same real haplotypes, the training split. Two kinds of sets always
stand beside the generated ones: a test split, which shows the deviation by chance, and simple
reference generators, which show the difficulty of each statistic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from dnagpt_hf.haplotypes.haplotypes import Haplotypes
from dnagpt_hf.haplotypes.statistics.adversarial import AdversarialAccuracy, adversarial_accuracy
from dnagpt_hf.haplotypes.statistics.by_population import (
    PopulationComparison,
    compare_populations,
)
from dnagpt_hf.haplotypes.statistics.distances import (
    DistanceBlocks,
    DistanceComparison,
    compare_distances,
    haplotype_distances,
)
from dnagpt_hf.haplotypes.statistics.frequencies import FrequencyComparison, compare_frequencies
from dnagpt_hf.haplotypes.statistics.ibs_tracts import (
    WINDOWS,
    IBSTractComparison,
    WindowComparison,
    compare_ibs_tracts,
    compare_windows,
)
from dnagpt_hf.haplotypes.statistics.linkage import Linkage, SetLinkage, compare_linkage
from dnagpt_hf.haplotypes.statistics.metrics import metric, metrics_of
from dnagpt_hf.haplotypes.statistics.pca import PCAComparison, compare_pca
from dnagpt_hf.haplotypes.statistics.three_point import (
    ThreePointComparison,
    compare_three_point,
)

if TYPE_CHECKING:
    import pandas

Kind = Literal["generated", "test", "generator"]
Progress = Callable[[str, int], None]
"""Is called with the name of each step that begins, and the number of all steps."""

STEPS = ("distances", "principal components", "adversarial accuracy", "haplotypes")
"""Steps of the evaluation of one set, the last of which reads the haplotypes themselves."""


@dataclass(frozen=True, eq=False)
class SetEvaluation:
    """One set of haplotypes against the real ones.

    Args:
        name: its name in tables and figures.
        kind: `"generated"`, `"test"` for real haplotypes of other individuals, or `"generator"` for
            a reference generator.
        haplotypes: number of haplotypes of the set.
        pca: principal components of the real set and this one together.
        frequencies: allele frequencies.
        linkage: linkage disequilibrium; `None` if fewer than two sites vary in all sets.
        distances: distances between haplotypes.
        adversarial: nearest-neighbor adversarial accuracy against the training split.
        privacy: accuracy against the test split minus that against the training split, both with
            sets of the same size; `None` without a test split, and for that split itself.
        three_point: three-point correlations, by the number of sites between the three.
        windows: short haplotypes, by the width of their windows.
        ibs_tracts: tracts over which two haplotypes are identical by state.
        populations: each population; empty if populations are not known.
    """

    name: str
    kind: Kind
    haplotypes: int = field(metadata=metric("haplotypes", digits=0))
    pca: PCAComparison
    frequencies: FrequencyComparison
    linkage: SetLinkage | None
    distances: DistanceComparison
    adversarial: AdversarialAccuracy
    privacy: float | None = field(metadata=metric("privacy score (0)"))
    three_point: list[ThreePointComparison]
    windows: list[WindowComparison]
    ibs_tracts: IBSTractComparison
    populations: list[PopulationComparison]


@dataclass(frozen=True, eq=False)
class HaplotypeEvaluation:
    """All sets against the real haplotypes.

    Args:
        real: the training split.
        test_was_given: the test split was given, not split off from the training haplotypes.
        seed: seed of random choices.
        linkage: linkage disequilibrium of all sets at the same sites.
        sets: generated sets first, then the test split, then the reference generators.
    """

    real: Haplotypes = field(repr=False)
    test_was_given: bool
    seed: int
    linkage: Linkage | None = field(repr=False)
    sets: list[SetEvaluation]

    def to_pandas(self) -> pandas.DataFrame:
        """Lay the metrics out as a table.

        Returns:
            `pandas.DataFrame`: a row for each metric, whose name says which direction (↑, ↓) or
            value is best, and a column for each set; NaN where a metric is not defined.

        Example:

            >>> import numpy as np
            >>> from dnagpt_hf import evaluate_haplotypes
            >>> rng = np.random.default_rng(0)
            >>> real = Haplotypes(rng.integers(0, 2, (40, 30), np.uint8), np.arange(40))
            >>> generated = Haplotypes(rng.integers(0, 2, (20, 30), np.uint8), np.arange(20))
            >>> table = evaluate_haplotypes(real, {"model": generated}).to_pandas()
            >>> table.loc["haplotypes", ["model", "real test"]].tolist()
            [20.0, 8.0]
        """
        import pandas

        columns = {
            one.name: {row.label: value for row, value in metrics_of(one)} for one in self.sets
        }
        return pandas.DataFrame(columns, dtype=float)


def evaluate_sets(
    real: Haplotypes,
    sets: Mapping[str, tuple[Kind, Haplotypes]],
    unseen: Haplotypes | None = None,
    seed: int = 0,
    on_step: Progress = lambda step, steps: None,
) -> HaplotypeEvaluation:
    """Compute all statistics of several sets over the sites of the real haplotypes.

    The distances of the real set and one other are in memory at a time, and once more for their
    principal components, four bytes for each pair of haplotypes: 800 MB for twice 5,000.

    Args:
        real: haplotypes that the generators were trained on.
        sets: kind and haplotypes of each set by its name, two haplotypes or more.
        unseen: real haplotypes that the generators were not trained on, for privacy scores.
        seed: of all random choices.
        on_step: is called with the name of each step that begins, and the number of all.
    """

    def begin(step: str) -> None:
        on_step(step, 2 + len(STEPS) * len(sets))

    begin("linkage disequilibrium")
    first = real.alleles
    linkage = compare_linkage(
        first, {name: one.alleles for name, (_, one) in sets.items()}, real.sites
    )
    begin("distances among real haplotypes")
    within_real = haplotype_distances(first)
    within_unseen = None if unseen is None else haplotype_distances(unseen.alleles)
    evaluations = []
    for name, (kind, other) in sets.items():
        begin(f"{name}: {STEPS[0]}")
        second = other.alleles
        distances = DistanceBlocks(
            within_real, haplotype_distances(first, second), haplotype_distances(second)
        )
        compared = compare_distances(distances, real.num_sites)
        begin(f"{name}: {STEPS[1]}")
        pca = compare_pca(distances)
        begin(f"{name}: {STEPS[2]}")
        adversarial = adversarial_accuracy(distances, seed=seed)
        privacy = None
        if unseen is not None and within_unseen is not None and kind != "test":
            between = haplotype_distances(unseen.alleles, second)
            against_unseen = DistanceBlocks(within_unseen, between, distances.other)
            # of the same size, since a larger set has nearer neighbors
            size = min(len(first), *between.shape)
            privacy = (
                adversarial_accuracy(against_unseen, size, seed).aats
                - adversarial_accuracy(distances, size, seed).aats
            )
        populations = compare_populations(real, other, distances, pca)
        # the memory of the distances is given back before the next step needs some
        del distances
        begin(f"{name}: {STEPS[3]}")
        evaluations.append(
            SetEvaluation(
                name=name,
                kind=kind,
                haplotypes=other.num_haplotypes,
                pca=pca,
                frequencies=compare_frequencies(first, second),
                linkage=None if linkage is None else linkage.others[name],
                distances=compared,
                adversarial=adversarial,
                privacy=privacy,
                three_point=compare_three_point(first, second, seed=seed),
                windows=[
                    compare_windows(first, second, width)
                    for width in WINDOWS
                    if width <= real.num_sites
                ],
                ibs_tracts=compare_ibs_tracts(first, second, seed=seed),
                populations=populations,
            )
        )
    return HaplotypeEvaluation(real, unseen is not None, seed, linkage, evaluations)
