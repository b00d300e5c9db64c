"""Windows of bases around positions in a genome."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dnagpt_hf.genomes.bases import Interval, reverse_complement
from dnagpt_hf.genomes.contig_names import ContigNames
from dnagpt_hf.genomes.contigs import Contig
from dnagpt_hf.genomes.fasta import open_genome
from dnagpt_hf.genomes.regions import no_such_contig
from dnagpt_hf.records.files import RecordError

logger = logging.getLogger(__name__)

# the count of places that a genome, of another assembly perhaps, is too short for
_BEYOND = "left out: behind the end of their contig"
EDGES = ("drop", "pad", "error")
_PADDING = "N"


@dataclass(frozen=True)
class Window:
    """Extent of a window around a position, in the direction of its strand.

    Args:
        upstream: bases before the place.
        downstream: bases behind it, or behind the bases of the site itself.
        site: bases of the site itself.
        edge: what happens to a window that ends behind a contig: `drop` leaves it out, `pad` fills
            it up with N, `error` refuses it.

    Raises:
        ValueError: a length is negative, all are 0, or `edge` is none of these.

    Example:

        >>> Window(upstream=300, downstream=300, site=3).interval(1000, is_reverse=True)
        Interval(start=697, end=1300)
    """

    upstream: int
    downstream: int
    site: int = 0
    edge: str = "drop"

    def __post_init__(self) -> None:
        for name in ("upstream", "downstream"):
            value = getattr(self, name)
            if type(value) is not int or value < 0:
                raise ValueError(f"{name} is {value!r}: give a number of bases, 0 or more")
        if len(self) == 0:
            raise ValueError("upstream and downstream are 0: give one of them")
        if self.edge not in EDGES:
            raise ValueError(f"edge is {self.edge!r}: choose one of {', '.join(EDGES)}")

    def __len__(self) -> int:
        return self.upstream + self.site + self.downstream

    def interval(self, position: int, is_reverse: bool) -> Interval:
        """Return the interval of the window around a cut between two bases."""
        before = self.site + self.downstream if is_reverse else self.upstream
        start = position - before
        return Interval(start, start + len(self))

    def cut(self, contig: Contig, position: int, is_reverse: bool) -> str | None:
        """Cut the bases of a window: A, C, G, T and N, reverse-complemented on the other strand.

        Returns:
            The bases, or `None` where the window is left out: it leaves the contig, or, with `pad`,
            has no base in it.

        Raises:
            ValueError: it leaves the contig, and `edge` is `error`.
            GenomeError: the contig cannot be read, or holds what is no base.
        """
        start, end = self.interval(position, is_reverse)
        first, last = max(start, 0), min(end, len(contig))
        if (first, last) != (start, end):
            if self.edge == "error":
                raise ValueError(
                    f"its window, bases {start + 1:,} to {end:,}, leaves contig {contig.name} of "
                    f"{len(contig):,}: choose edge drop or pad, or a shorter window"
                )
            if self.edge == "drop" or first >= last:
                return None
        bases = contig[first:last]
        if is_reverse:
            bases = reverse_complement(bases)
            first, last, start, end = -last, -first, -end, -start
        return _PADDING * (first - start) + bases.tobytes().decode() + _PADDING * (end - last)


class _ContigsByName(Mapping[str, Contig]):
    """Contigs by their names with and without `chr`."""

    def __init__(self, contigs: Mapping[str, Contig]) -> None:
        self._contigs, self._names = contigs, ContigNames(contigs)

    def __getitem__(self, name: str) -> Contig:
        return self._contigs[self._names.find(name) or name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._contigs)

    def __len__(self) -> int:
        return len(self._contigs)


@dataclass(frozen=True)
class GenomeWindows:
    """A genome to cut windows from, for places that another file names.

    Args:
        genome: the FASTA file.
        contigs: its contigs, by the names of the other file, with or without `chr`.
        regions: the other file.
        is_selection: whether places on other contigs are left out rather than an error.
    """

    genome: Path
    contigs: Mapping[str, Contig]
    regions: Path
    is_selection: bool

    def contig(self, name: str, end: int, line: int, counts: Counter[str]) -> Contig | None:
        """Return the contig of a place; `None` if the place is left out, and counted.

        The first place that lies behind the end of its contig is named in a warning.

        Args:
            name: name of the contig in the other file.
            end: the base behind the place.
            line: line of the file that names it.
            counts: numbers of places that are left out, by reason.

        Raises:
            RecordError: the genome lacks it.
        """
        found = self.contigs.get(name)
        if found is None:
            if not self.is_selection:
                raise RecordError(
                    f"{self.regions}, line {line}: "
                    f"{no_such_contig(name, self.contigs, self.genome)}: name those to use with "
                    "contigs, as [chr1, chr2], or as {chr1: NC_000001.11} where the FASTA file "
                    "calls them otherwise"
                )
            counts["left out: on other contigs"] += 1
            return None
        if end <= len(found):
            return found
        if not counts[_BEYOND]:
            logger.warning(
                "%s, line %d: base %s lies behind the end of contig %s, which has %s: it is left "
                "out; is %s the genome of this file?",
                *(self.regions, line, f"{end:,}", found.name, f"{len(found):,}", self.genome),
            )
        counts[_BEYOND] += 1
        return None

    def cut(
        self, window: Window, contig: Contig, position: int, strand: str, line: int, name: str
    ) -> str | None:
        """Cut a window as [`Window.cut`] does; line and name are those of the place, for errors."""
        try:
            return window.cut(contig, position, strand == "-")
        except ValueError as error:
            raise RecordError(f"{self.regions}, line {line}: {name}: {error}") from error


def open_windows(
    genome: str | os.PathLike[str],
    regions: str | os.PathLike[str],
    contigs: Sequence[str] | Mapping[str, str] | None = None,
    cache_folder: Path | None = None,
) -> GenomeWindows:
    """Open the genome of a file of regions.

    The package's own reader is used rather than pyfaidx, which makes the index only: it reads files
    that gzip has compressed, brings letters to A, C, G, T and N, and says where one is no base.

    Args:
        genome: FASTA file, plain or compressed with gzip or bgzip.
        regions: the file that names the places, for errors.
        contigs: names of the contigs to use, or, where the FASTA file has other names, those by the
            names of the regions. Places on other contigs are left out. By default all are used.
        cache_folder: where the index, and the unpacked file if it is compressed, are kept; by
            default next to the genome.

    Raises:
        GenomeError: the FASTA file cannot be used.
        ValueError: it has no contig of such a name.
    """
    found = _ContigsByName(open_genome(genome, cache_folder).contigs)
    pairs = (
        dict(contigs) if isinstance(contigs, Mapping) else {name: name for name in contigs or found}
    )
    for name in pairs.values():
        if name not in found:
            raise ValueError(f"contigs: {no_such_contig(name, found, genome)}")
    chosen = {name: found[theirs] for name, theirs in pairs.items()}
    by_name = _ContigsByName(chosen)
    return GenomeWindows(Path(genome), by_name, Path(regions), contigs is not None)
