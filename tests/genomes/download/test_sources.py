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
from dnagpt_hf.genomes.download.http import DownloadError, MissingError, Web
from dnagpt_hf.genomes.download.ncbi import ReferenceGenome, links, ncbi_genome, reference_genomes
from dnagpt_hf.genomes.download.sources import (
    AccessionSource,
    AddressSource,
    EnsemblSource,
    SourceError,
    TaxonSource,
    parse_source,
)
from dnagpt_hf.genomes.download.transfer import download
from dnagpt_hf.genomes.manifest import load_manifest

WEB = Web(attempts=1, timeout=5)
SHA = "ab" * 32


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[Server]:
    with web_server() as site:
        yield site


@pytest.mark.parametrize(
    ("fields", "source"),
    [
        ({"ensembl": {"release": 110}}, EnsemblSource(110, "homo_sapiens")),
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
                57,
                "escherichia_coli_gca_001721525",
                "bacteria",
                "bacteria_5_collection",
                "toplevel",
            ),
        ),
        ({"accession": "GCA_000001405"}, AccessionSource("GCA_000001405")),
        (
            {"url": "https://a.b/c%20/d.fa.gz?x=1"},
            AddressSource("https://a.b/c%20/d.fa.gz?x=1", "d.fa.gz"),
        ),
        (
            {"url": "http://a.b/", "file": "e.fa", "sha256": SHA},
            AddressSource("http://a.b/", "e.fa", Checksum("sha256", SHA)),
        ),
        ({"taxon": 40674}, TaxonSource("40674")),
        ({"taxon": "Felis catus"}, TaxonSource("Felis catus")),
    ],
)
def test_sources(fields: Any, source: object) -> None:
    assert parse_source(fields, "Homo_sapiens") == source


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (None, "source is None, not a mapping"),
        ("GCF_000001405", "not a mapping"),
        ({}, r"has the keys \(none\): give one of ensembl, accession, url, taxon"),
        ({"taxon": 1, "accession": "GCA_000001405"}, "has the keys taxon, accession"),
        ({"accession": "GCF_1"}, "'GCF_1' is no accession of an assembly"),
        ({"accession": "GCF_000001405.40", "release": 1}, "unknown key 'release'"),
        ({"ensembl": 110}, "ensembl is 110, not a mapping"),
        ({"ensembl": {"species": "a"}}, "release of Ensembl is '', not a number"),
        ({"ensembl": {"release": 110, "species": "../x"}}, r"species '../x' is no plain name"),
        ({"ensembl": {"release": 110, "division": "birds"}}, "'birds' is not one of vertebrates"),
        ({"ensembl": {"release": 110, "file": "chromosome"}}, "one of primary_assembly, toplevel"),
        ({"ensembl": {"release": 110, "sort": 1}}, "unknown key 'sort'"),
        ({"url": "ftp://a/b"}, "'ftp://a/b' does not start with http"),
        ({"url": "http://a/b", "file": "/etc/x"}, "file '/etc/x' is no plain name"),
        ({"url": "http://a/b", "file": ".."}, "no plain name"),
        ({"url": "http://a/"}, "file '' is no plain name"),
        ({"url": "http://a/b", "md5": "1"}, "'1' is no checksum of the kind md5"),
        ({"url": "http://a/b", "md5": "0" * 32, "sum": "1 1"}, "not several"),
        ({"taxon": " "}, "taxon is empty"),
    ],
)
def test_sources_that_are_none(fields: object, message: str) -> None:
    with pytest.raises(SourceError, match=message) as error:
        parse_source(fields, "Homo_sapiens")
    assert str(error.value).startswith("Homo_sapiens: ")


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
    server: Server, tmp_path: Path, kinds: tuple[str, ...], file: str | None, expected: str
) -> None:
    add_ensembl(server, HUMAN, "Homo_sapiens.GRCh38", kinds, tmp_path)
    found = ensembl_genome(EnsemblSource(110, "homo_sapiens", file=file), WEB, servers(server))
    assert found.file == f"Homo_sapiens.GRCh38.dna.{expected}.fa.gz"
    assert found.url == f"{server.url}{HUMAN}/dna/{found.file}"
    path = download(found.url, tmp_path / "a", checksum=found.checksum, web=WEB)
    assert found.checksum is not None and found.checksum.algorithm == "sum"
    assert path.stat().st_size == len(server.files[f"{HUMAN}/dna/{found.file}"])


def test_plants_have_a_site_of_their_own(server: Server, tmp_path: Path) -> None:
    folder = "/eg/pub/plants/release-57/fasta/arabidopsis_thaliana"
    add_ensembl(server, folder, "Arabidopsis_thaliana.TAIR10", ("toplevel",), tmp_path)
    source = EnsemblSource(57, "arabidopsis_thaliana", "plants")
    found = ensembl_genome(source, WEB, servers(server))
    assert found.file == "Arabidopsis_thaliana.TAIR10.dna.toplevel.fa.gz"


SPECIES_TABLE = (
    "#name\tspecies\tdivision\ttaxonomy_id\tassembly\tcore_db\tspecies_id\n"
    "other\tescherichia_coli\tEnsemblBacteria\t1\tx\tbacteria_0_collection_core_57_110_1\t1\t\n"
    "E. coli\tescherichia_coli_gca_001721525\tEnsemblBacteria\t562\tASM172152v1\t"
    "bacteria_91_collection_core_57_110_1\t2\t\n"
)


@pytest.mark.parametrize("collection", [None, "bacteria_91_collection"])
def test_bacteria_stand_in_collections(
    server: Server, tmp_path: Path, collection: str | None
) -> None:
    species = "escherichia_coli_gca_001721525"
    base = "/eg/pub/bacteria/release-57"
    folder = f"{base}/fasta/bacteria_91_collection/{species}"
    add_ensembl(server, folder, f"{species.capitalize()}.ASM172152v1", ("toplevel",), tmp_path)
    if collection is None:
        server.add(f"{base}/species_EnsemblBacteria.txt", SPECIES_TABLE)
    source = EnsemblSource(57, species, "bacteria", collection)
    found = ensembl_genome(source, WEB, servers(server))
    assert found.url.startswith(f"{server.url}{folder}/dna/Escherichia_coli_gca_001721525.ASM17")


def test_what_ensembl_does_not_have(server: Server, tmp_path: Path) -> None:
    def find(source: EnsemblSource) -> None:
        ensembl_genome(source, WEB, servers(server))

    with pytest.raises(MissingError, match=r"release-9/fasta/homo_sapiens/dna/CHECKSUMS: .* 404"):
        find(EnsemblSource(9, "homo_sapiens"))
    add_ensembl(server, HUMAN, "Homo_sapiens.GRCh38", ("alt",), tmp_path)
    with pytest.raises(SourceError, match=r"primary_assembly or \*.dna.toplevel.fa.gz, but Homo"):
        find(EnsemblSource(110, "homo_sapiens"))
    server.add(f"{HUMAN}/dna/CHECKSUMS", "<html>\n")
    with pytest.raises(SourceError, match="the line '<html>' holds no checksum"):
        find(EnsemblSource(110, "homo_sapiens"))
    server.add(f"{HUMAN}/dna/CHECKSUMS", "1 1 ../../x.dna.toplevel.fa.gz\n")
    with pytest.raises(SourceError, match="none of that kind"):
        find(EnsemblSource(110, "homo_sapiens"))
    server.add("/eg/pub/bacteria/release-57/species_EnsemblBacteria.txt", SPECIES_TABLE)
    with pytest.raises(SourceError, match="has no species 'salmonella'"):
        find(EnsemblSource(57, "salmonella", "bacteria"))


@pytest.mark.parametrize(
    ("accession", "version"),
    [("GCF_000001405", 40), ("GCF_000001405.40", 40), ("GCF_000001405.9", 9)],
)
def test_assemblies_by_accession(server: Server, accession: str, version: int) -> None:
    for number in (9, 40, 39):
        add_assembly(server, f"GCF_000001405.{number}", f"GRCh38.p{number}", "Homo sapiens (human)")
    found = ncbi_genome(accession, WEB, servers(server))
    name = f"GCF_000001405.{version}_GRCh38.p{version}"
    path = f"/genomes/all/GCF/000/001/405/{name}/{name}_genomic.fna.gz"
    assert found.url == server.url + path
    assert found.checksum == Checksum("md5", hashlib.md5(server.files[path]).hexdigest())
    assert found.organism == "Homo sapiens"


def test_organelles_and_other_versions_are_left_out(server: Server) -> None:
    add_assembly(server, "GCF_000001405.40", "GRCh38.p14", "Homo sapiens (human)")
    add_assembly(server, "GCA_000001405.29", "GRCh38.p14", "Homo sapiens (human)")
    refseq = ncbi_genome("GCF_000001405", WEB, servers(server))
    assert refseq.leave_out == ("NT_2.1", "NW_3.1", "NW_4.1", "NC_6.1", "NC_5.1")
    genbank = ncbi_genome("GCA_000001405", WEB, servers(server))
    assert genbank.leave_out == ("KI2.1", "KI3.1", "KI4.1", "J01415.2")


def test_an_assembly_without_a_report_or_with_an_odd_name(server: Server) -> None:
    path = add_assembly(server, "GCA_123456789.1", "odd name#1", None)
    found = ncbi_genome("GCA_123456789.1", WEB, servers(server))
    assert found.organism is None and found.leave_out == ()
    assert found.file == path.rpartition("/")[2]
    assert WEB.size(found.url) == len(server.files[path])


def test_what_ncbi_does_not_have(server: Server) -> None:
    def find(accession: str) -> None:
        ncbi_genome(accession, WEB, servers(server))

    path = add_assembly(server, "GCF_000001405.40", "GRCh38.p14", "Homo sapiens")
    with pytest.raises(SourceError, match=r"no assembly GCF_000001406.1: .*000/001/406/ is not"):
        find("GCF_000001406.1")
    with pytest.raises(SourceError, match=r"its versions at .* are GCF_000001405.40$"):
        find("GCF_000001405.41")
    server.add(f"{path.rpartition('/')[0]}/md5checksums.txt", "")
    with pytest.raises(
        SourceError, match=r"has no file GCF_000001405.40_GRCh38.p14_genomic.fna.gz"
    ):
        find("GCF_000001405.40")


def test_links_of_an_index_page() -> None:
    page = """<h1>Index of /a</h1><a href="?C=N;O=D">Name</a> <A HREF="/a/">Parent</A>
    <a name="x">x</a><a href="https://host/a/b%23c/">b</a> <a href="d.gz">d</a>"""
    assert links(page)[-2:] == ["b#c", "d.gz"]


def test_reference_genomes_of_a_taxon_page_by_page(server: Server) -> None:
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
    assert reference_genomes("40674", WEB, servers(server)) == [
        ReferenceGenome("GCF_000001405.40", "Homo sapiens", 12000),
        ReferenceGenome("GCA_123456789.1", "Felis catus", None),
    ]
    assert [asked for _, asked, _ in server.requests] == [path] * 3
    queries = [parse_qs(urlsplit(query).query) for query in server.queries]
    assert all(query["filters.reference_only"] == ["true"] for query in queries)
    assert [query.get("page_token") for query in queries] == [None, ["token/1="], ["token/2="]]


def test_taxa_that_are_none(server: Server) -> None:
    def find(taxon: str) -> None:
        reference_genomes(taxon, WEB, servers(server))

    with pytest.raises(DownloadError, match=r"taxon/Felis%20catus/dataset_report: .* 404"):
        find("Felis catus")
    path = add_taxon(server, "1", [[]])
    with pytest.raises(SourceError, match="no reference genome for the taxon '1'"):
        find("1")
    for answer, message in (
        (b"<html>", "is no list of assemblies"),
        (b"[1]", "is no list of assemblies"),
        (b'{"reports": [{"accession": "GCF_000001405.40"}]}', "has no 'organism'"),
        (b'{"reports": [{"accession": "../x", "organism": {}}]}', "is no accession"),
    ):
        server.pages[path][""] = answer
        with pytest.raises(SourceError, match=message):
            find("1")


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "genomes.md"
    (tmp_path / "m.yaml").write_text(page.read_text("utf-8").split("```yaml\n")[1].split("```")[0])
    species = load_manifest(tmp_path / "m.yaml").species
    kinds = [type(parse_source(entry.source, entry.name)) for entry in species]
    assert set(kinds) == {EnsemblSource, AccessionSource, AddressSource, TaxonSource}
