"""Genomes into a folder: each is located at its source, then the missing ones are fetched.

Several are located or fetched at a time. A genome that fails does not hold up the others.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from dnagpt_hf.genomes.download.checksums import file_checksum
from dnagpt_hf.genomes.download.ensembl import ensembl_genome
from dnagpt_hf.genomes.download.http import DownloadError, HttpClient
from dnagpt_hf.genomes.download.ncbi import ncbi_genome
from dnagpt_hf.genomes.download.requests import GenomeRequest, organism_token, species_name
from dnagpt_hf.genomes.download.servers import RemoteFile
from dnagpt_hf.genomes.download.transfer import Progress, download, partial_path
from dnagpt_hf.genomes.sources import AccessionSource, EnsemblSource

Item = TypeVar("Item")
Result = TypeVar("Result")


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


@dataclass(frozen=True)
class FailedDownload:
    """A genome that could not be located or fetched, and the reason."""

    name: str
    error: Exception


def locate_genomes(
    requests: Sequence[GenomeRequest],
    folder: Path,
    *,
    client: HttpClient,
    jobs: int = 2,
    progress: Progress = lambda added: None,
) -> tuple[list[LocatedGenome], list[FailedDownload]]:
    """Look up the addresses, lengths and checksums of genomes.

    Args:
        requests: the genomes.
        folder: folder of the genomes.
        client: client for the requests.
        jobs: number of genomes that are looked up at a time.
        progress: called with 1 for each genome.

    Returns:
        The genomes, each file once, and those that failed.
    """

    def locate(request: GenomeRequest) -> LocatedGenome:
        remote = _remote_file(request, client)
        path, size = folder / remote.name, client.size(remote.url)
        genome = LocatedGenome(_entry(request, remote), remote, path, size)
        _check_existing(genome)
        progress(1)
        return genome

    located: dict[Path, LocatedGenome] = {}
    failures = []
    for request, outcome in _in_parallel(locate, requests, jobs):
        if isinstance(outcome, Exception):
            failures.append(FailedDownload(request.label, outcome))
            continue
        other = located.setdefault(outcome.path, outcome)
        if other.remote.url != outcome.remote.url:
            error = ValueError(
                f"{outcome.remote.url} and {other.remote.url} have the same file name: give one "
                "another with file: NAME in its source"
            )
            failures.append(FailedDownload(outcome.name, error))
    return list(located.values()), failures


def _remote_file(request: GenomeRequest, client: HttpClient) -> RemoteFile:
    source = request.source
    if isinstance(source, EnsemblSource):
        return ensembl_genome(source.ensembl, request.label, client)
    if isinstance(source, AccessionSource):
        return ncbi_genome(source.accession, client)
    return RemoteFile(source.url, source.file_name, source.checksum)


def _entry(request: GenomeRequest, remote: RemoteFile) -> dict[str, Any]:
    """Write the manifest's entry of a genome, with the details that only its source knows."""
    known = request.entry
    organism = remote.organism or known.get("name") or remote.accession or remote.name
    leave_out = [*known.get("leave_out", ()), *remote.leave_out]
    source: dict[str, Any] = request.source.model_dump(exclude_unset=True)
    return {
        "name": species_name(organism),
        "token": organism_token(organism),
        "files": [remote.name],
        **known,
        **({"leave_out": list(dict.fromkeys(leave_out))} if leave_out else {}),
        "source": source if remote.accession is None else {"accession": remote.accession},
    }


def _check_existing(genome: LocatedGenome) -> None:
    """Refuse to overwrite a file of another origin.

    Raises:
        DownloadError: a file has the name, but another length or, where the server does not state
            the length, another checksum.
    """
    path, checksum = genome.path, genome.remote.checksum
    if not path.exists():
        return
    if genome.size is not None:
        is_same = path.stat().st_size == genome.size
    else:
        is_same = checksum is None or file_checksum(path, checksum.algorithm) == checksum
    if not is_same:
        raise DownloadError(
            f"{path} is there, but it is not the file of {genome.remote.url}: delete it or choose "
            "another folder"
        )


def check_space(genomes: Sequence[LocatedGenome], folder: Path) -> None:
    """Refuse genomes for which the disk has no room.

    Raises:
        ValueError: the announced sizes exceed the free space.
    """
    needed = sum(genome.size - genome.received for genome in genomes if genome.size)
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise ValueError(
            f"{folder}: {tqdm.format_sizeof(needed, 'B')} are still to be fetched, but "
            f"{tqdm.format_sizeof(free, 'B')} are free: make room, choose another folder, or fetch "
            "fewer genomes"
        )


def fetch_genomes(
    genomes: Sequence[LocatedGenome],
    *,
    client: HttpClient,
    jobs: int = 2,
    progress: Progress = lambda added: None,
) -> list[FailedDownload]:
    """Fetch the genomes that are not in the folder yet.

    Args:
        genomes: the genomes.
        client: client for the requests.
        jobs: number of genomes that are fetched at a time.
        progress: called with the number of bytes that were added.

    Returns:
        Genomes that failed; all others are in the folder afterwards.
    """

    def fetch(genome: LocatedGenome) -> None:
        download(
            genome.remote.url,
            genome.path,
            client=client,
            checksum=genome.remote.checksum,
            size=genome.size,
            progress=progress,
        )

    missing = [genome for genome in genomes if not genome.path.exists()]
    return [
        FailedDownload(genome.name, outcome)
        for genome, outcome in _in_parallel(fetch, missing, jobs)
        if outcome is not None
    ]


def _in_parallel(
    function: Callable[[Item], Result], items: Sequence[Item], jobs: int
) -> Iterable[tuple[Item, Result | Exception]]:
    """Apply a function to items in threads; `ValueError`s and `OSError`s are results."""

    def outcome(item: Item) -> Result | Exception:
        try:
            return function(item)
        except (ValueError, OSError) as error:
            return error

    # unlike those of concurrent.futures, these threads end with the program: Ctrl-C does not wait
    # for a server that is silent
    with ThreadPool(max(1, min(jobs, len(items)))) as pool:
        return list(zip(items, pool.imap(outcome, items), strict=True))
