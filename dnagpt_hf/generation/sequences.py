"""Batches of generated DNA and generated records as text."""

import string
from collections.abc import Callable, Sequence
from typing import Any

from transformers.generation import LogitsProcessor, SuppressTokensLogitsProcessor

from dnagpt_hf.generation.batches import Row, generate_rows, read_prompts
from dnagpt_hf.generation.constraints import ExactBases, WellFormedText, check_num_bases
from dnagpt_hf.generation.sampling import Sampling
from dnagpt_hf.generation.vocabulary import token_id
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer


def generate_dna(
    model: DNAGPTForMultiTask,
    tokenizer: DNAGPTTokenizer,
    prompts: str | Sequence[str],
    num_bases: int | Sequence[int],
    *,
    num_return_sequences: int = 1,
    do_sample: bool = True,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    allow_n: bool = False,
    batch_size: int = 8,
    on_batch: Callable[[int], None] | None = None,
    **generate_arguments: Any,
) -> list[str]:
    """Continue prompts with DNA of an exact length.

    A prompt may end anywhere: prompt and new bases together are cut as the tokenizer cuts them, so
    that `prompt + bases` reads as one record. Each sequence has a random stream of its own, made
    of `seed`, the number of its prompt and the number of its copy. The result therefore depends
    neither on `batch_size` nor on the other prompts, beyond rounding in the model itself.

    Args:
        model ([`DNAGPTForMultiTask`]): Model that continues the prompts.
        tokenizer (`DNAGPTTokenizer`): Its tokenizer.
        prompts (`str` or `Sequence[str]`): Records that end in DNA or in a species token.
        num_bases (`int` or `Sequence[int]`): New bases, for all prompts or for each.
        num_return_sequences (`int`, defaults to 1): Continuations of each prompt.
        do_sample (`bool`, defaults to `True`): Draw tokens; otherwise take the most probable.
        temperature (`float`, defaults to 1.0): Of the draw.
        top_k (`int`, *optional*): Draw from this number of most probable tokens only.
        top_p (`float`, *optional*): Draw from the most probable tokens that sum to this only.
        seed (`int`, defaults to 0): Start of all random streams.
        allow_n (`bool`, defaults to `False`): Allow N.
        batch_size (`int`, defaults to 8): Sequences that are generated together.
        on_batch (`Callable[[int], None]`, *optional*):
            Called after each batch with the number of sequences that are done, for progress bars.
        **generate_arguments: Passed on to `model.generate`, such as `cache_implementation`.

    Returns:
        `list[str]`: new bases without the prompts; the continuations of the first prompt come
        first.

    Raises:
        ValueError: before anything is generated, if there is no prompt, a prompt has no whole
            token or ends in `<M>` or a number, a length is below 1 or does not fit the fixed
            vocabulary, or prompt and new bases exceed the model's positions.

    Example:

    ```python
    >>> from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
    >>> from dnagpt_hf.generation import generate_dna
    >>> from dnagpt_hf.presets import preset_config
    >>> model = DNAGPTForMultiTask(preset_config("dnagpt-test"))
    >>> dna = generate_dna(model, DNAGPTTokenizer(), ["<R>ACGTAC", "<S>GAT"], 25)
    >>> [len(bases) for bases in dna]
    [25, 25]

    ```
    """
    prompts = _prompt_list(prompts)
    lengths = [num_bases] * len(prompts) if isinstance(num_bases, int) else list(num_bases)
    if len(lengths) != len(prompts):
        raise ValueError(f"{len(lengths)} values of num_bases do not fit {len(prompts)} prompts")
    heads, remainders = zip(*(split_remainder(tokenizer, text) for text in prompts), strict=True)
    for length, remainder in zip(lengths, remainders, strict=True):
        check_num_bases(tokenizer, length, len(remainder))
    new_tokens = [
        -(-(length + len(remainder)) // tokenizer.kmer_size)
        for length, remainder in zip(lengths, remainders, strict=True)
    ]
    rows = read_prompts(
        model, tokenizer, prompts, heads, new_tokens, num_return_sequences, do_sample
    )
    numeric = (model.config.number_instruction_token_id, model.config.number_token_id)
    for row in rows:
        if row.input_ids[-1] in numeric:
            raise ValueError(
                f"prompt {row.prompt} ends in <M> or a number, behind which no DNA can stand: "
                "end it in another token, or call generate_records"
            )

    def constrain(batch: Sequence[Row], prompt_length: int) -> list[LogitsProcessor]:
        new_bases = [lengths[row.prompt] for row in batch]
        begun = [remainders[row.prompt] for row in batch]
        return [ExactBases(tokenizer, new_bases, prompt_length, begun, allow_n=allow_n)]

    sampling = Sampling(temperature, top_k, top_p, seed) if do_sample else None
    results = [""] * len(rows)
    for row, ids, _ in generate_rows(
        model, tokenizer, rows, constrain, sampling, batch_size, on_batch, **generate_arguments
    ):
        bases = tokenizer.decode_dna(ids[: row.new_tokens])
        results[row.index] = bases[len(remainders[row.prompt]) :]
    return results


def generate_records(
    model: DNAGPTForMultiTask,
    tokenizer: DNAGPTTokenizer,
    prompts: str | Sequence[str],
    max_new_tokens: int,
    *,
    stop_token: str | int | None = None,
    num_return_sequences: int = 1,
    do_sample: bool = True,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    logits_processor: Sequence[LogitsProcessor] = (),
    batch_size: int = 8,
    on_batch: Callable[[int], None] | None = None,
    **generate_arguments: Any,
) -> list[str]:
    """Continue prompts in the whole token language, numbers included.

    Sequences are drawn as in [`generate_dna`]. The text can be read again: no DNA follows
    right behind a number or a shorter k-mer ([`WellFormedText`]), and no padding is drawn. The
    prompt's own last k-mer is not completed: new DNA behind it starts a new token.

    Args:
        model ([`DNAGPTForMultiTask`]): Model that continues the prompts.
        tokenizer (`DNAGPTTokenizer`): Its tokenizer.
        prompts (`str` or `Sequence[str]`): Records in the token language.
        max_new_tokens (`int`): Tokens to write, numbers included.
        stop_token (`str` or `int`, *optional*): Token that ends a record; it is part of the text.
        num_return_sequences (`int`, defaults to 1): Continuations of each prompt.
        do_sample (`bool`, defaults to `True`): Draw tokens; otherwise take the most probable.
        temperature (`float`, defaults to 1.0): Of the draw.
        top_k (`int`, *optional*): Draw from this number of most probable tokens only.
        top_p (`float`, *optional*): Draw from the most probable tokens that sum to this only.
        seed (`int`, defaults to 0): Start of all random streams.
        logits_processor (`Sequence[LogitsProcessor]`, *optional*):
            Constraints that do not depend on the row, such as [`AnswersOnly`] or [`DNAOnly`].
        batch_size (`int`, defaults to 8): Sequences that are generated together.
        on_batch (`Callable[[int], None]`, *optional*):
            Called after each batch with the number of sequences that are done, for progress bars.
        **generate_arguments: Passed on to `model.generate`, such as `cache_implementation`.

    Returns:
        `list[str]`: new text without the prompts; the continuations of the first prompt come
        first.

    Raises:
        ValueError: before anything is generated, if there is no prompt, a prompt is empty, or
            prompt and new tokens exceed the model's positions.

    Example:

        >>> import dnagpt_hf
        >>> loaded = dnagpt_hf.load("dnagpt-tiny")
        >>> texts = generate_records(
        ...     loaded.model, loaded.tokenizer, "<U>ATGAAC<=><B>", 1, num_return_sequences=3
        ... )
        >>> len(texts)
        3
    """
    prompts = _prompt_list(prompts)
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens is {max_new_tokens}: ask for at least 1")
    new_tokens = [max_new_tokens] * len(prompts)
    rows = read_prompts(
        model, tokenizer, prompts, prompts, new_tokens, num_return_sequences, do_sample
    )
    if stop_token is not None:
        generate_arguments["eos_token_id"] = token_id(tokenizer, stop_token)
    pad = tokenizer.pad_token_id

    def constrain(batch: Sequence[Row], prompt_length: int) -> list[LogitsProcessor]:
        # padding behind a finished row must be told from what the model wrote
        no_padding = SuppressTokensLogitsProcessor([pad], device=str(model.device))
        return [no_padding, *logits_processor, WellFormedText(tokenizer, prompt_length)]

    sampling = Sampling(temperature, top_k, top_p, seed) if do_sample else None
    results = [""] * len(rows)
    for row, ids, numbers in generate_rows(
        model, tokenizer, rows, constrain, sampling, batch_size, on_batch, **generate_arguments
    ):
        end = ids.index(pad) if pad in ids else len(ids)
        texts = tokenizer.batch_decode([ids[:end]], number_values=[numbers[:end]])
        results[row.index] = texts[0]
    return results


def split_remainder(tokenizer: DNAGPTTokenizer, prompt: str) -> tuple[str, str]:
    """Take the bases that fill no k-mer off the end of a prompt.

    Args:
        tokenizer (`DNAGPTTokenizer`): Tokenizer that cuts the DNA.
        prompt (`str`): Record that ends in DNA or in a special token.

    Returns:
        `tuple[str, str]`: the prompt up to its last whole token, and up to `kmer_size - 1` bases
        over N, A, G, C and T.

    Example:

    ```python
    >>> from dnagpt_hf import DNAGPTTokenizer
    >>> from dnagpt_hf.generation import split_remainder
    >>> split_remainder(DNAGPTTokenizer(), "<R>ACGTACgat")
    ('<R>ACGTAC', 'GAT')

    ```
    """
    start = len(prompt.rstrip(string.ascii_letters + string.whitespace))
    places = [start + i for i, letter in enumerate(prompt[start:]) if not letter.isspace()]
    size = len(places) % tokenizer.kmer_size
    if not size:
        return prompt, ""
    letters = "".join(prompt[place] for place in places[-size:])
    # filled up with N, it is a k-mer in both vocabularies and spelled as the tokenizer reads it
    try:
        whole = tokenizer.encode_dna(letters.ljust(tokenizer.kmer_size, "N"))
    except ValueError:
        tokenizer(prompt, verbose=False)  # names the position in the whole prompt
        raise
    return prompt[: places[-size]], tokenizer.decode_dna(whole)[:size]


def _prompt_list(prompts: str | Sequence[str]) -> list[str]:
    prompts = [prompts] if isinstance(prompts, str) else list(prompts)
    if not prompts:
        raise ValueError("no prompt was given: pass at least one, for instance a species token <R>")
    return prompts
