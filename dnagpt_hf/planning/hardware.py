"""GPUs as data: memory, and the rate of matrix products that their makers state.

The rates are those of dense matrices without the doubling for structured sparsity that newer data
sheets print, of the matrix units for the 16-bit types and of the plain cores for float32, which is
what PyTorch uses unless TF32 is switched on. They are limits: no training step reaches them.

Example:

    >>> gpu = get_gpu("a100-80")
    >>> gpu.memory // GIB, gpu.rate("bfloat16") / 1e12
    (80, 312.0)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

GIB = 2**30
TERA = 1e12


@dataclass(frozen=True)
class GPU:
    """What the data sheet says.

    Args:
        name: name under which `get_gpu` finds it.
        title: the maker's name.
        memory: bytes. Makers count gigabytes of memory as 2**30 bytes.
        rates: highest floating-point operations per second for each precision that it computes.
        source: the data sheet.
    """

    name: str
    title: str
    memory: int
    rates: Mapping[str, float]
    source: str

    def rate(self, precision: str) -> float:
        """Operations per second at a precision.

        Raises:
            ValueError: if the GPU has no matrix unit for it.
        """
        if precision not in self.rates:
            raise ValueError(
                f"{self.title} has no matrix unit for {precision}: choose {' or '.join(self.rates)}"
            )
        return self.rates[precision]


def _gpu(name: str, title: str, memory: int, source: str, **teraflops: float) -> GPU:
    rates = {precision: rate * TERA for precision, rate in teraflops.items()}
    return GPU(name, title, memory * GIB, MappingProxyType(rates), source)


_V100 = "NVIDIA V100 Tensor Core GPU, data sheet, January 2020 (SXM2)"
_A100 = "NVIDIA A100 Tensor Core GPU, data sheet, June 2021 (SXM)"
_H100 = "NVIDIA H100 Tensor Core GPU, data sheet, 2023 (SXM; half of the figure with sparsity)"
_H200 = "NVIDIA H200 Tensor Core GPU, data sheet, 2024 (SXM; half of the figure with sparsity)"

GPUS: Mapping[str, GPU] = MappingProxyType(
    {
        gpu.name: gpu
        for gpu in (
            _gpu("v100-16", "V100 16 GB", 16, _V100, float32=15.7, float16=125.0),
            _gpu("v100", "V100 32 GB", 32, _V100, float32=15.7, float16=125.0),
            _gpu("a100-40", "A100 40 GB", 40, _A100, float32=19.5, float16=312.0, bfloat16=312.0),
            _gpu("a100-80", "A100 80 GB", 80, _A100, float32=19.5, float16=312.0, bfloat16=312.0),
            _gpu("h100", "H100 80 GB", 80, _H100, float32=67.0, float16=989.5, bfloat16=989.5),
            _gpu("h200", "H200 141 GB", 141, _H200, float32=67.0, float16=989.5, bfloat16=989.5),
        )
    }
)


def get_gpu(name: str) -> GPU:
    """The GPU called `name`.

    Raises:
        ValueError: none has this name; the message lists those that are known.
    """
    if name not in GPUS:
        raise ValueError(f"unknown GPU {name!r}: choose one of {', '.join(GPUS)}")
    return GPUS[name]


def parse_memory(text: str) -> int:
    """Bytes of a GPU's memory, given as makers and `nvidia-smi` do.

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
