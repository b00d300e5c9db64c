"""Which genomes to fetch, by accession, by taxon or by manifest, and what they will be called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnagpt_hf.genomes.download.http import Web
from dnagpt_hf.genomes.download.ncbi import ReferenceGenome, reference_genomes
from dnagpt_hf.genomes.download.sources import (
    AccessionSource,
    Servers,
    Source,
    SourceError,
    TaxonSource,
    check_accession,
    parse_source,
)

if TYPE_CHECKING:
    from dnagpt_hf.genomes.manifest import Manifest

OTHER_ORGANISMS = "<X>"
SETTINGS = ("leave_out", "held_out", "weight")


@dataclass(frozen=True)
class Wanted:
    """A genome to fetch.

    Args:
        source: where it comes from.
        fields: the same as a manifest states it.
        name: name of its species; by default that of the organism, as its source tells it.
        token: instruction token; by default that of the organism.
        settings: what else a manifest says of the species: `leave_out`, `held_out`, `weight`.
    """

    source: Source
    fields: Mapping[str, Any]
    name: str | None = None
    token: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What to call it before its name is known."""
        return self.name or ", ".join(map(str, self.fields.values()))


def wanted_accessions(accessions: Iterable[str]) -> list[Wanted]:
    """Genomes of NCBI by accession, each once.

    Raises:
        SourceError: one has another form.
    """
    return [
        Wanted(AccessionSource(check_accession(accession)), {"accession": accession})
        for accession in dict.fromkeys(accessions)
    ]


def read_accessions(path: Path) -> list[str]:
    """The accessions in a file: the first word of each line; what follows `#` is left out."""
    words = (
        line.partition("#")[0].split() for line in path.read_text(encoding="utf-8").split("\n")
    )
    return [line[0] for line in words if line]


def wanted_species(manifest: Manifest, web: Web, servers: Servers) -> list[Wanted]:
    """The genomes of a manifest.

    Raises:
        SourceError: a species has no source, or one that cannot be used.
        DownloadError: NCBI cannot be asked for those of a taxon.
    """
    wanted: list[Wanted] = []
    for entry in manifest.species:
        if entry.source is None:
            raise SourceError(
                f"{manifest.path}: {entry.name} has no source, so nothing says where to fetch it: "
                "add one, or leave the species to a manifest of its own"
            )
        try:
            source = parse_source(entry.source, entry.name)
        except SourceError as error:
            raise SourceError(f"{manifest.path}: {error}") from error
        stated = {name: getattr(entry, name) for name in SETTINGS}
        settings = {name: value for name, value in stated.items() if value not in (None, ())}
        if isinstance(source, TaxonSource):
            wanted += wanted_taxon(source, web, servers, other_token=entry.token, settings=settings)
        else:
            wanted.append(Wanted(source, entry.source, entry.name, entry.token, settings))
    return wanted


def wanted_taxon(
    source: TaxonSource,
    web: Web,
    servers: Servers,
    *,
    other_token: str = OTHER_ORGANISMS,
    settings: Mapping[str, Any] | None = None,
) -> list[Wanted]:
    """The reference genomes of a taxon.

    Args:
        other_token: the token of organisms that have none of their own.
        settings: what a manifest will say of each; a weight is divided among them.

    Raises:
        SourceError: there is none.
        DownloadError: NCBI cannot be asked.
    """
    genomes = reference_genomes(source.taxon, web, servers)
    return [
        Wanted(
            AccessionSource(genome.accession),
            {"accession": genome.accession},
            name=species_name(genome.organism),
            token=organism_token(genome.organism, other_token),
            settings={**(settings or {}), **weight},
        )
        for genome, weight in zip(genomes, _weights(genomes, settings or {}), strict=True)
    ]


def _weights(
    genomes: Sequence[ReferenceGenome], settings: Mapping[str, Any]
) -> list[dict[str, float]]:
    """The weight of a taxon, divided by the lengths of its genomes, or evenly if one is unknown."""
    if "weight" not in settings:
        return [{} for _ in genomes]
    bases = [genome.bases or 0 for genome in genomes]
    parts = bases if all(bases) else [1] * len(genomes)
    return [{"weight": settings["weight"] * part / sum(parts)} for part in parts]


def species_name(organism: str) -> str:
    """The name of an organism as a manifest has it.

    Example:

        >>> species_name("Canis lupus familiaris (dog)")
        'canis_lupus_familiaris'
    """
    words = re.findall(r"[a-z0-9.-]+", organism.partition("(")[0].lower())
    return "_".join(words) or "unknown"


def organism_token(organism: str, other: str = OTHER_ORGANISMS) -> str:
    """The instruction token of one of the nine species, also of its strains; `other` for the rest.

    Example:

        >>> organism_token("Escherichia coli str. K-12"), organism_token("Felis catus")
        ('<Q>', '<X>')
    """
    from dnagpt_hf.tokenization_dnagpt import SPECIES

    binomial = organism.replace("_", " ").lower().split()[:2]
    tokens = (token for token, name in SPECIES.items() if name.lower().split("_")[:2] == binomial)
    return next(tokens, other)
