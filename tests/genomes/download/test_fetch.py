"""Genomes arrive in a folder, together with a manifest of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from genome_sites import add_assembly, add_ensembl, add_taxon, listed, servers
from webserver import Fault, Server, web_server

from dnagpt_hf.genomes.download import fetch as module
from dnagpt_hf.genomes.download.fetch import (
    Failure,
    FetchError,
    Found,
    check_space,
    fetch_genomes,
    find_genomes,
)
from dnagpt_hf.genomes.download.http import Web
from dnagpt_hf.genomes.download.manifest_entries import (
    folder_lock,
    merged_entries,
    read_entries,
    update_manifest,
)
from dnagpt_hf.genomes.download.parallel import in_parallel
from dnagpt_hf.genomes.download.requests import (
    Wanted,
    organism_token,
    read_accessions,
    species_name,
    wanted_accessions,
    wanted_species,
    wanted_taxon,
)
from dnagpt_hf.genomes.download.sources import SourceError, TaxonSource, parse_source
from dnagpt_hf.genomes.download.transfer import origin_path, partial_path
from dnagpt_hf.genomes.manifest import load_manifest, open_species
from dnagpt_hf.tokenization_dnagpt import SPECIES

HUMAN = ("GCF_000001405.40", "GRCh38.p14", "Homo sapiens (human)")
CAT = ("GCF_018350175.1", "F.catus_Fca126", "Felis catus (domestic cat)")
DOG = ("GCA_011100685.1", "UU_Cfam", "Canis lupus familiaris (dog)")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[Server]:
    with web_server() as site:
        for seed, assembly in enumerate((HUMAN, CAT, DOG)):
            add_assembly(site, *assembly, seed=seed)
        yield site


@pytest.fixture
def web() -> Web:
    return Web(attempts=2, timeout=5, sleep=lambda seconds: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "genomes"


def address(url: str, name: str = "a", **fields: Any) -> Wanted:
    source = {"url": url, **fields}
    return Wanted(parse_source(source, name), source, name, "<X>")


def genome_path(server: Server, accession: str) -> str:
    return next(
        path
        for path in server.files
        if path.endswith("_genomic.fna.gz") and accession in path and "cds" not in path
    )


def run(
    wanted: list[Wanted], folder: Path, server: Server, web: Web, jobs: int = 2
) -> tuple[list[Found], list[Failure]]:
    """All steps, as the command takes them."""
    found, failures = find_genomes(wanted, folder, web=web, servers=servers(server), jobs=jobs)
    check_space(found, folder)
    failures += fetch_genomes(found, web=web, jobs=jobs)
    failed = {failure.name for failure in failures}
    arrived = [genome for genome in found if genome.name not in failed]
    if arrived:
        update_manifest(folder, arrived)
    return found, failures


def entries(folder: Path) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in read_entries(folder / "manifest.yaml")}


def test_organisms_and_their_tokens() -> None:
    for token, name in SPECIES.items():
        assert organism_token(name) == token
        assert organism_token(name.replace("_", " ")) == token
    assert organism_token("Mus musculus castaneus") == "<S>"
    assert organism_token("Mus spretus", other="<W>") == "<W>"
    assert organism_token("Mus") == "<X>"
    assert species_name("Bos indicus x Bos taurus (hybrid cattle)") == "bos_indicus_x_bos_taurus"
    assert species_name("()") == "unknown"


def test_accessions_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("# mammals\nGCF_000001405.40  human\n\n  GCA_011100685.1# dog\r\n", "utf-8")
    assert read_accessions(file) == ["GCF_000001405.40", "GCA_011100685.1"]
    assert len(wanted_accessions([*read_accessions(file), "GCF_000001405.40"])) == 2
    with pytest.raises(SourceError, match="'human' is no accession"):
        wanted_accessions(["human"])


def test_accessions_become_files_and_a_manifest(server: Server, web: Web, folder: Path) -> None:
    wanted = wanted_accessions(["GCF_000001405", CAT[0], DOG[0]])
    found, failures = run(wanted, folder, server, web)
    assert failures == []
    for genome in found:
        assert genome.path.read_bytes() == server.files[genome_path(server, genome.path.name[:15])]
    assert entries(folder) == {
        "homo_sapiens": {
            "name": "homo_sapiens",
            "token": "<R>",
            "files": ["GCF_000001405.40_GRCh38.p14_genomic.fna.gz"],
            "leave_out": ["NT_2.1", "NW_3.1", "NW_4.1", "NC_6.1", "NC_5.1"],
            "source": {"accession": "GCF_000001405.40"},
        },
        "felis_catus": {
            "name": "felis_catus",
            "token": "<X>",
            "files": ["GCF_018350175.1_F.catus_Fca126_genomic.fna.gz"],
            "leave_out": ["NT_2.1", "NW_3.1", "NW_4.1", "NC_6.1", "NC_5.1"],
            "source": {"accession": "GCF_018350175.1"},
        },
        "canis_lupus_familiaris": {
            "name": "canis_lupus_familiaris",
            "token": "<X>",
            "files": ["GCA_011100685.1_UU_Cfam_genomic.fna.gz"],
            "leave_out": ["KI2.1", "KI3.1", "KI4.1", "J01415.2"],
            "source": {"accession": "GCA_011100685.1"},
        },
    }
    manifest = load_manifest(folder / "manifest.yaml")
    assert [entry.token for entry in manifest.species] == ["<R>", "<X>", "<X>"]
    assert all(file.is_file() for entry in manifest.species for file in entry.files)


def test_what_was_fetched_can_be_opened(server: Server, web: Web, folder: Path) -> None:
    run(wanted_accessions([HUMAN[0], DOG[0]]), folder, server, web)
    for species in open_species(load_manifest(folder / "manifest.yaml")):
        lengths = {contig.name: len(contig) for contig in species.training}
        if species.name == "homo_sapiens":
            assert lengths == {"NC_1.1": 2000, "NT_1.1": 2000}
        else:
            assert lengths == {"CM1.1": 2000, "KI1.1": 2000}


def test_what_is_there_is_not_fetched_again(server: Server, web: Web, folder: Path) -> None:
    wanted = wanted_accessions([HUMAN[0], CAT[0]])
    run(wanted[:1], folder, server, web)
    written = (folder / "manifest.yaml").read_text() + "# a remark\n"
    (folder / "manifest.yaml").write_text(written)
    for _ in range(2):
        found, failures = run(wanted[:1], folder, server, web)
        assert failures == [] and found[0].complete
        assert found[0].received == found[0].size == found[0].path.stat().st_size
    assert (folder / "manifest.yaml").read_text() == written
    run(wanted, folder, server, web)
    assert len(server.ranges(genome_path(server, HUMAN[0]))) == 1
    assert list(entries(folder)) == ["homo_sapiens", "felis_catus"]


def test_settings_in_the_manifest_stay(server: Server, web: Web, folder: Path) -> None:
    run(wanted_accessions([HUMAN[0]]), folder, server, web)
    path = folder / "manifest.yaml"
    content = yaml.safe_load(path.read_text())
    content["species"][0].update(name="human", held_out=["NC_1.1"], leave_out=["NC_5.1"])
    path.write_text(yaml.safe_dump(content))
    run(wanted_accessions([HUMAN[0], CAT[0]]), folder, server, web)
    assert list(entries(folder)) == ["human", "felis_catus"]
    assert entries(folder)["human"]["held_out"] == ["NC_1.1"]
    assert entries(folder)["human"]["leave_out"] == ["NC_5.1"]


def test_a_new_release_replaces_the_files_of_a_species(
    server: Server, web: Web, folder: Path
) -> None:
    old = address(server.add("/1/a.1.fa.gz", b"1"))
    new = address(server.add("/2/a.2.fa.gz", b"2"))
    run([old], folder, server, web)
    content = yaml.safe_load((folder / "manifest.yaml").read_text())
    content["species"][0].update(weight=3, token="<W>", leave_out=["x"])
    (folder / "manifest.yaml").write_text(yaml.safe_dump(content))
    run([new], folder, server, web)
    assert entries(folder) == {
        "a": {
            "name": "a",
            "token": "<W>",
            "weight": 3,
            "files": ["a.2.fa.gz"],
            "source": {"url": f"{server.url}/2/a.2.fa.gz"},
        }
    }


def test_assemblies_of_one_species_have_several_names(
    server: Server, web: Web, folder: Path
) -> None:
    add_assembly(server, "GCA_009914755.4", "T2T-CHM13v2.0", "Homo sapiens (human)", seed=9)
    add_assembly(server, "GCA_000001405.29", "GRCh38.p14", "Homo sapiens (human)")
    both = ["GCF_000001405", "GCF_000001405.40", "GCA_009914755.4"]
    found, _ = run(wanted_accessions(both), folder, server, web)
    assert [genome.name for genome in found] == ["homo_sapiens", "homo_sapiens_GCA_009914755.4"]
    assert list(entries(folder)) == ["homo_sapiens", "homo_sapiens_GCA_009914755.4"]
    run(wanted_accessions(["GCA_000001405.29"]), folder, server, web)
    run(wanted_accessions(["GCA_009914755.4"]), folder, server, web)
    assert list(entries(folder)) == [
        "homo_sapiens",
        "homo_sapiens_GCA_009914755.4",
        "homo_sapiens_GCA_000001405.29",
    ]
    files = [entry["files"] for entry in entries(folder).values()]
    assert len({file for (file,) in files}) == 3


def test_a_failure_does_not_lose_the_others(server: Server, web: Web, folder: Path) -> None:
    broken = genome_path(server, CAT[0])
    server.faults[broken] = [Fault(drop_after=100), Fault(status=500)]
    missing = wanted_accessions(["GCF_999999999.1"])
    wanted = [*missing, *wanted_accessions([CAT[0], HUMAN[0], DOG[0]])]
    _, failures = run(wanted, folder, server, web)
    assert [failure.name for failure in failures] == ["GCF_999999999.1", "felis_catus"]
    assert "no assembly" in str(failures[0].error) and "500" in str(failures[1].error)
    assert set(entries(folder)) == {"homo_sapiens", "canis_lupus_familiaris"}
    cat = folder / broken.rpartition("/")[2]
    assert partial_path(cat).stat().st_size == 100
    _, failures = run(wanted[1:], folder, server, web)
    assert failures == [] and server.ranges(broken)[-1] == "bytes=100-"
    assert set(entries(folder)) == {"homo_sapiens", "canis_lupus_familiaris", "felis_catus"}


def test_a_wrong_checksum_is_a_failure(server: Server, web: Web, folder: Path) -> None:
    path = genome_path(server, CAT[0])
    server.add(path, server.files[path] + b"x")
    _, failures = run(wanted_accessions([CAT[0]]), folder, server, web)
    assert "the partial file is deleted" in str(failures[0].error)
    assert os.listdir(folder) == []


def test_two_files_of_one_name_are_refused(server: Server, web: Web, folder: Path) -> None:
    wanted = [
        address(server.add("/1/genome.fa", b"1"), "one"),
        address(server.add("/2/genome.fa", b"2"), "two"),
        address(server.url + "/2/genome.fa", "three", file="three.fa"),
    ]
    _, failures = run(wanted, folder, server, web)
    assert [failure.name for failure in failures] == ["two"]
    assert "have the same file name: give one another with file: NAME" in str(failures[0].error)
    assert (folder / "genome.fa").read_bytes() == b"1"
    assert list(entries(folder)) == ["one", "three"]


def test_the_genomes_of_a_taxon(server: Server, web: Web, folder: Path) -> None:
    pages = [[listed(HUMAN[0], "Homo sapiens")], [listed(DOG[0], "Canis lupus familiaris")]]
    add_taxon(server, "40674", pages)
    wanted = wanted_taxon(TaxonSource("40674"), web, servers(server), other_token="<W>")
    _, failures = run(wanted, folder, server, web)
    assert failures == []
    assert [(entry["name"], entry["token"]) for entry in entries(folder).values()] == [
        ("homo_sapiens", "<R>"),
        ("canis_lupus_familiaris", "<W>"),
    ]
    assert entries(folder)["homo_sapiens"]["source"] == {"accession": HUMAN[0]}


def test_a_taxon_divides_its_weight(server: Server, web: Web) -> None:
    long = {"total_sequence_length": "36000"}
    genomes = [listed(HUMAN[0], "a", assembly_stats=long), listed(CAT[0], "b")]
    path = add_taxon(server, "7742", [genomes])

    def weights() -> list[Any]:
        source, settings = TaxonSource("7742"), {"weight": 2.0}
        wanted = wanted_taxon(source, web, servers(server), settings=settings)
        return [genome.settings["weight"] for genome in wanted]

    assert weights() == [1.5, 0.5]
    del server.pages[path]
    genomes[0]["assembly_stats"] = {}
    add_taxon(server, "7742", [genomes])
    assert weights() == [1.0, 1.0]


def test_weights_are_for_all_or_none(server: Server, web: Web, folder: Path) -> None:
    run(wanted_accessions([HUMAN[0]]), folder, server, web)
    weighted = replace(wanted_accessions([CAT[0]])[0], settings={"weight": 2.0})
    found, _ = find_genomes([weighted], folder, web=web, servers=servers(server))
    expected = r"manifest\.yaml: felis_catus has a weight and homo_sapiens has none: give weights"
    with pytest.raises(FetchError, match=expected):
        merged_entries(folder / "manifest.yaml", found)
    assert list(entries(folder)) == ["homo_sapiens"]


def test_a_manifest_with_sources(server: Server, web: Web, folder: Path, tmp_path: Path) -> None:
    base = "/ensembl/pub/release-110/fasta/homo_sapiens"
    add_ensembl(server, base, "Homo_sapiens.GRCh38", ("primary_assembly",), tmp_path)
    add_taxon(server, "9681", [[listed(CAT[0], "Felis catus")]])
    own = server.add("/own/genome.fa.gz", b"own")
    asked = {
        "species": [
            {
                "name": "homo_sapiens",
                "token": "<R>",
                "leave_out": ["MT"],
                "held_out": ["1"],
                "weight": 0.5,
                "source": {"ensembl": {"release": 110}},
            },
            {"name": "cats", "token": "<Z>", "weight": 2.0, "source": {"taxon": 9681}},
            {"name": "own", "token": "<W>", "weight": 1, "source": {"url": own}},
        ]
    }
    (tmp_path / "asked.yaml").write_text(yaml.safe_dump(asked))
    wanted = wanted_species(load_manifest(tmp_path / "asked.yaml"), web, servers(server))
    _, failures = run(wanted, folder, server, web)
    assert failures == []
    human = {**asked["species"][0], "files": ["Homo_sapiens.GRCh38.dna.primary_assembly.fa.gz"]}
    assert entries(folder)["homo_sapiens"] == human
    cat = entries(folder)["felis_catus"]
    assert (cat["token"], cat["weight"], cat["source"]) == ("<Z>", 2.0, {"accession": CAT[0]})
    assert entries(folder)["own"]["files"] == ["genome.fa.gz"]
    again = wanted_species(load_manifest(folder / "manifest.yaml"), web, servers(server))
    found, failures = run(again, folder, server, web)
    assert failures == [] and all(genome.complete for genome in found)


def test_a_species_without_a_source_cannot_be_fetched(
    server: Server, web: Web, tmp_path: Path
) -> None:
    species: dict[str, Any] = {"name": "a", "token": "<X>", "files": ["a.fa"]}
    path = tmp_path / "m.yaml"
    (tmp_path / "a.fa").touch()
    for source, message in (({}, "a has no source"), ({"source": {"url": "x"}}, "'x' does not")):
        path.write_text(yaml.safe_dump({"species": [{**species, **source}]}))
        with pytest.raises(SourceError, match=rf"m\.yaml: .*{message}"):
            wanted_species(load_manifest(path), web, servers(server))


@pytest.mark.parametrize("content", ["just text", "species: 1", "species: [1]", "{", "a: b"])
def test_a_file_that_is_no_manifest_is_not_replaced(folder: Path, content: str) -> None:
    folder.mkdir()
    (folder / "manifest.yaml").write_text(content)
    with pytest.raises(FetchError, match=r"manifest\.yaml is there, but it is no manifest"):
        update_manifest(folder, [])
    assert (folder / "manifest.yaml").read_text() == content


def test_a_full_disk_is_noticed_before(
    server: Server, web: Web, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = wanted_accessions([HUMAN[0], CAT[0]])
    found, _ = find_genomes(wanted, folder, web=web, servers=servers(server))
    sizes = [genome.size or 0 for genome in found]

    class Usage:
        free = sum(sizes) - 1

    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(
        FetchError, match=r"genomes: .* kB are still to be fetched, but .* are free"
    ):
        check_space(found, folder)
    folder.mkdir()
    partial_path(found[0].path).write_bytes(b"x" * 100)
    check_space(found, folder)
    partial_path(found[0].path).unlink()
    Usage.free = sizes[0]
    check_space(found[:1], folder)


def test_progress_counts_what_is_there_already(server: Server, web: Web, folder: Path) -> None:
    run(wanted_accessions([HUMAN[0]]), folder, server, web)
    looked: list[tuple[int, int | None]] = []
    fetched: list[tuple[int, int | None]] = []
    found, _ = find_genomes(
        wanted_accessions([HUMAN[0], CAT[0]]),
        folder,
        web=web,
        servers=servers(server),
        report=lambda *of: looked.append(of),
    )
    fetch_genomes(found, web=web, report=lambda *of: fetched.append(of))
    total = sum(genome.size or 0 for genome in found)
    assert looked == [(1, 2), (2, 2)]
    assert fetched[0][0] > 0 and fetched[-1] == (total, total)


def test_an_interrupt_keeps_what_has_arrived(server: Server, web: Web, folder: Path) -> None:
    path = genome_path(server, HUMAN[0])
    server.add("/big/a.fa", b"ACGT" * 100_000)
    server.faults["/big/a.fa"] = [Fault(stall_after=200_000)]
    program = (
        "import signal, sys\n"
        # a program that is started in the background inherits that the signal is ignored
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from pathlib import Path\n"
        "from dnagpt_hf.genomes.download.fetch import *\n"
        "from dnagpt_hf.genomes.download.sources import parse_source\n"
        "fields = {'url': sys.argv[1]}\n"
        "web = Web()\n"
        "wanted = [Wanted(parse_source(fields, 'a'), fields, 'a', '<X>')]\n"
        "found, _ = find_genomes(wanted, Path(sys.argv[2]), web=web, servers=Servers())\n"
        "fetch_genomes(found, web=web)\n"
    )
    command = [sys.executable, "-c", program, server.url + "/big/a.fa", str(folder)]
    partial = partial_path(folder / "a.fa")
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        while not partial.exists() or partial.stat().st_size < 131_072:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=90)
    assert process.returncode != 0 and errors.rstrip().endswith(b"KeyboardInterrupt")
    received = partial.stat().st_size
    assert 131_072 <= received < 400_000 and origin_path(folder / "a.fa").exists()
    _, failures = run([address(server.url + "/big/a.fa")], folder, server, web)
    assert failures == [] and server.ranges("/big/a.fa")[-1] == f"bytes={received}-"
    assert (folder / "a.fa").read_bytes() == b"ACGT" * 100_000
    assert path not in [asked for _, asked, _ in server.requests]


def test_errors_that_are_not_the_users_are_raised() -> None:
    web = Web()

    def function(number: int) -> int:
        if number == 2:
            raise ZeroDivisionError
        return number

    with pytest.raises(ZeroDivisionError):
        in_parallel(function, [1, 2, 3], 2, web.stop)
    assert web.stop.is_set()
    assert in_parallel(function, [1, 3, 5], 2, web.stop) == [1, 3, 5]
    assert in_parallel(function, [], 2, web.stop) == []


def test_two_processes_do_not_fetch_into_one_folder(folder: Path) -> None:
    with (
        folder_lock(folder),
        pytest.raises(FetchError, match="another process fetches genomes into this folder"),
        folder_lock(folder),
    ):
        pass
    with folder_lock(folder):
        pass
