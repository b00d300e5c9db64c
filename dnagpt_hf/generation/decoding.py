"""A decoding loop over the layers of a model, leaner than `generate`.

All rows have the same length, so that no attention mask is needed. Keys and values stand in memory
that is allocated once. A token is read by as few operations as the layers need, which takes
most of the time of small models.

On CUDA, the operations of a step are recorded as a graph and replayed, which spares their launch
one by one. A graph has fixed shapes: it attends to a multiple of `_GRAPH_LENGTH` positions, those
masked that are not written yet.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask

# positions by which the graphs of a sequence differ
_GRAPH_LENGTH = 256


class CachedDecoder:
    """Reads rows of tokens of one length, and keeps their keys and values.

    Args:
        model (`DNAGPTForMultiTask`): A model in evaluation mode.
        rows (`int`): Rows that are read together.
        length (`int`): Longest row in tokens.
        static (`bool`, *optional*):
            Give each step the shapes of a graph; by default on CUDA.

    Raises:
        ValueError: if the model has fewer positions.

    Example:

    ```python
    >>> from dnagpt_hf.presets import preset_config
    >>> model = DNAGPTForMultiTask(preset_config("dnagpt-test")).eval()
    >>> decoder = CachedDecoder(model, rows=2, length=8)
    >>> decoder.read(torch.tensor([[21, 34, 35]]), torch.tensor([0, 0])).shape
    torch.Size([2, 32])
    >>> decoder.step(torch.tensor([36, 37])).shape
    torch.Size([2, 32])

    ```
    """

    def __init__(
        self, model: DNAGPTForMultiTask, rows: int, length: int, static: bool | None = None
    ) -> None:
        config = model.config
        if length > config.max_position_embeddings:
            raise ValueError(
                f"rows of {length:,} tokens exceed the model's "
                f"{config.max_position_embeddings:,} positions"
            )
        self.decoder: Any = model.model
        self.rows, self.length, self.position = rows, length, 0
        self.device = model.device
        is_cuda = self.device.type == "cuda"
        self.static = is_cuda if static is None else static
        heads = config.num_attention_heads
        shape = (rows, heads, length, config.hidden_size // heads)
        # for each layer keys and values, (rows, heads, length, head_dim); what is masked is
        # multiplied by 0 and must be finite
        self.cache = [
            torch.zeros(2, *shape, dtype=model.dtype, device=self.device)
            for _ in self.decoder.layers
        ]
        self.graphs: dict[int, Any] | None = {} if self.static and is_cuda else None
        self._ids = torch.zeros(rows, dtype=torch.long, device=self.device)
        self._place = torch.zeros(1, dtype=torch.long, device=self.device)

    @torch.inference_mode()
    def read(self, prompts: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        """Start all rows again, from prompts that are read once each.

        Args:
            prompts (`torch.LongTensor` of shape `(prompts, tokens)`): Ids of distinct prompts.
            which (`torch.LongTensor` of shape `(rows,)`): Number of the prompt of each row.

        Returns:
            `torch.Tensor` of shape `(rows, hidden_size)`: state at the last token.
        """
        tokens = prompts.shape[1]
        prompts, which = prompts.to(self.device), which.to(self.device)
        # (prompts, tokens, hidden)
        states = self.decoder.embed_tokens(prompts) + self.decoder.embed_positions.weight[:tokens]
        for layer, cache in zip(self.decoder.layers, self.cache, strict=True):
            query, key, value = _by_head(layer, layer.input_layernorm(states))
            attended = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            cache[0, :, :, :tokens] = key[which]
            cache[1, :, :, :tokens] = value[which]
            states = _add_to(layer, states, attended)
        self.position = tokens
        return self.decoder.norm(states[:, -1])[which]

    @torch.inference_mode()
    def step(self, ids: torch.Tensor) -> torch.Tensor:
        """Read one more token of each row.

        Args:
            ids (`torch.LongTensor` of shape `(rows,)`): The tokens.

        Returns:
            `torch.Tensor` of shape `(rows, hidden_size)`: state at these tokens; it is overwritten
            by the next step.
        """
        if self.position >= self.length:
            raise ValueError(f"all {self.length:,} positions are taken")
        position, self.position = self.position, self.position + 1
        if not self.static:
            return self._next_states(ids, position, position + 1)
        self._ids.copy_(ids)
        self._place.fill_(position)
        attended = min(-(-(position + 1) // _GRAPH_LENGTH) * _GRAPH_LENGTH, self.length)
        if self.graphs is None:
            return self._next_states(self._ids, self._place, attended)
        if attended not in self.graphs:
            self.graphs[attended] = self._recorded(attended)
        graph, states = self.graphs[attended]
        graph.replay()
        return states

    def _recorded(self, attended: int) -> tuple[Any, torch.Tensor]:
        """A CUDA graph of a step, and the memory that its result stands in."""
        # libraries set themselves up in the first run, which must not be recorded; a step may be
        # repeated, as it writes the same keys and values to the same place
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._next_states(self._ids, self._place, attended)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            states = self._next_states(self._ids, self._place, attended)
        return graph, states

    def _next_states(
        self, ids: torch.Tensor, place: int | torch.Tensor, attended: int
    ) -> torch.Tensor:
        """Compute the states of one token of each row.

        Args:
            ids: `(rows,)`.
            place: its position; as a tensor, later positions are masked.
            attended: number of positions that are attended to, from the first one on.
        """
        hidden = None
        if isinstance(place, torch.Tensor):
            hidden = torch.arange(attended, device=self.device) > place
        # (rows, 1, hidden)
        states = (self.decoder.embed_tokens(ids) + self.decoder.embed_positions.weight[place])[
            :, None
        ]
        for layer, cache in zip(self.decoder.layers, self.cache, strict=True):
            query, key, value = _by_head(layer, layer.input_layernorm(states))
            if isinstance(place, torch.Tensor):
                cache[0].index_copy_(2, place, key)
                cache[1].index_copy_(2, place, value)
            else:
                cache[0, :, :, place] = key[:, :, 0]
                cache[1, :, :, place] = value[:, :, 0]
            keys, values = cache[:, :, :, :attended]
            # one query: two products need less than the fused kernels, which are made for many
            scores = torch.matmul(query * layer.self_attn.scaling, keys.transpose(2, 3))
            if hidden is not None:
                scores = scores.masked_fill(hidden, -torch.inf)
            weights = scores.softmax(-1, dtype=torch.float32).to(values.dtype)
            states = _add_to(layer, states, torch.matmul(weights, values))
        return self.decoder.norm(states[:, 0])


def _by_head(layer: Any, states: torch.Tensor) -> list[torch.Tensor]:
    """Project states to queries, keys and values, each `(rows, heads, tokens, head_dim)`."""
    attention = layer.self_attn
    return [
        project(states).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
        for project in (attention.q_proj, attention.k_proj, attention.v_proj)
    ]


def _add_to(layer: Any, states: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
    """Add a layer's attention and MLP to its states, `(rows, tokens, hidden)`."""
    states = states + layer.self_attn.o_proj(attended.transpose(1, 2).flatten(2))
    return states + layer.mlp(layer.post_attention_layernorm(states))
