"""Pre-training from genomes to a checkpoint folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import set_seed

from dnagpt_hf.atomic_files import write_json
from dnagpt_hf.checkpoints.card import describe_settings, public_name, write_card
from dnagpt_hf.checkpoints.opening import Checkpoint, open_checkpoint
from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
from dnagpt_hf.genomes.composition import SpeciesReport, check_genomes, drop_undetermined
from dnagpt_hf.genomes.contigs import ContigPart, MappedFile
from dnagpt_hf.genomes.manifest import SpeciesGenome, load_manifest, manifest_path, open_species
from dnagpt_hf.messages import count, markdown_table
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask
from dnagpt_hf.planning.hardware import measured_matmul_rate
from dnagpt_hf.presets import preset_config, tokenizer_of
from dnagpt_hf.pretraining.dataset import (
    PaddedSequences,
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
    parse_settings,
)
from dnagpt_hf.pretraining.trainer import PretrainingTrainer
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer
from dnagpt_hf.training.checkpoints import sole_run
from dnagpt_hf.training.resumption import (
    check_base_stays,
    checkpoint_to_resume,
    fingerprint,
    run_settings,
)
from dnagpt_hf.training.settings import stated_settings

# bytes of a genome that stand for all where it is not read
_SAMPLES = 4096


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
        settings = parse_settings(arguments, stated_settings(settings, overrides)[0])
    with sole_run(settings.training):
        return _run(settings)


def _run(settings: PretrainingSettings) -> Pretrained:
    model_arguments, data, training = settings
    folder = Path(str(training.output_dir))
    set_seed(training.seed)
    base = None if model_arguments.model is None else open_checkpoint(model_arguments.model)
    check_base_stays(training, base)
    with training.main_process_first(desc="reading the genomes"):
        species, fingerprints = read_genomes(open_genomes(data), data, folder)
    run = run_settings(settings, fingerprints, base)
    checkpoint = checkpoint_to_resume(training, run)
    model, tokenizer = new_model(model_arguments, base)
    limit = model.config.max_position_embeddings
    context_length = data.positions or limit
    if context_length > limit:
        raise ValueError(
            f"positions is {context_length:,}, more than the model's {limit:,}: give fewer"
        )
    trainer = PretrainingTrainer(
        model=model,
        args=training,
        train_dataset=_packed_sequences(
            [SpeciesSequences(one.token, one.training, one.weight, one.name) for one in species],
            tokenizer,
            data,
            context_length,
            length=data.rows_per_epoch,
            seed=training.seed if training.data_seed is None else training.data_seed,
        ),
        eval_dataset=evaluation_sequences(
            species,
            tokenizer,
            data,
            context_length,
            multiple_of=training.world_size * training.per_device_eval_batch_size,
        ),
        data_collator=sequence_collator(model),
        processing_class=tokenizer,
        run=run,
        matmul_flops=measured_matmul_rate(training.device, _compute_dtype(training)),
        token_loss=model_arguments.token_loss,
    )
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    trainer.save_model()
    trainer.save_state()
    steps = trainer.state.global_step
    figures = {
        name.removeprefix("eval_"): value
        for entry in trainer.state.log_history
        for name, value in entry.items()
        if name.startswith("eval_") and "runtime" not in name and "per_second" not in name
    }
    if training.should_save:
        config = trainer.accelerator.unwrap_model(trainer.model).config
        write_pretraining_card(settings, config, steps, figures)
    return Pretrained(folder, steps, figures, trainer)


def new_model(
    arguments: ModelArguments, base: Checkpoint | None = None
) -> tuple[DNAGPTForMultiTask, DNAGPTTokenizer]:
    """Make the model to be trained and its tokenizer, or load them from a checkpoint.

    Args:
        arguments: preset, sizes and implementation of attention.
        base: the checkpoint to go on from, if there is one.

    Raises:
        ValueError: there is no such preset, or both sizes and checkpoint are given.
    """
    if base is not None:
        if arguments.config:
            raise ValueError("config and model exclude each other: a checkpoint has its own sizes")
        model = base.load_model(
            DNAGPTForMultiTask, dtype=torch.float32, attention=arguments.attention
        )
        return model, base.tokenizer
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
) -> tuple[list[SpeciesGenome], Mapping[str, str]]:
    """Read all genomes once: check them, hash them, and drop the parts that hold nothing but N.

    What is found is kept in `genomes.json` of the output folder, and read instead as long as paths,
    sizes and times of change of the files stay the same.

    Args:
        species: the opened genomes.
        arguments: whether to read them. If not, hashes are of their indexes and a sample of bytes.
        output_folder: folder of `genomes.json`.

    Returns:
        The genomes, and a fingerprint of each by its name.

    Raises:
        ValueError: a genome cannot be used; the message names file and record.
    """
    if not arguments.check_genomes:
        return species, {one.name: _fingerprint(one, samples=_SAMPLES) for one in species}
    kept = output_folder / "genomes.json"
    identity = [
        [str(file.path), file.num_bytes, file.modified] for one in species for file in _files(one)
    ]
    files = [identity, [[len(part) for part in one.training] for one in species]]
    content = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    if content.get("files") != files or "fingerprints" not in content:
        content = {
            "files": files,
            "species": [asdict(report) for report in check_genomes(species)],
            "fingerprints": {one.name: _fingerprint(one) for one in species},
        }
        write_json(kept, content)
    reports = [SpeciesReport(**report) for report in content["species"]]
    return drop_undetermined(species, reports), content["fingerprints"]


def _files(species: SpeciesGenome) -> list[MappedFile]:
    """List the (uncompressed) files of a genome."""
    parts = (*species.training, *species.held_out)
    contigs = (part.contig if isinstance(part, ContigPart) else part for part in parts)
    return list({contig.path: contig.file for contig in contigs}.values())


def _fingerprint(species: SpeciesGenome, samples: int | None = None) -> str:
    """Hash names and lengths of the training parts of a genome, and all or some bytes of files."""
    files = _files(species)
    num_bytes = sum(file.num_bytes for file in files)
    parts = [f"{part.name} {len(part)}".encode() for part in species.training]
    steps = (1 if samples is None else max(1, file.num_bytes // samples) for file in files)
    contents = (
        np.memmap(file.path, np.uint8, "r")[::step] for file, step in zip(files, steps, strict=True)
    )
    return fingerprint(count(num_bytes, "byte"), chain(parts, contents))


def evaluation_sequences(
    species: list[SpeciesGenome],
    tokenizer: DNAGPTTokenizer,
    arguments: DataArguments,
    context_length: int,
    multiple_of: int = 1,
) -> dict[str, Dataset[Record]] | None:
    """Make packed sequences of the held-out contigs, the same ones in every evaluation."""
    datasets: dict[str, Dataset[Record]] = {}
    for one in species:
        if one.held_out:
            held_out = [SpeciesSequences(one.token, one.held_out, name=one.name)]
            packed = _packed_sequences(
                held_out, tokenizer, arguments, context_length, length=arguments.eval_rows
            )
            datasets[one.name] = PaddedSequences(packed, multiple_of)
    return datasets or None


def _packed_sequences(
    species: Sequence[SpeciesSequences],
    tokenizer: DNAGPTTokenizer,
    arguments: DataArguments,
    context_length: int,
    **options: Any,
) -> PretrainingDataset:
    objectives = Objectives(
        arguments.next_token,
        arguments.gc_content,
        arguments.sequence_order,
        flip=arguments.flip,
        flip_probability=arguments.flip_probability,
    )
    return PretrainingDataset(
        species,
        tokenizer,
        context_length=context_length,
        objectives=objectives,
        shortest_segment=arguments.shortest_segment,
        both_strands=arguments.both_strands,
        max_n_fraction=arguments.max_n_fraction,
        **options,
    )


def sequence_collator(model: DNAGPTForMultiTask) -> Callable[[Sequence[Record]], dict[str, Any]]:
    """Choose the function that makes batches for the model's attention implementation."""
    return join_sequences if "flash" in model.config._attn_implementation else stack_sequences


def _compute_dtype(training: Any) -> torch.dtype:
    """Give the data type of matrix products in training."""
    if training.bf16:
        return torch.bfloat16
    return torch.float16 if training.fp16 else torch.float32


def write_pretraining_card(
    settings: PretrainingSettings,
    config: DNAGPTConfig,
    steps: int,
    figures: Mapping[str, float],
) -> None:
    """Write the card of a pre-trained model.

    Args:
        settings: of the run.
        config: of the model.
        steps: steps of the training.
        figures: figures of the last evaluation; empty without one.
    """
    source = settings.model.model
    facts = {
        "preset": settings.model.preset if source is None else None,
        "model": None if source is None else public_name(source),
        "genomes": Path(str(settings.data.genomes)).name,
        "steps": steps,
    }
    table = markdown_table(
        ["figure", "value"], [(name, f"{value:.4f}") for name, value in figures.items()]
    )
    write_card(
        settings.training.output_dir,
        config,
        summary="A DNAGPT model, pre-trained on genomes.",
        origin="Pre-trained with `dnagpt pretrain`.",
        training=describe_settings(facts),
        results=f"On packed sequences of held-out contigs:\n\n{table}\n\n"
        "Not measured: any downstream task, and generated sequences."
        if figures
        else None,
        base_model=source,
    )
