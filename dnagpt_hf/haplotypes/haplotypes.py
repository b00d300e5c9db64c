"""Phased genomes as matrices of alleles, one row for each haplotype."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.genomes.regions import Region
from dnagpt_hf.haplotypes.sites import HaplotypeError, Sites, Texts

Alleles = NDArray[np.uint8]

# as in the files of Yelmen et al. (2021): the two haplotypes of a person
STRANDS = ("_A", "_B")
_STRAND = re.compile(r"_[AB]$")


@dataclass(frozen=True, eq=False)
class Haplotypes:
    """Haplotypes over the same sites.

    Args:
        alleles: 0 for the reference allele and 1 for the alternative one, uint8
            `(haplotypes, sites)`.
        names: one for each haplotype, `(haplotypes,)`. The two of a person end in `_A` and `_B`;
            a haplotype with another name is its own person.
        sites: where the alleles lie, if that is known.
        populations: one for each haplotype, `(haplotypes,)`, if they are known.
        source: what messages call these haplotypes, such as the name of their file.

    Raises:
        HaplotypeError: an allele is not 0 or 1, a name stands twice, there are none, or the
            numbers of haplotypes or sites differ.

    Example:

        >>> person = Haplotypes([[0, 1, 1], [0, 0, 1]], ["HG00096_A", "HG00096_B"])
        >>> person.num_haplotypes, person.num_sites, person.samples.tolist()
        (2, 3, ['HG00096', 'HG00096'])
    """

    alleles: Alleles
    names: Texts
    sites: Sites | None = None
    populations: Texts | None = None
    source: str = "haplotypes"

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", np.asarray(self.names, dtype=np.str_))
        alleles = np.asarray(self.alleles)
        if alleles.ndim != 2 or 0 in alleles.shape:
            raise HaplotypeError(
                f"{self.source}: alleles of shape {alleles.shape}, but (haplotypes, sites) with at "
                "least one of each is needed"
            )
        self._check_counts(alleles)
        self._check_names()
        object.__setattr__(self, "alleles", self._checked(alleles))

    def _check_counts(self, alleles: NDArray[Any]) -> None:
        rows, columns = alleles.shape
        if len(self.names) != rows:
            raise HaplotypeError(
                f"{self.source}: {rows:,} haplotypes, but {len(self.names):,} names"
            )
        if self.populations is not None:
            object.__setattr__(self, "populations", np.asarray(self.populations, dtype=np.str_))
            if len(self.populations) != rows:
                raise HaplotypeError(
                    f"{self.source}: {rows:,} haplotypes, but {len(self.populations):,} populations"
                )
        if self.sites is not None and len(self.sites) != columns:
            raise HaplotypeError(
                f"{self.source}: {columns:,} sites in the haplotypes, but {len(self.sites):,} in "
                "the list of sites"
            )

    def _check_names(self) -> None:
        names, counts = np.unique(self.names, return_counts=True)
        if len(names) < len(self.names):
            twice = names[counts > 1][0]
            rows = np.flatnonzero(self.names == twice) + 1
            raise HaplotypeError(
                f"{self.source}: haplotype {twice} stands twice, as number {rows[0]:,} and as "
                f"number {rows[1]:,}: leave one out, or name it otherwise"
            )

    def _checked(self, alleles: NDArray[Any]) -> Alleles:
        if alleles.dtype == np.uint8 and alleles.max() <= 1:
            return alleles
        wrong = (alleles != 0) & (alleles != 1)
        if wrong.any():
            row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
            raise HaplotypeError(
                f"{self.source}: haplotype {self.names[row]} has the allele "
                f"{alleles[row, column]} at {self.site_name(int(column))}: only 0 and 1 are alleles"
            )
        return alleles.astype(np.uint8, copy=False)

    @property
    def num_haplotypes(self) -> int:
        return int(self.alleles.shape[0])

    @property
    def num_sites(self) -> int:
        return int(self.alleles.shape[1])

    @property
    def samples(self) -> Texts:
        """The person of each haplotype: its name without `_A` or `_B`."""
        return np.asarray([_STRAND.sub("", name) for name in self.names.tolist()], dtype=np.str_)

    def site_name(self, index: int) -> str:
        """How a message calls a site, counted from 1 and with its place if that is known."""
        known = "" if self.sites is None else f" ({self.sites.name(index)})"
        return f"site {index + 1:,}{known}"

    def take_haplotypes(self, chosen: NDArray[Any]) -> Haplotypes:
        """Some of the haplotypes, by a mask or by indices."""
        populations = None if self.populations is None else self.populations[chosen]
        return replace(
            self, alleles=self.alleles[chosen], names=self.names[chosen], populations=populations
        )

    def take_sites(self, chosen: NDArray[Any]) -> Haplotypes:
        """Some of the sites, by a mask or by indices."""
        sites = None if self.sites is None else self.sites.take(chosen)
        return replace(self, alleles=np.ascontiguousarray(self.alleles[:, chosen]), sites=sites)

    def in_region(self, region: Region) -> Haplotypes:
        """The sites that lie in a region.

        Raises:
            HaplotypeError: no site does, or it is not known where sites lie.
        """
        if self.sites is None:
            raise HaplotypeError(
                f"{self.source} does not tell where its sites lie, which region {region} needs: "
                "give a legend"
            )
        try:
            return self.take_sites(self.sites.within(region))
        except HaplotypeError as error:
            raise HaplotypeError(f"{self.source}: {error}") from error

    def of_samples(self, samples: Collection[str]) -> Haplotypes:
        """The haplotypes of some people.

        Raises:
            HaplotypeError: one of them is not there.
        """
        check_samples(samples, self.samples.tolist(), self.source)
        return self.take_haplotypes(np.isin(self.samples, list(samples)))

    def of_populations(self, populations: Collection[str]) -> Haplotypes:
        """The haplotypes of some populations.

        Raises:
            HaplotypeError: one of them has no haplotype, or populations are not known.
        """
        if self.populations is None:
            raise HaplotypeError(f"{self.source}: populations are not known: give a table of them")
        for population in populations:
            if population not in self.populations:
                known = ", ".join(np.unique(self.populations))
                raise HaplotypeError(
                    f"{self.source}: no haplotype of population {population!r}; there are {known}"
                )
        return self.take_haplotypes(np.isin(self.populations, list(populations)))

    def with_populations(self, population_of: Mapping[str, str]) -> Haplotypes:
        """The same haplotypes with the populations of their people.

        Raises:
            HaplotypeError: a person is not in the table.
        """
        samples = self.samples.tolist()
        missing = [sample for sample in dict.fromkeys(samples) if sample not in population_of]
        if missing:
            raise HaplotypeError(
                f"{self.source}: the table of populations lacks {len(missing):,} samples, the "
                f"first one {missing[0]}"
            )
        return replace(self, populations=np.asarray([population_of[one] for one in samples]))

    def minor_allele_frequencies(self) -> NDArray[np.float64]:
        """Frequency of the rarer allele of each site: `(sites,)`."""
        frequencies = self.alleles.mean(axis=0, dtype=np.float64)
        return np.minimum(frequencies, 1 - frequencies)

    def with_minor_allele_frequency(self, minimum: float) -> Haplotypes:
        """The sites whose rarer allele is at least so frequent.

        Raises:
            HaplotypeError: no site is left.
        """
        if not 0 <= minimum <= 0.5:
            raise HaplotypeError(f"minor-allele frequency {minimum} is not between 0 and 0.5")
        frequencies = self.minor_allele_frequencies()
        if not (frequencies >= minimum).any():
            raise HaplotypeError(
                f"{self.source}: no site has a minor-allele frequency of {minimum} or more; the "
                f"highest is {frequencies.max():.3g}"
            )
        return self.take_sites(frequencies >= minimum)

    def align_to(self, reference: Haplotypes) -> Haplotypes:
        """These haplotypes over the sites of others, in the same order.

        Where it is not known where these sites lie, they are taken for those of the reference,
        whose number they must then have.

        Raises:
            HaplotypeError: sites are missing, or stand in another order.
        """
        if self.sites is None or reference.sites is None:
            if self.num_sites != reference.num_sites:
                raise HaplotypeError(
                    f"{self.source} has {self.num_sites:,} sites, but {reference.source} has "
                    f"{reference.num_sites:,}: the same sites are needed"
                )
            return replace(self, sites=self.sites or reference.sites)
        if reference.sites.first_mismatch(self.sites) is None:
            return self
        places = self.sites.indices_of(reference.sites)
        if (places < 0).any():
            missing = int((places < 0).argmax())
            raise HaplotypeError(
                f"{self.source} lacks {(places < 0).sum():,} of the {len(places):,} sites of "
                f"{reference.source}, the first one {reference.site_name(missing)}"
            )
        if (np.diff(places) <= 0).any():
            where = int((np.diff(places) <= 0).argmax()) + 1
            raise HaplotypeError(
                f"{self.source} holds its sites in another order than {reference.source}: "
                f"{reference.site_name(where)} is its {self.site_name(int(places[where]))}: sort "
                "both by position"
            )
        return self.take_sites(places)


def check_samples(wanted: Collection[str], known: Collection[str], source: str) -> None:
    """Refuse a choice of samples that a file does not have.

    Raises:
        HaplotypeError: the choice is empty, or one of them is not known.
    """
    if not wanted:
        raise HaplotypeError(f"{source}: the choice of samples is empty")
    there = set(known)
    missing = [sample for sample in wanted if sample not in there]
    if missing:
        more = ", …" if len(missing) > 3 else ""
        raise HaplotypeError(
            f"{source}: no sample {', '.join(missing[:3])}{more} among its {len(there):,} samples"
        )


def parse_share(test: str | None) -> float | None:
    """The share of people that a test part is stated as; `None` where it is a file, or none.

    Example:

        >>> parse_share("0.2"), parse_share("test.hapt")
        (0.2, None)
    """
    try:
        return None if test is None else float(test)
    except ValueError:
        return None


def split_by_sample(
    haplotypes: Haplotypes, test_fraction: float, seed: int = 0
) -> tuple[Haplotypes, Haplotypes]:
    """A training and a test part that share no person.

    Args:
        haplotypes: all of them.
        test_fraction: share of the people in the test part.
        seed: decides who; the same seed gives the same parts.

    Raises:
        HaplotypeError: one part would have nobody.
    """
    people = np.unique(haplotypes.samples)
    number = round(test_fraction * len(people))
    if not 0 < number < len(people):
        raise HaplotypeError(
            f"{haplotypes.source}: a test part of {test_fraction:.0%} of {len(people):,} people "
            "leaves one part without any: give more people, or a test part of its own"
        )
    chosen = np.random.default_rng(seed).permutation(people)[:number]
    is_test = np.isin(haplotypes.samples, chosen)
    return haplotypes.take_haplotypes(~is_test), haplotypes.take_haplotypes(is_test)
