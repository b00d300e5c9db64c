"""Attention maps: how much each position of a record looks at each other one (Fig. 3e, S1).

They are computed from the queries and keys of one layer at a time while a model runs with whatever
attention it was loaded with, so that no more of them is in memory than is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch

from dnagpt_hf.inference.batching import padded_batch
from dnagpt_hf.inference.prediction import prompt_encoder, resolve_task
from dnagpt_hf.inference.token_spans import Array, TokenizedRecord, tokenize_record
from dnagpt_hf.modeling_dnagpt import DNAGPTForSequenceClassification
from dnagpt_hf.records.encoding import Truncation
from dnagpt_hf.records.reading import Record
from dnagpt_hf.tasks.task import Task

if TYPE_CHECKING:
    from dnagpt_hf.modeling_dnagpt import DNAGPTAttention, DNAGPTPreTrainedModel
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

Heads = Literal["all", "mean"]
# positions whose attention is computed at once: for 12 heads over 4,096 tokens, 50 MB
_ROWS = 256


@dataclass(frozen=True)
class AttentionMaps:
    """Attention of every token of a record to every other one.

    Args:
        record: the record, token by token.
        layers: the layers, from 1.
        heads: `"all"` heads apart, or their `"mean"`.
        weights: float32 `(layers, heads, tokens, tokens)`, one head where they are averaged. Row i
            is what token i looks at: it sums to 1, and is 0 behind i.
    """

    record: TokenizedRecord
    layers: tuple[int, ...]
    heads: Heads
    weights: Array

    def in_bases(self, column: str | None = None) -> Array:
        """The maps in the coordinates of a column of DNA.

        A base looks where its token looks, and its token's weight for another one is divided evenly
        among that one's bases. Rows sum to the attention that stays in the column.

        Args:
            column: by default the longest one.

        Returns:
            float32 `(layers, heads, bases, bases)`; 0 where a base was cut off or dropped.
        """
        column = self.record.column(column)
        by_base = self.record.per_base(self.weights, column)
        rows = np.swapaxes(by_base, -1, -2)
        return np.swapaxes(self.record.at_bases(rows, column, elsewhere=0.0), -1, -2)


@dataclass(frozen=True)
class ReceivedAttention:
    """Attention that the position which answers pays to each base.

    Args:
        record: the record, token by token.
        layers: the layers, from 1.
        column: the column of DNA.
        weights: float32 `(layers, heads, bases)`; a token's weight is divided evenly among its
            bases, and what is missing to 1 goes to tokens outside of the column.
    """

    record: TokenizedRecord
    layers: tuple[int, ...]
    column: str
    weights: Array


def attention_maps(
    model: DNAGPTPreTrainedModel,
    tokenizer: DNAGPTTokenizer,
    record: Record,
    *,
    task: Task | None = None,
    template: str | None = None,
    layers: Sequence[int] | None = None,
    heads: Heads = "all",
    truncation: Truncation | None = None,
) -> AttentionMaps:
    """The attention maps of a model for one record.

    Args:
        model: any DNAGPT model, in evaluation mode, with any attention implementation.
        tokenizer: the model's tokenizer.
        record: the record.
        task: what is asked; by default what the checkpoint was trained for.
        template: in place of a task: text of the token language with columns in braces, such as
            `<R>{sequence}<=><B>`. A model that does not answer in the token language reads
            `{sequence}` without either.
        layers: from 1, or −1 (the last) and below; by default all. A layer takes
            4 · heads · tokens² bytes, that is 0.8 GB for the 12 heads of DNAGPT-M at 4,096 tokens,
            and 67 MB for their mean.
        heads: `"all"` heads apart, or their `"mean"`.
        truncation: end at which too long a sequence is cut; by default it is an error.

    Raises:
        RecordError: the record cannot be read in the token language or is too long.
        ValueError: no template, or a layer that the model does not have.

    Example:

        >>> from dnagpt_hf import DNAGPTModel, DNAGPTTokenizer
        >>> from dnagpt_hf.presets import preset_config
        >>> model = DNAGPTModel(preset_config("dnagpt-test")).eval()
        >>> record = Record({"sequence": "ACGTACGTACGT"}, "first", "a.fa", 1, 1)
        >>> maps = attention_maps(model, DNAGPTTokenizer(), record, layers=[-1])
        >>> maps.layers, maps.weights.shape, maps.in_bases().shape
        ((2,), (1, 4, 2, 2), (1, 4, 12, 12))
    """
    if heads not in get_args(Heads):
        raise ValueError(f"unknown heads {heads!r}: choose {', '.join(get_args(Heads))}")
    chosen = _chosen_layers(layers, model.config.num_hidden_layers)
    placed = _placed(model, tokenizer, record, task, template, truncation)
    tokens = len(placed.tokens)
    drawn = 1 if heads == "mean" else model.config.num_attention_heads
    weights = np.empty((len(chosen), drawn, tokens, tokens), np.float32)

    def keep(place: int, rows: Iterator[tuple[slice, torch.Tensor]]) -> None:
        for where, block in rows:
            if heads == "mean":
                block = block.mean(0, keepdim=True)
            weights[place, :, where] = block.cpu().numpy()

    _observe(model, placed, chosen, keep, first_row=0)
    return AttentionMaps(placed, chosen, heads, _finite(placed, weights))


def received_by_base(
    model: DNAGPTPreTrainedModel,
    tokenizer: DNAGPTTokenizer,
    record: Record,
    *,
    task: Task | None = None,
    template: str | None = None,
    column: str | None = None,
    layers: Sequence[int] | None = None,
    truncation: Truncation | None = None,
) -> ReceivedAttention:
    """The attention that each base gets from the position at which the answer is read.

    This is the last position, or the mean of all where a classification head reads their mean. No
    whole map is made.

    Args:
        model: as in [`attention_maps`], like all others.
        column: column of DNA; by default the longest one.

    Raises:
        RecordError: as there, or there is no such column.
        ValueError: as there.

    Example:

        >>> from dnagpt_hf import DNAGPTModel, DNAGPTTokenizer
        >>> from dnagpt_hf.presets import preset_config
        >>> model = DNAGPTModel(preset_config("dnagpt-test")).eval()
        >>> record = Record({"sequence": "ACGTACGTACGT"}, "first", "a.fa", 1, 1)
        >>> received_by_base(model, DNAGPTTokenizer(), record).weights.shape
        (2, 4, 12)
    """
    chosen = _chosen_layers(layers, model.config.num_hidden_layers)
    placed = _placed(model, tokenizer, record, task, template, truncation)
    column = placed.column(column)
    tokens = len(placed.tokens)
    reads_mean = (
        isinstance(model, DNAGPTForSequenceClassification)
        and model.config.classifier_pooling == "mean"
    )
    weights = np.zeros((len(chosen), model.config.num_attention_heads, tokens), np.float32)

    def add(place: int, rows: Iterator[tuple[slice, torch.Tensor]]) -> None:
        for _, block in rows:
            weights[place] += block.sum(1).cpu().numpy()

    first_row = 0 if reads_mean else tokens - 1
    _observe(model, placed, chosen, add, first_row=first_row)
    weights /= tokens - first_row
    by_base = placed.per_base(_finite(placed, weights), column)
    return ReceivedAttention(placed, chosen, column, by_base)


def _placed(
    model: DNAGPTPreTrainedModel,
    tokenizer: DNAGPTTokenizer,
    record: Record,
    task: Task | None,
    template: str | None,
    truncation: Truncation | None,
) -> TokenizedRecord:
    asked = task if task is not None else resolve_task(model.config, template, None)
    encoder = prompt_encoder(model, tokenizer, asked, truncation)
    return tokenize_record(encoder, record, None if asked is None else asked.sequences)


def _chosen_layers(layers: Sequence[int] | None, num_layers: int) -> tuple[int, ...]:
    """Numbers of layers from 1."""
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


# (place among the chosen layers, blocks of rows with their weights)
_Observer = Callable[[int, Iterator[tuple[slice, torch.Tensor]]], None]


def _observe(
    model: DNAGPTPreTrainedModel,
    placed: TokenizedRecord,
    layers: Sequence[int],
    observer: _Observer,
    first_row: int,
) -> None:
    """Run the decoder, and show the observer each chosen layer's attention as it comes by."""
    decoder: Any = model.base_model
    inputs = padded_batch([placed.encoded], model.config.pad_token_id)
    with torch.inference_mode(), _hooks(decoder, layers, observer, first_row):
        decoder(**{name: value.to(model.device) for name, value in inputs.items()}, use_cache=False)


@contextmanager
def _hooks(
    decoder: Any, layers: Sequence[int], observer: _Observer, first_row: int
) -> Iterator[None]:
    def hook_of(place: int) -> Callable[[Any, Any], None]:
        def hook(attention: DNAGPTAttention, inputs: tuple[torch.Tensor, ...]) -> None:
            observer(place, _rows(attention, inputs[0], first_row))

        return hook

    handles = [
        decoder.layers[layer - 1].self_attn.register_forward_pre_hook(hook_of(place))
        for place, layer in enumerate(layers)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _rows(
    attention: DNAGPTAttention, hidden_states: torch.Tensor, first_row: int
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Rows of a layer's map from `first_row` on, in blocks `(heads, rows, tokens)`."""
    tokens = hidden_states.shape[1]

    def by_head(projected: torch.Tensor) -> torch.Tensor:
        return projected[0].view(-1, attention.config.num_attention_heads, attention.head_dim)

    # (tokens, heads, head_dim)
    key = by_head(attention.k_proj(hidden_states)).float()
    for start in range(first_row, tokens, _ROWS):
        rows = torch.arange(start, min(start + _ROWS, tokens), device=hidden_states.device)
        query = by_head(attention.q_proj(hidden_states[:, rows])).float()
        scores = torch.einsum("qhd,khd->hqk", query, key) * attention.scaling
        is_later = torch.arange(tokens, device=rows.device) > rows[:, None]
        yield slice(start, start + len(rows)), scores.masked_fill(is_later, -torch.inf).softmax(-1)


def _finite(placed: TokenizedRecord, weights: Array) -> Array:
    if not np.isfinite(weights).all():
        raise placed.record.error(
            "its attention is not finite: the model's weights are damaged, or their data type is "
            "too narrow (--dtype float32)"
        )
    return weights
