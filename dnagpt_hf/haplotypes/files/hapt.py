"""Haplotypes as text: the `.hapt` and `.legend` files of Yelmen et al. (2021).

A `.hapt` file has a line for each haplotype, a label, a name and its alleles, and no header:

    Real HG00096_A 1 1 0 1 …

A `.legend` file has a line for each site, under a header:

    id position a0 a1
    15:27379578_C_A 27379578 C A
"""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from dnagpt_hf.atomic_files import check_new_file, new_file
from dnagpt_hf.haplotypes.haplotypes import Alleles, Haplotypes
from dnagpt_hf.haplotypes.sites import HaplotypeError, Sites
from dnagpt_hf.records.reading import shorten

_SEPARATORS = np.frombuffer(b" \t", np.uint8)
_ZERO = ord("0")
_POSITION = re.compile("[0-9]{1,15}")


@contextmanager
def open_text(path: Path, member: str | None = None) -> Iterator[IO[bytes]]:
    """The lines of a file, plain or gzipped, or of a member of a zip archive.

    Raises:
        HaplotypeError: the content is cut off or damaged.
        OSError: the file cannot be opened.
    """
    try:
        if member is not None:
            with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
                yield stream
            return
        with open(path, "rb") as raw:
            is_gzip = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            yield io.BufferedReader(gzip.GzipFile(fileobj=raw)) if is_gzip else raw
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise HaplotypeError(f"{path} is cut off or damaged: {error}") from error


def read_hapt(stream: IO[bytes], source: str, sites: Sites | None = None) -> Haplotypes:
    """Read the lines of a `.hapt` file.

    Args:
        stream: its bytes.
        source: what messages call it.
        sites: from its legend.

    Raises:
        HaplotypeError: a line is malformed, holds anything but 0 and 1, has another number of
            sites than the first one, or names a haplotype again.
    """
    names: list[str] = []
    rows: list[Alleles] = []
    numbers: dict[str, int] = {}
    for number, line in enumerate(stream, start=1):
        fields = line.split(None, 2)
        if not fields:
            continue
        where = f"{source}, line {number:,}"
        if len(fields) < 3:
            raise HaplotypeError(
                f"{where}: {shorten(line.decode(errors='replace'))!r}, but a label, a name and "
                "alleles are needed, with spaces between them"
            )
        name = fields[1].decode(errors="replace")
        row = _alleles(fields[2].rstrip(), f"{where} ({name})", sites)
        if name in numbers:
            raise HaplotypeError(
                f"{where}: haplotype {name} stands in line {numbers[name]:,} already"
            )
        if rows and len(row) != len(rows[0]):
            raise HaplotypeError(
                f"{where} ({name}): {len(row):,} sites, but {names[0]} has {len(rows[0]):,}"
            )
        numbers[name] = number
        names.append(name)
        rows.append(row)
    if not rows:
        raise HaplotypeError(f"{source} holds no haplotypes")
    return Haplotypes(np.stack(rows), np.asarray(names), sites, source=source)


def _alleles(text: bytes, where: str, sites: Sites | None) -> Alleles:
    letters = np.frombuffer(text, np.uint8)
    if len(letters) % 2 and np.isin(letters[1::2], _SEPARATORS).all():
        row = letters[::2] - _ZERO
    else:
        # more than one letter to a value, or more than one space between two
        fields = text.split()
        row = np.asarray(
            [(field[0] - _ZERO) % 256 if len(field) == 1 else 255 for field in fields], np.uint8
        )
    if row.max() > 1:
        place = int((row > 1).argmax())
        found = shorten(text.split()[place].decode(errors="replace"))
        known = f" ({sites.name(place)})" if sites is not None and place < len(sites) else ""
        raise HaplotypeError(
            f"{where}: {found!r} at site {place + 1:,}{known}, but only 0 and 1 are alleles"
        )
    return row


def read_legend(stream: IO[bytes], source: str) -> Sites:
    """Read the lines of a `.legend` file.

    The chromosome is what stands before the colon of an id, or in a column `chromosome`.

    Raises:
        HaplotypeError: a column is missing, or a line has another number of fields than the
            header, or no position.
    """
    text = io.TextIOWrapper(stream, encoding="utf-8", errors="replace")
    header = text.readline().split()
    needed = ("id", "position", "a0", "a1")
    missing = [column for column in needed if column not in header]
    if missing:
        raise HaplotypeError(
            f"{source}: its header {shorten(' '.join(header))!r} lacks {', '.join(missing)}: a "
            f"legend has the columns {' '.join(needed)}"
        )
    rows = []
    for number, line in enumerate(text, start=2):
        fields = line.split()
        if not fields:
            continue
        values = dict(zip(header, fields, strict=False))
        if len(fields) != len(header) or not _POSITION.fullmatch(values["position"]):
            raise HaplotypeError(
                f"{source}, line {number:,}: {shorten(line)!r} is no site: {' '.join(header)}, the "
                "position in bp, is needed"
            )
        rows.append(values)
    if not rows:
        raise HaplotypeError(f"{source} holds no sites")
    return Sites(
        np.asarray([_chromosome(row) for row in rows]),
        np.asarray([int(row["position"]) for row in rows]),
        np.asarray([row["a0"] for row in rows]),
        np.asarray([row["a1"] for row in rows]),
        np.asarray([row["id"] for row in rows]),
    )


def _chromosome(row: dict[str, str]) -> str:
    before, colon, _ = row["id"].partition(":")
    return row.get("chromosome", before if colon else "")


def legend_path(path: Path) -> Path:
    """Where the legend of a `.hapt` file stands: beside it, under the same name.

    Example:

        >>> legend_path(Path("genomes/805_SNP.hapt.gz")).name
        '805_SNP.legend'
    """
    name = path.name.removesuffix(".gz").removesuffix(".zip").removesuffix(".hapt")
    return path.with_name(f"{name}.legend")


def write_hapt(
    haplotypes: Haplotypes, path: Path, *, label: str = "Real", overwrite: bool = False
) -> None:
    """Write a `.hapt` file, gzipped if its name ends in `.gz`, and its legend if sites are known.

    Args:
        haplotypes: what to write.
        path: name of the file; the legend stands beside it.
        label: first field of every line: `Real`, or that of a model.
        overwrite: replace files that exist.

    Raises:
        HaplotypeError: the label or a name has a space in it.
        ValueError: a file exists, and `overwrite` is not given.
    """
    for text in (label, *haplotypes.names.tolist()):
        if len(text.split()) != 1:
            raise HaplotypeError(f"{text!r} cannot stand in a .hapt file: it must have no spaces")
    if haplotypes.sites is not None:
        check_new_file(legend_path(path), overwrite=overwrite)
    line = np.full(2 * haplotypes.num_sites, ord(" "), np.uint8)
    line[-1] = ord("\n")
    with new_file(path, overwrite=overwrite) as partial:
        is_gzip = path.suffix.lower() == ".gz"
        with gzip.open(partial, "wb", 5) if is_gzip else open(partial, "wb") as stream:
            for name, row in zip(haplotypes.names.tolist(), haplotypes.alleles, strict=True):
                line[::2] = row + _ZERO
                stream.write(f"{label} {name} ".encode() + line.tobytes())
        if haplotypes.sites is not None:
            write_legend(haplotypes.sites, legend_path(path), overwrite)


def write_legend(sites: Sites, path: Path, overwrite: bool) -> None:
    # the id tells the chromosome, so that it is made of the place even where a site has a name
    ids = [sites.name(index) for index in range(len(sites))]
    columns = (ids, sites.positions, sites.references, sites.alternatives)
    lines = [" ".join(map(str, row)) for row in zip(*columns, strict=True)]
    with new_file(path, overwrite=overwrite) as partial:
        partial.write_text("\n".join(["id position a0 a1", *lines, ""]), encoding="utf-8")
