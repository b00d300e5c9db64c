"""Genomes of Ensembl and Ensembl Genomes: which file, and with which checksum."""

from __future__ import annotations

import re

from dnagpt_hf.genomes.download.checksums import Checksum
from dnagpt_hf.genomes.download.http import Web
from dnagpt_hf.genomes.download.sources import (
    PRIMARY,
    TOPLEVEL,
    EnsemblSource,
    RemoteGenome,
    Servers,
    SourceError,
)

CHECKSUMS = "CHECKSUMS"
_COLLECTION = re.compile(r"(\w+_collection)_core_")
_SPECIES_COLUMN = 1


def ensembl_genome(source: EnsemblSource, web: Web, servers: Servers) -> RemoteGenome:
    """Find the file of a genome.

    Its folder has a file CHECKSUMS with what `sum` prints of each other one. The primary assembly
    is taken where there is one: in human and mouse, the top level also holds haplotypes and
    patches, each as a whole chromosome in which all else is N.

    Raises:
        SourceError: the folder has no such file, or there is no such species of bacteria.
        DownloadError: the server has no such folder, or cannot be asked.
    """
    folder = _folder(source, web, servers)
    checksums = parse_checksums(web.text(folder + CHECKSUMS), folder + CHECKSUMS)
    kinds = (PRIMARY, TOPLEVEL) if source.file is None else (source.file,)
    for kind in kinds:
        names = [name for name in checksums if name.endswith(f".dna.{kind}.fa.gz")]
        if len(names) == 1:
            (name,) = names
            return RemoteGenome(folder + name, name, checksums[name])
    there = ", ".join(name for name in checksums if ".dna." in name and ".chromosome." not in name)
    raise SourceError(
        f"{folder} has not one file *.dna.{' or *.dna.'.join(kinds)}.fa.gz, but "
        f"{there or 'none of that kind'}"
    )


def parse_checksums(text: str, url: str) -> dict[str, Checksum]:
    """Checksums by file name.

    Raises:
        SourceError: a line is not of the form `checksum blocks name`.

    Example:

        >>> parse_checksums("4081\\t20\\ta.fa.gz\\n", "CHECKSUMS")
        {'a.fa.gz': Checksum(algorithm='sum', value='04081 20')}
    """
    checksums = {}
    for line in filter(str.strip, text.splitlines()):
        value, blocks, name = [*line.split(), "", ""][:3]
        try:
            checksums[name.removeprefix("./")] = Checksum("sum", f"{value} {blocks}")
        except ValueError as error:
            raise SourceError(f"{url}: the line {line[:80]!r} holds no checksum of sum") from error
    return {name: checksum for name, checksum in checksums.items() if "/" not in name}


def _folder(source: EnsemblSource, web: Web, servers: Servers) -> str:
    release = f"release-{source.release}"
    if source.division == "vertebrates":
        return f"{servers.ensembl}/{release}/fasta/{source.species}/dna/"
    base = f"{servers.ensembl_genomes}/{source.division}/{release}"
    collection = source.collection
    if collection is None and source.division == "bacteria":
        collection = _collection(f"{base}/species_EnsemblBacteria.txt", source.species, web)
    inside = "" if collection is None else f"{collection}/"
    return f"{base}/fasta/{inside}{source.species}/dna/"


def _collection(url: str, species: str, web: Web) -> str:
    """The folder of a species of bacteria, of which each holds hundreds."""
    for line in web.text(url).splitlines():
        columns = line.split("\t")
        if len(columns) > _SPECIES_COLUMN and columns[_SPECIES_COLUMN] == species:
            # the column core_db; rows have more columns than the header
            found = next(filter(None, map(_COLLECTION.match, columns)), None)
            if found is not None:
                return found[1]
    raise SourceError(f"{url} has no species {species!r}: check its name and the release")
