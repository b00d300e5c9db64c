"""`dnagpt genomes fetch`."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from genome_sites import add_assembly, add_taxon, listed
from typer.testing import CliRunner
from webserver import Fault, Server, web_server

from dnagpt_hf.atomic_files import sole_writer_of_folder
from dnagpt_hf.cli.application import app
from dnagpt_hf.genomes.manifest import load_manifest

HUMAN = "GCF_000001405.40"
CAT = "GCF_018350175.1"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[Server]:
    with web_server() as site:
        add_assembly(site, HUMAN, "GRCh38.p14", "Homo sapiens (human)")
        add_assembly(site, CAT, "F.catus", "Felis catus (domestic cat)", seed=1)
        yield site


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "genomes"


def run(server: Server, folder: Path, *arguments: object, status: int = 0) -> Any:
    command = ["genomes", "fetch", *map(str, arguments), "--folder", str(folder)]
    command += ["--ncbi-url", f"{server.url}/genomes/all/"]
    command += ["--datasets-url", f"{server.url}/datasets/v2"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == status, result.output
    return result


def test_accessions(server: Server, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"{CAT}\n")
    result = run(server, folder, "--accession", HUMAN, "--accessions", tmp_path / "list.txt")
    assert result.stdout.startswith(f"{folder / 'manifest.yaml'}: 2 genomes, ")
    assert result.stderr == ""
    species = load_manifest(folder / "manifest.yaml").species
    assert [entry.name for entry in species] == ["homo_sapiens", "felis_catus"]


def test_a_taxon(server: Server, folder: Path) -> None:
    add_taxon(server, "Felis catus", [[listed(CAT, "Felis catus")]])
    run(server, folder, "--taxon", "Felis catus", "--jobs", 1)
    assert [entry.name for entry in load_manifest(folder / "manifest.yaml").species] == [
        "felis_catus"
    ]


def test_a_manifest(server: Server, folder: Path, tmp_path: Path) -> None:
    species = [{"name": "cat", "token": "<W>", "source": {"accession": CAT}}]
    (tmp_path / "m.yaml").write_text(yaml.safe_dump({"species": species}))
    run(server, folder, tmp_path / "m.yaml")
    (entry,) = load_manifest(folder / "manifest.yaml").species
    assert (entry.name, entry.token) == ("cat", "<W>")
    run(server, folder, folder / "manifest.yaml")
    assert (
        len(
            server.ranges(
                next(path for path in server.files if path.endswith("F.catus_genomic.fna.gz"))
            )
        )
        == 1
    )


def test_a_dry_run_lists_and_writes_nothing(server: Server, folder: Path) -> None:
    result = run(server, folder, "--accession", HUMAN, "--accession", CAT, "--dry-run")
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [row[:2] for row in rows] == [["homo_sapiens", "<R>"], ["felis_catus", "<X>"]]
    for _, _, size, url in rows:
        assert int(size) == len(server.files[url.removeprefix(server.url)])
    assert "2 genomes" in result.stderr and "of which 0.00B are there" in result.stderr
    assert not folder.exists()
    assert not any(server.ranges(url.removeprefix(server.url)) for *_, url in rows)


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_failures_are_told_at_the_end(server: Server, folder: Path, dry: tuple[str, ...]) -> None:
    missing = "GCF_999999999.1"
    result = run(server, folder, "--accession", missing, "--accession", CAT, *dry, status=1)
    first, *_, last = result.stderr.splitlines()
    assert first.startswith(f"dnagpt: {missing}: NCBI has no assembly {missing}")
    assert last.startswith(f"dnagpt: error: 1 of 2 genomes could not be fetched: {missing};")
    if not dry:
        assert [entry.name for entry in load_manifest(folder / "manifest.yaml").species] == [
            "felis_catus"
        ]


def test_a_download_that_fails(server: Server, folder: Path) -> None:
    path = next(path for path in server.files if path.endswith("F.catus_genomic.fna.gz"))
    server.faults[path] = [Fault(status=403)]
    result = run(server, folder, "--accession", CAT, "--accession", HUMAN, status=1)
    first, last = result.stderr.splitlines()
    assert first.startswith("dnagpt: felis_catus: ") and "403" in first
    assert "1 of 2 genomes could not be fetched: felis_catus;" in last
    assert (folder / "manifest.yaml").exists()
    run(server, folder, "--accession", CAT)
    assert len(load_manifest(folder / "manifest.yaml").species) == 2


def test_what_is_wrong_before_anything_is_fetched(
    server: Server, folder: Path, tmp_path: Path
) -> None:
    assert "--taxon" in run(server, folder, status=2).stderr
    for arguments, message in (
        (["--accession", "human"], "'human' is not the accession of an assembly"),
        (["--accessions", tmp_path / "none.txt"], "none.txt: No such file"),
        (["no-such-manifest"], "no-such-manifest"),
    ):
        result = run(server, folder, *arguments, status=1)
        assert result.stderr.startswith("dnagpt: error: ") and message in result.stderr
        assert result.stderr.count("\n") == 1
    assert not folder.exists() and server.requests == []
    folder.mkdir()
    (folder / "manifest.yaml").write_text("mine")
    result = run(server, folder, "--accession", CAT, status=1)
    assert "correct it, move it away or choose another folder" in result.stderr
    assert os.listdir(folder) == ["manifest.yaml"]


def test_two_processes_do_not_fetch_into_one_folder(server: Server, folder: Path) -> None:
    with sole_writer_of_folder(folder):
        result = run(server, folder, "--accession", CAT, status=1)
    assert f"{folder} is being written by process {os.getpid()}" in result.stderr
    assert not folder.exists()


def test_a_disk_that_is_too_small(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 0))
    result = run(server, folder, "--accession", CAT, status=1)
    assert "kB are still to be fetched, but" in result.stderr
    assert not folder.exists()


def test_a_disk_without_room(server: Server, folder: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        said = run(server, folder, "--accession", CAT, status=1).stderr
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert ".partial: File too large after 1,000 bytes of http" in said and said.count("\n") == 2
    assert not (folder / "manifest.yaml").exists()
    run(server, folder, "--accession", CAT)
    assert load_manifest(folder / "manifest.yaml").species[0].name == "felis_catus"
