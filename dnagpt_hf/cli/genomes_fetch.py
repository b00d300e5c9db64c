"""`dnagpt genomes fetch`: genomes from Ensembl, NCBI and other servers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dnagpt_hf.cli.progress import progress_bar
from dnagpt_hf.genomes.download.sources import Servers

if TYPE_CHECKING:
    from dnagpt_hf.genomes.download.fetch import Failure, Found
    from dnagpt_hf.genomes.download.http import Web
    from dnagpt_hf.genomes.download.requests import Wanted


def fetch(
    folder: Annotated[
        Path, typer.Option("--folder", metavar="GENOMES", help="Where the genomes are to stand.")
    ],
    manifest: Annotated[
        str | None,
        typer.Argument(
            metavar="MANIFEST|NAME",
            help="A manifest with sources, or the name of a ready one.",
            show_default=False,
        ),
    ] = None,
    accession: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ACCESSION",
            help="An assembly of NCBI, as GCF_000001405.40; without a version, the newest.",
            show_default=False,
        ),
    ] = None,
    accessions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Accessions, one in a line.", show_default=False),
    ] = None,
    taxon: Annotated[
        str | None,
        typer.Option(
            metavar="TAXON",
            help="Every reference genome of a taxon of NCBI: 40674 or mammals.",
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=16, help="Files fetched at a time.")] = 2,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show species, token, bytes and address only.")
    ] = False,
    ensembl_url: Annotated[
        str, typer.Option(metavar="URL", help="Ensembl or a mirror.")
    ] = Servers.ensembl,
    ensembl_genomes_url: Annotated[
        str, typer.Option(metavar="URL", help="Ensembl Genomes or a mirror.")
    ] = Servers.ensembl_genomes,
    ncbi_url: Annotated[
        str, typer.Option(metavar="URL", help="Assemblies of NCBI or a mirror.")
    ] = Servers.ncbi,
    datasets_url: Annotated[
        str, typer.Option(metavar="URL", help="NCBI Datasets, which lists taxa.")
    ] = Servers.datasets,
) -> None:
    """Fetch genomes and write a manifest of them, GENOMES/manifest.yaml.

    What is there already is kept, and what was interrupted goes on where it stopped when the same
    command is given again. Lengths and checksums are compared with those of the server.
    """
    from dnagpt_hf.genomes.download.fetch import find_genomes
    from dnagpt_hf.genomes.download.http import Web

    if manifest is None and not accession and accessions is None and taxon is None:
        raise typer.BadParameter("give a manifest, --accession, --accessions or --taxon")
    web = Web()
    servers = Servers(
        *(url.rstrip("/") for url in (ensembl_url, ensembl_genomes_url, ncbi_url, datasets_url))
    )
    with progress_bar("looking up", None) as report:
        wanted = _wanted(manifest, accession or [], accessions, taxon, web, servers)
        found, failures = find_genomes(
            wanted, folder, web=web, servers=servers, jobs=jobs, report=report
        )
    _tell(failures)
    if dry_run:
        _show(found)
    else:
        failures += _fetch(found, folder, web, jobs)
    if failures:
        names = ", ".join(failure.name for failure in failures)
        raise ValueError(
            f"{len(failures)} of {len(wanted)} genomes could not be fetched: {names}; what has "
            "arrived is kept, and the same command resumes"
        )


def _wanted(
    manifest: str | None,
    accession: list[str],
    accessions: Path | None,
    taxon: str | None,
    web: Web,
    servers: Servers,
) -> list[Wanted]:
    from dnagpt_hf.genomes.download import requests as wanted
    from dnagpt_hf.genomes.download.sources import TaxonSource
    from dnagpt_hf.genomes.manifest import load_manifest, manifest_path

    genomes = []
    if manifest is not None:
        species = load_manifest(manifest_path(manifest))
        genomes += wanted.wanted_species(species, web, servers)
    if accessions is not None:
        accession = [*accession, *wanted.read_accessions(accessions)]
    genomes += wanted.wanted_accessions(accession)
    if taxon is not None:
        genomes += wanted.wanted_taxon(TaxonSource(taxon), web, servers)
    return genomes


def _fetch(found: Sequence[Found], folder: Path, web: Web, jobs: int) -> list[Failure]:
    from dnagpt_hf.genomes.download.fetch import bytes_text, check_space, fetch_genomes
    from dnagpt_hf.genomes.download.manifest_entries import (
        NAME,
        folder_lock,
        merged_entries,
        update_manifest,
    )

    merged_entries(folder / NAME, found)
    check_space(found, folder)
    with folder_lock(folder):
        with progress_bar("fetching", None) as report:
            failures = fetch_genomes(found, web=web, jobs=jobs, report=report)
        _tell(failures)
        failed = {failure.name for failure in failures}
        arrived = [genome for genome in found if genome.name not in failed]
        if arrived:
            path = update_manifest(folder, arrived)
            size = bytes_text(sum(genome.path.stat().st_size for genome in arrived))
            typer.echo(f"{path}: {len(arrived)} genomes, {size}")
    return failures


def _show(found: Sequence[Found]) -> None:
    from dnagpt_hf.genomes.download.fetch import bytes_text

    for genome in found:
        size = "unknown" if genome.size is None else genome.size
        typer.echo(f"{genome.name}\t{genome.wanted.token}\t{size}\t{genome.remote.url}")
    total = bytes_text(sum(genome.size or 0 for genome in found))
    there = bytes_text(sum(genome.received for genome in found))
    typer.echo(f"dnagpt: {len(found)} genomes, {total}, of which {there} are there", err=True)


def _tell(failures: Sequence[Failure]) -> None:
    for failure in failures:
        typer.echo(f"dnagpt: {failure.name}: {' '.join(str(failure.error).split())}", err=True)
