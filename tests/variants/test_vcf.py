"""Lines of VCF, headers, and files that are broken."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from variant_files import HEADER, lines, write_vcf

from dnagpt_hf.records.files import RecordError
from dnagpt_hf.variants.files import choose_format, open_variants
from dnagpt_hf.variants.vcf import annotated_header, annotated_line, parse_line


@pytest.mark.parametrize(
    ("info", "written", "was_replaced"),
    [
        (b".", b"DNAGPT_LLR=1", False),
        (b"", b"DNAGPT_LLR=1", False),
        (b"AC=1;DB", b"AC=1;DB;DNAGPT_LLR=1", False),
        (b"DNAGPT_LLR=7;AC=1;DNAGPT_NOTE=x", b"AC=1;DNAGPT_LLR=1", True),
    ],
)
def test_info_gets_an_entry(info: bytes, written: bytes, was_replaced: bool) -> None:
    line = b"1\t7\t.\tA\tC\t1e2\tq10\t%s\tGT\t0/1 \xff"
    assert annotated_line(line % info, "DNAGPT_LLR=1") == (line % written, was_replaced)


def test_info_without_an_entry_stays() -> None:
    assert annotated_line(b"1\t7\t.\tA\tC\t.\t.\t.", "")[0].endswith(b"\t.")


def test_a_header_gets_lines_and_loses_those_of_an_earlier_run() -> None:
    header = [line.encode() for line in HEADER]
    new = ['##INFO=<ID=DNAGPT_LLR,Description="new">', "##dnagpt_variants=new"]
    first, was_replaced = annotated_header(header, new, {"chr1": 9, "chr2": None})
    assert not was_replaced
    assert first == [
        *header[:-1], b"##contig=<ID=chr2>", *(line.encode() for line in new), header[-1]
    ]  # fmt: skip
    second, was_replaced = annotated_header(first, new)
    assert was_replaced
    assert second == first


def test_alleles_of_a_line() -> None:
    record = parse_line(b"chr1\t0\t.\tacg\ta,<DEL:me>,*,]chr1:5]A\t.\t.\t.", "a.vcf", 3)
    assert (record.position, record.ref) == (-1, "ACG")
    assert record.alts == ("A", "<DEL:me>", "*", "]chr1:5]A")
    assert parse_line(b"chr1\t7\t.\tA\t.\t.\t.\t.", "a.vcf", 3).alleles == (".",)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "line 6: an empty line"),
        ("chr1\t5\t.\tA\tC", "line 6: 5 columns where a record of VCF has at least eight"),
        ("chr1 5 . A C . . .", "line 6: 1 columns"),
        ("chr1\tfive\t.\tA\tC\t.\t.\t.", "line 6: the position 'five' is no number"),
        ("chr1\t5\t.\tA\tC,,G\t.\t.\t.", "line 6: an allele is empty: write . where there is"),
        ("chr1\t5\t.\t\tC\t.\t.\t.", "line 6: an allele is empty"),
        ("chr1\t-5\t.\tA\tC\t.\t.\t.", "line 6: the position '-5' is no number"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = write_vcf(tmp_path / "a.vcf", [line, *lines()])
    with open_variants(path) as variants, pytest.raises(RecordError, match=f"a.vcf, {message}"):
        list(variants)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.vcf is empty"),
        (b"##fileformat=VCFv4.2\nchr1\t5\t.\tA\tC\t.\t.\t.\n", "line 2: no header of VCF"),
        (b"##fileformat=VCFv4.2\n", "line 2: no header of VCF"),
        (b"\x28\xb5\x2f\xfd....", "compressed with zstd"),
        (gzip.compress(b"##fileformat=VCFv4.2\n" * 900)[:-12], "cut off"),
    ],
)
def test_a_file_that_is_no_vcf(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.vcf"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=message), open_variants(path) as variants:
        list(variants)


def test_a_bgzipped_file_without_its_end(tmp_path: Path) -> None:
    pysam = pytest.importorskip("pysam")
    path = tmp_path / "a.vcf.gz"
    with pysam.BGZFile(str(path), "wb") as stream:
        stream.write(write_vcf(tmp_path / "a.vcf", lines()).read_bytes())
    path.write_bytes(path.read_bytes()[:-28])
    with pytest.raises(RecordError, match="lacks the end of a bgzipped file"), open_variants(path):
        pass


def test_line_ends_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = write_vcf(tmp_path / "a.vcf", lines())
    expected = path.read_bytes().splitlines()[5:]
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n")[:-2])
    with open_variants(path) as variants:
        assert [record.content for record in variants] == expected


@pytest.mark.parametrize(
    ("name", "stated", "format"),
    [
        ("a.vcf", None, "vcf"),
        ("a.VCF.gz", None, "vcf.gz"),
        ("a.bcf", None, "bcf"),
        ("-", None, "vcf"),
        ("a.tsv.gz", None, "tsv"),
        ("a.txt", "jsonl", "jsonl"),
    ],
)
def test_the_format_of_an_output(name: str, stated: str | None, format: str) -> None:
    assert choose_format(name, None, stated) == format


@pytest.mark.parametrize(
    ("name", "stated", "message"),
    [("a.txt", None, "written as vcf, vcf.gz"), ("-", "bcf", "takes text"), ("a.fa", None, "a.fa")],
)
def test_an_output_without_a_format(name: str, stated: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose_format(name, None, stated)
