"""Tiny models for the tests of likelihoods, and the same likelihoods by brute force."""

from __future__ import annotations

import itertools
import math
import random
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer, open_genome
from dnagpt_hf.genomes.fasta import Genome
from dnagpt_hf.likelihoods.variants import VariantSettings
from dnagpt_hf.presets import preset_config, tokenizer_of, vocabulary_fields

COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


def tiny(
    kmer_size: int = 3, dynamic: bool = True, dtype: torch.dtype = torch.float64, **config: Any
) -> tuple[DNAGPTForMultiTask, DNAGPTTokenizer]:
    """A model whose weights are so large that every token changes what follows."""
    torch.manual_seed(0)
    fields: dict[str, Any] = {"max_position_embeddings": 64, "initializer_range": 0.3}
    fields |= vocabulary_fields(kmer_size, dynamic)
    sizes = preset_config("dnagpt-test", **{**fields, **config})
    return DNAGPTForMultiTask(sizes).to(dtype).eval(), tokenizer_of(sizes)


def dna(length: int, seed: int, letters: str = "ACGT") -> str:
    return "".join(random.Random(seed).choices(letters, k=length))


def genome_of(folder: Path, **contigs: str) -> Genome:
    path = folder / f"{len(list(folder.iterdir()))}.fa"
    path.write_text("".join(f">{name}\n{bases}\n" for name, bases in contigs.items()))
    return open_genome(path)


def reverse(sequence: str) -> str:
    return sequence[::-1].translate(COMPLEMENT)


def split(sequence: str, k: int) -> list[str]:
    """Whole k-mers from the left end."""
    return [sequence[start : start + k] for start in range(0, len(sequence) - k + 1, k)]


@lru_cache
def names_and_ids(kmer_size: int, dynamic: bool) -> tuple[list[str], list[int]]:
    tokenizer = DNAGPTTokenizer(kmer_size, dynamic)
    names = ["".join(one) for one in itertools.product("ACGT", repeat=kmer_size)]
    return names, [int(one) for one in tokenizer.convert_tokens_to_ids(names)]


def next_kmers(
    model: DNAGPTForMultiTask,
    tokenizer: DNAGPTTokenizer,
    species: str | None,
    before: list[str],
    normalize: str = "acgt",
) -> torch.Tensor:
    """Log-probabilities of all k-mers behind others, from the logits of a plain forward pass."""
    front = [] if species is None else tokenizer(f"<{species}>")["input_ids"]
    ids = front + [tokenizer.convert_tokens_to_ids(kmer) for kmer in before]
    with torch.no_grad():
        scores = model(input_ids=torch.tensor([ids])).logits[0, -1].double()
    _, ids = names_and_ids(tokenizer.kmer_size, tokenizer.dynamic_kmer)
    total = (scores[ids] if normalize == "acgt" else scores).logsumexp(0)
    return scores[ids] - total


def kmer_log_probability(
    model: Any, tokenizer: Any, species: str | None, kmers: list[str], place: int
) -> float | None:
    """Log-probability of one k-mer given those before it; None without context or with N."""
    if "N" in kmers[place] or (place == 0 and species is None):
        return None
    names, _ = names_and_ids(tokenizer.kmer_size, tokenizer.dynamic_kmer)
    following = next_kmers(model, tokenizer, species, kmers[:place])
    return float(following[names.index(kmers[place])])


def mean_probability(logs: list[float]) -> float:
    return math.log(sum(map(math.exp, logs)) / len(logs))


def base_log_probability(
    model: Any,
    tokenizer: Any,
    sequence: str,
    base: int,
    *,
    species: str | None = None,
    phases: int | None = None,
    window: int = 64,
    stride: int = 32,
    letter: str | None = None,
    normalize: str = "acgt",
) -> float | None:
    """log p(base | all before) on one strand by enumeration of the k-mers; None if missing."""
    k = tokenizer.kmer_size
    found = []
    for phase in range(k if phases is None else phases):
        token, column = divmod(base - phase, k)
        index = 0 if token < window else (token - window) // stride + 1
        start = phase + index * stride * k
        whole = sequence[phase + token * k : phase + (token + 1) * k]
        if base < phase or "N" in whole or (species is None and phase + token * k == start):
            continue
        before = split(sequence[start : phase + token * k], k)
        following = next_kmers(model, tokenizer, species, before, normalize)
        prefix = whole[:column]
        chosen = prefix + (letter or whole[column])
        names, _ = names_and_ids(k, tokenizer.dynamic_kmer)
        both = [
            float(following[[name.startswith(start) for name in names]].exp().sum())
            for start in (chosen, prefix)
        ]
        # of the whole vocabulary the first base has less than the probability 1
        found.append(math.log(both[0] / (both[1] if prefix else 1.0)))
    return mean_probability(found) if found else None


def variant_log_ratio(
    model: Any,
    tokenizer: Any,
    contig: str,
    position: int,
    ref: str,
    alt: str,
    settings: VariantSettings,
) -> float | None:
    """The log-likelihood ratio of a variant, by whole haplotypes and one pass for each k-mer."""
    changed = contig[:position] + alt + contig[position + len(ref) :]
    strands = [(contig, changed)]
    if settings.strand == "both":
        strands.append((reverse(contig), reverse(changed)))
    means = []
    for reference, alternative in strands:
        phases = [
            one
            for phase in range(tokenizer.kmer_size if settings.phases == "all" else 1)
            if (one := _of_phase(model, tokenizer, reference, alternative, phase, settings))
            is not None
        ]
        if phases:
            means.append(sum(phases) / len(phases))
    return sum(means) / len(means) if means else None


def _of_phase(
    model: Any,
    tokenizer: Any,
    reference: str,
    alternative: str,
    phase: int,
    settings: VariantSettings,
) -> float | None:
    k, species = tokenizer.kmer_size, settings.species
    window, stride, right = (
        one // k * k for one in (settings.window, settings.stride, settings.right)
    )
    pairs = enumerate(zip(reference, alternative, strict=False))
    shorter = min(len(reference), len(alternative))
    p = next((place for place, (one, other) in pairs if one != other), shorter)
    if p < phase:
        return None
    start = math.floor((p - phase - (window - right - stride)) / stride) * stride + phase
    start = max(start, phase)
    first = (p - start) // k
    one, other = split(reference[start:], k), split(alternative[start:], k)
    terms = []
    for place in range(first, min(first + right // k + 1, len(one), len(other))):
        found = kmer_log_probability(model, tokenizer, species, other, place)
        known = kmer_log_probability(model, tokenizer, species, one, place)
        if found is not None and known is not None:
            terms.append(found - known)
    return sum(terms) if terms else None
