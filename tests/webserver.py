"""A web server on this machine that can be told to fail."""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Fault:
    """What one request meets.

    Args:
        status: answer with this status and no body.
        headers: with these headers.
        drop_after: end the connection after so many bytes of the body.
        ignore_range: send the whole file although a part is asked for.
        no_length: do not say how long the body is, which then ends with the connection.
        stall_after: send so many bytes of the body and no more, until the server ends.
    """

    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    drop_after: int | None = None
    ignore_range: bool = False
    no_length: bool = False
    stall_after: int | None = None


@dataclass
class Server:
    """What it serves, what it was asked, and the faults that wait for the next requests."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    pages: dict[str, dict[str, bytes]] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    ended: threading.Event = field(default_factory=threading.Event)
    lengths: bool = True

    def add(self, path: str, content: bytes | str) -> str:
        """Serve a file; returns its address."""
        self.files[path] = content.encode() if isinstance(content, str) else content
        return self.url + path

    def listing(self, folder: str) -> bytes | None:
        """An index page of a folder, as Apache makes them."""
        names = {
            re.sub(r"/.*", "/", path[len(folder) :])
            for path in self.files
            if path.startswith(folder)
        }
        if not folder.endswith("/") or not names:
            return None
        rows = "".join(f'<a href="{name}">{name[:20]}..&gt;</a>  -\n' for name in sorted(names))
        return f'<html><a href="../">Parent Directory</a>\n<pre>{rows}</pre></html>'.encode()

    def ranges(self, path: str) -> list[str | None]:
        """The header Range of each GET request for a file."""
        return [
            headers.get("Range")
            for method, asked, headers in self.requests
            if (method, asked) == ("GET", path)
        ]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        site: Server = self.server.site
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        site.requests.append((self.command, path, dict(self.headers)))
        waiting = site.faults[path]
        site.queries.append(self.path)
        fault = waiting.pop(0) if waiting and body else Fault()
        if path in site.pages:
            token = parse_qs(parts.query).get("page_token", [""])[0]
            content: bytes | None = site.pages[path].get(token)
        else:
            content = site.files.get(path, site.listing(path))
        if content is None or fault.status:
            self.refuse(fault.status or 404, fault)
            return
        self.send(content, fault, body)

    def refuse(self, status: int, fault: Fault) -> None:
        self.send_response(status)
        for name, value in fault.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send(self, content: bytes, fault: Fault, body: bool) -> None:
        start = self.start(fault)
        if start is not None and start >= len(content):
            self.refuse(416, fault)
            return
        self.send_response(200 if start is None else 206)
        if start is not None:
            total = len(content)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        part = content[start or 0 :]
        if self.server.site.lengths and not fault.no_length:
            self.send_header("Content-Length", str(len(part)))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if body:
            end = fault.drop_after if fault.stall_after is None else fault.stall_after
            self.wfile.write(part[:end])
        if fault.stall_after is not None:
            self.server.site.ended.wait()
        if fault.drop_after is not None:
            self.close_connection = True

    def start(self, fault: Fault) -> int | None:
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if found is None or fault.ignore_range:
            return None
        return int(found[1])


@contextmanager
def web_server(handler: type[Handler] = Handler) -> Iterator[Server]:
    """A server in a thread, until the end of the block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        server.site = Server(f"http://127.0.0.1:{server.server_address[1]}")  # type: ignore[attr-defined]
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        thread.start()
        try:
            yield server.site  # type: ignore[attr-defined]
        finally:
            server.site.ended.set()  # type: ignore[attr-defined]
            server.shutdown()
