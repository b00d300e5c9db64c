"""Genomes to fetch: requested by accession, taxon or manifest, and located at their source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dnagpt_hf.genomes.download.http import HttpClient
from dnagpt_hf.genomes.download.ncbi import reference_genomes
from dnagpt_hf.genomes.download.servers import RemoteFile
from dnagpt_hf.genomes.download.transfer import partial_path
from dnagpt_hf.genomes.manifest import Manifest, load_manifest, manifest_path
from dnagpt_hf.genomes.sources import (
    AccessionSource,
    AddressSource,
    EnsemblSource,
    TaxonSource,
    check_accession,
)

OTHER_ORGANISMS = "<X>"


@dataclass(frozen=True)
class GenomeRequest:
    """A genome to fetch.

    Args:
        source: source of the genome.
        entry: values of its entry in a manifest: `name` and `token`, by default those of the
            organism, which its source tells; `leave_out`, `held_out` and `weight`.
    """

    source: EnsemblSource | AccessionSource | AddressSource
    entry: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the species or, where it is not known yet, the source."""
        return self.entry.get("name") or ", ".join(map(str, self.source.model_dump().values()))


@dataclass(frozen=True)
class LocatedGenome:
    """A genome at its source, and its place in the folder.

    Args:
        entry: its entry in the manifest of the folder.
        remote: the file at its source.
        path: the file in the folder.
        size: length of the file in bytes, if the server states it.
    """

    entry: dict[str, Any]
    remote: RemoteFile
    path: Path
    size: int | None

    @property
    def name(self) -> str:
        """Name of the species."""
        return str(self.entry["name"])

    @property
    def received(self) -> int:
        """Number of bytes that are in the folder already."""
        places = (self.path, partial_path(self.path))
        return next((place.stat().st_size for place in places if place.exists()), 0)


def find_requests(
    client: HttpClient,
    manifest: str | Path | None = None,
    accessions: Iterable[str] = (),
    accession_file: Path | None = None,
    taxon: str | None = None,
) -> list[GenomeRequest]:
    """Request genomes by all that names them; each accession once.

    Args:
        client: client for the requests.
        manifest: a manifest whose species have sources, or the name of a ready one.
        accessions: assemblies of NCBI.
        accession_file: a file with one in a line, before any `#`.
        taxon: number or name of a taxon of NCBI, of which all reference genomes are requested.

    Raises:
        ValueError: a species has no source, an accession has another form, or a file cannot be
            read.
        DownloadError: NCBI does not answer about the genomes of a taxon.
    """
    found = []
    if manifest is not None:
        found += manifest_requests(load_manifest(manifest_path(manifest)), client)
    names = list(accessions)
    if accession_file is not None:
        lines = accession_file.read_text("utf-8-sig").splitlines()
        names += [words[0] for line in lines if (words := line.partition("#")[0].split())]
    for name in dict.fromkeys(names):
        found.append(GenomeRequest(AccessionSource(accession=check_accession(name))))
    return found if taxon is None else found + taxon_requests(taxon, client)


def manifest_requests(manifest: Manifest, client: HttpClient) -> list[GenomeRequest]:
    """Request the genomes of a manifest.

    Raises:
        ValueError: a species has no source.
        DownloadError: NCBI does not answer about the genomes of a taxon.
    """
    requests: list[GenomeRequest] = []
    for entry in manifest.species:
        if entry.source is None:
            raise ValueError(
                f"{manifest.path}: species {entry.name} has no source from which it can be fetched:"
                " add one, or leave the species to a manifest of its own"
            )
        stated = entry.model_dump(mode="json", exclude={"files", "source"}, exclude_defaults=True)
        if isinstance(entry.source, TaxonSource):
            requests += taxon_requests(entry.source.taxon, client, stated)
        else:
            requests.append(GenomeRequest(entry.source, stated))
    return requests


def taxon_requests(
    taxon: str, client: HttpClient, entry: Mapping[str, Any] | None = None
) -> list[GenomeRequest]:
    """Request the reference genomes of a taxon.

    Args:
        taxon: number or name of the taxon.
        client: client for the requests.
        entry: values of the entry of each species. The token is that of organisms that have none
            of their own; a weight is divided among the species by the lengths of their genomes, or
            evenly if one is unknown.

    Raises:
        ValueError: the taxon has none.
        DownloadError: NCBI does not answer.
    """
    genomes = reference_genomes(taxon, client)
    bases = [genome.bases or 0 for genome in genomes]
    shares = bases if all(bases) else [1] * len(genomes)
    requests = []
    for genome, share in zip(genomes, shares, strict=True):
        own = {"token": OTHER_ORGANISMS, **(entry or {}), "name": species_name(genome.organism)}
        own["token"] = organism_token(genome.organism, own["token"])
        if "weight" in own:
            own["weight"] *= share / sum(shares)
        requests.append(GenomeRequest(AccessionSource(accession=genome.accession), own))
    return requests


def species_name(organism: str) -> str:
    """Write the name of an organism as manifests do.

    Example:

        >>> species_name("Canis lupus familiaris (dog)")
        'canis_lupus_familiaris'
    """
    words = re.findall(r"[a-z0-9.-]+", organism.partition("(")[0].lower())
    return "_".join(words) or "unknown"


def organism_token(organism: str, other: str = OTHER_ORGANISMS) -> str:
    """Find the instruction token of one of the nine species, also of its strains; else `other`.

    Example:

        >>> organism_token("Escherichia coli str. K-12"), organism_token("Felis catus")
        ('<Q>', '<X>')
    """
    from dnagpt_hf.tokenization_dnagpt import SPECIES

    binomial = organism.replace("_", " ").lower().split()[:2]
    tokens = (token for token, name in SPECIES.items() if name.lower().split("_")[:2] == binomial)
    return next(tokens, other)
