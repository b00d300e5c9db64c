"""Measure memory and speed of reading random windows of a large FASTA file.

    python benchmarks/benchmark_genome_memory.py --gigabases 20 --folder /scratch

The file has records of at most 250 million bases, in lines of 60, from one random block that is
repeated; it is deleted at the end. The same function writes its index, since it knows all offsets:
the program measures opening and reading, not indexing.

Prints one JSON object: bases, seconds to open, megabases per second of processor and of wall time,
and the anonymous memory of the process before and after (RssAnon of Linux, in bytes; the pages of a
mapped file are in the page cache and do not count). Compare with `--gigabases 0.2` to see the
effect of the size.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from dnagpt_hf import open_genome

LINE = 60
RECORD = 250_000_000
BLOCK_LINES = 1_000_000
LETTERS = np.frombuffer(b"ACGTacgt", np.uint8)


def write_genome(path: Path, bases: int, seed: int) -> None:
    """Write a FASTA file with at least this number of bases, in full lines, and its index."""
    rng = np.random.default_rng(seed)
    lines = np.full((BLOCK_LINES, LINE + 1), ord("\n"), np.uint8)
    lines[:, :LINE] = LETTERS[rng.integers(0, len(LETTERS), (BLOCK_LINES, LINE), np.uint8)]
    block = memoryview(lines.tobytes())
    index = []
    records = -(-bases // RECORD)
    num_lines = -(-bases // (records * LINE))
    with open(path, "wb") as file:
        for number in range(records):
            file.write(f">chr{number + 1}\n".encode())
            length = num_lines * LINE
            index.append(f"chr{number + 1}\t{length}\t{file.tell()}\t{LINE}\t{LINE + 1}\n")
            for start in range(0, num_lines, BLOCK_LINES):
                file.write(block[: min(BLOCK_LINES, num_lines - start) * (LINE + 1)])
    Path(f"{path}.fai").write_text("".join(index))


def anonymous_memory() -> int:
    """Read the anonymous memory of the process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("this system does not tell RssAnon: run the benchmark under Linux")


def measure(path: Path, windows: int, length: int, seed: int) -> dict[str, float]:
    """Open a genome and read random windows of it."""
    # import everything before memory is measured
    np.random.default_rng(seed).integers(0, 10, 10)
    before = anonymous_memory()
    start = time.perf_counter()
    contigs = list(open_genome(path).contigs.values())
    seconds_to_open = time.perf_counter() - start
    opened = anonymous_memory()
    bases = sum(map(len, contigs))
    rng = np.random.default_rng(seed)
    draws = rng.choice(len(contigs), windows, p=[len(contig) / bases for contig in contigs])
    places = rng.random(windows)
    wall, processor = time.perf_counter(), time.process_time()
    read = 0
    for draw, place in zip(draws.tolist(), places.tolist(), strict=True):
        contig = contigs[draw]
        at = int(place * (len(contig) - length))
        read += len(contig[at : at + length])
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return {
        "bases": bases,
        "windows": windows,
        "window_bases": length,
        "seconds_to_open": round(seconds_to_open, 4),
        "megabases_per_second": round(read / processor / 1e6, 1),
        "megabases_per_wall_second": round(read / wall / 1e6, 1),
        "anonymous_bytes_before": before,
        "anonymous_bytes_opened": opened,
        "anonymous_bytes_after": anonymous_memory(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gigabases", type=float, default=0.2, help="size of the genome")
    parser.add_argument("--folder", type=Path, help="where the file is made; it needs the room")
    parser.add_argument("--windows", type=int, default=20_000, help="how many are read")
    parser.add_argument("--length", type=int, default=3072, help="bases in a window")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder, "genome.fa")
        write_genome(path, round(arguments.gigabases * 1e9), arguments.seed)
        result = measure(path, arguments.windows, arguments.length, arguments.seed)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
