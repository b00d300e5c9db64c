"""In-silico mutagenesis: the effect of every single-base substitution on an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import Cache

from dnagpt_hf.inference.batching import check_finite
from dnagpt_hf.inference.scored_records import ScoredRecord
from dnagpt_hf.inference.shared_prefix import shared_prefix
from dnagpt_hf.inference.token_spans import Array
from dnagpt_hf.interpretation.attention import reads_mean
from dnagpt_hf.modeling_dnagpt import CACHE_NAME

BASES = "ACGT"


@dataclass(frozen=True)
class Mutagenesis:
    """Effects of single-base substitutions.

    Args:
        scored: the record, the answer and its score.
        column: the column of DNA that was mutated.
        start: first base that was mutated, from 0.
        end: end of the mutated bases, excluded.
        effects: float32 `(bases, 4)`: score with A, C, G or T in place of a base less the score of
            the record. 0 for the base itself, NaN where it is N or was not read.
    """

    scored: ScoredRecord
    column: str
    start: int
    end: int
    effects: Array

    @property
    def mean_effects(self) -> Array:
        """Average over the three other bases, float32 `(bases,)`."""
        means: Array = self.effects.sum(-1) / (len(BASES) - 1)
        return means

    def largest(self, count: int) -> list[tuple[str, float]]:
        """List the substitutions with the largest effects, such as `A301G`, which counts from 1."""
        effects = np.nan_to_num(self.effects).ravel()
        bases = self.scored.tokenized.columns[self.column].bases
        found = []
        for cell in np.argsort(-np.abs(effects), kind="stable")[:count].tolist():
            base, letter = self.start + cell // len(BASES), BASES[cell % len(BASES)]
            if effects[cell]:
                found.append((f"{bases[base]}{base + 1}{letter}", float(effects[cell])))
        return found


def in_silico_mutagenesis(
    scored: ScoredRecord,
    *,
    column: str | None = None,
    start: int = 0,
    end: int | None = None,
    max_records: int = 64,
    max_tokens: int = 16_384,
    progress: Callable[[int], object] = lambda added: None,
) -> Mutagenesis:
    """Replace each base by the three others, one at a time, and compute the change of the score.

    A substitution changes one token. The keys and values of the tokens before it are kept, so that
    the work is half of that for whole records; a head over the mean of all positions needs them
    whole.

    Args:
        scored: the record and the answer to explain.
        column: column of DNA; by default the longest one.
        start: first base to mutate, from 0.
        end: end of the bases to mutate, excluded; by default the end of the column.
        max_records: most sequences of a batch.
        max_tokens: most tokens of a batch.
        progress: called with the number of substitutions of each finished batch.

    Raises:
        RecordError: there is no such column, the range is not in it, or a score is not finite.

    Example:

        >>> from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
        >>> from dnagpt_hf.inference.scored_records import score_answer
        >>> from dnagpt_hf.records.reading import Record
        >>> from dnagpt_hf.presets import preset_config
        >>> model = DNAGPTForMultiTask(preset_config("dnagpt-test")).eval()
        >>> record = Record({"sequence": "ACGTACGNA"}, "first", "a.fa", 1, 1)
        >>> scored = score_answer(model, DNAGPTTokenizer(), record, template="<R>{sequence}<=><M>")
        >>> found = in_silico_mutagenesis(scored, start=6)
        >>> found.effects.shape, np.isnan(found.effects).any(-1).tolist()
        ((3, 4), [False, True, False])
        >>> found.effects[0, BASES.index("G")]
        np.float32(0.0)
    """
    tokenized = scored.tokenized
    column = tokenized.column(column)
    bases = tokenized.columns[column].bases
    end = len(bases) if end is None else end
    if not 0 <= start < end <= len(bases):
        raise tokenized.record.error(
            f"its {column} has {len(bases):,} bases: {start + 1:,}-{end:,} is no part of it"
        )
    substitutions = list(_substitutions(scored, column, start, end))
    effects = np.full((end - start, len(BASES)), np.nan, np.float32)
    for one in substitutions:
        effects[one.base - start, BASES.index(bases[one.base])] = 0.0
    rows = max(1, min(max_records, max_tokens // len(tokenized.tokens)))
    recompute = _Recomputation(scored)
    for done in range(0, len(substitutions), rows):
        batch = substitutions[done : done + rows]
        for one, score in zip(batch, recompute(batch), strict=True):
            effects[one.base - start, BASES.index(one.letter)] = score - scored.score
        progress(len(batch))
    return Mutagenesis(scored, column, start, end, effects)


@dataclass(frozen=True)
class _Substitution:
    """A letter in place of a base of the column, and the changed token."""

    base: int
    letter: str
    token: int
    token_id: int


def _substitutions(
    scored: ScoredRecord, column: str, start: int, end: int
) -> Iterator[_Substitution]:
    """Yield all substitutions in a range, from left to right, except for N and unread bases."""
    tokenized = scored.tokenized
    of_column = tokenized.columns[column]
    for base in range(start, end):
        token, place = int(of_column.token[base]), int(of_column.offset[base])
        if token < 0 or of_column.bases[base] not in BASES:
            continue
        kmer = tokenized.tokens[token].text
        for letter in BASES.replace(of_column.bases[base], ""):
            mutated = kmer[:place] + letter + kmer[place + 1 :]
            yield _Substitution(base, letter, token, int(scored.tokenizer.encode_dna(mutated)[0]))


class _Recomputation:
    """Scores of a record with one token changed, computed from that token on."""

    def __init__(self, scored: ScoredRecord) -> None:
        self.scored = scored
        self.inputs = scored.inputs()
        self.cache: Any = None
        # a head over the mean reads all positions, and keys and values do not suffice
        if not reads_mean(scored.model):
            with torch.inference_mode():
                decoded = scored.model.base_model(**self.inputs, use_cache=True)
            self.cache = decoded[CACHE_NAME]

    @torch.inference_mode()
    def __call__(self, batch: list[_Substitution]) -> list[float]:
        """Compute the score of each substitution, given from left to right."""
        first = 0 if self.cache is None else batch[0].token
        rows = {name: value.expand(len(batch), -1) for name, value in self.inputs.items()}
        ids = rows["input_ids"].clone()
        for row, one in enumerate(batch):
            ids[row, one.token] = one.token_id
        prefix = Cache(layers=shared_prefix(self.cache, first)) if first else None
        scores = self.scored.score_of(
            input_ids=ids[:, first:],
            number_values=rows["number_values"][:, first:],
            # as long as prefix and rest together
            attention_mask=rows["attention_mask"],
            **{CACHE_NAME: prefix},
        )
        check_finite(self.scored.tokenized.record, scores.cpu().numpy())
        return scores.tolist()
