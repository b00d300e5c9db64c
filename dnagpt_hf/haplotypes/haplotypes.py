"""Phased genomes as matrices of alleles, one row for each haplotype."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.genomes.regions import Region
from dnagpt_hf.haplotypes.sites import HaplotypeError, Sites, Texts, site_name
from dnagpt_hf.messages import count

Alleles = NDArray[np.uint8]

# as in the files of Yelmen et al. (2021): the two haplotypes of a sample
STRANDS = ("_A", "_B")
_STRAND = re.compile(r"_[AB]$")


@dataclass(frozen=True, eq=False)
class Haplotypes:
    """Haplotypes over the same sites.

    Args:
        alleles: 0 for the reference allele and 1 for the alternative one, uint8
            `(haplotypes, sites)`.
        names: one for each haplotype, `(haplotypes,)`.
        sites: the sites of the columns, if they are known.
        populations: one for each haplotype, `(haplotypes,)`, if they are known.
        source: name of these haplotypes in messages, such as that of their file.
        sample_names: the sample of each haplotype, `(haplotypes,)`. By default the names say it, as
            in `.hapt` files: the two of a sample end in `_A` and `_B`, and a haplotype with another
            name is a sample of its own.

    Raises:
        HaplotypeError: an allele is not 0 or 1, two haplotypes have the same name, there are none,
            or the numbers of haplotypes or sites differ.

    Example:

        >>> individual = Haplotypes([[0, 1, 1], [0, 0, 1]], ["HG00096_A", "HG00096_B"])
        >>> individual.num_haplotypes, individual.num_sites, individual.samples.tolist()
        (2, 3, ['HG00096', 'HG00096'])
    """

    alleles: Alleles
    names: Texts
    sites: Sites | None = None
    populations: Texts | None = None
    source: str = "haplotypes"
    sample_names: Texts | None = None

    def __post_init__(self) -> None:
        names = np.asarray(self.names, dtype=np.str_)
        alleles = as_alleles(self.alleles, self.source, names, self.sites)
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "alleles", alleles)
        for kind in ("populations", "sample_names"):
            if getattr(self, kind) is not None:
                of_haplotype = np.asarray(getattr(self, kind), dtype=np.str_)
                object.__setattr__(self, kind, of_haplotype)
                if len(of_haplotype) != len(alleles):
                    raise HaplotypeError(
                        f"{self.source}: {len(alleles):,} haplotypes, but {len(of_haplotype):,} "
                        f"{kind.replace('_', ' ')}"
                    )
        if self.sites is not None and len(self.sites) != alleles.shape[1]:
            raise HaplotypeError(
                f"{self.source}: {alleles.shape[1]:,} sites in the haplotypes, but "
                f"{len(self.sites):,} in the list of sites"
            )
        distinct, counts = np.unique(names, return_counts=True)
        if len(distinct) < len(names):
            twice = distinct[counts > 1][0]
            rows = np.flatnonzero(names == twice) + 1
            raise HaplotypeError(
                f"{self.source}: haplotype {twice} stands twice, as number {rows[0]:,} and as "
                f"number {rows[1]:,}: leave one out, or rename it"
            )

    @property
    def num_haplotypes(self) -> int:
        return int(self.alleles.shape[0])

    @property
    def num_sites(self) -> int:
        return int(self.alleles.shape[1])

    @property
    def num_samples(self) -> int:
        return len(set(self.samples.tolist()))

    @property
    def samples(self) -> Texts:
        """The sample of each haplotype; where it is not stated, its name without `_A` or `_B`."""
        return samples_of_names(self.names) if self.sample_names is None else self.sample_names

    def take_haplotypes(self, chosen: NDArray[Any]) -> Haplotypes:
        """Take some of the haplotypes, by a mask or by indices."""
        if chosen.dtype == bool and chosen.all():
            return self

        def of_chosen(values: Texts | None) -> Texts | None:
            return None if values is None else values[chosen]

        return replace(
            self,
            alleles=self.alleles[chosen],
            names=self.names[chosen],
            populations=of_chosen(self.populations),
            sample_names=of_chosen(self.sample_names),
        )

    def take_sites(self, chosen: NDArray[Any]) -> Haplotypes:
        """Take some of the sites, by a mask or by indices."""
        if chosen.dtype == bool and chosen.all():
            return self
        sites = None if self.sites is None else self.sites.take(chosen)
        return replace(self, alleles=np.ascontiguousarray(self.alleles[:, chosen]), sites=sites)

    def in_region(self, region: Region) -> Haplotypes:
        """Take the sites in a region.

        Raises:
            HaplotypeError: there is none, or positions are not known.
        """
        if self.sites is None:
            raise HaplotypeError(
                f"{self.source} has no positions of its sites, which region {region} needs: give "
                "a legend"
            )
        inside = self.sites.within(region)
        if not inside.any():
            raise HaplotypeError(
                f"{self.source}: no site lies in {region}; there are sites in {self.sites.extent()}"
            )
        return self.take_sites(inside)

    def of_samples(self, samples: Collection[str]) -> Haplotypes:
        """Take the haplotypes of some samples.

        Raises:
            HaplotypeError: one of them is missing.
        """
        check_samples(samples, self.samples.tolist(), self.source)
        return self.take_haplotypes(np.isin(self.samples, list(samples)))

    def of_populations(self, populations: Collection[str]) -> Haplotypes:
        """Take the haplotypes of some populations.

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
        """Assign the populations of the samples.

        Raises:
            HaplotypeError: a sample is not in the table.
        """
        samples = self.samples.tolist()
        missing = [sample for sample in dict.fromkeys(samples) if sample not in population_of]
        if missing:
            raise HaplotypeError(
                f"{self.source}: the table of populations lacks {count(len(missing), 'sample')}, "
                f"the first one {missing[0]}, or has no population for it"
            )
        return replace(self, populations=np.asarray([population_of[one] for one in samples]))

    def minor_allele_frequencies(self) -> NDArray[np.float64]:
        """Compute the frequency of the rarer allele of each site: `(sites,)`."""
        frequencies = self.alleles.mean(axis=0, dtype=np.float64)
        return np.minimum(frequencies, 1 - frequencies)

    def with_minor_allele_frequency(self, minimum: float) -> Haplotypes:
        """Take the sites with at least this minor-allele frequency.

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
        """Take the sites of other haplotypes, in the same order.

        Without positions, the sites are assumed to be those of the reference, whose number they
        must then have.

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
        indices = self.sites.indices_of(reference.sites)
        if (indices < 0).any():
            missing = int((indices < 0).argmax())
            raise HaplotypeError(
                f"{self.source} lacks {(indices < 0).sum():,} of the {len(indices):,} sites of "
                f"{reference.source}, the first one {site_name(missing, reference.sites)}"
            )
        if (np.diff(indices) <= 0).any():
            where = int((np.diff(indices) <= 0).argmax()) + 1
            raise HaplotypeError(
                f"{self.source} holds its sites in another order than {reference.source}: "
                f"{site_name(where, reference.sites)} is its "
                f"{site_name(int(indices[where]), self.sites)}: sort both by position"
            )
        return self.take_sites(indices)


def samples_of_names(names: Texts) -> Texts:
    """Read the samples of haplotypes from their names, by the convention of `.hapt` files.

    Example:

        >>> samples_of_names(np.asarray(["HG1_A", "HG1_B", "genome_1"])).tolist()
        ['HG1', 'HG1', 'genome_1']
    """
    return np.asarray([_STRAND.sub("", name) for name in names.tolist()], dtype=np.str_)


def as_alleles(
    values: Any, source: str, names: Sequence[str] | Texts | None = None, sites: Sites | None = None
) -> Alleles:
    """Check a matrix of alleles.

    Args:
        values: 0 and 1, `(haplotypes, sites)` of any type of number.
        source: its name in messages.
        names: names of the haplotypes; by default their numbers.
        sites: sites of the columns, for messages.

    Returns:
        The matrix in uint8, not copied if it is of that type.

    Raises:
        HaplotypeError: it is no matrix, is empty, holds another number than 0 and 1, or has another
            number of rows than of names.
    """
    alleles = np.asarray(values)
    if alleles.ndim != 2 or 0 in alleles.shape:
        raise HaplotypeError(
            f"{source}: alleles of shape {alleles.shape}, but (haplotypes, sites) with at least "
            "one of each is needed"
        )
    if names is not None and len(names) != len(alleles):
        raise HaplotypeError(f"{source}: {len(alleles):,} haplotypes, but {len(names):,} names")
    if alleles.dtype == np.uint8 and alleles.max() <= 1:
        return alleles
    wrong = (alleles != 0) & (alleles != 1)
    if wrong.any():
        row, column = divmod(int(wrong.argmax()), wrong.shape[1])
        name = f"{row + 1:,}" if names is None else names[row]
        raise HaplotypeError(
            f"{source}: haplotype {name} has the allele {alleles[row, column]} at "
            f"{site_name(column, sites)}: only 0 and 1 are alleles"
        )
    return alleles.astype(np.uint8, copy=False)


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


def split_test(
    haplotypes: Haplotypes,
    test: Haplotypes | str | os.PathLike[str] | float,
    seed: int,
    read: Callable[[Any], Haplotypes],
) -> tuple[Haplotypes, Haplotypes]:
    """Set a test split aside, or align one that is given with the training split.

    Args:
        haplotypes: those of the training split, and of the test split if it is a share of them.
        test: share of the samples, such as 0.2 or `"0.2"`, or other haplotypes.
        seed: of the choice of a share.
        read: reads other haplotypes.

    Returns:
        The training and the test split.

    Raises:
        HaplotypeError: a sample is in both splits, they differ in their sites, or one is empty.
    """
    share = None
    with suppress(TypeError, ValueError):  # it is no number, but other haplotypes
        share = float(test)  # type: ignore[arg-type]
    if share is not None:
        training, held_out = split_by_sample(haplotypes, share, seed)
        return training, replace(held_out, source=f"{held_out.source} (test split)")
    other = read(test).align_to(haplotypes)
    shared = set(haplotypes.samples.tolist()) & set(other.samples.tolist())
    if shared:
        raise HaplotypeError(
            f"{count(len(shared), 'sample')} of {other.source} are in {haplotypes.source} as well, "
            f"such as {min(shared)}: a test split holds other individuals"
        )
    return haplotypes, other


def split_by_sample(
    haplotypes: Haplotypes, test_fraction: float, seed: int = 0
) -> tuple[Haplotypes, Haplotypes]:
    """Split haplotypes into a training and a test split that share no sample.

    Args:
        haplotypes: all of them.
        test_fraction: share of the samples in the test split.
        seed: of the random choice; the same seed gives the same splits.

    Raises:
        HaplotypeError: a split would be empty.
    """
    samples = np.unique(haplotypes.samples)
    number = round(test_fraction * len(samples))
    if not 0 < number < len(samples):
        raise HaplotypeError(
            f"{haplotypes.source}: with {test_fraction:.0%} of {count(len(samples), 'sample')} in "
            "the test split, one split would be empty: give more samples, or a file of test "
            "haplotypes"
        )
    chosen = np.random.default_rng(seed).permutation(samples)[:number]
    is_test = np.isin(haplotypes.samples, chosen)
    return haplotypes.take_haplotypes(~is_test), haplotypes.take_haplotypes(is_test)
