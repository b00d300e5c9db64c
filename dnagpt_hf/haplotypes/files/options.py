"""Choices of what is read from a file of haplotypes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin, get_type_hints


def _help(text: str, metavar: str | None = None) -> dict[str, Any]:
    """Describe an option of the command line, as the metadata of its field."""
    return {"help": text, "metavar": metavar}


@dataclass
class ReadingOptions:
    """Sites, samples and records that are read from a file of haplotypes.

    Args:
        legend: legend of a `.hapt` or `.npy` file; by default the `.legend` file beside it.
        region: region of the sites, such as `"15:27,000,000-28,000,000"` or a chromosome.
        min_maf: least minor-allele frequency of a site, among the haplotypes that are read.
        populations: a table with the population of each sample, CSV or TSV with a header.
        population_column: its column; by default superpopulations before populations.
        missing: records of a VCF with a genotype `./.` or `.|1`: an error, or dropped.
        unphased: records with a heterozygous genotype `0/1`: an error, dropped, or the alleles are
            taken in the order in which they are written. (The order of `0/0` and `1/1` does not
            matter, so that these are read.)
        multiallelic: records with several alternative alleles, or with none, as where it is `*` or
            the reference allele: an error, or dropped.
            `bcftools norm -m -` splits them.
        snps_only: drop insertions, deletions and other variants of a VCF.

    Raises:
        ValueError: a value is none of its choices.
    """

    legend: str | None = field(
        default=None,
        metadata=_help(
            "Sites of a .hapt or .npy file; by default the .legend file beside it.", "FILE"
        ),
    )
    region: str | None = field(
        default=None,
        metadata=_help("Sites in 15:27,000,000-28,000,000, or on a chromosome.", "REGION"),
    )
    min_maf: float = field(
        default=0.0, metadata=_help("Least minor-allele frequency of a site, 0 to 0.5.")
    )
    populations: str | None = field(
        default=None,
        metadata=_help("Table with the population of each sample, CSV or TSV.", "FILE"),
    )
    population_column: str | None = field(
        default=None, metadata=_help("Its column; by default superpopulations first.", "COLUMN")
    )
    missing: Literal["error", "drop"] = field(
        default="error", metadata=_help("Records of a VCF with missing genotypes.")
    )
    unphased: Literal["error", "drop", "as_written"] = field(
        default="error", metadata=_help("Records with heterozygous genotypes that are not phased.")
    )
    multiallelic: Literal["error", "drop"] = field(
        default="error", metadata=_help("Records with several alternative alleles, or none.")
    )
    snps_only: bool = field(
        default=False, metadata=_help("Leave out insertions, deletions and other variants.")
    )

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(ReadingOptions).items():
            choices = get_args(hint)
            if get_origin(hint) is Literal and getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}: choose one of {', '.join(choices)}"
                )
