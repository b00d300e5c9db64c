"""Haplotypes as phased VCF and BCF, through cyvcf2."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.atomic_files import new_file
from dnagpt_hf.genomes.regions import Region
from dnagpt_hf.haplotypes.files.options import ReadingOptions
from dnagpt_hf.haplotypes.haplotypes import STRANDS, Alleles, Haplotypes, check_samples
from dnagpt_hf.haplotypes.sites import HaplotypeError, Sites
from dnagpt_hf.messages import count
from dnagpt_hf.records.files import BGZIP_END, last_bytes

logger = logging.getLogger(__name__)

# what cyvcf2 writes for a genotype that is not known, and for the second one of a haploid call
MISSING, NO_SECOND = -1, -2
# a deletion elsewhere, and any allele that was not seen
_NO_ALLELES = ("*", "<*>", "<NON_REF>")
_BGZIP_START = b"\x1f\x8b\x08\x04"
# genotypes by twice the first allele plus the second
_PAIRS = ("0|0", "0|1", "1|0", "1|1")
_CONTIG_LENGTH = re.compile(r"^##contig=<ID=([^,>]+),(?:[^>]*,)?length=(\d+)", re.MULTILINE)
_MODES = {".vcf": "w", ".gz": "wz", ".bgz": "wz", ".bcf": "wb"}


def read_vcf(
    path: Path, options: ReadingOptions, samples: Collection[str] | None = None
) -> Haplotypes:
    """Read the haplotypes of a VCF or BCF file, plain or bgzipped.

    Rare sites are not kept in memory. An index beside the file (`.tbi`, `.csi`) is used to find the
    region; without one the file is read from its start.

    Args:
        path: the file.
        options: choice of sites, and treatment of genotypes that are missing or not phased.
        samples: samples to read; by default all.

    Raises:
        HaplotypeError: a record breaks the rules, the file is no VCF or is cut off, its sites are
            not sorted or one stands twice, a sample is missing, or no site is left.
        ImportError: cyvcf2 is not installed.
    """
    region = None if options.region is None else Region.parse(options.region)
    reader = _Reader(path, samples, options)
    columns, sites = [], []
    for record in reader.records(region):
        try:
            column = reader.column(record)
            if column is None:
                continue
            frequency = column.mean(dtype=np.float64)
            if min(frequency, 1 - frequency) >= options.min_maf:
                columns.append(column)
                sites.append((record.CHROM, record.POS, record.REF, record.ALT[0], record.ID or ""))
        except UnicodeDecodeError as error:
            raise HaplotypeError(
                f"{path}, record {record.CHROM}:{record.POS} holds text that is no UTF-8: {error}"
            ) from error
    for kind, number in reader.dropped.items():
        logger.warning("%s: left out %s records: %s", path, f"{number:,}", kind)
    _warn_of_ends(path, reader.file.raw_header, sites)
    if not columns:
        where = "" if region is None else f" in {region}"
        rare = ""
        if options.min_maf:
            rare = f" with a minor-allele frequency of {options.min_maf} or more"
        known = ", ".join(reader.file.seqnames[:5]) or "none"
        raise HaplotypeError(f"{path}: no site{where}{rare}; its chromosomes: {known}")
    # (sites, haplotypes) as read, transposed once
    alleles = np.ascontiguousarray(np.stack(columns).T)
    read = Sites(*map(np.asarray, zip(*sites, strict=True)))
    read.check_sorted(str(path))
    # sites without an id are named by position and alleles, if any has an id
    ids, named = np.asarray(read.ids), replace(read, ids=None)
    if (ids != "").any():
        named = replace(read, ids=np.where(ids == "", named.written_ids, ids))
    # a haploid sample may be called S_A as well, and is a sample of its own all the same
    ploidy: Any = reader.ploidy
    of_samples = np.repeat(np.asarray(reader.samples), ploidy)
    strands = [strand for one in ploidy for strand in (STRANDS if one == 2 else ("",))]
    names = np.char.add(of_samples, strands)
    return Haplotypes(alleles, names, named, source=str(path), sample_names=of_samples)


def _warn_of_ends(path: Path, header: str, sites: list[tuple[str, int, str, str, str]]) -> None:
    """Say that records lie behind the ends of their contigs, as the header states them."""
    lengths = {name: int(length) for name, length in _CONTIG_LENGTH.findall(header)}
    behind = [site for site in sites if site[1] > lengths.get(site[0], site[1])]
    if behind:
        contig, position, *_ = behind[0]
        logger.warning(
            "%s: %s behind the end of the contig that the header states, such as %s:%d of %s: the "
            "header or the records are of another assembly",
            path,
            count(len(behind), "record"),
            contig,
            position,
            count(lengths[contig], "base"),
        )


class _Reader:
    """An open file, and the number of dropped records by kind."""

    def __init__(
        self, path: Path, samples: Collection[str] | None, options: ReadingOptions
    ) -> None:
        self.path, self.options = path, options
        self.dropped: Counter[str] = Counter()
        # haplotypes of each sample: 1 or 2, `(samples,)`
        self.ploidy: NDArray[np.int64] | None = None
        cyvcf2 = _cyvcf2()
        # htslib reads a bgzipped file without its last block without an error
        with open(path, "rb") as stream:
            is_bgzipped = stream.read(4) == _BGZIP_START
        if is_bgzipped and last_bytes(path) != BGZIP_END:
            raise HaplotypeError(f"{path} is cut off: it lacks the end of a bgzipped file")
        try:
            self.file = cyvcf2.VCF(str(path), lazy=True)
            if samples is not None:
                check_samples(samples, self.file.samples, str(path))
                self.file.set_samples(list(samples))
            self.samples: list[str] = self.file.samples
        except HaplotypeError:
            raise
        except Exception as error:
            raise HaplotypeError(
                f"{path} is not read as VCF: {error} (its header must start with ##fileformat and "
                "name every sample once)"
            ) from error
        if not self.samples:
            raise HaplotypeError(f"{path} holds no samples")

    def records(self, region: Region | None) -> Iterator[Any]:
        """Yield the records in a region."""
        records = self.file
        has_index = any(Path(f"{self.path}{end}").is_file() for end in (".tbi", ".csi"))
        if region is not None and has_index and region.contig in self.file.seqnames:
            end = "" if region.end is None else region.end
            records = self.file(f"{region.contig}:{region.start}-{end}")
        last = "before the first record"
        try:
            for record in records:
                # cyvcf2 gives broken lines of chromosomes that the header does not name as records
                # without alleles, and asking these for their names ends the process
                if record.end <= record.start:
                    raise ValueError("a line that is empty, or lacks position or alleles")
                last = f"behind {_name(record)}"
                if region is None or (
                    region.contig == record.CHROM
                    and region.start <= record.POS <= (region.end or record.POS)
                ):
                    yield record
        except HaplotypeError:
            raise
        except Exception as error:
            raise HaplotypeError(f"{self.path} is cut off or malformed {last}: {error}") from error

    def column(self, record: Any) -> Alleles | None:
        """Read the alleles of all haplotypes at one site; `None` if it is dropped."""
        options = self.options
        if len(record.ALT) != 1:
            return self._drop(
                "alleles",
                options.multiallelic,
                record,
                f"{len(record.ALT)} alternative alleles ({','.join(record.ALT) or '.'}), not one: "
                "split it (bcftools norm -m -), or drop such records",
            )
        alternative = record.ALT[0]
        if alternative in _NO_ALLELES or alternative.upper() == record.REF.upper():
            return self._drop(
                "alleles",
                options.multiallelic,
                record,
                f"its alternative allele is {alternative}, none of its own: drop such records",
            )
        if options.snps_only and not record.is_snp:
            return self._drop("no SNPs", "drop", record)
        # (samples, 3): first allele, second allele, whether they are phased
        genotypes = self._genotypes(record)
        first, second, phased = genotypes.T
        is_missing = (genotypes[:, :2] == MISSING).any(axis=1)
        if is_missing.any():
            return self._drop(
                "missing genotypes",
                options.missing,
                record,
                f"{self._of_sample(is_missing)} is missing: impute it, or drop such records",
            )
        is_unphased = (first != second) & (second != NO_SECOND) & (phased == 0)
        if is_unphased.any() and options.unphased != "as_written":
            return self._drop(
                "unphased genotypes",
                options.unphased,
                record,
                f"{self._of_sample(is_unphased)} is not phased: phase it, drop such records, or "
                "take the alleles as they are written",
            )
        ploidy = 1 + (second != NO_SECOND)
        if self.ploidy is None:
            self.ploidy = ploidy
        differs = ploidy != self.ploidy
        if differs.any():
            sample = int(differs.argmax())
            raise self._error(
                record,
                f"{self._of_sample(differs)} is of ploidy {ploidy[sample]}, but of ploidy "
                f"{self.ploidy[sample]} in the records before it",
            )
        alleles = genotypes[:, :2]
        return alleles[alleles != NO_SECOND].astype(np.uint8)

    def _genotypes(self, record: Any) -> NDArray[np.int16]:
        try:
            genotypes = np.asarray(record.genotype.array())
        except Exception as error:
            raise HaplotypeError(
                f"{self.path}, record {_name(record)} holds no genotypes (GT): {error}"
            ) from error
        if genotypes.shape[1] == 2:
            # every sample is haploid
            genotypes = np.insert(genotypes, 1, NO_SECOND, axis=1)
        if genotypes.shape[1] != 3:
            number = genotypes.shape[1] - 1
            raise self._error(record, f"{number} alleles to a genotype, but one or two are needed")
        return genotypes

    def _drop(self, kind: str, rule: str, record: Any, message: str = "") -> Alleles | None:
        """Count a record that is dropped, or refuse it."""
        if rule == "error":
            raise self._error(record, message)
        self.dropped[kind] += 1
        return None

    def _error(self, record: Any, message: str) -> HaplotypeError:
        return HaplotypeError(f"{self.path}, record {_name(record)}: {message}")

    def _of_sample(self, mask: NDArray[np.bool_]) -> str:
        return f"the genotype of sample {self.samples[int(mask.argmax())]}"


def _name(record: Any) -> str:
    return f"{record.CHROM}:{record.POS}" + (f" ({record.ID})" if record.ID else "")


def is_vcf_name(path: Path) -> bool:
    """Check for an ending of VCF or BCF.

    Example:

        >>> is_vcf_name(Path("chr1.vcf.gz")), is_vcf_name(Path("chr1.hapt.gz"))
        (True, False)
    """
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    return bool(suffixes) and (suffixes[-1] in (".vcf", ".bcf") or suffixes[0] == ".vcf")


def check_vcf_sites(sites: Sites | None, source: str) -> Sites:
    """Refuse sites without what a VCF needs.

    Raises:
        HaplotypeError: the sites are not known, or lack chromosomes or alleles.
    """
    if sites is None or not all(sites.chromosomes.tolist() + sites.references.tolist()):
        raise HaplotypeError(
            f"{source}: VCF needs the chromosome, position and alleles of every site: give a "
            "legend that has them"
        )
    return sites


def write_vcf(haplotypes: Haplotypes, path: Path, *, overwrite: bool = False) -> None:
    """Write a phased VCF, bgzipped if its name ends in `.gz`, or a BCF.

    Two haplotypes of a sample that follow each other become a genotype `0|1`; a haplotype that is a
    sample of its own becomes a haploid one.

    Args:
        haplotypes: haplotypes with their sites.
        path: name of the file: `.vcf`, `.vcf.gz` or `.bcf`.
        overwrite: replace a file that exists.

    Raises:
        HaplotypeError: sites or their alleles are not known, or haplotypes of a sample do not
            follow each other.
        ImportError: cyvcf2 is not installed.
        OSError: the file is not complete, as on a full disk; it is removed.
    """
    sites = check_vcf_sites(haplotypes.sites, haplotypes.source)
    # first haplotype of each sample, and samples with a second one
    of_haplotype = haplotypes.samples
    first_row = np.flatnonzero(np.r_[True, of_haplotype[1:] != of_haplotype[:-1]])
    lengths = np.diff(np.r_[first_row, len(of_haplotype)])
    samples = of_haplotype[first_row].tolist()
    if len(set(samples)) < len(samples) or lengths.max() > 2:
        runs = Counter(samples)
        twice = next(one for one, n in zip(samples, lengths, strict=True) if n > 2 or runs[one] > 1)
        raise HaplotypeError(
            f"{haplotypes.source}: the haplotypes of {twice} do not follow each other in pairs, as "
            "in a genotype: sort them"
        )
    ids = np.full(len(sites), ".") if sites.ids is None else sites.ids
    columns = (sites.chromosomes, sites.positions, ids, sites.references, sites.alternatives)
    has_two = (lengths == 2)[:, None]
    first = haplotypes.alleles[first_row]
    second = haplotypes.alleles[np.where(lengths == 2, first_row + 1, first_row)]
    # (samples, sites)
    codes = np.where(has_two, 2 * first + second, len(_PAIRS) + first)
    genotypes = np.asarray([*_PAIRS, "0", "1"])
    cyvcf2 = _cyvcf2()
    with new_file(path, overwrite=overwrite) as partial:
        mode = _MODES[path.suffix.lower()]
        writer = cyvcf2.Writer.from_string(str(partial), _header(sites, samples), mode=mode)
        try:
            for code, *site in zip(codes.T, *columns, strict=True):
                fields = [*map(str, site), ".", "PASS", ".", "GT", *genotypes[code].tolist()]
                writer.write_record(writer.variant_from_string("\t".join(fields)))
        finally:
            writer.close()
        _check_complete(partial, path, len(sites))


def _check_complete(partial: Path, path: Path, number: int) -> None:
    """Read the records of a new file back, since htslib does not report a full disk."""
    found = 0
    with suppress(Exception):  # a file without its end may raise any
        found = sum(1 for _ in _cyvcf2().VCF(str(partial), lazy=True))
    if found < number or not last_bytes(partial).endswith((b"\n", BGZIP_END)):
        raise OSError(
            f"{path} lacks some of its {number:,} records and is removed: make room on its disk, "
            "and give the same command again"
        )


def _header(sites: Sites, samples: list[str]) -> str:
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"]
    contigs = dict.fromkeys(sites.chromosomes.tolist())
    lines = [
        "##fileformat=VCFv4.2",
        "##source=dnagpt_hf",
        *(f"##contig=<ID={name}>" for name in contigs),
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Phased genotype">',
        "\t".join([*columns, *samples]),
    ]
    return "\n".join(lines) + "\n"


def _cyvcf2() -> Any:
    try:
        import cyvcf2
    except ImportError as error:
        raise ImportError(
            "VCF files need cyvcf2: pip install 'dnagpt_hf[haplotypes]', or convert them to .hapt"
        ) from error
    return cyvcf2
