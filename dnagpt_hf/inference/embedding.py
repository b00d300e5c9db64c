"""Embeddings of records or of their tokens: hidden states of a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch

from dnagpt_hf.inference.batching import check_finite, map_in_batches, padded_batch
from dnagpt_hf.inference.prediction import resolve_task
from dnagpt_hf.modeling_dnagpt import DNAGPTModel
from dnagpt_hf.records.encoding import EncodedRecord, RecordEncoder, Truncation
from dnagpt_hf.records.reading import Record
from dnagpt_hf.tasks.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

Pooling = Literal["mean", "last", "token"]


@dataclass(frozen=True)
class Embedding:
    """Embeddings of one record.

    Args:
        record: the record.
        input_ids: int64 array of shape `(length,)`, the tokens that the model read.
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
    max_records: int = 64,
    max_tokens: int = 16_384,
) -> Iterator[Embedding]:
    """Embed the records of a stream, in its order; a batch changes no record's embedding.

    Args:
        model: the decoder; of a model with heads, its attribute `model`.
        tokenizer: the model's tokenizer.
        records: any number of records; a bounded number of them is in memory.
        template: text of the token language with columns in braces, such as `<R>{sequence}`; by
            default the input of the checkpoint's task, or `{sequence}` without one.
        pooling:
            `"mean"` over all tokens of the text, its `"last"` token, which alone has seen the
            whole text, or every `"token"`.
        layer:
            0 for the token embeddings, n for the output of layer n; negative numbers count from
            the last layer, whose output includes the final layer norm.
        truncation: `"left"` or `"right"` end at which too long a sequence is cut; by default such
            a sequence is an error.
        max_records: most records of a batch.
        max_tokens: most tokens of a batch, padding included.

    Raises:
        RecordError: a record cannot be read in the token language or is too long.
        ValueError: unknown pooling, or a layer that the model does not have.

    Example:

        >>> from dnagpt_hf import DNAGPTTokenizer
        >>> from dnagpt_hf.presets import preset_config
        >>> model = DNAGPTModel(preset_config("dnagpt-test")).eval()
        >>> records = [Record({"sequence": "ACGTACGTACGT"}, "first", "a.fa", 1, 1)]
        >>> [embedding] = embed_records(model, DNAGPTTokenizer(), records, pooling="token")
        >>> embedding.vectors.shape
        (2, 32)
    """
    if pooling not in get_args(Pooling):
        raise ValueError(f"unknown pooling {pooling!r}: choose {', '.join(get_args(Pooling))}")
    index = _layer_index(layer, model.config.num_hidden_layers)
    task = resolve_input(model.config, template)
    encoder = RecordEncoder(
        tokenizer,
        task.input,
        model.config.max_position_embeddings,
        truncation,
        partial(task.prepare, columns=task.input.columns),
        task.input_standardization,
    )

    @torch.inference_mode()
    def embed(batch: list[EncodedRecord]) -> list[np.ndarray[Any, Any]]:
        inputs = padded_batch(batch, model.config.pad_token_id)
        hidden_states = _hidden_states(model, inputs, index)
        mask = inputs["attention_mask"].to(hidden_states.device)
        return _pool(hidden_states.float(), mask, pooling)

    rows = map_in_batches(
        embed, map(encoder, records), max_records=max_records, max_tokens=max_tokens
    )
    for encoded, vectors in rows:
        check_finite(encoded.record, vectors)
        yield Embedding(encoded.record, encoded.input_ids, vectors)


def resolve_input(config: PreTrainedConfig, template: str | None = None) -> Task:
    """Find the input that is embedded: a template, that of the checkpoint's task, or `{sequence}`.

    Args:
        config: configuration of the checkpoint.
        template: text of the token language with columns in braces, if one is stated. A template
            with the columns of the checkpoint's task is prepared as the task says.

    Example:

        >>> from dnagpt_hf import open_checkpoint
        >>> config = open_checkpoint("dnagpt-tiny-pas").config
        >>> resolve_input(config).input.text, resolve_input(config, "<S>{sequence}").input.text
        ('<R>{sequence}', '<S>{sequence}')
    """
    return resolve_task(config, template, None) or Task("{sequence}")


def _layer_index(layer: int, num_layers: int) -> int:
    """Find the index of a layer in `hidden_states`, whose first entry is the embeddings."""
    if not -num_layers - 1 <= layer <= num_layers:
        raise ValueError(
            f"layer {layer} does not exist: the model has {num_layers}, so choose 0 (embeddings) "
            f"to {num_layers}, or -1 (last) to {-num_layers - 1}"
        )
    return layer % (num_layers + 1)


def _hidden_states(model: DNAGPTModel, inputs: dict[str, torch.Tensor], index: int) -> torch.Tensor:
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
    vectors = hidden_states.cpu().numpy()
    lengths = mask.sum(1).tolist()
    # a copy, because a view would keep the whole batch in memory
    return [row[len(row) - length :].copy() for row, length in zip(vectors, lengths, strict=True)]
