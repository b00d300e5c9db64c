"""The files of the original DNAGPT: reading them safely, their names and their sizes."""

from __future__ import annotations

import argparse
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from dnagpt_hf.presets import vocabulary_size

# A k of 8 already means 390,625 k-mers; larger vocabularies are a wrong file, not a model.
_LONGEST_KMER = 8
_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
_LAYER = re.compile(r"transformer\.h\.(\d+)\.")
_WRAPPERS = ("module.", "_orig_mod.")

_BLOCK = {
    "ln_1": ("input_layernorm",),
    "attn.c_attn": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attn.c_proj": ("self_attn.o_proj",),
    "ln_2": ("post_attention_layernorm",),
    "mlp.c_fc": ("mlp.up_proj",),
    "mlp.c_proj": ("mlp.down_proj",),
}
_OUTSIDE_BLOCKS = {
    "transformer.wte": "model.embed_tokens",
    "transformer.wpe": "model.embed_positions",
    "transformer.ln_f": "model.norm",
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


@dataclass(frozen=True)
class OriginalSizes:
    """Sizes that the tensors of an original file state by their shapes."""

    vocabulary: int
    positions: int
    hidden_size: int
    num_layers: int
    intermediate_size: int

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """List every name of the original state dict in its order, with its shape."""
        width, inner = self.hidden_size, self.intermediate_size
        block = {
            "ln_1": (width,),
            "attn.c_attn": (3 * width, width),
            "attn.c_proj": (width, width),
            "ln_2": (width,),
            "mlp.c_fc": (inner, width),
            "mlp.c_proj": (width, inner),
        }
        shapes: dict[str, tuple[int, ...]] = {
            "transformer.wte": (self.vocabulary, width),
            "transformer.wpe": (self.positions, width),
        }
        for layer in range(self.num_layers):
            shapes |= {f"transformer.h.{layer}.{name}": shape for name, shape in block.items()}
        shapes["transformer.ln_f"] = (width,)
        ends = {"number_embedding": (1, width), "mlm_head": (width, self.vocabulary)}
        for head in HEADS:
            width_in, width_out = ends.get(head, (width, 1))
            shapes[f"{head}.0"] = (width, width_in)
            shapes[f"{head}.2"] = (width,)
            shapes[f"{head}.3"] = (width_out, width)
        return {f"{name}.weight": shape for name, shape in shapes.items()}

    def vocabulary_kind(self, dynamic_kmer: bool | None = None) -> tuple[int, bool]:
        """Find the k, and whether k-mers of all lengths to k exist, by the number of entries.

        Args:
            dynamic_kmer: look for one kind of vocabulary; by default the dynamic one comes first.

        Raises:
            ConversionError: no vocabulary has this many entries.
        """
        for dynamic in [True, False] if dynamic_kmer is None else [dynamic_kmer]:
            for k in range(1, _LONGEST_KMER + 1):
                if vocabulary_size(k, dynamic) == self.vocabulary:
                    return k, dynamic
        kind = {None: "", True: " of the dynamic kind", False: " of the fixed kind"}[dynamic_kmer]
        raise ConversionError(
            f"transformer.wte.weight has {self.vocabulary:,} rows, which is no vocabulary{kind}: "
            f"DNAGPT has {vocabulary_size(6, True):,} (dynamic 6-mers) or "
            f"{vocabulary_size(6, False):,} (fixed 6-mers) entries"
        )


def names_in_model(original: str) -> tuple[str, ...]:
    """List the names of one original parameter in `DNAGPTForMultiTask`: three for q, k and v.

    Example:

        >>> names_in_model("transformer.h.3.mlp.c_fc.weight")
        ('model.layers.3.mlp.up_proj.weight',)
    """
    module = original.removesuffix(".weight")
    head, _, part = module.partition(".")
    if head in HEADS:
        return (f"{HEADS[head]}.{_HEAD_PARTS[part]}.weight",)
    if module in _OUTSIDE_BLOCKS:
        return (f"{_OUTSIDE_BLOCKS[module]}.weight",)
    _, _, layer, part = module.split(".", maxsplit=3)
    return tuple(f"model.layers.{layer}.{name}.weight" for name in _BLOCK[part])


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


def measure(state_dict: Mapping[str, torch.Tensor], path: Path) -> tuple[OriginalSizes, list[str]]:
    """Measure a state dict by its shapes, and check every name and shape.

    Returns:
        The sizes, and the heads that the file lacks.

    Raises:
        ConversionError: a key is missing, unexpected or of a shape that does not fit the others.
    """
    for name in state_dict:
        if name.endswith(".bias"):
            raise ConversionError(f"{path}: {name}: DNAGPT has no biases, this is another model")
    layers = {found[1] for name in state_dict if (found := _LAYER.match(name))}
    vocabulary, width = _matrix(state_dict, "transformer.wte.weight", path)
    positions, _ = _matrix(state_dict, "transformer.wpe.weight", path)
    inner, _ = _matrix(state_dict, "transformer.h.0.mlp.c_fc.weight", path)
    sizes = OriginalSizes(vocabulary, positions, width, len(layers), inner)
    shapes = sizes.shapes()
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
    return sizes, lacking


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
    first_name, first = next(iter(state_dict.items()))
    if first.dtype not in _DTYPES:
        raise ConversionError(f"{path}: {first_name} is {first.dtype}: pass dtype= to change it")
    for name, tensor in state_dict.items():
        if tensor.dtype != first.dtype:
            raise ConversionError(
                f"{path}: {first_name} is {first.dtype}, {name} is {tensor.dtype}: pass dtype= to "
                "have one type"
            )
    return first.dtype
