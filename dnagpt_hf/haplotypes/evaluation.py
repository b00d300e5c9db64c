"""Evaluation of artificial genomes: from files of haplotypes to a report."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from dnagpt_hf.haplotypes.files.formats import read_haplotypes
from dnagpt_hf.haplotypes.files.vcf import GenotypeRules, is_vcf_name
from dnagpt_hf.haplotypes.haplotypes import Haplotypes, parse_share, split_by_sample
from dnagpt_hf.haplotypes.sites import HaplotypeError
from dnagpt_hf.haplotypes.statistics.evaluation import (
    HaplotypeEvaluation,
    Progress,
    evaluate_sets,
)
from dnagpt_hf.haplotypes.statistics.report import check_report_folder, write_report

Source = Haplotypes | str | os.PathLike[str]

# share of the samples that are set aside if there is no test split
_SET_ASIDE = 0.2
_SUFFIXES = (".gz", ".zip", ".hapt", ".vcf", ".bcf", ".npy", ".npz")


def evaluate_haplotypes(
    real: Source,
    generated: Mapping[str, Source] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None = None,
    *,
    test: Source | float | None = None,
    split_seed: int = 0,
    legend: str | os.PathLike[str] | None = None,
    region: str | None = None,
    min_maf: float = 0.0,
    populations: str | os.PathLike[str] | None = None,
    population_column: str | None = None,
    rules: GenotypeRules | None = None,
    seed: int = 0,
    overwrite: bool = False,
    on_step: Progress = lambda step: None,
) -> HaplotypeEvaluation:
    """Compare generated haplotypes with real ones (paper, Fig. 4 to 6; Yelmen et al., 2021).

    Real haplotypes of a test split and three simple generators always stand beside the generated
    sets: they show the deviation of a statistic by chance, and its difficulty.

    Args:
        real: haplotypes that the generators were trained on, or their file.
        generated: sets or files of the same sites by name, or files, whose names are used.
        output: folder of the report: JSON, Markdown, figures, and a page in HTML.
        test: real haplotypes of other individuals, or their file; or the share of the samples of
            `real` that training set aside. By default one fifth is set aside here, and there is no
            privacy score, since the generators have seen them.
        split_seed: seed of the choice of a share, as in training.
        legend: legend of the file of real haplotypes.
        region: region of the sites to compare.
        min_maf: least minor-allele frequency of a site among the real haplotypes.
        populations: table with the population of each real sample.
        population_column: its column.
        rules: treatment of genotypes of a VCF that are missing or not phased.
        seed: of all random choices. The same input and seed give the same results.
        overwrite: replace the files of an earlier report.
        on_step: is called with the name of each step that begins.

    Raises:
        DestinationError: the folder has content.
        HaplotypeError: a file is invalid, sets differ in their sites, splits share an individual,
            a set has fewer than two haplotypes, or a name stands for two sets.
        ImportError: the report needs matplotlib, which is not installed.

    Example:

        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> real = Haplotypes(rng.integers(0, 2, (40, 30), np.uint8), np.arange(40))
        >>> generated = Haplotypes(rng.integers(0, 2, (20, 30), np.uint8), np.arange(20))
        >>> evaluation = evaluate_haplotypes(real, {"model": generated})
        >>> [one.name for one in evaluation.sets]
        ['model', 'real test', 'independent', 'Markov 10', 'mosaic']
        >>> evaluation.sets[0].distances.num_copies
        0
    """
    if output is not None:
        check_report_folder(output, overwrite=overwrite)
    if not isinstance(generated, Mapping):
        generated = dict(zip(set_names(generated), generated, strict=True))
    tables: Any = {"populations": populations, "population_column": population_column}

    def read(source: Source, **options: Any) -> Haplotypes:
        if isinstance(source, Haplotypes):
            return source
        # of other files, only a VCF tells the positions of its sites without a legend
        within = region if is_vcf_name(Path(source)) else None
        return read_haplotypes(source, **{"region": within, "rules": rules, **options})

    training = read(real, legend=legend, region=region, min_maf=min_maf, **tables)
    share: Any = parse_share(test) if isinstance(test, str) else test
    if test is None or isinstance(share, float):
        fraction, used_seed = (_SET_ASIDE, seed) if test is None else (share, split_seed)
        training, held_out = split_by_sample(training, fraction, used_seed)
        held_out = replace(held_out, source=f"{held_out.source} (test split)")
    else:
        held_out = read(cast(Source, test), **tables)
    sets = {name: read(source) for name, source in generated.items()}
    evaluation = evaluate_sets(
        training, sets, held_out, test_is_unseen=test is not None, seed=seed, on_step=on_step
    )
    if output is not None:
        write_report(evaluation, output, overwrite=overwrite)
    return evaluation


def set_names(files: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Name generated sets after their files.

    Raises:
        HaplotypeError: two files have the same name.

    Example:

        >>> set_names(["a/t0.8.hapt.gz", "b/t1.2.vcf"])
        ['t0.8', 't1.2']
    """
    names = [Path(path).name for path in files]
    for suffix in _SUFFIXES:
        names = [name.removesuffix(suffix) for name in names]
    for name in names:
        if names.count(name) > 1:
            raise HaplotypeError(f"two sets are called {name!r}: state names")
    return names
