"""Artificial human genomes: haplotypes from a model that was trained on them (paper, section 6)."""

from __future__ import annotations

import os
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dnagpt_hf.generation.sampling import Sampling, sequence_keys
from dnagpt_hf.haplotypes.codec import HaplotypeCodec, Ids
from dnagpt_hf.haplotypes.format import HaplotypeFormat
from dnagpt_hf.haplotypes.haplotypes import Alleles, Haplotypes, as_alleles
from dnagpt_hf.haplotypes.partial_generation import PartialGeneration, weights_checksum
from dnagpt_hf.haplotypes.sampling import HaplotypeSampler, Prompts
from dnagpt_hf.haplotypes.sites import HaplotypeError, Sites
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

REASONS = ("stop symbol too early", "no stop symbol behind the last site", "another token")
"""Reasons to reject a sequence, by its first token that no haplotype has at that position."""


@dataclass(frozen=True)
class GeneratedHaplotypes:
    """Artificial genomes, and the number of rejected sequences.

    Args:
        haplotypes: the genomes; each is a sample of its own.
        rejected: number of rejected sequences by reason (`REASONS`).
    """

    haplotypes: Haplotypes
    rejected: Mapping[str, int]


def generate_haplotypes(
    model: DNAGPTForMultiTask,
    tokenizer: DNAGPTTokenizer,
    number: int,
    *,
    batch_size: int = 64,
    constrained: bool = False,
    population: str | Sequence[str] | None = None,
    known: Any = None,
    sites: Sites | None = None,
    max_tries: int = 100,
    partial: str | os.PathLike[str] | None = None,
    on_batch: Callable[[int], None] = lambda finished: None,
    **sampling: Any,
) -> GeneratedHaplotypes:
    """Generate artificial genomes.

    As in the paper (section 9), any token may be drawn, and a sequence is rejected and drawn again
    if it has anything but alleles before its stop symbol, or the stop symbol elsewhere than after
    the last site. With `constrained`, only alleles can be drawn, and no sequence is rejected.

    Each genome has a random stream of its own, made of `seed` and its number. Neither `batch_size`
    nor interruptions change the genomes, beyond rounding in the model itself. With known sites,
    generation starts after the last whole token of them, and the next token begins with the rest.

    Args:
        model (`DNAGPTForMultiTask`): A model that was trained on haplotypes.
        tokenizer (`DNAGPTTokenizer`): Its tokenizer.
        number (`int`): Genomes to generate.
        batch_size (`int`, defaults to 64): Genomes that are generated together.
        constrained (`bool`, defaults to `False`): Draw alleles only.
        population (`str` or `Sequence[str]`, *optional*):
            Population of all genomes, or of each, for a model that knows populations. By default
            the model draws them as well.
        known (array of shape `(sites,)` or `(rows, sites)`, *optional*):
            Alleles of the first sites, which are kept; genomes continue the rows in turn.
        sites (`Sites`, *optional*): Sites of the model, for the result.
        max_tries (`int`, defaults to 100): Most sequences that are drawn for one genome.
        partial (`str` or path, *optional*):
            A file that keeps finished genomes. If it exists, generation resumes from it. The
            caller deletes it when the genomes are stored.
        on_batch (`Callable[[int], None]`, *optional*):
            Called with the number of finished genomes after each batch, for progress bars.
        sampling (*optional*):
            Fields of [`Sampling`]: `temperature`, 0.8 by default as in the paper, `top_k`, `top_p`
            and `seed`.

    Returns:
        [`GeneratedHaplotypes`]

    Raises:
        HaplotypeError: the model was not trained on haplotypes, an argument does not fit it, or a
            genome was not valid in `max_tries` tries.
        ResumptionError: the file is of a run with other arguments.

    Example:

    ```python
    >>> from dnagpt_hf.presets import preset_config, preset_tokenizer
    >>> notation = HaplotypeFormat(num_sites=20).as_dict()
    >>> model = DNAGPTForMultiTask(preset_config("dnagpt-test", haplotypes=notation)).eval()
    >>> tokenizer = preset_tokenizer("dnagpt-test")
    >>> generated = generate_haplotypes(model, tokenizer, 3, constrained=True, known=[0, 1, 1])
    >>> generated.haplotypes.alleles.shape, generated.haplotypes.alleles[:, :3].tolist()
    ((3, 20), [[0, 1, 1], [0, 1, 1], [0, 1, 1]])

    ```
    """
    settings = Sampling(**{"temperature": 0.8, **sampling})
    codec = HaplotypeCodec(tokenizer, HaplotypeFormat.of_model(model.config))
    codec.check_positions(model.config.max_position_embeddings)
    for name, value in {
        "number": number,
        "batch_size": batch_size,
        "max_tries": max_tries,
    }.items():
        if value < 1:
            raise HaplotypeError(f"{name} is {value}: at least 1 is needed")
    if not settings.temperature > 0:
        raise HaplotypeError(f"temperature is {settings.temperature}: it must be above 0")
    if sites is not None and len(sites) != codec.num_sites:
        raise HaplotypeError(
            f"the list of sites has {len(sites):,}, but the model writes {codec.num_sites:,}"
        )
    rows = _known_alleles(codec, known)
    populations = [population] * number if isinstance(population, str) else population
    if populations is not None and len(populations) != number:
        raise HaplotypeError(f"{len(populations):,} populations for {number:,} genomes")
    run = {
        "model": weights_checksum(model) if partial is not None else "",
        "number": number,
        **asdict(settings),
        "constrained": constrained,
        "population": population if isinstance(population, str | None) else list(population),
        "known": None if rows is None else f"{zlib.crc32(rows.tobytes()):08x}",
    }
    kept = PartialGeneration(partial, run, codec.length, len(REASONS))
    prompts = Prompts.of_known(codec, number, populations, rows)
    sampler = HaplotypeSampler(model, codec, settings, constrained)
    rejected = np.zeros((number, len(REASONS)), np.int64)
    waiting = deque(np.setdiff1d(np.arange(number), kept.records["number"]).tolist())
    on_batch(number - len(waiting))
    while waiting:
        genomes = np.asarray([waiting.popleft() for _ in range(min(batch_size, len(waiting)))])
        tries = rejected[genomes].sum(1)
        if (tries >= max_tries).any():
            finished = number - len(waiting) - len(genomes)
            raise _too_many_tries(int(genomes[tries.argmax()]), rejected, finished, max_tries)
        keys = sequence_keys(settings.seed, torch.from_numpy(genomes), torch.from_numpy(tries))
        ids = sampler.draw(prompts, genomes, keys)
        is_valid = codec.decode(ids).is_valid
        reasons = rejection_reasons(codec, ids[~is_valid])
        np.add.at(rejected, (genomes[~is_valid], reasons), 1)
        valid = genomes[is_valid]
        kept.append(valid, rejected[valid], ids[is_valid])
        # a genome that was rejected is drawn again after all others
        waiting.extend(genomes[~is_valid].tolist())
        on_batch(number - len(waiting))
    records = kept.records
    decoded = codec.decode(records["ids"])
    names = np.asarray([f"genome_{number + 1}" for number in records["number"].tolist()])
    haplotypes = Haplotypes(
        decoded.alleles, names, sites, decoded.populations, source="generated genomes"
    )
    totals = records["rejected"].sum(0).tolist()
    return GeneratedHaplotypes(haplotypes, dict(zip(REASONS, totals, strict=True)))


def rejection_reasons(codec: HaplotypeCodec, ids: Ids) -> NDArray[np.int64]:
    """Find the reason in `REASONS` for each sequence that is no haplotype: `(sequences,)`."""
    decoded = codec.decode(ids)
    stop = np.where((ids == codec.stop_id).any(1), (ids == codec.stop_id).argmax(1), ids.shape[1])
    # every token that is none of a haplotype has been written as padding
    is_other = ids == codec.tokenizer.pad_token_id
    other = np.where(is_other.any(1), is_other.argmax(1), ids.shape[1])
    is_early = stop < np.minimum(other, codec.length - 1)
    is_missing = ~decoded.has_stop & (other >= codec.length - 1)
    return np.where(is_early, 0, np.where(is_missing, 1, 2))


def _too_many_tries(
    genome: int, rejected: NDArray[np.int64], finished: int, max_tries: int
) -> HaplotypeError:
    counts = dict(zip(REASONS, rejected.sum(0).tolist(), strict=True))
    why = ", ".join(f"{count:,} {reason}" for reason, count in counts.items() if count)
    return HaplotypeError(
        f"genome {genome + 1:,} was not valid in {max_tries:,} tries; {finished:,} others are, and "
        f"{int(rejected.sum()):,} sequences were rejected ({why}): train the model longer, lower "
        "the temperature, or constrain it to alleles"
    )


def _known_alleles(codec: HaplotypeCodec, known: Any) -> Alleles | None:
    """Check the alleles of the first sites: `(rows, sites)`."""
    if known is None or not np.size(known):
        return None
    rows = as_alleles(np.atleast_2d(np.asarray(known)), "known alleles")
    if rows.shape[1] >= codec.num_sites:
        raise HaplotypeError(
            f"known alleles of shape {np.shape(known)}: (sites,) or (rows, sites) with fewer than "
            f"{codec.num_sites:,} sites are needed"
        )
    return rows
