"""Training on small sets of haplotypes, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from haplotype_sets import make_haplotypes

from dnagpt_hf.haplotypes.files.formats import write_haplotypes

SITES = 40


def write_set(path: Path, individuals: int = 60, seed: int = 0, **arguments: Any) -> Path:
    """A file of haplotypes of two populations, with its legend."""
    write_haplotypes(make_haplotypes(individuals, SITES, seed, **arguments), path, overwrite=True)
    return path


def write_table(path: Path, individuals: int = 60, seed: int = 0) -> Path:
    """The population of each of them."""
    haplotypes = make_haplotypes(individuals, SITES, seed)
    rows = dict(zip(haplotypes.samples.tolist(), haplotypes.populations.tolist(), strict=True))
    lines = ["sample\tpop", *(f"{sample}\t{name}" for sample, name in rows.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


def arguments(haplotypes: Path, output: Path, **settings: Any) -> list[str]:
    """A command line of a few seconds; an option without a value is given as None."""
    defaults: dict[str, Any] = {
        "haplotypes": haplotypes,
        "output_dir": output,
        "model": "dnagpt-test",
        "from_scratch": None,
        "config": "{kmer_size: 3}",
        "validation": 0.2,
        "learning_rate": 1e-2,
        "warmup_steps": 5,
        "per_device_train_batch_size": 32,
        "num_train_epochs": 2,
        "disable_tqdm": True,
        "use_cpu": None,
    }
    chosen = {name: value for name, value in {**defaults, **settings}.items() if value != ""}
    return [
        part
        for name, value in chosen.items()
        for part in (f"--{name}", *([] if value is None else [str(value)]))
    ]
