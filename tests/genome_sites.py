"""Small copies of the layout of Ensembl, Ensembl Genomes and NCBI on a web server of a test."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from pathlib import Path
from typing import Any

from webserver import Server

from dnagpt_hf.genomes.download.checksums import file_checksum
from dnagpt_hf.genomes.download.servers import Servers


def servers(server: Server) -> Servers:
    """The addresses of the sites of one web server."""
    return Servers(
        ensembl=f"{server.url}/ensembl/pub",
        ensembl_genomes=f"{server.url}/eg/pub",
        ncbi=f"{server.url}/genomes/all",
        datasets=f"{server.url}/datasets/v2",
    )


def genome(seed: int, names: list[str], length: int = 2000) -> bytes:
    """A compressed FASTA file of random bases."""
    letters = random.Random(seed)
    records = (f">{name} dna\n{''.join(letters.choices('ACGT', k=length))}\n" for name in names)
    return gzip.compress("".join(records).encode(), mtime=0)


def add_ensembl(
    server: Server,
    folder: str,
    stem: str,
    kinds: tuple[str, ...],
    tmp_path: Path,
    names: list[str] | None = None,
) -> None:
    """A folder `dna` with files of these kinds and their CHECKSUMS."""
    lines = []
    for number, kind in enumerate((*kinds, "chromosome.1", "primary_assembly.1")):
        for masked in ("dna", "dna_rm", "dna_sm"):
            name = f"{stem}.{masked}.{kind}.fa.gz"
            content = genome(number, names or ["1", "MT"])
            server.add(f"{folder}/dna/{name}", content)
            (tmp_path / "sum").write_bytes(content)
            value = file_checksum(tmp_path / "sum", "sum").value
            lines.append(f"{value.replace(' ', chr(9))}\t{name}\n")
    server.add(f"{folder}/dna/CHECKSUMS", "".join(lines))


REPORT = """\
# Assembly name:  {assembly}
# Organism name:  {organism}
# Taxid:          9606
# Sequence-Name\tSequence-Role\tAssigned-Molecule\tAssigned-Molecule-Location/Type\tGenBank-Accn\
\tRelationship\tRefSeq-Accn\tAssembly-Unit\tSequence-Length\tUCSC-style-name
1\tassembled-molecule\t1\tChromosome\tCM1.1\t=\tNC_1.1\tPrimary Assembly\t2000\tchr1
U\tunplaced-scaffold\tna\tna\tKI1.1\t=\tNT_1.1\tPrimary Assembly\t2000\tchrUn
A\talt-scaffold\t1\tChromosome\tKI2.1\t=\tNT_2.1\tALT_REF_LOCI_1\t2000\tchr1_alt
F\tfix-patch\t1\tChromosome\tKI3.1\t=\tNW_3.1\tPATCHES\t2000\tchr1_fix
P\tnovel-patch\t1\tChromosome\tKI4.1\t=\tNW_4.1\tPATCHES\t2000\tchr1_novel
na\tassembled-molecule\tPt\tChloroplast\tna\t<>\tNC_6.1\tnon-nuclear\t2000\tna
MT\tassembled-molecule\tMT\tMitochondrion\tJ01415.2\t=\tNC_5.1\tnon-nuclear\t2000\tchrM
"""
GENBANK_RECORDS = ["CM1.1", "KI1.1", "KI2.1", "KI3.1", "KI4.1", "J01415.2"]
REFSEQ_RECORDS = ["NC_1.1", "NT_1.1", "NT_2.1", "NW_3.1", "NW_4.1", "NC_6.1", "NC_5.1"]


def add_assembly(
    server: Server, accession: str, assembly: str, organism: str | None, seed: int = 0
) -> str:
    """The folder of an assembly; returns the path of its genome."""
    name = f"{accession}_{assembly}"
    digits = accession[4:13]
    parts = "/".join([accession[:3], digits[:3], digits[3:6], digits[6:]])
    folder = f"/genomes/all/{parts}/{name}"
    path = f"{folder}/{name}_genomic.fna.gz"
    contents = {
        path: genome(seed, REFSEQ_RECORDS if accession.startswith("GCF") else GENBANK_RECORDS),
        f"{folder}/{name}_cds_from_genomic.fna.gz": b"cds",
    }
    lines = []
    for file, content in contents.items():
        server.add(file, content)
        lines.append(f"{hashlib.md5(content).hexdigest()}  .{file.removeprefix(folder)}\n")
    server.add(f"{folder}/md5checksums.txt", "".join(lines))
    if organism is not None:
        report = REPORT.format(assembly=assembly, organism=organism).replace("\n", "\r\n")
        server.add(f"{folder}/{name}_assembly_report.txt", report)
    return path


def add_taxon(server: Server, taxon: str, pages: list[list[dict[str, Any]]]) -> str:
    """The list of the assemblies of a taxon, on several pages; returns its path."""
    path = f"/datasets/v2/genome/taxon/{taxon}/dataset_report"
    tokens = ["", *[f"token/{number}=" for number in range(1, len(pages))]]
    for token, page, following in zip(tokens, pages, [*tokens[1:], ""], strict=True):
        answer: dict[str, Any] = {"reports": page, "total_count": sum(map(len, pages))}
        if following:
            answer["next_page_token"] = following
        server.pages.setdefault(path, {})[token] = json.dumps(answer).encode()
    return path


def listed(accession: str, organism: str, **fields: Any) -> dict[str, Any]:
    """An assembly in such a list."""
    return {
        "accession": accession,
        "organism": {"tax_id": 1, "organism_name": organism},
        "assembly_stats": {"total_sequence_length": "12000"},
        **fields,
    }
