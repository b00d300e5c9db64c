"""Haplotypes in the token language: alleles as bases, several sites to a token.

A haplotype is written as DNA, one letter for each site, between an instruction and a stop symbol:

    <R>TTATTTTATTTTTTAT…<!>          human haplotype
    <R><3>TTATTTTATTTTTTAT…<!>       haplotype of the population that <3> stands for

The reference allele is `A` and the alternative one `T` by default, the same letters at every site.
So a token means the same at every position, 64 of the 6-mers are enough, insertions and deletions
can be written as well as SNPs, and no legend is needed to read a sequence back. The two letters
are complementary: the reverse complement of such a sequence is one as well. The true bases of each
site can be used instead.

Sites fill k-mers from the left. The rest is a shorter k-mer in the dynamic vocabulary, and is
padded with `N` in the fixed one. The stop symbol is the last token, as in the paper (section 9),
which rejects generated sequences without it at the last position.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.haplotypes.format import HaplotypeFormat
from dnagpt_hf.haplotypes.haplotypes import Alleles, as_alleles
from dnagpt_hf.haplotypes.sites import HaplotypeError, Texts
from dnagpt_hf.tokenization_dnagpt import PROPERTY_TOKENS, DNAGPTTokenizer

Ids = NDArray[np.int64]

# rows that are encoded at once: the intermediate arrays stay small
_ROWS = 256


@dataclass(frozen=True, eq=False)
class DecodedHaplotypes:
    """Haplotypes read from token sequences.

    Args:
        alleles: uint8 `(sequences, sites)`; 0 where a sequence is not valid.
        has_prefix: the tokens before the alleles are those of the format, `(sequences,)`.
        has_stop: the first stop symbol follows the last site, `(sequences,)`.
        has_alleles: every letter is an allele of its site, `(sequences,)`.
        populations: population of each sequence, "" for none, `(sequences,)`; `None` for a format
            without populations.
    """

    alleles: Alleles
    has_prefix: NDArray[np.bool_]
    has_stop: NDArray[np.bool_]
    has_alleles: NDArray[np.bool_]
    populations: Texts | None = None

    @property
    def is_valid(self) -> NDArray[np.bool_]:
        """Mask of the sequences that are haplotypes: `(sequences,)`."""
        return self.has_prefix & self.has_stop & self.has_alleles


class HaplotypeCodec:
    """Writes haplotypes as tokens and reads them back, whole matrices at once.

    Args:
        tokenizer: tokenizer of the model, whose vocabulary sets the number of sites of a token.
        format: notation of haplotypes.

    Attributes:
        num_sites: alleles of a haplotype.
        num_tokens: tokens that hold alleles.
        start: index of the first of them.
        length: tokens of a haplotype, prefix and stop symbol included.

    Raises:
        HaplotypeError: a letter is no base, the two of a site are the same, or a token is not of
            the token language or has two meanings.

    Example:

        >>> codec = HaplotypeCodec(DNAGPTTokenizer(), HaplotypeFormat(num_sites=8))
        >>> codec.texts([[0, 1, 1, 0, 0, 0, 1, 0]])
        ['<R>ATTAAATA<!>']
        >>> ids = codec.encode([[0, 1, 1, 0, 0, 0, 1, 0]])
        >>> decoded = codec.decode(ids)
        >>> ids.shape, decoded.alleles.tolist(), decoded.is_valid.tolist()
        ((1, 4), [[0, 1, 1, 0, 0, 0, 1, 0]], [True])
    """

    def __init__(self, tokenizer: DNAGPTTokenizer, format: HaplotypeFormat) -> None:
        if format.num_sites < 1:
            raise HaplotypeError(f"{format.num_sites} sites, but a haplotype has at least one")
        self.tokenizer, self.format, self.num_sites = tokenizer, format, format.num_sites
        self._check_tokens()
        vocabulary = tokenizer.get_vocab()
        self.stop_id = vocabulary[format.stop]
        self._prefix_ids = [vocabulary[format.prefix]] if format.prefix else []
        self.populations = format.populations
        self._population_ids = {name: vocabulary[one] for name, one in self.populations.items()}
        self.start = len(self._prefix_ids) + bool(self.populations)
        self.kmer_size = int(tokenizer.kmer_size)
        self.num_tokens = -(-self.num_sites // self.kmer_size)
        self.length = self.start + self.num_tokens + 1
        # (tokens, combinations): id of each combination of alleles, which is a binary number
        self._table = self._combination_ids(vocabulary)
        # keys of token and id in ascending order, with the combinations that they stand for
        keys = np.arange(self.num_tokens)[:, None] * len(tokenizer) + self._table
        combinations = np.broadcast_to(np.arange(self._table.shape[1]), keys.shape)
        order = np.argsort(keys[self._table >= 0])
        self._keys = keys[self._table >= 0][order]
        self._combinations = combinations[self._table >= 0][order]
        self._bits = np.arange(self.kmer_size)[::-1]

    def _check_tokens(self) -> None:
        format = self.format
        wanted = [format.stop, *format.populations.values()] + [format.prefix] * bool(format.prefix)
        reserved = set(PROPERTY_TOKENS) - {self.tokenizer.pad_token}
        for token in wanted:
            if token not in reserved:
                raise HaplotypeError(
                    f"{token!r} is no token that can be used here: choose one of "
                    f"{' '.join(sorted(reserved))}"
                )
            if wanted.count(token) > 1:
                raise HaplotypeError(f"{token} has two meanings: choose another token for one")

    def check_positions(self, positions: int) -> None:
        """Refuse haplotypes that are longer than a model's context.

        Raises:
            HaplotypeError: they have more tokens than the model has positions.
        """
        if self.length > positions:
            raise HaplotypeError(
                f"haplotypes of {self.num_sites:,} sites are {self.length:,} tokens of "
                f"{self.tokenizer.kmer_size} sites, which exceeds the model's {positions:,} "
                "positions: choose a smaller region, a higher minor-allele frequency or a model "
                "with more positions"
            )

    def _letters_of_sites(self) -> list[str]:
        """List the letters of both alleles of each site."""
        rows = []
        for allele, given in enumerate(self.format.letters):
            bases = [given] * self.num_sites if given in tuple("ACGT") else list(given)
            if len(bases) != self.num_sites:
                raise HaplotypeError(
                    f"{len(bases):,} letters for allele {allele}, but one or {self.num_sites:,} "
                    "are needed"
                )
            rows.append(bases)
        for site, pair in enumerate(zip(*rows, strict=True), start=1):
            for allele, base in enumerate(pair):
                if base not in tuple("ACGT"):
                    raise HaplotypeError(
                        f"{base!r} for allele {allele} of site {site:,} is not A, C, G or T: use "
                        "the same two letters for all sites"
                    )
            if pair[0] == pair[1]:
                raise HaplotypeError(f"both alleles of site {site:,} are the same base")
        return list(map("".join, zip(*rows, strict=True)))

    def _combination_ids(self, vocabulary: Mapping[str, int]) -> Ids:
        """List the ids of each token; -1 for combinations with an allele behind the last site."""
        letters, size = self._letters_of_sites(), self.kmer_size
        table = np.full((self.num_tokens, 2**size), -1)
        for token, row in enumerate(table):
            sites = letters[token * size : (token + 1) * size]
            missing = size - len(sites)
            # a vocabulary of one length pads the last sites
            fill = "" if "N" * len(sites) in vocabulary else "N" * missing
            kmers = map("".join, itertools.product(*sites))
            row[:: 2**missing] = [vocabulary[kmer + fill] for kmer in kmers]
        return table

    def texts(self, alleles: Any, populations: Sequence[str] | None = None) -> list[str]:
        """Write haplotypes as texts of the token language.

        Args:
            alleles: 0 and 1, `(haplotypes, sites)`.
            populations: one for each haplotype, if the format has populations.
        """
        ids = self.encode(alleles, populations).tolist()
        return ["".join(self.tokenizer.convert_ids_to_tokens(row)) for row in ids]

    def encode(self, alleles: Any, populations: Sequence[str] | None = None) -> Ids:
        """Encode haplotypes as token ids: int64 `(haplotypes, length)`.

        Args:
            alleles: 0 and 1, `(haplotypes, sites)`.
            populations: one for each haplotype, if the format has populations.

        Raises:
            HaplotypeError: another number of sites, an allele that is not 0 or 1, or an unknown
                population.
        """
        alleles = self._checked(alleles)
        ids = np.empty((len(alleles), self.length), np.int64)
        ids[:, : self.start] = self._heads(len(alleles), populations)
        ids[:, -1] = self.stop_id
        sites = np.zeros((len(alleles), self.num_tokens * self.kmer_size), np.uint8)
        sites[:, : self.num_sites] = alleles
        tokens = np.arange(self.num_tokens)
        for rows in _groups(len(alleles)):
            bits = sites[rows].reshape(-1, self.num_tokens, self.kmer_size)
            ids[rows, self.start : -1] = self._table[tokens, bits @ (1 << self._bits)]
        return ids

    def decode(self, ids: Any) -> DecodedHaplotypes:
        """Read token ids as haplotypes, and check each sequence.

        Args:
            ids: `(sequences, tokens)`, of any number of tokens; tokens after the stop symbol are
                ignored.

        Raises:
            HaplotypeError: the ids are not two-dimensional or not in the vocabulary.
        """
        ids = np.asarray(ids)
        most = len(self.tokenizer)
        if ids.ndim != 2 or (ids.size and not 0 <= ids.min() <= ids.max() < most):
            raise HaplotypeError(
                f"ids of shape {ids.shape}: (sequences, tokens) of ids below {most:,} are needed"
            )
        rows = ids.shape[0]
        if ids.shape[1] < self.length:
            # too short to end in a stop symbol; the padding token is no letter
            filler = np.full((rows, self.length - ids.shape[1]), self.tokenizer.pad_token_id)
            ids = np.concatenate([ids, filler], axis=1)
        is_stop = ids == self.stop_id
        has_stop = is_stop.any(axis=1) & (is_stop.argmax(axis=1) == self.length - 1)
        has_prefix, populations = self._read_heads(ids)
        alleles = np.zeros((rows, self.num_sites), np.uint8)
        has_alleles = np.empty(rows, dtype=bool)
        for group in _groups(rows):
            # (rows, tokens)
            keys = ids[group, self.start : self.length - 1]
            keys = keys + np.arange(self.num_tokens) * len(self.tokenizer)
            found = np.searchsorted(self._keys, keys).clip(max=len(self._keys) - 1)
            has_alleles[group] = (self._keys[found] == keys).all(axis=1)
            bits = self._combinations[found][:, :, None] >> self._bits & 1
            alleles[group] = bits.reshape(len(found), -1)[:, : self.num_sites]
        alleles[~(has_prefix & has_stop & has_alleles)] = 0
        return DecodedHaplotypes(alleles, has_prefix, has_stop, has_alleles, populations)

    def prompt(self, population: str | None = None) -> list[int]:
        """Return the ids before the alleles, with which generation starts.

        Raises:
            HaplotypeError: the format has populations and none is stated, or not this one.
        """
        return self._heads(1, None if population is None else [population])[0].tolist()

    def allele_ids(self, token: int) -> Ids:
        """List the ids of one of the `num_tokens` k-mers: one for each combination of alleles."""
        ids = self._table[token]
        return ids[ids >= 0]

    def _checked(self, alleles: Any) -> Alleles:
        alleles = as_alleles(alleles, "alleles")
        if alleles.shape[1] != self.num_sites:
            raise HaplotypeError(
                f"alleles of shape {alleles.shape}, but (haplotypes, {self.num_sites:,}) is needed"
            )
        return alleles

    def _heads(self, rows: int, populations: Sequence[str] | None) -> Ids:
        """Make the ids before the alleles: `(haplotypes, start)`."""
        if bool(self.populations) != (populations is not None):
            raise HaplotypeError(
                "a population stands before the alleles: state it, one of "
                + ", ".join(self.populations)
                if self.populations
                else "the model or format has no populations"
            )
        heads = np.empty((rows, self.start), np.int64)
        heads[:, : len(self._prefix_ids)] = self._prefix_ids
        if populations is not None:
            unknown = [one for one in populations if one not in self._population_ids]
            if unknown:
                known = ", ".join(self.populations)
                raise HaplotypeError(f"unknown population {unknown[0]!r}; there are {known}")
            heads[:, -1] = [self._population_ids[one] for one in populations]
        return heads

    def _read_heads(self, ids: Ids) -> tuple[NDArray[np.bool_], Texts | None]:
        has_prefix = (ids[:, : len(self._prefix_ids)] == self._prefix_ids).all(axis=1)
        if not self.populations:
            return has_prefix, None
        names = {one: name for name, one in self._population_ids.items()}
        populations = np.asarray(
            [names.get(one, "") for one in ids[:, self.start - 1].tolist()], dtype=np.str_
        )
        return has_prefix & (populations != ""), populations


def _groups(rows: int) -> Iterator[slice]:
    for start in range(0, rows, _ROWS):
        yield slice(start, min(start + _ROWS, rows))
