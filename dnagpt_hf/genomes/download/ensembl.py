"""Genomes of Ensembl and Ensembl Genomes: their files and checksums."""

from __future__ import annotations

import re

from dnagpt_hf.genomes.download.checksums import parse_checksums
from dnagpt_hf.genomes.download.http import HttpClient
from dnagpt_hf.genomes.download.servers import RemoteFile
from dnagpt_hf.genomes.sources import EnsemblRelease

_COLLECTION = re.compile(r"(\w+_collection)_core_")
_SPECIES_COLUMN = 1


def ensembl_genome(source: EnsemblRelease, species: str, client: HttpClient) -> RemoteFile:
    """Find the file of a genome.

    Its folder has a file CHECKSUMS with the output of `sum` for each other one. The primary
    assembly is taken where it exists: in human and mouse, the top level also holds haplotypes and
    patches, each as a whole chromosome in which all else is N.

    Raises:
        ValueError: the folder has no such file, or there is no such species of bacteria.
        DownloadError: the server has no such folder, or does not answer.
    """
    folder = _folder(source, source.species or species.lower(), client)
    url = f"{folder}CHECKSUMS"
    checksums = parse_checksums(client.text(url), "sum", url)
    kinds = (source.file,) if source.file else ("primary_assembly", "toplevel")
    for kind in kinds:
        ending = f".dna.{kind}.fa.gz"
        names = [name for name in checksums if name.endswith(ending) and "/" not in name]
        if len(names) == 1:
            return RemoteFile(folder + names[0], names[0], checksums[names[0]])
    there = ", ".join(name for name in checksums if ".dna." in name and ".chromosome." not in name)
    raise ValueError(
        f"{folder} does not have one file *.dna.{' or *.dna.'.join(kinds)}.fa.gz, but "
        f"{there or 'none of that kind'}"
    )


def _folder(source: EnsemblRelease, species: str, client: HttpClient) -> str:
    release = f"release-{source.release}"
    if source.division == "vertebrates":
        return f"{client.servers.ensembl}/{release}/fasta/{species}/dna/"
    base = f"{client.servers.ensembl_genomes}/{source.division}/{release}"
    collection = source.collection
    if collection is None and source.division == "bacteria":
        collection = _collection(f"{base}/species_EnsemblBacteria.txt", species, client)
    inside = "" if collection is None else f"{collection}/"
    return f"{base}/fasta/{inside}{species}/dna/"


def _collection(url: str, species: str, client: HttpClient) -> str:
    """Look up the folder of a species of bacteria, of which each holds hundreds."""
    for line in client.text(url).splitlines():
        columns = line.split("\t")
        if len(columns) > _SPECIES_COLUMN and columns[_SPECIES_COLUMN] == species:
            # the column core_db; rows have more columns than the header
            found = next(filter(None, map(_COLLECTION.match, columns)), None)
            if found is not None:
                return found[1]
    raise ValueError(f"{url} has no species {species!r}: check its name and the release")
