"""`dnagpt convert`, `export`, `init` and `info`: checkpoint folders and the original files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.cli import options
from dnagpt_hf.cli.loading import quiet_transformers
from dnagpt_hf.cli.progress import progress_bar
from dnagpt_hf.presets import PRESETS, get_preset, preset_tokenizer

NewFolder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to make.")]
ShardSize = Annotated[
    str, typer.Option("--max-shard-size", metavar="SIZE", help="Largest weight file.")
]


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE.pth", help="A file of the original DNAGPT.")
    ],
    folder: NewFolder,
    num_heads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Attention heads, which the file does not tell. Needed for sizes that are not "
            "those of a published model.",
            show_default=False,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Published model that the file is, if it is.", show_default=False
        ),
    ] = None,
    dtype: Annotated[
        options.DType | None,
        typer.Option(help="Data type of the weights. By default as stored.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="For heads that the file lacks.")] = 0,
    max_shard_size: ShardSize = "5GB",
    overwrite: options.Overwrite = False,
) -> None:
    """Turn an original .pth file into a checkpoint folder."""
    from dnagpt_hf.checkpoints.conversion import convert_checkpoint

    with progress_bar("converting", None) as report:
        result = convert_checkpoint(
            source,
            folder,
            num_attention_heads=num_heads,
            preset=preset,
            dtype=dtype,
            seed=seed,
            max_shard_size=max_shard_size,
            overwrite=overwrite,
            progress=report,
        )
    if result.warning is not None:
        typer.echo(f"dnagpt: warning: {result.warning}", err=True)
    typer.echo(f"{result.folder}: {_sizes(result.config)}, {str(result.dtype)[6:]}")


def export(
    folder: options.Folder,
    destination: Annotated[Path, typer.Argument(metavar="FILE.pth", help="The file to write.")],
    overwrite: options.Overwrite = False,
) -> None:
    """Write a checkpoint folder as a file of the original DNAGPT."""
    from dnagpt_hf.checkpoints.conversion import export_checkpoint

    quiet_transformers()
    typer.echo(f"{export_checkpoint(folder, destination, overwrite=overwrite)} written")


def init(
    folder: NewFolder,
    preset: Annotated[
        str, typer.Option(metavar="NAME", help=f"Sizes: {', '.join(PRESETS)}.")
    ] = "dnagpt-tiny",
    seed: Annotated[int, typer.Option(help="The same seed gives the same weights.")] = 0,
    positions: Annotated[
        int | None,
        typer.Option(min=1, help="Longest record in tokens.", show_default=False),
    ] = None,
    kmer_size: Annotated[
        int | None,
        typer.Option(min=1, max=8, help="Bases in a token.", show_default=False),
    ] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Layers.", show_default=False)] = None,
    hidden_size: Annotated[
        int | None, typer.Option(min=1, help="Width.", show_default=False)
    ] = None,
    heads: Annotated[
        int | None, typer.Option(min=1, help="Attention heads.", show_default=False)
    ] = None,
    dtype: Annotated[options.DType, typer.Option(help="Data type of the weights.")] = "float32",
    max_shard_size: ShardSize = "5GB",
    overwrite: options.Overwrite = False,
) -> None:
    """Make a checkpoint folder with new, untrained weights."""
    overrides: dict[str, Any] = {
        "kmer_size": kmer_size,
        "max_position_embeddings": positions,
        "num_hidden_layers": layers,
        "hidden_size": hidden_size,
        "num_attention_heads": heads,
    }
    overrides = {name: value for name, value in overrides.items() if value is not None}
    from dnagpt_hf.checkpoints.saving import init_checkpoint

    quiet_transformers()
    init_checkpoint(
        preset,
        folder,
        seed=seed,
        dtype=dtype,
        max_shard_size=max_shard_size,
        overwrite=overwrite,
        **overrides,
    )
    typer.echo(f"{folder}: new weights of the sizes of {preset}")


def info(
    checkpoint: Annotated[
        str, typer.Argument(metavar="FOLDER|PRESET", help="A checkpoint folder or a preset.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object.")] = False,
) -> None:
    """Show sizes, vocabulary and labels of a checkpoint or a preset."""
    facts = describe(checkpoint)
    if as_json:
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        typer.echo(f"{name.replace('_', ' '):<{width}}  {_readable(value)}")


def describe(checkpoint: str) -> dict[str, Any]:
    """What `dnagpt info` shows of a folder or, where there is none, of a preset."""
    if not Path(checkpoint).exists() and checkpoint in PRESETS:
        return _describe_preset(checkpoint)
    if not Path(checkpoint).exists():
        raise ValueError(
            f"{checkpoint} is neither a folder nor a preset: the presets are {', '.join(PRESETS)}"
        )
    return _describe_folder(Path(checkpoint))


def _describe_preset(name: str) -> dict[str, Any]:
    from dnagpt_hf.presets import preset_config

    preset = get_preset(name)
    facts = _facts("DNAGPTForMultiTask", preset_config(name), preset_tokenizer(name))
    return {
        "preset": name,
        "summary": preset.summary,
        **facts,
        "released_file": preset.released_file,
        "source": preset.source,
        "notes": list(preset.notes),
    }


def _describe_folder(folder: Path) -> dict[str, Any]:
    from dnagpt_hf.inference.prediction_heads import stated_labels

    quiet_transformers()
    checkpoint = open_checkpoint(folder)
    checkpoint.check()
    name, config = checkpoint.architecture, checkpoint.config
    facts = {
        "folder": str(folder),
        **_facts(name, config, checkpoint.tokenizer),
        "dtype": str(config.dtype).removeprefix("torch."),
    }
    if labels := stated_labels(config):
        facts["labels"] = {str(number): label for number, label in labels.items()}
    if name == "DNAGPTForSequenceClassification":
        facts["problem_type"] = config.problem_type
        facts["classifier_pooling"] = config.classifier_pooling
    return facts


def _facts(name: str, config: Any, tokenizer: Any) -> dict[str, Any]:
    import torch

    from dnagpt_hf import modeling_dnagpt

    # without storage, so that a model of any size is counted at once
    with torch.device("meta"):
        model = getattr(modeling_dnagpt, name)(config)
    return {
        "model": name,
        "parameters": model.num_parameters(),
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
        return ", ".join(f"{name}: {entry}" for name, entry in value.items())
    if isinstance(value, list):
        return " ".join(value)
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _sizes(config: Any) -> str:
    return (
        f"{config.num_hidden_layers} layers, {config.num_attention_heads} heads, width "
        f"{config.hidden_size}, {config.max_position_embeddings:,} positions, "
        f"{config.num_tokens:,} tokens"
    )
