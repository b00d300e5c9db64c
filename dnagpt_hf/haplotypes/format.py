"""How a model writes haplotypes, as plain data that its checkpoint keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dnagpt_hf.haplotypes.codec import STOP_TOKEN, HaplotypeCodec
from dnagpt_hf.haplotypes.sites import HaplotypeError

if TYPE_CHECKING:
    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

LEGEND = "sites.legend"
"""File of a checkpoint that tells where its sites lie."""

_DIGITS = tuple(f"<{digit}>" for digit in range(10))
_KEYS = ("num_sites", "letters", "stop", "prefix", "populations")


@dataclass(frozen=True)
class HaplotypeFormat:
    """The arguments of a [`HaplotypeCodec`], all but its tokenizer.

    A checkpoint keeps them in `config.haplotypes`, so that it can be asked for haplotypes without
    repeating them.

    Args:
        num_sites: alleles of a haplotype.
        letters: base of allele 0 and base of allele 1.
        stop: token behind the last site.
        prefix: token before the first site.
        populations: reserved token of each population.

    Example:

        >>> HaplotypeFormat.of_populations(805, ["EUR", "AFR", "EUR"]).populations
        {'AFR': '<0>', 'EUR': '<1>'}
    """

    num_sites: int
    letters: tuple[str, str] = ("A", "T")
    stop: str = STOP_TOKEN
    prefix: str = "<R>"
    populations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_populations(cls, num_sites: int, populations: Sequence[str] | None) -> HaplotypeFormat:
        """A format with a token `<0>`, `<1>`, … for each population that occurs.

        Raises:
            HaplotypeError: there are more than ten.
        """
        names = [] if populations is None else sorted(set(populations))
        if len(names) > len(_DIGITS):
            raise HaplotypeError(
                f"{len(names)} populations ({', '.join(names[:12])}, …), but there are tokens for "
                f"{len(_DIGITS)}: take larger ones, such as the superpopulations"
            )
        return cls(num_sites, populations=dict(zip(names, _DIGITS, strict=False)))

    @classmethod
    def of_model(cls, config: DNAGPTConfig, source: str = "the model") -> HaplotypeFormat:
        """The format that a checkpoint was trained on.

        Args:
            config: of the checkpoint.
            source: what the message calls it.

        Raises:
            HaplotypeError: it was not trained on haplotypes, or a key is missing or unknown.
        """
        content = config.haplotypes
        if content is None:
            raise HaplotypeError(
                f"{source} was not trained on haplotypes: its config.json has no 'haplotypes'; "
                "train one with dnagpt haplotypes train"
            )
        if set(content) != set(_KEYS):
            raise HaplotypeError(
                f"{source}: 'haplotypes' of its config.json has the keys {', '.join(content)}; "
                f"{', '.join(_KEYS)} are needed"
            )
        return cls(**{**content, "letters": tuple(content["letters"])})

    def as_dict(self) -> dict[str, Any]:
        """Plain data for `config.haplotypes`."""
        return {
            "num_sites": self.num_sites,
            "letters": list(self.letters),
            "stop": self.stop,
            "prefix": self.prefix,
            "populations": dict(self.populations),
        }

    def codec(self, tokenizer: DNAGPTTokenizer) -> HaplotypeCodec:
        """The codec with the ids of a tokenizer."""
        return HaplotypeCodec(
            tokenizer,
            self.num_sites,
            letters=self.letters,
            stop=self.stop,
            prefix=self.prefix,
            populations=self.populations,
        )


def check_positions(codec: HaplotypeCodec, positions: int) -> None:
    """Refuse haplotypes that a model cannot hold.

    Raises:
        HaplotypeError: they have more tokens than the model has positions.
    """
    if codec.length > positions:
        raise HaplotypeError(
            f"haplotypes of {codec.num_sites:,} sites are {codec.length:,} tokens of "
            f"{codec.tokenizer.kmer_size} sites, which exceeds the model's {positions:,} "
            "positions: choose a smaller region, a higher minor-allele frequency or a model with "
            "more positions"
        )
