"""Training on haplotypes, from phased genomes to a checkpoint that can write new ones."""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import EarlyStoppingCallback, TrainerState, set_seed

from dnagpt_hf.atomic_files import write_json
from dnagpt_hf.checkpoints.card import describe_settings, public_name, steps_taken, write_card
from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
from dnagpt_hf.haplotypes.codec import HaplotypeCodec
from dnagpt_hf.haplotypes.files.formats import read_haplotypes
from dnagpt_hf.haplotypes.files.hapt import write_legend
from dnagpt_hf.haplotypes.format import LEGEND, HaplotypeFormat
from dnagpt_hf.haplotypes.haplotypes import Haplotypes, split_by_sample, split_test
from dnagpt_hf.haplotypes.likelihood import independent_loss
from dnagpt_hf.haplotypes.settings import (
    HaplotypeArguments,
    HaplotypeModelArguments,
    HaplotypeSettings,
    parse_haplotype_settings,
)
from dnagpt_hf.haplotypes.trainer import HaplotypeRows, HaplotypeTrainer
from dnagpt_hf.messages import count, markdown_table
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask
from dnagpt_hf.presets import PRESETS, preset_config, tokenizer_of, vocabulary_fields
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer
from dnagpt_hf.training.checkpoints import sole_run
from dnagpt_hf.training.resumption import (
    check_base_stays,
    checkpoint_to_resume,
    fingerprint,
    run_settings,
)

RESULTS = "results.json"


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
    if not isinstance(haplotypes, HaplotypeSettings):
        stated = {"haplotypes": os.fspath(haplotypes), **settings}
        haplotypes = parse_haplotype_settings(stated=stated)
    with sole_run(haplotypes.training):
        return _train(haplotypes)


def _train(settings: HaplotypeSettings) -> Mapping[str, Any]:
    training: Any = settings.training
    splits = read_splits(settings.data)
    train = splits["train"]
    populations = None if train.populations is None else train.populations.tolist()
    format = HaplotypeFormat.of_populations(train.num_sites, populations)
    set_seed(training.seed)
    base = None if settings.model.from_scratch else open_checkpoint(settings.model.model)
    check_base_stays(training, base)
    run = run_settings(
        settings, {name: _fingerprint(split) for name, split in splits.items()}, base
    )
    checkpoint = checkpoint_to_resume(training, run)
    model, tokenizer = new_model(settings.model, format)
    codec = HaplotypeCodec(tokenizer, format)
    codec.check_positions(model.config.max_position_embeddings)
    patience = settings.model.early_stopping
    trainer = HaplotypeTrainer(
        model,
        args=training,
        codec=codec,
        train_dataset=HaplotypeRows(train, codec),
        eval_dataset=HaplotypeRows(splits["validation"], codec),
        processing_class=tokenizer,
        run=run,
        callbacks=[] if patience is None else [EarlyStoppingCallback(patience)],
    )
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    results = _results(trainer, splits)
    trainer.save_model()
    if training.should_save:
        trainer.save_state()
        folder = Path(training.output_dir)
        write_json(folder / RESULTS, results)
        if train.sites is not None:
            write_legend(train.sites, folder / LEGEND, overwrite=True)
        config = trainer.accelerator.unwrap_model(trainer.model).config
        _write_card(settings, config, trainer.state, results)
    trainer.accelerator.wait_for_everyone()
    return results


def _fingerprint(split: Haplotypes) -> str:
    """Hash alleles, names, populations and positions of a split, wherever its files lie."""
    parts = [split.alleles, split.names]
    parts += [] if split.populations is None else [split.populations]
    parts += [] if split.sites is None else [split.sites.positions]
    size = f"{count(split.num_haplotypes, 'haplotype')} of {count(split.num_sites, 'site')}"
    return fingerprint(size, parts)


def read_splits(arguments: HaplotypeArguments) -> dict[str, Haplotypes]:
    """Read haplotypes and split them by sample.

    The filters choose sites of the training file; a test file must hold these sites.

    Returns:
        The splits `train`, `validation` and, if the settings state one, `test`, over the same sites
        and without a shared sample.

    Raises:
        HaplotypeError: haplotypes are invalid; the message names file and record.
    """

    def read(path: Any, options: HaplotypeArguments) -> Haplotypes:
        only = options.only_populations or ()
        haplotypes = read_haplotypes(path, options, only_populations=only)
        # populations of a .npz file become prompts only if a table is given
        return haplotypes if options.populations else replace(haplotypes, populations=None)

    haplotypes, splits = read(arguments.haplotypes, arguments), dict[str, Haplotypes]()
    if arguments.test is not None:
        of_test = replace(arguments, min_maf=0.0)
        haplotypes, splits["test"] = split_test(
            haplotypes, arguments.test, arguments.split_seed, lambda path: read(path, of_test)
        )
    train, validation = split_by_sample(haplotypes, arguments.validation, arguments.split_seed)
    return {"train": train, "validation": validation, **splits}


def new_model(
    arguments: HaplotypeModelArguments, format: HaplotypeFormat
) -> tuple[DNAGPTForMultiTask, DNAGPTTokenizer]:
    """Load or make the model to train, with the format of haplotypes in its configuration."""
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
    """Change the sizes of a preset or a checkpoint as the settings state."""
    fields: Any = arguments.config or {}
    if arguments.model in PRESETS:
        config = preset_config(arguments.model, **fields)
    else:
        config = open_checkpoint(arguments.model).config
        is_dynamic = config.dynamic_kmer
        vocabulary = vocabulary_fields(fields.get("kmer_size", config.kmer_size), is_dynamic)
        config = DNAGPTConfig(**{**config.to_dict(), **vocabulary, **fields})
    return config, tokenizer_of(config)


def _results(trainer: HaplotypeTrainer, splits: Mapping[str, Haplotypes]) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for name, split in splits.items():
        results[name] = {"haplotypes": split.num_haplotypes, "sites": split.num_sites}
        if name != "train":
            results[name] |= trainer.evaluate_ids(HaplotypeRows(split, trainer.codec).ids)
            results[name]["bits_per_site_of_independent_sites"] = independent_loss(
                splits["train"].alleles, split.alleles
            )
    return results


def _write_card(
    settings: HaplotypeSettings,
    config: DNAGPTConfig,
    state: TrainerState,
    results: Mapping[str, Any],
) -> None:
    training: Any = settings.training
    from_scratch, name = settings.model.from_scratch, public_name(settings.model.model)
    facts = {
        "haplotypes": config.haplotypes,
        "model": name,
        "from scratch": from_scratch,
        **steps_taken(state),
        "learning rate": training.learning_rate,
        "batch size": training.train_batch_size,
        "seed": training.seed,
    }
    columns = list(dict.fromkeys(name for split in results.values() for name in split))
    rows = [[split, *(_cell(one.get(name)) for name in columns)] for split, one in results.items()]
    table = markdown_table(["split", *(name.replace("_", " ") for name in columns)], rows)
    write_card(
        training.output_dir,
        config,
        summary="A DNAGPT model that writes haplotypes of one set of sites.",
        origin="Trained on haplotypes with `dnagpt haplotypes train`, from "
        f"{'new weights of the sizes of ' if from_scratch else ''}`{name}`.",
        training=describe_settings(facts),
        results=f"{table}\n\nNot measured: other populations and other sites.",
        base_model=None if from_scratch else settings.model.model,
    )


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
