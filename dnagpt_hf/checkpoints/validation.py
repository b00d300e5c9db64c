"""The files of a checkpoint folder, read without its weights; damage is one clear error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnagpt_hf.checkpoints.bundled import resolve_checkpoint
from dnagpt_hf.messages import on_one_line

if TYPE_CHECKING:
    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig

MODEL_CLASSES = ("DNAGPTForMultiTask", "DNAGPTForSequenceClassification", "DNAGPTModel")
CONFIG = "config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
ADAPTER = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
# files of these names are pickles, which can run code when they are read
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
# what an interrupted training leaves beside no weights at all
_STATE_OF_TRAINING = {"training_args.bin", "optimizer.pt", "scheduler.pt", "scaler.pt"}


class CheckpointFolderError(ValueError):
    """A checkpoint folder that cannot be loaded; the message names folder, file and value."""


def read_config(folder: Path) -> tuple[DNAGPTConfig, str]:
    """Read the configuration of a folder, and the name of the model's class.

    Raises:
        CheckpointFolderError: the folder is missing, holds no DNAGPT model, or a field of the
            configuration has an unknown value.
    """
    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig

    path = folder / CONFIG
    if not folder.is_dir():
        raise CheckpointFolderError(
            f"{folder}: no such checkpoint folder: make one with convert or init"
        )
    if not any(folder.iterdir()):
        raise CheckpointFolderError(
            f"{folder} is an empty folder: copy the checkpoint there, or make one with convert or "
            "init"
        )
    if not path.is_file() and (folder / ADAPTER).is_file():
        raise CheckpointFolderError(
            f"{folder} holds an adapter without {CONFIG}: copy that of its base there, with the "
            f"{TOKENIZER_CONFIG}, or merge it with PEFT (merge_and_unload) and save the model"
        )
    if not path.is_file():
        raise CheckpointFolderError(
            f"{folder} is no checkpoint folder: it has no {CONFIG}{_pickle_advice(folder)}"
        )
    fields = read_json(path)
    if fields.get("model_type") != "dnagpt":
        raise CheckpointFolderError(
            f"{path}: model_type is {fields.get('model_type')!r}, not 'dnagpt': this package "
            "loads no other model"
        )
    architectures = fields.get("architectures", [])
    if architectures not in [[name] for name in MODEL_CLASSES]:
        raise CheckpointFolderError(
            f"{path}: architectures is {architectures}: expected one of {', '.join(MODEL_CLASSES)}"
        )
    try:
        return DNAGPTConfig.from_dict(fields), architectures[0]
    except Exception as error:  # the type of the error depends on the wrong value
        raise CheckpointFolderError(f"{path}: {on_one_line(error)}") from error


def read_json(path: Path) -> dict[str, Any]:
    """Read a file of fields.

    Raises:
        CheckpointFolderError: it is damaged.
    """
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointFolderError(
            f"{path} is not JSON: {on_one_line(error)}: copy or download it again"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointFolderError(
            f"{path} holds a {type(content).__name__} and not fields with names: copy or download "
            "it again"
        )
    return content


def is_adapter(folder: Path) -> bool:
    """Tell a folder with an adapter and no weights of its own from one with all weights."""
    return (folder / ADAPTER).is_file() and _first_weight_file(folder) is None


def adapter_base(folder: Path) -> str:
    """Find the folder or name of the model under an adapter.

    Raises:
        CheckpointFolderError: the adapter or its base is missing, damaged, or a pickle.
    """
    path = folder / ADAPTER
    base = read_json(path).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise CheckpointFolderError(
            f"{path}: base_model_name_or_path is {base!r}: write the folder of the adapter's base "
            "there"
        )
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise CheckpointFolderError(
            f"{folder} has an adapter without {ADAPTER_WEIGHTS}{_pickle_advice(folder)}"
        )
    _weight_names(folder / ADAPTER_WEIGHTS)
    resolved = resolve_checkpoint(base)
    # a name on the Hub has one slash at most, and none of these signs before it
    is_path = base.startswith(("/", ".", "~")) or base.count("/") > 1 or "\\" in base
    if not Path(resolved).is_dir() and (is_path or "/" not in base):
        raise CheckpointFolderError(
            f"{path}: the base of this adapter, {base!r}, is no folder here: put it there, or "
            "write into base_model_name_or_path where it is"
        )
    return resolved


def check_weight_files(folder: Path) -> list[Path]:
    """List the files of the weights, once their headers have been read.

    Raises:
        CheckpointFolderError: a file is missing, cut off, damaged or a pickle, the index names a
            tensor that its file lacks, or an adapter stands beside the weights.
    """
    first = _first_weight_file(folder)
    if first is None:
        raise CheckpointFolderError(
            f"{folder} has no weights, neither {WEIGHTS} nor {WEIGHTS_INDEX}"
            f"{_pickle_advice(folder)}"
        )
    weight_map = _read_weight_map(first) if first.name == WEIGHTS_INDEX else {}
    files = [folder / name for name in sorted(set(weight_map.values()))] or [first]
    for file in files:
        if not file.is_file():
            raise CheckpointFolderError(
                f"{file} is missing, and {WEIGHTS_INDEX} names it: copy or download the folder "
                "again"
            )
    names = {file.name: _weight_names(file) for file in files}
    for name, place in weight_map.items():
        if name not in names[place]:
            raise CheckpointFolderError(
                f"{folder / place} lacks weight {name}, which {WEIGHTS_INDEX} places there: copy "
                "or download the folder again"
            )
    if (folder / ADAPTER).is_file():
        raise CheckpointFolderError(
            f"{folder} holds all weights and {ADAPTER}, by which Transformers would add an adapter "
            f"to them: remove {ADAPTER} and {ADAPTER_WEIGHTS} if the weights are the model"
        )
    return files


def _first_weight_file(folder: Path) -> Path | None:
    # in the order in which Transformers looks for them
    names = (WEIGHTS, WEIGHTS_INDEX)
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _read_weight_map(path: Path) -> dict[str, str]:
    weight_map = read_json(path).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointFolderError(f"{path} has no weight_map: copy or download the folder again")
    for name, file in weight_map.items():
        is_file_here = isinstance(file, str) and "/" not in file and "\\" not in file
        if not is_file_here or not file.endswith(".safetensors"):
            raise CheckpointFolderError(
                f"{path}: the file of {name} is {file!r}: only .safetensors files of the same "
                "folder are loaded"
            )
    return weight_map


def _weight_names(path: Path) -> set[str]:
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as weights:
            return set(weights.keys())
    except Exception as error:  # the type of the error depends on the place of the damage
        raise CheckpointFolderError(
            f"{path} is cut off or damaged ({on_one_line(error)}): copy or download it again"
        ) from error


def _pickle_advice(folder: Path) -> str:
    """Say what to do about missing weights."""
    pickles = {path.name for pattern in _PICKLES for path in folder.glob(pattern)}
    pickles -= _STATE_OF_TRAINING
    if not pickles:
        return ": copy or download the folder again"
    return (
        f"; {min(pickles)} is a pickle, which could run code and is never loaded: save the model "
        "as safetensors, or turn an original .pth file into a folder with dnagpt convert"
    )
