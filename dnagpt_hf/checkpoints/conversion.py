"""Between the original `.pth` files and checkpoint folders, in both directions."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from dnagpt_hf.atomic_files import check_new_file, check_new_folder, new_file
from dnagpt_hf.checkpoints.card import render_model_card
from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.checkpoints.original import (
    HEADS,
    VOCABULARY_WEIGHTS,
    ConversionError,
    common_dtype,
    names_in_model,
    read_sizes,
    read_state_dict,
)
from dnagpt_hf.checkpoints.saving import parse_dtype, save_checkpoint
from dnagpt_hf.checkpoints.validation import CheckpointFolderError, check_weight_files
from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask
from dnagpt_hf.presets import get_preset, presets_of_sizes, tokenizer_of

logger = logging.getLogger(__name__)

# (layers, width) → attention heads, which no tensor of a file tells
_KNOWN_HEADS = {(12, 768): 12, (60, 2048): 64}


@dataclass(frozen=True)
class ConversionResult:
    """A converted file.

    Args:
        folder: the checkpoint folder.
        config: its configuration.
        new_heads: heads of the original that the file lacks, which now hold random numbers.
        warning: one sentence on those heads, or `None`.
    """

    folder: Path
    config: DNAGPTConfig
    new_heads: tuple[str, ...]
    warning: str | None


def convert_checkpoint(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    num_attention_heads: int | None = None,
    dynamic_kmer: bool | None = None,
    preset: str | None = None,
    dtype: str | torch.dtype | None = None,
    seed: int = 0,
    max_shard_size: int | str = "5GB",
    overwrite: bool = False,
) -> ConversionResult:
    """Turn an original `.pth` file into a checkpoint folder of `DNAGPTForMultiTask`.

    Sizes, vocabulary and positions come from the tensors, never from the name of the file. The
    file is memory-mapped and written shard by shard; queries, keys and values of all layers are
    copied, about a quarter of the file, and all weights where the data type changes.

    Args:
        source: the file.
        destination: the folder to make.
        num_attention_heads: needed where width and depth are not those of a published model.
        dynamic_kmer: insist on one kind of vocabulary; by default the number of entries decides.
        preset: name of the preset that the model card describes; by default none is claimed,
            because a fine-tuned file has the same sizes as the model that it was made from.
        dtype: data type of the weights; by default that of the file.
        seed: for the weights of heads that the file lacks.
        max_shard_size: largest weight file, in bytes or as `"5GB"`.
        overwrite: replace a checkpoint folder that exists.

    Raises:
        ConversionError: the file is no original DNAGPT file; the message names the key.
        DestinationError: `destination` exists.
        ValueError: unknown `dtype` or `preset`.

    Example:

        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> original = export_checkpoint("dnagpt-tiny", folder / "original.pth")
        >>> result = convert_checkpoint(original, folder / "again", num_attention_heads=4)
        >>> result.config.hidden_size
        128
    """
    path = Path(source)
    if Path(destination).resolve() in path.resolve().parents:
        raise ConversionError(f"{path} lies in the folder that would be replaced, {destination}")
    check_new_folder(destination, overwrite=overwrite)
    stated_dtype = None if dtype is None else parse_dtype(dtype)
    if preset is not None:
        get_preset(preset)
    state_dict = read_state_dict(path)
    config, lacking = read_sizes(state_dict, path, dynamic_kmer=dynamic_kmer)
    config.num_attention_heads = _attention_heads(config, num_attention_heads, path)
    fitting = presets_of_sizes(config)
    if preset is not None and preset not in fitting:
        others = f"it fits {', '.join(fitting)}" if fitting else "it fits none, leave preset out"
        raise ConversionError(f"{path}: its sizes are not those of {preset}: {others}")
    origin = f"Converted from `{path.name}`, a file in the layout of the original DNAGPT."
    warning = None
    if lacking:
        warning = (
            f"{path.name} lacks {' and '.join(lacking)}: the weights of "
            f"{' and '.join(HEADS[head] for head in lacking)} are random numbers (seed {seed}) and "
            "must be trained before use"
        )
        logger.warning(warning)
        origin += f" {warning[0].upper()}{warning[1:]}."
    if preset is None and fitting:
        origin += (
            f" Width, depth and vocabulary are those of {' and '.join(fitting)}; a model "
            "fine-tuned from one of these has the same sizes, so the file alone does not tell "
            "which it is."
        )
    folder = save_checkpoint(
        _model(state_dict, config, stated_dtype or common_dtype(state_dict, path), lacking, seed),
        tokenizer_of(config),
        destination,
        model_card=render_model_card(
            Path(destination).name, config, preset=preset, origin=origin, released=True
        ),
        max_shard_size=max_shard_size,
        overwrite=overwrite,
    )
    return ConversionResult(folder, config, tuple(lacking), warning)


def _attention_heads(config: DNAGPTConfig, stated: int | None, path: Path) -> int:
    layers, width = config.num_hidden_layers, config.hidden_size
    heads = _KNOWN_HEADS.get((layers, width)) if stated is None else stated
    if heads is None:
        raise ConversionError(
            f"{path}: {layers} layers of width {width} are no published model, and the number of "
            "attention heads is not in the file: give it with num_attention_heads= (--num-heads)"
        )
    if heads < 1 or width % heads:
        raise ConversionError(
            f"{path}: {heads} attention heads do not divide the width {width}: give another "
            "number with num_attention_heads= (--num-heads)"
        )
    return heads


def _model(
    state_dict: Mapping[str, torch.Tensor],
    config: DNAGPTConfig,
    dtype: torch.dtype,
    lacking: list[str],
    seed: int,
) -> DNAGPTForMultiTask:
    """Make a model whose weights are views of the original tensors, and new where heads lack."""
    with torch.device("meta"):
        model = DNAGPTForMultiTask(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for head in lacking:
            model.get_submodule(HEADS[head]).to_empty(device="cpu").apply(model._init_weights)
    weights = model.state_dict()
    for original, names in names_in_model(config.num_hidden_layers).items():
        if original in state_dict:
            weights |= zip(names, state_dict[original].chunk(len(names)), strict=True)
        if original in VOCABULARY_WEIGHTS:
            # rows of zeros pad the vocabulary
            rows = weights[names[0]][: config.number_token_id]
            padding = (0, 0, 0, config.vocab_size - len(rows))
            weights[names[0]] = torch.nn.functional.pad(rows, padding)
    model.load_state_dict({name: one.to(dtype) for name, one in weights.items()}, assign=True)
    return model


def export_checkpoint(
    folder: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    overwrite: bool = False,
) -> Path:
    """Write the weights of a `DNAGPTForMultiTask` folder as a `.pth` file of the original layout.

    Every tensor equals that of the file which was converted, in the order of the original. The
    rows that pad the vocabulary are left out. The queries, keys and values of all layers are
    joined in memory, about a quarter of the file; the rest is memory-mapped.

    Args:
        folder: checkpoint folder, or the name of a bundled model.
        destination: the file to write, a state dict.
        overwrite: replace a file that exists.

    Raises:
        ConversionError: the folder holds another kind of model, or lacks a weight.
        DestinationError: `destination` exists and `overwrite` is not given.

    Example:

        >>> import tempfile
        >>> export_checkpoint("dnagpt-tiny", Path(tempfile.mkdtemp()) / "tiny.pth").name
        'tiny.pth'
    """
    check_new_file(destination, overwrite=overwrite)
    try:
        checkpoint = open_checkpoint(os.fspath(folder))
        checkpoint.check()
    except CheckpointFolderError as error:
        raise ConversionError(f"{error}; nothing was exported") from error
    if checkpoint.base is not None or checkpoint.architecture != "DNAGPTForMultiTask":
        held = "an adapter" if checkpoint.base else checkpoint.architecture
        raise ConversionError(
            f"{checkpoint.folder} holds {held}, and the original layout has only "
            "DNAGPTForMultiTask: export the folder that it was made from"
        )
    config = checkpoint.config
    tensors: dict[str, torch.Tensor] = {}
    for path in check_weight_files(checkpoint.folder):
        # memory-mapped
        tensors |= load_file(path)
    if config.tie_word_embeddings:
        tensors.setdefault("token_head.out_proj.weight", tensors["model.embed_tokens.weight"])
    state_dict: dict[str, torch.Tensor] = {}
    for original, names in names_in_model(config.num_hidden_layers).items():
        parts = [tensors[name] for name in names]
        tensor = torch.cat(parts) if len(parts) > 1 else parts[0]
        if original in VOCABULARY_WEIGHTS:
            # a slice would be saved together with the rows that it leaves out
            tensor = tensor[: config.number_token_id].clone()
        state_dict[original] = tensor
    with new_file(destination, overwrite=overwrite) as partial_file:
        torch.save(state_dict, partial_file)
    return Path(destination)
