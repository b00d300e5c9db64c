"""Names of property tokens, those of species among them."""

from __future__ import annotations

from typing import Any


def species_token_id(species: str) -> int:
    """Find the id of a species token.

    Args:
        species: its letter, as `R` or `<R>`, or the species, as `Homo sapiens`.

    Raises:
        ValueError: there is no such token.

    Example:

        >>> [species_token_id(name) for name in ("R", "<R>", "homo_sapiens")]
        [21, 21, 21]
    """
    from dnagpt_hf.tokenization_dnagpt import PROPERTY_TOKENS, SPECIES

    token = named_token(species)
    if token not in PROPERTY_TOKENS:
        known = ", ".join(f"{one[1:-1]} ({name})" for one, name in SPECIES.items())
        raise ValueError(f"there is no species token {species!r}: choose one of {known}")
    return PROPERTY_TOKENS.index(token)


def named_token(value: Any) -> str | None:
    """Return the token that a cell names by `R`, `<R>`, or a species such as `Homo sapiens`."""
    from dnagpt_hf.tokenization_dnagpt import SPECIES

    name = str(value).strip().removeprefix("<").removesuffix(">")
    if len(name) == 1:
        return f"<{name}>"
    wanted = "_".join(name.lower().split())
    return next((token for token, species in SPECIES.items() if species.lower() == wanted), None)
