"""Lines of GFF3 and GTF files.

Positions count from 0 and intervals leave out their end, as in BED; the files count from 1.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from dnagpt_hf.records.reading import RecordError, shorten
from dnagpt_hf.records.text_lines import numbered_lines

_GTF_ATTRIBUTE = re.compile(r'\s*\w+\s+"')
_STRANDS = ("+", "-", ".", "?")


@dataclass(frozen=True, slots=True)
class Feature:
    """One line of a GFF3 or GTF file.

    Args:
        contig: name of its contig.
        kind: its type, such as `exon`.
        start: its first base, from 0.
        end: the base behind its last one.
        strand: `+`, `-`, or `.` where it has none.
        phase: bases of its start that belong to a codon that began before; 0 where none is given.
        text: its ninth column.
        is_gtf: whether that is written as in GTF.
        line: line of the file.
    """

    contig: str
    kind: str
    start: int
    end: int
    strand: str
    phase: int
    text: str
    is_gtf: bool
    line: int

    def attribute(self, name: str) -> str:
        """An attribute; empty if there is none."""
        found = _attribute_pattern(name, self.is_gtf).search(self.text)
        if found is None:
            return ""
        return found[1].strip() if self.is_gtf else unquote(found[1].strip())

    def parents(self, name: str) -> list[str]:
        """Attributes of which there may be several, with commas between them."""
        found = _attribute_pattern(name, self.is_gtf).search(self.text)
        return [unquote(part) for part in found[1].strip().split(",") if part] if found else []


def read_features(path: str | os.PathLike[str]) -> Iterator[Feature]:
    """Lines of a GFF3 or GTF file, plain or compressed; which it is, its first line tells.

    Raises:
        RecordError: a line is no feature, or there is none; the message names file and line.
        OSError: the file cannot be opened.
    """
    source = os.fspath(path)
    is_gtf: bool | None = None
    for number, line in numbered_lines(path):
        if line.startswith("##FASTA") or line.startswith(">"):
            break
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split("\t")
        if is_gtf is None and len(fields) == 9:
            is_gtf = _GTF_ATTRIBUTE.match(fields[8]) is not None
        yield _feature(fields, bool(is_gtf), source, number)
    if is_gtf is None:
        raise RecordError(f"{source} has no features: give a GFF3 or GTF file")


def _feature(fields: list[str], is_gtf: bool, source: str, number: int) -> Feature:
    where = f"{source}, line {number}"
    if len(fields) != 9:
        raise RecordError(
            f"{where}: {len(fields)} fields with tabs between them, but GFF3 and GTF have 9"
        )
    contig, _, kind, first, last, _, strand, phase, text = fields
    if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        raise RecordError(
            f"{where}: {shorten(first)} to {shorten(last)} are no positions: they count from 1, "
            "and the end is not before the start"
        )
    if strand not in _STRANDS:
        raise RecordError(f"{where}: strand {shorten(strand)!r}: write +, - or .")
    if phase not in ("0", "1", "2", "."):
        raise RecordError(f"{where}: phase {shorten(phase)!r}: write 0, 1, 2 or .")
    return Feature(
        unquote(contig),
        kind,
        int(first) - 1,
        int(last),
        "." if strand == "?" else strand,
        0 if phase == "." else int(phase),
        text,
        is_gtf,
        number,
    )


@lru_cache
def _attribute_pattern(name: str, is_gtf: bool) -> re.Pattern[str]:
    return re.compile(rf'(?:^|;)\s*{name}\s+"?([^";]*)' if is_gtf else rf"(?:^|;)\s*{name}=([^;]*)")
