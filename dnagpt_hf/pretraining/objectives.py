"""The three pre-training objectives as records of the token language (paper, section 3.1).

    <U>ATCGTA…                 next token
    <U>ATCGTA…<=><M>0.38       GC content of a segment of random length
    <U>ATCGTA…<=><B>A          sequence order: A if the window was reversed, N if it was not

Every sequence token, every answer and every number is a target. Species, `<=>`, `<B>` and `<M>` are
not, since a user writes them.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.configuration_dnagpt import IGNORED_TOKEN
from dnagpt_hf.genomes.bases import Bases, gc_content
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

Flip = Literal["reverse", "reverse_complement"]
Ids = NDArray[np.int64]
Record = dict[str, NDArray[Any]]


# `<1>` and `<0>` answer where the vocabulary has no 1-mers, as in that of DNAGPT-H
_ANSWERS = (("A", "N"), ("<1>", "<0>"))


@dataclass(frozen=True)
class Objectives:
    """The mixture of the objectives, which the paper does not give.

    Args:
        next_token: weight of plain sequences.
        gc_content: weight of segments with their GC content.
        sequence_order: weight of windows that may be reversed.
        flip: `"reverse"` reads the same strand backwards, as in the paper; `"reverse_complement"`
            reads the other strand.
        flip_probability: probability that a window of the sequence-order objective is reversed.

    Raises:
        ValueError: a weight is negative, none is positive, or the probability is not in 0 to 1.
    """

    next_token: float = 1.0
    gc_content: float = 1.0
    sequence_order: float = 1.0
    flip: Flip = "reverse"
    flip_probability: float = 0.5

    def __post_init__(self) -> None:
        if min(self.weights) < 0 or not 0 < sum(self.weights) < float("inf"):
            raise ValueError(
                f"objective weights {self.weights}: give 0 or more, and at least one above 0"
            )
        if self.flip not in get_args(Flip):
            raise ValueError(f"flip is {self.flip!r}: choose 'reverse' or 'reverse_complement'")
        if not 0 <= self.flip_probability <= 1:
            raise ValueError(f"flip_probability {self.flip_probability} is not between 0 and 1")

    @property
    def weights(self) -> tuple[float, float, float]:
        """Weights of next token, GC content and sequence order."""
        return (self.next_token, self.gc_content, self.sequence_order)


class RecordWriter:
    """Writes bases as records of the token language, as ids instead of text.

    A record holds `input_ids` and `labels` (int64; -100 where there is no target) and
    `number_values` and `number_labels` (float32; NaN where there is no target), one value for each
    position. Labels are not shifted.

    Args:
        tokenizer: gives the ids.
        species: instruction token that every record starts with, such as `<U>` for yeast.

    Raises:
        ValueError: the tokenizer does not know a token that records need.
    """

    # tokens of a record beside its sequence: species, and `<=>`, an instruction and an answer
    plain_overhead = 1
    answer_overhead = 4

    def __init__(self, tokenizer: DNAGPTTokenizer, species: str) -> None:
        self.tokenizer = tokenizer
        self.number = int(tokenizer.number_token_id)
        known = tokenizer.get_vocab()
        true, false = next(pair for pair in _ANSWERS if pair[0] in known)
        for token in (species, "<=>", "<M>", "<B>", true, false):
            if token not in known:
                raise ValueError(
                    f"the tokenizer has no token {token}, which pre-training records need: use a "
                    "token of the token language"
                )
        self.reversed_id, self.forward_id = known[true], known[false]
        self._species = known[species]
        self._no_end = np.empty(0, np.int64)
        self._gc_end = np.array([known["<=>"], known["<M>"], self.number])
        self._order_ends = {
            True: np.array([known["<=>"], known["<B>"], self.reversed_id]),
            False: np.array([known["<=>"], known["<B>"], self.forward_id]),
        }

    def next_token(self, bases: Bases) -> Record:
        """Write `<U>ATCGTA…`."""
        return self._record(bases, self._no_end)

    def gc_content(self, bases: Bases) -> Record:
        """Write `<U>ATCGTA…<=><M>gc` with the GC content of the bases that are not N."""
        record = self._record(bases, self._gc_end)
        record["labels"][-1] = IGNORED_TOKEN
        record["number_values"][-1] = record["number_labels"][-1] = gc_content(bases)
        return record

    def sequence_order(self, bases: Bases, is_reversed: bool) -> Record:
        """Write `<U>ATCGTA…<=><B>A` if the bases were reversed, `…<B>N` if they were not.

        In a vocabulary without 1-mers the answers are `<1>` and `<0>`.
        """
        return self._record(bases, self._order_ends[is_reversed])

    def _record(self, bases: Bases, end: Ids) -> Record:
        sequence = self.tokenizer.encode_dna(bases)
        behind = 1 + len(sequence)
        input_ids = np.empty(behind + len(end), np.int64)
        input_ids[0] = self._species
        input_ids[1:behind] = sequence
        input_ids[behind:] = end
        labels = input_ids.copy()
        labels[0] = IGNORED_TOKEN
        # `<=>` and the instruction; nothing where a record has no end
        labels[behind:-1] = IGNORED_TOKEN
        number_labels = np.empty(len(input_ids), np.float32)
        number_labels.fill(np.nan)
        return {
            "input_ids": input_ids,
            "labels": labels,
            "number_values": np.zeros(len(input_ids), np.float32),
            "number_labels": number_labels,
        }
