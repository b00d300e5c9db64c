"""Statistics of artificial genomes against real ones, of the paper and Yelmen et al. (2021).

Every set is compared with the same real haplotypes, the training split. Two kinds of sets always
stand beside the generated ones: a test split, which shows the deviation by chance, and simple
reference generators, which show the difficulty of each statistic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from dnagpt_hf.haplotypes.haplotypes import Haplotypes, check_disjoint
from dnagpt_hf.haplotypes.sites import HaplotypeError
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
from dnagpt_hf.haplotypes.statistics.pca import PCAComparison, compare_pca
from dnagpt_hf.haplotypes.statistics.reference_generators import GENERATORS
from dnagpt_hf.haplotypes.statistics.three_point import (
    ThreePointComparison,
    compare_three_point,
)

if TYPE_CHECKING:
    import pandas

Kind = Literal["generated", "test", "generator"]
Progress = Callable[[str], None]

TEST = "real test"
"""Name of the test split among the sets."""

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
    haplotypes: int
    pca: PCAComparison
    frequencies: FrequencyComparison
    linkage: SetLinkage | None
    distances: DistanceComparison
    adversarial: AdversarialAccuracy
    privacy: float | None
    three_point: list[ThreePointComparison]
    windows: list[WindowComparison]
    ibs_tracts: IBSTractComparison
    populations: list[PopulationComparison]


@dataclass(frozen=True, eq=False)
class HaplotypeEvaluation:
    """All sets against the real haplotypes.

    Args:
        real: the training split.
        source: file of the real haplotypes.
        test_was_given: the test split was given, not split off from the training haplotypes.
        seed: seed of random choices.
        linkage: linkage disequilibrium of all sets at the same sites.
        sets: generated sets first, then the test split, then the reference generators.
    """

    real: Haplotypes = field(repr=False)
    source: str
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

            >>> from dnagpt_hf import evaluate_haplotypes
            >>> rng = np.random.default_rng(0)
            >>> real = Haplotypes(rng.integers(0, 2, (40, 30), np.uint8), np.arange(40))
            >>> generated = Haplotypes(rng.integers(0, 2, (20, 30), np.uint8), np.arange(20))
            >>> table = evaluate_haplotypes(real, {"model": generated}).to_pandas()
            >>> table.loc["haplotypes", ["model", "real test"]].tolist()
            [20.0, 8.0]
        """
        import pandas

        from dnagpt_hf.haplotypes.statistics.tables import METRICS

        values = {one.name: [metric.value(one) for metric in METRICS] for one in self.sets}
        return pandas.DataFrame(values, index=[metric.label for metric in METRICS], dtype=float)


def evaluate_sets(
    real: Haplotypes,
    generated: Mapping[str, Haplotypes],
    test: Haplotypes,
    *,
    test_is_unseen: bool = True,
    seed: int = 0,
    on_step: Progress = lambda step: None,
) -> HaplotypeEvaluation:
    """Compute all statistics of generated haplotypes, a test split and reference generators.

    The distances of the real set and one other are in memory at a time, and once more for their
    principal components, four bytes for each pair of haplotypes: 800 MB for twice 5,000.

    Args:
        real: haplotypes that the generators were trained on.
        generated: sets by their names in tables and figures.
        test: real haplotypes of other individuals.
        test_is_unseen: the generators were not trained on `test`, so that a privacy score exists.
        seed: of all random choices. The same input and seed give the same results.
        on_step: is called with the name of each step that begins; see [`number_of_steps`].

    Raises:
        HaplotypeError: sets differ in their sites or the order of them, an individual is in both
            splits, a set has fewer than two haplotypes, or a name stands for two sets.
    """
    for name in generated:
        if name in (TEST, "real", *GENERATORS):
            raise HaplotypeError(f"the name {name!r} stands for a reference: choose another one")
    test = test.align_to(real)
    check_disjoint(real, test)
    sets: dict[str, tuple[Kind, Haplotypes]] = {
        name: ("generated", one.align_to(real)) for name, one in generated.items()
    }
    sets[TEST] = ("test", test)
    for name, generator in GENERATORS.items():
        on_step(f"reference generator: {name}")
        sets[name] = ("generator", generator(real, real.num_haplotypes, seed))
    for one in (real, *(one for _, one in sets.values())):
        if one.num_haplotypes < 2:
            raise HaplotypeError(f"{one.source} has one haplotype: two are needed to compare them")
    on_step("linkage disequilibrium")
    linkage = compare_linkage(
        real.alleles, {name: one.alleles for name, (_, one) in sets.items()}, real.sites
    )
    on_step("distances among real haplotypes")
    evaluator = _Evaluator(real, test if test_is_unseen else None, linkage, seed, on_step)
    evaluations = [evaluator.evaluate(name, kind, one) for name, (kind, one) in sets.items()]
    return HaplotypeEvaluation(real, real.source, test_is_unseen, seed, linkage, evaluations)


def number_of_steps(num_generated: int) -> int:
    """Count the calls of `on_step` in the evaluation of generated sets."""
    return len(GENERATORS) + 2 + len(STEPS) * (num_generated + 1 + len(GENERATORS))


class _Evaluator:
    """Compares one set after the other with the real haplotypes, and keeps shared distances."""

    def __init__(
        self,
        real: Haplotypes,
        unseen: Haplotypes | None,
        linkage: Linkage | None,
        seed: int,
        on_step: Progress,
    ) -> None:
        self.real, self.unseen, self.linkage = real, unseen, linkage
        self.seed, self.on_step = seed, on_step
        self.within_real = haplotype_distances(real.alleles)
        self.within_unseen = None if unseen is None else haplotype_distances(unseen.alleles)

    def evaluate(self, name: str, kind: Kind, other: Haplotypes) -> SetEvaluation:
        first, second = self.real.alleles, other.alleles
        self.on_step(f"{name}: {STEPS[0]}")
        distances = DistanceBlocks(
            self.within_real, haplotype_distances(first, second), haplotype_distances(second)
        )
        compared = compare_distances(distances, self.real.num_sites)
        self.on_step(f"{name}: {STEPS[1]}")
        pca = compare_pca(distances)
        self.on_step(f"{name}: {STEPS[2]}")
        adversarial = adversarial_accuracy(distances, seed=self.seed)
        privacy = None if kind == "test" else self._privacy(distances, other)
        populations = compare_populations(self.real, other, distances, pca)
        # the memory of the distances is given back before the next step needs some
        del distances
        self.on_step(f"{name}: {STEPS[3]}")
        return SetEvaluation(
            name=name,
            kind=kind,
            haplotypes=other.num_haplotypes,
            pca=pca,
            frequencies=compare_frequencies(first, second),
            linkage=None if self.linkage is None else self.linkage.others[name],
            distances=compared,
            adversarial=adversarial,
            privacy=privacy,
            three_point=compare_three_point(first, second, seed=self.seed),
            windows=[
                compare_windows(first, second, width)
                for width in WINDOWS
                if width <= self.real.num_sites
            ],
            ibs_tracts=compare_ibs_tracts(first, second, seed=self.seed),
            populations=populations,
        )

    def _privacy(self, distances: DistanceBlocks, other: Haplotypes) -> float | None:
        if self.unseen is None or self.within_unseen is None:
            return None
        between = haplotype_distances(self.unseen.alleles, other.alleles)
        against_test = DistanceBlocks(self.within_unseen, between, distances.other)
        size = min(len(self.within_real), *np.shape(between))
        unseen = adversarial_accuracy(against_test, size, self.seed)
        seen = adversarial_accuracy(distances, size, self.seed)
        return unseen.aats - seen.aats
