"""Measure bases per second of the tokenizer and of its alternatives, in one run on one core.

    OMP_NUM_THREADS=1 python benchmarks/benchmark_tokenizer.py

Every line is one JSON object: the candidate, its speed, and the ratio to the speed of the plain
Python loop. The loop is measured again before each candidate, so that a change of the machine's
speed affects both. Both figures are the median over rounds of the median over calls, in processor
time of the one working thread.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from dnagpt_hf import DNAGPTTokenizer


def plain_loop(sequence: str, vocabulary: dict[str, int], kmer_size: int) -> list[int]:
    """Tokenize as the reference of the comparison: slice a k-mer, look it up, append."""
    ids = []
    for start in range(0, len(sequence), kmer_size):
        ids.append(vocabulary[sequence[start : start + kmer_size]])
    return ids


def rust_pipeline(vocabulary: dict[str, int], kmer_size: int) -> Tokenizer:
    """Make a pipeline of the tokenizers library, with k-mers as words."""
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<0>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(f".{{1,{kmer_size}}}"), "isolated")
    return tokenizer


def candidates(records: list[str]) -> dict[str, Callable[[], object]]:
    """List the candidates, each of which reads all records once."""
    tokenizer = DNAGPTTokenizer()
    vocabulary, k = tokenizer.get_vocab(), tokenizer.kmer_size
    rust = rust_pipeline(vocabulary, k)
    genome = "".join(records)
    letters = np.frombuffer(genome.encode(), np.uint8)
    ids = tokenizer.encode_dna(genome)
    expected = plain_loop(genome, vocabulary, k)
    assert ids.tolist() == expected
    assert tokenizer(records[0])["input_ids"] == plain_loop(records[0], vocabulary, k)
    assert rust.encode(records[0]).ids == plain_loop(records[0], vocabulary, k)
    return {
        "plain_loop": lambda: [plain_loop(record, vocabulary, k) for record in records],
        "call_lists": lambda: tokenizer(records),
        "call_numpy": lambda: tokenizer(records, return_tensors="np"),
        "call_torch": lambda: tokenizer(records, return_tensors="pt"),
        "encode_dna_str": lambda: tokenizer.encode_dna(genome),
        "encode_dna_uint8": lambda: tokenizer.encode_dna(letters),
        "decode_dna": lambda: tokenizer.decode_dna(ids),
        "rust_wordlevel": lambda: rust.encode_batch(records),
    }


def measure(function: Callable[[], object], repeats: int) -> float:
    """Measure the median seconds of a call, after a warm-up call."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.thread_time()
        result = function()
        seconds.append(time.thread_time() - start)
        # the result is freed outside the measured time, for all candidates alike
        del result
    return statistics.median(seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=64, help="number of sequences")
    parser.add_argument("--length", type=int, default=6000, help="bases in each sequence")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of loop and candidate")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_num_threads(1)

    generator = np.random.default_rng(arguments.seed)
    letters = np.frombuffer(b"ACGTN", np.uint8)
    shares = [0.245, 0.245, 0.245, 0.245, 0.02]
    records = [
        generator.choice(letters, arguments.length, p=shares).tobytes().decode()
        for _ in range(arguments.records)
    ]
    bases = arguments.records * arguments.length
    functions = candidates(records)
    loop = functions["plain_loop"]
    for name, function in functions.items():
        rounds = [(measure(loop, 3), measure(function, 7)) for _ in range(arguments.rounds)]
        result = {
            "candidate": name,
            "records": arguments.records,
            "bases": bases,
            "bases_per_second": round(bases / statistics.median(own for _, own in rounds)),
            "times_plain_loop": round(statistics.median(base / own for base, own in rounds), 2),
        }
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
