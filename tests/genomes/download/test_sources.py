"""Genomes are found where Ensembl and NCBI have them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from genome_sites import add_assembly, add_ensembl, add_taxon, listed, servers
from webserver import Server, web_server

from dnagpt_hf.genomes.download.checksums import Checksum
from dnagpt_hf.genomes.download.ensembl import ensembl_genome
from dnagpt_hf.genomes.download.http import DownloadError, HttpClient, MissingError
from dnagpt_hf.genomes.download.ncbi import links, ncbi_genome, reference_genomes
from dnagpt_hf.genomes.download.transfer import download
from dnagpt_hf.genomes.manifest import SpeciesEntry, load_manifest
from dnagpt_hf.genomes.sources import (
    AccessionSource,
    AddressSource,
    EnsemblRelease,
    EnsemblSource,
    TaxonSource,
)
from dnagpt_hf.yaml_files import validated

SHA = "ab" * 32


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[Server]:
    with web_server() as site:
        yield site


@pytest.fixture
def client(server: Server) -> HttpClient:
    return HttpClient(servers(server), attempts=1, timeout=5)


def parse_source(fields: object) -> Any:
    entry = {"name": "Homo_sapiens", "token": "<R>", "source": fields}
    return validated(SpeciesEntry, entry, "m.yaml").source


@pytest.mark.parametrize(
    ("fields", "source"),
    [
        ({"ensembl": {"release": 110}}, EnsemblSource(ensembl=EnsemblRelease(release=110))),
        (
            {
                "ensembl": {
                    "release": "57",
                    "species": "escherichia_coli_gca_001721525",
                    "division": "bacteria",
                    "collection": "bacteria_5_collection",
                    "file": "toplevel",
                }
            },
            EnsemblSource(
                ensembl=EnsemblRelease(
                    release=57,
                    species="escherichia_coli_gca_001721525",
                    division="bacteria",
                    collection="bacteria_5_collection",
                    file="toplevel",
                )
            ),
        ),
        ({"accession": "GCA_000001405"}, AccessionSource(accession="GCA_000001405")),
        ({"taxon": 40674}, TaxonSource(taxon="40674")),
        ({"taxon": " Felis catus"}, TaxonSource(taxon="Felis catus")),
    ],
)
def test_sources(fields: Any, source: object) -> None:
    assert parse_source(fields) == source


def test_addresses() -> None:
    source = parse_source({"url": "https://a.b/c%20/d.fa.gz?x=1"})
    assert isinstance(source, AddressSource)
    assert (source.file_name, source.checksum) == ("d.fa.gz", None)
    source = parse_source({"url": "http://a.b/", "file": "e.fa", "sha256": SHA})
    assert (source.file_name, source.checksum) == ("e.fa", Checksum("sha256", SHA))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("GCF_000001405", "is 'GCF_000001405': give one of ensembl, accession, url, taxon"),
        ({}, "is {}: give one of ensembl, accession, url, taxon"),
        ({"taxon": 1, "accession": "GCA_000001405"}, "give one of"),
        ({"accession": "GCF_1"}, "accession: 'GCF_1' is not the accession of an assembly"),
        ({"accession": "GCF_000001405.40", "release": 1}, "unknown key 'release'"),
        ({"ensembl": 110}, "ensembl is 110: should be"),
        ({"ensembl": {"species": "a"}}, "ensembl, release is missing"),
        ({"ensembl": {"release": "x"}}, "release is 'x': should be a valid integer"),
        ({"ensembl": {"release": 110, "species": "../x"}}, "species is '../x': should match"),
        ({"ensembl": {"release": 110, "division": "birds"}}, "is 'birds': should be 'vertebrates'"),
        ({"ensembl": {"release": 110, "file": "chromosome"}}, "'primary_assembly' or 'toplevel'"),
        ({"ensembl": {"release": 110, "fil": 1}}, "unknown key 'fil': did you mean file"),
        ({"url": "ftp://a/b"}, "url is 'ftp://a/b': should match pattern '^https?://'"),
        ({"url": "http://a/b", "file": "/etc/x"}, "file is '/etc/x': should match"),
        ({"url": "http://a/b", "file": ".."}, "file is '..': should match"),
        ({"url": "http://a/"}, "http://a/ ends in no name of a file"),
        ({"url": "http://a/b", "md5": "1"}, "'1' is not a checksum of the kind md5"),
        ({"url": "http://a/b", "md5": "0" * 32, "sum": "1 1"}, "not several"),
        ({"taxon": " "}, "taxon is ' ': should have at least 1 character"),
    ],
)
def test_sources_that_are_none(fields: object, message: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_source(fields)
    assert str(error.value).startswith("m.yaml: source") and message in str(error.value)


HUMAN = "/ensembl/pub/release-110/fasta/homo_sapiens"


@pytest.mark.parametrize(
    ("kinds", "file", "expected"),
    [
        (("toplevel", "primary_assembly"), None, "primary_assembly"),
        (("toplevel", "primary_assembly"), "toplevel", "toplevel"),
        (("toplevel",), None, "toplevel"),
    ],
)
def test_the_primary_assembly_is_taken_where_there_is_one(
    server: Server,
    client: HttpClient,
    tmp_path: Path,
    kinds: tuple[str, ...],
    file: Any,
    expected: str,
) -> None:
    add_ensembl(server, HUMAN, "Homo_sapiens.GRCh38", kinds, tmp_path)
    source = EnsemblRelease(release=110, file=file)
    found = ensembl_genome(source, "Homo_sapiens", client)
    assert found.name == f"Homo_sapiens.GRCh38.dna.{expected}.fa.gz"
    assert found.url == f"{server.url}{HUMAN}/dna/{found.name}"
    download(found.url, tmp_path / "a", client=client, checksum=found.checksum)
    assert found.checksum is not None and found.checksum.algorithm == "sum"


def test_plants_have_a_site_of_their_own(
    server: Server, client: HttpClient, tmp_path: Path
) -> None:
    folder = "/eg/pub/plants/release-57/fasta/arabidopsis_thaliana"
    add_ensembl(server, folder, "Arabidopsis_thaliana.TAIR10", ("toplevel",), tmp_path)
    source = EnsemblRelease(release=57, species="arabidopsis_thaliana", division="plants")
    found = ensembl_genome(source, "other", client)
    assert found.name == "Arabidopsis_thaliana.TAIR10.dna.toplevel.fa.gz"


SPECIES_TABLE = (
    "#name\tspecies\tdivision\ttaxonomy_id\tassembly\tcore_db\tspecies_id\n"
    "other\tescherichia_coli\tEnsemblBacteria\t1\tx\tbacteria_0_collection_core_57_110_1\t1\t\n"
    "E. coli\tescherichia_coli_gca_001721525\tEnsemblBacteria\t562\tASM172152v1\t"
    "bacteria_91_collection_core_57_110_1\t2\t\n"
)


@pytest.mark.parametrize("collection", [None, "bacteria_91_collection"])
def test_bacteria_stand_in_collections(
    server: Server, client: HttpClient, tmp_path: Path, collection: str | None
) -> None:
    species = "escherichia_coli_gca_001721525"
    base = "/eg/pub/bacteria/release-57"
    folder = f"{base}/fasta/bacteria_91_collection/{species}"
    add_ensembl(server, folder, f"{species.capitalize()}.ASM172152v1", ("toplevel",), tmp_path)
    if collection is None:
        server.add(f"{base}/species_EnsemblBacteria.txt", SPECIES_TABLE)
    source = EnsemblRelease(release=57, species=species, division="bacteria", collection=collection)
    found = ensembl_genome(source, "other", client)
    assert found.url.startswith(f"{server.url}{folder}/dna/Escherichia_coli_gca_001721525.ASM17")


def test_what_ensembl_does_not_have(server: Server, client: HttpClient, tmp_path: Path) -> None:
    def find(source: EnsemblRelease) -> None:
        ensembl_genome(source, "other", client)

    with pytest.raises(MissingError, match=r"release-9/fasta/homo_sapiens/dna/CHECKSUMS: .* 404"):
        find(EnsemblRelease(release=9, species="homo_sapiens"))
    add_ensembl(server, HUMAN, "Homo_sapiens.GRCh38", ("alt",), tmp_path)
    with pytest.raises(ValueError, match=r"primary_assembly or \*.dna.toplevel.fa.gz, but Homo"):
        find(EnsemblRelease(release=110, species="homo_sapiens"))
    server.add(f"{HUMAN}/dna/CHECKSUMS", "<html>\n")
    with pytest.raises(ValueError, match="the line '<html>' holds no checksum"):
        find(EnsemblRelease(release=110, species="homo_sapiens"))
    server.add(f"{HUMAN}/dna/CHECKSUMS", "1 1 ../../x.dna.toplevel.fa.gz\n")
    with pytest.raises(ValueError, match=r"but \.\./\.\./x"):
        find(EnsemblRelease(release=110, species="homo_sapiens"))
    server.add("/eg/pub/bacteria/release-57/species_EnsemblBacteria.txt", SPECIES_TABLE)
    with pytest.raises(ValueError, match="has no species 'salmonella'"):
        find(EnsemblRelease(release=57, species="salmonella", division="bacteria"))


@pytest.mark.parametrize(
    ("accession", "version"),
    [("GCF_000001405", 40), ("GCF_000001405.40", 40), ("GCF_000001405.9", 9)],
)
def test_assemblies_by_accession(
    server: Server, client: HttpClient, accession: str, version: int
) -> None:
    for number in (9, 40, 39):
        add_assembly(server, f"GCF_000001405.{number}", f"GRCh38.p{number}", "Homo sapiens (human)")
    found = ncbi_genome(accession, client)
    name = f"GCF_000001405.{version}_GRCh38.p{version}"
    path = f"/genomes/all/GCF/000/001/405/{name}/{name}_genomic.fna.gz"
    assert found.url == server.url + path
    assert found.checksum == Checksum("md5", hashlib.md5(server.files[path]).hexdigest())
    assert found.organism == "Homo sapiens"


def test_organelles_and_other_versions_are_left_out(server: Server, client: HttpClient) -> None:
    add_assembly(server, "GCF_000001405.40", "GRCh38.p14", "Homo sapiens (human)")
    add_assembly(server, "GCA_000001405.29", "GRCh38.p14", "Homo sapiens (human)")
    refseq = ncbi_genome("GCF_000001405", client)
    assert refseq.leave_out == ("NT_2.1", "NW_3.1", "NW_4.1", "NC_6.1", "NC_5.1")
    genbank = ncbi_genome("GCA_000001405", client)
    assert genbank.leave_out == ("KI2.1", "KI3.1", "KI4.1", "J01415.2")


def test_an_assembly_without_a_report_or_with_an_odd_name(
    server: Server, client: HttpClient
) -> None:
    path = add_assembly(server, "GCA_123456789.1", "odd name#1", None)
    found = ncbi_genome("GCA_123456789.1", client)
    assert found.organism is None and found.leave_out == ()
    assert found.name == path.rpartition("/")[2]
    assert client.size(found.url) == len(server.files[path])


def test_what_ncbi_does_not_have(server: Server, client: HttpClient) -> None:
    def find(accession: str) -> None:
        ncbi_genome(accession, client)

    path = add_assembly(server, "GCF_000001405.40", "GRCh38.p14", "Homo sapiens")
    with pytest.raises(ValueError, match=r"no assembly GCF_000001406.1: .*000/001/406/ is not"):
        find("GCF_000001406.1")
    with pytest.raises(ValueError, match=r"its versions at .* are GCF_000001405.40$"):
        find("GCF_000001405.41")
    server.add(f"{path.rpartition('/')[0]}/md5checksums.txt", "")
    with pytest.raises(ValueError, match=r"has no file GCF_000001405.40_GRCh38.p14_genomic.fna.gz"):
        find("GCF_000001405.40")


def test_links_of_an_index_page() -> None:
    page = """<h1>Index of /a</h1><a href="?C=N;O=D">Name</a> <A HREF="/a/">Parent</A>
    <a name="x">x</a><a href="https://host/a/b%23c/">b</a> <a href="d.gz">d</a>"""
    assert links(page)[-2:] == ["b#c", "d.gz"]


def test_reference_genomes_of_a_taxon_page_by_page(server: Server, client: HttpClient) -> None:
    path = add_taxon(
        server,
        "40674",
        [
            [
                listed("GCF_000001405.40", "Homo sapiens", paired_accession="GCA_000001405.29"),
                listed("GCA_000001405.29", "Homo sapiens", paired_accession="GCF_000001405.40"),
            ],
            [listed("GCA_123456789.1", "Felis catus", paired_accession="GCF_000000001.1")],
            [listed("GCA_123456789.1", "Felis catus", assembly_stats={})],
        ],
    )
    found = reference_genomes("40674", client)
    assert [(one.accession, one.organism, one.bases) for one in found] == [
        ("GCF_000001405.40", "Homo sapiens", 12000),
        ("GCA_123456789.1", "Felis catus", None),
    ]
    assert [asked for _, asked, _ in server.requests] == [path] * 3
    queries = [parse_qs(urlsplit(query).query) for query in server.queries]
    assert all(query["filters.reference_only"] == ["true"] for query in queries)
    assert [query.get("page_token") for query in queries] == [None, ["token/1="], ["token/2="]]


def test_taxa_that_are_none(server: Server, client: HttpClient) -> None:
    def find(taxon: str) -> None:
        reference_genomes(taxon, client)

    with pytest.raises(DownloadError, match=r"taxon/Felis%20catus/dataset_report: .* 404"):
        find("Felis catus")
    path = add_taxon(server, "1", [[]])
    with pytest.raises(ValueError, match="no reference genome for the taxon '1'"):
        find("1")
    for answer, message in (
        (b"<html>", "is not a list of assemblies"),
        (b"[1]", "should be a mapping"),
        (
            b'{"reports": [{"accession": "GCF_000001405.40"}]}',
            "reports 1, organism_name is missing",
        ),
        (b'{"reports": [{"accession": "../x", "organism": {}}]}', "is not the accession"),
    ):
        server.pages[path][""] = answer
        with pytest.raises(ValueError, match=message):
            find("1")


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "genomes.md"
    (tmp_path / "m.yaml").write_text(page.read_text("utf-8").split("```yaml\n")[1].split("```")[0])
    species = load_manifest(tmp_path / "m.yaml").species
    assert {type(entry.source) for entry in species} == {
        EnsemblSource,
        AccessionSource,
        AddressSource,
        TaxonSource,
    }
