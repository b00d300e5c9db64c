"""`dnagpt convert`, `export`, `init`, `info` and `push`: checkpoint folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from dnagpt_hf.checkpoints.bundled import bundled_names, is_hub_name, resolve_checkpoint
from dnagpt_hf.cli import options
from dnagpt_hf.messages import did_you_mean
from dnagpt_hf.presets import PRESETS, get_preset, preset_config, preset_tokenizer

if TYPE_CHECKING:
    from dnagpt_hf.checkpoints.opening import Checkpoint

NewFolder = Annotated[Path, Argument(metavar="FOLDER", help="The folder to make.")]
ShardSize = Annotated[str, Option("--max-shard-size", metavar="SIZE", help="Largest weight file.")]


def _text(metavar: str, help: str) -> Any:
    return Option(metavar=metavar, help=help)


def _size(help: str, most: int | None = None) -> Any:
    return Option(min=1, max=most, help=help)


def convert(
    source: Annotated[Path, Argument(metavar="SOURCE.pth", help="A file of the original DNAGPT.")],
    folder: NewFolder,
    num_heads: Annotated[
        int | None,
        _size("Attention heads, which no file tells. Needed for sizes of no published model."),
    ] = None,
    preset: Annotated[str | None, _text("NAME", "Published model that the file is.")] = None,
    dtype: options.DTypeOption = None,
    seed: Annotated[int, Option(help="For heads that the file lacks.")] = 0,
    max_shard_size: ShardSize = "5GB",
    overwrite: options.Overwrite = False,
) -> None:
    """Turn an original .pth file into a checkpoint folder."""
    from dnagpt_hf.checkpoints.conversion import convert_checkpoint

    result = convert_checkpoint(
        source,
        folder,
        num_attention_heads=num_heads,
        preset=preset,
        dtype=dtype,
        seed=seed,
        max_shard_size=max_shard_size,
        overwrite=overwrite,
    )
    if result.warning is not None:
        typer.echo(f"dnagpt: warning: {result.warning}", err=True)
    config = result.config
    typer.echo(
        f"{result.folder}: {config.num_hidden_layers} layers, {config.num_attention_heads} heads, "
        f"width {config.hidden_size}, {config.max_position_embeddings:,} positions, "
        f"{config.num_tokens:,} tokens, {config.dtype}"
    )


def export(
    model: options.Model,
    destination: Annotated[Path, Argument(metavar="FILE.pth", help="The file to write.")],
    overwrite: options.Overwrite = False,
) -> None:
    """Write a checkpoint folder as a file of the original DNAGPT."""
    from dnagpt_hf.checkpoints.conversion import export_checkpoint

    typer.echo(f"{export_checkpoint(model, destination, overwrite=overwrite)} written")


def init(
    folder: NewFolder,
    preset: Annotated[
        str, Option(metavar="NAME", help=f"Sizes: {', '.join(PRESETS)}.")
    ] = "dnagpt-tiny",
    seed: Annotated[int, Option(help="The same seed gives the same weights.")] = 0,
    positions: Annotated[int | None, _size("Longest record in tokens.")] = None,
    kmer_size: Annotated[int | None, _size("Bases in a token.", most=8)] = None,
    layers: Annotated[int | None, _size("Layers.")] = None,
    hidden_size: Annotated[int | None, _size("Width.")] = None,
    heads: Annotated[int | None, _size("Attention heads.")] = None,
    dtype: Annotated[options.DType, Option(help="Data type of the weights.")] = "float32",
    max_shard_size: ShardSize = "5GB",
    overwrite: options.Overwrite = False,
) -> None:
    """Make a checkpoint folder with new, untrained weights."""
    from dnagpt_hf.checkpoints.saving import init_checkpoint

    overrides: dict[str, Any] = {
        "kmer_size": kmer_size,
        "max_position_embeddings": positions,
        "num_hidden_layers": layers,
        "hidden_size": hidden_size,
        "num_attention_heads": heads,
    }
    init_checkpoint(
        preset,
        folder,
        seed=seed,
        dtype=dtype,
        max_shard_size=max_shard_size,
        overwrite=overwrite,
        **{name: value for name, value in overrides.items() if value is not None},
    )
    typer.echo(f"{folder}: new weights of the sizes of {preset}")


def info(
    checkpoint: Annotated[str, Argument(metavar="MODEL|PRESET", help="A checkpoint or a preset.")],
    as_json: Annotated[bool, Option("--json", help="Write one JSON object.")] = False,
) -> None:
    """Show sizes, vocabulary, task, training data and metrics of a checkpoint, or a preset."""
    if Path(resolve_checkpoint(checkpoint)).exists():
        facts = _describe_checkpoint(checkpoint)
    elif checkpoint in PRESETS:
        facts = _describe_preset(checkpoint)
    elif is_hub_name(checkpoint):
        facts = _describe_checkpoint(checkpoint)
    else:
        names = [*bundled_names(), *(name for name in PRESETS if name not in bundled_names())]
        raise ValueError(
            f"{checkpoint} is neither a folder, a bundled model nor a preset: these are "
            f"{', '.join(names)}{did_you_mean(checkpoint, names)}"
        )
    if as_json:
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        typer.echo(f"{name.replace('_', ' '):<{width}}  {_readable(value)}".rstrip())


def push(
    model: options.Model,
    name: Annotated[str, Argument(metavar="ORG/NAME", help="Name of the repository on the Hub.")],
    private: Annotated[
        bool, Option("--private", help="A new repository is seen by its owners alone.")
    ] = False,
    revision: Annotated[
        str | None, _text("BRANCH", "Branch, made from main if it does not exist. By default main.")
    ] = None,
    message: Annotated[str | None, _text("TEXT", "Message of the commit.")] = None,
    tag: Annotated[str | None, _text("NAME", "A new name for the commit.")] = None,
    base: Annotated[str | None, _text("ORG/NAME", "Model on the Hub under an adapter.")] = None,
    token: Annotated[
        str | None,
        _text(
            "TOKEN",
            "Of the Hub. By default that of HF_TOKEN or hf auth login, which do not show it in "
            "the list of processes.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Check, and list what would be uploaded.")
    ] = False,
) -> None:
    """Publish a checkpoint on the Hugging Face Hub.

    The files of the checkpoint are checked and uploaded in one commit: weights as safetensors,
    configurations, code, card, and figures of a fine-tuning. Other files of the folder stay where
    they are, and no pickle is uploaded.
    """
    from dnagpt_hf.checkpoints.publishing import check_name, checkpoint_files, push_checkpoint

    if dry_run:
        check_name(name)
        files = checkpoint_files(model, name, base=base)
        sizes = {
            file: len(content) if isinstance(content, bytes) else content.stat().st_size
            for file, content in sorted(files.items())
        }
        for file, size in sizes.items():
            typer.echo(f"{size:>14,}  {file}")
        typer.echo(f"{sum(sizes.values()):>14,}  bytes in all; nothing was uploaded")
        return
    published = push_checkpoint(
        model,
        name,
        base=base,
        private=private,
        revision=revision,
        message=message,
        tag=tag,
        token=token,
    )
    commit = published.commit[:8]
    if not published.changed:
        typer.echo(f"{published.url}: nothing has changed since commit {commit}")
        return
    removed = f"; removed {', '.join(published.removed)}" if published.removed else ""
    typer.echo(f"{published.url}: {len(published.files)} files, commit {commit}{removed}")


def _describe_preset(name: str) -> dict[str, Any]:
    preset = get_preset(name)
    return {
        "preset": name,
        "summary": preset.summary,
        **_sizes("DNAGPTForMultiTask", preset_config(name), preset_tokenizer(name)),
        "released_file": preset.released_file,
        "source": preset.source,
        "notes": list(preset.notes),
    }


def _describe_checkpoint(source: str) -> dict[str, Any]:
    from dnagpt_hf.checkpoints.opening import open_checkpoint
    from dnagpt_hf.inference.prediction_heads import stated_labels

    checkpoint = open_checkpoint(source)
    checkpoint.check()
    config = checkpoint.config
    facts = {
        "folder": str(checkpoint.folder),
        **_sizes(checkpoint.architecture, config, checkpoint.tokenizer),
        "dtype": str(config.dtype).removeprefix("torch."),
    }
    if labels := stated_labels(config):
        facts["labels"] = {str(number): label for number, label in labels.items()}
    if checkpoint.architecture == "DNAGPTForSequenceClassification":
        facts["problem_type"] = config.problem_type
        facts["classifier_pooling"] = config.classifier_pooling
    return facts | _describe_training(checkpoint)


def _describe_training(checkpoint: Checkpoint) -> dict[str, Any]:
    """Tell what a model was trained for, on what, and how good it is."""
    from dnagpt_hf.checkpoints.validation import ADAPTER, read_json
    from dnagpt_hf.finetuning.report import read_data_report
    from dnagpt_hf.haplotypes.format import LEGEND
    from dnagpt_hf.inference.prediction_heads import checkpoint_task

    facts: dict[str, Any] = {}
    folder, config = checkpoint.folder, checkpoint.config
    if checkpoint.base is not None:
        adapter = read_json(folder / ADAPTER)
        facts["adapter"] = f"{adapter.get('peft_type')} of rank {adapter.get('r')}"
        facts["base"] = checkpoint.base.source
    if (task := checkpoint_task(config)) is not None:
        facts["template"] = task.template
        facts["columns"] = list(task.prompt.columns)
        for name, values in (config.task or {}).items():
            if name in ("sequences", "transforms", "positive", "views"):
                facts[name] = values
    if config.haplotypes is not None:
        facts["sites"] = config.haplotypes.get("num_sites")
        facts["positions_of_sites"] = LEGEND if (folder / LEGEND).is_file() else "not known"
        facts["populations"] = config.haplotypes.get("populations") or None
    report = read_data_report(folder)
    for split, content in report.get("parts", {}).items():
        facts[f"{split}_records"] = content["records"]
    if report:
        facts["data"] = report.get("data")
    if (folder / "metrics.json").is_file():
        content = read_json(folder / "metrics.json")
        facts["metrics"] = {
            name: round(value, 4) for name, value in content.get("metrics", {}).items()
        }
    return facts


def _sizes(architecture: str, config: Any, tokenizer: Any) -> dict[str, Any]:
    from dnagpt_hf.checkpoints.card import count_parameters

    return {
        "model": architecture,
        "parameters": count_parameters(config, architecture),
        "layers": config.num_hidden_layers,
        "heads": config.num_attention_heads,
        "hidden_size": config.hidden_size,
        "positions": config.max_position_embeddings,
        "longest_sequence_bp": config.max_position_embeddings * config.kmer_size,
        "vocabulary": "dynamic" if tokenizer.dynamic_kmer else "fixed",
        "kmer_size": config.kmer_size,
        "tokens": config.num_tokens,
        "embedding_rows": config.vocab_size,
    }


def _readable(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_readable(entry)}" for name, entry in value.items())
    if isinstance(value, list):
        return " ".join(map(_readable, value))
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
