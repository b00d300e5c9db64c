"""Haplotypes as phased VCF and BCF, through cyvcf2."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.atomic_files import new_file
from dnagpt_hf.genomes.regions import Region
from dnagpt_hf.haplotypes.haplotypes import STRANDS, Alleles, Haplotypes, check_samples
from dnagpt_hf.haplotypes.sites import HaplotypeError, Sites, Texts

logger = logging.getLogger(__name__)

# what cyvcf2 writes for a genotype that is not known, and for the second one of a haploid call
MISSING, NO_SECOND = -1, -2
_BGZIP_START, _BGZIP_END = (
    b"\x1f\x8b\x08\x04",
    bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000"),
)
_MODES = {".vcf": "w", ".gz": "wz", ".bgz": "wz", ".bcf": "wb"}


@dataclass(frozen=True)
class GenotypeRules:
    """Treatment of VCF records without one known allele for each haplotype.

    Args:
        missing: records with a genotype `./.` or `.|1`: an error, or dropped.
        unphased: records with a heterozygous genotype `0/1`: an error, dropped, or the alleles are
            taken in the order in which they are written. (The order of `0/0` and `1/1` does not
            matter, so that these are read.)
        multiallelic: records with several alternative alleles, or with none: an error, or dropped.
            `bcftools norm -m -` splits them.
        snps_only: drop insertions, deletions and other variants.

    Raises:
        ValueError: a value is none of these.
    """

    missing: Literal["error", "drop"] = "error"
    unphased: Literal["error", "drop", "as_written"] = "error"
    multiallelic: Literal["error", "drop"] = "error"
    snps_only: bool = False

    def __post_init__(self) -> None:
        for name in ("missing", "unphased", "multiallelic"):
            choices = ("error", "drop") + ("as_written",) * (name == "unphased")
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}: choose one of {', '.join(choices)}"
                )


def read_vcf(
    path: Path,
    *,
    region: Region | None = None,
    samples: Collection[str] | None = None,
    min_maf: float = 0.0,
    rules: GenotypeRules | None = None,
) -> Haplotypes:
    """Read the haplotypes of a VCF or BCF file, plain or bgzipped.

    Rare sites are not kept in memory. An index beside the file (`.tbi`, `.csi`) is used to find the
    region; without one the file is read from its start.

    Args:
        path: the file.
        region: region of the sites.
        samples: samples to read; by default all.
        min_maf: least minor-allele frequency of a site, among these samples.
        rules: treatment of genotypes that are missing or not phased.

    Raises:
        HaplotypeError: a record breaks the rules, the file is no VCF or is cut off, its sites are
            not sorted or one stands twice, a sample is missing, or no site is left.
        ImportError: cyvcf2 is not installed.
    """
    reader = _Reader(path, samples, rules or GenotypeRules())
    columns, sites = [], []
    for record in reader.records(region):
        try:
            column = reader.column(record)
            if column is None:
                continue
            frequency = column.mean(dtype=np.float64)
            if min(frequency, 1 - frequency) >= min_maf:
                columns.append(column)
                sites.append((record.CHROM, record.POS, record.REF, record.ALT[0], record.ID or ""))
        except UnicodeDecodeError as error:
            raise HaplotypeError(
                f"{path}, record {record.CHROM}:{record.POS} holds text that is no UTF-8: {error}"
            ) from error
    for kind, number in reader.dropped.items():
        logger.warning("%s: left out %s records: %s", path, f"{number:,}", kind)
    if not columns:
        where = "" if region is None else f" in {region}"
        rare = f" with a minor-allele frequency of {min_maf} or more" if min_maf else ""
        known = ", ".join(reader.file.seqnames[:5]) or "none"
        raise HaplotypeError(f"{path}: no site{where}{rare}; its chromosomes: {known}")
    # (sites, haplotypes) as read, transposed once
    alleles = np.ascontiguousarray(np.stack(columns).T)
    read = _sites(sites)
    read.check_sorted(str(path))
    names, of_samples = reader.names()
    return Haplotypes(alleles, names, read, source=str(path), sample_names=of_samples)


def _sites(rows: list[tuple[str, int, str, str, str]]) -> Sites:
    sites = Sites(*map(np.asarray, zip(*rows, strict=True)))
    ids: Any = sites.ids
    if not (ids != "").any():
        return replace(sites, ids=None)
    return replace(sites, ids=np.where(ids == "", replace(sites, ids=None).written_ids, ids))


class _Reader:
    """An open file, and the number of dropped records by kind."""

    def __init__(self, path: Path, samples: Collection[str] | None, rules: GenotypeRules) -> None:
        self.path, self.rules = path, rules
        self.dropped: Counter[str] = Counter()
        # haplotypes of each sample: 1 or 2, `(samples,)`
        self.ploidy: NDArray[np.int64] | None = None
        cyvcf2 = _cyvcf2()
        self._check_whole()
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

    def _check_whole(self) -> None:
        """Refuse a bgzipped file without its last block, which htslib reads without an error."""
        with open(self.path, "rb") as stream:
            if stream.read(4) != _BGZIP_START:
                return
            stream.seek(max(-len(_BGZIP_END), -self.path.stat().st_size), 2)
            if stream.read() != _BGZIP_END:
                raise HaplotypeError(f"{self.path} is cut off: it lacks the end of a bgzipped file")

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
                    raise HaplotypeError(
                        f"{self.path} is malformed {last}: a line that is empty, or lacks position "
                        "or alleles"
                    )
                last = f"behind {_name(record)}"
                if region is None or _lies_in(record, region):
                    yield record
        except HaplotypeError:
            raise
        except Exception as error:
            raise HaplotypeError(f"{self.path} is cut off or malformed {last}: {error}") from error

    def column(self, record: Any) -> Alleles | None:
        """Read the alleles of all haplotypes at one site; `None` if it is dropped."""
        rules = self.rules
        if len(record.ALT) != 1:
            found = f"{len(record.ALT)} alternative alleles ({','.join(record.ALT) or '.'})"
            advice = "split it (bcftools norm -m -), or drop such records"
            self._drop("alleles", rules.multiallelic, record, f"{found}, not one: {advice}")
            return None
        if rules.snps_only and not record.is_snp:
            self.dropped["no SNPs"] += 1
            return None
        # (samples, 3): first allele, second allele, whether they are phased
        genotypes = self._genotypes(record)
        first, second, phased = genotypes.T
        is_missing = (genotypes[:, :2] == MISSING).any(axis=1)
        if is_missing.any():
            message = f"{self._of_sample(is_missing)} is missing: impute it, or drop such records"
            self._drop("missing genotypes", rules.missing, record, message)
            return None
        is_unphased = (first != second) & (second != NO_SECOND) & (phased == 0)
        if is_unphased.any() and rules.unphased != "as_written":
            message = (
                f"{self._of_sample(is_unphased)} is not phased: phase it, drop such records, or "
                "take the alleles as they are written"
            )
            self._drop("unphased genotypes", rules.unphased, record, message)
            return None
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
            one, phased = genotypes.T
            genotypes = np.stack([one, np.full_like(one, NO_SECOND), phased], axis=1)
        if genotypes.shape[1] != 3:
            number = genotypes.shape[1] - 1
            raise self._error(record, f"{number} alleles to a genotype, but one or two are needed")
        return genotypes

    def names(self) -> tuple[Texts, Texts]:
        """Name the haplotypes, and the sample of each.

        A haploid sample may end in `_A` as well, and is a sample of its own all the same.
        """
        ploidies: Any = self.ploidy
        samples = np.repeat(np.asarray(self.samples, dtype=np.str_), ploidies)
        strands = [strand for ploidy in ploidies for strand in (STRANDS if ploidy == 2 else ("",))]
        return np.char.add(samples, strands), samples

    def _drop(self, kind: str, rule: str, record: Any, message: str) -> None:
        if rule == "error":
            raise self._error(record, message)
        self.dropped[kind] += 1

    def _error(self, record: Any, message: str) -> HaplotypeError:
        return HaplotypeError(f"{self.path}, record {_name(record)}: {message}")

    def _of_sample(self, mask: NDArray[np.bool_]) -> str:
        return f"the genotype of sample {self.samples[int(mask.argmax())]}"


def _name(record: Any) -> str:
    return f"{record.CHROM}:{record.POS}" + (f" ({record.ID})" if record.ID else "")


def _lies_in(record: Any, region: Region) -> bool:
    end = math.inf if region.end is None else region.end
    return region.contig == record.CHROM and region.start <= record.POS <= end


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
    cyvcf2 = _cyvcf2()
    with new_file(path, overwrite=overwrite) as partial:
        mode = _MODES[path.suffix.lower()]
        writer = cyvcf2.Writer.from_string(str(partial), _header(sites, samples), mode=mode)
        try:
            for index, column in enumerate(np.ascontiguousarray(haplotypes.alleles.T)):
                genotypes = _genotype_text(column, first_row, lengths == 2)
                line = f"{_fixed(sites, index)}\t{genotypes}"
                writer.write_record(writer.variant_from_string(line))
        finally:
            writer.close()


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


def _fixed(sites: Sites, index: int) -> str:
    """Write the columns of a record before its genotypes."""
    id = "." if sites.ids is None else sites.ids[index]
    alleles = f"{sites.references[index]}\t{sites.alternatives[index]}"
    return f"{sites.chromosomes[index]}\t{sites.positions[index]}\t{id}\t{alleles}\t.\tPASS\t.\tGT"


def _genotype_text(
    column: Alleles, first_row: NDArray[np.int64], has_two: NDArray[np.bool_]
) -> str:
    # (samples, 4): first allele, bar, second allele, tab; a haploid genotype leaves two out
    letters = np.full((len(first_row), 4), ord("|"), np.uint8)
    letters[:, 0] = column[first_row] + ord("0")
    letters[has_two, 2] = column[first_row[has_two] + 1] + ord("0")
    letters[:, 3] = ord("\t")
    kept = np.ones(letters.shape, dtype=bool)
    kept[~has_two, 1:3] = False
    return letters[kept].tobytes()[:-1].decode("ascii")


def _cyvcf2() -> Any:
    try:
        import cyvcf2
    except ImportError as error:
        raise ImportError(
            "VCF files need cyvcf2: pip install 'dnagpt_hf[haplotypes]', or convert them to .hapt"
        ) from error
    return cyvcf2
