"""The files of a checkpoint folder, read without its weights; damage is one clear error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnagpt_hf.checkpoints.bundled import bundled_names, is_hub_name, resolve_checkpoint
from dnagpt_hf.messages import did_you_mean, on_one_line
from dnagpt_hf.records.files import unique_keys

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


@contextmanager
def reported(problem: str, remedy: str = "") -> Iterator[None]:
    """Raise the errors of a library as one line; their type depends on the place of the damage."""
    try:
        yield
    except ImportError:
        raise
    except Exception as error:
        raise CheckpointFolderError(f"{problem}: {on_one_line(error)}{remedy}") from error


def read_config(folder: Path) -> tuple[DNAGPTConfig, str]:
    """Read the configuration of a folder, and the name of the model's class.

    Raises:
        CheckpointFolderError: the folder is missing, holds no DNAGPT model, or a field of the
            configuration has an unknown value.
    """
    path = folder / CONFIG
    problem = None
    if not folder.is_dir():
        advice = did_you_mean(str(folder), bundled_names()) or ": make one with convert or init"
        problem = f": no such checkpoint folder{advice}"
    elif not any(folder.iterdir()):
        problem = " is an empty folder: copy the checkpoint there, or make one with convert or init"
    elif not path.is_file() and (folder / ADAPTER).is_file():
        problem = (
            f" holds an adapter without {CONFIG}: copy that of its base there, with the "
            f"{TOKENIZER_CONFIG}, or merge it with PEFT (merge_and_unload) and save the model"
        )
    elif not path.is_file():
        problem = f" is no checkpoint folder: it has no {CONFIG}{_pickle_advice(folder)}"
    if problem:
        raise CheckpointFolderError(f"{folder}{problem}")
    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig

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
    with reported(f"{path}"):
        return DNAGPTConfig.from_dict(fields), architectures[0]


def read_json(path: Path) -> dict[str, Any]:
    """Read a file of fields.

    Raises:
        CheckpointFolderError: it is damaged, or has a key twice.
    """
    remedy = ": copy or download it again"
    with reported(f"{path} is not JSON", remedy):
        content: Any = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=unique_keys)
    if not isinstance(content, dict):
        raise CheckpointFolderError(
            f"{path} holds a {type(content).__name__} and not fields with names{remedy}"
        )
    return content


def is_adapter(folder: Path) -> bool:
    """Tell a folder with an adapter and no weights of its own from one with all weights."""
    has_weights = (folder / WEIGHTS).is_file() or (folder / WEIGHTS_INDEX).is_file()
    return (folder / ADAPTER).is_file() and not has_weights


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
    _check_header(folder / ADAPTER_WEIGHTS)
    resolved = resolve_checkpoint(base)
    if not Path(resolved).is_dir() and not is_hub_name(base):
        raise CheckpointFolderError(
            f"{path}: the base of this adapter, {base!r}, is no folder here: put it there, or "
            "write into base_model_name_or_path where it is"
        )
    return resolved


def check_weight_files(folder: Path) -> list[Path]:
    """List the files of the weights, once their headers have been read.

    Raises:
        CheckpointFolderError: a file is missing, cut off, damaged or a pickle, or an adapter
            stands beside the weights.
    """
    # in the order in which Transformers looks for them
    if (folder / WEIGHTS).is_file():
        files = [folder / WEIGHTS]
    elif (folder / WEIGHTS_INDEX).is_file():
        files = _files_of_index(folder / WEIGHTS_INDEX)
    else:
        raise CheckpointFolderError(
            f"{folder} has no weights, neither {WEIGHTS} nor {WEIGHTS_INDEX}"
            f"{_pickle_advice(folder)}"
        )
    for file in files:
        _check_header(file)
    if (folder / ADAPTER).is_file():
        raise CheckpointFolderError(
            f"{folder} holds all weights and {ADAPTER}, by which Transformers would add an adapter "
            f"to them: remove {ADAPTER} and {ADAPTER_WEIGHTS} if the weights are the model"
        )
    return files


def _files_of_index(path: Path) -> list[Path]:
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
    files = [path.with_name(name) for name in sorted(set(weight_map.values()))]
    for file in files:
        if not file.is_file():
            raise CheckpointFolderError(
                f"{file} is missing, and {WEIGHTS_INDEX} names it: copy or download the folder "
                "again"
            )
    return files


def _check_header(path: Path) -> None:
    from safetensors import safe_open

    problem = reported(f"{path} is cut off or damaged", ": copy or download it again")
    with problem, safe_open(path, framework="pt"):
        pass


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
