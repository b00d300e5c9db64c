"""Rows of records for pre-training, cut from genomes as they are asked for.

A row is as long as the model's positions and full: records stand in it one behind the other, each
with positions from 0, so that they do not see each other. Where a record ends before the row does,
another one follows; sequences and windows whose order is asked for take what is left of the row.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from random import Random
from typing import Any, Protocol

import numpy as np
from torch.utils.data import Dataset, Sampler

from dnagpt_hf.genomes.bases import MAX_N_FRACTION, Bases, N, reverse_complement
from dnagpt_hf.pretraining.objectives import IGNORED_TOKEN, Objectives, Record, RecordWriter
from dnagpt_hf.pretraining.permutation import permuted
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

# a draw fails where N are many: so many failures in a row mean that there is little else
_DRAWS = 1000


class BaseSequence(Protocol):
    """Bases that are read by slices: an array, or a contig of a file."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Bases: ...


@dataclass(frozen=True)
class SpeciesSequences:
    """What rows are cut from for one species.

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
    """Full rows of the three objectives; each epoch cuts others.

    A row is a pure function of (seed, epoch, index), so that any process can make any row. Indices
    beyond the epoch go on with the next one: row `length + 3` is row 3 of epoch 1. The genomes are
    divided into as many equal stretches as an epoch has rows, and the first window of a row starts
    at any base of a stretch of its own, in shuffled order: an epoch is spread evenly over the
    genomes, each epoch in another way.

    Args:
        species: what to learn from.
        tokenizer: gives the ids.
        positions: tokens in a row.
        length: rows in an epoch; by default as many as hold the bases of all species once.
        shortest_segment: bases in the shortest record; contigs that are shorter are not used.
        objectives: mixture of the objectives.
        both_strands: whether every second window, by chance, is read from the other strand.
        max_n_fraction: windows with a larger fraction of N are dropped, and another is drawn.
        seed: seed of everything that is drawn.

    Returns:
        Rows with `input_ids`, `position_ids` and `labels` (int64), `number_values` and
        `number_labels` (float32), each of shape `(positions,)`.

    Raises:
        ValueError: a size does not fit, or a species has no window to draw.
    """

    def __init__(
        self,
        species: Sequence[SpeciesSequences],
        tokenizer: DNAGPTTokenizer,
        *,
        positions: int,
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
        if shortest_segment < 1 or positions < self.shortest_record:
            raise ValueError(
                f"rows of {positions:,} positions hold no segment of {shortest_segment:,} bases "
                f"with its answer, {self.shortest_record:,} tokens: give a shortest_segment of 1 "
                "or more that fits"
            )
        self.positions = positions
        self.segment_step = 1 if tokenizer.dynamic_kmer else self.kmer_size
        self.objectives = objectives or Objectives()
        self.both_strands = both_strands
        self.max_n_fraction = max_n_fraction
        self.seed = seed
        self.pad_token_id = int(tokenizer.pad_token_id)

        self._writers = [RecordWriter(tokenizer, one.token) for one in species]
        self._place_sequences(species)
        row_bases = (positions - RecordWriter.plain_overhead) * self.kmer_size
        self.length = -(-self.num_bases // row_bases) if length is None else length
        if self.length < 1:
            raise ValueError(f"an epoch of {self.length} rows is empty: give 1 or more")
        total = sum(self.objectives.weights)
        self._objective_ends = [end / total for end in accumulate(self.objectives.weights)]
        for index in range(len(species)):
            # a species that cannot be drawn from shows now, not in the middle of an epoch
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
            raise IndexError(f"row {index}: rows count from 0")
        epoch, index = divmod(int(index), self.length)
        rng = Random(self.seed << 128 | epoch << 64 | index)
        stretch = permuted(index, self.length, key=self.seed * 0x10001 + epoch)
        place = (stretch + rng.random()) / self.length
        records: list[Record] = []
        left = self.positions
        while left >= self.shortest_record:
            record = self._draw_record(left, place, rng)
            records.append(record)
            left -= len(record["input_ids"])
            place = rng.random()
        return self._row(records, left)

    def _draw_record(self, left: int, place: float, rng: Random) -> Record:
        """A record of at most `left` tokens from around a place on the axis."""
        species = self._species_of[self._sequence_at(place)]
        writer = self._writers[species]
        objective = bisect_right(self._objective_ends, rng.random())
        if objective == 0:
            longest = (left - writer.plain_overhead) * self.kmer_size
            return writer.next_token(self._draw_window(species, longest, rng, place))
        longest = (left - writer.answer_overhead) * self.kmer_size
        if objective == 1:
            length = self._draw_length(longest, rng)
            return writer.gc_content(self._draw_window(species, length, rng, place))
        window = self._draw_window(species, longest, rng, place)
        is_reversed = rng.random() < self.objectives.flip_probability
        if is_reversed and self.objectives.flip == "reverse":
            window = np.ascontiguousarray(window[::-1])
        elif is_reversed:
            window = reverse_complement(window)
        return writer.sequence_order(window, is_reversed)

    def _draw_length(self, longest: int, rng: Random) -> int:
        """Bases of a segment; one that would leave too little behind it fills the row."""
        step = self.segment_step
        shortest = self.shortest_segment // step
        length = step * int(shortest + rng.random() * (longest // step - shortest + 1))
        tokens_behind = longest // self.kmer_size - -(-length // self.kmer_size)
        return longest if tokens_behind < self.shortest_record else length

    def _draw_window(self, species: int, length: int, rng: Random, place: float | None) -> Bases:
        """At most `length` bases of a species, around a place on the axis or any other."""
        start, end = self._borders[species]
        for _ in range(_DRAWS):
            if place is None:
                place = start + rng.random() * (end - start)
            window = self._window_at(place, length)
            if np.count_nonzero(window == N) <= self.max_n_fraction * len(window):
                break
            place = None
        else:
            raise ValueError(
                f"species {self._names[species]}: {_DRAWS:,} windows of {length:,} bases all had "
                f"more than {self.max_n_fraction:.0%} N: leave out the contigs that consist of N"
            )
        if self.both_strands and rng.random() < 0.5:
            return reverse_complement(window)
        return window

    def _sequence_at(self, place: float) -> int:
        return min(bisect_right(self._ends, place), len(self._ends) - 1)

    def _window_at(self, place: float, length: int) -> Bases:
        chosen = self._sequence_at(place)
        sequence = self._sequences[chosen]
        num_bases = len(sequence)
        if num_bases <= length:
            return sequence[0 : num_bases - num_bases % self.segment_step]
        before = self._ends[chosen - 1] if chosen else 0.0
        fraction = (place - before) / (self._ends[chosen] - before)
        start = min(int(fraction * (num_bases - length + 1)), num_bases - length)
        return sequence[start : start + length]

    def _row(self, records: list[Record], left: int) -> Record:
        if len(records) == 1 and not left:
            return {**records[0], "position_ids": np.arange(self.positions)}
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
        row = {name: np.concatenate([one[name] for one in records]) for name in records[0]}
        row["position_ids"] = np.concatenate(position_ids)
        return row


class EpochSampler(Sampler[int]):
    """The rows of an epoch in their order, numbered on through all epochs.

    The dataset has shuffled them; that an index tells its epoch spares every copy of the dataset,
    in whatever process, to be told.

    Args:
        length: rows in an epoch.
        epoch: the epoch that is due when an iteration starts.
    """

    def __init__(self, length: int, epoch: Callable[[], int] = lambda: 0) -> None:
        self.length = length
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        start = self.epoch() * self.length
        return iter(range(start, start + self.length))


def stack_rows(rows: Sequence[Record]) -> dict[str, Any]:
    """Rows of one length as a batch of tensors, `(rows, positions)` each."""
    import torch

    return {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}


def join_rows(rows: Sequence[Record]) -> dict[str, Any]:
    """Rows one behind the other as a batch of one, `(1, rows * positions)` each.

    Flash attention takes records apart by their positions in a batch of one only; in a batch of
    several rows they would see each other.
    """
    return {name: tensor.reshape(1, -1) for name, tensor in stack_rows(rows).items()}
