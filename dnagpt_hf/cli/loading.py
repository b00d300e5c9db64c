"""Checkpoints as models on a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnagpt_hf.checkpoints.opening import Checkpoint
    from dnagpt_hf.loaded_model import LoadedModel
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer


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
    checkpoint: Checkpoint, placement: Placement, model_class: type[Any] | None = None
) -> tuple[Any, DNAGPTTokenizer]:
    """Load the model of a checkpoint, ready for use, and its tokenizer.

    Args:
        checkpoint: the opened checkpoint.
        placement: device, data type and threads.
        model_class: class of the model; by default the checkpoint's own.

    Raises:
        ValueError: the device is missing, or the folder is incomplete or damaged.
    """
    import torch

    if placement.threads is not None:
        torch.set_num_threads(placement.threads)
    quiet_transformers()
    tokenizer = checkpoint.tokenizer
    model = checkpoint.load_model(model_class, device=placement.device, dtype=placement.dtype)
    return model, tokenizer


def load(
    source: str,
    device: str,
    dtype: str | None,
    threads: int | None,
    remainder: Any = None,
    model_class: type[Any] | None = None,
) -> LoadedModel:
    """Load a model as a command asks for it.

    Arguments are those of [`~dnagpt_hf.load`], and `threads` the processor threads; by default as
    PyTorch chooses.
    """
    from dnagpt_hf import loaded_model

    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    quiet_transformers()
    return loaded_model.load(
        source, model_class=model_class, device=device, dtype=dtype, remainder=remainder
    )


def quiet_transformers() -> None:
    """Keep what Transformers reports away from the user, who did not ask it."""
    from transformers import logging

    # for example that weights of heads were not needed
    logging.set_verbosity_error()
    logging.disable_progress_bar()
