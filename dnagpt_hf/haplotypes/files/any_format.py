"""Files of haplotypes: `.hapt`, VCF and BCF, and NumPy arrays."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from dnagpt_hf.atomic_files import new_file
from dnagpt_hf.genomes.regions import Region
from dnagpt_hf.haplotypes.files.hapt import (
    legend_path,
    open_text,
    read_hapt,
    read_legend,
    write_hapt,
)
from dnagpt_hf.haplotypes.files.vcf import GenotypeRules, is_vcf_name, read_vcf, write_vcf
from dnagpt_hf.haplotypes.haplotypes import Haplotypes
from dnagpt_hf.haplotypes.sites import HaplotypeError, Sites

ENDINGS = (".hapt", ".hapt.gz", ".zip", ".vcf", ".vcf.gz", ".bcf", ".npy", ".npz")
_SITE_ARRAYS = ("chromosomes", "positions", "references", "alternatives")


def read_haplotypes(
    path: str | os.PathLike[str],
    *,
    legend: str | os.PathLike[str] | None = None,
    region: Region | None = None,
    samples: Collection[str] | None = None,
    min_maf: float = 0.0,
    rules: GenotypeRules | None = None,
) -> Haplotypes:
    """Read haplotypes; the ending of the name tells the format.

    A `.hapt` file may be gzipped or lie in a zip archive: the name of an archive with one such file
    is enough, `data.zip/training_data.hapt` is one of several. Its legend is `legend`, or the file
    of the same name that ends in `.legend`, or the only legend in the same folder or archive.

    Args:
        path: the file.
        legend: the legend of a `.hapt` or `.npy` file.
        region: where the sites must lie.
        samples: people to read; by default all.
        min_maf: frequency of the rarer allele, among these people, that a site must have.
        rules: what happens to genotypes of a VCF that are missing or not phased.

    Raises:
        HaplotypeError: the file is not as its ending says, or nothing is left of it.
        OSError: a file cannot be opened.
    """
    path = Path(path)
    if is_vcf_name(path):
        return read_vcf(path, region=region, samples=samples, min_maf=min_maf, rules=rules)
    haplotypes = _read_other(path, None if legend is None else _open_legend(Path(legend)))
    if samples is not None:
        haplotypes = haplotypes.of_samples(samples)
    if region is not None:
        haplotypes = haplotypes.in_region(region)
    return haplotypes.with_minor_allele_frequency(min_maf) if min_maf else haplotypes


def _read_other(path: Path, sites: Sites | None) -> Haplotypes:
    archive = next((one for one in (path, *path.parents) if one.suffix.lower() == ".zip"), None)
    if archive is not None:
        return _read_zip(archive, path.relative_to(archive).as_posix(), sites)
    suffix = path.suffix.lower()
    if suffix in (".npy", ".npz"):
        return _read_numpy(path, sites)
    if not path.name.lower().removesuffix(".gz").endswith(".hapt"):
        raise HaplotypeError(
            f"{path}: its ending names no format for haplotypes: choose one of {', '.join(ENDINGS)}"
        )
    if sites is None:
        beside = legend_path(path)
        others = sorted(path.parent.glob("*.legend"))
        found = beside if beside.is_file() else others[0] if len(others) == 1 else None
        sites = None if found is None else _open_legend(found)
    with open_text(path) as stream:
        return read_hapt(stream, str(path), sites)


def _open_legend(path: Path) -> Sites:
    with open_text(path) as stream:
        return read_legend(stream, str(path))


def _read_zip(path: Path, wanted: str, sites: Sites | None) -> Haplotypes:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if not name.endswith("/")]
    except zipfile.BadZipFile as error:
        raise HaplotypeError(f"{path} is cut off or no zip archive: {error}") from error
    found = [name for name in members if name.endswith(".hapt")]
    if wanted != ".":
        found = [name for name in found if f"/{name}".endswith(f"/{wanted}")]
    if len(found) != 1:
        known = [name for name in members if name.endswith(".hapt")]
        raise HaplotypeError(
            f"{path} has {len(found)} files {'.hapt' if wanted == '.' else wanted}: state one as "
            f"{path}/NAME; there are {', '.join(known) or 'none that end in .hapt'}"
        )
    member = found[0]
    if sites is None:
        sites = _legend_in_zip(path, members, member)
    with open_text(path, member) as stream:
        return read_hapt(stream, f"{path}/{member}", sites)


def _legend_in_zip(path: Path, members: list[str], member: str) -> Sites | None:
    folder = PurePosixPath(member).parent
    legends = [name for name in members if name.endswith(".legend")]
    beside = [name for name in legends if PurePosixPath(name).parent == folder]
    if len(beside) != 1:
        return None
    with open_text(path, beside[0]) as stream:
        return read_legend(stream, f"{path}/{beside[0]}")


def _read_numpy(path: Path, sites: Sites | None) -> Haplotypes:
    try:
        content: Any = np.load(path, allow_pickle=False)
        arrays = {"alleles": content} if isinstance(content, np.ndarray) else dict(content)
    except OSError:
        raise
    except Exception as error:  # a damaged header ends NumPy's parsers with any exception there is
        reason = " ".join(str(error).split())
        raise HaplotypeError(f"{path} is no array of NumPy, or cut off: {reason}") from error
    if "alleles" not in arrays:
        raise HaplotypeError(f"{path}: no array 'alleles'; there are {', '.join(arrays) or 'none'}")
    alleles = arrays["alleles"]
    rows = len(alleles) if alleles.ndim else 0
    names = arrays.get("names", np.asarray([f"haplotype_{row + 1}" for row in range(rows)]))
    if sites is None and all(name in arrays for name in _SITE_ARRAYS):
        sites = Sites(**{name: arrays[name] for name in _SITE_ARRAYS}, ids=arrays.get("ids"))
    return Haplotypes(alleles, names, sites, arrays.get("populations"), source=str(path))


def write_haplotypes(
    haplotypes: Haplotypes,
    path: str | os.PathLike[str],
    *,
    label: str = "Real",
    overwrite: bool = False,
) -> None:
    """Write haplotypes; the ending of the name tells the format.

    `.hapt` (or `.hapt.gz`) with a legend beside it, `.vcf`, `.vcf.gz` or `.bcf`, `.npz` with all
    that is known, `.npy` with the alleles alone.

    Args:
        haplotypes: what to write.
        path: name of the file.
        label: first field of a line in `.hapt`.
        overwrite: replace files that exist.

    Raises:
        HaplotypeError: the ending is not known, or the format needs what is not known.
        ValueError: the file exists, and `overwrite` is not given.
    """
    path = Path(path)
    if is_vcf_name(path):
        write_vcf(haplotypes, path, overwrite=overwrite)
    elif path.name.lower().removesuffix(".gz").endswith(".hapt"):
        write_hapt(haplotypes, path, label=label, overwrite=overwrite)
    elif path.suffix.lower() in (".npy", ".npz"):
        _write_numpy(haplotypes, path, overwrite)
    else:
        raise HaplotypeError(
            f"{path}: its ending names no format that haplotypes are written in: choose .hapt, "
            ".hapt.gz, .vcf, .vcf.gz, .bcf, .npy or .npz"
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
        np.savez_compressed(stream, **arrays)
