"""Variable sites of a genome: their positions and their two alleles."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.genomes.regions import Region
from dnagpt_hf.records.files import RecordError

Texts = NDArray[np.str_]


class HaplotypeError(RecordError):
    """Invalid haplotypes; the message names file, record and value, and a remedy."""


@dataclass(frozen=True, eq=False)
class Sites:
    """Sites with two alleles, in the order of the columns of haplotypes.

    Args:
        chromosomes: names, `(sites,)`; "" if a file does not name them.
        positions: positions in bp, counted from 1, int64 `(sites,)`.
        references: the alleles that are written 0, `(sites,)`.
        alternatives: the alleles that are written 1, `(sites,)`.
        ids: names of the sites, `(sites,)`; by default `15:27379578_C_A`.

    Raises:
        HaplotypeError: the arrays differ in length.
    """

    chromosomes: Texts
    positions: NDArray[np.int64]
    references: Texts
    alternatives: Texts
    ids: Texts | None = None

    def __post_init__(self) -> None:
        lengths = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if value is not None:
                array = np.asarray(value, np.int64 if one.name == "positions" else np.str_)
                object.__setattr__(self, one.name, array)
                lengths[one.name] = len(array)
        if len(set(lengths.values())) > 1:
            raise HaplotypeError(
                "sites differ in number: " + ", ".join(f"{n:,} {k}" for k, n in lengths.items())
            )

    def __len__(self) -> int:
        return len(self.positions)

    def name(self, index: int) -> str:
        """Write position and alleles of one site.

        Example:

            >>> Sites(["15"], [27379578], ["C"], ["A"]).name(0)
            '15:27379578_C_A'
        """
        position = f"{self.chromosomes[index]}:{self.positions[index]}"
        return f"{position}_{self.references[index]}_{self.alternatives[index]}"

    @property
    def written_ids(self) -> Texts:
        """The ids, or names made of position and alleles if there are none."""
        if self.ids is not None:
            return self.ids
        return np.asarray([self.name(index) for index in range(len(self))], dtype=np.str_)

    def take(self, chosen: NDArray[Any]) -> Sites:
        """Take some of the sites, by a mask or by indices."""
        ids = None if self.ids is None else self.ids[chosen]
        return Sites(**{name: getattr(self, name)[chosen] for name in _KEY}, ids=ids)

    def within(self, region: Region) -> NDArray[np.bool_]:
        """Mark the sites in a region: `(sites,)`."""
        end = np.iinfo(np.int64).max if region.end is None else region.end
        inside = (self.positions >= region.start) & (self.positions <= end)
        return inside & (self.chromosomes == region.contig)

    def extent(self) -> str:
        """Write the regions that hold the sites, for a message."""
        names = list(dict.fromkeys(self.chromosomes.tolist()))
        spans = []
        for name in names[:3]:
            positions = self.positions[self.chromosomes == name]
            spans.append(f"{name}:{positions.min():,}-{positions.max():,}")
        return ", ".join(spans) + (", …" if len(names) > 3 else "")

    def first_mismatch(self, other: Sites) -> int | None:
        """Find the first site that is not the same in `other`; `None` if all are.

        Sites are the same if chromosome, position and both alleles are, whatever their ids.
        """
        shared = min(len(self), len(other))
        differs = np.zeros(shared, dtype=bool)
        for name in _KEY:
            differs |= getattr(self, name)[:shared] != getattr(other, name)[:shared]
        if differs.any():
            return int(differs.argmax())
        return None if len(self) == len(other) else shared

    def check_sorted(self, source: str) -> None:
        """Refuse sites that are not in the order of their chromosomes, or stand twice.

        Without names of chromosomes, neither can be told.

        Raises:
            HaplotypeError: naming the file `source` and the first two sites of the kind.
        """
        if not all(self.chromosomes.tolist()):
            return
        first = self.indices_of(self)
        is_repeated = first < np.arange(len(self))
        if is_repeated.any():
            index = int(is_repeated.argmax())
            raise HaplotypeError(
                f"{source}: site {self.name(index)} stands twice, as number {first[index] + 1:,} "
                f"and as number {index + 1:,} of the sites that are read: leave one out (of a VCF "
                "with bcftools norm --rm-dup exact)"
            )
        _, starts, chromosome = np.unique(self.chromosomes, return_index=True, return_inverse=True)
        # where the chromosome of each site begins
        start = starts[chromosome]
        goes_back = (np.diff(start) < 0) | ((np.diff(start) == 0) & (np.diff(self.positions) < 0))
        if goes_back.any():
            index = int(goes_back.argmax())
            raise HaplotypeError(
                f"{source}: site {self.name(index + 1)} stands behind {self.name(index)}: sort the "
                "file by position (a VCF with bcftools sort)"
            )

    def indices_of(self, wanted: Sites) -> NDArray[np.int64]:
        """Find the indices of the sites of `wanted`; -1 for those that are missing."""
        # backwards, so that the first of equal sites stays
        known = {key: index for index, key in reversed(list(enumerate(self._keys())))}
        return np.asarray([known.get(key, -1) for key in wanted._keys()], dtype=np.int64)

    def _keys(self) -> list[tuple[Any, ...]]:
        return list(zip(*(getattr(self, name).tolist() for name in _KEY), strict=True))


# the arrays by which sites are the same
_KEY = ("chromosomes", "positions", "references", "alternatives")


def site_name(index: int, sites: Sites | None) -> str:
    """Name a site for a message, counted from 1 and with its position if that is known.

    Example:

        >>> site_name(0, Sites(["15"], [27379578], ["C"], ["A"])), site_name(1, None)
        ('site 1 (15:27379578_C_A)', 'site 2')
    """
    known = "" if sites is None or index >= len(sites) else f" ({sites.name(index)})"
    return f"site {index + 1:,}{known}"
