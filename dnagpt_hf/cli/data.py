"""`dnagpt data`: tables of windows and genes, as tasks read them, to be looked at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer import Argument, Option

from dnagpt_hf.cli import options

if TYPE_CHECKING:
    from dnagpt_hf.annotation.genes import GeneTable
    from dnagpt_hf.annotation.site_windows import RegionWindows

Anchor = Literal["start", "centre", "tss", "tts", "tis", "stop", "donor", "acceptor"]
Genome = Annotated[
    Path, Argument(metavar="GENOME", help="FASTA, plain or compressed with gzip or bgzip.")
]


@dataclass(frozen=True)
class TableOptions:
    """Options of the commands that make a table of a genome."""

    edge: Annotated[
        Literal["drop", "pad", "error"],
        Option(help="Windows that leave their contig: left out, filled up with N, or an error."),
    ] = "drop"
    contig: Annotated[
        list[str] | None,
        Option(
            metavar="NAME",
            help="Contig to use, or NAME=NAME where the genome calls it otherwise, as chrX=X; may "
            "be repeated. By default all.",
        ),
    ] = None
    cache_folder: Annotated[
        Path | None,
        Option(
            metavar="FOLDER",
            help="Where the index and the unpacked genome are kept; by default beside the genome.",
        ),
    ] = None
    output: options.Output = "-"
    output_format: options.OutputFormat = None
    overwrite: options.Overwrite = False

    @property
    def genome(self) -> dict[str, Any]:
        """Arguments of the functions that cut windows; contig `chr1` stands for `chr1=chr1`."""
        pairs = [name if "=" in name else f"{name}={name}" for name in self.contig or []]
        contigs = options.parse_pairs("contig", pairs) or None
        return {"edge": self.edge, "contigs": contigs, "cache_folder": self.cache_folder}

    def write(self, records: RegionWindows | GeneTable) -> None:
        """Write the records, and their number and that of those left out to standard error."""
        from dnagpt_hf.annotation.site_windows import counted
        from dnagpt_hf.records.writing import row_writer

        form, overwrite = self.output_format, self.overwrite
        with row_writer(self.output, format=form, overwrite=overwrite) as write:
            for record in records:
                write(record.values)
        typer.echo(counted(records.counts), err=True)


data_app = typer.Typer(
    name="data", no_args_is_help=True, help="Make tables of windows and genes, as tasks read them."
)


@data_app.command()
@options.with_groups
def windows(
    regions: Annotated[
        Path, Argument(metavar="REGIONS", help="BED, GFF3 or GTF, plain or compressed.")
    ],
    genome: Genome,
    *,
    anchor: Annotated[
        Anchor,
        Option(
            help="Start or centre of a region or feature, an end of a transcript (tss, tts), the "
            "first or last codon of a coding sequence (tis, stop), or an end of an intron (donor, "
            "acceptor). All follow the strand."
        ),
    ],
    upstream: Annotated[int, Option(min=0, metavar="BASES", help="Bases before it.")],
    downstream: Annotated[
        int, Option(min=0, metavar="BASES", help="Bases behind it, or behind its own.")
    ],
    negatives: Annotated[
        list[str] | None,
        Option(
            metavar="MOTIF",
            help="Draw other places with this motif, such as ATG for tis, GT for donor; may be "
            "repeated. Sites without it are left out.",
        ),
    ] = None,
    per_site: Annotated[int, Option(min=1, help="How many are drawn for each site.")] = 1,
    within: Annotated[
        Literal["gene", "genome"] | None,
        Option(
            help="Where they are drawn: in the site's own gene, or on all contigs with sites. By "
            "default gene, and genome for BED."
        ),
    ] = None,
    seed: Annotated[int, Option(min=0, help="The same seed draws the same.")] = 0,
    feature: Annotated[
        str | None,
        Option(
            metavar="TYPE",
            help="Features of a GFF3 or GTF file whose start or centre is taken; by default gene.",
        ),
    ] = None,
    table: TableOptions,
) -> None:
    """Cut windows round sites of a genome, with real places without a site as negatives.

    The label is signal for sites and none for negatives. How many there are of each, and what was
    left out, is told on standard error.
    """
    from dnagpt_hf.annotation.negatives import Negatives
    from dnagpt_hf.annotation.site_windows import RegionWindows

    drawn = Negatives(negatives, per_site, seed, within) if negatives else None
    records = RegionWindows(
        regions,
        genome,
        anchor,
        upstream,
        downstream,
        feature=feature,
        negatives=drawn,
        **table.genome,
    )
    table.write(records)


@data_app.command()
@options.with_groups
def genes(
    annotation: Annotated[
        Path, Argument(metavar="ANNOTATION", help="GFF3 or GTF, plain or compressed.")
    ],
    genome: Genome,
    *,
    upstream: Annotated[
        int, Option(min=0, metavar="BASES", help="Bases of the promoter before the TSS.")
    ] = 7000,
    downstream: Annotated[
        int, Option(min=0, metavar="BASES", help="Bases of the promoter from the TSS on.")
    ] = 3500,
    expression: Annotated[
        Path | None, Option(metavar="TABLE", help="Table with the expression of each gene.")
    ] = None,
    target: Annotated[
        str | None, Option(metavar="COLUMN", help="Its column with the expression.")
    ] = None,
    id: Annotated[
        str, Option("--id", metavar="COLUMN", help="Its column with the names of genes.")
    ] = "gene_id",
    table: TableOptions,
) -> None:
    """Write the promoter, the eight half-life features and the expression of each gene.

    Columns are those of Xpresso's table; numbers are as they are, without logarithms. How many
    genes there are, and what was left out, is told on standard error.
    """
    from dnagpt_hf.annotation.genes import GeneTable

    records = GeneTable(
        annotation,
        genome,
        upstream,
        downstream,
        expression=expression,
        id=id,
        target=target,
        **table.genome,
    )
    table.write(records)
