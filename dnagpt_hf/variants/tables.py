"""Tables of variants: CSV, TSV, JSON lines and Parquet with a column for each part of a variant."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dnagpt_hf.atomic_files import new_file
from dnagpt_hf.likelihoods.variants import VariantScore
from dnagpt_hf.records.files import RecordError, shorten
from dnagpt_hf.records.reading import Record, RecordReader, change_columns
from dnagpt_hf.records.writing import row_writer
from dnagpt_hf.variants.records import NO_ALT, NOTE, PREFIX, Fields, VariantFile, VariantRecord
from dnagpt_hf.variants.vcf import COLUMNS, annotated_line, text

# what tables of variants call their columns, in lower case
SPELLINGS = {
    "chrom": ("chrom", "chr", "chromosome", "contig", "seqid", "seqname"),
    "pos": ("pos", "position"),
    "ref": ("ref", "reference", "ref_allele", "reference_allele", "allele_ref"),
    "alt": ("alt", "alternate", "alternative", "alt_allele", "alternate_allele", "allele_alt"),
}
_EMPTY = ("", "-")
_ROWS_IN_GROUP = 4096


class TableFile:
    """A table with a row for each variant; positions count from 1, as in VCF.

    The columns may be named in any of `SPELLINGS`, in any case. The alternative `-` stands for the
    deletion of the reference allele.

    Args:
        path: the file.
        source: its name in messages.
        format: csv, tsv, jsonl or parquet; by default the file tells.
        columns: columns to rename, `{NEW: OLD}`.
    """

    def __init__(
        self,
        path: Path,
        source: str,
        format: str | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> None:
        self.path, self.source, self.format, self.columns = path, source, format, columns

    def __iter__(self) -> Iterator[VariantRecord]:
        """Read the rows in their order.

        Raises:
            RecordError: a column is missing, a position is no number, or a reference allele is
                empty, since tables differ in the place of such an insertion.
        """
        with RecordReader(self.path, format=self.format) as reader:
            reader.source = self.source
            found: dict[str, str] = {}
            for record in change_columns(reader, self.columns):
                found = found or find_columns(record)
                yield _variant(record, found)

    def types(self) -> dict[str, Any]:
        """Read the types of the columns; empty if the file is not Parquet."""
        import pyarrow.parquet

        with open(self.path, "rb") as stream:
            if stream.read(4) != b"PAR1":
                return {}
        new_names = {old: new for new, old in (self.columns or {}).items()}
        schema = pyarrow.parquet.read_schema(self.path)
        return {new_names.get(field.name, field.name): field.type for field in schema}


def find_columns(record: Record) -> dict[str, str]:
    """Find the columns of chromosome, position and alleles.

    Raises:
        RecordError: one is missing, or two have its name.

    Example:

        >>> values = dict.fromkeys(["#CHROM", "Position (hg19)", "Ref", "ALT"], "")
        >>> find_columns(Record(values, "1", "calls.tsv", 1, 2))
        {'chrom': '#CHROM', 'pos': 'Position (hg19)', 'ref': 'Ref', 'alt': 'ALT'}
    """
    plain = {name: re.sub(r"\(.*\)", "", name).strip(" #_").lower() for name in record.values}
    plain = {name: re.sub(r"[ .-]+", "_", spelling) for name, spelling in plain.items()}
    found = {}
    for column, spellings in SPELLINGS.items():
        names = [name for name, spelling in plain.items() if spelling in spellings]
        if len(names) != 1:
            problem = f"columns {' and '.join(names)} both" if names else "none of its columns"
            raise RecordError(
                f"{record.source}: {problem} may be {column} ({', '.join(spellings[:3])}); its "
                f"columns are {shorten(', '.join(record.values), 200)}: rename one, as --columns "
                f"{column}=NAME does"
            )
        found[column] = names[0]
    return found


def _variant(record: Record, columns: Mapping[str, str]) -> VariantRecord:
    chrom, position, ref, alt = (str(record.values[name]).strip() for name in columns.values())
    # a table that went through a program of statistics may hold numbers with a point
    digits = position.removesuffix(".0").replace(",", "")
    if not digits.isdigit():
        raise record.error(f"its position {shorten(position)!r} is no number")
    if ref in _EMPTY:
        raise record.error(
            f"its reference allele is {ref!r}: write an insertion with the base before it"
        )
    alts = () if alt == NO_ALT else tuple(one.strip() for one in alt.split(","))
    alts = tuple("" if one in _EMPTY else one.upper() if one.isalpha() else one for one in alts)
    return VariantRecord(chrom, int(digits) - 1, ref.upper(), alts, record, record.line)


@contextmanager
def table_writer(
    output: str | os.PathLike[str],
    format: str,
    variants: VariantFile,
    fields: Fields,
    overwrite: bool = False,
) -> Iterator[Callable[[VariantRecord, Sequence[VariantScore]], None]]:
    """Open a table with a row for each allele: the columns of its record, and those of its score.

    The record of a VCF file becomes its first eight columns.

    Args:
        output: name of the table; `-` for standard output.
        format: tsv, csv, jsonl or parquet.
        variants: the input; columns of Parquet keep their types.
        fields: the fields to write.
        overwrite: replace a file that exists.

    Yields:
        `Callable`: writes a record with the scores of its alleles.
    """
    if format == "parquet":
        rows = _parquet_rows(output, _types(variants, fields), overwrite)
    else:
        rows = row_writer(output, format=format, overwrite=overwrite)
    with rows as write_row:

        def write(record: VariantRecord, scores: Sequence[VariantScore]) -> None:
            for index, score in enumerate(scores):
                write_row({**_row(record, index), **fields.row(score)})

        yield write


def _row(record: VariantRecord, index: int) -> dict[str, Any]:
    """Write the columns of one allele: of several alleles, each has a row of its own."""
    if isinstance(record.content, Record):
        values = record.content.values
        row = {name: value for name, value in values.items() if not name.startswith(PREFIX)}
        if len(record.alts) > 1:
            row[find_columns(record.content)["alt"]] = record.alts[index] or "-"
        return row
    line, _ = annotated_line(record.content, "")
    cells = [text(cell) for cell in line.split(b"\t", len(COLUMNS))]
    row = dict(zip(COLUMNS, cells, strict=False))
    return row | {"POS": record.position + 1, "ALT": record.alleles[index]}


def _types(variants: VariantFile, fields: Fields) -> dict[str, Any]:
    """Choose the types of the columns of a Parquet file; those that are not named are text."""
    import pyarrow

    types = variants.types() if isinstance(variants, TableFile) else {"POS": pyarrow.int64()}
    return types | {name: pyarrow.float64() for name in fields.columns() if name != NOTE}


@contextmanager
def _parquet_rows(
    output: str | os.PathLike[str], types: Mapping[str, Any], overwrite: bool
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    import pyarrow.parquet

    rows: list[Mapping[str, Any]] = []
    writer: Any = None

    def flush() -> None:
        nonlocal writer
        if writer is None:
            names = rows[0] if rows else types
            schema = pyarrow.schema([(name, types.get(name, pyarrow.string())) for name in names])
            writer = pyarrow.parquet.ParquetWriter(partial, schema)
        cells = {
            one.name: [_cell(row[one.name], one.type) for row in rows] for one in writer.schema
        }
        writer.write_table(pyarrow.table(cells, writer.schema))
        rows.clear()

    def write(row: Mapping[str, Any]) -> None:
        rows.append(row)
        if len(rows) == _ROWS_IN_GROUP:
            flush()

    with new_file(output, overwrite=overwrite) as partial:
        yield write
        flush()
        writer.close()


def _cell(value: Any, kind: Any) -> Any:
    if str(kind).endswith("string"):
        return None if value is None else str(value)
    # an empty cell of Parquet was read as an empty text
    return None if value == "" else value
