"""Files of a web server arrive whole, whatever happens on the way."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from webserver import Fault, Server, web_server

from dnagpt_hf.genomes.download import transfer as module
from dnagpt_hf.genomes.download.checksums import Checksum, file_checksum
from dnagpt_hf.genomes.download.http import DownloadError, HttpClient, MissingError
from dnagpt_hf.genomes.download.transfer import download, partial_path

CONTENT = random.Random(0).randbytes(300_000)
MD5 = Checksum("md5", hashlib.md5(CONTENT).hexdigest())
PATH = "/genomes/a.fa.gz"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[Server]:
    with web_server() as site:
        site.add(PATH, CONTENT)
        yield site


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the client pauses, without waiting."""
    seconds: list[float] = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", seconds.append)
    return seconds


@pytest.fixture
def client(pauses: list[float]) -> HttpClient:
    return HttpClient(attempts=4, timeout=5)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def leave_partial(server: Server, client: HttpClient, path: Path, received: int) -> None:
    """Leave the first bytes of a file, as a server that fails in the middle does."""
    server.faults[PATH] = [Fault(drop_after=received), *[Fault(status=500)] * 4]
    with pytest.raises(DownloadError, match="500"):
        download(server.url + PATH, path, client=client)
    assert partial_path(path).read_bytes() == CONTENT[:received]
    server.faults.clear()
    server.requests.clear()


@pytest.mark.parametrize("checksum", [None, MD5])
@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_file_arrives(
    server: Server, client: HttpClient, tmp_path: Path, checksum: Checksum | None, size: int | None
) -> None:
    added: list[int] = []
    path = tmp_path / "new" / "a.fa.gz"
    download(
        server.url + PATH,
        path,
        client=client,
        checksum=checksum,
        size=size,
        progress=added.append,
    )
    assert path.read_bytes() == CONTENT and names(path.parent) == ["a.fa.gz"]
    assert sum(added) == len(CONTENT)


@pytest.mark.parametrize("no_length", [False, True])
def test_cut_connections_are_resumed(
    server: Server, client: HttpClient, tmp_path: Path, no_length: bool
) -> None:
    cuts = [Fault(drop_after=100_000), Fault(drop_after=80_000, no_length=no_length)]
    server.faults[PATH] = cuts
    path = tmp_path / "a"
    download(server.url + PATH, path, client=client, size=len(CONTENT))
    assert path.read_bytes() == CONTENT
    assert server.ranges(PATH) == [None, "bytes=100000-", "bytes=180000-"]


def test_the_next_call_resumes(server: Server, client: HttpClient, tmp_path: Path) -> None:
    path = tmp_path / "a"
    leave_partial(server, client, path, 100_000)
    added: list[int] = []
    download(server.url + PATH, path, client=client, checksum=MD5, progress=added.append)
    assert path.read_bytes() == CONTENT and names(tmp_path) == ["a"]
    assert server.ranges(PATH) == ["bytes=100000-"] and sum(added) == 200_000


def test_a_killed_process_leaves_a_partial_file(
    server: Server, client: HttpClient, tmp_path: Path
) -> None:
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from dnagpt_hf.genomes.download.http import HttpClient\n"
        "from dnagpt_hf.genomes.download.transfer import download\n"
        "added = []\n"
        "def progress(number):\n"
        "    added.append(number)\n"
        "    if sum(added) > 200_000: os._exit(9)\n"
        "download(sys.argv[1], Path(sys.argv[2]), client=HttpClient(), progress=progress)\n"
    )
    url, path = server.url + PATH, tmp_path / "a"
    ended = subprocess.run([sys.executable, "-c", program, url, path], check=False)
    assert ended.returncode == 9
    received = partial_path(path).stat().st_size
    assert 100_000 < received < 300_000
    download(url, path, client=client, checksum=MD5)
    assert path.read_bytes() == CONTENT
    assert server.ranges(PATH)[-1] == f"bytes={received}-"


def test_a_server_without_ranges_sends_all(
    server: Server, client: HttpClient, tmp_path: Path
) -> None:
    server.faults[PATH] = [Fault(drop_after=100_000), Fault(ignore_range=True)]
    added: list[int] = []
    download(server.url + PATH, tmp_path / "a", client=client, progress=added.append)
    assert (tmp_path / "a").read_bytes() == CONTENT and sum(added) == len(CONTENT)
    assert server.ranges(PATH) == [None, "bytes=100000-"]


@pytest.mark.parametrize("partial", [b"x" * 1000, CONTENT[:-1] + b"x", b"x" * 400_000])
@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_wrong_partial_file_is_fetched_anew(
    server: Server, client: HttpClient, tmp_path: Path, partial: bytes, size: int | None
) -> None:
    path = tmp_path / "a"
    partial_path(path).write_bytes(partial)
    added: list[int] = []
    url = server.url + PATH
    download(url, path, client=client, checksum=MD5, size=size, progress=added.append)
    assert path.read_bytes() == CONTENT and names(tmp_path) == ["a"]
    assert sum(added) == len(CONTENT) - len(partial)


def test_without_a_checksum_an_earlier_partial_file_is_not_resumed(
    server: Server, client: HttpClient, tmp_path: Path
) -> None:
    path = tmp_path / "a"
    leave_partial(server, client, path, 100_000)
    download(server.url + PATH, path, client=client)
    assert path.read_bytes() == CONTENT and server.ranges(PATH) == [None]


def test_a_complete_partial_file_is_only_checked(
    server: Server, client: HttpClient, tmp_path: Path
) -> None:
    path = tmp_path / "a"
    partial_path(path).write_bytes(CONTENT)
    download(server.url + PATH, path, client=client, checksum=MD5, size=len(CONTENT))
    assert path.read_bytes() == CONTENT and server.requests == []


def test_a_wrong_checksum_leaves_nothing(
    server: Server, client: HttpClient, tmp_path: Path
) -> None:
    server.add(PATH, CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    with pytest.raises(DownloadError, match=f"arrived twice .* states {MD5}: run the same command"):
        download(server.url + PATH, tmp_path / "a", client=client, checksum=MD5)
    assert names(tmp_path) == [] and server.ranges(PATH) == [None, None]


def test_compressed_files_stay_compressed(
    server: Server, client: HttpClient, tmp_path: Path
) -> None:
    url = server.add("/b.fa.gz", gzip.compress(b">a\nACGT\n"))
    download(url, tmp_path / "b.fa.gz", client=client)
    assert gzip.decompress((tmp_path / "b.fa.gz").read_bytes()) == b">a\nACGT\n"
    assert server.requests[0][2]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_busy_servers_are_asked_again(
    server: Server, client: HttpClient, pauses: list[float], tmp_path: Path, status: int
) -> None:
    server.faults[PATH] = [Fault(status=status)] * 3
    download(server.url + PATH, tmp_path / "a", client=client)
    assert (tmp_path / "a").read_bytes() == CONTENT
    # pauses double, and differ by up to a second
    assert len(pauses) == 2 and 2 <= pauses[0] <= 3 and 4 <= pauses[1] <= 5


def test_servers_are_waited_for_as_long_as_they_ask(
    server: Server, client: HttpClient, pauses: list[float], tmp_path: Path
) -> None:
    server.faults[PATH] = [Fault(status=503, headers=(("Retry-After", "7"),))]
    download(server.url + PATH, tmp_path / "a", client=client)
    assert pauses == [7]


def test_attempts_of_use_are_no_failures(
    server: Server, client: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROGRESS", 20_000)
    server.faults[PATH] = [Fault(drop_after=30_000)] * 9
    download(server.url + PATH, tmp_path / "a", client=client)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_server_that_never_gets_further_is_given_up(
    server: Server, client: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROGRESS", 20_000)
    server.faults[PATH] = [Fault(drop_after=30_000, ignore_range=True)] * 100
    with pytest.raises(DownloadError, match=r"30000 bytes read, .* same command again later"):
        download(server.url + PATH, tmp_path / "a", client=client)
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (404, MissingError, "answers 404 Not Found: check the name"),
        (410, MissingError, "410"),
        (403, DownloadError, "answers 403 Forbidden"),
        (501, DownloadError, "501"),
    ],
)
def test_refusals_are_errors_at_once(
    server: Server,
    client: HttpClient,
    tmp_path: Path,
    status: int,
    kind: type[DownloadError],
    message: str,
) -> None:
    server.faults[PATH] = [Fault(status=status)]
    with pytest.raises(kind, match=message) as error:
        download(server.url + PATH, tmp_path / "a", client=client)
    assert str(error.value).startswith(server.url + PATH)
    assert len(server.requests) == 1 and names(tmp_path) == []


def test_nobody_answers(client: HttpClient, pauses: list[float], tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/a"
    with pytest.raises(DownloadError, match=f"^{url}: .*refused") as error:
        download(url, tmp_path / "a", client=client)
    assert len(pauses) == 2 and "\n" not in str(error.value)


def test_a_server_that_stalls_is_left(pauses: list[float], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a"
        with pytest.raises(DownloadError, match="timed out"):
            download(url, tmp_path / "a", client=HttpClient(attempts=2, timeout=0.1))


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a", "a.fa", "http:///a"])
def test_addresses_that_are_none(client: HttpClient, tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadError, match=url):
        download(url, tmp_path / "a", client=client)


class FullDisk:
    """A file that takes a number of bytes and no more."""

    def __init__(self, file: Any, room: int, number: int) -> None:
        self.file, self.room, self.number = file, room, number

    def __enter__(self) -> FullDisk:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def write(self, data: bytes) -> None:
        self.room -= len(data)
        if self.room < 0:
            raise OSError(self.number, os.strerror(self.number))
        self.file.write(data)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_keeps_what_has_arrived(
    server: Server, client: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full_disk(path: Path, mode: str) -> FullDisk:
        return FullDisk(open(path, mode), 200_000, number)

    path = tmp_path / "a"
    with monkeypatch.context() as patch:
        patch.setattr(module, "open", full_disk, raising=False)
        message = f"{os.strerror(number)} after 196,608 bytes of .* make room"
        with pytest.raises(DownloadError, match=message):
            download(server.url + PATH, path, client=client, checksum=MD5)
    download(server.url + PATH, path, client=client, checksum=MD5)
    assert path.read_bytes() == CONTENT
    assert server.ranges(PATH) == [None, "bytes=196608-"]


def test_sizes_and_texts(server: Server, client: HttpClient) -> None:
    assert client.size(server.url + PATH) == len(CONTENT)
    url = server.add("/text", "Größe\n")
    server.faults["/text"] = [Fault(status=502), Fault(drop_after=3)]
    assert client.text(url) == "Größe\n"
    server.lengths = False
    assert client.size(url) is None
    with pytest.raises(MissingError):
        client.size(server.url + "/none")


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1025, 300_000])
def test_the_checksum_of_sum(tmp_path: Path, size: int) -> None:
    (tmp_path / "a").write_bytes(CONTENT[:size])
    value = 0
    for byte in CONTENT[:size]:
        value = (((value >> 1) | (value & 1) << 15) + byte) % 65536
    expected = Checksum("sum", f"{value} {(size + 1023) // 1024}")
    assert file_checksum(tmp_path / "a", "sum") == expected


def test_the_checksum_of_sum_is_that_of_the_command(tmp_path: Path) -> None:
    # printed by `sum -r` of GNU coreutils for 'ACGT' 5,000 times
    (tmp_path / "a").write_bytes(b"ACGT" * 5000)
    assert file_checksum(tmp_path / "a", "sum") == Checksum("sum", "65265 20")


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_digests(tmp_path: Path, algorithm: str) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    value = hashlib.new(algorithm, CONTENT).hexdigest()
    assert file_checksum(tmp_path / "a", algorithm) == Checksum(algorithm, value.upper())


@pytest.mark.parametrize(
    ("algorithm", "value"), [("md5", "1"), ("md5", ""), ("sum", "1"), ("sum", "123456 1")]
)
def test_checksums_that_are_none(algorithm: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"'{value}' is not a checksum of the kind {algorithm}"):
        Checksum(algorithm, value)
