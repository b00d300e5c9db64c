"""Regions of BED files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from dnagpt_hf.records.files import RecordError, open_text, shorten


@dataclass(frozen=True)
class BedRegion:
    """One line of a BED file.

    Args:
        contig: name of the contig.
        start: its first base, from 0.
        end: the base behind its last one.
        name: its name; empty where there is none.
        score: its score as it is written; empty where there is none.
        strand: `+`, `-`, or `.` where it has none.
        line: line of the file.
        values: further columns.
    """

    contig: str
    start: int
    end: int
    name: str
    score: str
    strand: str
    line: int
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
                    "more, as many on each line"
                )
            yield number, fields, names
