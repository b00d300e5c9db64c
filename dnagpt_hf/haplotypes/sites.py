"""Variable sites of a genome: where they lie, and which two alleles they have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.genomes.regions import Region

Texts = NDArray[np.str_]


class HaplotypeError(ValueError):
    """Haplotypes that cannot be used; the message says which file, which record and what to do."""


@dataclass(frozen=True, eq=False)
class Sites:
    """Sites with two alleles, in the order in which haplotypes hold them.

    Args:
        chromosomes: names, `(sites,)`; "" where a file does not tell.
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
        texts = ("chromosomes", "references", "alternatives")
        for name in texts:
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.str_))
        object.__setattr__(self, "positions", np.asarray(self.positions, dtype=np.int64))
        lengths = {name: len(getattr(self, name)) for name in (*texts, "positions")}
        if self.ids is not None:
            object.__setattr__(self, "ids", np.asarray(self.ids, dtype=np.str_))
            lengths["ids"] = len(self.ids)
        if len(set(lengths.values())) > 1:
            raise HaplotypeError(
                "sites differ in number: " + ", ".join(f"{n:,} {k}" for k, n in lengths.items())
            )

    def __len__(self) -> int:
        return len(self.positions)

    def name(self, index: int) -> str:
        """How a message calls one site.

        Example:

            >>> Sites(["15"], [27379578], ["C"], ["A"]).name(0)
            '15:27379578_C_A'
        """
        place = f"{self.chromosomes[index]}:{self.positions[index]}"
        return f"{place}_{self.references[index]}_{self.alternatives[index]}"

    @property
    def written_ids(self) -> Texts:
        """The ids, or names made of place and alleles where there are none."""
        if self.ids is not None:
            return self.ids
        return np.asarray([self.name(index) for index in range(len(self))], dtype=np.str_)

    def take(self, chosen: NDArray[Any]) -> Sites:
        """Some of the sites, by a mask or by indices."""
        return Sites(
            self.chromosomes[chosen],
            self.positions[chosen],
            self.references[chosen],
            self.alternatives[chosen],
            None if self.ids is None else self.ids[chosen],
        )

    def within(self, region: Region) -> NDArray[np.bool_]:
        """Which sites lie in a region: `(sites,)`.

        Raises:
            HaplotypeError: none does.
        """
        end = np.iinfo(np.int64).max if region.end is None else region.end
        inside = (
            (self.chromosomes == region.contig)
            & (self.positions >= region.start)
            & (self.positions <= end)
        )
        if not inside.any():
            raise HaplotypeError(f"no site lies in {region}; there are sites in {self.extent()}")
        return inside

    def extent(self) -> str:
        """Where the sites lie, for a message."""
        names = list(dict.fromkeys(self.chromosomes.tolist()))
        spans = []
        for name in names[:3]:
            positions = self.positions[self.chromosomes == name]
            spans.append(f"{name}:{positions.min():,}-{positions.max():,}")
        return ", ".join(spans) + (", …" if len(names) > 3 else "")

    def first_mismatch(self, other: Sites) -> int | None:
        """Index of the first site that is not the same in `other`; `None` if all are.

        Sites are the same if chromosome, position and both alleles are, whatever their ids.
        """
        shared = min(len(self), len(other))
        differs = np.zeros(shared, dtype=bool)
        for field in ("chromosomes", "positions", "references", "alternatives"):
            differs |= getattr(self, field)[:shared] != getattr(other, field)[:shared]
        if differs.any():
            return int(differs.argmax())
        return None if len(self) == len(other) else shared

    def indices_of(self, wanted: Sites) -> NDArray[np.int64]:
        """Indices at which the sites of `wanted` stand here; -1 where one is missing."""
        known = {key: index for index, key in reversed(list(enumerate(self._keys())))}
        return np.asarray([known.get(key, -1) for key in wanted._keys()], dtype=np.int64)

    def _keys(self) -> list[tuple[Any, ...]]:
        columns: Sequence[NDArray[Any]] = (
            self.chromosomes,
            self.positions,
            self.references,
            self.alternatives,
        )
        return list(zip(*(column.tolist() for column in columns), strict=True))
