"""Writing a complete checkpoint folder, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.serialization import split_state_dict_into_shards_factory
from safetensors.torch import save_file
from transformers import GenerationConfig, PreTrainedModel

from dnagpt_hf import configuration_dnagpt, modeling_dnagpt, tokenization_dnagpt
from dnagpt_hf.atomic_files import check_new_folder, new_folder
from dnagpt_hf.checkpoints.card import render_model_card
from dnagpt_hf.checkpoints.validation import WEIGHTS_INDEX
from dnagpt_hf.configuration_dnagpt import AUTO_MAP, DNAGPTConfig
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask
from dnagpt_hf.presets import get_preset, preset_config, preset_tokenizer
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class LazyTensor:
    """A tensor that is read only when its shard is written."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    load: Callable[[], torch.Tensor]

    @property
    def nbytes(self) -> int:
        """Size on disk in bytes."""
        return torch.Size(self.shape).numel() * self.dtype.itemsize


def write_checkpoint(
    destination: str | os.PathLike[str],
    config: DNAGPTConfig,
    tokenizer: DNAGPTTokenizer,
    tensors: Mapping[str, LazyTensor],
    *,
    model_card: str,
    max_shard_size: int | str = "5GB",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write the folder of a `DNAGPTForMultiTask` from tensors, without building the model.

    Args:
        destination: folder to make; it appears only when everything in it is written.
        tensors: every parameter by its name in the model. One shard at a time is in memory.
        model_card: content of `README.md`.
        max_shard_size: largest weight file, in bytes or as `"5GB"`.
        overwrite: replace a checkpoint folder that exists.
        progress: called with (bytes written, bytes in all) after every shard.

    Returns:
        The folder.

    Raises:
        DestinationError: `destination` exists, and must not or cannot be replaced.
    """
    with new_folder(destination, overwrite=overwrite) as folder:
        config.architectures = ["DNAGPTForMultiTask"]
        config.dtype = str(next(iter(tensors.values())).dtype).removeprefix("torch.")
        _write_surroundings(folder, config, tokenizer, model_card)
        GenerationConfig.from_model_config(config).save_pretrained(folder)
        _write_weights(folder, tensors, max_shard_size, progress)
        _share_permissions(folder)
    return Path(destination)


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

    Differs from `model.save_pretrained` in that nothing half-written is left behind, and that
    tokenizer, card and all four Auto classes are there.
    """
    config = model.config
    if not isinstance(config, DNAGPTConfig):
        raise ValueError(f"{type(model).__name__} is no DNAGPT model: use its own save_pretrained")
    with new_folder(destination, overwrite=overwrite) as folder:
        model.save_pretrained(folder, max_shard_size=max_shard_size)
        _write_surroundings(folder, config, tokenizer, model_card)
        _share_permissions(folder)
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
        seed: the same seed gives the same weights.
        dtype: `"float32"`, `"float16"` or `"bfloat16"`.
        config_overrides: fields of `DNAGPTConfig` to set otherwise.

    Raises:
        ValueError: unknown preset or dtype, or `destination` exists.
    """
    get_preset(preset)
    torch_dtype = parse_dtype(dtype)
    config = preset_config(preset, **config_overrides)
    tokenizer = preset_tokenizer(
        preset, kmer_size=config.kmer_size, model_max_length=config.max_position_embeddings
    )
    check_new_folder(destination, overwrite=overwrite)
    # The caller's random state stays as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DNAGPTForMultiTask(config)
    torch.nn.Module.to(model, torch_dtype)
    card = render_model_card(
        Path(destination).name,
        config,
        origin=f"The sizes are those of the preset `{preset}`. The weights are random numbers "
        f"(seed {seed}): this model has not been trained.",
        released=False,
        training="None yet. `dnagpt_hf.presets` has the recipe that goes with these sizes.",
    )
    return save_checkpoint(
        model,
        tokenizer,
        destination,
        model_card=card,
        max_shard_size=max_shard_size,
        overwrite=overwrite,
    )


def parse_dtype(dtype: str | torch.dtype) -> torch.dtype:
    """`torch.float16` from `"float16"`, and so on for the types that checkpoints are kept in."""
    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise ValueError(f"unknown dtype {name!r}: choose one of {', '.join(DTYPES)}")
    return DTYPES[name]


def _write_surroundings(
    folder: Path, config: DNAGPTConfig, tokenizer: DNAGPTTokenizer, model_card: str
) -> None:
    # A model loaded from the Hub points there; this folder has its own code.
    config.auto_map = dict(AUTO_MAP)
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for module in (configuration_dnagpt, modeling_dnagpt, tokenization_dnagpt):
        shutil.copyfile(str(module.__file__), folder / Path(str(module.__file__)).name)
    (folder / "README.md").write_text(model_card, encoding="utf-8")


def _write_weights(
    folder: Path,
    tensors: Mapping[str, LazyTensor],
    max_shard_size: int | str,
    progress: Progress | None,
) -> None:
    plan = split_state_dict_into_shards_factory(
        dict(tensors),
        get_storage_size=lambda tensor: tensor.nbytes,
        filename_pattern="model{suffix}.safetensors",
        max_shard_size=max_shard_size,
    )
    total = sum(tensor.nbytes for tensor in tensors.values())
    written = 0
    for filename, names in plan.filename_to_tensors.items():
        shard = {name: tensors[name].load().contiguous() for name in names}
        save_file(shard, folder / filename, metadata={"format": "pt"})
        written += sum(tensors[name].nbytes for name in names)
        del shard
        if progress is not None:
            progress(written, total)
    if plan.is_sharded:
        index = {"metadata": plan.metadata, "weight_map": plan.tensor_to_filename}
        text = json.dumps(index, indent=2, sort_keys=True) + "\n"
        (folder / WEIGHTS_INDEX).write_text(text, encoding="utf-8")


def _share_permissions(folder: Path) -> None:
    """Give the weights the permissions of the other files; safetensors makes them private."""
    mode = (folder / "config.json").stat().st_mode
    for weights in folder.glob("*.safetensors"):
        weights.chmod(mode)
