"""Lines of GFF3 and GTF files.

Positions count from 0 and intervals leave out their end, as in BED; the files count from 1.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote

from dnagpt_hf.records.files import RecordError, ending, open_text, shorten

_IS_GTF = {".gtf": True, ".gff3": False}
_STRANDS = ("+", "-", ".", "?")
# a value may be quoted, and a quoted one may hold semicolons
_VALUE = r'("[^"]*"(?=\s*(?:;|$))|[^;]*)'
_GFF_ATTRIBUTES = re.compile(rf"\s*([^=;\s]+)\s*={_VALUE}")
_GTF_ATTRIBUTES = re.compile(rf"\s*([^;\s\"]+)\s+{_VALUE}")


@dataclass(frozen=True)
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
        is_gtf: whether the ninth column has the syntax of GTF.
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
        """Return an attribute without quotation marks; empty if there is none."""
        value = self._value(name)
        if len(value) > 1 and value[0] == value[-1] == '"':
            value = value[1:-1].strip()
        return value if self.is_gtf else unquote(value)

    def parents(self, name: str) -> list[str]:
        """Return the values of an attribute of GFF3 that holds several, separated by commas."""
        return [unquote(part) for part in self._value(name).split(",") if part]

    def _value(self, name: str) -> str:
        if self.is_gtf or '"' in self.text:
            return self._attributes.get(name, "")
        # most lines of GFF3 have many attributes, of which few are asked for, and no quotes
        text = f";{self.text.replace('; ', ';')}"
        start = text.find(f";{name}=")
        if start < 0:
            return ""
        start += len(name) + 2
        end = text.find(";", start)
        return text[start : end if end >= 0 else None].strip()

    @cached_property
    def _attributes(self) -> dict[str, str]:
        pattern = _GTF_ATTRIBUTES if self.is_gtf else _GFF_ATTRIBUTES
        # reversed, so that the first of several values of a name is kept
        return {name: value.strip() for name, value in reversed(pattern.findall(self.text))}


def read_features(path: str | os.PathLike[str]) -> Iterator[Feature]:
    """Read the lines of a GFF3 or GTF file, plain or compressed.

    The endings `.gtf` and `.gff3` decide the format. In other files each line does, by its ninth
    column: `name=value` in GFF3, `name "value"` or a bare identifier in GTF. A file has one format.

    Raises:
        RecordError: a line is no feature or has another format than the lines before it, or there
            is no line; the message names file and line.
        OSError: the file cannot be opened.
    """
    source = os.fspath(path)
    stated = _IS_GTF.get(ending(path))
    is_gtf, has_features = stated, False
    with open_text(path) as lines:
        for number, line in lines:
            if line.startswith("##FASTA") or line.startswith(">"):
                break
            if not line.strip() or line.startswith("#"):
                continue
            fields = line.rstrip("\r\n").split("\t")
            found = _is_gtf(fields[-1]) if stated is None else stated
            if found is not None and found != is_gtf:
                if is_gtf is not None:
                    raise RecordError(
                        f"{source}, line {number}: {shorten(fields[-1])!r} is an attribute of "
                        f"{_name(found)}, but the lines before are {_name(is_gtf)}: give the file "
                        "the ending .gtf or .gff3"
                    )
                is_gtf = found
            has_features = True
            yield _feature(fields, bool(is_gtf), source, number)
    if not has_features:
        raise RecordError(f"{source} has no features: give a GFF3 or GTF file")


def _is_gtf(text: str) -> bool | None:
    """Tell the syntax of a ninth column; `None` where it is empty or a bare identifier."""
    if _GFF_ATTRIBUTES.match(text):
        return False
    return True if _GTF_ATTRIBUTES.match(text.strip()) else None


def _name(is_gtf: bool) -> str:
    return "GTF" if is_gtf else "GFF3"


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
