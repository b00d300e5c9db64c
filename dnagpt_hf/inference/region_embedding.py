"""Embeddings of the regions of a genome, in windows and with coordinates."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch

from dnagpt_hf.annotation.bed import BedRegion, find_regions
from dnagpt_hf.genomes.bases import Bases, Interval, reverse_complement
from dnagpt_hf.genomes.fasta import Genome
from dnagpt_hf.inference.embedding import hidden_states, layer_index
from dnagpt_hf.modeling_dnagpt import DNAGPTModel
from dnagpt_hf.records.species import species_token_id

if TYPE_CHECKING:
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

Array = np.ndarray[Any, Any]
RegionPooling = Literal["mean", "last", "max", "token", "bin"]


@dataclass(frozen=True)
class RegionSettings:
    """Definition of the embeddings of regions.

    Args:
        pooling: one vector for each window, the `"mean"` or `"max"` of its tokens or the `"last"`
            one; or one for each `"token"`, or for each `"bin"` of bases, the mean over its bases.
        bin_size: bases of a bin.
        window: bases that the model reads, rounded down to whole k-mers and bins; by default its
            positions.
        stride: bases between the starts of windows, rounded down as well; by default a window. Of
            tokens and bins, a later window gives only those behind the end of the one before.
        species: name of the species token in front, such as `"R"`.
        layer: 0 for the token embeddings, n for the output of layer n; negative numbers count from
            the last layer.
        phases: mean over `"all"` phases of the k-mers, or the `"first"`.
        strand: mean of `"both"` strands, or `"forward"`.

    Raises:
        ValueError: two choices do not fit each other.
    """

    pooling: RegionPooling = "mean"
    bin_size: int | None = None
    window: int | None = None
    stride: int | None = None
    species: str | None = None
    layer: int = -1
    phases: Literal["all", "first"] = "first"
    strand: Literal["both", "forward"] = "forward"

    def __post_init__(self) -> None:
        if self.pooling not in get_args(RegionPooling):
            known = ", ".join(get_args(RegionPooling))
            raise ValueError(f"unknown pooling {self.pooling!r}: choose {known}")
        if (self.pooling == "bin") != (self.bin_size is not None):
            raise ValueError("pooling in bins and a bin size belong together")
        if self.pooling == "token" and (self.phases, self.strand) != ("first", "forward"):
            raise ValueError(
                "tokens of several phases or strands have no mean: take bins of 1 base"
            )


@dataclass(frozen=True)
class RegionVectors:
    """Vectors of a part of a region.

    Args:
        region: the region; of a whole contig, its name is that of the contig.
        number: its number among the regions, from 0.
        start: first base of each vector, from 0, int64 `(vectors,)`.
        end: the base behind its last one, int64 `(vectors,)`.
        vectors: float32 `(vectors, hidden)`; NaN where a window or a bin has no whole k-mer.
    """

    region: BedRegion
    number: int
    start: Array
    end: Array
    vectors: Array

    @property
    def contig(self) -> str:
        """Name of the contig."""
        return self.region.contig


def regions_to_embed(
    genome: Genome, regions: str | os.PathLike[str] | Iterable[str | tuple[str, int, int]] | None
) -> list[BedRegion]:
    """Find regions in a genome, by default all contigs.

    Args:
        genome: the genome.
        regions: as for [`~dnagpt_hf.annotation.bed.find_regions`], with its errors.
    """
    if regions is None:
        lengths = {name: len(contig) for name, contig in genome.contigs.items()}
        return [BedRegion(name, 0, length, name) for name, length in lengths.items()]
    return list(find_regions(genome, regions))


class RegionEmbedder:
    """Embeds regions of a genome, window by window.

    Args:
        model: the decoder in evaluation mode; of a model with heads, its attribute `model`.
        tokenizer: the model's tokenizer.
        settings: definition of the embeddings.
        max_tokens: most tokens of a batch.

    Attributes:
        window: bases of a window.
        stride: bases between the starts of windows.
        hidden_size: width of a vector.

    Raises:
        ValueError: the settings do not fit the model.
    """

    def __init__(
        self,
        model: DNAGPTModel,
        tokenizer: DNAGPTTokenizer,
        settings: RegionSettings,
        *,
        max_tokens: int = 16_384,
    ) -> None:
        self.model, self.tokenizer, self.settings = model, tokenizer, settings
        self.max_tokens, self.hidden_size = max_tokens, model.config.hidden_size
        self._layer = layer_index(settings.layer, model.config.num_hidden_layers)
        species = settings.species
        self._front = [] if species is None else [species_token_id(species)]
        k = tokenizer.kmer_size
        # windows begin and end between tokens, and between bins
        unit = math.lcm(k, settings.bin_size or 1)
        longest = (model.config.max_position_embeddings - len(self._front)) * k
        if unit > longest:
            raise ValueError(
                f"bins of {settings.bin_size:,} bases end with a k-mer every {unit:,}, but the "
                f"model reads {longest:,}: choose a multiple of {k} below that"
            )
        self.window = (settings.window or longest) // unit * unit
        self.stride = (settings.stride or self.window) // unit * unit
        if not 0 < self.stride <= self.window <= longest:
            raise ValueError(
                f"windows of {self.window:,} bases every {self.stride:,}, in multiples of {unit:,} "
                f"for whole k-mers and bins: a window has {unit:,} to {longest:,} bases, and a "
                "stride is no longer"
            )
        self._phases = range(k if settings.phases == "all" else 1)
        self._strands = (False, True) if settings.strand == "both" else (False,)

    def num_vectors(self, length: int) -> int:
        """Count the vectors of a region."""
        if self.settings.pooling == "token":
            return length // self.tokenizer.kmer_size
        if self.settings.pooling == "bin":
            return -(-length // (self.settings.bin_size or 1))
        return 1 + -(-max(0, length - self.window) // self.stride)

    def embed(self, genome: Genome, regions: Sequence[BedRegion]) -> Iterator[RegionVectors]:
        """Embed regions in their order; the vectors of some windows are in memory at a time."""
        rows = len(self._phases) * len(self._strands)
        together = max(1, self.max_tokens // (rows * (self.window // self.tokenizer.kmer_size + 1)))
        for number, region in enumerate(regions):
            length = region.end - region.start
            last = max(0, length - self.window)
            starts = range(0, last + self.stride if last else 1, self.stride)
            for first in range(0, len(starts), together):
                windows = [
                    Interval(region.start + one, min(region.start + one + self.window, region.end))
                    for one in starts[first : first + together]
                ]
                yield RegionVectors(region, number, *self._windows(genome, region, windows))

    def _windows(
        self, genome: Genome, region: BedRegion, windows: list[Interval]
    ) -> tuple[Array, Array, Array]:
        """Embed windows: the starts and ends of their vectors, and these."""
        sequences = [genome.contigs[region.contig][one.start : one.end] for one in windows]
        read = self._read([row for bases in sequences for row in self._rows(bases)])
        places, vectors = [], []
        for window, bases in zip(windows, sequences, strict=True):
            states = [next(read) for _ in self._strands for _ in self._phases]
            # behind the end of the window before
            old = 0 if window.start == region.start else self.window - self.stride
            fresh = window.start + old
            found = self._pool(window, fresh, len(bases), states)
            places += found[0]
            vectors.append(found[1])
        ends = np.asarray(places, np.int64).reshape(-1, 2)
        return ends[:, 0], ends[:, 1], np.concatenate(vectors)

    def _rows(self, bases: Bases) -> Iterator[Array]:
        """Cut a window into whole k-mers, on each strand and in each phase."""
        k = self.tokenizer.kmer_size
        for is_reverse in self._strands:
            strand = reverse_complement(bases) if is_reverse else bases
            for phase in self._phases:
                count = max(0, len(strand) - phase) // k
                yield self.tokenizer.encode_dna(strand[phase : phase + count * k])

    @torch.inference_mode()
    def _read(self, rows: list[Array]) -> Iterator[Array]:
        """Compute the states of rows of tokens, `(tokens, hidden)` for each."""
        front, longest = len(self._front), max(map(len, rows))
        if not front + longest:
            # windows without a whole k-mer
            yield from np.empty((len(rows), 0, self.hidden_size), np.float32)
            return
        ids = np.full((len(rows), front + longest), self.model.config.pad_token_id, np.int64)
        ids[:, :front] = self._front
        for row, tokens in zip(ids, rows, strict=True):
            # what stands on the right reaches no state before it
            row[front : front + len(tokens)] = tokens
        inputs = {"input_ids": torch.from_numpy(ids)}
        states = hidden_states(self.model, inputs, self._layer)[:, front:].float().cpu().numpy()
        for state, tokens in zip(states, rows, strict=True):
            if not np.isfinite(state[: len(tokens)]).all():
                raise ValueError(
                    "the model's output is not finite: its weights are damaged, or their data type "
                    "is too narrow (--dtype float32)"
                )
            yield state[: len(tokens)]

    def _pool(
        self, window: Interval, fresh: int, length: int, states: list[Array]
    ) -> tuple[list[tuple[int, int]], Array]:
        k, pooling = self.tokenizer.kmer_size, self.settings.pooling
        if pooling == "token":
            first = (fresh - window.start) // k
            starts = [window.start + index * k for index in range(first, len(states[0]))]
            return [(start, start + k) for start in starts], states[0][first:]
        if pooling == "bin":
            size = self.settings.bin_size or 1
            per_base = self._per_base(states, length)[fresh - window.start :]
            edges = range(fresh, window.end, size)
            bins = [per_base[edge - fresh : edge - fresh + size] for edge in edges]
            pooled = [_mean(one[~np.isnan(one[:, 0])], self.hidden_size) for one in bins]
            return [(edge, min(edge + size, window.end)) for edge in edges], np.stack(pooled)
        vectors = [_pooled(state, pooling) for state in states if len(state)]
        return [(window.start, window.end)], _mean(np.array(vectors), self.hidden_size)[None]

    def _per_base(self, states: list[Array], length: int) -> Array:
        """Give each base the mean of its tokens over strands and phases; NaN if it has none."""
        k = self.tokenizer.kmer_size
        total = np.zeros((length, self.hidden_size), np.float32)
        counts = np.zeros((length, 1), np.float32)
        rows = iter(states)
        for is_reverse in self._strands:
            step = -1 if is_reverse else 1
            for phase, state in zip(self._phases, rows, strict=False):
                covered = slice(phase, phase + len(state) * k)
                total[::step][covered] += np.repeat(state, k, axis=0)
                counts[::step][covered] += 1
        with np.errstate(invalid="ignore"):
            return total / counts


def _pooled(state: Array, pooling: str) -> Array:
    """Pool the tokens of a row."""
    if pooling == "last":
        return state[-1]
    return state.max(axis=0) if pooling == "max" else state.mean(axis=0)


def _mean(vectors: Array, hidden_size: int) -> Array:
    """Average vectors; NaN if there are none."""
    if not len(vectors):
        return np.full(hidden_size, np.nan, np.float32)
    return vectors.mean(axis=0, dtype=np.float32)
