"""Pre-training from genomes to a checkpoint folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset
from transformers import set_seed

from dnagpt_hf.atomic_files import write_json
from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.configuration_dnagpt import IGNORED_TOKEN
from dnagpt_hf.genomes.composition import SpeciesReport, check_genomes, drop_undetermined
from dnagpt_hf.genomes.contigs import ContigPart, MappedFile
from dnagpt_hf.genomes.manifest import SpeciesGenome, load_manifest, manifest_path, open_species
from dnagpt_hf.messages import count
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask
from dnagpt_hf.planning.hardware import measured_matmul_rate
from dnagpt_hf.presets import preset_config, tokenizer_of
from dnagpt_hf.pretraining.card import write_pretraining_card
from dnagpt_hf.pretraining.dataset import (
    PretrainingDataset,
    SpeciesSequences,
    join_sequences,
    stack_sequences,
)
from dnagpt_hf.pretraining.objectives import Objectives, Record
from dnagpt_hf.pretraining.settings import (
    DataArguments,
    ModelArguments,
    PretrainingSettings,
    read_pretraining_settings,
)
from dnagpt_hf.pretraining.trainer import PretrainingTrainer
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer
from dnagpt_hf.training.checkpoints import sole_run
from dnagpt_hf.training.resumption import checkpoint_to_resume, fingerprint, run_settings
from dnagpt_hf.training.token_loss import choose_token_loss


@dataclass(frozen=True)
class Pretrained:
    """The result of a pre-training.

    Args:
        folder: the checkpoint folder.
        steps: optimizer steps of the run.
        metrics: figures of the last evaluation, such as `yeast_bits_per_base`; empty without one.
        trainer: the trainer after training.
    """

    folder: Path
    steps: int
    metrics: Mapping[str, float]
    trainer: PretrainingTrainer


def pretrain(
    settings: PretrainingSettings | Mapping[str, Any] | str | Path | None = None,
    *,
    arguments: Sequence[str] = (),
    **overrides: Any,
) -> Pretrained:
    """Train a model on genomes, and write it to `output_dir`.

    A run that was stopped goes on from its last complete checkpoint when it is started again with
    the same settings.

    Args:
        settings: path of a YAML file, or names and values of settings.
        arguments: options of a command line, which override all others.
        overrides: further settings, which override those of the file: `max_steps=1000`, and all
            other arguments of `TrainingArguments`.

    Returns:
        Folder, steps and figures.

    Raises:
        ValueError: settings, genomes or a checkpoint cannot be used; the message names the setting,
            or file and record.

    Example:

        >>> import contextlib, io, random, tempfile
        >>> from dnagpt_hf import pretrain
        >>> folder = Path(tempfile.mkdtemp())
        >>> bases = "".join(random.Random(0).choices("ACGT", k=2000))
        >>> _ = (folder / "yeast.fa").write_text(f">chrI\\n{bases}\\n")
        >>> species = "{name: yeast, token: <U>, files: [yeast.fa]}"
        >>> _ = (folder / "genomes.yaml").write_text(f"species: [{species}]\\n")
        >>> with contextlib.redirect_stdout(io.StringIO()):  # the log
        ...     trained = pretrain(
        ...         preset="dnagpt-test",
        ...         genomes=folder / "genomes.yaml",
        ...         output_dir=folder / "model",
        ...         max_steps=2,
        ...         rows_per_epoch=8,
        ...         per_device_train_batch_size=2,
        ...         use_cpu=True,
        ...     )
        >>> trained.steps, (trained.folder / "model.safetensors").is_file()
        (2, True)
    """
    if not isinstance(settings, PretrainingSettings):
        settings = read_pretraining_settings(settings, overrides, arguments)
    with sole_run(settings.training):
        return _run(settings)


def _run(settings: PretrainingSettings) -> Pretrained:
    training = settings.training
    folder = Path(str(training.output_dir))
    set_seed(training.seed)
    with training.main_process_first(desc="opening the genomes"):
        species = open_genomes(settings.data)
    run = run_settings(settings, _fingerprints(species))
    checkpoint = checkpoint_to_resume(training, run)
    model, tokenizer = new_model(settings.model)
    limit = model.config.max_position_embeddings
    context_length = settings.data.positions or limit
    if context_length > limit:
        raise ValueError(
            f"positions is {context_length:,}, more than the model's {limit:,}: give fewer"
        )
    with training.main_process_first(desc="reading the genomes"):
        species = read_genomes(species, settings.data, folder)
    data_seed = training.seed if training.data_seed is None else training.data_seed
    choose_token_loss(model, settings.model.token_loss)
    trainer = PretrainingTrainer(
        model=model,
        args=training,
        train_dataset=training_sequences(
            species, tokenizer, settings.data, context_length, data_seed
        ),
        eval_dataset=evaluation_sequences(
            species,
            tokenizer,
            settings.data,
            context_length,
            multiple_of=training.world_size * training.per_device_eval_batch_size,
        ),
        data_collator=sequence_collator(model),
        processing_class=tokenizer,
        run=run,
        matmul_flops=measured_matmul_rate(training.device, compute_dtype(training)),
    )
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    trainer.save_model()
    trainer.save_state()
    state = trainer.state
    figures = evaluation_figures(state.log_history)
    if training.should_save:
        config = trainer.accelerator.unwrap_model(trainer.model).config
        write_pretraining_card(settings, config, state.global_step, figures)
    return Pretrained(folder, state.global_step, figures, trainer)


def evaluation_figures(history: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Collect the last value of each figure of an evaluation from the log of a trainer."""
    return {
        name.removeprefix("eval_"): value
        for entry in history
        for name, value in entry.items()
        if name.startswith("eval_") and "runtime" not in name and "per_second" not in name
    }


def new_model(arguments: ModelArguments) -> tuple[DNAGPTForMultiTask, DNAGPTTokenizer]:
    """Make the model to be trained and its tokenizer, or load them from a checkpoint.

    Raises:
        ValueError: there is no such preset or checkpoint, or both sizes and checkpoint are given.
    """
    if arguments.model is not None:
        if arguments.config:
            raise ValueError("config and model exclude each other: a checkpoint has its own sizes")
        checkpoint = open_checkpoint(arguments.model)
        model = checkpoint.load_model(
            DNAGPTForMultiTask, dtype=torch.float32, attention=arguments.attention
        )
        return model, checkpoint.tokenizer
    sizes: Any = arguments.config or {}
    config = preset_config(arguments.preset, **sizes)
    model = DNAGPTForMultiTask._from_config(config, attn_implementation=arguments.attention)
    return model, tokenizer_of(config)


def open_genomes(arguments: DataArguments) -> list[SpeciesGenome]:
    """Open all genomes of the manifest.

    Args:
        arguments: manifest and sizes of windows.

    Raises:
        ValueError: a genome cannot be used; the message names file and record.
    """
    cache = None if arguments.cache_folder is None else Path(arguments.cache_folder)
    manifest = load_manifest(manifest_path(str(arguments.genomes)))
    return open_species(manifest, cache, shortest=arguments.shortest_segment)


def read_genomes(
    species: list[SpeciesGenome], arguments: DataArguments, output_folder: Path
) -> list[SpeciesGenome]:
    """Read all genomes once to check them, and drop the parts that hold nothing but N.

    The report is kept in `genomes.json` of the output folder, and read instead when the same files
    are opened again.

    Args:
        species: the opened genomes.
        arguments: whether to check them.
        output_folder: folder of the report.

    Raises:
        ValueError: a genome cannot be used; the message names file and record.
    """
    if not arguments.check_genomes:
        return species
    kept = output_folder / "genomes.json"
    identity = [
        [str(file.path), file.num_bytes, file.modified] for one in species for file in _files(one)
    ]
    files = [identity, [[len(part) for part in one.training] for one in species]]
    if kept.is_file():
        content = json.loads(kept.read_text(encoding="utf-8"))
        if content["files"] == files:
            reports = [SpeciesReport(**report) for report in content["species"]]
            return drop_undetermined(species, reports)
    reports = check_genomes(species)
    write_json(kept, {"files": files, "species": [asdict(report) for report in reports]})
    return drop_undetermined(species, reports)


def _files(species: SpeciesGenome) -> list[MappedFile]:
    """List the (uncompressed) files of a genome."""
    parts = (*species.training, *species.held_out)
    contigs = (part.contig if isinstance(part, ContigPart) else part for part in parts)
    return list({contig.path: contig.file for contig in contigs}.values())


def _fingerprints(species: list[SpeciesGenome]) -> dict[str, str]:
    """Hash the index of each genome: sizes of files, names and lengths of training parts.

    Reading all bases would take minutes before every start.
    """
    return {
        one.name: fingerprint(
            count(sum(file.num_bytes for file in _files(one)), "byte"),
            [f"{part.name} {len(part)}".encode() for part in one.training],
        )
        for one in species
    }


def training_sequences(
    species: list[SpeciesGenome],
    tokenizer: DNAGPTTokenizer,
    arguments: DataArguments,
    context_length: int,
    seed: int,
) -> PretrainingDataset:
    """Make packed sequences of all contigs that are not held out."""
    return PretrainingDataset(
        [SpeciesSequences(one.token, one.training, one.weight, one.name) for one in species],
        tokenizer,
        length=arguments.rows_per_epoch,
        seed=seed,
        **_dataset_arguments(arguments, context_length),
    )


def evaluation_sequences(
    species: list[SpeciesGenome],
    tokenizer: DNAGPTTokenizer,
    arguments: DataArguments,
    context_length: int,
    multiple_of: int = 1,
) -> dict[str, Dataset[Record]] | None:
    """Make packed sequences of the held-out contigs, the same ones in every evaluation."""
    datasets = {
        one.name: PaddedSequences(
            PretrainingDataset(
                [SpeciesSequences(one.token, one.held_out, name=one.name)],
                tokenizer,
                length=arguments.eval_rows,
                **_dataset_arguments(arguments, context_length),
            ),
            multiple_of,
        )
        for one in species
        if one.held_out
    }
    return dict(datasets) or None


def _dataset_arguments(arguments: DataArguments, context_length: int) -> dict[str, Any]:
    return {
        "context_length": context_length,
        "objectives": Objectives(
            arguments.next_token,
            arguments.gc_content,
            arguments.sequence_order,
            flip=arguments.flip,
            flip_probability=arguments.flip_probability,
        ),
        "shortest_segment": arguments.shortest_segment,
        "both_strands": arguments.both_strands,
        "max_n_fraction": arguments.max_n_fraction,
    }


class PaddedSequences(Dataset[Record]):
    """Packed sequences and more without a target, so that every process has as many batches.

    `Trainer` would fill up with sequences that have been read before, which would count twice.
    """

    def __init__(self, sequences: PretrainingDataset, multiple_of: int) -> None:
        self.sequences = sequences
        self.length = -(-len(sequences) // multiple_of) * multiple_of

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Record:
        if index < len(self.sequences):
            return self.sequences[index]
        empty = {name: values.copy() for name, values in self.sequences[0].items()}
        empty["labels"][:] = IGNORED_TOKEN
        empty["number_labels"][:] = float("nan")
        return empty


def sequence_collator(model: DNAGPTForMultiTask) -> Callable[[Sequence[Record]], dict[str, Any]]:
    """Choose the function that makes batches for the model's attention implementation."""
    return join_sequences if "flash" in model.config._attn_implementation else stack_sequences


def compute_dtype(training: Any) -> torch.dtype:
    """Give the data type of matrix products in training."""
    if training.bf16:
        return torch.bfloat16
    return torch.float16 if training.fp16 else torch.float32
