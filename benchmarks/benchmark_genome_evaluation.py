"""Measure time and memory of the evaluation of artificial genomes.

    OMP_NUM_THREADS=2 python benchmarks/benchmark_genome_evaluation.py

The data are 5,008 "real" and 5,000 "generated" haplotypes of 10,000 sites, as many as in the paper.
They are mosaics of founders, which are mosaics of the ancestors of five populations, so that there
is linkage and structure. The program runs the whole evaluation, with the test split and the three
reference generators, and writes its report. One line of JSON has the wall time and the processor
time of each step over all sets, and the peak memory of the process (VmHWM of Linux).

Three of the steps are also in scikit-allel. If it is installed, both run on the same subset of the
haplotypes, small enough for it, in the same process.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dnagpt_hf import Haplotypes, Sites, evaluate_haplotypes
from dnagpt_hf.haplotypes.haplotypes import STRANDS
from dnagpt_hf.haplotypes.statistics.distances import DistanceBlocks, haplotype_distances
from dnagpt_hf.haplotypes.statistics.evaluation import STEPS
from dnagpt_hf.haplotypes.statistics.linkage import compare_linkage
from dnagpt_hf.haplotypes.statistics.pca import compare_pca
from dnagpt_hf.haplotypes.statistics.reference_generators import GENERATORS, mosaic
from dnagpt_hf.haplotypes.statistics.report import write_report

POPULATIONS = ("AFR", "AMR", "EAS", "EUR", "SAS")
ANCESTORS, FOUNDERS = 40, 200


def made_haplotypes(number: int, sites: int, seed: int, prefix: str) -> Haplotypes:
    """Simulate haplotypes of five populations with the same ancestors for every seed."""
    past = np.random.default_rng(0)
    positions = 1 + np.cumsum(past.integers(1, 300, sites))
    known = Sites(["15"] * sites, positions, ["A"] * sites, ["G"] * sites)
    frequencies = past.beta(0.5, 1.0, sites)
    shared = past.random((ANCESTORS // 2, sites)) < frequencies
    parts = []
    for place, population in enumerate(POPULATIONS):
        own = past.random((ANCESTORS // 2, sites)) < past.beta(0.5, 1.0, sites)
        ancestors = Haplotypes(np.concatenate([shared, own]), np.arange(ANCESTORS), known)
        founders = mosaic(ancestors, FOUNDERS, seed=place, effective_size=1_000)
        size = len(range(place, number, len(POPULATIONS)))
        haplotypes = mosaic(founders, size, seed=seed + place, effective_size=5_000)
        parts.append((haplotypes.alleles, [population] * size))
    names = [f"{prefix}{row // 2}{STRANDS[row % 2]}" for row in range(number)]
    return Haplotypes(
        np.concatenate([alleles for alleles, _ in parts]),
        np.asarray(names),
        known,
        np.concatenate([population for _, population in parts]),
        source=prefix,
    )


def peak_memory() -> int:
    """Read the peak memory of the process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("this system does not tell VmHWM: run the benchmark under Linux")


class Parts:
    """Seconds and peak memory of the parts of a run."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, float]] = {}
        self.name = ""

    def begin(self, part: str, number: int = 0) -> None:
        self.end()
        # the same part of several sets counts together
        self.name = part.rsplit(": ", 1)[-1] if part.endswith(STEPS) else part
        Path("/proc/self/clear_refs").write_text("5")
        self.start, self.processor = time.perf_counter(), time.process_time()

    def end(self) -> None:
        if self.name:
            nothing = {"seconds": 0.0, "processor_seconds": 0.0, "peak_bytes": 0}
            one = self.found.setdefault(self.name, nothing)
            passed = time.perf_counter() - self.start, time.process_time() - self.processor
            one["seconds"] = round(one["seconds"] + passed[0], 2)
            one["processor_seconds"] = round(one["processor_seconds"] + passed[1], 2)
            one["peak_bytes"] = max(one["peak_bytes"], peak_memory())
        self.name = ""


def measure(real: Haplotypes, generated: Haplotypes) -> dict[str, Any]:
    """Measure the whole evaluation, and its report."""
    parts = Parts()
    start, processor = time.perf_counter(), time.process_time()
    evaluation = evaluate_haplotypes(real, {"generated": generated}, on_step=parts.begin)
    parts.begin("report")
    with tempfile.TemporaryDirectory() as folder:
        write_report(evaluation, folder)
    parts.end()
    return {
        "haplotypes": [real.num_haplotypes, generated.num_haplotypes],
        "sites": real.num_sites,
        "sets": len(evaluation.sets),
        "reference_generators": len(GENERATORS),
        "seconds": round(time.perf_counter() - start, 1),
        "peak_bytes": max(one["peak_bytes"] for one in parts.found.values()),
        "processor_seconds": round(time.process_time() - processor, 1),
        "parts": parts.found,
    }


def timed(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def beside_scikit_allel(real: Haplotypes, haplotypes: int, sites: int) -> dict[str, Any] | None:
    """Measure seconds of scikit-allel per second of this package, on the same alleles."""
    try:
        import allel
    except ImportError:
        return None
    few = np.ascontiguousarray(real.alleles[:: max(1, real.num_haplotypes // haplotypes)])
    half = len(few) // 2
    near = np.ascontiguousarray(real.alleles[:, :sites])
    doubled = np.ascontiguousarray(2 * near.T.astype(np.int8))

    def ours_components() -> None:
        first, second = few[:half], few[half:]
        blocks = DistanceBlocks(
            haplotype_distances(first),
            haplotype_distances(first, second),
            haplotype_distances(second),
        )
        compare_pca(blocks)

    pairs = {
        "linkage": (
            f"{len(near):,} haplotypes, {sites:,} sites",
            lambda: compare_linkage(near, {}),
            lambda: allel.rogers_huff_r(doubled) ** 2,
        ),
        "distances": (
            f"{len(few):,} haplotypes, {real.num_sites:,} sites",
            lambda: haplotype_distances(few),
            lambda: allel.pairwise_distance(few.T, metric="hamming"),
        ),
        "principal components, with the distances": (
            f"{len(few):,} haplotypes, {real.num_sites:,} sites",
            ours_components,
            lambda: allel.pca(few.T.astype(np.float32), n_components=6, scaler=None),
        ),
    }
    found = {}
    for name, (what, ours, theirs) in pairs.items():
        ours()
        seconds, allel_seconds = timed(ours), timed(theirs)
        found[name] = {
            "of": what,
            "seconds": round(seconds, 3),
            "scikit_allel_seconds": round(allel_seconds, 3),
            "ratio": round(allel_seconds / seconds, 1),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--haplotypes", type=int, default=5008, help="real ones, an even number")
    parser.add_argument("--generated", type=int, default=5000, help="generated ones")
    parser.add_argument("--sites", type=int, default=10_000)
    parser.add_argument("--compared-haplotypes", type=int, default=1000, help="with scikit-allel")
    parser.add_argument("--compared-sites", type=int, default=1000, help="with scikit-allel")
    arguments = parser.parse_args()
    real = made_haplotypes(arguments.haplotypes, arguments.sites, 100, "P")
    generated = made_haplotypes(arguments.generated, arguments.sites, 200, "AG")
    result = measure(real, replace(generated, populations=None))
    result["threads"] = os.environ.get("OMP_NUM_THREADS", f"all of {os.cpu_count()}")
    result["scikit_allel"] = beside_scikit_allel(
        real, arguments.compared_haplotypes, arguments.compared_sites
    )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
