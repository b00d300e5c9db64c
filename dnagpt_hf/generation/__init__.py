"""Generation under constraints: exact lengths, alphabets, answers, seeds per sequence.

Constraints are logits processors of Transformers, and `generate_dna` and `generate_records` call
`model.generate` in batches. `decoding` has a leaner loop for many sequences of one length.
"""

from dnagpt_hf.generation.constraints import AnswersOnly, DNAOnly, ExactBases, WellFormedText
from dnagpt_hf.generation.sampling import Sampling, SeededNoise, sequence_keys
from dnagpt_hf.generation.sequences import generate_dna, generate_records, split_remainder
from dnagpt_hf.generation.vocabulary import KmerTable

__all__ = [
    "AnswersOnly",
    "DNAOnly",
    "ExactBases",
    "KmerTable",
    "Sampling",
    "SeededNoise",
    "WellFormedText",
    "generate_dna",
    "generate_records",
    "sequence_keys",
    "split_remainder",
]
