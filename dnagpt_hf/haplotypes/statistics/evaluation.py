"""Artificial genomes against real ones: all statistics of the paper and of Yelmen et al. (2021).

Every set is compared with the same real haplotypes, those of the training part. Two kinds of sets
always stand beside the generated ones: real haplotypes of a test part, which show how far a
statistic is off by chance, and simple generators, which show what is easy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from dnagpt_hf.haplotypes.haplotypes import Haplotypes, split_by_sample
from dnagpt_hf.haplotypes.sites import HaplotypeError
from dnagpt_hf.haplotypes.statistics.adversarial import (
    AdversarialAccuracy,
    adversarial_accuracy,
)
from dnagpt_hf.haplotypes.statistics.by_population import (
    PopulationComparison,
    compare_populations,
)
from dnagpt_hf.haplotypes.statistics.distances import (
    DistanceBlocks,
    DistanceComparison,
    Distances,
    compare_distances,
    haplotype_distances,
)
from dnagpt_hf.haplotypes.statistics.frequencies import (
    FrequencyComparison,
    compare_frequencies,
)
from dnagpt_hf.haplotypes.statistics.ibs_tracts import (
    WINDOWS,
    IBSTractComparison,
    WindowComparison,
    compare_ibs_tracts,
    compare_windows,
)
from dnagpt_hf.haplotypes.statistics.linkage import Linkage, SetLinkage, compare_linkage
from dnagpt_hf.haplotypes.statistics.pca import (
    PCAComparison,
    compare_pca,
)
from dnagpt_hf.haplotypes.statistics.reference_generators import GENERATORS
from dnagpt_hf.haplotypes.statistics.three_point import ThreePointComparison, compare_three_point

Kind = Literal["generated", "test", "generator"]
Tell = Callable[[str], None]

TEST = "real test"
"""Name of the test part among the sets."""


@dataclass(frozen=True, eq=False)
class SetEvaluation:
    """One set of haplotypes against the real ones.

    Args:
        name: what tables and figures call it.
        kind: `"generated"`, `"test"` for real haplotypes of other people, or `"generator"` for one
            of the reference generators.
        num_haplotypes: haplotypes of the set.
        components: principal components of the real set and this one together.
        frequencies: allele frequencies.
        linkage: linkage disequilibrium; `None` if fewer than two sites vary in all sets.
        distances: distances between haplotypes.
        adversarial: nearest-neighbour adversarial accuracy against the training part.
        privacy: accuracy against the test part less that against the training part, both with sets
            of the same size; `None` where no test part was given, or the set is that part.
        triplets: three-point correlations, by the number of sites between three.
        windows: short haplotypes, by the width of their windows.
        stretches: stretches without a difference.
        populations: each population; empty where they are not known.
    """

    name: str
    kind: Kind
    num_haplotypes: int
    components: PCAComparison
    frequencies: FrequencyComparison
    linkage: SetLinkage | None
    distances: DistanceComparison
    adversarial: AdversarialAccuracy
    privacy: float | None
    triplets: list[ThreePointComparison]
    windows: list[WindowComparison]
    stretches: IBSTractComparison | None
    populations: list[PopulationComparison]


@dataclass(frozen=True, eq=False)
class HaplotypeEvaluation:
    """All sets against the real haplotypes.

    Args:
        real: the haplotypes of the training part.
        source: what the real haplotypes were read from.
        test_was_given: whether the test part was given, or split off from the real haplotypes.
        seed: what random choices were made with.
        linkage: linkage disequilibrium of all sets at the same sites.
        sets: generated sets first, then the test part, then the reference generators.
    """

    real: Haplotypes
    source: str
    test_was_given: bool
    seed: int
    linkage: Linkage | None
    sets: list[SetEvaluation]


def evaluate_haplotypes(
    real: Haplotypes,
    generated: Mapping[str, Haplotypes],
    *,
    test: Haplotypes | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    tell: Tell = lambda part: None,
) -> HaplotypeEvaluation:
    """Compare generated haplotypes with real ones.

    The distances of the real set and one other are in memory at a time, four bytes for each pair of
    haplotypes: 400 MB for twice 5,000.

    Args:
        real: what the generators were trained on.
        generated: sets by the names that tables and figures give them.
        test: real haplotypes of other people. By default a share of the people of `real` is set
            aside; since a generator has seen them, there is no privacy score then.
        test_fraction: that share.
        seed: decides everything that is random. The same input and seed give the same results.
        tell: is told which part is computed next.

    Raises:
        HaplotypeError: sets differ in their sites or the order of them, a person is in both real
            parts, a set has fewer than two haplotypes, or a name stands for two sets.
        ImportError: scipy is not installed.
    """
    training, held_out = (
        (real, test) if test is not None else set_test_part_aside(real, test_fraction, seed)
    )
    held_out = held_out.align_to(training)
    _check_people(training, held_out)
    _check_names(generated)
    sets: dict[str, tuple[Kind, Haplotypes]] = {
        name: ("generated", one.align_to(training)) for name, one in generated.items()
    }
    sets[TEST] = ("test", held_out)
    for name, generator in GENERATORS.items():
        tell(f"reference generator: {name}")
        sets[name] = ("generator", generator(training, training.num_haplotypes, seed))
    for _, one in (("", training), *sets.values()):
        if one.num_haplotypes < 2:
            raise HaplotypeError(f"{one.source} has one haplotype: two are needed to compare them")
    tell("linkage disequilibrium")
    linkage = compare_linkage(
        training.alleles, {name: one.alleles for name, (_, one) in sets.items()}, training.sites
    )
    evaluator = _Evaluator(training, held_out if test is not None else None, seed, tell)
    evaluations = [
        replace(
            evaluator.evaluate(name, kind, one),
            linkage=None if linkage is None else linkage.others[name],
        )
        for name, (kind, one) in sets.items()
    ]
    return HaplotypeEvaluation(training, real.source, test is not None, seed, linkage, evaluations)


def number_of_parts(num_generated: int) -> int:
    """How often `tell` is called when so many generated sets are evaluated."""
    sets = num_generated + 1 + len(GENERATORS)
    return len(GENERATORS) + 2 + 4 * sets


def set_test_part_aside(
    real: Haplotypes, fraction: float, seed: int = 0
) -> tuple[Haplotypes, Haplotypes]:
    """A training and a test part of other people, as [`split_by_sample`] makes them."""
    training, held_out = split_by_sample(real, fraction, seed)
    return (
        replace(training, source=f"{real.source} (training part)"),
        replace(held_out, source=f"{real.source} (test part)"),
    )


def _check_people(training: Haplotypes, held_out: Haplotypes) -> None:
    shared = set(training.samples.tolist()) & set(held_out.samples.tolist())
    if shared:
        raise HaplotypeError(
            f"{len(shared):,} people are in both {training.source} and {held_out.source}, among "
            f"them {min(shared)}: a test part must not share people with the training part"
        )


def _check_names(generated: Mapping[str, Any]) -> None:
    for name in generated:
        if name in (TEST, "real", *GENERATORS):
            raise HaplotypeError(f"the name {name!r} stands for a reference: choose another one")


class _Evaluator:
    """Compares one set after the other with the real haplotypes, keeping what all of them need."""

    def __init__(
        self, training: Haplotypes, held_out: Haplotypes | None, seed: int, tell: Tell
    ) -> None:
        self.training = training
        self.held_out = held_out
        self.seed = seed
        self.tell = tell
        tell("distances among real haplotypes")
        self.real = haplotype_distances(training.alleles)
        self.within_held_out: Distances | None = None
        if held_out is not None:
            self.within_held_out = haplotype_distances(held_out.alleles)

    def evaluate(self, name: str, kind: Kind, other: Haplotypes) -> SetEvaluation:
        real = self.training
        self.tell(f"{name}: distances")
        distances = DistanceBlocks(
            self.real,
            haplotype_distances(real.alleles, other.alleles),
            haplotype_distances(other.alleles),
        )
        distance_comparison = compare_distances(distances, real.num_sites)
        self.tell(f"{name}: principal components")
        components = compare_pca(distances)
        self.tell(f"{name}: adversarial accuracy")
        adversarial = adversarial_accuracy(distances, seed=self.seed)
        privacy = None if kind == "test" else self._privacy(distances, other)
        populations = compare_populations(real, other, distances, components)
        del distances
        self.tell(f"{name}: frequencies, triplets, windows and stretches")
        windows = [compare_windows(real.alleles, other.alleles, width) for width in WINDOWS]
        return SetEvaluation(
            name=name,
            kind=kind,
            num_haplotypes=other.num_haplotypes,
            components=components,
            frequencies=compare_frequencies(real.alleles, other.alleles),
            linkage=None,
            distances=distance_comparison,
            adversarial=adversarial,
            privacy=privacy,
            triplets=compare_three_point(real.alleles, other.alleles, seed=self.seed),
            windows=[one for one in windows if one is not None],
            stretches=compare_ibs_tracts(real.alleles, other.alleles, seed=self.seed),
            populations=populations,
        )

    def _privacy(self, distances: DistanceBlocks, other: Haplotypes) -> float | None:
        if self.held_out is None or self.within_held_out is None:
            return None
        against_test = DistanceBlocks(
            self.within_held_out,
            haplotype_distances(self.held_out.alleles, other.alleles),
            distances.other,
        )
        size = min(len(self.real), *against_test.between.shape)
        unseen = adversarial_accuracy(against_test, size, self.seed)
        seen = adversarial_accuracy(distances, size, self.seed)
        return unseen.both - seen.both
