"""Log-likelihood ratios of variants in a genome."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from dnagpt_hf.genomes.fasta import Genome
    from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

Note = Literal[
    "ref_mismatch",
    "n_in_allele",
    "symbolic",
    "breakend",
    "spanning_deletion",
    "no_alt",
    "too_long",
    "no_context",
    "unknown_contig",
]


@dataclass(frozen=True)
class Variant:
    """One alternative allele.

    Args:
        contig: name of a contig of the genome.
        position: first base of `ref`, counted from 0.
        ref: the reference allele, upper case; empty for an insertion without an anchor base.
        alt: the alternative allele, upper case, or what a VCF file has in its place: `<DEL>`, a
            breakend, `*`, or `.`.
    """

    contig: str
    position: int
    ref: str
    alt: str


@dataclass(frozen=True)
class VariantSettings:
    """Definition of the score of a variant. Lengths are in bases, rounded down to whole k-mers.

    Args:
        species: name of the species token in front, such as `"R"`; without one the first k-mer of
            a window is context only.
        window: bases that the model reads.
        stride: distance between the starts of windows.
        right: bases that are scored behind the token in which the haplotypes first differ.
        phases: mean over `"all"` phases of the k-mers, or the `"first"`.
        strand: mean of `"both"` strands, or `"forward"`.
        mode: `"full"` compares haplotypes, `"site"` single bases given the bases before them.
    """

    species: str | None = None
    window: int = 1200
    stride: int = 300
    right: int = 180
    phases: Literal["all", "first"] = "all"
    strand: Literal["both", "forward"] = "both"
    mode: Literal["full", "site"] = "full"


@dataclass(frozen=True)
class VariantScore:
    """The score of one alternative allele.

    Args:
        llr: log p(ALT) − log p(REF) in nats, of the haplotypes; None in mode `"site"`.
        site: log p(alt base) − log p(ref base) in nats given the bases before; None where the
            alleles differ in more than one base.
        note: the reason for which there is no score.
    """

    llr: float | None
    site: float | None
    note: Note | None


def score_variants(
    model: DNAGPTForMultiTask,
    tokenizer: DNAGPTTokenizer,
    genome: Genome,
    variants: Iterable[Variant],
    settings: VariantSettings,
    *,
    progress: Callable[[int], object] = lambda added: None,
) -> Iterator[VariantScore]:
    """Score variants one after the other, in their order and in bounded memory.

    Batches are fixed units of work, so that neither the order of the variants nor their neighbors
    change a score. Variants near each other share work where they stand near each other in the
    stream.

    Args:
        model: the model, in evaluation mode.
        tokenizer: its tokenizer.
        genome: the genome, opened by [`~dnagpt_hf.open_genome`].
        variants: any number of alleles; a bounded number is read ahead.
        settings: definition of the score.
        progress: called with the number of variants of each finished block.

    Raises:
        ValueError: the settings do not fit the model.
        GenomeError: the genome cannot be read.
    """
    raise NotImplementedError
