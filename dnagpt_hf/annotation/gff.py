"""Lines of GFF3 and GTF files.

Positions count from 0 and intervals leave out their end, as in BED; the files count from 1.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple
from urllib.parse import unquote

from dnagpt_hf.records.files import RecordError, ending, open_text, shorten

_IS_GTF = {".gtf": True, ".gff3": False}
_STRANDS = ("+", "-", ".", "?")
_PHASES = {"0": 0, "1": 1, "2": 2, ".": 0}
# a value may be quoted, and a quoted one may hold semicolons
_QUOTED = r'"[^"]*"(?=\s*(?:;|$))'
# an attribute of another name; its alternatives exclude each other, so that no quote is cut
_OTHER = rf'[^;"]*(?:{_QUOTED}\s*|(?!{_QUOTED})"[^;]*)?;'
_GFF_START, _GTF_START = re.compile(r"\s*[^=;\s]+\s*="), re.compile(r'\s*[^;\s"]+\s+')


@cache
def _attribute_pattern(name: str, is_gtf: bool) -> re.Pattern[str]:
    """Match a ninth column up to the value of an attribute."""
    sign = r"\s+" if is_gtf else r"\s*=\s*"
    return re.compile(rf"(?:{_OTHER})*?\s*{re.escape(name)}{sign}({_QUOTED}|[^;]*)")


class Feature(NamedTuple):
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
        # most lines lack most attributes that are asked for
        value = self._value(name) if name in self.text else ""
        if len(value) > 1 and value[0] == value[-1] == '"':
            value = value[1:-1].strip()
        return value if self.is_gtf or "%" not in value else unquote(value)

    def parents(self, name: str) -> list[str]:
        """Return the values of an attribute of GFF3 that holds several, separated by commas."""
        values = self._value(name).split(",") if name in self.text else []
        return [unquote(part) if "%" in part else part for part in values if part]

    def _value(self, name: str) -> str:
        if not self.is_gtf and '"' not in self.text:
            # nearly all lines of GFF3: `name=value` between semicolons
            _, start, rest = f";{self.text}".partition(f";{name}=")
            if start or ("; " not in self.text and " =" not in self.text):
                return rest.partition(";")[0].strip()
        found = _attribute_pattern(name, self.is_gtf).match(self.text)
        return found[1].strip() if found else ""


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
            if line.startswith(("##FASTA", ">")):
                break
            if line.startswith("#") or not line.strip():
                continue
            fields = line.rstrip("\r\n").split("\t")
            try:
                if stated is None:
                    is_gtf = _checked_syntax(fields[-1], is_gtf)
                feature = _feature(fields, bool(is_gtf), number)
            except RecordError as error:
                raise RecordError(f"{source}, line {number}: {error}") from None
            has_features = True
            yield feature
    if not has_features:
        raise RecordError(f"{source} has no features: give a GFF3 or GTF file")


def _checked_syntax(text: str, is_gtf: bool | None) -> bool | None:
    """Tell whether a ninth column is GTF, as those before it; a bare identifier does not tell."""
    if _GFF_START.match(text):
        found = False
    elif _GTF_START.match(text.strip()):
        found = True
    else:
        return is_gtf
    if is_gtf not in (None, found):
        name, other = ("GTF", "GFF3") if found else ("GFF3", "GTF")
        raise RecordError(
            f"{shorten(text)!r} is an attribute of {name}, but the lines before are {other}: give "
            "the file the ending .gtf or .gff3"
        )
    return found


def _feature(fields: list[str], is_gtf: bool, line: int) -> Feature:
    if len(fields) != 9:
        raise RecordError(f"{len(fields)} fields with tabs between them, but GFF3 and GTF have 9")
    contig, _, kind, first, last, _, strand, phase, text = fields
    start = int(first) if first.isdecimal() else 0
    end = int(last) if last.isdecimal() else 0
    if not 1 <= start <= end:
        raise RecordError(
            f"{shorten(first)} to {shorten(last)} are no positions: they count from 1, and the end "
            "is not before the start"
        )
    if strand not in _STRANDS:
        raise RecordError(f"strand {shorten(strand)!r}: write +, - or .")
    if phase not in _PHASES:
        raise RecordError(f"phase {shorten(phase)!r}: write 0, 1, 2 or .")
    # some programs write ? for a strand that matters, but is not known
    strand = "." if strand == "?" else strand
    contig = unquote(contig) if "%" in contig else contig
    return Feature(contig, kind, start - 1, end, strand, _PHASES[phase], text, is_gtf, line)
