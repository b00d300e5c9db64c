"""Requests to web servers, repeated when a server is busy or a connection breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, MaxRetryError, ProtocolError
from urllib3.util import Retry

from dnagpt_hf.genomes.download.servers import Servers

MOST_CONNECTIONS = 16
T = TypeVar("T")
_BUSY = (408, 425, 429, 500, 502, 503, 504)


class DownloadError(ValueError):
    """A failed download; the message names the address and says what to do."""


class MissingError(DownloadError):
    """The server has nothing at this address."""


class HttpClient:
    """A client that repeats requests, with pauses that double and differ by chance.

    Args:
        servers: addresses below which genomes are found.
        attempts: failures in a row after which a request is given up.
        timeout: seconds without an answer or a byte after which a connection counts as broken.
        backoff: seconds by which pauses grow; a server that states `Retry-After` is waited for as
            long as it asks.
    """

    def __init__(
        self,
        servers: Servers | None = None,
        attempts: int = 6,
        timeout: float = 60.0,
        backoff: float = 1.0,
    ) -> None:
        self.servers = servers or Servers()
        self.timeout = timeout
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

        def receive() -> str:
            with self.open(url, params=parameters) as response:
                return response.content.decode("utf-8", errors="replace")

        return self.repeat(url, receive)

    def size(self, url: str) -> int | None:
        """Ask for the length of a file in bytes; `None` if the server does not state it.

        Raises:
            MissingError: nothing is at the address.
            DownloadError: the server refuses or fails.
        """
        with self.open(url, "HEAD", headers={"Accept-Encoding": "identity"}) as response:
            length = response.headers.get("Content-Length", "")
            return int(length) if length.isdecimal() else None

    @contextmanager
    def open(self, url: str, method: str = "GET", **options: Any) -> Iterator[requests.Response]:
        """Open a response; options are those of `requests.Session.request`.

        A status of 416 (the range begins behind the end) is no error.

        Raises:
            MissingError: nothing is at the address.
            DownloadError: the server refuses or fails.
        """
        try:
            response = self.session.request(
                method, url, timeout=self.timeout, stream=True, **options
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

    def repeat(
        self, url: str, receive: Callable[[], T], is_further: Callable[[], bool] = lambda: False
    ) -> T:
        """Call a function again where a connection breaks within a body.

        The session repeats failures before the body; this counts and pauses by the same policy.

        Args:
            url: the address, for errors.
            receive: reads a body.
            is_further: asked after each failure; where it says yes, failures count anew.

        Raises:
            DownloadError: no attempt is left.
        """
        retry = self.retry
        while True:
            try:
                return receive()
            except (HTTPError, requests.RequestException) as error:
                retry = self.retry if is_further() else retry
                try:
                    retry = retry.increment("GET", url, error=ProtocolError(str(error)))
                except MaxRetryError:
                    raise DownloadError(
                        f"{url}: {_reason(error)}, in each of the last attempts: run the same "
                        "command again later, which resumes"
                    ) from error
                retry.sleep()


def _reason(error: Exception) -> str:
    """Find the cause in an error of requests, which wraps those of urllib3."""
    inner = error.args[0] if error.args else error
    if isinstance(inner, MaxRetryError) and inner.reason is not None:
        inner = inner.reason
    return " ".join(str(inner).split()) or type(error).__name__
