"""Servers of genomes, and the files found there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dnagpt_hf.genomes.download.checksums import Checksum


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
class RemoteFile:
    """The FASTA file of a genome on a server.

    Args:
        url: address of the file.
        name: name of the file.
        checksum: published checksum.
        organism: name of the organism, if the server tells it.
        leave_out: records outside of the nuclear genome, and other versions of records in it.
        accession: accession with version of an assembly of NCBI.
    """

    url: str
    name: str
    checksum: Checksum | None = None
    organism: str | None = None
    leave_out: tuple[str, ...] = ()
    accession: str | None = None
