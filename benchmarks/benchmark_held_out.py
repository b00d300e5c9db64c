"""Measure a pre-trained model on held-out genomes, beside a Markov model.

    python benchmarks/benchmark_held_out.py MODEL MANIFEST --cache-folder cache

The model and a Markov model of order 5 read windows of the held-out regions of the manifest. The
Markov model is fitted to the training regions of the same species, both strands. One JSON line per
species: bits per base of both on the same windows, GC content and sequence order.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
from dnagpt_hf.genomes.bases import Bases, N, gc_content, reverse_complement
from dnagpt_hf.genomes.manifest import SpeciesGenome, load_manifest, open_species

sys.path.append(str(Path(__file__).resolve().parents[1] / "examples"))
from baselines import MarkovModel
from objective_readout import ObjectiveReader


def windows_of(species: SpeciesGenome, window: int, number: int) -> list[Bases]:
    """Choose at most `number` windows without N, spread evenly over the held-out regions."""
    found = []
    for part in species.held_out:
        starts = range(0, len(part) - window + 1, window)
        found += [bases for start in starts if N not in (bases := part[start : start + window])]
    chosen = np.linspace(0, len(found) - 1, min(number, len(found))).round().astype(int)
    return [found[index] for index in chosen]


def measure(
    reader: ObjectiveReader, species: SpeciesGenome, window: int, number: int
) -> dict[str, Any]:
    windows = windows_of(species, window, number)
    training = [part[0 : len(part)] for part in species.training]
    markov = MarkovModel(5).fit([*training, *map(reverse_complement, training)])
    rng = np.random.default_rng(0)
    segments = [one[: rng.integers(window // 10, window + 1)] for one in windows]
    gc_true = np.array([gc_content(segment) for segment in segments])
    gc_read = reader.gc_contents(segments)
    usual_gc = gc_content(np.concatenate(training))
    forward = reader.reversal_scores(windows)
    backward = reader.reversal_scores([one[::-1] for one in windows])
    return {
        "species": species.name,
        "windows": len(windows),
        "bits_per_base": float(reader.loss_per_base(windows) / np.log(2)),
        "markov_5": float(np.mean([markov.losses(one).mean() for one in windows]) / np.log(2)),
        "gc_correlation": float(np.corrcoef(gc_read, gc_true)[0, 1]),
        "gc_error": float(np.abs(gc_read - gc_true).mean()),
        "gc_error_of_training_mean": float(np.abs(usual_gc - gc_true).mean()),
        "order_accuracy": float((np.mean(forward < 0) + np.mean(backward > 0)) / 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--cache-folder", type=Path)
    parser.add_argument("--windows", type=int, default=200, help="of each species, at most")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = DNAGPTForMultiTask.from_pretrained(options.model).eval()
    tokenizer = DNAGPTTokenizer.from_pretrained(options.model)
    window = (model.config.max_position_embeddings - 4) * tokenizer.kmer_size
    for species in open_species(load_manifest(options.manifest), options.cache_folder):
        if species.held_out:
            reader = ObjectiveReader(model, tokenizer, species.token)
            print(json.dumps(measure(reader, species, window, options.windows)), flush=True)


if __name__ == "__main__":
    main()
