"""Generation under constraints: exact lengths, alphabets, answers, stop tokens, seeds per sequence.

Everything here works through `generate` of Transformers: constraints are logits processors and
stopping criteria, and `generate_dna` and `generate_records` call `model.generate` in batches.
"""

from .constraints import ExactBases, OnlyAnswers, OnlyDNA, ReadableText
from .sampling import Sampling, SeededNoise, sequence_keys
from .sequences import generate_dna, generate_records, split_remainder
from .stopping import StopAfterTokens, WhenDone, stops_in_place
from .vocabulary import KmerTable

__all__ = [
    "ExactBases",
    "KmerTable",
    "OnlyAnswers",
    "OnlyDNA",
    "ReadableText",
    "Sampling",
    "SeededNoise",
    "StopAfterTokens",
    "WhenDone",
    "generate_dna",
    "generate_records",
    "sequence_keys",
    "split_remainder",
    "stops_in_place",
]
