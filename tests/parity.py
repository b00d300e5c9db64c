"""The parity cases: what the original implementation computes, and the weights it was given.

The cases are not part of the repository. `DNAGPT_PARITY` names the folder that holds `cases.json`
and `logits.safetensors`; without it the tests that need them are skipped.
"""

import json
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dnagpt_hf import DNAGPTConfig
from dnagpt_hf.checkpoints.original import original_shapes
from dnagpt_hf.presets import vocabulary_fields

# the sizes of a small file in the original layout, which stands in for the released weights
STAND_IN = {
    "seed": 3,
    "dynamic_kmer": True,
    "max_len": 64,
    "num_layers": 1,
    "num_heads": 2,
    "embedding_dim": 16,
}


def make_state_dict(model: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The original state dict of an entry of `models`: every weight is a function of its name."""
    config = DNAGPTConfig(
        **vocabulary_fields(6, model["dynamic_kmer"]),
        hidden_size=model["embedding_dim"],
        num_hidden_layers=model["num_layers"],
        num_attention_heads=model["num_heads"],
        max_position_embeddings=model["max_len"],
    )
    return {
        name: torch.from_numpy(_weight(name, shape, model["seed"]))
        for name, shape in original_shapes(config).items()
    }


def _weight(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    random = np.random.RandomState((zlib.crc32(name.encode()) + seed) % 2**32)
    values = random.standard_normal(size=shape).astype(np.float32)
    if len(shape) == 1:
        return 1 + np.float32(0.1) * values
    if ".wte." in name or ".wpe." in name:
        return np.float32(0.5) * values
    return values / np.sqrt(np.float32(shape[1]))


def load_cases() -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """`cases.json` and the logits, or skip the test that asks."""
    folder = os.environ.get("DNAGPT_PARITY")
    if not folder:
        pytest.skip("DNAGPT_PARITY does not name the folder of the parity cases")
    if not (Path(folder) / "cases.json").is_file():
        pytest.skip(f"DNAGPT_PARITY={folder} has no cases.json")
    cases = json.loads((Path(folder) / "cases.json").read_text(encoding="utf-8"))
    return cases, load_file(Path(folder) / "logits.safetensors")
