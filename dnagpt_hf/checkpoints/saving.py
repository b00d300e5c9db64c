"""Writing a complete checkpoint folder, whole or not at all."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from dnagpt_hf import (
    configuration_dnagpt,
    generation_dnagpt,
    modeling_dnagpt,
    tokenization_dnagpt,
)
from dnagpt_hf.atomic_files import check_new_folder, new_folder
from dnagpt_hf.checkpoints.card import CARD, render_model_card
from dnagpt_hf.configuration_dnagpt import AUTO_MAP, DNAGPTConfig
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask
from dnagpt_hf.presets import preset_config, tokenizer_of
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

DTYPES = ("float32", "float16", "bfloat16")
CODE = tuple(
    Path(str(module.__file__))
    for module in (configuration_dnagpt, generation_dnagpt, modeling_dnagpt, tokenization_dnagpt)
)


def save_checkpoint(
    model: PreTrainedModel,
    tokenizer: DNAGPTTokenizer,
    destination: str | os.PathLike[str],
    *,
    model_card: str,
    max_shard_size: int | str = "5GB",
    overwrite: bool = False,
) -> Path:
    """Write the folder of a model of any of the three classes, complete with code and card.

    Unlike `model.save_pretrained`, this leaves nothing half-written behind, and writes tokenizer,
    card and the map of all four Auto classes.

    Args:
        model: model to save.
        tokenizer: tokenizer of the model.
        destination: folder to make; it appears only when everything in it is written.
        model_card: content of `README.md`.
        max_shard_size: largest weight file, in bytes or as `"5GB"`.
        overwrite: replace a checkpoint folder that exists.

    Raises:
        DestinationError: `destination` exists, and must not or cannot be replaced.
        ValueError: the model is no DNAGPT model.
    """
    config = model.config
    if not isinstance(config, DNAGPTConfig):
        raise ValueError(f"{type(model).__name__} is no DNAGPT model: use its own save_pretrained")
    # a model loaded from the Hub points there; this folder has its own code
    config.auto_map = dict(AUTO_MAP)
    # DeepSpeed reports on standard output that Transformers imports it here, if it is installed
    with new_folder(destination, overwrite=overwrite) as folder, redirect_stdout(sys.stderr):
        # the code goes along, as the classes are registered for it
        model.save_pretrained(folder, max_shard_size=max_shard_size)
        tokenizer.save_pretrained(folder)
        (folder / CARD).write_text(model_card, encoding="utf-8")
        share_weights(folder)
    return Path(destination)


def init_checkpoint(
    preset: str,
    destination: str | os.PathLike[str],
    *,
    seed: int = 0,
    dtype: str = "float32",
    max_shard_size: int | str = "5GB",
    overwrite: bool = False,
    **config_overrides: Any,
) -> Path:
    """Write a folder with new, untrained weights of the sizes of a preset.

    Args:
        preset: a name of `dnagpt_hf.presets.PRESETS`.
        destination: folder to make.
        seed: the same seed gives the same weights.
        dtype: `"float32"`, `"float16"` or `"bfloat16"`.
        max_shard_size: largest weight file, in bytes or as `"5GB"`.
        overwrite: replace a checkpoint folder that exists.
        config_overrides: fields of `DNAGPTConfig` to set otherwise.

    Raises:
        ValueError: unknown preset or dtype, or `destination` exists.

    Example:

        >>> init_checkpoint("dnagpt-tiny", "new-model", kmer_size=6)  # doctest: +SKIP
    """
    config = preset_config(preset, **config_overrides)
    torch_dtype = parse_dtype(dtype)
    check_new_folder(destination, overwrite=overwrite)
    # the caller's random state stays as it was
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DNAGPTForMultiTask(config)
    card = render_model_card(
        Path(destination).name,
        config,
        origin=f"The sizes are those of the preset `{preset}`. The weights are random numbers "
        f"(seed {seed}): this model has not been trained.",
        released=False,
        training="None yet. `dnagpt_hf.presets` has the recipe that goes with these sizes.",
    )
    return save_checkpoint(
        torch.nn.Module.to(model, torch_dtype),
        tokenizer_of(config),
        destination,
        model_card=card,
        max_shard_size=max_shard_size,
        overwrite=overwrite,
    )


def parse_dtype(dtype: str | torch.dtype) -> torch.dtype:
    """Find a data type of weights by its name.

    Raises:
        ValueError: checkpoints are not kept in this data type.

    Example:

        >>> parse_dtype("float16")
        torch.float16
    """
    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise ValueError(f"unknown dtype {name!r}: choose one of {', '.join(DTYPES)}")
    found: torch.dtype = getattr(torch, name)
    return found


def share_weights(folder: Path) -> None:
    """Give weights the permissions of the files beside them; safetensors makes them private."""
    others = (path for path in folder.iterdir() if path.suffix == ".json")
    mode = next(others).stat().st_mode
    for weights in folder.glob("*.safetensors"):
        weights.chmod(mode)
