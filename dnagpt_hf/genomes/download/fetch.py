"""Genomes for pre-training from where a manifest or a list of accessions says.

First every genome is found at its source, with its size and checksum; then what is missing is
fetched, several at a time. A genome that fails does not hold up the others.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dnagpt_hf.genomes.download.ensembl import ensembl_genome
from dnagpt_hf.genomes.download.http import Web
from dnagpt_hf.genomes.download.ncbi import ncbi_genome
from dnagpt_hf.genomes.download.parallel import Sum, in_parallel
from dnagpt_hf.genomes.download.requests import Wanted, organism_token, species_name
from dnagpt_hf.genomes.download.sources import (
    AccessionSource,
    AddressSource,
    EnsemblSource,
    RemoteGenome,
    Servers,
    Source,
)
from dnagpt_hf.genomes.download.transfer import download, is_complete, partial_path

Overall = Callable[[int, int | None], None]


class FetchError(ValueError):
    """Genomes that cannot be fetched; the message says why and what to do."""


@dataclass(frozen=True)
class Found:
    """A genome at its source and its place in the folder.

    Args:
        wanted: what was asked for, with name and token.
        remote: the file at its source.
        path: the file in the folder.
        size: its length in bytes, if the server states it.
        complete: whether it is there already.
    """

    wanted: Wanted
    remote: RemoteGenome
    path: Path
    size: int | None
    complete: bool

    @property
    def name(self) -> str:
        """Name of the species."""
        return self.wanted.label

    def renamed(self) -> Found:
        """The same genome under a name that no other has."""
        name = f"{self.name}_{self.remote.accession or self.remote.file}"
        return replace(self, wanted=replace(self.wanted, name=name))

    @property
    def received(self) -> int:
        """Bytes that are there already."""
        if self.complete:
            return self.path.stat().st_size
        partial = partial_path(self.path)
        return partial.stat().st_size if partial.exists() else 0


@dataclass(frozen=True)
class Failure:
    """A genome that could not be found or fetched, and why."""

    name: str
    error: Exception


def find_genomes(
    wanted: Sequence[Wanted],
    folder: Path,
    *,
    web: Web,
    servers: Servers,
    jobs: int = 2,
    report: Overall = lambda done, total: None,
) -> tuple[list[Found], list[Failure]]:
    """Look up where the files are, how long they are, and which are in the folder already.

    Args:
        wanted: the genomes.
        folder: where they are or will be.
        jobs: how many are looked up at a time.
        report: called with the number of genomes that were looked up, and of all.
    """

    def find(item: Wanted) -> Found:
        remote = locate(item.source, web, servers)
        path = folder / remote.file
        complete = is_complete(path, remote.url, checksum=remote.checksum)
        size = path.stat().st_size if complete else web.size(remote.url)
        return Found(_named(item, remote), remote, path, size, complete)

    found, failures = [], []
    outcomes = in_parallel(find, wanted, jobs, web.stop, lambda done: report(done, len(wanted)))
    for item, outcome in zip(wanted, outcomes, strict=True):
        if isinstance(outcome, Found):
            found.append(outcome)
        else:
            failures.append(Failure(item.label, outcome))
    return _distinct(found, failures)


def locate(source: Source, web: Web, servers: Servers) -> RemoteGenome:
    """Find the file of a genome at its source.

    Raises:
        SourceError: there is no such genome.
        DownloadError: the server cannot be asked.
    """
    if isinstance(source, EnsemblSource):
        return ensembl_genome(source, web, servers)
    if isinstance(source, AccessionSource):
        return ncbi_genome(source.accession, web, servers)
    if isinstance(source, AddressSource):
        return RemoteGenome(source.url, source.file, source.checksum)
    raise FetchError(f"taxon {source.taxon} is many genomes, not one")


def check_space(found: Sequence[Found], folder: Path) -> None:
    """Refuse genomes for which the disk has no room.

    Raises:
        FetchError: the announced sizes exceed the free space.
    """
    needed = sum(genome.size - genome.received for genome in _missing(found) if genome.size)
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise FetchError(
            f"{folder}: {bytes_text(needed)} are still to be fetched, but {bytes_text(free)} are "
            "free: make room, choose another folder, or fetch fewer genomes"
        )


def fetch_genomes(
    found: Sequence[Found],
    *,
    web: Web,
    jobs: int = 2,
    report: Overall = lambda done, total: None,
) -> list[Failure]:
    """Fetch what is missing.

    Args:
        found: the genomes.
        jobs: how many are fetched at a time.
        report: called with the bytes that are there, and of all as far as servers announce them.

    Returns:
        Those that failed; all others are in the folder afterwards.
    """
    total = sum(genome.size or 0 for genome in found)
    arrived = Sum(lambda done: report(done, total))
    for genome in found:
        arrived.put(genome.path, genome.received)

    def fetch(genome: Found) -> None:
        download(
            genome.remote.url,
            genome.path,
            checksum=genome.remote.checksum,
            web=web,
            report=lambda done: arrived.put(genome.path, done),
        )

    missing = _missing(found)
    outcomes = in_parallel(fetch, missing, jobs, web.stop)
    return [
        Failure(genome.name, error)
        for genome, error in zip(missing, outcomes, strict=True)
        if error is not None
    ]


def bytes_text(number: int) -> str:
    """A number of bytes for people.

    Example:

        >>> bytes_text(840_300_000), bytes_text(512)
        ('840.3 MB', '512 bytes')
    """
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} bytes"


def _named(item: Wanted, remote: RemoteGenome) -> Wanted:
    """Fill in what only the source knows."""
    organism = remote.organism or item.name or remote.accession or remote.file
    leave_out = dict.fromkeys([*item.settings.get("leave_out", ()), *remote.leave_out])
    return replace(
        item,
        name=item.name or species_name(organism),
        token=item.token or organism_token(organism),
        fields=item.fields if remote.accession is None else {"accession": remote.accession},
        settings={**item.settings, "leave_out": tuple(leave_out)},
    )


def _distinct(found: Sequence[Found], failures: list[Failure]) -> tuple[list[Found], list[Failure]]:
    """Each file once, several genomes of a species under several names."""
    paths: dict[Path, Found] = {}
    names: set[str] = set()
    for genome in found:
        other = paths.setdefault(genome.path, genome)
        if other.remote.url != genome.remote.url:
            error = FetchError(
                f"{genome.remote.url} and {other.remote.url} have the same file name: give one "
                "another with file: NAME in its source"
            )
            failures.append(Failure(genome.name, error))
        elif other is genome:
            paths[genome.path] = genome.renamed() if genome.name in names else genome
            names.add(paths[genome.path].name)
    return list(paths.values()), failures


def _missing(found: Sequence[Found]) -> list[Found]:
    return [genome for genome in found if not genome.complete]
