"""Embeddings of records or of their tokens: hidden states of a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch

from dnagpt_hf.inference.batching import Views, check_finite, map_in_batches, padded_views
from dnagpt_hf.inference.prediction import DEFAULT_TEMPLATE, resolve_task
from dnagpt_hf.modeling_dnagpt import DNAGPTModel
from dnagpt_hf.records.reading import Record
from dnagpt_hf.tasks.encoding import Truncation
from dnagpt_hf.tasks.examples import prompt_encoder
from dnagpt_hf.tasks.task import Task
from dnagpt_hf.tasks.views import ViewChoice

if TYPE_CHECKING:
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

Pooling = Literal["mean", "last", "max", "token"]
_REMEDY = (
    "cut its left or right end with truncation (--truncate), or embed a FASTA file in windows "
    "(--window, or embed_regions)"
)


@dataclass(frozen=True)
class Embedding:
    """Embeddings of one record.

    Args:
        record: the record.
        input_ids: int64 array of shape `(length,)`, the tokens that the model read in the first
            view.
        vectors: float32 array of shape `(hidden,)`, or `(length, hidden)` with pooling `"token"`.
    """

    record: Record
    input_ids: np.ndarray[Any, Any]
    vectors: np.ndarray[Any, Any]


def embed_records(
    model: DNAGPTModel,
    tokenizer: DNAGPTTokenizer,
    records: Iterable[Record],
    *,
    template: str | None = None,
    pooling: Pooling = "mean",
    layer: int = -1,
    truncation: Truncation | None = None,
    views: ViewChoice = None,
    max_records: int = 64,
    max_tokens: int = 16_384,
) -> Iterator[Embedding]:
    """Embed the records of a stream, in its order; a batch changes no record's embedding.

    A bounded number of records is in memory. Further arguments are those of
    [`~dnagpt_hf.LoadedModel.iter_embeddings`].

    Args:
        model: the decoder in evaluation mode; of a model with heads, its attribute `model`.
        tokenizer: the model's tokenizer.
        records: any number of records.
        pooling: the last token of `"last"` is the one that has seen the whole text.

    Raises:
        RecordError: a record cannot be read in the token language or is too long.
        ValueError: unknown pooling, a layer that the model does not have, or vectors of tokens in
            several views.
    """
    if pooling not in get_args(Pooling):
        raise ValueError(f"unknown pooling {pooling!r}: choose {', '.join(get_args(Pooling))}")
    index = layer_index(layer, model.config.num_hidden_layers)
    encoder = prompt_encoder(
        (resolve_task(model.config, template, None) or Task(DEFAULT_TEMPLATE)).with_views(views),
        tokenizer,
        head="classification",
        max_length=model.config.max_position_embeddings,
        truncation=truncation,
    )

    several = len(encoder.views)
    if pooling == "token" and several > 1:
        raise ValueError(
            "tokens of several views have no mean: ask for the first view alone (--views first)"
        )

    @torch.inference_mode()
    def embed(batch: list[Views]) -> list[np.ndarray[Any, Any]]:
        inputs = padded_views(batch, model.config.pad_token_id)
        states = hidden_states(model, inputs, index)
        mask = inputs["attention_mask"].to(states.device)
        vectors = _pool(states.float(), mask, pooling)
        if several == 1:
            return vectors
        return list(np.stack(vectors).reshape(-1, several, vectors[0].size).mean(1))

    in_views = replace(encoder, remedy=_REMEDY).in_views
    rows = map_in_batches(
        embed, map(in_views, records), max_records=max_records, max_tokens=max_tokens
    )
    for encoded, vectors in rows:
        check_finite(encoded.record, vectors)
        yield Embedding(encoded.record, encoded.input_ids, vectors)


def layer_index(layer: int, num_layers: int) -> int:
    """Find a layer in `hidden_states`, whose first entry is the embeddings.

    Raises:
        ValueError: the model has no such layer.
    """
    if not -num_layers - 1 <= layer <= num_layers:
        raise ValueError(
            f"layer {layer} does not exist: the model has {num_layers}, so choose 0 (embeddings) "
            f"to {num_layers}, or -1 (last) to {-num_layers - 1}"
        )
    return layer % (num_layers + 1)


def hidden_states(model: DNAGPTModel, inputs: dict[str, torch.Tensor], index: int) -> torch.Tensor:
    """Compute the hidden states of one layer, `(batch, length, hidden)`."""
    is_last = index == model.config.num_hidden_layers
    outputs = model(
        **{name: value.to(model.device) for name, value in inputs.items()},
        use_cache=False,
        output_hidden_states=not is_last,
    )
    return outputs.last_hidden_state if is_last else outputs.hidden_states[index]


def _pool(
    hidden_states: torch.Tensor, mask: torch.Tensor, pooling: Pooling
) -> list[np.ndarray[Any, Any]]:
    if pooling == "last":
        # the batch is padded on the left
        return list(hidden_states[:, -1].cpu().numpy())
    if pooling == "mean":
        total = hidden_states.masked_fill(mask[..., None] == 0, 0.0).sum(1)
        return list((total / mask.sum(1, keepdim=True)).cpu().numpy())
    if pooling == "max":
        smallest = torch.finfo(hidden_states.dtype).min
        return list(hidden_states.masked_fill(mask[..., None] == 0, smallest).amax(1).cpu().numpy())
    vectors = hidden_states.cpu().numpy()
    lengths = mask.sum(1).tolist()
    # a copy, because a view would keep the whole batch in memory
    return [row[len(row) - length :].copy() for row, length in zip(vectors, lengths, strict=True)]
