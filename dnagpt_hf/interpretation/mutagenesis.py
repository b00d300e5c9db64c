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
from dnagpt_hf.inference.token_spans import Array, TokenizedRecord
from dnagpt_hf.interpretation.attention import reads_mean
from dnagpt_hf.modeling_dnagpt import CACHE_NAME

BASES = "ACGT"
COMPLEMENT = dict(zip(BASES, reversed(BASES), strict=True))


@dataclass(frozen=True)
class Mutagenesis:
    """Effects of single-base substitutions.

    Args:
        scored: the record, the answer and its score.
        column: the column of DNA that was mutated.
        start: first base that was mutated, from 0.
        end: end of the mutated bases, excluded.
        effects: float32 `(bases, 4)`: score with A, C, G or T in place of a base less the score of
            the record, both of the mean over all views. 0 for the base itself, NaN where it is N or
            no view reads it.
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

    A substitution changes one token of each view. The keys and values of the tokens before it are
    kept, so that the work is half of that for whole records; a head over the mean of all positions
    needs them whole.

    Args:
        scored: the record and the answer to explain.
        column: column of DNA; by default the longest one.
        start: first base to mutate, from 0.
        end: end of the bases to mutate, excluded; by default the end of the column.
        max_records: most sequences of a batch.
        max_tokens: most tokens of a batch.
        progress: called with the number of substitutions of each finished batch, in each view.

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
    # a view that does not read a base is the same with any letter in its place
    raw = scored.raw.cpu().expand(end - start, len(BASES), -1, -1).clone()
    is_read = np.zeros(end - start, bool)
    for number, view in enumerate(scored.views):
        substitutions = list(_substitutions(scored, view, column, start, end))
        rows = max(1, min(max_records, max_tokens // len(view.tokens)))
        recompute = _Recomputation(scored, number)
        for done in range(0, len(substitutions), rows):
            batch = substitutions[done : done + rows]
            for one, found in zip(batch, recompute(batch), strict=True):
                raw[one.base - start, BASES.index(one.letter), number] = found
                is_read[one.base - start] = True
            progress(len(batch))
    scores = scored.from_raw(raw.mean(2).flatten(0, 1)).view(-1, len(BASES)).numpy()
    effects = np.where(is_read[:, None], scores - np.float32(scored.score), np.float32(np.nan))
    for base in np.flatnonzero(is_read):
        effects[base, BASES.index(bases[start + base])] = 0.0
    return Mutagenesis(scored, column, start, end, effects)


@dataclass(frozen=True)
class _Substitution:
    """A letter in place of a base of the column, and the changed token of a view."""

    base: int
    letter: str
    token: int
    token_id: int


def _substitutions(
    scored: ScoredRecord, view: TokenizedRecord, column: str, start: int, end: int
) -> Iterator[_Substitution]:
    """Yield all substitutions in a range, in the order of a view, except for N and unread bases."""
    of_column = view.columns[column]
    for base in range(start, end)[:: -1 if view.is_reverse else 1]:
        token, place = int(of_column.token[base]), int(of_column.offset[base])
        if token < 0 or of_column.bases[base] not in BASES:
            continue
        kmer = view.tokens[token].text
        for letter in BASES.replace(of_column.bases[base], ""):
            read = COMPLEMENT[letter] if view.is_reverse else letter
            mutated = kmer[:place] + read + kmer[place + 1 :]
            yield _Substitution(base, letter, token, int(scored.tokenizer.encode_dna(mutated)[0]))


class _Recomputation:
    """Logits of a record with one token of a view changed, computed from that token on."""

    def __init__(self, scored: ScoredRecord, view: int) -> None:
        self.scored = scored
        self.inputs = scored.inputs(view)
        self.cache: Any = None
        # a head over the mean reads all positions, and keys and values do not suffice
        if not reads_mean(scored.model):
            with torch.inference_mode():
                decoded = scored.model.base_model(**self.inputs, use_cache=True)
            self.cache = decoded[CACHE_NAME]

    @torch.inference_mode()
    def __call__(self, batch: list[_Substitution]) -> torch.Tensor:
        """Compute the logits of each substitution, given in the order of the view."""
        first = 0 if self.cache is None else batch[0].token
        rows = {name: value.expand(len(batch), -1) for name, value in self.inputs.items()}
        ids = rows["input_ids"].clone()
        for row, one in enumerate(batch):
            ids[row, one.token] = one.token_id
        prefix = Cache(layers=shared_prefix(self.cache, first)) if first else None
        raw: torch.Tensor = self.scored.raw_of(
            input_ids=ids[:, first:],
            number_values=rows["number_values"][:, first:],
            # as long as prefix and rest together
            attention_mask=rows["attention_mask"],
            **{CACHE_NAME: prefix},
        )
        raw = raw.cpu()
        check_finite(self.scored.tokenized.record, raw.numpy())
        return raw
