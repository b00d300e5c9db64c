"""Regions of BED files, and of genomes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dnagpt_hf.genomes.regions import contig_of_region, find_intervals
from dnagpt_hf.records.files import RecordError, open_text, shorten

if TYPE_CHECKING:
    from dnagpt_hf.genomes.fasta import Genome


@dataclass(frozen=True)
class BedRegion:
    """One line of a BED file, or a region of a genome.

    Args:
        contig: name of the contig.
        start: its first base, from 0.
        end: the base behind its last one.
        name: its name; empty where there is none.
        score: its score as it is written; empty where there is none.
        strand: `+`, `-`, or `.` where it has none.
        line: line of the file; 0 without one.
        values: further columns.
    """

    contig: str
    start: int
    end: int
    name: str = ""
    score: str = ""
    strand: str = "."
    line: int = 0
    values: dict[str, str] = field(default_factory=dict)


def read_bed(path: str | os.PathLike[str]) -> Iterator[BedRegion]:
    """Read the regions of a BED file, plain or compressed with gzip or bgzip.

    Lines of `track`, `browser` and comments are passed over; a comment with tabs names the columns
    behind the sixth.

    Raises:
        RecordError: a line is no region, or there is none; the message names file and line.
        OSError: the file cannot be opened.

    Example:

        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "regions.bed"
        >>> _ = path.write_text("chr1\\t4\\t9\\tfirst\\n")
        >>> [(region.contig, region.start, region.end, region.name) for region in read_bed(path)]
        [('chr1', 4, 9, 'first')]
    """
    number = 0
    for number, fields, names in _lines(path):
        where = f"{os.fspath(path)}, line {number}"
        contig, start, end, *more = fields
        if not (start.isdecimal() and end.isdecimal() and int(start) <= int(end)):
            raise RecordError(
                f"{where}: {shorten(start)} to {shorten(end)} are no positions: they count from "
                "0, and the end is not before the start"
            )
        name, score, strand, *rest = more + ["", "", "."][len(more) :]
        if strand not in ("+", "-", "."):
            raise RecordError(f"{where}: strand {shorten(strand)!r}: write +, - or .")
        values = {
            names[column] if column < len(names) else f"column{column + 7}": value
            for column, value in enumerate(rest)
        }
        name = "" if name == "." else name
        yield BedRegion(contig, int(start), int(end), name, score, strand, number, values)
    if number == 0:
        raise RecordError(f"{os.fspath(path)} has no regions: give a BED file")


def find_regions(
    genome: Genome, regions: str | os.PathLike[str] | Iterable[str | tuple[str, int, int]]
) -> Iterator[BedRegion]:
    """Find regions in a genome; their contigs have its names.

    Args:
        genome: the genome.
        regions: a BED file, or a list of regions as `"chrI:101-200"` (from 1, both ends included),
            `"chrI"` or `("chrI", 100, 200)` (from 0, the end excluded).

    Yields:
        `BedRegion`: without a name in its file it has that of its place, `chrI:101-200`.

    Raises:
        RecordError: the BED file cannot be read.
        ValueError: a region does not lie in the genome.

    Example:

        >>> import tempfile, pathlib, dnagpt_hf
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "genome.fa"
        >>> _ = path.write_text(">chrI\\nACGTACGT\\n")
        >>> genome = dnagpt_hf.open_genome(path)
        >>> [one.name for one in find_regions(genome, ["I:5-8", ("chrI", 2, 4)])]
        ['chrI:5-8', 'chrI:3-4']
    """
    for region in _regions(genome, regions):
        start, end = region.start, region.end
        where = f"{regions}, line {region.line}" if region.line else ""
        contig = contig_of_region(genome, region.contig, start, end, where)
        name = region.name or f"{contig}:{start + 1}-{end}"
        yield replace(region, contig=contig, name=name)


def _regions(
    genome: Genome, regions: str | os.PathLike[str] | Iterable[str | tuple[str, int, int]]
) -> Iterator[BedRegion]:
    if isinstance(regions, str | os.PathLike):
        yield from read_bed(regions)
        return
    for region in regions:
        if isinstance(region, str):
            for contig, found in find_intervals(region, genome.contigs, genome.path, genome.names):
                yield BedRegion(contig, *found)
        else:
            yield BedRegion(*region)


def _lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, list[str], list[str]]]:
    """Read numbers and fields of lines, and the names of the columns behind the sixth."""
    names: list[str] = []
    count = 0
    with open_text(path) as lines:
        for number, line in lines:
            if not line.strip() or line.startswith(("track", "browser")):
                continue
            fields = [field.strip() for field in line.split("\t" if "\t" in line else None)]
            if line.startswith("#"):
                # a comment, or names of columns, as some programs write them
                names = fields[6:] if "\t" in line else names
                continue
            count = count or len(fields)
            if len(fields) != count or count < 3:
                raise RecordError(
                    f"{os.fspath(path)}, line {number}: {len(fields)} fields, but BED has 3 or "
                    f"more, as many on each line (the first has {count})"
                )
            yield number, fields, names
