"""Training on haplotypes, from phased genomes to a checkpoint that can write new ones."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import EarlyStoppingCallback, set_seed

from dnagpt_hf.atomic_files import new_file
from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
from dnagpt_hf.genomes.regions import Region
from dnagpt_hf.haplotypes.card import write_haplotype_card
from dnagpt_hf.haplotypes.files.formats import read_haplotypes
from dnagpt_hf.haplotypes.files.hapt import write_legend
from dnagpt_hf.haplotypes.files.vcf import GenotypeRules
from dnagpt_hf.haplotypes.format import LEGEND, HaplotypeFormat, check_positions
from dnagpt_hf.haplotypes.haplotypes import Haplotypes, parse_share, split_by_sample
from dnagpt_hf.haplotypes.likelihood import independent_loss
from dnagpt_hf.haplotypes.populations import read_populations
from dnagpt_hf.haplotypes.settings import (
    HaplotypeArguments,
    HaplotypeModelArguments,
    HaplotypeSettings,
    parse_haplotype_settings,
)
from dnagpt_hf.haplotypes.trainer import HaplotypeRows, HaplotypeTrainer
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask
from dnagpt_hf.presets import PRESETS, preset_config, vocabulary_fields, vocabulary_size
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer
from dnagpt_hf.training.resumption import checkpoint_to_resume, run_settings

RESULTS = "results.json"


@dataclass(frozen=True)
class HaplotypeSplits:
    """Haplotypes that share no person between parts, over the same sites.

    Args:
        train: what is learnt.
        validation: what training is stopped by.
        test: what is measured in the end, if there is such a part.
    """

    train: Haplotypes
    validation: Haplotypes
    test: Haplotypes | None = None


def train_haplotypes(
    haplotypes: str | os.PathLike[str] | HaplotypeSettings, **settings: Any
) -> Mapping[str, Any]:
    """Train a model on haplotypes, and write it to `output_dir`.

    A run that was stopped resumes from its last complete checkpoint when it is started again with
    the same settings. Beside the weights stand `results.json` and, if the positions of the sites
    are known, `sites.legend`.

    Args:
        haplotypes: a file of phased haplotypes, or all settings.
        settings: fields of [`HaplotypeArguments`] and [`HaplotypeModelArguments`], such as `model`,
            `from_scratch` and `test`, and of `TrainingArguments`, such as `output_dir`.

    Returns:
        For each split, the number of haplotypes and, for those that are evaluated, the loss per
        site in nats and bits.

    Raises:
        ValueError: settings, haplotypes or a checkpoint are invalid; the message says which.

    Example:

        >>> import contextlib, io, tempfile
        >>> import numpy as np
        >>> from dnagpt_hf.haplotypes.files.formats import write_haplotypes
        >>> folder = Path(tempfile.mkdtemp())
        >>> names = [f"sample{row // 2}_{'AB'[row % 2]}" for row in range(40)]
        >>> alleles = np.random.default_rng(0).integers(0, 2, (40, 30), np.uint8)
        >>> write_haplotypes(Haplotypes(alleles, names), folder / "real.hapt")
        >>> with contextlib.redirect_stdout(io.StringIO()):  # losses during training
        ...     results = train_haplotypes(
        ...         folder / "real.hapt", model="dnagpt-test", from_scratch=True, validation=0.2,
        ...         output_dir=str(folder / "model"), num_train_epochs=1, use_cpu=True)
        >>> results["train"], sorted(results["validation"])[:2]
        ({'haplotypes': 32, 'sites': 30}, ['bits_per_site', 'bits_per_site_of_independent_sites'])
    """
    if isinstance(haplotypes, HaplotypeSettings):
        return _train(haplotypes)
    stated = {"haplotypes": os.fspath(haplotypes), **settings}
    return _train(parse_haplotype_settings(stated=stated))


def _train(settings: HaplotypeSettings) -> Mapping[str, Any]:
    training: Any = settings.training
    parts = read_splits(settings.data)
    format = HaplotypeFormat.of_populations(
        parts.train.num_sites,
        None if parts.train.populations is None else parts.train.populations.tolist(),
    )
    set_seed(training.seed)
    checkpoint = checkpoint_to_resume(settings)
    model, tokenizer = new_model(settings.model, format)
    codec = format.codec(tokenizer)
    check_positions(codec, model.config.max_position_embeddings)
    patience = settings.model.early_stopping
    trainer = HaplotypeTrainer(
        model,
        args=training,
        codec=codec,
        train_dataset=HaplotypeRows(parts.train, codec),
        eval_dataset=HaplotypeRows(parts.validation, codec),
        processing_class=tokenizer,
        run=run_settings(settings),
        callbacks=[] if patience is None else [EarlyStoppingCallback(patience)],
    )
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    results = _results(trainer, parts)
    trainer.save_model()
    if training.should_save:
        trainer.save_state()
        _write_beside(trainer, settings, parts, results)
    trainer.accelerator.wait_for_everyone()
    return results


def read_splits(arguments: HaplotypeArguments) -> HaplotypeSplits:
    """The haplotypes as the settings choose and divide them.

    Sites are chosen by the haplotypes of the one file; those of a test file must hold these sites.

    Raises:
        HaplotypeError: haplotypes cannot be used; the message names file and record.
    """
    haplotypes = _read(arguments, str(arguments.haplotypes))
    if arguments.min_maf:
        haplotypes = haplotypes.with_minor_allele_frequency(arguments.min_maf)
    test = None
    share = parse_share(arguments.test)
    if share is not None:
        haplotypes, test = split_by_sample(haplotypes, share, arguments.split_seed)
    elif arguments.test is not None:
        test = _read(arguments, arguments.test).align_to(haplotypes)
        both = sorted(set(haplotypes.samples) & set(test.samples))
        if both:
            raise ValueError(
                f"{len(both):,} people of {test.source} are in {haplotypes.source} as well, the "
                f"first one {both[0]}: a test part is of other people"
            )
    train, validation = split_by_sample(haplotypes, arguments.validation, arguments.split_seed)
    return HaplotypeSplits(train, validation, test)


def _read(arguments: HaplotypeArguments, path: str) -> Haplotypes:
    rules: Any = {
        name: getattr(arguments, name) for name in ("missing", "unphased", "multiallelic")
    }
    haplotypes = read_haplotypes(
        path,
        legend=arguments.legend,
        region=None if arguments.region is None else Region.parse(arguments.region),
        rules=GenotypeRules(**rules, snps_only=arguments.snps_only),
    )
    if arguments.populations is not None:
        table = read_populations(arguments.populations, arguments.population_column)
        haplotypes = haplotypes.with_populations(table)
    if arguments.only_populations:
        haplotypes = haplotypes.of_populations(arguments.only_populations)
    # populations that a file brings along are asked for only where a table is
    return haplotypes if arguments.populations else replace(haplotypes, populations=None)


def new_model(
    arguments: HaplotypeModelArguments, format: HaplotypeFormat
) -> tuple[DNAGPTForMultiTask, DNAGPTTokenizer]:
    """The model to be trained, with the format of haplotypes in its configuration."""
    if arguments.from_scratch:
        config, tokenizer = _new_sizes(arguments)
    else:
        checkpoint = open_checkpoint(arguments.model)
        config, tokenizer = deepcopy(checkpoint.config), checkpoint.tokenizer
    config.haplotypes, config.task = format.as_dict(), None
    if arguments.from_scratch:
        model = DNAGPTForMultiTask._from_config(config, attn_implementation=arguments.attention)
    else:
        model = checkpoint.load_model(
            DNAGPTForMultiTask, config=config, dtype=torch.float32, attention=arguments.attention
        )
    return model, tokenizer


def _new_sizes(arguments: HaplotypeModelArguments) -> tuple[DNAGPTConfig, DNAGPTTokenizer]:
    """Sizes of a preset or a checkpoint, with what the settings change in them."""
    fields: Any = arguments.config or {}
    if arguments.model in PRESETS:
        config = preset_config(arguments.model, **fields)
    else:
        config = open_checkpoint(arguments.model).config
        is_dynamic = config.number_token_id == vocabulary_size(config.kmer_size, dynamic_kmer=True)
        vocabulary = vocabulary_fields(fields.get("kmer_size", config.kmer_size), is_dynamic)
        config = DNAGPTConfig(**{**config.to_dict(), **vocabulary, **fields})
    tokenizer = DNAGPTTokenizer(
        kmer_size=config.kmer_size,
        dynamic_kmer=config.number_token_id == vocabulary_size(config.kmer_size, dynamic_kmer=True),
        model_max_length=config.max_position_embeddings,
    )
    return config, tokenizer


def _results(trainer: HaplotypeTrainer, parts: HaplotypeSplits) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for name in ("train", "validation", "test"):
        part = getattr(parts, name)
        if part is None:
            continue
        results[name] = {"haplotypes": part.num_haplotypes, "sites": part.num_sites}
        if name != "train":
            results[name] |= trainer.evaluate_ids(HaplotypeRows(part, trainer.codec).ids)
            results[name]["bits_per_site_of_independent_sites"] = independent_loss(
                parts.train.alleles, part.alleles
            )
    return results


def _write_beside(
    trainer: HaplotypeTrainer,
    settings: HaplotypeSettings,
    parts: HaplotypeSplits,
    results: Mapping[str, Any],
) -> None:
    """What stands beside the weights: results, the sites, and a card."""
    training: Any = settings.training
    folder = Path(training.output_dir)
    with new_file(folder / RESULTS, overwrite=True) as partial:
        partial.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if parts.train.sites is not None:
        write_legend(parts.train.sites, folder / LEGEND, overwrite=True)
    config = trainer.accelerator.unwrap_model(trainer.model).config
    write_haplotype_card(settings, config, results)
