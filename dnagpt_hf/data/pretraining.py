"""The three pre-training objectives as records of the token language (paper, section 2.2).

    <U>ATCGTA…                 next token
    <U>ATCGTA…<=><M>0.38       GC content of a segment of random length
    <U>ATCGTA…<=><B>A          sequence order: A if the window was reversed, N if it was not

Every sequence token, every answer and every number is a target. Species, `<=>`, `<B>` and `<M>` are
not: they are given by who asks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from dnagpt_hf.data.genomes import (
    MAX_N_FRACTION,
    Bases,
    N,
    gc_content,
    reverse_complement,
    window_starts,
)
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

Ids = NDArray[np.int64]
Record = dict[str, NDArray[Any]]

IGNORED_TOKEN = -100
# a draw fails where N are many: so many failures in a row mean that there is little else
_DRAWS = 1000


@dataclass(frozen=True)
class Objectives:
    """Which part of the records serves each objective; the paper does not give the mixture.

    Args:
        next_token: weight of plain sequences.
        gc_content: weight of segments with their GC content.
        sequence_order: weight of windows that may be reversed.
        flip: what reversing does: `"reverse"` reads the same strand backwards, as in the paper;
            `"reverse_complement"` reads the other strand.
        flip_probability: how often a window of the sequence-order objective is reversed.

    Raises:
        ValueError: a weight is negative, none is positive, or the probability is none.
    """

    next_token: float = 1.0
    gc_content: float = 1.0
    sequence_order: float = 1.0
    flip: Literal["reverse", "reverse_complement"] = "reverse"
    flip_probability: float = 0.5

    def __post_init__(self) -> None:
        if min(self.weights) < 0 or not sum(self.weights) > 0:
            raise ValueError(
                f"objective weights {self.weights}: give 0 or more, and at least one above 0"
            )
        if self.flip not in ("reverse", "reverse_complement"):
            raise ValueError(f"flip is {self.flip!r}: choose 'reverse' or 'reverse_complement'")
        if not 0 <= self.flip_probability <= 1:
            raise ValueError(f"flip_probability {self.flip_probability} is not between 0 and 1")

    @property
    def weights(self) -> tuple[float, float, float]:
        """Of next token, GC content and sequence order."""
        return (self.next_token, self.gc_content, self.sequence_order)


class RecordWriter:
    """Writes bases as records of the token language, as ids, without going through text.

    Args:
        tokenizer: gives the ids.
        species: instruction token that every record starts with, such as `<U>` for yeast.

    Raises:
        ValueError: the tokenizer does not know a token that records need.
    """

    def __init__(self, tokenizer: DNAGPTTokenizer, species: str) -> None:
        self.tokenizer = tokenizer
        self.number = int(tokenizer.number_token_id)
        self._species = self._ids(species)
        self._ask_number = self._ids("<=>", "<M>")
        self._ask_class = self._ids("<=>", "<B>")
        self._answers = {True: self._ids("A"), False: self._ids("N")}

    def next_token(self, bases: Bases) -> Record:
        """`<U>ATCGTA…`"""
        return self._record(bases, self._ids(), self._ids())

    def gc_content(self, bases: Bases) -> Record:
        """`<U>ATCGTA…<=><M>gc`, the GC content being that of the bases without N."""
        answer = np.array([self.number])
        return self._record(bases, self._ask_number, answer, number=gc_content(bases))

    def sequence_order(self, bases: Bases, is_reversed: bool) -> Record:
        """`<U>ATCGTA…<=><B>A` if the bases were reversed, `…<B>N` if they were not."""
        return self._record(bases, self._ask_class, self._answers[is_reversed])

    def _record(self, bases: Bases, question: Ids, answer: Ids, number: float = np.nan) -> Record:
        sequence = self.tokenizer.encode_dna(bases)
        input_ids = np.concatenate([self._species, sequence, question, answer]).astype(np.int64)
        labels = input_ids.copy()
        is_number = input_ids == self.number
        labels[is_number] = IGNORED_TOKEN
        labels[: len(self._species)] = IGNORED_TOKEN
        end = len(self._species) + len(sequence)
        labels[end : end + len(question)] = IGNORED_TOKEN
        number_labels = np.where(is_number, number, np.nan).astype(np.float32)
        return {
            "input_ids": input_ids,
            "number_values": np.nan_to_num(number_labels),
            "labels": labels,
            "number_labels": number_labels,
        }

    def _ids(self, *tokens: str) -> Ids:
        known = self.tokenizer.get_vocab() if tokens else {}
        for token in tokens:
            if token not in known:
                raise ValueError(
                    f"the tokenizer has no token {token}, which pre-training records need: "
                    "use the dynamic vocabulary and a token of the token language"
                )
        return np.array([known[token] for token in tokens], dtype=np.int64)


class PretrainingDataset(Dataset[Record]):
    """Records cut from sequences as they are asked for; each epoch cuts others.

    A record is a pure function of (seed, epoch, index), so that any process can make any record.
    The window starts at any base, which changes how the sequence falls into k-mers.

    Args:
        sequences: bases to learn from, such as contigs or parts of them; drawn by length.
        tokenizer: gives the ids.
        length: records in an epoch.
        window: bases in a window.
        shortest_segment: bases in the shortest segment of the GC objective; the longest is a
            window. In the dynamic vocabulary a segment has any length, else whole k-mers.
        species: instruction token that every record starts with.
        objectives: mixture of the objectives.
        both_strands: whether every second window, by chance, is read from the other strand.
        max_n_fraction: windows with a larger fraction of N are dropped.
        seed: seed of everything that is drawn.

    Raises:
        ValueError: a size does not fit, or no sequence has a window to draw.
    """

    def __init__(
        self,
        sequences: Sequence[Bases],
        tokenizer: DNAGPTTokenizer,
        *,
        length: int,
        window: int,
        species: str,
        shortest_segment: int = 60,
        objectives: Objectives | None = None,
        both_strands: bool = False,
        max_n_fraction: float = MAX_N_FRACTION,
        seed: int = 0,
    ) -> None:
        if not tokenizer.kmer_size <= shortest_segment <= window:
            raise ValueError(
                f"shortest_segment {shortest_segment} does not lie between the k-mer size "
                f"{tokenizer.kmer_size} and the window of {window} bases"
            )
        if length < 1:
            raise ValueError(f"an epoch of {length} records is empty: give 1 or more")
        if not shortest_segment > max_n_fraction * window:
            raise ValueError(
                f"a segment of {shortest_segment} bases could be all N where {max_n_fraction:.0%} "
                f"of a window of {window:,} may be: take a longer shortest_segment"
            )
        if not tokenizer.dynamic_kmer and window % tokenizer.kmer_size:
            raise ValueError(
                f"a window of {window:,} bases is no multiple of the k-mer size "
                f"{tokenizer.kmer_size}, and the fixed vocabulary has no shorter k-mers"
            )
        # the longest record is the window, the species, <=>, an instruction and an answer
        longest = -(-window // tokenizer.kmer_size) + 4
        if longest > tokenizer.model_max_length:
            raise ValueError(
                f"a window of {window:,} bases makes records of {longest:,} tokens, but the model "
                f"has {tokenizer.model_max_length:,} positions: take a smaller window"
            )
        usable = [
            bases
            for bases in sequences
            if len(window_starts(bases, window, stride=1, max_n_fraction=max_n_fraction))
        ]
        if not usable:
            raise ValueError(
                f"none of the {len(sequences)} sequences has a window of {window:,} bases with at "
                f"most {max_n_fraction:.0%} N: take a smaller window"
            )
        self.sequences = usable
        self.length = length
        self.window = window
        self.shortest_segment = shortest_segment
        self.segment_step = 1 if tokenizer.dynamic_kmer else tokenizer.kmer_size
        self.objectives = objectives or Objectives()
        self.both_strands = both_strands
        self.max_n_fraction = max_n_fraction
        self.seed = seed
        self.epoch = 0
        self.records = RecordWriter(tokenizer, species)
        windows = np.array([len(bases) - window + 1 for bases in usable], dtype=np.float64)
        self._sequence_shares = np.cumsum(windows / windows.sum())
        weights = np.array(self.objectives.weights)
        self._objective_shares = np.cumsum(weights / weights.sum())

    def __len__(self) -> int:
        return self.length

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose records are returned."""
        self.epoch = epoch

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < self.length:
            raise IndexError(f"record {index} of {self.length}")
        rng = np.random.default_rng([self.seed, self.epoch, index])
        bases = self._draw_window(rng)
        objective = int(np.searchsorted(self._objective_shares, rng.random(), side="right"))
        if objective == 0:
            return self.records.next_token(bases)
        if objective == 1:
            return self.records.gc_content(self._draw_segment(bases, rng))
        is_reversed = bool(rng.random() < self.objectives.flip_probability)
        if is_reversed:
            bases = self._flip(bases)
        return self.records.sequence_order(bases, is_reversed)

    def _draw_window(self, rng: np.random.Generator) -> Bases:
        for _ in range(_DRAWS):
            chosen = int(np.searchsorted(self._sequence_shares, rng.random(), side="right"))
            bases = self.sequences[chosen]
            start = int(rng.integers(len(bases) - self.window + 1))
            window = bases[start : start + self.window]
            if np.count_nonzero(window == N) <= self.max_n_fraction * self.window:
                break
        else:
            raise ValueError(
                f"{_DRAWS:,} windows of {self.window:,} bases all had more than "
                f"{self.max_n_fraction:.0%} N: leave out the contigs that consist of N"
            )
        if self.both_strands and rng.random() < 0.5:
            return reverse_complement(window)
        return window

    def _draw_segment(self, window: Bases, rng: np.random.Generator) -> Bases:
        step = self.segment_step
        shortest = -(-self.shortest_segment // step)
        return window[: step * int(rng.integers(shortest, self.window // step + 1))]

    def _flip(self, bases: Bases) -> Bases:
        if self.objectives.flip == "reverse":
            return bases[::-1]
        return reverse_complement(bases)
