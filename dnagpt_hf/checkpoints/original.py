"""The files of the original DNAGPT: reading them safely, and the names of their weights."""

from __future__ import annotations

import argparse
import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch

from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask
from dnagpt_hf.presets import vocabulary_fields, vocabulary_size

# a k of 8 already means 390,625 k-mers; larger vocabularies are a wrong file, not a model
_LONGEST_KMER = 8
_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
_LAYER = re.compile(r"transformer\.h\.(\d+)\.")
_WRAPPERS = ("module.", "_orig_mod.")
_BLOCK = {
    "ln_1": ["input_layernorm"],
    "attn.c_attn": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    "attn.c_proj": ["self_attn.o_proj"],
    "ln_2": ["post_attention_layernorm"],
    "mlp.c_fc": ["mlp.up_proj"],
    "mlp.c_proj": ["mlp.down_proj"],
}
# the three heads of the original, any of which a fine-tuned file may lack
HEADS = {
    "number_embedding": "model.number_embedding",
    "mlm_head": "token_head",
    "num_regression": "number_head",
}
_HEAD_PARTS = {"0": "in_proj", "2": "norm", "3": "out_proj"}
# the only two whose rows are counted by the vocabulary, and therefore padded
VOCABULARY_WEIGHTS = ("transformer.wte.weight", "mlm_head.3.weight")


class ConversionError(ValueError):
    """A file or folder that cannot be converted; the message says which, why and what to do."""


def names_in_model(num_layers: int) -> dict[str, list[str]]:
    """Map the names of the original, in their order, to those in `DNAGPTForMultiTask`.

    The weight of queries, keys and values is one in the original, with their rows in this order.

    Example:

        >>> names_in_model(12)["transformer.h.3.mlp.c_fc.weight"]
        ['model.layers.3.mlp.up_proj.weight']
    """
    names = {
        "transformer.wte": ["model.embed_tokens"],
        "transformer.wpe": ["model.embed_positions"],
    }
    for layer in range(num_layers):
        for old, new in _BLOCK.items():
            names[f"transformer.h.{layer}.{old}"] = [f"model.layers.{layer}.{one}" for one in new]
    names["transformer.ln_f"] = ["model.norm"]
    for old_head, new_head in HEADS.items():
        for old, part in _HEAD_PARTS.items():
            names[f"{old_head}.{old}"] = [f"{new_head}.{part}"]
    return {f"{old}.weight": [f"{one}.weight" for one in new] for old, new in names.items()}


def original_shapes(config: DNAGPTConfig) -> dict[str, tuple[int, ...]]:
    """List the names of the original, in their order, with the shapes for these sizes."""
    # without storage
    with torch.device("meta"):
        weights = DNAGPTForMultiTask(config).state_dict()
    shapes = {}
    for original, names in names_in_model(config.num_hidden_layers).items():
        rows, *columns = weights[names[0]].shape
        if original in VOCABULARY_WEIGHTS:
            rows = config.number_token_id
        shapes[original] = (rows * len(names), *columns)
    return shapes


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of an original `.pth` file, memory-mapped where its format allows that.

    Nothing but tensors and plain containers is ever unpickled. The file is a state dict or a
    dict that has one under `model`; everything beside it is ignored. A prefix `module.` or
    `_orig_mod.` that all keys share is taken off.

    Raises:
        ConversionError: the file is missing, of another kind, cut off, or holds code.
    """
    content = _load(path)
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content = content["model"]
    if not isinstance(content, Mapping):
        raise ConversionError(
            f"{path} holds a {type(content).__name__}, not a state dict nor a dict that has one "
            "under 'model'"
        )
    for name, tensor in content.items():
        dense = isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided
        if not isinstance(name, str) or not dense or tensor.is_meta:
            raise ConversionError(
                f"{path}: entry {name!r} is a {type(tensor).__name__}, not a dense tensor: "
                "expected a state dict or a dict that has one under 'model'"
            )
    state_dict = dict(content)
    # both wrappers may stand there, in either order
    for wrapper in _WRAPPERS * 2:
        if all(name.startswith(wrapper) for name in state_dict):
            state_dict = {name.removeprefix(wrapper): t for name, t in state_dict.items()}
    return state_dict


def _load(path: Path) -> object:
    if not path.is_file():
        raise ConversionError(f"{path}: no such file")
    with path.open("rb") as stream:
        start = stream.read(16)
    is_archive = start.startswith(b"PK\x03\x04")
    if not start:
        raise ConversionError(f"{path} is empty: download or copy it again")
    if start[8:9] == b"{":
        raise ConversionError(f"{path} is a safetensors file, not an original .pth file")
    if not is_archive and not start.startswith(b"\x80"):
        raise ConversionError(f"{path} is not a file that torch.save wrote: it starts {start!r}")
    try:
        # argparse.Namespace is what training scripts leave beside the weights; it runs no code.
        # the warnings are about pickle protocols and TorchScript, which end in errors below
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_archive)
    except Exception as error:
        # a damaged or hostile pickle can end the unpickler with any exception there is
        raise ConversionError(f"{path} {_reason(error)}") from error


def _reason(error: Exception) -> str:
    text = str(error)
    if found := re.search(r"GLOBAL (\S+) was not an allowed global", text):
        return (
            f"holds the Python object {found[1]}, which was not loaded because it could run code: "
            "a file of weights alone is needed"
        )
    if "TorchScript" in text:
        return "is a TorchScript archive, not a file of weights"
    if isinstance(error, pickle.UnpicklingError):
        return "holds more than tensors and was not loaded: a file of weights alone is needed"
    return "is damaged, cut off or not a file that torch.save wrote: download or copy it again"


def read_sizes(
    state_dict: Mapping[str, torch.Tensor], path: Path, *, dynamic_kmer: bool | None = None
) -> tuple[DNAGPTConfig, list[str]]:
    """Read the sizes of a model from the shapes of its tensors, and check every name and shape.

    Args:
        state_dict: tensors of the file.
        path: the file, for messages.
        dynamic_kmer: look for one kind of vocabulary; by default the dynamic one comes first.

    Returns:
        A configuration of one attention head, as no tensor tells their number, and the names of
        the heads in `HEADS` that the file lacks.

    Raises:
        ConversionError: a key is missing, unexpected or of a shape that does not fit the others,
            or no vocabulary has as many entries.
    """
    for name in state_dict:
        if name.endswith(".bias"):
            raise ConversionError(f"{path}: {name}: DNAGPT has no biases, this is another model")
    vocabulary, width = _matrix(state_dict, "transformer.wte.weight", path)
    positions, _ = _matrix(state_dict, "transformer.wpe.weight", path)
    inner, _ = _matrix(state_dict, "transformer.h.0.mlp.c_fc.weight", path)
    config = DNAGPTConfig(
        **_vocabulary(vocabulary, dynamic_kmer, path),
        hidden_size=width,
        num_hidden_layers=len({found[1] for name in state_dict if (found := _LAYER.match(name))}),
        num_attention_heads=1,
        intermediate_size=inner,
        max_position_embeddings=positions,
    )
    shapes = original_shapes(config)
    lacking = [head for head in HEADS if not any(n.startswith(f"{head}.") for n in state_dict)]
    needed = [name for name in shapes if name.partition(".")[0] not in lacking]
    wrong = {
        "unexpected": [name for name in state_dict if name not in shapes],
        "missing": [name for name in needed if name not in state_dict],
    }
    for problem, names in wrong.items():
        if names:
            others = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ConversionError(f"{path}: {problem} key {names[0]}{others}")
    for name in needed:
        if tuple(state_dict[name].shape) != shapes[name]:
            raise ConversionError(
                f"{path}: {name} has shape {tuple(state_dict[name].shape)}, but the embeddings "
                f"and the first block of the file imply {shapes[name]}"
            )
        if not state_dict[name].is_floating_point():
            raise ConversionError(f"{path}: {name} is {state_dict[name].dtype}, not real numbers")
    return config, lacking


def _vocabulary(entries: int, dynamic_kmer: bool | None, path: Path) -> dict[str, int]:
    """Find the vocabulary by the number of its entries."""
    for dynamic in [True, False] if dynamic_kmer is None else [dynamic_kmer]:
        for k in range(1, _LONGEST_KMER + 1):
            if vocabulary_size(k, dynamic) == entries:
                return vocabulary_fields(k, dynamic)
    kind = {None: "", True: " of the dynamic kind", False: " of the fixed kind"}[dynamic_kmer]
    raise ConversionError(
        f"{path}: transformer.wte.weight has {entries:,} rows, which is no vocabulary{kind}: "
        f"DNAGPT has {vocabulary_size(6, True):,} (dynamic 6-mers) or "
        f"{vocabulary_size(6, False):,} (fixed 6-mers) entries"
    )


def _matrix(state_dict: Mapping[str, torch.Tensor], name: str, path: Path) -> tuple[int, int]:
    if name not in state_dict:
        others = f": it has {', '.join(list(state_dict)[:3])}, …" if state_dict else ""
        raise ConversionError(f"{path}: missing key {name}, so it is no DNAGPT file{others}")
    shape = tuple(state_dict[name].shape)
    if len(shape) != 2 or 0 in shape:
        raise ConversionError(f"{path}: {name} has shape {shape}, expected two sizes above 0")
    return shape[0], shape[1]


def common_dtype(state_dict: Mapping[str, torch.Tensor], path: Path) -> torch.dtype:
    """Find the data type that all tensors share.

    Raises:
        ConversionError: they differ, or are not of a floating type that checkpoints use.
    """
    # with the last weight of each type
    names = {tensor.dtype: name for name, tensor in state_dict.items()}
    if len(names) > 1 or not names.keys() <= set(_DTYPES):
        found = ", ".join(f"{name} is {dtype}" for dtype, name in names.items())
        raise ConversionError(f"{path}: {found}: pass dtype= to have one type")
    return next(iter(names))
