"""Models from folders, of which some hold an adapter in place of all weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import torch

from dnagpt_hf import modeling_dnagpt
from dnagpt_hf.checkpoints.bundled import resolve_checkpoint
from dnagpt_hf.checkpoints.validation import (
    CheckpointFolderError,
    adapter_base,
    is_adapter,
    model_class,
    read_config,
)
from dnagpt_hf.modeling_dnagpt import DNAGPTPreTrainedModel

Model = TypeVar("Model", bound=DNAGPTPreTrainedModel)


def load_pretrained(source: str | Path, model_type: type[Model], **options: Any) -> Model:
    """A model from a folder or from the Hub; an adapter is merged into its base.

    Args:
        source: a folder, the name of a checkpoint of this package, or a name on the Hub.
        model_type: class of the model, which may be another one than that of the adapter.
        options: of `from_pretrained`, such as `dtype` and `config`.

    Raises:
        CheckpointFolderError: an adapter does not fit its base, or its base is not here.
        ImportError: the folder holds an adapter, and peft is not installed.
    """
    source = resolve_checkpoint(source)
    if not is_adapter(source):
        return model_type.from_pretrained(source, **options)
    merged = _merge(Path(source), options)
    if type(merged) is model_type and options.get("config") is None:
        return merged
    options.setdefault("config", merged.config)
    return model_type.from_pretrained(None, state_dict=merged.state_dict(), **options)


def _merge(folder: Path, options: dict[str, Any]) -> Any:
    """The model of an adapter's own class, with the adapter merged into it."""
    try:
        from peft import PeftModel
    except ImportError as error:
        raise ImportError(
            f"{folder} holds an adapter, which needs peft: install it with "
            "pip install 'dnagpt_hf[peft]'"
        ) from error
    own: Any = getattr(modeling_dnagpt, model_class(folder))
    base = adapter_base(folder)
    # the task may have other outputs than the base
    settings = {**options, "config": read_config(folder), "local_files_only": True}
    try:
        # PEFT first fills an adapter with random numbers; those of the caller stay as they were
        with torch.random.fork_rng(devices=[]):
            model = load_pretrained(base, own, **settings)
            return PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    except CheckpointFolderError:
        raise
    except Exception as error:  # what does not fit is found by PEFT, Transformers or PyTorch
        raise CheckpointFolderError(
            f"{folder}: its adapter cannot be merged into its base {base}: "
            f"{' '.join(str(error).split())}"
        ) from error
