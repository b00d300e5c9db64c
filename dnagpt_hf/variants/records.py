"""One record of a file of variants, and the INFO fields that its scores become."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from dnagpt_hf import __version__
from dnagpt_hf.likelihoods.settings import VariantSettings
from dnagpt_hf.likelihoods.variants import VariantScore
from dnagpt_hf.records.reading import Record

LLR, SITE, NOTE = "DNAGPT_LLR", "DNAGPT_SITE", "DNAGPT_NOTE"
PREFIX = "DNAGPT_"
NO_ALT = "."


@dataclass(frozen=True, slots=True)
class VariantRecord:
    """One record, as it is written in its file.

    Args:
        chrom: name of the chromosome.
        position: first base of `ref`, counted from 0; −1 for the telomere in front of it.
        ref: the reference allele in upper case.
        alts: the alternative alleles in upper case, symbolic ones as they are written; an empty one
            is a deletion of a table.
        content: the line of a VCF file without its end, or the row of a table.
        line: its line in the file, or its number where the file has no lines.
    """

    chrom: str
    position: int
    ref: str
    alts: tuple[str, ...]
    content: bytes | Record
    line: int

    @property
    def alleles(self) -> tuple[str, ...]:
        """The alternative alleles, or `.` where there are none: each gets a score or a note."""
        return self.alts or (NO_ALT,)

    def __str__(self) -> str:
        return f"{self.chrom}:{self.position + 1}"


class VariantFile(Protocol):
    """A file of variants, which is read from its start by each loop over it."""

    source: str

    def __iter__(self) -> Iterator[VariantRecord]:
        """Read the records in their order."""
        ...


@dataclass(frozen=True)
class Fields:
    """The fields that are written, and the settings behind them.

    Args:
        llr: write the log-likelihood ratios of haplotypes.
        site: write those of single bases.
        model: name and revision of the model.
        settings: definition of the scores.
    """

    llr: bool
    site: bool
    model: str
    settings: VariantSettings

    def header(self) -> list[str]:
        """Write the lines of a VCF header."""
        described = {
            LLR: (
                "Float",
                "log p(ALT) - log p(REF) of haplotypes in nats; negative: ALT is less likely",
            ),
            SITE: (
                "Float",
                "log p(ALT) - log p(REF) of the single base given those before it in nats; "
                "negative: ALT is less likely",
            ),
            NOTE: ("String", "Reason for which the allele has no score"),
        }
        wanted = [LLR] * self.llr + [SITE] * self.site + [NOTE]
        lines = [
            f'##INFO=<ID={name},Number=A,Type={kind},Description="{text}">'
            for name, (kind, text) in described.items()
            if name in wanted
        ]
        made_by = {"dnagpt_hf": __version__, "model": self.model, **vars(self.settings)}
        text = "; ".join(f"{name} {value}" for name, value in made_by.items())
        return [*lines, f"##{PREFIX.lower()}variants={text}"]

    def columns(self) -> list[str]:
        """Name the columns of a table."""
        return [LLR] * self.llr + [SITE] * self.site + [NOTE]

    def row(self, score: VariantScore) -> dict[str, float | str | None]:
        """Write the score of one allele as columns of a table."""
        values = {LLR: _rounded(score.llr), SITE: _rounded(score.site), NOTE: score.note}
        return {name: values[name] for name in self.columns()}

    def info(self, scores: Sequence[VariantScore]) -> str:
        """Write the scores of a record, one for each allele, as entries of INFO."""
        numbers = {}
        if self.llr:
            numbers[LLR] = [_text(one.llr) for one in scores]
        if self.site:
            numbers[SITE] = [_text(one.site) for one in scores]
        numbers[NOTE] = [one.note or "." for one in scores]
        written = {name: values for name, values in numbers.items() if set(values) != {"."}}
        return ";".join(f"{name}={','.join(values)}" for name, values in written.items())


def _text(value: float | None) -> str:
    """Write a number with six digits, as programs of VCF do."""
    return "." if value is None or not math.isfinite(value) else f"{value:.6g}"


def _rounded(value: float | None) -> float | None:
    text = _text(value)
    return None if text == "." else float(text)
