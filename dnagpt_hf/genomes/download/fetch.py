"""Genomes into a folder: each is located at its source, then the missing ones are fetched.

Several are located or fetched at a time. A genome that fails does not hold up the others.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tqdm import tqdm

from dnagpt_hf.atomic_files import sole_writer_of_folder
from dnagpt_hf.genomes.download.checksums import file_checksum
from dnagpt_hf.genomes.download.ensembl import ensembl_genome
from dnagpt_hf.genomes.download.folder_manifest import MANIFEST, merge_entries, write_manifest
from dnagpt_hf.genomes.download.http import DownloadError, HttpClient
from dnagpt_hf.genomes.download.ncbi import ncbi_genome
from dnagpt_hf.genomes.download.requests import (
    GenomeRequest,
    LocatedGenome,
    organism_token,
    species_name,
)
from dnagpt_hf.genomes.download.servers import RemoteFile
from dnagpt_hf.genomes.download.transfer import Progress, download
from dnagpt_hf.genomes.sources import AccessionSource, EnsemblSource

Item = TypeVar("Item", GenomeRequest, LocatedGenome)
Result = TypeVar("Result")


class FailedDownload(NamedTuple):
    """A genome that could not be located or fetched, and the reason."""

    name: str
    error: Exception


class GenomeFolder:
    """A folder that takes genomes, and a manifest of them.

    Args:
        folder: the folder.
        client: client for the requests.
        jobs: number of genomes that are looked up or fetched at a time.

    Attributes:
        failures: genomes that could not be located or fetched.
    """

    def __init__(self, folder: Path, client: HttpClient, jobs: int = 2) -> None:
        self.folder = folder
        self.client = client
        self.jobs = jobs
        self.failures: list[FailedDownload] = []

    def locate(
        self, requests: Sequence[GenomeRequest], progress: Progress = lambda added: None
    ) -> list[LocatedGenome]:
        """Look up the addresses, lengths and checksums of genomes.

        Args:
            requests: the genomes.
            progress: called with 1 for each genome.

        Returns:
            The genomes that were found, each file once.
        """

        def locate(request: GenomeRequest) -> LocatedGenome:
            remote = _remote_file(request, self.client)
            path, size = self.folder / remote.name, self.client.size(remote.url)
            genome = LocatedGenome(_entry(request, remote), remote, path, size)
            _check_existing(genome)
            progress(1)
            return genome

        located: dict[Path, LocatedGenome] = {}
        for genome in self._in_parallel(locate, requests):
            other = located.setdefault(genome.path, genome)
            if other.remote.url != genome.remote.url:
                error = ValueError(
                    f"{genome.remote.url} and {other.remote.url} have the same file name: give one "
                    "another with file: NAME in its source"
                )
                self.failures.append(FailedDownload(genome.name, error))
        return list(located.values())

    def fetch(
        self, genomes: Sequence[LocatedGenome], progress: Progress = lambda added: None
    ) -> list[LocatedGenome]:
        """Fetch the genomes that are not in the folder yet, and add all to its manifest.

        Args:
            genomes: the genomes.
            progress: called with the number of bytes that were added.

        Returns:
            The genomes that are in the folder afterwards.

        Raises:
            ValueError: the disk has no room, or the genomes do not go with the manifest that is
                there; nothing is fetched then.
            DestinationError: another process fetches into the folder.
        """

        def fetch(genome: LocatedGenome) -> None:
            download(
                genome.remote.url,
                genome.path,
                client=self.client,
                checksum=genome.remote.checksum,
                size=genome.size,
                progress=progress,
            )

        manifest = self.folder / MANIFEST
        # what is wrong with the manifest is an error now, not after hours
        merge_entries(manifest, genomes)
        self.check_space(genomes)
        with sole_writer_of_folder(self.folder):
            missing = [genome for genome in genomes if not genome.path.exists()]
            list(self._in_parallel(fetch, missing))
            arrived = [genome for genome in genomes if genome.path.exists()]
            if arrived:
                write_manifest(manifest, merge_entries(manifest, arrived))
        return arrived

    def check_space(self, genomes: Sequence[LocatedGenome]) -> None:
        """Refuse genomes for which the disk has no room.

        Raises:
            ValueError: the announced sizes exceed the free space.
        """
        needed = sum(genome.size - genome.received for genome in genomes if genome.size)
        places = (self.folder, *self.folder.absolute().parents)
        free = shutil.disk_usage(next(path for path in places if path.exists())).free
        if needed > free:
            raise ValueError(
                f"{self.folder}: {tqdm.format_sizeof(needed, 'B')} are still to be fetched, but "
                f"{tqdm.format_sizeof(free, 'B')} are free: make room, choose another folder, or "
                "fetch fewer genomes"
            )

    def _in_parallel(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[Result]:
        """Apply a function to items in threads; `ValueError`s and `OSError`s are failures."""

        def outcome(item: Item) -> Result | Exception:
            try:
                return function(item)
            except (ValueError, OSError) as error:
                return error

        # unlike those of concurrent.futures, these threads end with the program: Ctrl-C does not
        # wait for a server that is silent
        with ThreadPool(max(1, min(self.jobs, len(items)))) as pool:
            for item, result in zip(items, pool.imap(outcome, items), strict=True):
                if isinstance(result, Exception):
                    self.failures.append(FailedDownload(item.name, result))
                else:
                    yield result


def _remote_file(request: GenomeRequest, client: HttpClient) -> RemoteFile:
    source = request.source
    if isinstance(source, EnsemblSource):
        return ensembl_genome(source.ensembl, request.name, client)
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
