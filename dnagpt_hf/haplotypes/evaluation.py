"""Evaluation of artificial genomes: from files of haplotypes to a report."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dnagpt_hf.haplotypes.files.formats import read_haplotypes
from dnagpt_hf.haplotypes.files.options import ReadingOptions
from dnagpt_hf.haplotypes.files.vcf import is_vcf_name
from dnagpt_hf.haplotypes.haplotypes import Haplotypes, split_test
from dnagpt_hf.haplotypes.sites import HaplotypeError
from dnagpt_hf.haplotypes.statistics.evaluation import (
    HaplotypeEvaluation,
    Kind,
    Progress,
    evaluate_sets,
)
from dnagpt_hf.haplotypes.statistics.reference_generators import GENERATORS
from dnagpt_hf.haplotypes.statistics.report import check_report_folder, write_report

Source = Haplotypes | str | os.PathLike[str]

# name of the test split among the sets
_TEST = "real test"
# share of the samples that are set aside if there is no test split
_SET_ASIDE = 0.2
_SUFFIXES = (".gz", ".zip", ".hapt", ".vcf", ".bcf", ".npy", ".npz")


def evaluate_haplotypes(
    real: Source,
    generated: Mapping[str, Source] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None = None,
    options: ReadingOptions | None = None,
    *,
    test: Source | float | None = None,
    split_seed: int = 0,
    seed: int = 0,
    overwrite: bool = False,
    on_step: Progress = lambda step, steps: None,
    **fields: Any,
) -> HaplotypeEvaluation:
    """Compare generated haplotypes with real ones (paper, Fig. 4 to 6; Yelmen et al., 2021).

    Real haplotypes of a test split and three simple generators always stand beside the generated
    sets: they show the deviation of a statistic by chance, and its difficulty.

    Args:
        real: haplotypes that the generators were trained on, or their file.
        generated: sets or files of the same sites by name, or files, whose names are used.
        output: folder of the report: JSON, Markdown, figures, and a page in HTML.
        options: choice of sites and records. Legend, region and least frequency are those of the
            real haplotypes, populations those of the real ones and the test split.
        test: real haplotypes of other individuals, or their file; or the share of the samples of
            `real` that training set aside. By default one fifth is set aside here, and there is no
            privacy score, since the generators have seen them.
        split_seed: seed of the choice of a share, as in training.
        seed: of all random choices. The same input and seed give the same results.
        overwrite: replace the files of an earlier report.
        on_step: is called with the name of each step that begins, and the number of all steps.
        fields: fields of [`ReadingOptions`], such as `region`, `min_maf` and `populations`, which
            replace those of `options`.

    Raises:
        DestinationError: the folder has content.
        HaplotypeError: a file is invalid, sets differ in their sites or the order of them, splits
            share an individual, a set has fewer than two haplotypes, or a name stands for two sets.
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
    for name in generated:
        if name in (_TEST, "real", *GENERATORS):
            raise HaplotypeError(f"the name {name!r} stands for a reference: choose another one")
    options = replace(options or ReadingOptions(), **fields)
    # the sites of other sets are those of the real haplotypes, with which they are aligned
    of_test = replace(options, legend=None, min_maf=0.0)
    of_generated = replace(of_test, populations=None)

    def read(source: Source, options: ReadingOptions) -> Haplotypes:
        if isinstance(source, Haplotypes):
            return source
        # of other files, only a VCF tells the positions of its sites without a legend
        region = options.region if is_vcf_name(Path(source)) else None
        return read_haplotypes(source, options, region=region)

    training = real if isinstance(real, Haplotypes) else read_haplotypes(real, options)
    share, seed_of_split = (_SET_ASIDE, seed) if test is None else (test, split_seed)
    training, held_out = split_test(
        training, share, seed_of_split, lambda file: read(file, of_test)
    )
    sets: dict[str, tuple[Kind, Haplotypes]] = {
        name: ("generated", read(source, of_generated).align_to(training))
        for name, source in generated.items()
    }
    sets[_TEST] = ("test", held_out)
    for name, generator in GENERATORS.items():
        sets[name] = ("generator", generator(training, training.num_haplotypes, seed))
    for one in (training, *(one for _, one in sets.values())):
        if one.num_haplotypes < 2:
            raise HaplotypeError(f"{one.source} has one haplotype: two are needed to compare them")
    unseen = None if test is None else held_out
    evaluation = evaluate_sets(training, sets, unseen, seed, on_step)
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
