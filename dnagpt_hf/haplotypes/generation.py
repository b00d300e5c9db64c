"""Artificial human genomes: haplotypes from a model that was trained on them (paper, section 6)."""

from __future__ import annotations

import os
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dnagpt_hf.generation.sampling import Sampling, sequence_keys
from dnagpt_hf.haplotypes.codec import HaplotypeCodec, Ids
from dnagpt_hf.haplotypes.format import HaplotypeFormat, check_positions
from dnagpt_hf.haplotypes.haplotypes import Haplotypes
from dnagpt_hf.haplotypes.partial_generation import PartialGeneration, weights_checksum
from dnagpt_hf.haplotypes.prompts import Prompts
from dnagpt_hf.haplotypes.sampling import HaplotypeSampler
from dnagpt_hf.haplotypes.sites import HaplotypeError, Sites
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

REASONS = ("stop symbol too early", "no stop symbol behind the last site", "another token")
"""Why a sequence is thrown away: what the first token says that no haplotype has there."""


@dataclass(frozen=True)
class GeneratedHaplotypes:
    """Artificial genomes, and how many sequences were no genomes.

    Args:
        haplotypes: the genomes; each is its own person.
        rejected: number of sequences that were thrown away, by reason (`REASONS`).
    """

    haplotypes: Haplotypes
    rejected: Mapping[str, int]


def generate_haplotypes(
    model: DNAGPTForMultiTask,
    tokenizer: DNAGPTTokenizer,
    number: int,
    *,
    temperature: float = 0.8,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    batch_size: int = 64,
    constrained: bool = False,
    population: str | Sequence[str] | None = None,
    known: Any = None,
    sites: Sites | None = None,
    max_tries: int = 100,
    unfinished: str | os.PathLike[str] | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> GeneratedHaplotypes:
    """Generate artificial genomes.

    As in the paper (section 9), any token may be drawn, and a sequence that has anything but
    alleles before its stop symbol, or the stop symbol in another place than behind the last site,
    is thrown away and drawn again. Constrained, nothing else can be drawn, and none is thrown away.

    Each genome has a random stream of its own, made of `seed` and its number. Which genomes come
    out depends neither on `batch_size` nor on interruptions, beyond rounding in the model itself.
    `<R>AAT…` is continued from its first token; with known sites, from the last whole token of
    them, and of the next token only what begins with the rest of them can be drawn.

    Args:
        model (`DNAGPTForMultiTask`): A model that was trained on haplotypes.
        tokenizer (`DNAGPTTokenizer`): Its tokenizer.
        number (`int`): Genomes to generate.
        temperature (`float`, defaults to 0.8): Of the draw, as in the paper.
        top_k (`int`, *optional*): Draw from the so many most probable tokens only.
        top_p (`float`, *optional*): Draw from the most probable tokens that sum to this only.
        seed (`int`, defaults to 0): Start of all random streams.
        batch_size (`int`, defaults to 64): Genomes that are generated together.
        constrained (`bool`, defaults to `False`): Draw alleles only.
        population (`str` or `Sequence[str]`, *optional*):
            Population of all genomes, or of each, for a model that knows populations. Without it
            the model draws them as well.
        known (array of shape `(sites,)` or `(rows, sites)`, *optional*):
            Alleles of the first sites, which are kept; genomes continue the rows in turn.
        sites (`Sites`, *optional*): Where the sites lie, for the result.
        max_tries (`int`, defaults to 100): Sequences that are drawn for one genome at most.
        unfinished (`str` or path, *optional*):
            A file that keeps genomes from batch to batch. If it exists, it is gone on with. It
            stays, for the caller to delete when the genomes are stored.
        on_batch (`Callable[[int], None]`, *optional*):
            Called with the number of finished genomes after each batch, for progress bars.

    Returns:
        [`GeneratedHaplotypes`]

    Raises:
        HaplotypeError: the model was not trained on haplotypes, an argument does not fit it, or a
            genome was not valid in `max_tries` tries.
        ResumptionError: the file is of a run with other arguments.

    Example:

    ```python
    >>> from dnagpt_hf.presets import preset_config, preset_tokenizer
    >>> form = HaplotypeFormat(num_sites=20).as_dict()
    >>> model = DNAGPTForMultiTask(preset_config("dnagpt-test", haplotypes=form)).eval()
    >>> tokenizer = preset_tokenizer("dnagpt-test")
    >>> generated = generate_haplotypes(model, tokenizer, 3, constrained=True, known=[0, 1, 1])
    >>> generated.haplotypes.alleles.shape, generated.haplotypes.alleles[:, :3].tolist()
    ((3, 20), [[0, 1, 1], [0, 1, 1], [0, 1, 1]])

    ```
    """
    codec = HaplotypeFormat.of_model(model.config).codec(tokenizer)
    check_positions(codec, model.config.max_position_embeddings)
    _check_arguments(codec, number, temperature, batch_size, max_tries, sites)
    rows = _known(codec, known)
    names = _populations(codec, population, number, rows)
    prompts = Prompts.of_known(codec, number, names, rows)
    sampling = Sampling(temperature, top_k, top_p, seed)
    kept = PartialGeneration(
        unfinished,
        {
            "model": weights_checksum(model) if unfinished is not None else "",
            "number": number,
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "seed": seed,
            "constrained": constrained,
            "population": population if isinstance(population, str) else names,
            "known": None if rows is None else f"{zlib.crc32(rows.tobytes()):08x}",
        },
        codec.length,
        REASONS,
    )
    sampler = HaplotypeSampler(model, codec, sampling, constrained)
    _draw_all(sampler, prompts, kept, number, batch_size, max_tries, seed, on_batch)
    return _generated(codec, kept, sites)


def _draw_all(
    sampler: HaplotypeSampler,
    prompts: Prompts,
    kept: PartialGeneration,
    number: int,
    batch_size: int,
    max_tries: int,
    seed: int,
    on_batch: Callable[[int], None] | None,
) -> None:
    """Draw genomes until all are valid; one that is not takes its place in line again."""
    finished = kept.records["number"]
    rejected = np.zeros((number, len(REASONS)), np.int64)
    waiting = deque(np.setdiff1d(np.arange(number), finished).tolist())
    done = len(finished)
    if on_batch is not None:
        on_batch(done)
    while waiting:
        genomes = np.asarray([waiting.popleft() for _ in range(min(batch_size, len(waiting)))])
        tries = rejected[genomes].sum(1)
        if (tries >= max_tries).any():
            raise _too_many_tries(int(genomes[tries.argmax()]), rejected, done, max_tries)
        keys = sequence_keys(seed, torch.from_numpy(genomes), torch.from_numpy(tries))
        ids = sampler.draw(prompts, genomes, keys)
        is_valid = sampler.codec.decode(ids).is_valid
        reasons = rejection_reasons(sampler.codec, ids[~is_valid])
        np.add.at(rejected, (genomes[~is_valid], reasons), 1)
        valid = genomes[is_valid]
        kept.append(valid, rejected[valid], ids[is_valid])
        waiting.extend(genomes[~is_valid].tolist())
        done += len(valid)
        if on_batch is not None:
            on_batch(done)


def rejection_reasons(codec: HaplotypeCodec, ids: Ids) -> NDArray[np.int64]:
    """Index in `REASONS` for each of some sequences that are no haplotypes: `(sequences,)`."""
    decoded = codec.decode(ids)
    stop = np.where((ids == codec.stop_id).any(1), (ids == codec.stop_id).argmax(1), ids.shape[1])
    # every token that is none of a haplotype has been written as padding
    is_other = ids == codec.tokenizer.pad_token_id
    other = np.where(is_other.any(1), is_other.argmax(1), ids.shape[1])
    is_early = stop < np.minimum(other, codec.length - 1)
    is_missing = ~decoded.has_stop & (other >= codec.length - 1)
    return np.where(is_early, 0, np.where(is_missing, 1, 2))


def _too_many_tries(
    genome: int, rejected: NDArray[np.int64], done: int, max_tries: int
) -> HaplotypeError:
    counts = dict(zip(REASONS, rejected.sum(0).tolist(), strict=True))
    why = ", ".join(f"{count:,} {reason}" for reason, count in counts.items() if count)
    return HaplotypeError(
        f"genome {genome + 1:,} was not valid in {max_tries:,} tries; {done:,} others are, and "
        f"{int(rejected.sum()):,} sequences were thrown away ({why}): train the model longer, "
        "lower the temperature, or constrain it to alleles"
    )


def _generated(
    codec: HaplotypeCodec, kept: PartialGeneration, sites: Sites | None
) -> GeneratedHaplotypes:
    records = kept.records
    decoded = codec.decode(records["ids"])
    haplotypes = Haplotypes(
        decoded.alleles,
        np.asarray([f"genome_{number + 1}" for number in records["number"].tolist()]),
        sites,
        decoded.populations,
        source="generated genomes",
    )
    counts = records["rejected"].sum(0).tolist()
    return GeneratedHaplotypes(haplotypes, dict(zip(REASONS, counts, strict=True)))


def _check_arguments(
    codec: HaplotypeCodec,
    number: int,
    temperature: float,
    batch_size: int,
    max_tries: int,
    sites: Sites | None,
) -> None:
    counts = {"number": number, "batch_size": batch_size, "max_tries": max_tries}
    for name, value in counts.items():
        if value < 1:
            raise HaplotypeError(f"{name} is {value}: ask for at least 1")
    if not temperature > 0:
        raise HaplotypeError(f"temperature is {temperature}: it must be above 0")
    if sites is not None and len(sites) != codec.num_sites:
        raise HaplotypeError(
            f"the list of sites has {len(sites):,}, but the model writes {codec.num_sites:,}"
        )


def _known(codec: HaplotypeCodec, known: Any) -> NDArray[np.uint8] | None:
    """Alleles of the first sites as `(rows, sites)`."""
    if known is None or not np.size(known):
        return None
    rows = np.atleast_2d(np.asarray(known))
    if rows.ndim != 2 or not 0 < rows.shape[1] < codec.num_sites:
        raise HaplotypeError(
            f"known alleles of shape {np.shape(known)}: (sites,) or (rows, sites) with fewer than "
            f"{codec.num_sites:,} sites are needed"
        )
    wrong = (rows != 0) & (rows != 1)
    if wrong.any():
        row, site = np.unravel_index(int(wrong.argmax()), wrong.shape)
        raise HaplotypeError(
            f"known haplotype {row + 1:,} has the allele {rows[row, site]} at site {site + 1:,}: "
            "only 0 and 1 are alleles"
        )
    return rows.astype(np.uint8)


def _populations(
    codec: HaplotypeCodec,
    population: str | Sequence[str] | None,
    number: int,
    known: NDArray[np.uint8] | None,
) -> list[str] | None:
    """One population for each genome."""
    if population is None:
        if codec.populations and known is not None:
            raise HaplotypeError(
                "the population stands before the known sites: state it, one of "
                f"{', '.join(codec.populations)}"
            )
        return None
    names = [population] * number if isinstance(population, str) else list(population)
    if len(names) != number:
        raise HaplotypeError(f"{len(names):,} populations for {number:,} genomes")
    for name in names:
        if name not in codec.populations:
            known_names = ", ".join(codec.populations) or "none: it was trained without populations"
            raise HaplotypeError(f"the model knows no population {name!r}; it knows {known_names}")
    return names
