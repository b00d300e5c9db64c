"""Writing records of variants with their scores: VCF, BCF and tables, which appear whole."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dnagpt_hf.atomic_files import check_new_file, new_file
from dnagpt_hf.likelihoods.variants import VariantScore
from dnagpt_hf.messages import on_one_line
from dnagpt_hf.records.files import BGZIP_END, STANDARD_STREAM, RecordError, last_bytes, shorten
from dnagpt_hf.records.reading import Record
from dnagpt_hf.variants.files import TABLES, OutputFormat
from dnagpt_hf.variants.records import PREFIX, Fields, VariantFile, VariantRecord
from dnagpt_hf.variants.tables import table_writer
from dnagpt_hf.variants.vcf import (
    BcfFile,
    VcfFile,
    annotated_header,
    annotated_line,
    import_cyvcf2,
    missing_definitions,
    plain_header,
    plain_line,
    text,
)

# a tabix index holds no positions beyond this one
_LAST_OF_TABIX = 1 << 29

WriteScores = Callable[[VariantRecord, Sequence[VariantScore]], None]
_WriteLine = Callable[[bytes], object]


@dataclass
class Written:
    """Facts of a written file, complete when it is closed.

    Args:
        replaced: entries of an earlier run were replaced.
        defined: filters and keys that were added to the header, as BCF needs them.
        no_index: reason for which a compressed file got no index.
        last_position: last position of a record.
    """

    replaced: bool = False
    defined: list[str] = field(default_factory=list)
    no_index: str = ""
    last_position: int = 0


def check_output(output: str | os.PathLike[str], format: str, *, overwrite: bool = False) -> None:
    """Refuse an output that cannot be written, before any work is done.

    Raises:
        DestinationError: it exists, and may not be replaced.
        ImportError: a library of the format is not installed.
    """
    if format == "bcf":
        import_cyvcf2()
    if format in ("bcf", "vcf.gz"):
        _import_pysam()
    if os.fspath(output) != STANDARD_STREAM and not _is_device(output):
        check_new_file(output, overwrite=overwrite)


@contextmanager
def scores_writer(
    output: str | os.PathLike[str],
    format: OutputFormat,
    variants: VariantFile,
    contigs: Mapping[str, int | None],
    fields: Fields,
    *,
    overwrite: bool = False,
) -> Iterator[tuple[WriteScores, Written]]:
    """Open an output that appears at the end, with its index, unless an error occurs.

    Args:
        output: its name; `-` for standard output.
        format: its format.
        variants: the input.
        contigs: names of the chromosomes of the input and their lengths, for the header.
        fields: the fields to write.
        overwrite: replace a file that exists.

    Yields:
        `tuple`: a function that writes a record with the scores of its alleles, and a note of what
        became of the output, which is complete at the end.

    Raises:
        ValueError: the file exists, or a record cannot be written in this format.
        ImportError: a library of the format is not installed.
    """
    written = Written()
    if format in TABLES:
        with table_writer(output, format, variants, fields, overwrite) as write_row:

            def write_of_table(record: VariantRecord, scores: Sequence[VariantScore]) -> None:
                if isinstance(record.content, Record):
                    columns = record.content.values
                    written.replaced |= any(name.startswith(PREFIX) for name in columns)
                write_row(record, scores)

            yield write_of_table, written
        return
    if isinstance(variants, VcfFile | BcfFile):
        # BCF has the number of a contig in the header in place of its name
        added = contigs if format == "bcf" else {}
        header, written.replaced = annotated_header(variants.header, fields.header(), added)
        if format == "bcf" and isinstance(variants, VcfFile):
            missing = missing_definitions(header, variants)
            header[-1:-1] = missing.values()
            written.defined = list(missing)
    else:
        header, _ = annotated_header(plain_header(contigs), fields.header())
    open_lines = {"vcf": _text, "vcf.gz": _bgzip, "bcf": _bcf}[format]
    with open_lines(output, b"\n".join([*header, b""]), written, overwrite) as write_line:

        def write(record: VariantRecord, scores: Sequence[VariantScore]) -> None:
            line, replaced = annotated_line(_line(record), fields.info(scores))
            written.replaced |= replaced
            written.last_position = max(written.last_position, record.position + len(record.ref))
            write_line(line)

        yield write, written


def _line(record: VariantRecord) -> bytes:
    if isinstance(record.content, bytes):
        return record.content
    if "" in record.alts:
        raise record.content.error("VCF has no empty allele: write a table")
    return plain_line(record.chrom, record.position, record.ref, record.alts)


@contextmanager
def _text(
    output: str | os.PathLike[str], header: bytes, written: Written, overwrite: bool
) -> Iterator[_WriteLine]:
    if os.fspath(output) == STANDARD_STREAM:
        stream: Any = sys.stdout.buffer
        stream.write(header)
        yield lambda line: stream.write(line + b"\n")
        stream.flush()
    elif _is_device(output):
        with open(output, "wb") as stream:
            stream.write(header)
            yield lambda line: stream.write(line + b"\n")
    else:
        with new_file(output, overwrite=overwrite) as partial, open(partial, "wb") as stream:
            stream.write(header)
            yield lambda line: stream.write(line + b"\n")


@contextmanager
def _bgzip(
    output: str | os.PathLike[str], header: bytes, written: Written, overwrite: bool
) -> Iterator[_WriteLine]:
    with new_file(output, overwrite=overwrite) as partial:
        with _import_pysam().BGZFile(str(partial), "wb") as stream:
            stream.write(header)
            yield lambda line: stream.write(line + b"\n")
        _index(partial, output, "vcf", written)


@contextmanager
def _bcf(
    output: str | os.PathLike[str], header: bytes, written: Written, overwrite: bool
) -> Iterator[_WriteLine]:
    cyvcf2 = import_cyvcf2()
    with new_file(output, overwrite=overwrite) as partial:
        try:
            writer = cyvcf2.Writer.from_string(str(partial), text(header), mode="wb")
        except Exception as error:
            raise _not_bcf("the header", error) from error

        def write(line: bytes) -> None:
            try:
                writer.write_record(writer.variant_from_string(text(line)))
            except Exception as error:
                name = ":".join(text(cell) for cell in line.split(b"\t", 2)[:2])
                raise _not_bcf(f"record {name}", error) from error

        with closing(writer):
            yield write
        if last_bytes(partial) != BGZIP_END:
            # htslib does not report a full disk
            raise OSError(f"{output} was not written to its end: make room on its disk")
        _index(partial, output, "bcf", written)


def _not_bcf(what: str, error: Exception) -> RecordError:
    reason = shorten(on_one_line(error), 80)
    return RecordError(f"{what} cannot be written as BCF ({reason}): correct it, or write .vcf.gz")


def _index(partial: Path, output: str | os.PathLike[str], preset: str, written: Written) -> None:
    """Make the index of a complete file, beside the place where the file will appear."""
    pysam = _import_pysam()
    is_large = preset == "bcf" or written.last_position >= _LAST_OF_TABIX
    index = partial.with_name(f"{partial.name}.index")
    silent = pysam.set_verbosity(0)
    for old in (".tbi", ".csi"):
        Path(f"{output}{old}").unlink(missing_ok=True)
    try:
        names = {"filename": str(partial), "index": str(index)}
        pysam.tabix_index(**names, preset=preset, csi=is_large, keep_original=True, force=True)
        index.replace(f"{output}{'.csi' if is_large else '.tbi'}")
    except OSError:
        written.no_index = "its records are not sorted (bcftools sort), or its disk is full"
    finally:
        pysam.set_verbosity(silent)
        index.unlink(missing_ok=True)


def _is_device(path: str | os.PathLike[str]) -> bool:
    place = Path(path)
    return place.exists() and not place.is_file() and not place.is_dir()


def _import_pysam() -> Any:
    try:
        import pysam
    except ImportError as error:
        raise ImportError(
            "bgzipped VCF and BCF need pysam: pip install 'dnagpt_hf[variants]', or write .vcf"
        ) from error
    return pysam
