"""GPUs: their memory, and the rates of matrix products, stated by makers or measured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

GIB = 2**30
# Sides of the square products that are timed; the best counts
MATRIX_SIDES = {"cuda": (4096, 8192), "cpu": (1024, 2048)}


@dataclass(frozen=True)
class GPU:
    """Figures of a data sheet.

    Args:
        title: the maker's name.
        memory: bytes. Makers count gigabytes of memory as 2**30 bytes.
        rates: highest floating-point operations per second for each precision that it computes.
    """

    title: str
    memory: int
    rates: Mapping[str, float]


# Operations per second for dense matrices, without the doubling for structured sparsity that newer
# data sheets print: of the matrix units in 16 bits, and of the plain cores in float32, which
# PyTorch uses unless TF32 is switched on. They are limits: no training step reaches them.
# NVIDIA V100 Tensor Core GPU, data sheet, January 2020 (SXM2)
_V100 = {"float32": 15.7e12, "float16": 125e12}
# NVIDIA A100 Tensor Core GPU, data sheet, June 2021 (SXM)
_A100 = {"float32": 19.5e12, "float16": 312e12, "bfloat16": 312e12}
# NVIDIA H100 and H200 Tensor Core GPU, data sheets, 2023 and 2024 (SXM)
_H100 = {"float32": 67e12, "float16": 989.5e12, "bfloat16": 989.5e12}

GPUS = {
    "v100-16": GPU("V100 16 GB", 16 * GIB, _V100),
    "v100": GPU("V100 32 GB", 32 * GIB, _V100),
    "a100-40": GPU("A100 40 GB", 40 * GIB, _A100),
    "a100-80": GPU("A100 80 GB", 80 * GIB, _A100),
    "h100": GPU("H100 80 GB", 80 * GIB, _H100),
    "h200": GPU("H200 141 GB", 141 * GIB, _H100),
}


def get_gpu(name: str) -> GPU:
    """Look up a GPU by its name in `GPUS`.

    Raises:
        ValueError: none has this name; the message lists those that are known.

    Example:

        >>> gpu = get_gpu("a100-80")
        >>> gpu.memory // GIB, gpu.rates["bfloat16"] / 1e12
        (80, 312.0)
    """
    if name not in GPUS:
        raise ValueError(f"unknown GPU {name!r}: choose one of {', '.join(GPUS)}")
    return GPUS[name]


def parse_memory(text: str) -> int:
    """Read the size of a GPU's memory in the units of makers and `nvidia-smi`.

    GB and GiB are both 2**30 bytes and MB and MiB 2**20; a bare number counts gigabytes.

    Raises:
        ValueError: if the text is no size, or none that a GPU has.

    Example:

        >>> parse_memory("32GB") == parse_memory("32 GiB") == parse_memory("32")
        True
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:([GMT])i?B?)?\s*", text, re.IGNORECASE)
    if match is None:
        raise ValueError(f"{text!r} is no memory size: give one as 32GB")
    unit = {"M": 2**20, "G": GIB, "T": 2**40}[(match[2] or "G").upper()]
    memory = int(float(match[1]) * unit)
    if not GIB <= memory <= 1024 * GIB:
        raise ValueError(f"{text!r} is not the memory of a GPU: give 1GB to 1024GB, as 32GB")
    return memory


def measured_matmul_rate(
    device: torch.device | str, dtype: torch.dtype, seconds: float = 0.3
) -> float:
    """Measure the highest rate of a large square matrix product, in operations per second.

    The denominator of "model FLOPs utilization of the measured matrix-product rate". A data sheet
    gives more, which no product reaches, and gives nothing for a processor.

    Args:
        device: the device that computes.
        dtype: type of both matrices.
        seconds: time for each size of matrix.
    """
    import torch
    from torch.utils.benchmark import Timer

    def rate(side: int) -> float:
        one, other = torch.randn(2, side, side, device=device).to(dtype)
        timer = Timer(
            "one @ other",
            globals={"one": one, "other": other},
            num_threads=torch.get_num_threads(),
        )
        # the best product counts: other programs on the machine only slow one down
        return 2 * side**3 / min(timer.blocked_autorange(min_run_time=seconds).times)

    is_cuda = torch.device(device).type == "cuda"
    return max(rate(side) for side in MATRIX_SIDES["cuda" if is_cuda else "cpu"])
