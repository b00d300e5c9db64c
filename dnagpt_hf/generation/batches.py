"""From prompts to batches of one length, and one call of `generate` for each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from transformers.generation import LogitsProcessor, LogitsProcessorList

from dnagpt_hf.generation.sampling import Sampling, sequence_keys
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

Constrain = Callable[[Sequence["Row"], int], Sequence[LogitsProcessor]]


@dataclass(frozen=True)
class Row:
    """One sequence to generate: its prompt, read into ids and numbers."""

    index: int
    prompt: int
    copy: int
    input_ids: list[int]
    number_values: list[float]
    new_tokens: int


def read_prompts(
    model: DNAGPTForMultiTask,
    tokenizer: DNAGPTTokenizer,
    prompts: Sequence[str],
    heads: Sequence[str],
    new_tokens: Sequence[int],
    copies: int,
    do_sample: bool,
) -> list[Row]:
    """Read the prompts and refuse those that cannot be continued.

    Args:
        prompts: texts, for messages.
        heads: the part of each prompt that is whole tokens.
        new_tokens: tokens to write behind each.
        copies: continuations of each prompt.
        do_sample: `False` for the most probable tokens.
    """
    if tokenizer.number_token_id != model.config.number_token_id:
        raise ValueError(
            f"the tokenizer's number_token_id {tokenizer.number_token_id} is not the model's "
            f"{model.config.number_token_id}: load both from one checkpoint"
        )
    if copies < 1:
        raise ValueError(f"num_return_sequences is {copies}: ask for at least 1")
    if copies > 1 and not do_sample:
        raise ValueError(
            f"num_return_sequences {copies} without sampling gives equal sequences: "
            "pass do_sample=True"
        )
    for number, (prompt, head) in enumerate(zip(prompts, heads, strict=True)):
        if not head.strip():
            raise ValueError(
                f"prompt {number} ({prompt!r}) holds no whole token to start from: "
                "put a species token such as <R> in front"
            )
    limit, kmer_size = model.config.max_position_embeddings, tokenizer.kmer_size
    encoded = tokenizer(list(heads))
    rows = []
    for number, ids in enumerate(encoded["input_ids"]):
        new = new_tokens[number]
        if len(ids) + new > limit:
            raise ValueError(
                f"prompt {number} of {len(ids):,} tokens and {new:,} new tokens (up to "
                f"{new * kmer_size:,} bp) exceed the model's {limit:,} positions "
                f"({limit * kmer_size:,} bp): shorten the prompt or ask for less"
            )
        values = encoded["number_values"][number]
        rows += [
            Row(number * copies + copy, number, copy, list(ids), list(values), new)
            for copy in range(copies)
        ]
    return rows


def batches(rows: Sequence[Row], batch_size: int, limit: int) -> Iterator[list[Row]]:
    """Group rows of similar length; padding must not push a batch over `limit` positions."""
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}: ask for at least 1")
    batch: list[Row] = []
    for row in sorted(rows, key=lambda row: (row.new_tokens, len(row.input_ids))):
        grown = [*batch, row]
        width = max(len(row.input_ids) for row in grown) + max(row.new_tokens for row in grown)
        if len(grown) > batch_size or (batch and width > limit):
            yield batch
            grown = [row]
        batch = grown
    yield batch


def generate_rows(
    model: DNAGPTForMultiTask,
    tokenizer: DNAGPTTokenizer,
    rows: Sequence[Row],
    constrain: Constrain,
    sampling: Sampling | None,
    batch_size: int,
    on_batch: Callable[[int], None] | None,
    **arguments: Any,
) -> Iterator[tuple[Row, list[int], list[float]]]:
    """Generate batch by batch and yield each row with its new ids and numbers.

    Args:
        constrain: Called with the rows of a batch and the length of their padded prompts; returns
            the logits processors of this batch.
    """
    done = 0
    for batch in batches(rows, batch_size, model.config.max_position_embeddings):
        inputs = tokenizer.pad(
            {
                "input_ids": [row.input_ids for row in batch],
                "number_values": [row.number_values for row in batch],
            },
            padding_side="left",
            return_tensors="pt",
        )
        prompt_length = inputs["input_ids"].shape[1]
        processors = list(constrain(batch, prompt_length))
        if sampling is not None:
            prompts = torch.tensor([row.prompt for row in batch])
            copies = torch.tensor([row.copy for row in batch])
            keys = sequence_keys(sampling.seed, prompts, copies)
            processors += sampling.processors(keys, prompt_length)
        # greedy over scores to which the noise was added is a draw
        output = cast(Any, model).generate(
            **inputs.to(model.device),
            max_new_tokens=max(row.new_tokens for row in batch),
            do_sample=False,
            num_beams=1,
            pad_token_id=tokenizer.pad_token_id,
            return_dict_in_generate=True,
            logits_processor=LogitsProcessorList(processors),
            **arguments,
        )
        new_ids = output.sequences[:, prompt_length:].tolist()
        new_numbers = output.number_values[:, prompt_length:].tolist()
        yield from zip(batch, new_ids, new_numbers, strict=True)
        done += len(batch)
        if on_batch is not None:
            on_batch(done)
