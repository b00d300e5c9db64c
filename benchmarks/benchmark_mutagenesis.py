"""Measure speed and accuracy of in-silico mutagenesis.

    python benchmarks/benchmark_mutagenesis.py

`dnagpt-tiny` predicts the GC content of a sequence, so that the true effect of every substitution
is known: one base more or less. Prints one JSON line: processor seconds with cached keys and values
and with whole records, the largest difference between the two, and the correlation of effects,
integrated gradients and gradients with the truth.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer, Record, bundled
from dnagpt_hf.inference.batching import map_in_batches, padded_views
from dnagpt_hf.inference.scored_records import ScoredRecord, score_answer
from dnagpt_hf.interpretation.attribution import input_gradients, integrated_gradients
from dnagpt_hf.interpretation.mutagenesis import BASES, in_silico_mutagenesis
from dnagpt_hf.records.templates import Template
from dnagpt_hf.tasks.encoding import RecordEncoder

TEMPLATE = "<R>{sequence}<=><M>"


def whole_records(scored: ScoredRecord) -> np.ndarray[Any, Any]:
    """Compute the effects `(bases, 4)` from whole texts in which one letter is replaced."""
    sequence = scored.tokenized.columns["sequence"].bases
    config = scored.model.config
    encoder = RecordEncoder(scored.tokenizer, Template(TEMPLATE), config.max_position_embeddings)
    cells = [
        (base, place)
        for base in range(len(sequence))
        for place, letter in enumerate(BASES)
        if letter != sequence[base]
    ]
    records = (
        Record({"sequence": sequence[:base] + BASES[place] + sequence[base + 1 :]}, "", "", 1, 1)
        for base, place in cells
    )

    @torch.inference_mode()
    def scores(batch: list[Any]) -> list[float]:
        return scored.score_of(**padded_views(batch, config.pad_token_id)).tolist()

    effects = np.zeros((len(sequence), len(BASES)), np.float32)
    found = map_in_batches(scores, map(encoder.in_views, records))
    for cell, (_, score) in zip(cells, found, strict=True):
        effects[cell] = score - scored.score
    return effects


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    # processor time, so that other programs on the machine do not count
    started = time.process_time()
    result = function()
    return result, time.process_time() - started


def correlation(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> float:
    return round(float(np.corrcoef(first.ravel(), second.ravel())[0, 1]), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bases", type=int, default=606)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = bundled("dnagpt-tiny")
    model = DNAGPTForMultiTask.from_pretrained(folder).eval()
    tokenizer = DNAGPTTokenizer.from_pretrained(folder)
    rng = np.random.default_rng(options.seed)
    sequence = "".join(rng.choice(list(BASES), options.bases))
    record = Record({"sequence": sequence}, "random", "", 1, 1)
    scored = score_answer(model, tokenizer, record, template=TEMPLATE)

    found, seconds = timed(lambda: in_silico_mutagenesis(scored))
    plain, plain_seconds = timed(lambda: whole_records(scored))
    is_gc = np.array([letter in "GC" for letter in sequence])
    change = np.array([letter in "GC" for letter in BASES]) - is_gc[:, None].astype(float)
    # the value of a token is spread over its bases, and so is its true value
    token = scored.tokenized.columns["sequence"].token
    share = np.array([is_gc[token == one].mean() for one in token])
    results = {
        "bases": options.bases,
        "substitutions": 3 * options.bases,
        "seconds": round(seconds, 1),
        "seconds_of_whole_records": round(plain_seconds, 1),
        "largest_difference": float(np.abs(found.effects - plain).max()),
        "correlation_of_effects": correlation(found.effects, change),
        "correlation_of_integrated_gradients": correlation(
            integrated_gradients(scored).per_base(), share
        ),
        "correlation_of_gradients": correlation(input_gradients(scored).per_base(), share),
    }
    print(json.dumps(results))


if __name__ == "__main__":
    main()
