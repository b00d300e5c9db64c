"""Files of a web server arrive whole, whatever happens on the way."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from webserver import Fault, Server, web_server

from dnagpt_hf.genomes.download import transfer as module
from dnagpt_hf.genomes.download.checksums import Checksum, file_checksum
from dnagpt_hf.genomes.download.http import DownloadError, MissingError, StoppedError, Web
from dnagpt_hf.genomes.download.transfer import (
    download,
    is_complete,
    origin_path,
    partial_path,
    read_origin,
)

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
def naps() -> list[float]:
    """Seconds that the client waited."""
    return []


@pytest.fixture
def web(naps: list[float]) -> Web:
    return Web(attempts=4, timeout=5, sleep=naps.append, jitter=lambda: 0.5)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_a_file_arrives_with_a_note_where_it_comes_from(
    server: Server, web: Web, tmp_path: Path
) -> None:
    reports: list[int] = []
    path = download(
        server.url + PATH,
        tmp_path / "new" / "a.fa.gz",
        checksum=MD5,
        web=web,
        report=reports.append,
    )
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == ["a.fa.gz", "a.fa.gz.source.json"]
    assert reports[0] == 0 and reports[-1] == len(CONTENT) and reports == sorted(reports)
    note = json.loads(origin_path(path).read_text())
    assert note["url"] == server.url + PATH
    assert (note["bytes"], note["checksum"]) == (len(CONTENT), str(MD5))


def test_a_complete_file_is_not_fetched_again(server: Server, web: Web, tmp_path: Path) -> None:
    for _ in range(2):
        download(server.url + PATH, tmp_path / "a", checksum=MD5, web=web)
    assert server.ranges(PATH) == [None]


def test_dropped_connections_are_resumed(
    server: Server, web: Web, naps: list[float], tmp_path: Path
) -> None:
    server.faults[PATH] = [Fault(drop_after=100_000), Fault(drop_after=80_000)]
    path = download(server.url + PATH, tmp_path / "a", web=web)
    assert path.read_bytes() == CONTENT
    assert server.ranges(PATH) == [None, "bytes=100000-", "bytes=180000-"]
    conditions = [headers.get("If-Range") for _, _, headers in server.requests]
    assert conditions == [None, *[f'"{MD5.value}"'] * 2]
    assert naps == [1.0, 2.0]


def test_a_body_that_ends_early_unnoticed_by_the_protocol(
    server: Server, web: Web, tmp_path: Path
) -> None:
    server.faults[PATH] = [Fault(drop_after=100_000), Fault(drop_after=50_000, no_length=True)]
    assert download(server.url + PATH, tmp_path / "a", web=web).read_bytes() == CONTENT
    assert server.ranges(PATH) == [None, "bytes=100000-", "bytes=150000-"]


def test_the_next_call_goes_on_where_the_last_one_ended(
    server: Server, web: Web, tmp_path: Path
) -> None:
    server.faults[PATH] = [Fault(drop_after=100_000), *[Fault(status=500)] * 3]
    with pytest.raises(DownloadError, match=r"500 .*the last of 4 attempts: run the same command"):
        download(server.url + PATH, tmp_path / "a", web=web)
    assert names(tmp_path) == ["a.partial", "a.source.json"]
    assert partial_path(tmp_path / "a").read_bytes() == CONTENT[:100_000]
    assert download(server.url + PATH, tmp_path / "a", web=web).read_bytes() == CONTENT
    assert server.ranges(PATH)[-1] == "bytes=100000-"
    assert names(tmp_path) == ["a", "a.source.json"]


def test_a_killed_process_leaves_what_can_be_resumed(
    server: Server, web: Web, tmp_path: Path
) -> None:
    program = (
        "import os, sys\n"
        "from dnagpt_hf.genomes.download.transfer import download\n"
        "download(sys.argv[1], sys.argv[2],\n"
        "         report=lambda done: os._exit(9) if done > 200_000 else None)\n"
    )
    url, path = server.url + PATH, tmp_path / "a"
    ended = subprocess.run([sys.executable, "-c", program, url, path], check=False)
    assert ended.returncode == 9
    received = partial_path(path).stat().st_size
    assert 100_000 < received < 300_000
    assert download(url, path, checksum=MD5, web=web).read_bytes() == CONTENT
    assert server.ranges(PATH)[-1] == f"bytes={received}-"


def test_a_server_that_ignores_ranges_starts_again(
    server: Server, web: Web, tmp_path: Path
) -> None:
    server.faults[PATH] = [Fault(drop_after=100_000), Fault(ignore_range=True)]
    assert download(server.url + PATH, tmp_path / "a", web=web).read_bytes() == CONTENT
    assert server.ranges(PATH) == [None, "bytes=100000-"]


@pytest.mark.parametrize("ignore_condition", [False, True])
@pytest.mark.parametrize("shorter", [False, True])
def test_a_file_that_changes_is_not_glued_together(
    server: Server, web: Web, tmp_path: Path, ignore_condition: bool, shorter: bool
) -> None:
    server.faults[PATH] = [Fault(drop_after=100_000), *[Fault(status=500)] * 3]
    with pytest.raises(DownloadError):
        download(server.url + PATH, tmp_path / "a", web=web)
    changed = random.Random(1).randbytes(90_000 if shorter else len(CONTENT))
    server.add(PATH, changed)
    server.faults[PATH] = [Fault(ignore_condition=ignore_condition)]
    assert download(server.url + PATH, tmp_path / "a", web=web).read_bytes() == changed


def test_bytes_of_another_address_are_not_resumed(server: Server, web: Web, tmp_path: Path) -> None:
    partial_path(tmp_path / "a").write_bytes(b"others")
    server.add("/old", b"x" * 500_000)
    server.faults["/old"] = [Fault(drop_after=100_000)] * 4
    with pytest.raises(DownloadError):
        download(server.url + "/old", tmp_path / "a", web=web)
    assert download(server.url + PATH, tmp_path / "a", web=web).read_bytes() == CONTENT
    assert server.ranges(PATH) == [None]


def test_another_length_tells_another_file_too(server: Server, web: Web, tmp_path: Path) -> None:
    server.etags = False
    server.add(PATH, CONTENT + b"old")
    server.faults[PATH] = [Fault(drop_after=100_000), *[Fault(status=500)] * 3]
    with pytest.raises(DownloadError):
        download(server.url + PATH, tmp_path / "a", checksum=MD5, web=web)
    server.add(PATH, CONTENT)
    path = download(server.url + PATH, tmp_path / "a", checksum=MD5, web=web)
    assert path.read_bytes() == CONTENT
    assert server.ranges(PATH)[-2:] == ["bytes=100000-", None]


@pytest.mark.parametrize("checksum", [None, MD5])
def test_without_a_version_only_the_checksum_allows_resuming(
    server: Server, web: Web, tmp_path: Path, checksum: Checksum | None
) -> None:
    server.etags = False
    server.faults[PATH] = [Fault(drop_after=100_000)]
    path = download(server.url + PATH, tmp_path / "a", checksum=checksum, web=web)
    assert path.read_bytes() == CONTENT
    assert server.ranges(PATH) == [None, None if checksum is None else "bytes=100000-"]


def test_a_partial_file_that_lacks_nothing_is_only_checked(
    server: Server, web: Web, tmp_path: Path
) -> None:
    path = download(server.url + PATH, tmp_path / "a", checksum=MD5, web=web)
    path.rename(partial_path(path))
    assert download(server.url + PATH, path, checksum=MD5, web=web).read_bytes() == CONTENT
    assert server.ranges(PATH) == [None]


def test_a_server_that_states_no_length(server: Server, web: Web, tmp_path: Path) -> None:
    server.lengths = False
    path = download(server.url + PATH, tmp_path / "a", checksum=MD5, web=web)
    assert path.read_bytes() == CONTENT
    assert read_origin(path).bytes == len(CONTENT)  # type: ignore[union-attr]


def test_compressed_files_stay_compressed(server: Server, web: Web, tmp_path: Path) -> None:
    url = server.add("/b.fa.gz", gzip.compress(b">a\nACGT\n"))
    path = download(url, tmp_path / "b.fa.gz", web=web)
    assert gzip.decompress(path.read_bytes()) == b">a\nACGT\n"
    (request,) = server.requests
    assert request[2]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_busy_servers_are_asked_again(
    server: Server, web: Web, naps: list[float], tmp_path: Path, status: int
) -> None:
    server.faults[PATH] = [Fault(status=status), Fault(status=status)]
    assert download(server.url + PATH, tmp_path / "a", web=web).read_bytes() == CONTENT
    assert naps == [1.0, 2.0]


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("7", 7, 7),
        (formatdate(usegmt=True), 1, 1),
        (formatdate(4_102_444_800, usegmt=True), 600, 600),
        ("later", 1, 1),
    ],
    # without the date of now, in which the processes of a test run differ
    ids=["seconds", "now", "far", "text"],
)
def test_what_a_server_asks_to_wait_is_waited(
    server: Server,
    web: Web,
    naps: list[float],
    tmp_path: Path,
    header: str,
    low: float,
    high: float,
) -> None:
    server.faults[PATH] = [Fault(status=503, headers=(("Retry-After", header),))]
    download(server.url + PATH, tmp_path / "a", web=web)
    assert low <= naps[0] <= high


def test_pauses_double_up_to_a_minute_and_differ() -> None:
    even = Web(jitter=lambda: 0.5)
    assert [even.pause(number) for number in (1, 2, 3, 4, 7, 50)] == [1, 2, 4, 8, 60, 60]
    assert Web(jitter=lambda: 0.0).pause(3) == 2.0
    assert len({Web().pause(3) for _ in range(5)}) > 1


def test_attempts_that_bring_much_are_no_failures(
    server: Server, web: Web, naps: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROGRESS", 20_000)
    server.faults[PATH] = [Fault(drop_after=30_000)] * 9
    assert download(server.url + PATH, tmp_path / "a", web=web).read_bytes() == CONTENT
    assert naps == [1.0] * 9


def test_a_server_that_never_gets_further_is_given_up(
    server: Server, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROGRESS", 20_000)
    server.faults[PATH] = [Fault(drop_after=30_000, ignore_range=True)] * 100
    with pytest.raises(DownloadError, match=r"30000 bytes read, .*, the last of 4"):
        download(server.url + PATH, tmp_path / "a", web=web)
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
    web: Web,
    naps: list[float],
    tmp_path: Path,
    status: int,
    kind: type[DownloadError],
    message: str,
) -> None:
    server.faults[PATH] = [Fault(status=status)]
    with pytest.raises(kind, match=message) as error:
        download(server.url + PATH, tmp_path / "a", web=web)
    assert server.url + PATH in str(error.value)
    assert naps == [] and names(tmp_path) == []


def test_nobody_answers(web: Web, naps: list[float], tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/a"
    with pytest.raises(DownloadError, match="refused, the last of 4 attempts"):
        download(url, tmp_path / "a", web=web)
    assert naps == [1.0, 2.0, 4.0]


def test_a_server_that_stalls_is_left(naps: list[float], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        web = Web(attempts=2, timeout=0.1, sleep=naps.append)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a"
        with pytest.raises(DownloadError, match="timed out"):
            download(url, tmp_path / "a", web=web)
    assert len(naps) == 1


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a", "a.fa", "http:///a"])
def test_addresses_that_are_none(web: Web, tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadError, match=url):
        download(url, tmp_path / "a", web=web)


def test_a_wrong_checksum_leaves_nothing(server: Server, web: Web, tmp_path: Path) -> None:
    server.add(PATH, CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    with pytest.raises(DownloadError, match=f"states {MD5}: the partial file is deleted"):
        download(server.url + PATH, tmp_path / "a", checksum=MD5, web=web)
    assert names(tmp_path) == []


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
    server: Server, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full_disk(path: Path, mode: str) -> FullDisk:
        return FullDisk(open(path, mode), 200_000, number)

    with monkeypatch.context() as patch:
        patch.setattr(module, "open", full_disk, raising=False)
        message = "Input/output error" if number == errno.EIO else "the disk is full after 196,608"
        with pytest.raises(DownloadError, match=message):
            download(server.url + PATH, tmp_path / "a", web=web)
    assert partial_path(tmp_path / "a").stat().st_size == 196_608
    assert download(server.url + PATH, tmp_path / "a", web=web).read_bytes() == CONTENT
    assert server.ranges(PATH) == [None, "bytes=196608-"]


def test_a_file_of_another_origin_is_not_touched(server: Server, web: Web, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"mine")
    for checksum in (None, MD5):
        with pytest.raises(DownloadError, match="delete it or choose another folder"):
            download(server.url + PATH, path, checksum=checksum, web=web)
    assert path.read_bytes() == b"mine" and names(tmp_path) == ["a"]


def test_a_file_that_was_put_there_by_hand_is_kept_if_it_fits(
    server: Server, web: Web, tmp_path: Path
) -> None:
    path = tmp_path / "a"
    assert not is_complete(path, server.url + PATH)
    path.write_bytes(CONTENT)
    assert is_complete(path, server.url + PATH, size=len(CONTENT))
    origin_path(path).unlink()
    download(server.url + PATH, path, checksum=MD5, web=web)
    assert server.requests == []
    assert read_origin(path).checksum == str(MD5)  # type: ignore[union-attr]


def test_a_file_that_was_cut_since_is_noticed(server: Server, web: Web, tmp_path: Path) -> None:
    path = download(server.url + PATH, tmp_path / "a", checksum=MD5, web=web)
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(DownloadError, match="not the file of"):
        download(server.url + PATH, path, checksum=MD5, web=web)


def test_a_damaged_note_means_a_new_start(server: Server, web: Web, tmp_path: Path) -> None:
    partial_path(tmp_path / "a").write_bytes(CONTENT[:10])
    for note in ("{", "[]", '{"x": 1}'):
        origin_path(tmp_path / "a").write_text(note)
        assert read_origin(tmp_path / "a") is None
    assert download(server.url + PATH, tmp_path / "a", web=web).read_bytes() == CONTENT


def test_a_stop_ends_a_transfer_and_a_pause(server: Server, tmp_path: Path) -> None:
    web = Web(jitter=lambda: 100.0)
    with pytest.raises(StoppedError):
        download(
            server.url + PATH,
            tmp_path / "a",
            web=web,
            report=lambda done: web.stop.set() if done > 100_000 else None,
        )
    assert 0 < partial_path(tmp_path / "a").stat().st_size < len(CONTENT)
    web.stop.clear()
    server.faults[PATH] = [Fault(status=503)]
    threading.Timer(0.05, web.stop.set).start()
    with pytest.raises(StoppedError):
        download(server.url + PATH, tmp_path / "a", web=web)


def test_sizes_and_texts(server: Server, web: Web) -> None:
    assert web.size(server.url + PATH) == len(CONTENT)
    url = server.add("/text", "Größe\n")
    server.faults["/text"] = [Fault(status=502), Fault(drop_after=3)]
    assert web.text(url) == "Größe\n"
    server.lengths = False
    assert web.size(url) is None
    with pytest.raises(MissingError):
        web.size(server.url + "/none")


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
    assert Checksum("sum", "65265 20").fits(tmp_path / "a")
    assert not Checksum("sum", "00000 20").fits(tmp_path / "a")


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_digests(tmp_path: Path, algorithm: str) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    value = hashlib.new(algorithm, CONTENT).hexdigest()
    assert Checksum(algorithm, value.upper()).fits(tmp_path / "a")


@pytest.mark.parametrize(
    ("algorithm", "value"), [("crc", "1"), ("md5", "1"), ("sum", "1"), ("sum", "123456 1")]
)
def test_checksums_that_are_none(algorithm: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"'{'crc' if algorithm == 'crc' else value}'"):
        Checksum(algorithm, value)
