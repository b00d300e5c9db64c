"""`dnagpt genomes`: downloading genomes, and checking a manifest of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dnagpt_hf.cli.genomes_fetch import fetch
from dnagpt_hf.cli.progress import progress_bar
from dnagpt_hf.messages import count, markdown_table

if TYPE_CHECKING:
    from dnagpt_hf.genomes.composition import SpeciesReport

# contigs that are named where they stand out
NAMED = 5

genomes_app = typer.Typer(
    name="genomes",
    no_args_is_help=True,
    help="Download genomes, and check what they hold.",
)
genomes_app.command()(fetch)


@genomes_app.command()
def check(
    manifest: Annotated[
        str, typer.Argument(metavar="MANIFEST", help="A manifest, as genomes/manifest.yaml.")
    ],
    cache_folder: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where indexes and unpacked files are kept; by default beside the genomes.",
            show_default=False,
        ),
    ] = None,
    window: Annotated[
        int, typer.Option(min=1, metavar="BASES", help="Contigs shorter than this are named.")
    ] = 3072,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read all genomes of a manifest once, and report their composition.

    Species of DNAGPT-M are compared with the base pairs that the paper counts for them.
    """
    from dnagpt_hf.genomes.composition import check_genomes
    from dnagpt_hf.genomes.manifest import load_manifest, manifest_path, open_species

    species = open_species(load_manifest(manifest_path(manifest)), cache_folder)
    total = sum(len(part) for one in species for part in (*one.training, *one.held_out))
    with progress_bar("reading", total) as bar:
        reports = check_genomes(species, bar)
    short = [
        [part.name for part in (*one.training, *one.held_out) if len(part) < window]
        for one in species
    ]
    if as_json:
        typer.echo(json.dumps(list(map(_entry, reports, short)), indent=2))
    else:
        typer.echo(_table(reports))
        for report, names in zip(reports, short, strict=True):
            _name_contigs(report.name, f"shorter than {window:,} bp", names)
            _name_contigs(report.name, "of nothing but N, not used", report.undetermined_parts)


def _entry(report: SpeciesReport, short: Sequence[str]) -> dict[str, Any]:
    undetermined = report.undetermined_parts
    return {
        **asdict(report),
        # JSON has no NaN
        "gc_content": None if isnan(report.gc_content) else report.gc_content,
        "undetermined_parts": len(undetermined),
        "undetermined_names": undetermined[:NAMED],
        "short_parts": len(short),
        "short_names": short[:NAMED],
    }


def _table(reports: Sequence[SpeciesReport]) -> str:
    columns = ("contigs", "bp", "N", "GC", "soft-masked", "training bp", "held-out bp")
    rows = [
        [
            report.name,
            report.token,
            f"{report.contigs:,}",
            f"{report.bases:,}",
            f"{report.undetermined / report.bases:.2%}",
            "" if isnan(report.gc_content) else f"{report.gc_content:.2%}",
            f"{report.soft_masked:.2%}",
            f"{report.training_bases:,}",
            f"{report.held_out_bases:,}",
            compared(report.bases, report.published_bases),
        ]
        for report in reports
    ]
    header = ["species", "token", *columns, "bp in the paper"]
    return markdown_table(header, rows, align="ll" + "r" * (len(columns) + 1))


def compared(bases: int, published: int | None) -> str:
    """Compare the number of bases of a genome with that in the paper.

    Example:

        >>> compared(10, 10), compared(12, 10), compared(8, 1000), compared(1, None)
        ('equal', '+2', '-992', '')
    """
    if published is None:
        return ""
    return "equal" if bases == published else f"{bases - published:+,}"


def _name_contigs(species: str, problem: str, names: Sequence[str]) -> None:
    if names:
        more = ", …" if len(names) > NAMED else ""
        number = count(len(names), "contig")
        typer.echo(f"{species}: {number} {problem}: {', '.join(names[:NAMED])}{more}")
