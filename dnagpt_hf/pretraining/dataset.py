"""Packed sequences of records for pre-training, cut from genomes on demand.

A packed sequence fills the context of the model: records stand in it one behind the other, each
with positions from 0, so that none attends to another. Records follow until the context is full;
next-token and sequence-order records take all of the rest.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from random import Random
from typing import Any, Protocol

import numpy as np
from torch.utils.data import Dataset, Sampler

from dnagpt_hf.configuration_dnagpt import IGNORED_TOKEN
from dnagpt_hf.genomes.bases import MAX_N_FRACTION, Bases, N, reverse_complement
from dnagpt_hf.pretraining.objectives import Objectives, Record, RecordWriter
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

# a draw fails where N are many: after so many failures, there is little else
_DRAWS = 1000
_MASK = (1 << 64) - 1
_ROUNDS = 4


class BaseSequence(Protocol):
    """Bases that are read by slices: an array, or a contig of a file."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Bases: ...


@dataclass(frozen=True)
class SpeciesSequences:
    """Sequences of one species.

    Args:
        token: instruction token that its records start with, such as `<U>` for yeast.
        sequences: contigs or parts of them.
        weight: its share of the records, relative to that of the others; by default its bases.
        name: for error messages.
    """

    token: str
    sequences: Sequence[BaseSequence]
    weight: float | None = None
    name: str = ""


class PretrainingDataset(Dataset[Record]):
    """Packed sequences of the three objectives, other ones in each epoch.

    An item is a pure function of (seed, epoch, index), so that any process can make any item.
    Indices beyond the epoch continue with the next one: item `length + 3` is item 3 of epoch 1. The
    genomes are divided into as many equal intervals as an epoch has items, and the first window of
    an item starts at a random base of an interval of its own, in shuffled order: an epoch is spread
    evenly over the genomes, each epoch in another way.

    Args:
        species: sequences of each species.
        tokenizer: gives the ids.
        context_length: tokens of a packed sequence.
        length: packed sequences in an epoch; by default as many as hold all bases once.
        shortest_segment: bases in the shortest record; contigs that are shorter are not used.
        objectives: mixture of the objectives.
        both_strands: read a random half of the windows from the other strand.
        max_n_fraction: windows with a larger fraction of N are replaced by others.
        seed: seed of all random numbers.

    Returns:
        Items with `input_ids`, `position_ids` and `labels` (int64), `number_values` and
        `number_labels` (float32), each of shape `(context_length,)`.

    Raises:
        ValueError: a size does not fit, or a species has no window to draw.
    """

    def __init__(
        self,
        species: Sequence[SpeciesSequences],
        tokenizer: DNAGPTTokenizer,
        *,
        context_length: int,
        length: int | None = None,
        shortest_segment: int = 60,
        objectives: Objectives | None = None,
        both_strands: bool = True,
        max_n_fraction: float = MAX_N_FRACTION,
        seed: int = 0,
    ) -> None:
        self.kmer_size = tokenizer.kmer_size
        self.shortest_segment = -(-shortest_segment // self.kmer_size) * self.kmer_size
        self.shortest_record = (
            self.shortest_segment // self.kmer_size + RecordWriter.answer_overhead
        )
        if shortest_segment < 1 or context_length < self.shortest_record:
            raise ValueError(
                f"a context of {context_length:,} tokens holds no segment of {shortest_segment:,} "
                f"bases with its answer, {self.shortest_record:,} tokens: give a shortest_segment "
                "of 1 or more that fits"
            )
        self.context_length = context_length
        self.segment_step = 1 if tokenizer.dynamic_kmer else self.kmer_size
        self.objectives = objectives or Objectives()
        self.both_strands = both_strands
        self.max_n_fraction = max_n_fraction
        self.seed = seed
        self.pad_token_id = int(tokenizer.pad_token_id)

        self._writers = [RecordWriter(tokenizer, one.token) for one in species]
        self._place_sequences(species)
        bases = (context_length - RecordWriter.plain_overhead) * self.kmer_size
        self.length = -(-self.num_bases // bases) if length is None else length
        if self.length < 1:
            raise ValueError(f"an epoch of {self.length} packed sequences is empty: give 1 or more")
        total = sum(self.objectives.weights)
        self._objective_ends = [end / total for end in accumulate(self.objectives.weights)]
        for index in range(len(species)):
            # a species without usable windows is an error now, not in the middle of an epoch
            self._draw_window(index, self.shortest_segment, Random(seed), None)

    def _place_sequences(self, species: Sequence[SpeciesSequences]) -> None:
        """Lay all sequences one behind the other on an axis from 0 to 1."""
        if not species:
            raise ValueError("there is no species to draw from: give at least one")
        weighted = [one.weight is not None for one in species]
        if any(weighted) and not all(weighted):
            raise ValueError("some species have a weight and others have none: give all or none")
        self._names = [one.name or one.token for one in species]
        self._sequences: list[BaseSequence] = []
        self._species_of: list[int] = []
        self.num_bases = 0
        shares: list[float] = []
        for index, one in enumerate(species):
            usable = [part for part in one.sequences if len(part) >= self.shortest_segment]
            if not usable:
                raise ValueError(
                    f"species {self._names[index]} has no sequence of {self.shortest_segment:,} "
                    "bases or more: give another file or a smaller shortest_segment"
                )
            num_bases = sum(map(len, usable))
            weight = float(num_bases) if one.weight is None else one.weight
            if not 0 < weight < float("inf"):
                raise ValueError(f"species {self._names[index]} has the weight {weight}: give > 0")
            shares += [len(part) / num_bases * weight for part in usable]
            self._sequences += usable
            self._species_of += [index] * len(usable)
            self.num_bases += num_bases
        # where each sequence ends on the axis, and where each species starts and ends
        total = sum(shares)
        self._ends = [min(1.0, end / total) for end in accumulate(shares)]
        self._ends[-1] = 1.0
        last = [bisect_right(self._species_of, index) - 1 for index in range(len(species))]
        borders = [0.0, *(self._ends[index] for index in last)]
        self._borders = list(pairwise(borders))

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Record:
        if index < 0:
            raise IndexError(f"item {index}: items count from 0")
        epoch, index = divmod(int(index), self.length)
        rng = Random(self.seed << 128 | epoch << 64 | index)
        interval = permuted(index, self.length, key=self.seed * 0x10001 + epoch)
        position = (interval + rng.random()) / self.length
        records: list[Record] = []
        left = self.context_length
        while left >= self.shortest_record:
            record = self._draw_record(left, position, rng)
            records.append(record)
            left -= len(record["input_ids"])
            position = rng.random()
        return self._pack(records, left)

    def _draw_record(self, left: int, position: float, rng: Random) -> Record:
        """Draw a record of at most `left` tokens at a position on the axis."""
        species = self._species_of[self._sequence_at(position)]
        writer = self._writers[species]
        objective = bisect_right(self._objective_ends, rng.random())
        if objective == 0:
            longest = (left - writer.plain_overhead) * self.kmer_size
            return writer.next_token(self._draw_window(species, longest, rng, position))
        longest = (left - writer.answer_overhead) * self.kmer_size
        if objective == 1:
            length = self._draw_length(longest, rng)
            return writer.gc_content(self._draw_window(species, length, rng, position))
        window = self._draw_window(species, longest, rng, position)
        is_reversed = rng.random() < self.objectives.flip_probability
        if is_reversed and self.objectives.flip == "reverse":
            window = np.ascontiguousarray(window[::-1])
        elif is_reversed:
            window = reverse_complement(window)
        return writer.sequence_order(window, is_reversed)

    def _draw_length(self, longest: int, rng: Random) -> int:
        """Draw the bases of a segment; one that would leave too little context takes all of it."""
        step = self.segment_step
        shortest = self.shortest_segment // step
        length = step * int(shortest + rng.random() * (longest // step - shortest + 1))
        tokens_left = longest // self.kmer_size - -(-length // self.kmer_size)
        return longest if tokens_left < self.shortest_record else length

    def _draw_window(self, species: int, length: int, rng: Random, position: float | None) -> Bases:
        """Draw at most `length` bases of a species, at a position on the axis or a random one."""
        start, end = self._borders[species]
        for _ in range(_DRAWS):
            if position is None:
                position = start + rng.random() * (end - start)
            window = self._window_at(position, length)
            if np.count_nonzero(window == N) <= self.max_n_fraction * len(window):
                break
            position = None
        else:
            raise ValueError(
                f"species {self._names[species]}: {_DRAWS:,} windows of {length:,} bases all had "
                f"more than {self.max_n_fraction:.0%} N: leave out the contigs that consist of N"
            )
        if self.both_strands and rng.random() < 0.5:
            return reverse_complement(window)
        return window

    def _sequence_at(self, position: float) -> int:
        return min(bisect_right(self._ends, position), len(self._ends) - 1)

    def _window_at(self, position: float, length: int) -> Bases:
        chosen = self._sequence_at(position)
        sequence = self._sequences[chosen]
        num_bases = len(sequence)
        if num_bases <= length:
            return sequence[0 : num_bases - num_bases % self.segment_step]
        before = self._ends[chosen - 1] if chosen else 0.0
        fraction = (position - before) / (self._ends[chosen] - before)
        start = min(int(fraction * (num_bases - length + 1)), num_bases - length)
        return sequence[start : start + length]

    def _pack(self, records: list[Record], left: int) -> Record:
        if len(records) == 1 and not left:
            return {**records[0], "position_ids": np.arange(self.context_length)}
        position_ids = [np.arange(len(record["input_ids"])) for record in records]
        if left:
            records.append(
                {
                    "input_ids": np.full(left, self.pad_token_id),
                    "labels": np.full(left, IGNORED_TOKEN),
                    "number_values": np.zeros(left, np.float32),
                    "number_labels": np.full(left, np.nan, np.float32),
                }
            )
            position_ids.append(np.arange(left))
        packed = {name: np.concatenate([one[name] for one in records]) for name in records[0]}
        packed["position_ids"] = np.concatenate(position_ids)
        return packed


class PaddedSequences(Dataset[Record]):
    """Packed sequences and more without a target, so that every process has as many batches.

    `Trainer` would fill up with sequences that have been read before, which would count twice.
    """

    def __init__(self, sequences: PretrainingDataset, multiple_of: int) -> None:
        self.sequences = sequences
        self.length = -(-len(sequences) // multiple_of) * multiple_of

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Record:
        if index < len(self.sequences):
            return self.sequences[index]
        empty = {name: values.copy() for name, values in self.sequences[0].items()}
        empty["labels"][:] = IGNORED_TOKEN
        empty["number_labels"][:] = float("nan")
        return empty


class EpochSampler(Sampler[int]):
    """Indices of an epoch in their order, counted on through all epochs.

    The dataset shuffles its items, and an index implies its epoch, so that no copy of the dataset
    in another process needs to know the epoch.

    Args:
        length: items in an epoch.
        epoch: gives the epoch when an iteration starts.
    """

    def __init__(self, length: int, epoch: Callable[[], int] = lambda: 0) -> None:
        self.length = length
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        start = self.epoch() * self.length
        return iter(range(start, start + self.length))


def stack_sequences(sequences: Sequence[Record]) -> dict[str, Any]:
    """Stack packed sequences as a batch of tensors, `(batch, context_length)` each."""
    import torch

    return {
        name: torch.from_numpy(np.stack([one[name] for one in sequences])) for name in sequences[0]
    }


def join_sequences(sequences: Sequence[Record]) -> dict[str, Any]:
    """Join packed sequences as a batch of one, `(1, batch * context_length)` each.

    Flash attention separates records by their positions in a batch of one only; in a larger batch
    they would attend to each other.
    """
    return {name: batch.reshape(1, -1) for name, batch in stack_sequences(sequences).items()}


def permuted(index: int, size: int, key: int) -> int:
    """Permute the numbers of `range(size)`, in another order for each key.

    A Feistel network is a permutation of pairs of half-words for any round function. Where it
    leaves the range it is applied again, which still is a permutation (cycle walking).

    Args:
        index: the number to permute, 0 to size - 1.
        size: count of numbers.
        key: any integer.

    Returns:
        The number at the position `index` of the order.

    Example:

        >>> sorted(permuted(index, 10, key=7) for index in range(10)) == list(range(10))
        True
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    while True:
        left, right = index >> half, index & mask
        for turn in range(_ROUNDS):
            left, right = right, left ^ (_mixed(right + (turn << 32) ^ key) & mask)
        index = left << half | right
        if index < size:
            return index


def _mixed(value: int) -> int:
    """The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): every bit depends on all."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
    return value ^ value >> 31
