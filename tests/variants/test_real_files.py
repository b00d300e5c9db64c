"""Files of the VCF specification and of bcftools' tests, where they are beside the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dnagpt_hf import open_genome
from dnagpt_hf.likelihoods.alleles import Variant
from dnagpt_hf.likelihoods.settings import VariantSettings
from dnagpt_hf.likelihoods.variants import VariantScore, score_variants
from dnagpt_hf.records.files import RecordError
from dnagpt_hf.variants.files import open_variants
from dnagpt_hf.variants.records import Fields
from dnagpt_hf.variants.vcf import annotated_line
from dnagpt_hf.variants.writing import scores_writer

DATA = Path(__file__).parents[3] / "shared" / "data" / "variants"
if not DATA.is_dir():
    pytest.skip("there are no real files of variants in ../shared/data", allow_module_level=True)
SPECIFICATION = DATA / "hts_specs_vcf"
NORM = DATA / "bcftools_norm_consensus"


def read(path: Path) -> list[bytes]:
    """The lines of a file as they are written with an entry more and without it again."""
    with open_variants(path) as variants:
        records = list(variants)
    written = [annotated_line(record.content, "DNAGPT_LLR=1")[0] for record in records]
    assert all(b"DNAGPT_LLR=1" in line for line in written)
    return [line.replace(b";DNAGPT_LLR=1", b"") for line in written]


@pytest.mark.parametrize("version", ["4.1", "4.2", "4.3", "4.5"])
def test_valid_files_are_read_and_unchanged(version: str) -> None:
    paths = sorted((SPECIFICATION / version / "passed").glob("*.vcf"))
    assert paths
    for path in paths:
        lines = [line for line in path.read_bytes().splitlines() if not line.startswith(b"#")]
        plain = [line.replace(b"\tDNAGPT_LLR=1", b"\t.") for line in read(path)]
        assert plain == lines, path


@pytest.mark.parametrize("version", ["4.1", "4.2", "4.3", "4.5"])
def test_valid_files_become_bcf(tmp_path: Path, version: str) -> None:
    pytest.importorskip("cyvcf2")
    pytest.importorskip("pysam")
    fields = Fields(llr=True, site=False, model="a model", settings=VariantSettings())
    for path in sorted((SPECIFICATION / version / "passed").glob("*.vcf")):
        output = tmp_path / f"{path.stem}.bcf"
        with open_variants(path) as variants:
            records = list(variants)
            contigs = dict.fromkeys(record.chrom for record in records)
            with scores_writer(output, "bcf", variants, contigs, fields) as (write, _):
                for record in records:
                    alleles = [
                        Variant(record.chrom, record.position, record.ref, alt)
                        for alt in record.alleles
                    ]
                    write(record, [VariantScore(one, -1.5, None, None) for one in alleles])
        with open_variants(output) as written:
            found = [(one.chrom, one.position, one.ref, one.alts) for one in written]
        assert found == [(one.chrom, one.position, one.ref, one.alts) for one in records], path


@pytest.mark.parametrize("version", ["4.1", "4.2", "4.3"])
def test_invalid_files_are_read_or_named(version: str) -> None:
    paths = sorted((SPECIFICATION / version / "failed").glob("*.vcf"))
    assert paths
    for path in paths:
        try:
            read(path)
        except RecordError as error:
            assert str(path) in str(error)
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("vcf", "normalized", "fasta"),
    [("norm.vcf", "norm.out", "norm.fa"), ("norm.right-align.vcf", "norm.right-align.1.out",
      "norm.right-align.fa")],
)  # fmt: skip
def test_records_that_bcftools_moves_score_alike(
    tmp_path: Path, tiny_model: Any, tiny_tokenizer: Any, vcf: str, normalized: str, fasta: str
) -> None:
    genome = open_genome(NORM / fasta, tmp_path)
    settings = VariantSettings(species="U", window=48, stride=24, right=12)

    def scores(name: str) -> list[float]:
        with open_variants(NORM / name) as variants:
            alleles = [
                Variant(record.chrom, record.position, record.ref, record.alleles[0])
                for record in variants
            ]
        found = score_variants(tiny_model, tiny_tokenizer, genome, alleles, settings)
        # moved records are sorted anew
        return sorted(one.llr for one in found if one.llr is not None)

    before = scores(vcf)
    assert len(before) > 1
    assert scores(normalized) == pytest.approx(before, abs=1e-4)
