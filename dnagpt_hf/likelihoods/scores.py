"""Likelihoods of records and of regions of a genome."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dnagpt_hf.annotation.bed import find_regions
from dnagpt_hf.genomes.bases import Bases, normalize_bases
from dnagpt_hf.likelihoods.sequences import BaseScores, SequenceScorer
from dnagpt_hf.likelihoods.strands import Array
from dnagpt_hf.records.reading import Record
from dnagpt_hf.records.species import species_token_id

if TYPE_CHECKING:
    import pandas

    from dnagpt_hf.genomes.contigs import Contig
    from dnagpt_hf.genomes.fasta import Genome

PerBase = Literal["base", "all"]
_WHITE_SPACE = b" \t\n\r\v\f"


@dataclass(frozen=True)
class SequencePart:
    """Bases to score: all of a record, or a region in the light of its contig.

    Args:
        contig: name of the record or contig.
        sequence: its bases.
        start: first base to score, from 0.
        end: end of the bases to score, excluded.
        name: name of the record or region.
        is_region: whether it is a region of a genome.
        species: its species token, in place of that of the settings.
    """

    contig: str
    sequence: Contig | Bases
    start: int
    end: int
    name: str
    is_region: bool = False
    species: str | None = None


@dataclass(frozen=True)
class Likelihood:
    """Likelihood of the bases that have one.

    Args:
        bases: their number.
        log_likelihood: the sum of their log-probabilities in nats.
    """

    bases: int
    log_likelihood: float

    @property
    def bits_per_base(self) -> float:
        """Bits that the model needs for a base; NaN where none is scored."""
        return -self.log_likelihood / self.bases / math.log(2) if self.bases else math.nan

    @property
    def perplexity(self) -> float:
        """Number of equally likely bases to which the uncertainty amounts, 1 to 4 or more."""
        return 2.0**self.bits_per_base

    def row(self) -> dict[str, float]:
        """Lay the numbers out as columns of a table."""
        return {
            "bases": self.bases,
            "log_likelihood": self.log_likelihood,
            "bits_per_base": self.bits_per_base,
            "perplexity": self.perplexity,
        }


@dataclass(frozen=True)
class SequenceScore:
    """The likelihood of a record or region.

    Args:
        part: what was scored.
        likelihood: of the means over the strands; bases that one of them lacks do not count.
        strands: of each strand apart.
        per_base: log-probabilities in nats, means over the strands, float32: of the base that
            stands there, `(bases,)`, or of A, C, G and T, `(bases, 4)`; NaN where it is missing.
            None if not asked for.
    """

    part: SequencePart
    likelihood: Likelihood
    strands: dict[str, Likelihood]
    per_base: Array | None = field(default=None, repr=False, compare=False)

    def row(self) -> dict[str, Any]:
        """Lay the score out as a row of a table; strands stand apart where there are two."""
        part = self.part
        place = {"contig": part.contig, "start": part.start, "end": part.end}
        strands = {name: one.row() for name, one in self.strands.items()}
        apart = strands if len(strands) > 1 else {}
        return {
            **(place if part.is_region else {}),
            "name": part.name,
            **self.likelihood.row(),
            **apart,
        }


class SequenceScores(list[SequenceScore]):
    """List the likelihoods of records or regions, in their order.

    Example:

        >>> import dnagpt_hf
        >>> scores = dnagpt_hf.load("dnagpt-tiny").score(["ACGTACGT"], species="R")
        >>> scores.to_pandas()[["name", "bases", "forward_bases"]].values.tolist()
        [['1', 8, 8]]
    """

    def to_pandas(self) -> pandas.DataFrame:
        """Lay the scores out as a table.

        Returns:
            `pandas.DataFrame`: `name` (of regions also `contig`, `start` and `end`), `bases`,
            `log_likelihood` in nats, `bits_per_base`, `perplexity`, and of both strands the same
            with `forward_` and `reverse_` in front.
        """
        import pandas

        return pandas.json_normalize([one.row() for one in self], sep="_")


def record_parts(records: Iterable[Record], species: str | None = None) -> Iterator[SequencePart]:
    """Read the sequences of records; lower case is read as upper case, IUPAC codes as N.

    Args:
        records: the records.
        species: the species token of all; by default each has that of its column `species`, if
            there is one.

    Raises:
        RecordError: a record has no sequence or it is not DNA, or there is no such species token.
    """
    for record in records:
        if "sequence" not in record.values:
            raise record.error(
                f"there is no column 'sequence', only {', '.join(record.values)}: rename one "
                "with --columns sequence=NAME"
            )
        letters = str(record.values["sequence"]).encode().translate(None, _WHITE_SPACE)
        of_record = species or str(record.values.get("species") or "") or None
        try:
            bases = normalize_bases(letters, "its sequence")
            if of_record is not None:
                species_token_id(of_record)
        except ValueError as error:
            raise record.error(str(error)) from error
        yield SequencePart(record.name, bases, 0, len(bases), record.name, species=of_record)


def region_parts(
    genome: Genome, regions: str | os.PathLike[str] | Iterable[str | tuple[str, int, int]]
) -> list[SequencePart]:
    """Find regions in a genome; a base of them is scored given all before it in its contig.

    Args:
        genome: the genome.
        regions: as for [`~dnagpt_hf.annotation.bed.find_regions`], with its errors.
    """
    return [
        SequencePart(
            one.contig, genome.contigs[one.contig], one.start, one.end, one.name, is_region=True
        )
        for one in find_regions(genome, regions)
    ]


def score_part(
    scorer: SequenceScorer,
    part: SequencePart,
    *,
    per_base: PerBase | None = None,
    on_block: Callable[[BaseScores], object] = lambda block: None,
) -> SequenceScore:
    """Score a record or region in bounded memory.

    Args:
        scorer: model and definition.
        part: record or region.
        per_base: keep the log-probabilities of each `"base"`, or of `"all"` four.
        on_block: called with the scores of a bounded number of bases at a time, from left to right.

    Raises:
        ValueError: the model's output is not finite.
    """
    mean = "mean"
    # number and sum
    totals = {name: np.zeros(2) for name in (mean, *scorer.strands)}
    kept = [np.empty((0, 4) if per_base == "all" else 0, np.float32)]
    if part.species is not None:
        scorer = scorer.of_species(part.species)
    for block in scorer.blocks(part.sequence, part.start, part.end):
        on_block(block)
        for name, scores in {mean: block.log_probabilities, **block.strands}.items():
            of_bases = block.of_bases(scores)
            totals[name] += (~np.isnan(of_bases)).sum(), np.nansum(of_bases)
            if name == mean and per_base is not None:
                kept.append((scores if per_base == "all" else of_bases).astype(np.float32))
    found = {name: Likelihood(int(count), float(nats)) for name, (count, nats) in totals.items()}
    tracks = None if per_base is None else np.concatenate(kept)
    return SequenceScore(part, found.pop(mean), found, tracks)
