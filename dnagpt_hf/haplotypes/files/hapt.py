"""Haplotypes as text: the `.hapt` and `.legend` files of Yelmen et al. (2021).

A `.hapt` file has a line for each haplotype, a label, a name and its alleles, and no header:

    Real HG00096_A 1 1 0 1 …

A `.legend` file has a line for each site, under a header:

    id position a0 a1
    15:27379578_C_A 27379578 C A
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dnagpt_hf.haplotypes.haplotypes import Alleles, Haplotypes, samples_of_names
from dnagpt_hf.haplotypes.sites import HaplotypeError, Sites, site_name
from dnagpt_hf.records.files import open_text, shorten
from dnagpt_hf.records.writing import output_stream

_SEPARATORS = np.frombuffer(b" \t", np.uint8)
_ZERO = ord("0")
_POSITION = re.compile("[0-9]{1,15}")
_COLUMNS = ("id", "position", "a0", "a1")

TextPath = Path | zipfile.Path
"""A file, or a member of a zip archive."""


def _lines(path: TextPath) -> Iterator[tuple[int, str]]:
    """Number the lines of a file that are not empty, plain or gzipped."""
    with open_text(path) as lines:
        yield from (line for line in lines if line[1].strip())


def read_hapt(path: TextPath, sites: Sites | None = None) -> Haplotypes:
    """Read a `.hapt` file.

    Args:
        path: the file, plain or gzipped, or a member of a zip archive.
        sites: sites of its legend.

    Raises:
        RecordError: the file is damaged.
        HaplotypeError: a line is malformed, holds anything but 0 and 1, has another number of sites
            than the first one, or the name of an earlier haplotype.
        OSError: the file cannot be opened.
    """
    rows: list[Alleles] = []
    numbers: dict[str, int] = {}
    for number, line in _lines(path):
        fields = line.split(None, 2)
        where = f"{path}, line {number:,}"
        if len(fields) < 3:
            raise HaplotypeError(
                f"{where}: {shorten(line)!r}, but a label, a name and alleles are needed, with "
                "spaces between them"
            )
        name = fields[1]
        row = _alleles(fields[2].rstrip(), f"{where} ({name})", sites)
        if name in numbers:
            raise HaplotypeError(
                f"{where}: haplotype {name} stands in line {numbers[name]:,} already"
            )
        if rows and len(row) != len(rows[0]):
            first = next(iter(numbers))
            raise HaplotypeError(
                f"{where} ({name}): {len(row):,} sites, but {first} has {len(rows[0]):,}"
            )
        numbers[name] = number
        rows.append(row)
    if not rows:
        raise HaplotypeError(f"{path} holds no haplotypes")
    return Haplotypes(np.stack(rows), np.asarray(list(numbers)), sites, source=str(path))


def _alleles(text: str, where: str, sites: Sites | None) -> Alleles:
    letters = np.frombuffer(text.encode(), np.uint8)
    if len(letters) % 2 and np.isin(letters[1::2], _SEPARATORS).all():
        row = letters[::2] - _ZERO
    else:
        # more than one letter to a value, or more than one space between two
        row = np.asarray([{"0": 0, "1": 1}.get(field, 255) for field in text.split()], np.uint8)
    if row.max() > 1:
        index = int((row > 1).argmax())
        found = shorten(text.split()[index])
        raise HaplotypeError(
            f"{where}: {found!r} at {site_name(index, sites)}, but only 0 and 1 are alleles"
        )
    return row


def find_legend(path: TextPath) -> TextPath | None:
    """Find the legend of a `.hapt` file: of the same name, or the only one beside it."""
    folder: Any = path.parent
    beside = [one for one in folder.iterdir() if one.name.endswith(".legend")]
    named = [one for one in beside if one.name == _legend_name(path.name)]
    found = named or beside
    return found[0] if len(found) == 1 else None


def _legend_name(name: str) -> str:
    return f"{name.removesuffix('.gz').removesuffix('.hapt')}.legend"


def legend_path(path: Path) -> Path:
    """Name the legend of a `.hapt` file, which stands beside it.

    Example:

        >>> legend_path(Path("genomes/805_SNP.hapt.gz")).name
        '805_SNP.legend'
    """
    return path.with_name(_legend_name(path.name))


def read_legend(path: TextPath) -> Sites:
    """Read a `.legend` file.

    The chromosome is the part of an id before its colon, or a column `chromosome`.

    Raises:
        HaplotypeError: a column is missing, or a line has another number of fields than the
            header, or no position.
        OSError: the file cannot be opened.
    """
    lines = _lines(path)
    header = next(lines, (1, ""))[1].split()
    missing = [column for column in _COLUMNS if column not in header]
    if missing:
        raise HaplotypeError(
            f"{path}: its header {shorten(' '.join(header))!r} lacks {', '.join(missing)}: a "
            f"legend has the columns {' '.join(_COLUMNS)}"
        )
    rows = []
    for number, line in lines:
        fields = line.split()
        row = dict(zip(header, fields, strict=False))
        if len(fields) != len(header) or not _POSITION.fullmatch(row["position"]):
            raise HaplotypeError(
                f"{path}, line {number:,}: {shorten(line)!r} is no site: {' '.join(header)}, the "
                "position in bp, is needed"
            )
        before, colon, _ = row["id"].partition(":")
        chromosome = row.get("chromosome", before if colon else "")
        rows.append((chromosome, int(row["position"]), row["a0"], row["a1"], row["id"]))
    if not rows:
        raise HaplotypeError(f"{path} holds no sites")
    return Sites(*map(np.asarray, zip(*rows, strict=True)))


def write_hapt(
    haplotypes: Haplotypes, path: Path, *, label: str = "Real", overwrite: bool = False
) -> None:
    """Write a `.hapt` file, gzipped if its name ends in `.gz`, and its legend if sites are known.

    Args:
        haplotypes: haplotypes to write.
        path: name of the file; the legend stands beside it.
        label: first field of every line: `Real`, or that of a model.
        overwrite: replace files that exist.

    Raises:
        HaplotypeError: the label or a name has a space in it, or two samples would become one.
        ValueError: a file exists, and `overwrite` is not given.
    """
    for text in (label, *haplotypes.names.tolist()):
        if len(text.split()) != 1:
            raise HaplotypeError(f"{text!r} cannot stand in a .hapt file: it must have no spaces")
    _check_samples_stay(haplotypes)
    line = np.full(2 * haplotypes.num_sites, ord(" "), np.uint8)
    line[-1] = ord("\n")
    with output_stream(path, overwrite=overwrite) as stream:
        for name, row in zip(haplotypes.names.tolist(), haplotypes.alleles, strict=True):
            line[::2] = row + _ZERO
            stream.write(f"{label} {name} {line.tobytes().decode()}")
        # a legend without its haplotypes would be left if the disk is full
        stream.flush()
        if haplotypes.sites is not None:
            write_legend(haplotypes.sites, legend_path(path), overwrite)


def _check_samples_stay(haplotypes: Haplotypes) -> None:
    """Refuse samples that would be one by their names, in which the format states them."""
    sample_of: dict[str, str] = {}
    written = samples_of_names(haplotypes.names).tolist()
    for name, sample in zip(written, haplotypes.samples.tolist(), strict=True):
        other = sample_of.setdefault(name, sample)
        if other != sample:
            raise HaplotypeError(
                f"{haplotypes.source}: samples {other} and {sample} would be the two haplotypes "
                f"of {name} in a .hapt file: rename one of them"
            )


def write_legend(sites: Sites, path: Path, overwrite: bool) -> None:
    """Write a `.legend` file.

    Raises:
        ValueError: the file exists, and `overwrite` is not given.
    """
    # the id holds the chromosome, so that it is made of the position even if a site has a name
    ids = [sites.name(index) for index in range(len(sites))]
    columns = (ids, sites.positions, sites.references, sites.alternatives)
    lines = [" ".join(map(str, row)) for row in zip(*columns, strict=True)]
    with output_stream(path, overwrite=overwrite) as stream:
        stream.write("\n".join([" ".join(_COLUMNS), *lines, ""]))
