"""Measure Markov models of a high order on held-out genomes.

    python benchmarks/benchmark_markov.py MANIFEST --cache-folder cache

One model is fitted to the training regions of each species, both strands, and one to those of all
species. They read the held-out windows of `benchmark_held_out.py` on their forward strand. Longer
contexts are smoothed by shorter ones with each of several concentrations. One JSON line for each
species: bits per base of both models by concentration. Order 11 takes 6 GB of memory.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from benchmark_held_out import MarkovModel, windows_of

from dnagpt_hf.genomes.bases import Bases, reverse_complement
from dnagpt_hf.genomes.manifest import load_manifest, open_species

CONCENTRATIONS = (30.0, 100.0, 300.0, 1000.0)


def bits_per_base(model: MarkovModel, windows: list[Bases]) -> dict[str, float]:
    """Average over windows, by concentration."""
    bits = {}
    for concentration in CONCENTRATIONS:
        model.smooth(concentration)
        losses = [model.losses(window).mean() for window in windows]
        bits[f"{concentration:g}"] = round(float(np.mean(losses) / np.log(2)), 4)
    return bits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--cache-folder", type=Path)
    parser.add_argument("--order", type=int, default=11)
    parser.add_argument("--window", type=int, default=1524, help="bases")
    parser.add_argument("--windows", type=int, default=200, help="of each species, at most")
    options = parser.parse_args()
    pooled = MarkovModel(options.order).fit([])
    windows, own = {}, {}
    for species in open_species(load_manifest(options.manifest), options.cache_folder):
        training = [part[0 : len(part)] for part in species.training]
        model = MarkovModel(options.order).fit([*training, *map(reverse_complement, training)])
        pooled.counts = [a + b for a, b in zip(pooled.counts, model.counts, strict=True)]
        windows[species.name] = windows_of(species, options.window, options.windows)
        own[species.name] = bits_per_base(model, windows[species.name])
    for name, read in windows.items():
        line = {"species": name, "windows": len(read), "own": own[name]}
        print(json.dumps({**line, "pooled": bits_per_base(pooled, read)}), flush=True)


if __name__ == "__main__":
    main()
