"""Checkpoint folders as models on a device."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch

    from dnagpt_hf.modeling_dnagpt import DNAGPTPreTrainedModel
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

Model = TypeVar("Model", bound="DNAGPTPreTrainedModel")
ADAPTER = "adapter_config.json"
MODEL_CLASSES = ("DNAGPTForMultiTask", "DNAGPTForSequenceClassification", "DNAGPTModel")


@dataclass(frozen=True)
class Placement:
    """Where and how a model is computed.

    Args:
        device: `auto`, `cpu`, or the name of another device of PyTorch.
        dtype: data type of the weights; by default as stored.
        threads: processor threads; by default as PyTorch chooses.
    """

    device: str = "auto"
    dtype: str | None = None
    threads: int | None = None


def model_class(folder: Path) -> str:
    """The class of the model in a checkpoint folder, without loading it.

    Raises:
        ValueError: the folder is missing, or holds no DNAGPT model.
    """
    path = folder / "config.json"
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such checkpoint folder: make one with convert or init")
    if not path.is_file():
        raise ValueError(f"{folder} is no checkpoint folder: it has no config.json")
    try:
        fields: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(fields, dict) or fields.get("model_type") != "dnagpt":
        kind = fields.get("model_type") if isinstance(fields, dict) else fields
        raise ValueError(f"{folder} holds a model of type {kind!r}, not 'dnagpt'")
    architectures = fields.get("architectures") or []
    if len(architectures) != 1 or architectures[0] not in MODEL_CLASSES:
        raise ValueError(
            f"{path}: architectures is {architectures}: expected one of {', '.join(MODEL_CLASSES)}"
        )
    return str(architectures[0])


def load_model(
    folder: Path, model_type: type[Model], placement: Placement
) -> tuple[Model, DNAGPTTokenizer]:
    """The model of a folder as the class `model_type`, ready for use, and its tokenizer.

    Raises:
        ValueError: the device is missing, or the folder is incomplete or damaged.
    """
    import torch

    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

    if placement.threads is not None:
        torch.set_num_threads(placement.threads)
    device = find_device(placement.device)
    quiet_transformers()
    dtype = "auto" if placement.dtype is None else getattr(torch, placement.dtype)
    try:
        loaded: Any = (
            load_adapter(folder, model_type, dtype)
            if (folder / ADAPTER).is_file()
            else model_type.from_pretrained(
                folder, dtype=dtype, local_files_only=True, output_loading_info=True
            )
        )
        tokenizer = DNAGPTTokenizer.from_pretrained(folder, local_files_only=True)
    except ImportError:
        raise
    except Exception as error:  # what a damaged file raises depends on where the damage is
        problem = " ".join(str(error).split())
        raise ValueError(f"{folder} is incomplete or damaged: {problem}") from error
    model, loading = loaded
    if loading["missing_keys"]:
        raise ValueError(
            f"{folder} is incomplete: it has no weights {min(loading['missing_keys'])}"
        )
    if tokenizer.number_token_id != model.config.number_token_id:
        raise ValueError(
            f"{folder}: its tokenizer has the number position {tokenizer.number_token_id}, its "
            f"model {model.config.number_token_id}: tokenizer_config.json is missing or belongs "
            "to another checkpoint"
        )
    return model.to(device).eval(), tokenizer


def load_adapter(folder: Path, model_type: type[Model], dtype: Any) -> tuple[Model, dict[str, Any]]:
    """The model of an adapter's base with the adapter merged into it, and what was missing.

    Args:
        folder: adapter and configuration, as fine-tuning writes them.
        model_type: class of the model.
        dtype: data type of the weights.

    Raises:
        ImportError: peft is not installed.
    """
    from dnagpt_hf.bundled_checkpoints import resolve_checkpoint
    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig

    try:
        from peft import PeftModel
    except ImportError as error:
        raise ImportError(
            f"{folder} holds an adapter, which needs peft: install it with "
            "pip install 'dnagpt_hf[peft]'"
        ) from error
    base = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))["base_model_name_or_path"]
    model = model_type.from_pretrained(
        resolve_checkpoint(base),
        config=DNAGPTConfig.from_pretrained(folder),
        dtype=dtype,
        local_files_only=True,
    )
    merged: Any = PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    return merged, {"missing_keys": []}


def quiet_transformers() -> None:
    """Keep what Transformers reports away from the user, who did not ask it."""
    from transformers import logging

    # for example that weights of heads were not needed
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def find_device(name: str) -> torch.device:
    """The device of a name; `auto` is the first CUDA device, if there is one.

    Raises:
        ValueError: there is no such device.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"unknown device {name!r}: choose auto, cpu or cuda") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device {name!r} does not exist here: PyTorch sees {torch.cuda.device_count()} CUDA "
            "devices"
        )
    return device
