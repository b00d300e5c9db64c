"""Checkpoint folders as models on a device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dnagpt_hf.checkpoints.validation import CheckpointFolderError, check_folder

if TYPE_CHECKING:
    import torch

    from dnagpt_hf.modeling_dnagpt import DNAGPTPreTrainedModel
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

Model = TypeVar("Model", bound="DNAGPTPreTrainedModel")


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


def load_model(
    folder: Path, model_type: type[Model], placement: Placement
) -> tuple[Model, DNAGPTTokenizer]:
    """The model of a folder as the class `model_type`, ready for use, and its tokenizer.

    Raises:
        ValueError: the device is missing, or the folder is incomplete or damaged.
    """
    import torch

    from dnagpt_hf.checkpoints.loading import load_pretrained
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

    if placement.threads is not None:
        torch.set_num_threads(placement.threads)
    device = find_device(placement.device)
    quiet_transformers()
    check_folder(folder, model_type.__name__)
    dtype = "auto" if placement.dtype is None else getattr(torch, placement.dtype)
    try:
        model = load_pretrained(folder, model_type, dtype=dtype, local_files_only=True)
        tokenizer = DNAGPTTokenizer.from_pretrained(folder, local_files_only=True)
    except (ImportError, CheckpointFolderError):
        raise
    except Exception as error:  # what a damaged file raises depends on where the damage is
        problem = " ".join(str(error).split())
        raise ValueError(f"{folder} is incomplete or damaged: {problem}") from error
    return model.to(device).eval(), tokenizer


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
