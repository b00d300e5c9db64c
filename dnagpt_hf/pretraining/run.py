"""Pre-training from genomes to a checkpoint folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset
from transformers import set_seed

from dnagpt_hf.atomic_files import new_file
from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
from dnagpt_hf.genomes.composition import SpeciesReport, check_genomes, drop_undetermined
from dnagpt_hf.genomes.manifest import SpeciesGenome, load_manifest, manifest_path, open_species
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask
from dnagpt_hf.planning.flops import measured_matmul_rate
from dnagpt_hf.presets import preset_config
from dnagpt_hf.pretraining.card import write_pretraining_card
from dnagpt_hf.pretraining.dataset import (
    PretrainingDataset,
    SpeciesSequences,
    join_rows,
    stack_rows,
)
from dnagpt_hf.pretraining.objectives import IGNORED_TOKEN, Objectives, Record
from dnagpt_hf.pretraining.settings import DataArguments, ModelArguments, PretrainingSettings
from dnagpt_hf.pretraining.trainer import PretrainingTrainer
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer
from dnagpt_hf.training.resumption import checkpoint_to_resume, run_settings
from dnagpt_hf.training.token_loss import choose_token_loss

logger = logging.getLogger(__name__)


def pretrain(settings: PretrainingSettings) -> PretrainingTrainer:
    """Train a model as the settings say, and write it to `output_dir`.

    A run that was stopped goes on from its last complete checkpoint when it is started again with
    the same settings.

    Returns:
        The trainer, after training.

    Raises:
        ValueError: settings, genomes or a checkpoint cannot be used.
    """
    training = settings.training
    set_seed(training.seed)
    checkpoint = checkpoint_to_resume(settings)
    model, tokenizer = new_model(settings.model)
    positions = settings.data.positions or model.config.max_position_embeddings
    if positions > model.config.max_position_embeddings:
        raise ValueError(
            f"rows of {positions:,} positions exceed the model's "
            f"{model.config.max_position_embeddings:,}: give fewer positions"
        )
    with training.main_process_first(desc="reading the genomes"):
        species = open_genomes(settings.data, Path(training.output_dir))
    dataset = training_rows(species, tokenizer, settings.data, positions, training.seed)
    choose_token_loss(model, settings.model.token_loss)
    trainer = PretrainingTrainer(
        model=model,
        args=training,
        train_dataset=dataset,
        eval_dataset=evaluation_rows(
            species,
            tokenizer,
            settings.data,
            positions,
            multiple_of=training.world_size * training.per_device_eval_batch_size,
        ),
        data_collator=row_collator(model),
        processing_class=tokenizer,
        run=run_settings(settings),
        matmul_flops=measured_matmul_rate(training.device, compute_dtype(training)),
    )
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    trainer.save_model()
    trainer.save_state()
    if training.should_save:
        config = trainer.accelerator.unwrap_model(trainer.model).config
        state = trainer.state
        write_pretraining_card(settings, config, state.global_step, state.log_history)
    return trainer


def new_model(arguments: ModelArguments) -> tuple[DNAGPTForMultiTask, DNAGPTTokenizer]:
    """The model to be trained and its tokenizer: a new one, or that of a checkpoint."""
    if arguments.model is not None:
        if arguments.config:
            raise ValueError("config and model exclude each other: a checkpoint has its own sizes")
        checkpoint = open_checkpoint(arguments.model)
        model = checkpoint.load_model(
            DNAGPTForMultiTask, dtype=torch.float32, attention=arguments.attention
        )
        return model, checkpoint.tokenizer
    fields: Any = arguments.config or {}
    config: DNAGPTConfig = preset_config(arguments.preset, **fields)
    tokenizer = DNAGPTTokenizer(
        kmer_size=config.kmer_size,
        dynamic_kmer=config.num_tokens > 35 + 5**config.kmer_size,
        model_max_length=config.max_position_embeddings,
    )
    model = DNAGPTForMultiTask._from_config(config, attn_implementation=arguments.attention)
    return model, tokenizer


def open_genomes(arguments: DataArguments, output_folder: Path) -> list[SpeciesGenome]:
    """Open all genomes of the manifest, and read them once to see that they can be used.

    What was found is kept in `genomes.json` beside the checkpoints.
    """
    cache = None if arguments.cache_folder is None else Path(arguments.cache_folder)
    manifest = load_manifest(manifest_path(str(arguments.genomes)))
    species = open_species(manifest, cache, shortest=arguments.shortest_segment)
    if not arguments.check_genomes:
        return species
    kept = output_folder / "genomes.json"
    identity = [
        [str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns]
        for entry in manifest.species
        for file in manifest.files(entry)
    ]
    settings = [identity, [[len(part) for part in one.training] for one in species]]
    if kept.is_file():
        content = json.loads(kept.read_text(encoding="utf-8"))
        if content["files"] == settings:
            reports = [SpeciesReport(**report) for report in content["species"]]
            return drop_undetermined(species, reports)
    reports = check_genomes(species)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with new_file(kept, overwrite=True) as partial:
        content = {"files": settings, "species": [asdict(report) for report in reports]}
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return drop_undetermined(species, reports)


def training_rows(
    species: list[SpeciesGenome],
    tokenizer: DNAGPTTokenizer,
    arguments: DataArguments,
    positions: int,
    seed: int,
) -> PretrainingDataset:
    """Rows from everything that is not held out."""
    return PretrainingDataset(
        [SpeciesSequences(one.token, one.training, one.weight, one.name) for one in species],
        tokenizer,
        length=arguments.rows_per_epoch,
        seed=seed,
        **_row_arguments(arguments, positions),
    )


def evaluation_rows(
    species: list[SpeciesGenome],
    tokenizer: DNAGPTTokenizer,
    arguments: DataArguments,
    positions: int,
    multiple_of: int = 1,
) -> dict[str, Dataset[Record]] | None:
    """The same rows in every evaluation, from what is held out of each species."""
    rows = {
        one.name: FilledUp(
            PretrainingDataset(
                [SpeciesSequences(one.token, one.held_out, name=one.name)],
                tokenizer,
                length=arguments.eval_rows,
                **_row_arguments(arguments, positions),
            ),
            multiple_of,
        )
        for one in species
        if one.held_out
    }
    return dict(rows) or None


def _row_arguments(arguments: DataArguments, positions: int) -> dict[str, Any]:
    return {
        "positions": positions,
        "objectives": Objectives(
            arguments.next_token,
            arguments.gc_content,
            arguments.sequence_order,
            flip=arguments.flip,  # type: ignore[arg-type]
            flip_probability=arguments.flip_probability,
        ),
        "shortest_segment": arguments.shortest_segment,
        "both_strands": arguments.both_strands,
        "max_n_fraction": arguments.max_n_fraction,
    }


class FilledUp(Dataset[Record]):
    """Rows filled up with rows without a target, so that every process has as many batches.

    `Trainer` would fill up with rows that have been read before, which would count twice.
    """

    def __init__(self, rows: PretrainingDataset, multiple_of: int) -> None:
        self.rows = rows
        self.length = -(-len(rows) // multiple_of) * multiple_of

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Record:
        if index < len(self.rows):
            return self.rows[index]
        row = {name: values.copy() for name, values in self.rows[0].items()}
        row["labels"][:] = IGNORED_TOKEN
        row["number_labels"][:] = float("nan")
        return row


def row_collator(model: DNAGPTForMultiTask) -> Callable[[Sequence[Record]], dict[str, Any]]:
    """How rows become a batch for the model's attention implementation."""
    return join_rows if "flash" in model.config._attn_implementation else stack_rows


def compute_dtype(training: Any) -> torch.dtype:
    """The data type of matrix products in training."""
    if training.bf16:
        return torch.bfloat16
    return torch.float16 if training.fp16 else torch.float32
