"""Attention maps of a record (paper, Fig. 3e and S1).

The states before each layer are kept while a model runs with any attention implementation. The
attention of a layer follows from its queries and keys, a block of rows at a time, so that no more
maps are in memory than are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch

from dnagpt_hf.inference.batching import check_finite, padded_batch
from dnagpt_hf.inference.prediction import encoder_of, resolve_task
from dnagpt_hf.inference.token_spans import Array, TokenizedRecord, tokenize_record
from dnagpt_hf.modeling_dnagpt import DNAGPTForSequenceClassification
from dnagpt_hf.records.reading import Record
from dnagpt_hf.tasks.encoding import Truncation
from dnagpt_hf.tasks.task import Task

if TYPE_CHECKING:
    from dnagpt_hf.modeling_dnagpt import DNAGPTPreTrainedModel
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

Heads = Literal["all", "mean"]
Queries = Literal["all", "answer"]
# queries whose attention is computed at once: for 12 heads over 4,096 tokens, 50 MB
_ROWS = 256


@dataclass(frozen=True)
class AttentionMaps:
    """Attention of the tokens of a record to each other.

    Args:
        record: the record, token by token.
        layers: the layers, from 1.
        heads: `"all"` heads separately, or their `"mean"`.
        queries: `"all"` tokens, or the position of the `"answer"` alone.
        weights: float32 `(layers, heads, queries, keys)`, one head where they are averaged. Rows
            are queries, columns keys: row i is the attention of token i, which sums to 1 and is 0
            for the tokens after i.
        num_views: views of the task, of which the first one is read.
    """

    record: TokenizedRecord
    layers: tuple[int, ...]
    heads: Heads
    queries: Queries
    weights: Array
    num_views: int = 1

    @property
    def name(self) -> str:
        """Name the record, and the view where there are several."""
        of_views = f" (first of {self.num_views} views)" if self.num_views > 1 else ""
        return f"{self.record.record.name}{of_views}"

    def in_bases(self, column: str | None = None) -> Array:
        """Give the maps in the coordinates of a column of DNA.

        A base attends as its token does. The weight of a key is divided evenly among its bases, so
        that rows sum to the attention that stays in the column.

        Args:
            column: by default the longest one.

        Returns:
            float32 `(layers, heads, bases, bases)`, or `(layers, heads, bases)` for the attention
            of the answer; 0 where a base was cut off or dropped.
        """
        column = self.record.column(column)
        by_key = self.record.per_base(self.weights, column)
        if self.queries == "answer":
            return by_key[:, :, 0]
        by_query = self.record.at_bases(np.swapaxes(by_key, -1, -2), column, elsewhere=0.0)
        return np.swapaxes(by_query, -1, -2)


def attention_maps(
    model: DNAGPTPreTrainedModel,
    tokenizer: DNAGPTTokenizer,
    record: Record,
    *,
    task: Task | None = None,
    template: str | None = None,
    layers: Sequence[int] | None = None,
    heads: Heads = "all",
    queries: Queries = "all",
    truncation: Truncation | None = None,
) -> AttentionMaps:
    """Compute the attention maps of a model for one record, in the first view of its task.

    Args:
        model: any DNAGPT model, in evaluation mode, with any attention implementation.
        tokenizer: the model's tokenizer.
        record: the record.
        task: task of the prompt; by default that of the checkpoint.
        template: in place of a task: text of the token language with columns in braces, such as
            `<R>{sequence}<=><B>`. A model that does not answer in the token language reads
            `{sequence}` without either.
        layers: from 1, or −1 (the last) and below; by default all. A layer takes
            4 · heads · tokens² bytes, that is 0.8 GB for the 12 heads of DNAGPT-M at 4,096 tokens,
            and 67 MB for their mean.
        heads: `"all"` heads separately, or their `"mean"`.
        queries: `"all"` tokens, or the position of the `"answer"` alone, for which no whole map is
            computed: the last one, or the mean of all where a classification head reads their mean.
        truncation: end at which too long a sequence is cut; by default it is an error.

    Raises:
        RecordError: the record is no text of the token language or is too long, or its attention is
            not finite.
        ValueError: there is no template, or the model has no such layer.

    Example:

        >>> from dnagpt_hf import DNAGPTModel, DNAGPTTokenizer
        >>> from dnagpt_hf.presets import preset_config
        >>> model = DNAGPTModel(preset_config("dnagpt-test")).eval()
        >>> record = Record({"sequence": "ACGTACGTACGT"}, "first", "a.fa", 1, 1)
        >>> maps = attention_maps(model, DNAGPTTokenizer(), record, layers=[-1])
        >>> maps.layers, maps.weights.shape, maps.in_bases().shape
        ((2,), (1, 4, 2, 2), (1, 4, 12, 12))
        >>> answer = attention_maps(model, DNAGPTTokenizer(), record, queries="answer")
        >>> answer.weights.shape, answer.in_bases().shape
        ((2, 4, 1, 2), (2, 4, 12))
    """
    for name, value, known in (("heads", heads, Heads), ("queries", queries, Queries)):
        if value not in get_args(known):
            raise ValueError(f"unknown {name} {value!r}: choose {', '.join(get_args(known))}")
    chosen = _chosen_layers(layers, model.config.num_hidden_layers)
    resolved = task if task is not None else resolve_task(model.config, template, None)
    encoder = encoder_of(model, tokenizer, resolved, truncation)
    tokenized = tokenize_record(encoder, record, None if resolved is None else resolved.sequences)
    tokens = len(tokenized.tokens)
    num_heads = 1 if heads == "mean" else model.config.num_attention_heads
    num_queries = 1 if queries == "answer" else tokens
    first_row = tokens - 1 if queries == "answer" and not reads_mean(model) else 0
    weights = np.zeros((len(chosen), num_heads, num_queries, tokens), np.float32)
    for place, rows, block in _attention(model, tokenized, chosen, first_row):
        by_head = block.mean(0, keepdims=True) if heads == "mean" else block
        if queries == "answer":
            weights[place, :, 0] += by_head.sum(1) / (tokens - first_row)
        else:
            weights[place, :, rows] = by_head
    check_finite(record, weights)
    return AttentionMaps(tokenized, chosen, heads, queries, weights, len(encoder.views))


def reads_mean(model: Any) -> bool:
    """Tell whether a model answers from the mean of all positions."""
    return (
        isinstance(model, DNAGPTForSequenceClassification)
        and model.config.classifier_pooling == "mean"
    )


def _chosen_layers(layers: Sequence[int] | None, num_layers: int) -> tuple[int, ...]:
    """Number the layers from 1."""
    if layers is None:
        return tuple(range(1, num_layers + 1))
    for layer in layers:
        if not 1 <= abs(layer) <= num_layers:
            raise ValueError(
                f"layer {layer} does not exist: the model has {num_layers}, so choose 1 to "
                f"{num_layers}, or -1 (last) to {-num_layers}"
            )
    numbers = [layer if layer > 0 else num_layers + 1 + layer for layer in layers]
    return tuple(dict.fromkeys(numbers))


@torch.inference_mode()
def _attention(
    model: DNAGPTPreTrainedModel, tokenized: TokenizedRecord, layers: Sequence[int], first_row: int
) -> Iterator[tuple[int, slice, Array]]:
    """Yield index of a layer, rows from `first_row` on, and their weights `(heads, rows, keys)`."""
    decoder: Any = model.base_model
    inputs = padded_batch([tokenized.encoded], model.config.pad_token_id)
    inputs = {name: value.to(model.device) for name, value in inputs.items()}
    states = decoder(**inputs, use_cache=False, output_hidden_states=True).hidden_states
    tokens = states[0].shape[1]
    positions = torch.arange(tokens, device=model.device)
    for place, number in enumerate(layers):
        layer = decoder.layers[number - 1]
        normed, attention = layer.input_layernorm(states[number - 1])[0], layer.self_attn
        # (tokens, heads, head_dim)
        by_head = (tokens, model.config.num_attention_heads, attention.head_dim)
        query = attention.q_proj(normed).view(by_head).float()
        key = attention.k_proj(normed).view(by_head).float()
        for start in range(first_row, tokens, _ROWS):
            rows = slice(start, min(start + _ROWS, tokens))
            scores = torch.einsum("qhd,khd->hqk", query[rows], key) * attention.scaling
            is_later = positions > positions[rows, None]
            weights = scores.masked_fill(is_later, -torch.inf).softmax(-1)
            yield place, rows, weights.cpu().numpy()
