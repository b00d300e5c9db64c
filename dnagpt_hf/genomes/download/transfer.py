"""Transfer of one file: resumed where it ended, and compared with its checksum.

The bytes that have arrived are in `NAME.partial`, which gets its name once it is complete.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from urllib3.exceptions import ProtocolError

from dnagpt_hf.genomes.download.checksums import Checksum, file_checksum
from dnagpt_hf.genomes.download.http import DownloadError, HttpClient

# bytes after which an attempt that then fails was of use
PROGRESS = 1 << 20
_CHUNK = 1 << 16
# called with the number of bytes that were added; negative where a transfer begins anew
Progress = Callable[[int], object]


def partial_path(path: Path) -> Path:
    """Name the file that holds the first bytes of a file until all have arrived."""
    return path.with_name(f"{path.name}.partial")


def download(
    url: str,
    path: Path,
    *,
    client: HttpClient,
    checksum: Checksum | None = None,
    size: int | None = None,
    progress: Progress = lambda added: None,
) -> None:
    """Fetch a file, or the rest of it.

    A partial file that is left of an earlier call is resumed if a checksum can judge the whole. A
    file with a wrong checksum is deleted and fetched once more.

    Args:
        url: address of the file.
        path: file to make.
        client: client for the requests.
        checksum: published checksum.
        size: length in bytes, if the server states it.
        progress: called with the number of bytes that were added.

    Raises:
        DownloadError: the server refuses or fails, the checksum is wrong twice, or the disk is
            full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_path(path)
    if checksum is None or (size is not None and _length(partial) > size):
        _discard(partial, progress)
    for _ in range(2):
        _receive_all(url, partial, client, size, progress)
        found = None if checksum is None else file_checksum(partial, checksum.algorithm)
        if found == checksum:
            os.replace(partial, path)
            return
        _discard(partial, progress)
    raise DownloadError(
        f"{url} arrived twice with the checksum {found}, but its source states {checksum}: run "
        "the same command again later, or give the file as a url"
    )


def _receive_all(
    url: str, partial: Path, client: HttpClient, size: int | None, progress: Progress
) -> None:
    """Receive bytes until none is missing; attempts go on where the last one ended."""
    furthest = _length(partial)

    def receive() -> None:
        if size is None or _length(partial) < size:
            _receive(url, partial, client, progress)
        received = _length(partial)
        if size not in (None, received):
            if received > size:
                _discard(partial, progress)
            raise ProtocolError(f"{received:,} bytes arrived of {size:,}")

    def is_further() -> bool:
        nonlocal furthest
        before, furthest = furthest, max(furthest, _length(partial))
        return _length(partial) >= before + PROGRESS

    client.repeat(url, receive, is_further)


def _receive(url: str, partial: Path, client: HttpClient, progress: Progress) -> None:
    offset = _length(partial)
    # as it is stored: a file that ends in .gz must not be decompressed on its way
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={offset}-"} if offset else {})}
    with client.open(url, headers=headers) as response:
        if response.status_code == 416:
            # the file has no more bytes than have arrived: its checksum is the judge
            return
        resumes = response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
        if not resumes:
            # the server knows no ranges and sends the whole file
            progress(-offset)
        try:
            with open(partial, "ab" if resumes else "wb") as file:
                for chunk in response.raw.stream(_CHUNK, decode_content=False):
                    file.write(chunk)
                    progress(len(chunk))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise DownloadError(
                f"{partial}: {error.strerror or error} after {_length(partial):,} bytes of {url}: "
                "make room on the disk and run the same command again, which resumes"
            ) from error


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _discard(partial: Path, progress: Progress) -> None:
    progress(-_length(partial))
    partial.unlink(missing_ok=True)
