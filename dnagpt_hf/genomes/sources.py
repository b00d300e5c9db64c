"""Sources of genomes, as a manifest states them.

{ensembl: {release: 110, species: homo_sapiens}}
{accession: GCF_000001405.40}
{url: https://example.org/genome.fa.gz, md5: 0123…}
{taxon: 40674}
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)

from dnagpt_hf.genomes.download.checksums import ALGORITHMS, Checksum
from dnagpt_hf.yaml_files import Settings

_ACCESSION = re.compile(r"GC[AF]_\d{9}(\.\d+)?")
_KINDS = ("ensembl", "accession", "url", "taxon")
# names that lead to no other folder
_PLAIN_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
PlainName = Annotated[str, StringConstraints(pattern=_PLAIN_NAME)]


def check_accession(accession: str) -> str:
    """Return the accession of an assembly if it has the form of one.

    Raises:
        ValueError: the accession has another form.
    """
    if not _ACCESSION.fullmatch(accession):
        raise ValueError(
            f"{accession!r} is not the accession of an assembly, which looks like GCF_000001405.40 "
            "or GCA_000001405"
        )
    return accession


Accession = Annotated[str, AfterValidator(check_accession)]


class EnsemblRelease(Settings):
    """A genome in a release of Ensembl or Ensembl Genomes.

    Args:
        release: release of the site: Ensembl 110 goes with Ensembl Genomes 57.
        species: name of the folder, as `homo_sapiens`; by default that of the manifest's entry.
        division: group of species; `vertebrates` also has fly, worm and yeast.
        collection: folder that holds bacteria, as `bacteria_0_collection`; looked up by default.
        file: by default `primary_assembly` where it exists. In human and mouse, `toplevel` also
            holds haplotypes and patches, each a chromosome of N around a few thousand bases.
    """

    release: int = Field(strict=False, gt=0)
    species: PlainName | None = None
    division: Literal["vertebrates", "plants", "fungi", "metazoa", "protists", "bacteria"] = (
        "vertebrates"
    )
    collection: PlainName | None = None
    file: Literal["primary_assembly", "toplevel"] | None = None


class EnsemblSource(Settings):
    """A genome of Ensembl or Ensembl Genomes."""

    ensembl: EnsemblRelease


class AccessionSource(Settings):
    """An assembly of NCBI, as `GCF_000001405.40`; without a version, the newest."""

    accession: Accession


class AddressSource(Settings):
    """A file at any address, with its name in the folder and at most one published checksum."""

    url: Annotated[str, StringConstraints(pattern="^https?://")]
    file: PlainName | None = None
    md5: str | None = None
    sha256: str | None = None
    sum: str | None = None

    @property
    def file_name(self) -> str:
        """Name of the file in the folder of genomes."""
        return self.file or PurePosixPath(unquote(urlsplit(self.url).path)).name

    @property
    def checksum(self) -> Checksum | None:
        """The published checksum, if one is stated."""
        stated = [(name, getattr(self, name)) for name in ALGORITHMS]
        return next((Checksum(name, value) for name, value in stated if value is not None), None)

    @model_validator(mode="after")
    def _check(self) -> AddressSource:
        if not re.match(_PLAIN_NAME, self.file_name):
            raise ValueError(f"{self.url} ends in no name of a file: state one, as file: genome.fa")
        if len(self.model_fields_set.intersection(ALGORITHMS)) > 1:
            raise ValueError(f"give one of {', '.join(ALGORITHMS)}, not several")
        _ = self.checksum
        return self


class TaxonSource(Settings):
    """Every reference genome of a taxon of NCBI, by number or name."""

    taxon: Annotated[
        str, StringConstraints(min_length=1, strip_whitespace=True), BeforeValidator(str)
    ]


def _kind(source: Any) -> str | None:
    stated = [kind for kind in _KINDS if kind in source] if isinstance(source, dict) else []
    # other words than the keys, from which error messages tell them apart
    return f"{stated[0]} source" if len(stated) == 1 else None


Source = Annotated[
    Annotated[EnsemblSource, Tag("ensembl source")]
    | Annotated[AccessionSource, Tag("accession source")]
    | Annotated[AddressSource, Tag("url source")]
    | Annotated[TaxonSource, Tag("taxon source")],
    Discriminator(
        _kind,
        custom_error_type="source",
        custom_error_message=f"give one of {', '.join(_KINDS)}",
    ),
]
