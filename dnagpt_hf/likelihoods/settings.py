"""Definitions of the likelihoods of bases and of variants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args, get_type_hints

Normalization = Literal["acgt", "vocabulary"]
Mode = Literal["full", "site"]


@dataclass(frozen=True)
class ScoreSettings:
    """Definition of the log-probabilities of bases.

    Args:
        species: name of the species token in front, such as `"R"`. Without one the first k-mer is
            context only, and its bases are missing.
        strand: `"forward"`, `"reverse"`, or the mean of `"both"` log-probabilities.
        phases: `"all"` mixes the probabilities that the k-mers of each phase give to a base; the
            `"first"` phase is that of k-mers from the first base on.
        normalize: the k-mers of A, C, G and T have the whole probability (`"acgt"`), or all tokens
            of the `"vocabulary"`.
        remainder: bases behind the last whole k-mer have the probability of their `"prefix"`, over
            all k-mers that begin with them, or that of the shorter k-mer, which says that the
            `"segment"` ends; the latter has one phase and a dynamic vocabulary.
        window: bases that the model reads, rounded down to whole k-mers; by default its positions.
        stride: distance between the starts of windows, rounded down as well; by default half a
            window. Of each window but the first, the last `stride` bases are scored.

    Raises:
        ValueError: a choice does not exist, or two do not fit each other.
    """

    species: str | None = None
    strand: Literal["both", "forward", "reverse"] = "both"
    phases: Literal["all", "first"] = "all"
    normalize: Normalization = "acgt"
    remainder: Literal["prefix", "segment"] = "prefix"
    window: int | None = None
    stride: int | None = None

    def __post_init__(self) -> None:
        _check_choices(self)
        if self.remainder == "segment" and self.phases == "all":
            raise ValueError("segments end at other bases in other phases: choose phases first")


@dataclass(frozen=True)
class VariantSettings:
    """Definition of the score of a variant. Lengths are in bases, rounded down to whole k-mers.

    Args:
        species: name of the species token in front, such as `"R"`; without one the first k-mer of
            a window is context only.
        window: bases that the model reads.
        stride: distance between the starts of windows.
        right: bases that are scored behind the k-mer in which the haplotypes first differ.
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
    mode: Mode = "full"

    def __post_init__(self) -> None:
        _check_choices(self)


def _check_choices(settings: Any) -> None:
    """Refuse a value that is none of the texts that its field allows."""
    for name, kind in get_type_hints(type(settings)).items():
        choices, value = get_args(kind), getattr(settings, name)
        if choices and all(isinstance(one, str) for one in choices) and value not in choices:
            raise ValueError(f"{name} is {value!r}: choose {' or '.join(choices)}")
