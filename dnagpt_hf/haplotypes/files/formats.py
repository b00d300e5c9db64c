"""Files of haplotypes: `.hapt`, VCF and BCF, and NumPy arrays."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dnagpt_hf.atomic_files import check_new_file, new_file
from dnagpt_hf.genomes.regions import Region
from dnagpt_hf.haplotypes.files.hapt import (
    TextPath,
    find_legend,
    legend_path,
    read_hapt,
    read_legend,
    write_hapt,
)
from dnagpt_hf.haplotypes.files.options import ReadingOptions
from dnagpt_hf.haplotypes.files.vcf import check_vcf_sites, is_vcf_name, read_vcf, write_vcf
from dnagpt_hf.haplotypes.haplotypes import Haplotypes
from dnagpt_hf.haplotypes.populations import read_populations
from dnagpt_hf.haplotypes.sites import HaplotypeError, Sites
from dnagpt_hf.messages import on_one_line

_WRITTEN = ".hapt, .hapt.gz, .vcf, .vcf.gz, .bcf, .npy or .npz"
_SITE_ARRAYS = ("chromosomes", "positions", "references", "alternatives")


def read_haplotypes(
    path: str | os.PathLike[str],
    options: ReadingOptions | None = None,
    *,
    samples: Collection[str] | None = None,
    only_populations: Collection[str] = (),
    **fields: Any,
) -> Haplotypes:
    """Read haplotypes in the format that the ending of the file's name states.

    A `.hapt` file may be gzipped or a member of a zip archive: the name of an archive suffices if
    it has one such file, `data.zip/training_data.hapt` is one of several. Its legend is `legend`,
    the file of the same name that ends in `.legend`, or the only legend in the same folder.

    Args:
        path: the file: `.hapt`, `.hapt.gz`, `.zip`, `.vcf`, `.vcf.gz`, `.bcf`, `.npy` or `.npz`.
        options: choice of sites and records, and populations of the samples.
        samples: samples to read; by default all.
        only_populations: populations to read; by default all.
        fields: fields of [`ReadingOptions`], such as `region`, `min_maf`, `populations`, `legend`
            and `missing`, which replace those of `options`.

    Raises:
        HaplotypeError: the file is not of the format of its ending, its sites are not sorted or
            one stands twice, or nothing is left of it.
        ImportError: a VCF needs cyvcf2, which is not installed.
        OSError: a file cannot be opened.

    Example:

        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "two.hapt"
        >>> _ = path.write_text("Real HG00096_A 0 1 1\\nReal HG00096_B 0 0 1\\n")
        >>> haplotypes = read_haplotypes(path, min_maf=0.1)
        >>> haplotypes.alleles.tolist(), haplotypes.samples.tolist()
        ([[1], [0]], ['HG00096', 'HG00096'])
    """
    path = Path(path)
    options = replace(options or ReadingOptions(), **fields)
    if is_vcf_name(path):
        # a site that is rare in all populations may be frequent in the chosen ones
        early = replace(options, min_maf=0.0) if only_populations else options
        haplotypes = read_vcf(path, early, samples)
    elif _is_numpy(path):
        haplotypes = _read_numpy(path, options)
    else:
        haplotypes = _read_text(path, options)
    # a VCF is filtered while it is read, which these leave as it is
    if samples is not None:
        haplotypes = haplotypes.of_samples(samples)
    if options.region is not None:
        haplotypes = haplotypes.in_region(Region.parse(str(options.region)))
    if options.populations is not None:
        table = read_populations(options.populations, options.population_column)
        haplotypes = haplotypes.with_populations(table)
    if only_populations:
        haplotypes = haplotypes.of_populations(only_populations)
    if options.min_maf:
        haplotypes = haplotypes.with_minor_allele_frequency(options.min_maf)
    return haplotypes


def _is_hapt(name: str) -> bool:
    return name.lower().removesuffix(".gz").endswith(".hapt")


def _is_numpy(path: Path) -> bool:
    return path.suffix.lower() in (".npy", ".npz")


def _read_text(path: Path, options: ReadingOptions) -> Haplotypes:
    archive = next((one for one in (path, *path.parents) if one.suffix.lower() == ".zip"), None)
    text: TextPath = path
    if archive is not None:
        text = _find_member(archive, path.relative_to(archive).as_posix())
    elif not _is_hapt(path.name):
        raise HaplotypeError(
            f"{path}: its ending names no format for haplotypes: choose .zip, {_WRITTEN}"
        )
    legend = find_legend(text) if options.legend is None else Path(options.legend)
    return read_hapt(text, _read_sites(legend))


def _read_sites(legend: TextPath | None) -> Sites | None:
    if legend is None:
        return None
    sites = read_legend(legend)
    sites.check_sorted(str(legend))
    return sites


def _find_member(archive: Path, wanted: str) -> zipfile.Path:
    """Find the one `.hapt` file of a zip archive, or the one whose path ends as stated."""
    try:
        members = zipfile.ZipFile(archive)
    except zipfile.BadZipFile as error:
        raise HaplotypeError(f"{archive} is cut off or no zip archive: {error}") from error
    known = [name for name in members.namelist() if name.endswith(".hapt")]
    found = [name for name in known if wanted == "." or f"/{name}".endswith(f"/{wanted}")]
    if len(found) != 1:
        raise HaplotypeError(
            f"{archive} has {len(found)} files {'.hapt' if wanted == '.' else wanted}: state one "
            f"as {archive}/NAME; there are {', '.join(known) or 'none that end in .hapt'}"
        )
    return zipfile.Path(members, found[0])


def _read_numpy(path: Path, options: ReadingOptions) -> Haplotypes:
    try:
        content: Any = np.load(path, allow_pickle=False)
        arrays = {"alleles": content} if isinstance(content, np.ndarray) else dict(content)
    except OSError:
        raise
    except Exception as error:  # a damaged header ends NumPy's parsers with any exception there is
        reason = on_one_line(error)
        raise HaplotypeError(f"{path} is no array of NumPy, or cut off: {reason}") from error
    if "alleles" not in arrays:
        raise HaplotypeError(f"{path}: no array 'alleles'; there are {', '.join(arrays) or 'none'}")
    alleles = arrays["alleles"]
    rows = len(alleles) if alleles.ndim else 0
    names = arrays.get("names", np.asarray([f"haplotype_{row + 1}" for row in range(rows)]))
    sites = _read_sites(None if options.legend is None else Path(options.legend))
    if sites is None and all(name in arrays for name in _SITE_ARRAYS):
        sites = Sites(**{name: arrays[name] for name in _SITE_ARRAYS}, ids=arrays.get("ids"))
        sites.check_sorted(str(path))
    return Haplotypes(
        alleles,
        names,
        sites,
        arrays.get("populations"),
        source=str(path),
        sample_names=arrays.get("sample_names"),
    )


def write_haplotypes(
    haplotypes: Haplotypes,
    path: str | os.PathLike[str],
    *,
    label: str = "Real",
    overwrite: bool = False,
) -> None:
    """Write haplotypes in the format that the ending of the file's name states.

    `.hapt` (or `.hapt.gz`) with a legend beside it, `.vcf`, `.vcf.gz` or `.bcf`, `.npz` with all
    fields, `.npy` with the alleles alone.

    Args:
        haplotypes: haplotypes to write.
        path: name of the file.
        label: first field of a line in `.hapt`.
        overwrite: replace files that exist.

    Raises:
        HaplotypeError: the ending is not known, or the format needs sites that are not known.
        ValueError: the file exists, and `overwrite` is not given.
        OSError: the file could not be written as a whole; it is removed.

    Example:

        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "two.hapt"
        >>> write_haplotypes(Haplotypes([[0, 1], [1, 1]], ["HG00096_A", "HG00096_B"]), path)
        >>> path.read_text()
        'Real HG00096_A 0 1\\nReal HG00096_B 1 1\\n'
    """
    path = Path(path)
    check_destination(path, haplotypes.sites, overwrite=overwrite)
    if is_vcf_name(path):
        write_vcf(haplotypes, path, overwrite=overwrite)
    elif _is_hapt(path.name):
        write_hapt(haplotypes, path, label=label, overwrite=overwrite)
    else:
        _write_numpy(haplotypes, path, overwrite)


def check_destination(path: Path, sites: Sites | None, *, overwrite: bool = False) -> None:
    """Refuse a file of haplotypes that could not be written, before any work is done.

    Args:
        path: name of the file.
        sites: sites of the haplotypes, if they are known.
        overwrite: replace files that exist.

    Raises:
        HaplotypeError: the ending is not known, or the format needs sites that are not known.
        ValueError: the file or its legend exists, and `overwrite` is not given.
    """
    check_new_file(path, overwrite=overwrite)
    if is_vcf_name(path):
        check_vcf_sites(sites, str(path))
    elif _is_hapt(path.name):
        if sites is not None:
            check_new_file(legend_path(path), overwrite=overwrite)
    elif not _is_numpy(path):
        raise HaplotypeError(
            f"{path}: its ending names no format that haplotypes are written in: choose {_WRITTEN}"
        )


def _write_numpy(haplotypes: Haplotypes, path: Path, overwrite: bool) -> None:
    with new_file(path, overwrite=overwrite) as partial, open(partial, "wb") as stream:
        if path.suffix.lower() == ".npy":
            np.save(stream, haplotypes.alleles)
            return
        arrays: dict[str, Any] = {"alleles": haplotypes.alleles, "names": haplotypes.names}
        if haplotypes.sites is not None:
            arrays |= {name: getattr(haplotypes.sites, name) for name in _SITE_ARRAYS}
            arrays["ids"] = haplotypes.sites.written_ids
        if haplotypes.populations is not None:
            arrays["populations"] = haplotypes.populations
        if haplotypes.sample_names is not None:
            arrays["sample_names"] = haplotypes.sample_names
        np.savez_compressed(stream, **arrays)
