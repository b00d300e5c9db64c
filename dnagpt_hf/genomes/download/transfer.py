"""One file of a web server: resumed where it stopped, and checked before it appears.

What has arrived stands in `NAME.partial`, and where it comes from in `NAME.source.json`. Both stay
when a transfer ends early, so that the next one goes on from there.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnagpt_hf.atomic_files import new_file
from dnagpt_hf.genomes.download.checksums import Checksum
from dnagpt_hf.genomes.download.http import DownloadError, TemporaryError, Web

if TYPE_CHECKING:
    from requests import Response

CHUNK = 1 << 16
# an attempt that brings so many bytes more than any before it is no failure
PROGRESS = 1 << 20
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
Report = Callable[[int], None]


@dataclass(frozen=True)
class Origin:
    """Where a file comes from, and what the server said about it.

    Args:
        url: its address.
        bytes: its length, if the server states it.
        etag: a name of this version of the file, if the server gives one.
        last_modified: when it last changed, if the server says so.
        checksum: what it was compared with, as `md5 0123…`; None until then.
    """

    url: str
    bytes: int | None = None
    etag: str | None = None
    last_modified: str | None = None
    checksum: str | None = None

    @property
    def validator(self) -> str | None:
        """What tells this version of the file from others in a request for the rest of it."""
        if self.etag is not None and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified


def download(
    url: str,
    destination: str | os.PathLike[str],
    *,
    checksum: Checksum | None = None,
    web: Web | None = None,
    report: Report | None = None,
) -> Path:
    """Fetch a file, or the rest of it; it appears under its name once it is complete.

    Args:
        url: `http://` or `https://`.
        destination: the file to make. One that is already there is kept if it is this file.
        checksum: what the file is compared with at the end.
        web: how often requests are repeated, and how long one may take.
        report: called with the number of bytes that have arrived.

    Raises:
        DownloadError: the server refuses or fails, the checksum differs, the disk is full, or
            another file has the name. After a wrong checksum nothing is kept; otherwise the same
            call resumes.
    """
    path = Path(destination)
    if not is_complete(path, url, checksum=checksum):
        _Transfer(url, path, checksum, web or Web(), report or (lambda done: None)).run()
    return path


def is_complete(
    path: Path, url: str, *, checksum: Checksum | None = None, size: int | None = None
) -> bool:
    """Whether a file was fetched from `url`; False if there is none.

    Args:
        checksum: tells of a file that is here for other reasons whether it is that of `url`.
        size: the same where no checksum is known, less surely.

    Raises:
        DownloadError: another file has the name.
    """
    if not path.exists():
        return False
    length = path.stat().st_size
    origin = read_origin(path)
    if origin is not None and (origin.url, origin.bytes) == (url, length):
        same = checksum is None or origin.checksum in (None, str(checksum))
    else:
        same = checksum is None and size == length
    if not same and checksum is not None:
        same = checksum.fits(path)
    if not same:
        raise DownloadError(
            f"{path} is there, but it is not the file of {url}: delete it or choose another folder"
        )
    if origin is None or origin.url != url:
        stated = None if checksum is None else str(checksum)
        _write_origin(path, Origin(url, length, checksum=stated))
    return True


def partial_path(path: Path) -> Path:
    """Where the first bytes of a file stand until all have arrived."""
    return path.with_name(f"{path.name}.partial")


def origin_path(path: Path) -> Path:
    """Where it stands from where a file comes."""
    return path.with_name(f"{path.name}.source.json")


def read_origin(path: Path) -> Origin | None:
    """Where a file or its first bytes come from, if that is known."""
    try:
        return Origin(**json.loads(origin_path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _write_origin(path: Path, origin: Origin) -> None:
    with new_file(origin_path(path), overwrite=True) as new:
        new.write_text(json.dumps(asdict(origin), indent=1) + "\n", encoding="utf-8")


class _Transfer:
    """A file on its way: attempts, each of which goes on where the last one ended."""

    def __init__(
        self, url: str, destination: Path, checksum: Checksum | None, web: Web, report: Report
    ) -> None:
        self.url = url
        self.destination = destination
        self.partial = partial_path(destination)
        self.checksum = checksum
        self.web = web
        self.report = report
        self.furthest = 0

    def run(self) -> None:
        self.destination.parent.mkdir(parents=True, exist_ok=True)
        self.web.repeat(self.url, self.attempt, self.has_progressed)
        self.check()
        origin = read_origin(self.destination) or Origin(self.url)
        checksum = None if self.checksum is None else str(self.checksum)
        _write_origin(self.destination, replace(origin, bytes=self.received(), checksum=checksum))
        os.replace(self.partial, self.destination)

    def received(self) -> int:
        return self.partial.stat().st_size if self.partial.exists() else 0

    def has_progressed(self) -> bool:
        received = self.received()
        progressed = received >= self.furthest + PROGRESS
        self.furthest = max(self.furthest, received)
        return progressed

    def attempt(self) -> None:
        origin = self.resumable()
        offset = 0 if origin is None else self.received()
        if origin is not None and offset == origin.bytes:
            return
        # as it is stored: a file that ends in .gz must not be decompressed on its way
        headers = {"Accept-Encoding": "identity"}
        if offset and origin is not None:
            headers["Range"] = f"bytes={offset}-"
            if origin.validator is not None:
                headers["If-Range"] = origin.validator
        with self.web.open(self.url, headers, also=(416,)) as response:
            if origin is not None and _continues(response, origin, offset):
                self.receive(response, offset, origin.bytes)
                return
            if response.status_code == 200:
                started = _origin(self.url, response)
                # the bytes first: those of another version must not be taken for this one's
                self.partial.unlink(missing_ok=True)
                _write_origin(self.destination, started)
                self.receive(response, 0, started.bytes)
                return
        self.forget()
        raise TemporaryError("the file has changed on the server, so it is fetched anew")

    def resumable(self) -> Origin | None:
        """From where the first bytes come, if the rest can be told from that of other files."""
        origin = read_origin(self.destination)
        if not self.received() or origin is None or origin.url != self.url:
            return None
        return origin if origin.validator is not None or self.checksum is not None else None

    def receive(self, response: Response, offset: int, total: int | None) -> None:
        done = offset
        try:
            with open(self.partial, "ab" if offset else "wb") as file:
                self.report(done)
                for chunk in self.web.chunks(response, CHUNK):
                    file.write(chunk)
                    done += len(chunk)
                    self.report(done)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self.disk_error(error, total) from error
        if total is not None and done < total:
            raise TemporaryError(f"the connection ended after {done:,} of {total:,} bytes")
        if total is not None and done > total:
            self.forget()
            raise TemporaryError(f"the server sent more than the {total:,} bytes that it announced")

    def check(self) -> None:
        """Compare the checksum.

        Raises:
            DownloadError: it differs; nothing is kept then.
        """
        if self.checksum is None:
            return
        found = self.checksum.of(self.partial)
        if found != self.checksum:
            self.forget()
            raise DownloadError(
                f"{self.url} arrived with the checksum {found}, but its source states "
                f"{self.checksum}: the partial file is deleted; run the same command again"
            )

    def forget(self) -> None:
        self.partial.unlink(missing_ok=True)
        origin_path(self.destination).unlink(missing_ok=True)

    def disk_error(self, error: OSError, total: int | None) -> DownloadError:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            return DownloadError(f"{self.partial}: {error.strerror or error}")
        of = "" if total is None else f" of {total:,}"
        return DownloadError(
            f"{self.partial}: the disk is full after {self.received():,}{of} bytes of {self.url}: "
            "free some space and run the same command again, which resumes"
        )


def _origin(url: str, response: Response) -> Origin:
    headers: Any = response.headers
    length = headers.get("Content-Length", "")
    return Origin(
        url,
        bytes=int(length) if length.isdecimal() else None,
        etag=headers.get("ETag"),
        last_modified=headers.get("Last-Modified"),
    )


def _continues(response: Response, origin: Origin, offset: int) -> bool:
    """Whether a response holds what follows the first `offset` bytes of the same version."""
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status_code != 206 or found is None or int(found[1]) != offset:
        return False
    if origin.bytes is not None and found[2] != "*" and int(found[2]) != origin.bytes:
        return False
    # a server may know ranges, but not conditions on them
    return all(
        then is None or now is None or then == now
        for then, now in (
            (origin.etag, response.headers.get("ETag")),
            (origin.last_modified, response.headers.get("Last-Modified")),
        )
    )
