"""Where genomes come from: what a manifest says of it, and what is found there.

A source is a mapping with one of the keys `ensembl`, `accession`, `url` and `taxon`:

    {ensembl: {release: 110, species: homo_sapiens}}
    {accession: GCF_000001405.40}
    {url: https://example.org/genome.fa.gz, md5: 0123…}
    {taxon: 40674}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from dnagpt_hf.genomes.download.checksums import ALGORITHMS, Checksum

KINDS = ("ensembl", "accession", "url", "taxon")
DIVISIONS = ("vertebrates", "plants", "fungi", "metazoa", "protists", "bacteria")
PRIMARY, TOPLEVEL = "primary_assembly", "toplevel"
ACCESSION = re.compile(r"GC[AF]_\d{9}(\.\d+)?")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class SourceError(ValueError):
    """A source that cannot be used; the message names the species, the key and the value."""


@dataclass(frozen=True)
class Servers:
    """Addresses below which genomes are found; a mirror has others.

    Args:
        ensembl: vertebrates, and fly, worm and yeast.
        ensembl_genomes: plants, fungi, metazoa, protists and bacteria.
        ncbi: assemblies by their accessions.
        datasets: the interface that lists the assemblies of a taxon.
    """

    ensembl: str = "https://ftp.ensembl.org/pub"
    ensembl_genomes: str = "https://ftp.ensemblgenomes.ebi.ac.uk/pub"
    ncbi: str = "https://ftp.ncbi.nlm.nih.gov/genomes/all"
    datasets: str = "https://api.ncbi.nlm.nih.gov/datasets/v2"


@dataclass(frozen=True)
class EnsemblSource:
    """A genome of Ensembl or Ensembl Genomes.

    Args:
        release: of the site that has the division: Ensembl 110 goes with Ensembl Genomes 57.
        species: name of the folder, as `homo_sapiens`.
        division: one of `DIVISIONS`.
        collection: folder in which bacteria stand, as `bacteria_0_collection`; by default it is
            looked up.
        file: `"primary_assembly"` or `"toplevel"`; by default the first where there is one. The
            other holds haplotypes too, in human as chromosomes of N around a few thousand bases.
    """

    release: int
    species: str
    division: str = DIVISIONS[0]
    collection: str | None = None
    file: str | None = None


@dataclass(frozen=True)
class AccessionSource:
    """An assembly of NCBI, as `GCF_000001405.40`; without a version, the newest."""

    accession: str


@dataclass(frozen=True)
class AddressSource:
    """A file anywhere: its address, its name in the folder, and what it is compared with."""

    url: str
    file: str
    checksum: Checksum | None = None


@dataclass(frozen=True)
class TaxonSource:
    """Every reference genome of a taxon of NCBI, by number or name."""

    taxon: str


Source = EnsemblSource | AccessionSource | AddressSource | TaxonSource


@dataclass(frozen=True)
class RemoteGenome:
    """A genome file at its source.

    Args:
        url: its address.
        file: its name.
        checksum: what the source states.
        organism: name of the organism, if the source tells it.
        leave_out: records that are no part of the nuclear genome, or other versions of one that is.
        accession: the assembly with its version, if it is of NCBI.
    """

    url: str
    file: str
    checksum: Checksum | None = None
    organism: str | None = None
    leave_out: tuple[str, ...] = ()
    accession: str | None = None


def parse_source(fields: object, species: str) -> Source:
    """Read the source of a species of a manifest.

    Args:
        fields: the mapping, as it stands there.
        species: name of the species.

    Raises:
        SourceError: a key is missing, unknown or has an impossible value.

    Example:

        >>> parse_source({"ensembl": {"release": 110}}, "Homo_sapiens").species
        'homo_sapiens'
    """
    if not isinstance(fields, Mapping):
        raise SourceError(f"{species}: source is {fields!r}, not a mapping with one of {KINDS}")
    kinds = [kind for kind in KINDS if kind in fields]
    if len(kinds) != 1:
        raise SourceError(
            f"{species}: source has the keys {', '.join(map(str, fields)) or '(none)'}: give one "
            f"of {', '.join(KINDS)}"
        )
    readers: dict[str, Callable[[Mapping[str, Any], str], Source]] = {
        "ensembl": _ensembl,
        "accession": _accession,
        "url": _address,
        "taxon": _taxon,
    }
    return readers[kinds[0]](fields, species)


def check_accession(accession: str) -> str:
    """Return an accession of an assembly.

    Raises:
        SourceError: it has another form.
    """
    if not ACCESSION.fullmatch(accession):
        raise SourceError(
            f"{accession!r} is no accession of an assembly: it looks like GCF_000001405.40 or "
            "GCA_000001405"
        )
    return accession


def _ensembl(fields: Mapping[str, Any], species: str) -> EnsemblSource:
    _only(fields, ("ensembl",), species)
    inner = fields["ensembl"]
    if not isinstance(inner, Mapping):
        raise SourceError(f"{species}: ensembl is {inner!r}, not a mapping with release and so on")
    _only(inner, ("release", "species", "division", "collection", "file"), species)
    release = str(inner.get("release", ""))
    if not release.isdecimal():
        raise SourceError(f"{species}: the release of Ensembl is {release!r}, not a number")
    return EnsemblSource(
        int(release),
        _plain(inner.get("species", species).lower(), "species", species),
        _one_of(DIVISIONS, inner.get("division", DIVISIONS[0]), "division", species),
        _plain(inner.get("collection"), "collection", species),
        _one_of((PRIMARY, TOPLEVEL), inner.get("file"), "file", species),
    )


def _accession(fields: Mapping[str, Any], species: str) -> AccessionSource:
    _only(fields, ("accession",), species)
    try:
        return AccessionSource(check_accession(str(fields["accession"])))
    except SourceError as error:
        raise SourceError(f"{species}: {error}") from error


def _address(fields: Mapping[str, Any], species: str) -> AddressSource:
    _only(fields, ("url", "file", *ALGORITHMS), species)
    url = str(fields["url"])
    if urlsplit(url).scheme not in ("http", "https"):
        raise SourceError(f"{species}: {url!r} does not start with http:// or https://")
    stated = [(name, str(fields[name])) for name in ALGORITHMS if name in fields]
    try:
        checksums = [Checksum(name, value) for name, value in stated]
    except ValueError as error:
        raise SourceError(f"{species}: {error}") from error
    if len(checksums) > 1:
        raise SourceError(f"{species}: give one of {', '.join(ALGORITHMS)}, not several")
    name = fields.get("file", PurePosixPath(unquote(urlsplit(url).path)).name)
    file = _plain(name, "file", species)
    return AddressSource(url, file, checksums[0] if checksums else None)


def _taxon(fields: Mapping[str, Any], species: str) -> TaxonSource:
    _only(fields, ("taxon",), species)
    taxon = str(fields["taxon"]).strip()
    if not taxon:
        raise SourceError(f"{species}: taxon is empty: give its number or its name")
    return TaxonSource(taxon)


def _only(fields: Mapping[str, Any], allowed: tuple[str, ...], species: str) -> None:
    for key in fields:
        if key not in allowed:
            raise SourceError(
                f"{species}: source has an unknown key {key!r} beside {allowed[0]}: it may have "
                f"{', '.join(allowed)}"
            )


def _plain(value: Any, key: str, species: str) -> Any:
    """A name that leads to no other folder; None stays None."""
    if value is not None and not (isinstance(value, str) and _PLAIN.fullmatch(value)):
        raise SourceError(
            f"{species}: {key} {value!r} is no plain name of letters, digits, '_', '.' and '-'"
        )
    return value


def _one_of(allowed: tuple[str, ...], value: Any, key: str, species: str) -> Any:
    if value is not None and value not in allowed:
        raise SourceError(f"{species}: {key} {value!r} is not one of {', '.join(allowed)}")
    return value
