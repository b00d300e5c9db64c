"""Checking a checkpoint folder before it is loaded, so that one error says what is wrong where."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnagpt_hf.checkpoints.bundled import resolve_checkpoint

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


def model_class(folder: Path) -> str:
    """The class of the model in a checkpoint folder, without loading it.

    Raises:
        CheckpointFolderError: the folder is missing, or holds no DNAGPT model.
    """
    fields = _read_fields(folder)
    architectures = fields.get("architectures", [])
    if architectures not in [[name] for name in MODEL_CLASSES]:
        raise CheckpointFolderError(
            f"{folder / CONFIG}: architectures is {architectures}: expected one of "
            f"{', '.join(MODEL_CLASSES)}"
        )
    return str(fields["architectures"][0])


def is_adapter(source: str | Path) -> bool:
    """Whether a folder holds an adapter of PEFT beside no weights of its own."""
    folder = Path(source)
    return (folder / ADAPTER).is_file() and _weights_file(folder) is None


def check_source(source: str | Path, loaded_as: str | None = None) -> None:
    """Check what a model is loaded from, if it is a folder; a name on the Hub is left as it is.

    Args:
        source: a folder, the name of a checkpoint of this package, or a name on the Hub.
        loaded_as: class of the model that is to be made of it; by default that of the folder.

    Raises:
        CheckpointFolderError: the folder is incomplete, damaged, or its parts do not fit.
    """
    resolved = Path(resolve_checkpoint(source))
    if resolved.is_dir():
        check_folder(resolved, loaded_as)


def check_folder(
    folder: Path, loaded_as: str | None = None, *, needs_tokenizer: bool = True
) -> None:
    """Check that a checkpoint folder is complete and that its parts fit each other.

    The headers of the weights are read, not the weights.

    Args:
        folder: a checkpoint folder, or one of an adapter, whose base is checked as well.
        loaded_as: class of the model that is to be made of it; by default that of the folder.
        needs_tokenizer: whether a folder without tokenizer is incomplete.

    Raises:
        CheckpointFolderError: the folder is incomplete, damaged, or its parts do not fit.

    Example:

        >>> from dnagpt_hf import bundled
        >>> check_folder(bundled("dnagpt-tiny"))
    """
    config = read_config(folder)
    if needs_tokenizer or (folder / TOKENIZER_CONFIG).is_file():
        _check_tokenizer(folder, config)
    if is_adapter(folder):
        base = adapter_base(folder)
        if Path(base).is_dir():
            check_folder(Path(base))
        return
    shapes = weight_shapes(folder)
    if (folder / ADAPTER).is_file():
        raise CheckpointFolderError(
            f"{folder} holds all weights and {ADAPTER}, by which Transformers would add an adapter "
            f"to them: remove {ADAPTER} and {ADAPTER_WEIGHTS} if the weights are the model"
        )
    # weights in fewer bits have other shapes and names
    if getattr(config, "quantization_config", None) is None:
        _check_shapes(folder, config, shapes, loaded_as)


def read_config(folder: Path) -> DNAGPTConfig:
    """The configuration of a checkpoint folder.

    Raises:
        CheckpointFolderError: it is missing, damaged, of another model, or has an unknown value.
    """
    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig

    model_class(folder)
    try:
        # not from the fields alone, so that it knows where it came from
        return DNAGPTConfig.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # what a wrong value raises depends on what reads it first
        raise CheckpointFolderError(f"{folder / CONFIG}: {_on_one_line(error)}") from error


def adapter_base(folder: Path) -> str:
    """What the model under an adapter is loaded from: a folder that exists, or a name on the Hub.

    Raises:
        CheckpointFolderError: the adapter or its base is missing, damaged, or a pickle.
    """
    path = folder / ADAPTER
    base = _read_json(path).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise CheckpointFolderError(
            f"{path}: base_model_name_or_path is {base!r}: write the folder of the adapter's base "
            "there"
        )
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise CheckpointFolderError(
            f"{folder} has an adapter without {ADAPTER_WEIGHTS}{_pickle_advice(folder)}"
        )
    _shapes_in_file(folder / ADAPTER_WEIGHTS)
    resolved = resolve_checkpoint(base)
    # a name on the Hub has one slash at most, and none of these signs before it
    is_path = base.startswith(("/", ".", "~")) or base.count("/") > 1 or "\\" in base
    if not Path(resolved).is_dir() and (is_path or "/" not in base):
        raise CheckpointFolderError(
            f"{path}: the base of this adapter, {base!r}, is no folder here: put it there, or "
            "write into base_model_name_or_path where it is"
        )
    return resolved


def weight_files(folder: Path) -> list[Path]:
    """The files in which the weights of a checkpoint folder stand.

    Raises:
        CheckpointFolderError: there are none, or one that the index names is missing.
    """
    found = _weights_file(folder)
    if found is None:
        raise CheckpointFolderError(
            f"{folder} has no weights, neither {WEIGHTS} nor {WEIGHTS_INDEX}"
            f"{_pickle_advice(folder)}"
        )
    if found.name == WEIGHTS:
        return [found]
    files = [folder / name for name in sorted(set(_read_weight_map(found).values()))]
    for file in files:
        if not file.is_file():
            raise CheckpointFolderError(
                f"{file} is missing, and {WEIGHTS_INDEX} names it: copy or download the folder "
                "again"
            )
    return files


def weight_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of all weights in a checkpoint folder by their names, from the headers of its files.

    Raises:
        CheckpointFolderError: a file is missing, cut off or damaged, or the index names a tensor
            that its file lacks.
    """
    held = {path.name: _shapes_in_file(path) for path in weight_files(folder)}
    if list(held) != [WEIGHTS]:
        for name, file in _read_weight_map(folder / WEIGHTS_INDEX).items():
            if name not in held[file]:
                raise CheckpointFolderError(
                    f"{folder / file} lacks weight {name}, which {WEIGHTS_INDEX} places there: "
                    "copy or download the folder again"
                )
    return {name: shape for shapes in held.values() for name, shape in shapes.items()}


def _weights_file(folder: Path) -> Path | None:
    # in the order in which Transformers looks for them
    names = (WEIGHTS, WEIGHTS_INDEX)
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _read_fields(folder: Path) -> dict[str, Any]:
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
    fields = _read_json(path)
    if fields.get("model_type") != "dnagpt":
        raise CheckpointFolderError(
            f"{path}: model_type is {fields.get('model_type')!r}, not 'dnagpt': this package "
            "loads no other model"
        )
    return fields


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointFolderError(
            f"{path} is not JSON: {_on_one_line(error)}: copy or download it again"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointFolderError(
            f"{path} holds a {type(content).__name__} and not fields with names: copy or download "
            "it again"
        )
    return content


def _read_weight_map(path: Path) -> dict[str, str]:
    weight_map = _read_json(path).get("weight_map")
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


def _shapes_in_file(path: Path) -> dict[str, tuple[int, ...]]:
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as weights:
            names = weights.keys()
            return {name: tuple(weights.get_slice(name).get_shape()) for name in names}
    except Exception as error:  # what a damaged file raises depends on where the damage is
        raise CheckpointFolderError(
            f"{path} is cut off or damaged ({_on_one_line(error)}): copy or download it again"
        ) from error


def _check_tokenizer(folder: Path, config: DNAGPTConfig) -> None:
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

    path = folder / TOKENIZER_CONFIG
    if not path.is_file():
        raise CheckpointFolderError(
            f"{folder} has no {TOKENIZER_CONFIG}: copy it from where the model came from; its "
            f"kmer_size is {config.kmer_size}"
        )
    _read_json(path)
    try:
        tokenizer = DNAGPTTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # as above
        raise CheckpointFolderError(f"{path}: {_on_one_line(error)}") from error
    own = (tokenizer.kmer_size, tokenizer.number_token_id)
    if own != (config.kmer_size, config.number_token_id):
        kind = "dynamic" if tokenizer.dynamic_kmer else "fixed"
        raise CheckpointFolderError(
            f"{path} is of a {kind} vocabulary of {tokenizer.kmer_size}-mers with the number "
            f"position {tokenizer.number_token_id}, the model of {config.kmer_size}-mers with "
            f"{config.number_token_id}: it belongs to another checkpoint, copy that of this model"
        )


def _check_shapes(
    folder: Path,
    config: DNAGPTConfig,
    found: Mapping[str, tuple[int, ...]],
    loaded_as: str | None,
) -> None:
    own = model_class(folder)
    expected, tied = _expected_shapes(folder, config, own)
    needed = expected if loaded_as is None else _expected_shapes(folder, config, loaded_as)[0]
    # the model without a head is saved without this prefix
    prefix = "" if any(name.startswith("model.") for name in found) else "model."
    shapes = {prefix + name: shape for name, shape in found.items()}
    for name in shapes:
        if name not in expected:
            raise CheckpointFolderError(
                f"{folder} has the unknown weight {name}: the sizes in {CONFIG} are of another "
                f"{own}"
            )
    # in the order of the model, so that its widest sizes are named first
    for name, shape in expected.items():
        if shapes.get(name, shape) != shape:
            raise CheckpointFolderError(
                f"{folder}: weight {name} has shape {shapes[name]}, {CONFIG} says {shape}: the "
                "two belong to different checkpoints"
            )
    lacking = sorted((expected.keys() & needed.keys()) - shapes.keys() - tied)
    if lacking:
        raise CheckpointFolderError(
            f"{folder} lacks weight {lacking[0]}"
            + (f" and {len(lacking) - 1} more" if len(lacking) > 1 else "")
            + f" of the sizes in {CONFIG}: copy or download the folder again"
        )


def _expected_shapes(
    folder: Path, config: DNAGPTConfig, name: str
) -> tuple[dict[str, tuple[int, ...]], set[str]]:
    """Shapes of the weights of a class, and the names of those that others are shared with."""
    import torch

    from dnagpt_hf import modeling_dnagpt

    try:
        # without storage, so that a model of any size is built at once
        with torch.device("meta"):
            model = getattr(modeling_dnagpt, name)(config)
    except Exception as error:  # an unknown activation, for example
        raise CheckpointFolderError(f"{folder / CONFIG}: {_on_one_line(error)}") from error
    prefix = "model." if name == "DNAGPTModel" else ""
    shapes = {prefix + name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    return shapes, set(model.all_tied_weights_keys)


def _pickle_advice(folder: Path) -> str:
    """What to do about weights that are missing."""
    pickles = {path.name for pattern in _PICKLES for path in folder.glob(pattern)}
    pickles -= _STATE_OF_TRAINING
    if not pickles:
        return ": copy or download the folder again"
    return (
        f"; {min(pickles)} is a pickle, which could run code and is never loaded: save the model "
        "as safetensors, or turn an original .pth file into a folder with dnagpt convert"
    )


def _on_one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
