"""Measure megabases per second of batches for pre-training, and of two plain alternatives.

    OMP_NUM_THREADS=1 python benchmarks/benchmark_pretraining_data.py

A synthetic genome is in a FASTA file, in lines of 60, half of it in lower case. One process makes
batches of it in three ways:

- rows: packed sequences from random positions, as in `dnagpt pretrain`;
- pyfaidx: pyfaidx fetches a window, the tokenizer reads its text, and DNAGPTDataCollator makes the
  batch (next token only);
- arrow: records that were cut and tokenized once, in advance, as a table of the datasets library in
  the format of torch. Batches are read by random indices. Later epochs have the same windows and
  strands, and the time of the preparation is not counted.

Every line is one JSON object. A position counts as 6 bases. Times are processor times of the one
working thread: the median over rounds, in each of which all ways take turns.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset, Features, Value, disable_progress_bars
from datasets import Sequence as SequenceOf
from pyfaidx import Fasta

from dnagpt_hf import DNAGPTDataCollator, DNAGPTTokenizer, open_genome
from dnagpt_hf.pretraining.dataset import PretrainingDataset, SpeciesSequences, stack_sequences
from dnagpt_hf.pretraining.objectives import Objectives

LINE = 60
KMER_SIZE = 6
OBJECTIVES = {"next_token": Objectives(1, 0, 0), "all": Objectives()}

Batches = Iterator[dict[str, torch.Tensor]]


def write_genome(path: Path, bases: int, seed: int) -> None:
    """Write one record of random bases."""
    lines = np.full((bases // LINE, LINE + 1), ord("\n"), np.uint8)
    letters = np.frombuffer(b"ACGTacgt", np.uint8)
    lines[:, :LINE] = letters[
        np.random.default_rng(seed).integers(0, len(letters), (bases // LINE, LINE), np.uint8)
    ]
    path.write_bytes(b">chr1\n" + lines.tobytes())


def full_rows(
    path: Path, tokenizer: DNAGPTTokenizer, positions: int, size: int, objectives: Objectives
) -> Batches:
    species = SpeciesSequences("<R>", tuple(open_genome(path).contigs.values()))
    rows = PretrainingDataset([species], tokenizer, context_length=positions, objectives=objectives)
    index = 0
    while True:
        yield stack_sequences([rows[index + row] for row in range(size)])
        index += size


def pyfaidx_windows(path: Path, tokenizer: DNAGPTTokenizer, positions: int, size: int) -> Batches:
    contig = Fasta(str(path), sequence_always_upper=True)["chr1"]
    collate = DNAGPTDataCollator(tokenizer)
    length = (positions - 1) * KMER_SIZE
    rng = np.random.default_rng(0)
    while True:
        starts = rng.integers(0, len(contig) - length, size).tolist()
        windows = [str(contig[start : start + length]) for start in starts]
        yield collate([tokenizer(f"<R>{window}") for window in windows])


def arrow_records(path: Path, tokenizer: DNAGPTTokenizer, positions: int, size: int) -> Batches:
    contig = open_genome(path).contigs["chr1"]
    length = (positions - 1) * KMER_SIZE
    first = tokenizer.convert_tokens_to_ids("<R>")
    records = [
        np.append(np.int32(first), tokenizer.encode_dna(contig[start : start + length]))
        for start in range(0, len(contig) - length, length)
    ]
    features = Features({"input_ids": SequenceOf(Value("int32"), length=positions)})
    table = Dataset.from_dict({"input_ids": records}, features=features)
    table.save_to_disk(path.parent / f"table-{positions}")
    table = Dataset.load_from_disk(path.parent / f"table-{positions}").with_format("torch")
    rng = np.random.default_rng(0)
    while True:
        input_ids = table[rng.integers(0, len(table), size).tolist()]["input_ids"]
        labels = input_ids.clone()
        labels[:, 0] = -100
        yield {"input_ids": input_ids, "labels": labels}


def megabases_per_second(batches: Batches, count: int) -> float:
    start = time.process_time()
    bases = sum(KMER_SIZE * next(batches)["input_ids"].numel() for _ in range(count))
    return bases / (time.process_time() - start) / 1e6


def measure(ways: dict[str, Batches], counts: dict[str, int], rounds: int) -> dict[str, float]:
    for batches in ways.values():
        next(batches)
    speeds = [
        {name: megabases_per_second(batches, counts[name]) for name, batches in ways.items()}
        for _ in range(rounds)
    ]
    return {name: statistics.median(speed[name] for speed in speeds) for name in ways}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabases", type=int, default=100, help="size of the genome")
    parser.add_argument("--rows", type=int, default=8, help="rows in a batch")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each way in a round")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    disable_progress_bars()
    tokenizer = DNAGPTTokenizer()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "genome.fa")
        write_genome(path, arguments.megabases * 1_000_000, seed=0)
        for positions in (512, 4096):
            report(path, tokenizer, positions, arguments)


def report(
    path: Path, tokenizer: DNAGPTTokenizer, positions: int, arguments: argparse.Namespace
) -> None:
    common = (path, tokenizer, positions, arguments.rows)
    ways = {f"rows_{name}": full_rows(*common, one) for name, one in OBJECTIVES.items()}
    plain: dict[str, Callable[..., Batches]] = {"pyfaidx": pyfaidx_windows, "arrow": arrow_records}
    ways |= {name: way(*common) for name, way in plain.items()}
    counts = {}
    for name, batches in ways.items():
        next(batches)
        seconds = arguments.rows * positions * KMER_SIZE / 1e6 / megabases_per_second(batches, 4)
        counts[name] = max(1, round(arguments.seconds / seconds))
    speeds = measure(ways, counts, arguments.rounds)
    for name, speed in speeds.items():
        result = {"way": name, "positions": positions, "rows": arguments.rows}
        result["megabases_per_second"] = round(speed, 1)
        result |= {f"times_{other}": round(speed / speeds[other], 2) for other in plain}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
