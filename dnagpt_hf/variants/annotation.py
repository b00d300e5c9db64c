"""Scores for all records of a file of variants, in one pass over the file for each step."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dnagpt_hf.genomes.fasta import Genome
from dnagpt_hf.genomes.regions import similar_contigs
from dnagpt_hf.likelihoods.alleles import Variant, note_of_reference
from dnagpt_hf.likelihoods.settings import VariantSettings
from dnagpt_hf.likelihoods.variants import VariantScore, score_variants
from dnagpt_hf.messages import count
from dnagpt_hf.records.files import RecordError, shorten
from dnagpt_hf.variants.files import OutputFormat
from dnagpt_hf.variants.records import Fields, VariantFile, VariantRecord
from dnagpt_hf.variants.writing import Written, scores_writer

if TYPE_CHECKING:
    from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

MOST_MISMATCHES = 0.1
"""Share of records whose REF is not in the genome, beyond which it is another assembly."""

Progress = Callable[[int], object]


@dataclass
class Contents:
    """Numbers of records and alleles of a file of variants, and its contigs.

    Args:
        records: number of records.
        alleles: number of alternative alleles, or of records without any.
        contigs: names of the chromosomes in the file, in their order, and their lengths where the
            genome has them.
    """

    records: int = 0
    alleles: int = 0
    contigs: dict[str, int | None] = field(default_factory=dict)


def check_assembly(
    variants: VariantFile,
    genome: Genome,
    most_mismatches: float = MOST_MISMATCHES,
    progress: Progress = lambda added: None,
) -> Contents:
    """Read a whole file, and refuse it if it belongs to another genome.

    Args:
        variants: the file.
        genome: the genome.
        most_mismatches: largest share of the records on its contigs whose REF may differ from it.
        progress: called with the number of records that were read.

    Raises:
        RecordError: more records differ, or no record is on a contig of the genome; the message
            has an example.
    """
    contents = Contents()
    on_contigs, different, example = 0, 0, ""
    for record in variants:
        contents.records += 1
        contents.alleles += len(record.alleles)
        contig = genome.names.find(record.chrom)
        contents.contigs[record.chrom] = None if contig is None else len(genome.contigs[contig])
        if contig is not None:
            on_contigs += 1
            ref = Variant(contig, record.position, record.ref, record.ref)
            if note_of_reference(genome.contigs[contig], ref) == "ref_mismatch":
                different += 1
                example = example or _difference(genome, record, contig)
        progress(1)
    if contents.records and not on_contigs:
        first = next(iter(contents.contigs))
        raise RecordError(
            f"{variants.source}: none of its chromosomes ({', '.join(list(contents.contigs)[:3])}) "
            f"is in {genome.path}, which has {similar_contigs(first, genome.contigs)}: give the "
            "right FASTA, or the other names of its contigs (--chrom-aliases)"
        )
    if different > most_mismatches * on_contigs:
        raise RecordError(
            f"{variants.source}: {different:,} of {count(on_contigs, 'record')} "
            f"({different / on_contigs:.0%}) have a REF that is not in {genome.path}, such as "
            f"{example}: give the FASTA of the same assembly, or allow more (--max-mismatches)"
        )
    return contents


def _difference(genome: Genome, record: VariantRecord, contig: str) -> str:
    whole, start, end = genome.contigs[contig], record.position, record.position + len(record.ref)
    if end > len(whole):
        verb = "lies" if start >= len(whole) else "reaches"
        has = f"which {verb} behind the end of contig {contig} ({len(whole):,} bases)"
    else:
        found = shorten(whole[max(start, 0) : end].tobytes().decode()) or "nothing"
        has = f"where the FASTA has {found}"
    return f"{record} with REF {shorten(record.ref)}, {has}"


@dataclass
class Summary:
    """Numbers of records and alleles that were scored, for the message at the end.

    Args:
        records: number of records.
        alleles: number of alleles, each of which has a score or a note.
        notes: number of alleles with each note.
        written: what became of the output.
    """

    records: int = 0
    alleles: int = 0
    notes: Counter[str] = field(default_factory=Counter)
    written: Written = field(default_factory=Written)

    def __str__(self) -> str:
        scored = self.alleles - self.notes.total()
        parts = [
            f"{count(self.records, 'record')}, {scored:,} of {count(self.alleles, 'allele')} scored"
        ]
        parts += [f"{name} {number:,}" for name, number in sorted(self.notes.items())]
        if self.written.replaced:
            parts.append("DNAGPT fields of an earlier run replaced")
        if self.written.defined:
            defined = shorten(", ".join(self.written.defined), 200)
            parts.append(f"added to the header, as text: {defined}")
        if self.written.no_index:
            parts.append(f"no index: {self.written.no_index}")
        return "; ".join(parts)


def score_records(
    model: DNAGPTForMultiTask,
    tokenizer: DNAGPTTokenizer,
    genome: Genome,
    variants: VariantFile,
    settings: VariantSettings,
    progress: Progress = lambda added: None,
) -> Iterator[tuple[VariantRecord, list[VariantScore]]]:
    """Score the records of a file, each with one score for each of its alleles.

    The file is read twice at the same time, once for the model, which reads ahead, and once for the
    records that are returned: none waits in memory.

    Args:
        model: the model, in evaluation mode.
        tokenizer: its tokenizer.
        genome: the genome.
        variants: the file.
        settings: definition of the scores.
        progress: called with the number of alleles of each finished block.
    """
    alleles = (
        Variant(record.chrom, record.position, record.ref, allele)
        for record in variants
        for allele in record.alleles
    )
    scores = score_variants(model, tokenizer, genome, alleles, settings, progress=progress)
    with closing(alleles):
        for record in variants:
            yield record, [next(scores) for _ in record.alleles]


def write_scores(
    scored: Iterator[tuple[VariantRecord, list[VariantScore]]],
    output: str | os.PathLike[str],
    format: OutputFormat,
    variants: VariantFile,
    contents: Contents,
    fields: Fields,
    *,
    overwrite: bool = False,
) -> Summary:
    """Write records with their scores to a file, which appears whole or not at all.

    Args:
        scored: the records with their scores.
        output: the file; `-` for standard output.
        format: its format.
        variants: the file that the records are from.
        contents: what it holds.
        fields: the fields to write.
        overwrite: replace a file that exists.
    """
    writer = scores_writer(output, format, variants, contents.contigs, fields, overwrite=overwrite)
    with writer as (write, written):
        summary = Summary(written=written)
        for record, scores in scored:
            write(record, scores)
            summary.records += 1
            summary.alleles += len(scores)
            summary.notes.update(one.note for one in scores if one.note is not None)
    return summary
