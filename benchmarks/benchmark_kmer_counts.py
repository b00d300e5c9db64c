"""Bases per second of counting k-mers, beside scikit-learn's CountVectorizer on the same sequences.

    OMP_NUM_THREADS=1 python benchmarks/benchmark_kmer_counts.py

Prints one JSON object. Both count all 4-mers of whole sequences, the vectorizer into a sparse
matrix, and the counts are compared. Times are medians over rounds in which both take turns, in
processor time of the one thread that works.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from itertools import product

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer

from dnagpt_hf.evaluation.kmer_counts import count_kmers


def seconds(function: Callable[[], object]) -> float:
    start = time.thread_time()
    function()
    return time.thread_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=4000, help="number of sequences")
    parser.add_argument("--length", type=int, default=600, help="bases in each sequence")
    parser.add_argument("--kmer-size", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    k = arguments.kmer_size

    generator = np.random.default_rng(arguments.seed)
    letters = generator.choice(
        np.frombuffer(b"ACGT", np.uint8), (arguments.records, arguments.length)
    )
    sequences = [row.tobytes().decode() for row in letters]
    kmers = ["".join(kmer) for kmer in product("ACGT", repeat=k)]
    vectorizer = CountVectorizer(
        analyzer="char", ngram_range=(k, k), lowercase=False, vocabulary=kmers
    )
    counts = count_kmers(sequences, k)
    if not np.array_equal(counts, vectorizer.transform(sequences).toarray()):
        raise SystemExit("the counts differ")

    own, other = [], []
    for _ in range(arguments.rounds):
        other.append(seconds(lambda: vectorizer.transform(sequences)))
        own.append(seconds(lambda: count_kmers(sequences, k)))
    megabases = arguments.records * arguments.length / 1e6
    result = {
        "records": arguments.records,
        "length": arguments.length,
        "kmer_size": k,
        "count_kmers_mbp_per_second": round(megabases / statistics.median(own), 1),
        "count_vectorizer_mbp_per_second": round(megabases / statistics.median(other), 1),
        "times_count_vectorizer": round(
            statistics.median(b / a for a, b in zip(own, other, strict=True)), 1
        ),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
