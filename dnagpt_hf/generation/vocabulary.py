"""The vocabulary as look-up tables over ids."""

import numpy as np
import torch

from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

BASES = frozenset("NACGT")


class KmerTable:
    """The vocabulary of a tokenizer as look-up tables.

    Args:
        tokenizer (`DNAGPTTokenizer`): Tokenizer whose k-mers are tabulated.

    Attributes:
        kmers (`np.ndarray` of shape `(tokens,)`): Bases of each k-mer, "" for other tokens.
        lengths (`torch.LongTensor` of shape `(tokens,)`): Number of bases, 0 for other tokens.
        has_n (`torch.BoolTensor` of shape `(tokens,)`): Marks k-mers with an undetermined base.
    """

    def __init__(self, tokenizer: DNAGPTTokenizer) -> None:
        tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
        self.kmers = np.array([token if BASES.issuperset(token) else "" for token in tokens])
        self.lengths = torch.from_numpy(np.char.str_len(self.kmers)).long()
        self.has_n = torch.from_numpy(np.char.find(self.kmers, "N") >= 0)

    def __len__(self) -> int:
        return len(self.kmers)

    def starting_with(self, bases: str, allow_n: bool) -> torch.Tensor:
        """Mark the k-mers that begin with `bases`, `(tokens,)`.

        Args:
            bases: first letters.
            allow_n: mark k-mers as well that add an N to these letters.
        """
        fits = np.char.startswith(self.kmers, bases) & (self.kmers != "")
        if not allow_n:
            fits &= np.char.count(self.kmers, "N") == bases.count("N")
        return torch.from_numpy(fits)


def token_id(tokenizer: DNAGPTTokenizer, token: str | int) -> int:
    """Look up the id of a token, given as text or as an id.

    Raises:
        ValueError: if it is not exactly one token.
    """
    if isinstance(token, int):
        if not 0 <= token < len(tokenizer):
            raise ValueError(f"id {token} does not lie between 0 and {len(tokenizer) - 1}")
        return token
    ids = tokenizer(token)["input_ids"]
    if len(ids) != 1:
        raise ValueError(f"{token!r} is {len(ids)} tokens: pass one token or its id")
    return int(ids[0])
