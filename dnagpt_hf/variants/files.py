"""Opening files of variants by what is in them, and the formats that are written."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, cast, get_args

from dnagpt_hf.records.compression import decompressed, is_gzip
from dnagpt_hf.records.files import (
    BGZIP_END,
    STANDARD_STREAM,
    RecordError,
    ending,
    format_of_name,
    last_bytes,
    open_bytes,
    source_name,
)
from dnagpt_hf.variants.records import VariantFile
from dnagpt_hf.variants.tables import TableFile
from dnagpt_hf.variants.vcf import BcfFile, VcfFile

OutputFormat = Literal["vcf", "vcf.gz", "bcf", "tsv", "csv", "jsonl", "parquet"]
TABLES = ("tsv", "csv", "jsonl", "parquet")

_VCF_STARTS = (b"##", b"#CHROM\tPOS\tID\tREF\tALT\tQUAL", b"\xef\xbb\xbf##")
_BCF_START = b"BCF"
_BGZIP_START = b"\x1f\x8b\x08\x04"


@contextmanager
def open_variants(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Iterator[VariantFile]:
    """Open a file of variants: VCF, BCF or a table, plain or compressed.

    Standard input is copied to a temporary file, because a file of variants is read several times.

    Args:
        path: the file; `-` for standard input.
        format: csv, tsv, jsonl or parquet for a table whose name and first line do not tell.
        columns: columns of a table to rename, `{NEW: OLD}`.

    Raises:
        RecordError: the file is empty, cut off, or not read as any of these.
        OSError: it cannot be opened.

    Example:

        >>> path = Path(tempfile.mkdtemp()) / "calls.tsv"
        >>> _ = path.write_text("chrom\\tpos\\tref\\talt\\nchrI\\t7\\tA\\tC\\n")
        >>> with open_variants(path) as variants:
        ...     [str(one) for one in variants]
        ['chrI:7']
    """
    source = source_name(path)
    if os.fspath(path) != STANDARD_STREAM:
        yield _open(Path(path), source, format or format_of_name(path), columns)
        return
    with tempfile.NamedTemporaryFile(prefix="dnagpt-") as copy:
        with open_bytes(path) as stream:
            shutil.copyfileobj(stream, copy)
        copy.flush()
        yield _open(Path(copy.name), source, format, columns)


def _open(
    path: Path, source: str, format: str | None, columns: Mapping[str, str] | None
) -> VariantFile:
    start = _first_bytes(path, source)
    if not start:
        raise RecordError(f"{source} is empty")
    if start.startswith(_BCF_START):
        return BcfFile(path, source)
    if start.startswith(_VCF_STARTS) or (format is None and ending(source) == ".vcf"):
        return VcfFile(path, source)
    return TableFile(path, source, format, columns)


def _first_bytes(path: Path, source: str) -> bytes:
    """Read the first bytes behind a compression, and check the end of a bgzipped file."""
    with open_bytes(path) as raw:
        if not is_gzip(raw):
            return decompressed(raw, source).read(64)
        is_bgzipped = raw.peek(4)[:4] == _BGZIP_START
        # htslib and gzip read a file without its last blocks without an error
        if is_bgzipped and last_bytes(path) != BGZIP_END:
            raise RecordError(f"{source} is cut off: it lacks the end of a bgzipped file")
        try:
            return gzip.GzipFile(fileobj=raw).read(64)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise RecordError(f"{source} is cut off or damaged: {error}") from error


def choose_format(
    path: str | os.PathLike[str], variants: VariantFile | None, stated: str | None = None
) -> OutputFormat:
    """Choose the format in which scores are written.

    Args:
        path: the output; `-` for standard output.
        variants: the input.
        stated: the format, if it is stated.

    Raises:
        ValueError: neither `stated` nor the ending of the name tells, or the output is standard
            output and no text.

    Example:

        >>> choose_format("scored.vcf.bgz", None), choose_format("scored.pq", None)
        ('vcf.gz', 'parquet')
    """
    name = os.fspath(path)
    is_stream = name == STANDARD_STREAM
    found = stated or format_of_name(name)
    if found is None and is_stream:
        found = "tsv" if isinstance(variants, TableFile) else "vcf"
    elif found is None and ending(name) in (".vcf", ".bcf"):
        is_compressed = Path(name).suffix.lower() != ending(name)
        found = "vcf.gz" if ending(name) == ".vcf" and is_compressed else ending(name)[1:]
    if found not in get_args(OutputFormat):
        raise ValueError(
            f"{name}: scores of variants are written as {', '.join(get_args(OutputFormat))}: end "
            "the name so, or state the format (--output-format)"
        )
    if is_stream and found in ("vcf.gz", "bcf", "parquet"):
        raise ValueError(f"standard output takes text, not {found}: choose vcf or tsv, or a file")
    return cast(OutputFormat, found)
