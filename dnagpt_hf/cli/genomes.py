"""`dnagpt genomes`: downloading genomes, and checking a manifest of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from dnagpt_hf.cli.running import counter, size_text
from dnagpt_hf.genomes.download.servers import Servers
from dnagpt_hf.messages import count, markdown_table, on_one_line

if TYPE_CHECKING:
    from dnagpt_hf.genomes.composition import SpeciesReport
    from dnagpt_hf.genomes.download.fetch import FailedDownload
    from dnagpt_hf.genomes.download.requests import LocatedGenome

# contigs that are named where they stand out
NAMED = 5

genomes_app = typer.Typer(
    name="genomes", no_args_is_help=True, help="Download genomes, and check what they hold."
)


@genomes_app.command()
def fetch(
    folder: Annotated[Path, Option("--folder", metavar="GENOMES", help="Folder of the genomes.")],
    manifest: Annotated[
        str | None,
        Argument(
            metavar="MANIFEST|NAME", help="A manifest with sources, or the name of a ready one."
        ),
    ] = None,
    accession: Annotated[
        list[str] | None,
        Option(
            metavar="ACCESSION",
            help="An assembly of NCBI, as GCF_000001405.40; without a version, the newest.",
        ),
    ] = None,
    accessions: Annotated[
        Path | None, Option(metavar="FILE", help="Accessions, one in a line.")
    ] = None,
    taxon: Annotated[
        str | None,
        Option(
            metavar="TAXON", help="Every reference genome of a taxon of NCBI: 40674 or mammals."
        ),
    ] = None,
    jobs: Annotated[int, Option(min=1, max=16, help="Files fetched at a time.")] = 2,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Show species, token, bytes and address only.")
    ] = False,
    ensembl_url: Annotated[
        str, Option(metavar="URL", help="Ensembl or a mirror.")
    ] = Servers.ensembl,
    ensembl_genomes_url: Annotated[
        str, Option(metavar="URL", help="Ensembl Genomes or a mirror.")
    ] = Servers.ensembl_genomes,
    ncbi_url: Annotated[
        str, Option(metavar="URL", help="Assemblies of NCBI or a mirror.")
    ] = Servers.ncbi,
    datasets_url: Annotated[
        str, Option(metavar="URL", help="NCBI Datasets, which lists taxa.")
    ] = Servers.datasets,
) -> None:
    """Fetch genomes and write a manifest of them, GENOMES/manifest.yaml.

    Complete files are kept, and the same command resumes an interrupted one. Lengths and
    checksums are compared with those of the server.
    """
    from dnagpt_hf.genomes.download.fetch import GenomeFolder
    from dnagpt_hf.genomes.download.http import HttpClient
    from dnagpt_hf.genomes.download.requests import find_requests

    if manifest is None and not accession and accessions is None and taxon is None:
        raise typer.BadParameter("give a manifest, --accession, --accessions or --taxon")
    urls = (ensembl_url, ensembl_genomes_url, ncbi_url, datasets_url)
    client = HttpClient(Servers(*(url.rstrip("/") for url in urls)))
    requests = find_requests(client, manifest, accession or [], accessions, taxon)
    target = GenomeFolder(folder, client, jobs)
    with counter("looking up", total=len(requests)) as bar:
        genomes = target.locate(requests, bar.update)
    unknown = len(target.failures)
    _report(target.failures)
    total, there = sum(genome.size or 0 for genome in genomes), _received(genomes)
    if dry_run:
        for one in genomes:
            size = "unknown" if one.size is None else one.size
            typer.echo(f"{one.name}\t{one.entry['token']}\t{size}\t{one.remote.url}")
        number, sizes = count(len(genomes), "genome"), (size_text(total), size_text(there))
        typer.echo(f"dnagpt: {number}, {sizes[0]}, of which {sizes[1]} are there", err=True)
    else:
        with counter("fetching", total=total, initial=there, unit="B", unit_scale=True) as bar:
            arrived = target.fetch(genomes, bar.update)
        _report(target.failures[unknown:])
        if arrived:
            size = size_text(_received(arrived))
            typer.echo(f"{folder / 'manifest.yaml'}: {count(len(arrived), 'genome')}, {size}")
    if target.failures:
        names = ", ".join(failure.name for failure in target.failures)
        raise ValueError(
            f"{len(target.failures)} of {len(requests)} genomes could not be fetched: {names}; "
            "complete and partial files are kept, and the same command resumes"
        )


def _received(genomes: Sequence[LocatedGenome]) -> int:
    return sum(genome.received for genome in genomes)


def _report(failures: Sequence[FailedDownload]) -> None:
    for failure in failures:
        typer.echo(f"dnagpt: {failure.name}: {on_one_line(failure.error)}", err=True)


@genomes_app.command()
def check(
    manifest: Annotated[
        str, Argument(metavar="MANIFEST", help="A manifest, as genomes/manifest.yaml.")
    ],
    cache_folder: Annotated[
        Path | None,
        Option(
            metavar="FOLDER",
            help="Where indexes and unpacked files are kept; by default beside the genomes.",
        ),
    ] = None,
    window: Annotated[
        int, Option(min=1, metavar="BASES", help="Contigs shorter than this are named.")
    ] = 3072,
    as_json: Annotated[bool, Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read all genomes of a manifest once, and report their composition.

    Species of DNAGPT-M are compared with the base pairs that the paper counts for them.
    """
    from dnagpt_hf.genomes.composition import check_genomes
    from dnagpt_hf.genomes.manifest import load_manifest, manifest_path, open_species

    species = open_species(load_manifest(manifest_path(manifest)), cache_folder)
    total = sum(len(part) for one in species for part in (*one.training, *one.held_out))
    with counter("reading", total=total, unit="bp", unit_scale=True) as bar:
        reports = check_genomes(species, bar.update)
    short = [
        [part.name for part in (*one.training, *one.held_out) if len(part) < window]
        for one in species
    ]
    if as_json:
        typer.echo(json.dumps(list(map(_entry, reports, short)), indent=2))
    else:
        typer.echo(_table(reports))
        if any(one.published_bases not in (None, one.bases) for one in reports):
            typer.echo(
                "The paper counts assemblies of Ensembl, without the mitochondrion of most "
                "species: another assembly, or contigs that the manifest leaves out, make the "
                "difference. Held-out parts are counted here."
            )
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
