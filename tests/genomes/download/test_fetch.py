"""Genomes arrive in a folder, together with a manifest of them."""

from __future__ import annotations

import hashlib
import json
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
from dnagpt_hf.genomes.download.fetch import FailedDownload, GenomeFolder
from dnagpt_hf.genomes.download.folder_manifest import merge_entries, read_entries
from dnagpt_hf.genomes.download.http import HttpClient
from dnagpt_hf.genomes.download.requests import (
    GenomeRequest,
    LocatedGenome,
    find_requests,
    manifest_requests,
    organism_token,
    species_name,
    taxon_requests,
)
from dnagpt_hf.genomes.download.transfer import partial_path
from dnagpt_hf.genomes.manifest import load_manifest, open_species
from dnagpt_hf.genomes.sources import AccessionSource, AddressSource
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
def client(server: Server) -> HttpClient:
    return HttpClient(servers(server), attempts=2, timeout=5, backoff=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "genomes"


def accession_requests(accessions: list[str]) -> list[GenomeRequest]:
    return [GenomeRequest(AccessionSource(accession=one)) for one in accessions]


def address(url: str, name: str = "a", **fields: Any) -> GenomeRequest:
    return GenomeRequest(AddressSource(url=url, **fields), {"name": name, "token": "<X>"})


def genome_path(server: Server, accession: str) -> str:
    return next(
        path
        for path in server.files
        if path.endswith("_genomic.fna.gz") and accession in path and "cds" not in path
    )


def run(
    requests: list[GenomeRequest], folder: Path, server: Server, client: HttpClient, jobs: int = 2
) -> tuple[list[LocatedGenome], list[FailedDownload]]:
    """Locate the genomes and fetch those that are found."""
    target = GenomeFolder(folder, client, jobs)
    genomes = target.locate(requests)
    target.fetch(genomes)
    return genomes, target.failures


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


def test_accessions_from_a_file(client: HttpClient, tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("# mammals\nGCF_000001405.40  human\n\n  GCA_011100685.1# dog\r\n", "utf-8")
    requests = find_requests(client, accessions=["GCF_000001405.40"], accession_file=file)
    assert [one.name for one in requests] == ["GCF_000001405.40", "GCA_011100685.1"]
    with pytest.raises(ValueError, match="'human' is not the accession"):
        find_requests(client, accessions=["human"])


def test_accessions_become_files_and_a_manifest(
    server: Server, client: HttpClient, folder: Path
) -> None:
    requests = accession_requests(["GCF_000001405", CAT[0], DOG[0]])
    genomes, failures = run(requests, folder, server, client)
    assert failures == []
    for genome in genomes:
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
    assert all(file.is_file() for entry in manifest.species for file in manifest.files(entry))


def test_what_was_fetched_can_be_opened(server: Server, client: HttpClient, folder: Path) -> None:
    run(accession_requests([HUMAN[0], DOG[0]]), folder, server, client)
    for species in open_species(load_manifest(folder / "manifest.yaml")):
        lengths = {contig.name: len(contig) for contig in species.training}
        if species.name == "homo_sapiens":
            assert lengths == {"NC_1.1": 2000, "NT_1.1": 2000}
        else:
            assert lengths == {"CM1.1": 2000, "KI1.1": 2000}


def test_what_is_there_is_not_fetched_again(
    server: Server, client: HttpClient, folder: Path
) -> None:
    requests = accession_requests([HUMAN[0], CAT[0]])
    run(requests[:1], folder, server, client)
    written = (folder / "manifest.yaml").read_text() + "# a remark\n"
    (folder / "manifest.yaml").write_text(written)
    for _ in range(2):
        genomes, failures = run(requests[:1], folder, server, client)
        assert failures == [] and genomes[0].path.exists()
        assert genomes[0].received == genomes[0].size == genomes[0].path.stat().st_size
    assert (folder / "manifest.yaml").read_text() == written
    run(requests, folder, server, client)
    assert len(server.ranges(genome_path(server, HUMAN[0]))) == 1
    assert list(entries(folder)) == ["homo_sapiens", "felis_catus"]


def test_settings_in_the_manifest_stay(server: Server, client: HttpClient, folder: Path) -> None:
    run(accession_requests([HUMAN[0]]), folder, server, client)
    path = folder / "manifest.yaml"
    content = yaml.safe_load(path.read_text())
    content["species"][0].update(name="human", held_out=["NC_1.1"], leave_out=["NC_5.1"])
    path.write_text(yaml.safe_dump(content))
    run(accession_requests([HUMAN[0], CAT[0]]), folder, server, client)
    assert list(entries(folder)) == ["human", "felis_catus"]
    assert entries(folder)["human"]["held_out"] == ["NC_1.1"]
    assert entries(folder)["human"]["leave_out"] == ["NC_5.1"]


def test_a_new_release_replaces_the_files_of_a_species(
    server: Server, client: HttpClient, folder: Path
) -> None:
    old = address(server.add("/1/a.1.fa.gz", b"1"))
    new = address(server.add("/2/a.2.fa.gz", b"2"))
    run([old], folder, server, client)
    content = yaml.safe_load((folder / "manifest.yaml").read_text())
    content["species"][0].update(weight=3, token="<W>", leave_out=["x"])
    (folder / "manifest.yaml").write_text(yaml.safe_dump(content))
    run([new], folder, server, client)
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
    server: Server, client: HttpClient, folder: Path
) -> None:
    add_assembly(server, "GCA_009914755.4", "T2T-CHM13v2.0", "Homo sapiens (human)", seed=9)
    add_assembly(server, "GCA_000001405.29", "GRCh38.p14", "Homo sapiens (human)")
    both = ["GCF_000001405", "GCF_000001405.40", "GCA_009914755.4"]
    genomes, _ = run(accession_requests(both), folder, server, client)
    assert len(genomes) == 2
    assert list(entries(folder)) == ["homo_sapiens", "homo_sapiens_GCA_009914755.4"]
    run(accession_requests(["GCA_000001405.29"]), folder, server, client)
    run(accession_requests(["GCA_009914755.4"]), folder, server, client)
    assert list(entries(folder)) == [
        "homo_sapiens",
        "homo_sapiens_GCA_009914755.4",
        "homo_sapiens_GCA_000001405.29",
    ]
    files = [entry["files"] for entry in entries(folder).values()]
    assert len({file for (file,) in files}) == 3


def test_a_failure_does_not_lose_the_others(
    server: Server, client: HttpClient, folder: Path
) -> None:
    broken = genome_path(server, CAT[0])
    server.faults[broken] = [Fault(drop_after=100), *[Fault(status=500)] * 2]
    missing = accession_requests(["GCF_999999999.1"])
    requests = [*missing, *accession_requests([CAT[0], HUMAN[0], DOG[0]])]
    _, failures = run(requests, folder, server, client)
    assert [failure.name for failure in failures] == ["GCF_999999999.1", "felis_catus"]
    assert "no assembly" in str(failures[0].error) and "500" in str(failures[1].error)
    assert set(entries(folder)) == {"homo_sapiens", "canis_lupus_familiaris"}
    cat = folder / broken.rpartition("/")[2]
    assert partial_path(cat).stat().st_size == 100
    _, failures = run(requests[1:], folder, server, client)
    assert failures == [] and server.ranges(broken)[-1] == "bytes=100-"
    assert set(entries(folder)) == {"homo_sapiens", "canis_lupus_familiaris", "felis_catus"}


def test_a_wrong_checksum_is_a_failure(server: Server, client: HttpClient, folder: Path) -> None:
    path = genome_path(server, CAT[0])
    server.add(path, server.files[path] + b"x")
    _, failures = run(accession_requests([CAT[0]]), folder, server, client)
    assert "arrived twice with the checksum" in str(failures[0].error)
    assert not folder.exists()


def test_two_files_of_one_name_are_refused(
    server: Server, client: HttpClient, folder: Path
) -> None:
    requests = [
        address(server.add("/1/genome.fa", b"1"), "one"),
        address(server.add("/2/genome.fa", b"2"), "two"),
        address(server.url + "/2/genome.fa", "three", file="three.fa"),
    ]
    _, failures = run(requests, folder, server, client)
    assert [failure.name for failure in failures] == ["two"]
    assert "have the same file name: give one another with file: NAME" in str(failures[0].error)
    assert (folder / "genome.fa").read_bytes() == b"1"
    assert list(entries(folder)) == ["one", "three"]


def test_the_genomes_of_a_taxon(server: Server, client: HttpClient, folder: Path) -> None:
    pages = [[listed(HUMAN[0], "Homo sapiens")], [listed(DOG[0], "Canis lupus familiaris")]]
    add_taxon(server, "40674", pages)
    requests = taxon_requests("40674", client, {"token": "<W>"})
    _, failures = run(requests, folder, server, client)
    assert failures == []
    assert [(entry["name"], entry["token"]) for entry in entries(folder).values()] == [
        ("homo_sapiens", "<R>"),
        ("canis_lupus_familiaris", "<W>"),
    ]
    assert entries(folder)["homo_sapiens"]["source"] == {"accession": HUMAN[0]}


def test_a_taxon_divides_its_weight(server: Server, client: HttpClient) -> None:
    long = {"total_sequence_length": "36000"}
    genomes = [listed(HUMAN[0], "a", assembly_stats=long), listed(CAT[0], "b")]
    path = add_taxon(server, "7742", [genomes])

    def weights() -> list[Any]:
        requests = taxon_requests("7742", client, {"weight": 2.0})
        return [genome.entry["weight"] for genome in requests]

    assert weights() == [1.5, 0.5]
    del server.pages[path]
    genomes[0]["assembly_stats"] = {}
    add_taxon(server, "7742", [genomes])
    assert weights() == [1.0, 1.0]


def test_weights_are_for_all_or_none(server: Server, client: HttpClient, folder: Path) -> None:
    run(accession_requests([HUMAN[0]]), folder, server, client)
    weighted = replace(accession_requests([CAT[0]])[0], entry={"weight": 2.0})
    genomes = GenomeFolder(folder, client).locate([weighted])
    expected = r"manifest\.yaml: felis_catus has a weight and homo_sapiens has none: give weights"
    with pytest.raises(ValueError, match=expected):
        merge_entries(folder / "manifest.yaml", genomes)
    assert list(entries(folder)) == ["homo_sapiens"]


def test_a_manifest_with_sources(
    server: Server, client: HttpClient, folder: Path, tmp_path: Path
) -> None:
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
    requests = manifest_requests(load_manifest(tmp_path / "asked.yaml"), client)
    _, failures = run(requests, folder, server, client)
    assert failures == []
    human = {**asked["species"][0], "files": ["Homo_sapiens.GRCh38.dna.primary_assembly.fa.gz"]}
    assert entries(folder)["homo_sapiens"] == human
    cat = entries(folder)["felis_catus"]
    assert (cat["token"], cat["weight"], cat["source"]) == ("<Z>", 2.0, {"accession": CAT[0]})
    assert entries(folder)["own"]["files"] == ["genome.fa.gz"]
    again = manifest_requests(load_manifest(folder / "manifest.yaml"), client)
    genomes, failures = run(again, folder, server, client)
    assert failures == [] and all(genome.path.exists() for genome in genomes)


def test_a_species_without_a_source_cannot_be_fetched(
    server: Server, client: HttpClient, tmp_path: Path
) -> None:
    species: dict[str, Any] = {"name": "a", "token": "<X>", "files": ["a.fa"]}
    path = tmp_path / "m.yaml"
    (tmp_path / "a.fa").touch()
    for source, message in (
        ({}, "a has no source"),
        ({"source": {"url": "x"}}, "url is 'x': should match"),
    ):
        path.write_text(yaml.safe_dump({"species": [{**species, **source}]}))
        with pytest.raises(ValueError, match=rf"m\.yaml: .*{message}"):
            manifest_requests(load_manifest(path), client)


@pytest.mark.parametrize("content", ["just text", "species: 1", "species: [1]", "{", "a: b"])
def test_a_file_that_is_no_manifest_is_not_replaced(folder: Path, content: str) -> None:
    folder.mkdir()
    (folder / "manifest.yaml").write_text(content)
    with pytest.raises(
        ValueError, match=r"manifest\.yaml: .* correct it, move it away or choose another"
    ):
        merge_entries(folder / "manifest.yaml", [])
    assert (folder / "manifest.yaml").read_text() == content


def test_a_full_disk_is_noticed_before(
    server: Server, client: HttpClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = accession_requests([HUMAN[0], CAT[0]])
    target = GenomeFolder(folder, client)
    genomes = target.locate(requests)
    sizes = [genome.size or 0 for genome in genomes]

    class Usage:
        free = sum(sizes) - 1

    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(ValueError, match=r"genomes: .*kB are still to be fetched, but .* are free"):
        target.check_space(genomes)
    folder.mkdir()
    partial_path(genomes[0].path).write_bytes(b"x" * 100)
    target.check_space(genomes)
    partial_path(genomes[0].path).unlink()
    Usage.free = sizes[0]
    target.check_space(genomes[:1])


def test_progress_counts_what_is_there_already(
    server: Server, client: HttpClient, folder: Path
) -> None:
    run(accession_requests([HUMAN[0]]), folder, server, client)
    looked_up: list[int] = []
    fetched: list[int] = []
    target = GenomeFolder(folder, client)
    genomes = target.locate(accession_requests([HUMAN[0], CAT[0]]), looked_up.append)
    there = sum(genome.received for genome in genomes)
    assert there == genomes[0].size
    target.fetch(genomes, fetched.append)
    assert looked_up == [1, 1]
    assert there + sum(fetched) == sum(genome.size or 0 for genome in genomes)


def test_an_interrupt_keeps_what_has_arrived(
    server: Server, client: HttpClient, folder: Path
) -> None:
    contents = {name: name.encode() * 400_000 for name in "abc"}
    sources = []
    for name, content in contents.items():
        url = server.add(f"/{name}.fa", content)
        sources.append({"url": url, "md5": hashlib.md5(content).hexdigest()})
        # the first two stand still, the third waits for its turn
        server.faults[f"/{name}.fa"] = [Fault(stall_after=200_000)]
    program = (
        "import json, signal, sys\n"
        # a program that is started in the background inherits that the signal is ignored
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from pathlib import Path\n"
        "from dnagpt_hf.genomes.download.fetch import *\n"
        "from dnagpt_hf.genomes.sources import AccessionSource, AddressSource\n"
        "sources = [AddressSource(**fields) for fields in json.loads(sys.argv[1])]\n"
        "requests = [GenomeRequest(source, {'name': source.file_name}) for source in sources]\n"
        "target = GenomeFolder(Path(sys.argv[2]), HttpClient())\n"
        "target.fetch(target.locate(requests))\n"
    )
    command = [sys.executable, "-c", program, json.dumps(sources), str(folder)]
    partial = [partial_path(folder / f"{name}.fa") for name in "ab"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while not all(one.exists() and one.stat().st_size >= 131_072 for one in partial):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        interrupted = time.monotonic()
        _, errors = process.communicate(timeout=50)
    # it does not wait for a silent server
    assert time.monotonic() - interrupted < 10
    assert process.returncode != 0 and b"KeyboardInterrupt" in errors
    received = [one.stat().st_size for one in partial]
    assert sorted(path.name for path in folder.iterdir()) == ["a.fa.partial", "b.fa.partial"]
    server.faults.clear()
    requests = [
        address(source["url"], name, md5=source["md5"])
        for name, source in zip("abc", sources, strict=True)
    ]
    _, failures = run(requests, folder, server, client)
    assert failures == []
    for name, content in contents.items():
        assert (folder / f"{name}.fa").read_bytes() == content
    resumed = [server.ranges(f"/{name}.fa")[-1] for name in "ab"]
    assert resumed == [f"bytes={number}-" for number in received]
    assert list(entries(folder)) == ["a", "b", "c"]


def test_errors_of_the_program_are_raised(
    server: Server, client: HttpClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(module, "ncbi_genome")
    with pytest.raises(NameError):
        run(accession_requests([HUMAN[0]]), folder, server, client)


@pytest.mark.parametrize("lengths", [True, False])
def test_a_file_of_another_origin_is_not_touched(
    server: Server, client: HttpClient, folder: Path, lengths: bool
) -> None:
    folder.mkdir()
    server.lengths = lengths
    md5 = hashlib.md5(b"theirs").hexdigest()
    requests = [address(server.add("/a.fa", b"theirs"), md5=md5)]
    (folder / "a.fa").write_bytes(b"mine")
    _, failures = run(requests, folder, server, client)
    assert "it is not the file of" in str(failures[0].error)
    assert (folder / "a.fa").read_bytes() == b"mine"
    (folder / "a.fa").write_bytes(b"theirs")
    assert run(requests, folder, server, client)[1] == []
    assert server.ranges("/a.fa") == []
