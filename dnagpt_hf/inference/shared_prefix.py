"""Keys and values of a text that many rows continue."""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer


class SharedPrefixLayer(DynamicLayer):
    """Keys and values of a layer for some rows, which the rows of a batch share.

    Row i of a batch continues row `i % rows`. Nothing of the batch is kept.
    """

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Join the keys and values of prefix and batch."""
        return _joined(self.keys, key_states), _joined(self.values, value_states)


def _joined(prefix: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    times = len(states) // len(prefix)
    # (times, rows, heads, length, head_dim)
    repeated = prefix.expand(times, *prefix.shape)
    return torch.cat([repeated, states.unflatten(0, (times, -1))], dim=-2).flatten(0, 1)


def shared_prefix(cache: Cache, length: int | None = None) -> list[Any]:
    """Take the first positions of each layer of a cache, all by default, as a shared prefix."""
    return [
        SharedPrefixLayer(layer.keys[:, :, :length], layer.values[:, :, :length])
        for layer in cache.layers
    ]
