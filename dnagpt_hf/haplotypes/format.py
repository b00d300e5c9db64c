"""The notation of haplotypes as plain data, which a checkpoint keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from dnagpt_hf.haplotypes.sites import HaplotypeError

if TYPE_CHECKING:
    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig

LEGEND = "sites.legend"
"""File of a checkpoint with its sites."""

STOP_TOKEN = "<!>"
"""A reserved token that no task of the paper uses."""

_DIGITS = tuple(f"<{digit}>" for digit in range(10))


@dataclass(frozen=True)
class HaplotypeFormat:
    """Notation of haplotypes in the token language.

    A checkpoint keeps it in `config.haplotypes`, so that generation needs no arguments for it.

    Args:
        num_sites: alleles of a haplotype.
        letters: base of allele 0 and base of allele 1, or a base for every site of each.
        stop: token after the last site.
        prefix: token before the first site; "" for none.
        populations: reserved token of each population, written after the prefix.

    Example:

        >>> HaplotypeFormat.of_populations(805, ["EUR", "AFR", "EUR"]).populations
        {'AFR': '<0>', 'EUR': '<1>'}
    """

    num_sites: int
    letters: tuple[str | Sequence[str], str | Sequence[str]] = ("A", "T")
    stop: str = STOP_TOKEN
    prefix: str = "<R>"
    populations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_populations(cls, num_sites: int, populations: Sequence[str] | None) -> HaplotypeFormat:
        """Make a format with a token `<0>`, `<1>`, … for each population that occurs.

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
        """Read the format that a checkpoint was trained on.

        Args:
            config: configuration of the checkpoint.
            source: its name in messages.

        Raises:
            HaplotypeError: it was not trained on haplotypes, or a key is missing or unknown.
        """
        content = config.haplotypes
        if content is None:
            raise HaplotypeError(
                f"{source} was not trained on haplotypes: its config.json has no 'haplotypes'; "
                "train one with dnagpt haplotypes train"
            )
        keys = [one.name for one in fields(cls)]
        if set(content) != set(keys):
            raise HaplotypeError(
                f"{source}: 'haplotypes' of its config.json has the keys {', '.join(content)}; "
                f"{', '.join(keys)} are needed"
            )
        return cls(**{**content, "letters": tuple(content["letters"])})

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for `config.haplotypes`."""
        return {**asdict(self), "letters": list(self.letters)}
