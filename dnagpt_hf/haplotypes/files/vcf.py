"""Haplotypes as phased VCF and BCF, through cyvcf2."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.atomic_files import new_file
from dnagpt_hf.genomes.regions import Region
from dnagpt_hf.haplotypes.haplotypes import STRANDS, Alleles, Haplotypes, check_samples
from dnagpt_hf.haplotypes.sites import HaplotypeError, Sites

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
    """What happens to records that do not say which allele lies on which haplotype.

    Args:
        missing: a genotype `./.` or `.|1`: an error, or the record is dropped.
        unphased: a heterozygous genotype `0/1`: an error, the record is dropped, or the alleles
            are taken in the order in which they are written. (The order of `0/0` and `1/1` does not
            matter, so that these are read.)
        multiallelic: a record with several alternative alleles, or with none: an error, or it is
            dropped. `bcftools norm -m -` makes several records of it.
        snps_only: whether insertions, deletions and other variants are dropped.

    Raises:
        ValueError: a rule is none of these.
    """

    missing: Literal["error", "drop"] = "error"
    unphased: Literal["error", "drop", "as_written"] = "error"
    multiallelic: Literal["error", "drop"] = "error"
    snps_only: bool = False

    def __post_init__(self) -> None:
        allowed = {
            "missing": ("error", "drop"),
            "unphased": ("error", "drop", "as_written"),
            "multiallelic": ("error", "drop"),
        }
        for name, choices in allowed.items():
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

    Sites that a filter leaves out are not kept in memory. An index beside the file (`.tbi`, `.csi`)
    is used to find the region; without one the file is read from its start.

    Args:
        path: the file.
        region: where the sites must lie.
        samples: people to read; by default all.
        min_maf: frequency of the rarer allele, among these people, that a site must have.
        rules: what happens to genotypes that are missing or not phased.

    Raises:
        HaplotypeError: a record is not as the rules want it, the file is no VCF or is cut off, a
            sample is not in it, or no site is left.
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
                sites.append((record.CHROM, record.POS, record.REF, record.ALT[0], record.ID))
        except UnicodeDecodeError as error:
            raise HaplotypeError(
                f"{path}, record {record.CHROM}:{record.POS} holds text that is no UTF-8: {error}"
            ) from error
    reader.tell_dropped()
    if not columns:
        where = "" if region is None else f" in {region}"
        rare = f" with a minor-allele frequency of {min_maf} or more" if min_maf else ""
        raise HaplotypeError(f"{path}: no site{where}{rare}; its chromosomes: {reader.chromosomes}")
    # (sites, haplotypes) as read, turned once
    alleles = np.ascontiguousarray(np.stack(columns).T)
    return Haplotypes(alleles, reader.names(), _sites(sites), source=str(path))


def _sites(rows: list[tuple[str, int, str, str, str | None]]) -> Sites:
    chromosomes, positions, references, alternatives, ids = zip(*rows, strict=True)
    sites = Sites(chromosomes, positions, references, alternatives)  # type: ignore[arg-type]
    if any(ids):
        own = np.asarray([one or "" for one in ids], dtype=np.str_)
        object.__setattr__(sites, "ids", np.where(own == "", sites.written_ids, own))
    return sites


class _Reader:
    """One file, and what was left out of it."""

    def __init__(self, path: Path, samples: Collection[str] | None, rules: GenotypeRules) -> None:
        self.path = path
        self.rules = rules
        self.dropped: Counter[str] = Counter()
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
        self.haplotypes_of_sample: NDArray[np.int64] | None = None

    @property
    def chromosomes(self) -> str:
        return ", ".join(self.file.seqnames[:5]) or "none"

    def _check_whole(self) -> None:
        """Refuse a bgzipped file that lacks its last block: htslib reads it without a word."""
        with open(self.path, "rb") as stream:
            if stream.read(4) != _BGZIP_START:
                return
            stream.seek(max(-len(_BGZIP_END), -self.path.stat().st_size), 2)
            if stream.read() != _BGZIP_END:
                raise HaplotypeError(f"{self.path} is cut off: it lacks the end of a bgzipped file")

    def records(self, region: Region | None) -> Iterator[Any]:
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
                last = f"behind {_place(record)}"
                if region is None or _lies_in(record, region):
                    yield record
        except HaplotypeError:
            raise
        except Exception as error:
            raise HaplotypeError(f"{self.path} is cut off or malformed {last}: {error}") from error

    def column(self, record: Any) -> Alleles | None:
        """The alleles of all haplotypes at one site, or `None` if it is dropped."""
        rules = self.rules
        if len(record.ALT) != 1:
            problem = (
                f"{len(record.ALT)} alternative alleles ({','.join(record.ALT) or '.'}), not one: "
                "split it (bcftools norm -m -), or drop such records"
            )
            self._drop(rules.multiallelic, "alleles", f"{self._where(record)}: {problem}")
            return None
        if rules.snps_only and not record.is_snp:
            self._drop("drop", "no SNPs", "")
            return None
        genotypes = self._genotypes(record)
        is_missing = (genotypes[:, :2] == MISSING).any(axis=1)
        if is_missing.any():
            where = self._where(record, int(is_missing.argmax()))
            problem = f"{where} is missing: impute it, or drop such records"
            self._drop(rules.missing, "missing genotypes", problem)
            return None
        differs = (genotypes[:, 0] != genotypes[:, 1]) & (genotypes[:, 1] != NO_SECOND)
        unphased = differs & (genotypes[:, 2] == 0)
        if unphased.any() and rules.unphased != "as_written":
            where = self._where(record, int(unphased.argmax()))
            problem = (
                f"{where} is not phased: phase it, drop such records, or take the alleles as they "
                "are written"
            )
            self._drop(rules.unphased, "unphased genotypes", problem)
            return None
        return self._flat(record, genotypes)

    def _genotypes(self, record: Any) -> NDArray[np.int16]:
        """First allele, second allele and whether they are phased: `(samples, 3)`."""
        try:
            genotypes = np.asarray(record.genotype.array())
        except Exception as error:
            raise HaplotypeError(
                f"{self._where(record)} holds no genotypes (GT): {error}"
            ) from error
        if genotypes.shape[1] == 2:
            # every sample is haploid
            one, phased = genotypes.T
            genotypes = np.stack([one, np.full_like(one, NO_SECOND), phased], axis=1)
        if genotypes.shape[1] != 3:
            raise HaplotypeError(
                f"{self._where(record)}: {genotypes.shape[1] - 1} alleles to a genotype, but one "
                "or two are needed"
            )
        return genotypes

    def _flat(self, record: Any, genotypes: NDArray[np.int16]) -> Alleles:
        alleles = genotypes[:, :2]
        per_sample = (alleles != NO_SECOND).sum(axis=1)
        if self.haplotypes_of_sample is None:
            self.haplotypes_of_sample = per_sample
        elif (per_sample != self.haplotypes_of_sample).any():
            sample = int((per_sample != self.haplotypes_of_sample).argmax())
            raise HaplotypeError(
                f"{self._where(record, sample)} is of ploidy {per_sample[sample]}, but of ploidy "
                f"{self.haplotypes_of_sample[sample]} in the records before it"
            )
        return alleles[alleles != NO_SECOND].astype(np.uint8)

    def names(self) -> NDArray[np.str_]:
        if self.haplotypes_of_sample is None:
            raise HaplotypeError(f"{self.path} holds no records")
        names = []
        for sample, number in zip(self.samples, self.haplotypes_of_sample, strict=True):
            names += [sample] if number == 1 else [sample + strand for strand in STRANDS]
        return np.asarray(names, dtype=np.str_)

    def _drop(self, rule: str, what: str, message: str) -> None:
        if rule == "error":
            raise HaplotypeError(message)
        self.dropped[what] += 1

    def tell_dropped(self) -> None:
        for what, number in self.dropped.items():
            logger.warning("%s: left out %s records: %s", self.path, f"{number:,}", what)

    def _where(self, record: Any, sample: int | None = None) -> str:
        where = f"{self.path}, record {_place(record)}"
        if sample is None:
            return where
        return f"{where}: the genotype of sample {self.samples[sample]}"


def _place(record: Any) -> str:
    return f"{record.CHROM}:{record.POS}" + (f" ({record.ID})" if record.ID else "")


def _lies_in(record: Any, region: Region) -> bool:
    return (
        region.contig == record.CHROM
        and region.start <= record.POS
        and (region.end is None or region.end >= record.POS)
    )


def is_vcf_name(path: Path) -> bool:
    """Whether the ending of a name is that of VCF or BCF.

    Example:

        >>> is_vcf_name(Path("chr1.vcf.gz")), is_vcf_name(Path("chr1.hapt.gz"))
        (True, False)
    """
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    return bool(suffixes) and (suffixes[-1] in (".vcf", ".bcf") or suffixes[0] == ".vcf")


def write_vcf(haplotypes: Haplotypes, path: Path, *, overwrite: bool = False) -> None:
    """Write a phased VCF, bgzipped if its name ends in `.gz`, or a BCF.

    Two haplotypes of a person that follow each other become a genotype `0|1`; a haplotype that is
    its own person becomes a haploid one.

    Args:
        haplotypes: what to write; it must be known where their sites lie.
        path: name of the file: `.vcf`, `.vcf.gz` or `.bcf`.
        overwrite: replace a file that exists.

    Raises:
        HaplotypeError: sites or their alleles are not known, or haplotypes of a person do not
            follow each other.
        ImportError: cyvcf2 is not installed.
    """
    sites = haplotypes.sites
    if sites is None or not all(sites.chromosomes.tolist() + sites.references.tolist()):
        raise HaplotypeError(
            f"{haplotypes.source}: VCF needs the chromosome, position and alleles of every site: "
            "give a legend that has them"
        )
    samples, first_row, has_two = _people(haplotypes)
    header = _header(sites, samples)
    cyvcf2 = _cyvcf2()
    with new_file(path, overwrite=overwrite) as partial:
        writer = cyvcf2.Writer.from_string(str(partial), header, mode=_MODES[path.suffix.lower()])
        try:
            for index, column in enumerate(np.ascontiguousarray(haplotypes.alleles.T)):
                line = "\t".join([_fixed(sites, index), _genotype_text(column, first_row, has_two)])
                writer.write_record(writer.variant_from_string(line))
        finally:
            writer.close()


def _people(haplotypes: Haplotypes) -> tuple[list[str], NDArray[np.int64], NDArray[np.bool_]]:
    """Samples, the row of the first haplotype of each, and whether it has a second one."""
    people = haplotypes.samples
    first_row = np.flatnonzero(np.r_[True, people[1:] != people[:-1]])
    lengths = np.diff(np.r_[first_row, len(people)])
    samples = people[first_row].tolist()
    if len(set(samples)) < len(samples) or lengths.max() > 2:
        twice = next(one for one, number in Counter(samples).items() if number > 1)
        raise HaplotypeError(
            f"{haplotypes.source}: the haplotypes of {twice} do not follow each other, as they do "
            "in a genotype: sort them"
        )
    return samples, first_row, lengths == 2


def _header(sites: Sites, samples: list[str]) -> str:
    lines = ["##fileformat=VCFv4.2", "##source=dnagpt_hf"]
    for name in dict.fromkeys(sites.chromosomes.tolist()):
        lines.append(f"##contig=<ID={name}>")
    lines.append('##FORMAT=<ID=GT,Number=1,Type=String,Description="Phased genotype">')
    columns = ["CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"]
    lines.append("\t".join(["#" + columns[0], *columns[1:], *samples]))
    return "\n".join([*lines, ""])


def _fixed(sites: Sites, index: int) -> str:
    fields = [
        sites.chromosomes[index],
        str(sites.positions[index]),
        "." if sites.ids is None else sites.ids[index],
        sites.references[index],
        sites.alternatives[index],
        ".",
        "PASS",
        ".",
        "GT",
    ]
    return "\t".join(fields)


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
