"""`dnagpt score`: likelihoods of sequences and of regions of a genome."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dnagpt_hf.cli import options
from dnagpt_hf.cli.running import counter

if TYPE_CHECKING:
    from dnagpt_hf.genomes.contig_names import ContigNames
    from dnagpt_hf.likelihoods.scores import SequencePart
    from dnagpt_hf.likelihoods.sequences import BaseScores


@dataclass(frozen=True)
class ScoreOptions:
    """Definition of the likelihood of a base."""

    species: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN",
            help="Species token in front, such as R. By default that of a column species, if there "
            "is one; without any the first k-mer is not scored.",
        ),
    ] = None
    strand: Annotated[
        Literal["both", "forward", "reverse"],
        typer.Option(help="The mean of both strands, or one of them."),
    ] = "both"
    phases: Annotated[
        Literal["all", "first"],
        typer.Option(help="Mix the probabilities of all phases of the k-mers, or take one."),
    ] = "all"
    window: Annotated[
        int | None,
        typer.Option(metavar="BASES", help="Bases read at a time. By default all positions."),
    ] = None
    stride: Annotated[
        int | None,
        typer.Option(metavar="BASES", help="Bases between windows. By default half a window."),
    ] = None
    normalize: Annotated[
        Literal["acgt", "vocabulary"],
        typer.Option(
            help="What has the whole probability: k-mers of A, C, G and T, or all tokens."
        ),
    ] = "acgt"
    remainder: Annotated[
        Literal["prefix", "segment"],
        typer.Option(
            help="Bases behind the last whole k-mer: the probability of all k-mers that begin with "
            "them, or, with --phases first, that of the shorter k-mer that ends a segment."
        ),
    ] = "prefix"


def score(
    model: options.Model,
    input: options.Input,
    *,
    output: options.Output = "-",
    bed: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Score these regions of the FASTA file, each base given all before it there.",
        ),
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option(metavar="CONTIG:START-END", help="The same for one region; repeatable."),
    ] = None,
    per_base: Annotated[
        Path | None,
        typer.Option(
            "--per-base",
            metavar="FILE",
            help="Track of log p of each base: .bedgraph, also with .gz, .bw, .parquet or .npz.",
        ),
    ] = None,
    all_bases: Annotated[
        bool,
        typer.Option(
            "--all-bases",
            help="The track has log p of A, C, G and T; of bedGraph and bigWig it is four files.",
        ),
    ] = False,
    logo: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Figure of the first record or region, of 1,000 bases or less, as a sequence "
            "logo: .png, .svg or .pdf.",
        ),
    ] = None,
    annotation: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="GFF3 or GTF file whose features the figure shows."),
    ] = None,
    chrom_aliases: options.ChromAliases = None,
    settings: ScoreOptions,
    columns: options.Columns = None,
    set: options.Set = None,
    format: options.InputFormatOption = None,
    output_format: options.OutputFormat = None,
    loading: options.ModelOptions,
    overwrite: options.Overwrite = False,
) -> None:
    """Score sequences by their likelihood: nats, bits per base, perplexity.

    The probability of a base is exact: it is that of all k-mers which agree with it, given all
    bases before it, mixed over the phases of the k-mers. Lower case is read as upper case; k-mers
    with N are context only.
    """
    from dnagpt_hf.evaluation.figures import check_figure, save_figure
    from dnagpt_hf.genomes.fasta import open_genome
    from dnagpt_hf.likelihoods.figures import check_logo, logo_figure
    from dnagpt_hf.likelihoods.scores import record_parts, region_parts, score_part
    from dnagpt_hf.likelihoods.sequences import SequenceScorer
    from dnagpt_hf.likelihoods.settings import ScoreSettings
    from dnagpt_hf.likelihoods.tracks import track_format, track_writer
    from dnagpt_hf.records.writing import check_output, row_writer, table_format

    for option, needed, is_alone in (
        ("--all-bases", "--per-base", all_bases and per_base is None),
        ("--annotation", "--logo", annotation is not None and logo is None),
        ("--region", "no --bed", bool(region) and bed is not None),
        ("--chrom-aliases", "--bed or --region", chrom_aliases and not (bed or region)),
        ("--set", "records, without --bed and --region", set and (bed or region)),
    ):
        if is_alone:
            raise typer.BadParameter(f"{option} needs {needed}")
    chosen = ScoreSettings(**vars(settings))
    written_format = table_format(output, output_format)
    check_output(output, overwrite=overwrite)
    needs_lengths = per_base is not None and track_format(per_base) == "bigwig"
    if logo is not None:
        check_figure(logo, overwrite=overwrite)
    names: ContigNames | None = None
    parts: Iterable[SequencePart]
    with ExitStack() as stack:
        if bed is None and not region:
            records = options.RecordOptions(columns=columns, set=set, format=format)
            lengths = _record_lengths(records, input) if needs_lengths else None
            rows = stack.enter_context(records.read(input, "scoring"))
            parts = record_parts(rows, chosen.species)
        else:
            genome = open_genome(input, chrom_aliases=chrom_aliases)
            names = genome.names
            lengths = {name: len(contig) for name, contig in genome.contigs.items()}
            parts = region_parts(genome, bed or region or [])
        loaded = loading.load(model)
        scorer = SequenceScorer(loaded.model, loaded.tokenizer, chosen)
        write = stack.enter_context(row_writer(output, format=written_format, overwrite=overwrite))
        track: Any = None
        if per_base is not None:
            track = stack.enter_context(
                track_writer(per_base, all_bases=all_bases, lengths=lengths, overwrite=overwrite)
            )
        bar = stack.enter_context(counter("scoring", unit="bp", unit_scale=True))
        for part in parts:

            def on_block(block: BaseScores, contig: str = part.contig) -> None:
                if track is not None:
                    scores = block.log_probabilities
                    values = scores if all_bases else block.of_bases(scores)
                    track(contig, block.start, block.bases, values)
                bar.update(len(block.bases))

            if logo is not None:
                check_logo(part)
            found = score_part(scorer, part, per_base="all" if logo else None, on_block=on_block)
            write(found.row())
            if logo is not None:
                species = part.species or chosen.species
                title = ", ".join([model, *([f"species {species}"] if species else [])])
                drawn = logo_figure(found, title=title, annotation=annotation, names=names)
                save_figure(drawn, logo, overwrite=overwrite)
                logo = None


def _record_lengths(records: options.RecordOptions, input: str) -> dict[str, int]:
    """Read the lengths of all records, which a bigWig states before its values."""
    from dnagpt_hf.likelihoods.scores import record_parts

    if input == "-":
        raise ValueError("a bigWig needs the lengths of all records first: give a file, not -")
    with records.read(input, "reading lengths") as rows:
        return {part.contig: part.end for part in record_parts(rows)}
