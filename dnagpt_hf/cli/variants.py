"""`dnagpt variants`: scores of the variants of a file, or of all of a region."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dnagpt_hf.cli import options
from dnagpt_hf.cli.running import counter

if TYPE_CHECKING:
    from dnagpt_hf.variants.records import VariantFile


def variants(
    model: options.Model,
    file: Annotated[
        str,
        typer.Argument(
            metavar="VARIANTS",
            help="VCF, BCF, or a table with columns chrom, pos, ref and alt, plain or compressed; "
            "- is standard input. Left out with --saturate.",
        ),
    ],
    fasta: Annotated[
        Path | None, typer.Argument(metavar="FASTA", help="The genome, plain or compressed.")
    ] = None,
    *,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help=".vcf, .vcf.gz, .bcf, .tsv, .csv, .jsonl or .parquet; - is standard output.",
        ),
    ],
    species: Annotated[
        str | None,
        typer.Option(metavar="LETTER", help="Species token in front, such as R for human."),
    ] = None,
    window: Annotated[int, typer.Option(min=1, help="Bases that the model reads.")] = 1200,
    stride: Annotated[int, typer.Option(min=1, help="Bases between starts of windows.")] = 300,
    right: Annotated[int, typer.Option(min=0, help="Bases scored behind a variant.")] = 180,
    phases: Annotated[
        Literal["all", "first"], typer.Option(help="Mean over all phases of the k-mers, or one.")
    ] = "all",
    strand: Annotated[
        Literal["both", "forward"], typer.Option(help="Mean of both strands, or one.")
    ] = "both",
    mode: Annotated[
        Literal["full", "site"] | None,
        typer.Option(
            help="full: haplotypes, with the bases behind the variant, as DNAGPT_LLR. site: single "
            "bases alone, given those before them, as DNAGPT_SITE. By default full, and site with "
            "--saturate."
        ),
    ] = None,
    site: Annotated[
        bool,
        typer.Option(
            "--site", help="Both: mode full, with DNAGPT_SITE of single bases beside DNAGPT_LLR."
        ),
    ] = False,
    saturate: Annotated[
        str | None,
        typer.Option(
            metavar="REGION",
            help="In place of a file: all alternatives of every base, as in chr1:1,001-1,200.",
        ),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Heat map of --saturate: .png, .svg or .pdf."),
    ] = None,
    chrom_aliases: options.ChromAliases = None,
    max_mismatches: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of records that may have another REF.")
    ] = 0.1,
    columns: options.Columns = None,
    format: Annotated[
        Literal["csv", "tsv", "jsonl", "parquet"] | None,
        typer.Option(help="Format of a table. By default its name or its first line tells."),
    ] = None,
    output_format: Annotated[
        Literal["vcf", "vcf.gz", "bcf", "tsv", "csv", "jsonl", "parquet"] | None,
        typer.Option(help="By default the ending of the output tells."),
    ] = None,
    loading: options.ModelOptions,
    overwrite: options.Overwrite = False,
) -> None:
    """Score variants: log p(ALT) - log p(REF) in nats, negative where ALT is less likely.

    All records are written, unchanged and in their order, with DNAGPT_LLR, or DNAGPT_NOTE for an
    allele without a score. A summary is printed on standard error.
    """
    if (saturate is None) == (fasta is None):
        raise typer.BadParameter("give VARIANTS and FASTA, or FASTA and --saturate REGION")
    if figure is not None and saturate is None:
        raise typer.BadParameter("--figure needs --saturate")
    if site and mode == "site":
        raise typer.BadParameter("--mode site has DNAGPT_SITE alone: leave out --site or --mode")
    from dnagpt_hf.checkpoints.opening import open_checkpoint
    from dnagpt_hf.evaluation.figures import check_figure, save_figure
    from dnagpt_hf.genomes.fasta import open_genome
    from dnagpt_hf.likelihoods.figures import saturation_figure
    from dnagpt_hf.likelihoods.settings import VariantSettings
    from dnagpt_hf.variants.annotation import check_assembly, score_records, write_scores
    from dnagpt_hf.variants.files import choose_format, open_variants
    from dnagpt_hf.variants.records import Fields
    from dnagpt_hf.variants.saturation import RegionVariants, Watched
    from dnagpt_hf.variants.writing import check_output

    mode = mode or ("full" if saturate is None or site else "site")
    settings = VariantSettings(species, window, stride, right, phases, strand, mode)
    if figure is not None:
        check_figure(figure, overwrite=overwrite)
    checkpoint = open_checkpoint(model)
    genome = open_genome(file if fasta is None else fasta, chrom_aliases=chrom_aliases)
    with ExitStack() as stack:
        watched = None
        if saturate is not None:
            region = RegionVariants(genome, saturate)
            read: VariantFile = region
            watched = Watched(region, mode) if figure is not None else None
        else:
            renamed = options.parse_pairs("columns", columns)
            read = stack.enter_context(open_variants(file, format=format, columns=renamed))
        written_format = choose_format(output, read, output_format)
        check_output(output, written_format, overwrite=overwrite)
        with counter("checking references", unit="record") as bar:
            contents = check_assembly(read, genome, max_mismatches, bar.update)
        loaded = loading.load(checkpoint)
        source = f"{checkpoint.source}; revision {checkpoint.revision}"
        fields = Fields(mode == "full", site or mode == "site", source, settings)
        with counter("scoring", total=contents.alleles, unit="allele") as bar:
            scored = score_records(
                loaded.model, loaded.tokenizer, genome, read, settings, bar.update
            )
            if watched is not None:
                scored = watched.watch(scored)
            summary = write_scores(
                scored, output, written_format, read, contents, fields, overwrite=overwrite
            )
    if watched is not None and figure is not None:
        title = ", ".join([checkpoint.source, *([f"species {species}"] if species else [])])
        drawn = saturation_figure(watched.found, title=title)
        save_figure(drawn, figure, overwrite=overwrite)
    typer.echo(f"dnagpt: {summary}", err=True)
