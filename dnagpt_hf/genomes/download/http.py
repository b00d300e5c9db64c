"""Requests to web servers, repeated when a server is busy or a connection breaks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, MaxRetryError, ProtocolError
from urllib3.util import Retry

Result = TypeVar("Result")
MOST_CONNECTIONS = 16
_BUSY = (408, 425, 429, 500, 502, 503, 504)
_CHUNK = 1 << 16


class DownloadError(ValueError):
    """A failed download; the message names the address and says what to do."""


class MissingError(DownloadError):
    """The server has nothing at this address."""


class BrokenConnectionError(Exception):
    """A connection broke while the body of a response arrived, which may succeed another time."""


class HttpClient:
    """A client that repeats requests, with pauses that double and differ by chance.

    Args:
        attempts: failures in a row after which a request is given up.
        timeout: seconds without an answer or a byte after which a connection counts as broken.
        backoff: seconds by which pauses grow; a server that states `Retry-After` is waited for as
            long as it asks.

    Attributes:
        stopped: an event; once it is set, transfers end with a `DownloadError`.
    """

    def __init__(self, attempts: int = 6, timeout: float = 60.0, backoff: float = 1.0) -> None:
        self.timeout = timeout
        self.stopped = threading.Event()
        self.retry = Retry(
            total=attempts - 1,
            status_forcelist=_BUSY,
            allowed_methods=("GET", "HEAD"),
            backoff_factor=backoff,
            backoff_jitter=backoff,
            backoff_max=60,
            raise_on_status=False,
        )
        self.session = requests.Session()
        self.session.headers["User-Agent"] = "dnagpt_hf"
        adapter = HTTPAdapter(max_retries=self.retry, pool_maxsize=MOST_CONNECTIONS)
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, adapter)

    def text(self, url: str, parameters: Mapping[str, str] | None = None) -> str:
        """Fetch a text.

        Raises:
            MissingError: nothing is at the address.
            DownloadError: the server refuses or fails.
        """

        def attempt() -> str:
            with self.open(url, parameters=parameters) as response:
                content = b"".join(self.chunks(response, decode=True))
            return content.decode("utf-8", errors="replace")

        return self.repeat(url, attempt)

    def size(self, url: str) -> int | None:
        """Ask for the length of a file in bytes; `None` if the server does not state it.

        Raises:
            MissingError: nothing is at the address.
            DownloadError: the server refuses or fails.
        """
        with self.open(url, {"Accept-Encoding": "identity"}, method="HEAD") as response:
            length = response.headers.get("Content-Length", "")
            return int(length) if length.isdecimal() else None

    @contextmanager
    def open(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        parameters: Mapping[str, str] | None = None,
    ) -> Iterator[requests.Response]:
        """Open a response, whose body is read with `chunks`.

        A status of 416 (the range begins behind the end) is no error.

        Raises:
            MissingError: nothing is at the address.
            DownloadError: the server refuses or fails.
        """
        try:
            response = self.session.request(
                method,
                url,
                headers=headers,
                params=parameters,
                timeout=self.timeout,
                stream=True,
                allow_redirects=True,
            )
        except requests.RequestException as error:
            raise DownloadError(f"{url}: {_reason(error)}") from error
        with response:
            status = f"the server answers {response.status_code} {response.reason or ''}".rstrip()
            if response.status_code in (404, 410):
                raise MissingError(f"{url}: {status}: check the name, the release or the accession")
            if response.status_code in _BUSY:
                raise DownloadError(f"{url}: {status}: run the same command again later")
            if response.status_code >= 400 and response.status_code != 416:
                raise DownloadError(f"{url}: {status}")
            yield response

    def chunks(self, response: requests.Response, *, decode: bool = False) -> Iterator[bytes]:
        """Read the body of a response, as the server stores it or, with `decode`, decompressed.

        Raises:
            BrokenConnectionError: the connection broke.
            DownloadError: `stopped` is set.
        """
        try:
            for chunk in response.raw.stream(_CHUNK, decode_content=decode):
                if self.stopped.is_set():
                    raise DownloadError("interrupted: run the same command again, which resumes")
                yield chunk
        except HTTPError as error:
            raise BrokenConnectionError(_reason(error)) from error

    def repeat(
        self,
        url: str,
        attempt: Callable[[], Result],
        has_progressed: Callable[[], bool] = lambda: False,
    ) -> Result:
        """Call a function again each time a connection breaks within a body.

        The session repeats failures before the body; this counts and pauses by the same policy.

        Args:
            url: the address, for errors.
            attempt: function that reads a response.
            has_progressed: called after a failure; if it was of use, failures count anew.

        Raises:
            DownloadError: too many attempts failed in a row.
        """
        retry = self.retry
        while True:
            try:
                return attempt()
            except BrokenConnectionError as error:
                retry = self.retry if has_progressed() else retry
                try:
                    retry = retry.increment("GET", url, error=ProtocolError(str(error)))
                except MaxRetryError:
                    raise DownloadError(
                        f"{url}: {error}, in each of the last attempts: run the same command again "
                        "later, which resumes"
                    ) from error
                retry.sleep()


def _reason(error: Exception) -> str:
    """Find the cause in an error of requests, which wraps those of urllib3."""
    inner = error.args[0] if error.args else error
    if isinstance(inner, MaxRetryError) and inner.reason is not None:
        inner = inner.reason
    return " ".join(str(inner).split()) or type(error).__name__
