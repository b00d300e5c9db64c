"""Requests to web servers that are repeated when the connection or the server fails."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from requests import Response

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
LONGEST_WAIT = 60.0
# what a server asks for is granted up to here
LONGEST_RETRY_AFTER = 600.0
_TEMPORARY = (408, 425, 429)
_PERMANENT = (501, 505)


class DownloadError(ValueError):
    """Something could not be fetched; the message names the address and says what to do."""


class MissingError(DownloadError):
    """The server has nothing at this address."""


class StoppedError(DownloadError):
    """Someone asked for an early end."""


class TemporaryError(Exception):
    """What went wrong may go right another time.

    Args:
        problem: what happened.
        retry_after: seconds that the server asks to wait.
    """

    def __init__(self, problem: str, retry_after: float = 0.0) -> None:
        super().__init__(problem)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Web:
    """How requests are made.

    Args:
        attempts: how often something may fail in a row before that is an error.
        timeout: seconds without an answer or a byte after which a connection counts as broken.
        sleep: waits for some seconds; by default until `stop` is set, at most.
        jitter: a number from 0 to 1, so that many clients do not come back at the same moment.
        stop: once it is set, transfers end with `StoppedError`.
    """

    attempts: int = 6
    timeout: float = 60.0
    sleep: Callable[[float], object] | None = None
    jitter: Callable[[], float] = random.random
    stop: threading.Event = field(default_factory=threading.Event)

    def text(self, url: str, parameters: Mapping[str, str] | None = None) -> str:
        """The text at an address.

        Raises:
            MissingError: there is none.
            DownloadError: it cannot be had.
        """

        def attempt() -> str:
            with self.open(url, parameters=parameters) as response:
                content = b"".join(self.chunks(response, decode=True))
                return content.decode("utf-8", errors="replace")

        return self.repeat(url, attempt)

    def size(self, url: str) -> int | None:
        """Length in bytes of the file at an address, if the server states it.

        Raises:
            MissingError: there is no such file.
            DownloadError: the server refuses or fails.
        """

        def attempt() -> int | None:
            with self.open(url, {"Accept-Encoding": "identity"}, method="HEAD") as response:
                length = response.headers.get("Content-Length", "")
                return int(length) if length.isdecimal() else None

        return self.repeat(url, attempt)

    @contextmanager
    def open(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        parameters: Mapping[str, str] | None = None,
        also: tuple[int, ...] = (),
    ) -> Iterator[Response]:
        """One request; its body is read with `chunks`.

        Args:
            also: status codes from 400 on that are no error.

        Raises:
            TemporaryError: the connection failed, or the server is busy.
            DownloadError: the address is wrong or refused.
        """
        import requests

        identity = {"User-Agent": "dnagpt_hf", **(headers or {})}
        try:
            response = requests.request(
                method,
                url,
                headers=identity,
                params=parameters,
                timeout=self.timeout,
                stream=True,
                allow_redirects=True,
            )
        except (requests.ConnectionError, requests.Timeout) as error:
            raise TemporaryError(_reason(error)) from error
        except requests.RequestException as error:
            raise DownloadError(f"{url}: {_reason(error)}") from error
        with response:
            if response.status_code not in also:
                _check_status(response, url)
            yield response

    def chunks(
        self, response: Response, size: int = 1 << 16, *, decode: bool = False
    ) -> Iterator[bytes]:
        """The body of a response, as the server stores it or, with `decode`, decompressed.

        Raises:
            TemporaryError: the connection broke.
            StoppedError: `stop` is set.
        """
        from urllib3.exceptions import HTTPError

        try:
            for chunk in response.raw.stream(size, decode_content=decode):
                self.check_stop()
                yield chunk
        except HTTPError as error:
            raise TemporaryError(_reason(error)) from error

    def repeat(
        self,
        url: str,
        attempt: Callable[[], Result],
        has_progressed: Callable[[], bool] = lambda: False,
    ) -> Result:
        """What `attempt` returns, as soon as it ends without a `TemporaryError`.

        Args:
            has_progressed: asked after a failure; if it was of use, it is counted as the first.

        Raises:
            DownloadError: it failed too often.
        """
        failures = 0
        while True:
            self.check_stop()
            try:
                return attempt()
            except TemporaryError as error:
                failures = 1 if has_progressed() else failures + 1
                if failures >= self.attempts:
                    raise DownloadError(
                        f"{url}: {error}, the last of {failures} attempts: run the same command "
                        "again later, which resumes what is there"
                    ) from error
                seconds = self.pause(failures, error.retry_after)
                logger.warning("%s: %s: trying again in %.0f s", url, error, seconds)
                (self.sleep or self.stop.wait)(seconds)

    def pause(self, failures: int, retry_after: float = 0.0) -> float:
        """Seconds to wait after so many failures: twice as long each time, give or take a half."""
        seconds = min(2.0 ** (failures - 1), LONGEST_WAIT) * (0.5 + self.jitter())
        return max(seconds, min(retry_after, LONGEST_RETRY_AFTER))

    def check_stop(self) -> None:
        """Raise `StoppedError` if `stop` is set."""
        if self.stop.is_set():
            raise StoppedError("interrupted: run the same command again, which resumes")


def _check_status(response: Response, url: str) -> None:
    status = response.status_code
    if status < HTTPStatus.BAD_REQUEST:
        return
    said = f"the server answers {status} {response.reason or ''}".rstrip()
    if status in _TEMPORARY or (status >= 500 and status not in _PERMANENT):
        raise TemporaryError(said, _retry_after(response.headers.get("Retry-After", "")))
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        raise MissingError(f"{url}: {said}: check the name, the release or the accession")
    raise DownloadError(f"{url}: {said}")


def _retry_after(text: str) -> float:
    """Seconds of a header that has seconds or a date.

    Example:

        >>> _retry_after("120"), _retry_after("soon")
        (120.0, 0.0)
    """
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError):
        return 0.0


def _reason(error: BaseException) -> str:
    """What is at the bottom of an error of requests, which wraps those of urllib3."""
    from urllib3.exceptions import MaxRetryError

    inner = error.args[0] if error.args else error
    if isinstance(inner, MaxRetryError) and inner.reason is not None:
        inner = inner.reason
    text = " ".join(str(inner).split())
    return text or type(error).__name__
