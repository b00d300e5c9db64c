"""Genome assemblies of NCBI: their files by accession, and the reference genomes of a taxon."""

from __future__ import annotations

import json
import re
from urllib.parse import quote, unquote

from pydantic import AliasPath, BaseModel, Field

from dnagpt_hf.genomes.download.checksums import parse_checksums
from dnagpt_hf.genomes.download.http import HttpClient, MissingError
from dnagpt_hf.genomes.download.servers import RemoteFile
from dnagpt_hf.genomes.sources import Accession, check_accession
from dnagpt_hf.yaml_files import validated

PAGE_SIZE = 500
# roles of records that repeat a part of the primary assembly in another version
_OTHER_VERSIONS = ("alt-scaffold", "fix-patch", "novel-patch")
_ORGANELLES = "non-nuclear"
_VERSION = re.compile(r"(GC[AF]_\d{9})\.(\d+)_.*")
_ORGANISM = re.compile(r"#\s*Organism name:\s*(.*?)\s*(\([^()]*\))?\s*")
_LINK = re.compile(r"""<a\s[^>]*href\s*=\s*["']([^"']+)["']""", re.IGNORECASE)


class ReferenceGenome(BaseModel):
    """A reference genome in NCBI's list.

    Args:
        accession: accession of the assembly.
        organism: name of the organism.
        bases: number of base pairs, if NCBI states it.
        paired_accession: accession of the same assembly in the other archive.
    """

    accession: Accession
    organism: str = Field(validation_alias=AliasPath("organism", "organism_name"))
    bases: int | None = Field(
        None, validation_alias=AliasPath("assembly_stats", "total_sequence_length")
    )
    paired_accession: str | None = None


class _Page(BaseModel):
    reports: list[ReferenceGenome] = []
    next_page_token: str = ""


def ncbi_genome(accession: str, client: HttpClient) -> RemoteFile:
    """Find the file of an assembly, its organism, and the records to leave out.

    Left out are organelles, alternative loci and patches.

    Raises:
        ValueError: there is no such assembly or version.
        DownloadError: the server does not answer.
    """
    folder, name = _folder(accession, client)
    file = f"{name}_genomic.fna.gz"
    url = f"{folder}md5checksums.txt"
    checksums = parse_checksums(client.text(url), "md5", url)
    if file not in checksums:
        raise ValueError(f"{url} has no file {file}: choose another assembly")
    try:
        report = client.text(f"{folder}{name}_assembly_report.txt")
    except MissingError:
        report = ""
    organism, leave_out = parse_report(report, refseq=name.startswith("GCF"))
    exact = "_".join(name.split("_")[:2])
    return RemoteFile(folder + quote(file), file, checksums[file], organism, leave_out, exact)


def reference_genomes(taxon: str, client: HttpClient) -> list[ReferenceGenome]:
    """List the reference genomes of a taxon, one for each species that has one.

    Raises:
        ValueError: there is none, or the answer is not a list of assemblies.
        DownloadError: the server does not answer.
    """
    url = f"{client.servers.datasets}/genome/taxon/{quote(taxon, safe='')}/dataset_report"
    parameters = {
        "filters.reference_only": "true",
        "filters.exclude_paired_reports": "true",
        "filters.assembly_version": "current",
        "page_size": str(PAGE_SIZE),
    }
    genomes: dict[str, ReferenceGenome] = {}
    while parameters.get("page_token") != "":
        try:
            page = validated(_Page, json.loads(client.text(url, parameters)), url)
        except json.JSONDecodeError as error:
            raise ValueError(f"{url}: the answer is not a list of assemblies ({error})") from error
        genomes.update((genome.accession, genome) for genome in page.reports)
        parameters["page_token"] = page.next_page_token
    if not genomes:
        raise ValueError(f"NCBI lists no reference genome for the taxon {taxon!r}: check its name")
    # an assembly may be there twice, under the accessions of RefSeq and of GenBank
    return [
        genome
        for genome in genomes.values()
        if genome.accession.startswith("GCF_") or genome.paired_accession not in genomes
    ]


def parse_report(text: str, *, refseq: bool) -> tuple[str | None, tuple[str, ...]]:
    """Read the organism and the records to leave out from an assembly report.

    Args:
        text: the report.
        refseq: whether records have their names from RefSeq; otherwise from GenBank.

    Example:

        >>> row = "MT assembled-molecule MT Mitochondrion J01415.2 = NC_012920.1 non-nuclear 16569"
        >>> report = "# Organism name:  Homo sapiens (human)\\n" + row.replace(" ", "\\t")
        >>> parse_report(report, refseq=True)
        ('Homo sapiens', ('NC_012920.1',))
    """
    organism = None
    leave_out = []
    for line in text.splitlines():
        columns = line.split("\t")
        if found := _ORGANISM.fullmatch(line):
            organism = found[1]
        elif len(columns) >= 8 and not line.startswith("#"):
            _, role, _, _, genbank, _, name, unit = columns[:8]
            record = name if refseq else genbank
            # a record that only the other archive has is not in this file
            if record != "na" and (role in _OTHER_VERSIONS or unit == _ORGANELLES):
                leave_out.append(record)
    return organism or None, tuple(leave_out)


def _folder(accession: str, client: HttpClient) -> tuple[str, str]:
    """Find address and name of an assembly's folder, of its newest version by default."""
    prefix, _, stated = check_accession(accession).partition(".")
    parts = "/".join([prefix[:3], prefix[4:7], prefix[7:10], prefix[10:13]])
    url = f"{client.servers.ncbi}/{parts}/"
    try:
        listing = client.text(url)
    except MissingError as error:
        raise ValueError(f"NCBI has no assembly {accession}: {url} is not there") from error
    versions = {
        int(found[2]): name
        for name in links(listing)
        if (found := _VERSION.fullmatch(name)) and found[1] == prefix
    }
    version = int(stated) if stated else max(versions, default=0)
    if version not in versions:
        known = ", ".join(f"{prefix}.{number}" for number in sorted(versions)) or "none"
        raise ValueError(f"NCBI has no assembly {accession}: its versions at {url} are {known}")
    return f"{url}{quote(versions[version])}/", versions[version]


def links(page: str) -> list[str]:
    """List the files and folders to which an index page of a web server links.

    Example:

        >>> links('<a href="../">up</a> <a href="GCF_1/">GCF_1/</a> <a href="a%20b">a b</a>')
        ['GCF_1', 'a b']
    """
    names = [unquote(target.rstrip("/").rpartition("/")[2]) for target in _LINK.findall(page)]
    return [name for name in names if name not in ("", ".", "..")]
