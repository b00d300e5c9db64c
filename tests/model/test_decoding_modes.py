"""Every way of `generate` that the installed Transformers has, beside GPT-2."""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import DynamicCache, GenerationConfig, GPT2Config, GPT2LMHeadModel
from transformers.generation.configuration_utils import (
    ALL_CACHE_IMPLEMENTATIONS,
    GenerationMode,
)

from dnagpt_hf import DNAGPTConfig, DNAGPTForMultiTask, DNAGPTTokenizer
from dnagpt_hf.modeling_dnagpt import CACHE_NAME

TOKENIZER = DNAGPTTokenizer(kmer_size=2)
NUMBER = TOKENIZER.number_token_id
INSTRUCTION = 18
GREEDY: dict[str, Any] = {"do_sample": False}


def make_dnagpt() -> Any:
    torch.manual_seed(0)
    return DNAGPTForMultiTask(
        DNAGPTConfig(
            vocab_size=128,
            num_tokens=NUMBER + 1,
            number_token_id=NUMBER,
            kmer_size=2,
            hidden_size=32,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=64,
            initializer_range=0.3,
        )
    ).eval()


def make_gpt2() -> Any:
    torch.manual_seed(0)
    sizes = {"vocab_size": 128, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}
    ends = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": 20}
    return GPT2LMHeadModel(GPT2Config(**sizes, **ends, initializer_range=0.3)).eval()


def prefix_cache(model: Any, ids: torch.Tensor) -> Any:
    with torch.no_grad():
        return model(input_ids=ids[:, :3], use_cache=True)[CACHE_NAME]


def other_assistant(model: Any, ids: torch.Tensor) -> dict[str, Any]:
    """A model that agrees on some tokens alone."""
    assistant = copy.deepcopy(model)
    with torch.no_grad():
        for weight in assistant.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    return {**GREEDY, "assistant_model": assistant}


def call(**options: Any) -> Callable[[Any, torch.Tensor], dict[str, Any]]:
    return lambda model, ids: options


# To the arguments of each way; those that search greedily must give what greedy search gives.
SAME_AS_GREEDY: dict[str, Callable[[Any, torch.Tensor], dict[str, Any]]] = {
    GenerationMode.GREEDY_SEARCH.value: call(**GREEDY),
    "no cache": call(**GREEDY, use_cache=False),
    "cache": lambda model, ids: {**GREEDY, CACHE_NAME: prefix_cache(model, ids)},
    "past_key_values": lambda model, ids: {**GREEDY, "past_key_values": prefix_cache(model, ids)},
    "empty cache": lambda model, ids: {**GREEDY, CACHE_NAME: DynamicCache(config=model.config)},
    "chunked prefill": call(**GREEDY, prefill_chunk_size=2, cache_implementation="dynamic"),
    GenerationMode.ASSISTED_GENERATION.value: other_assistant,
    "equal assistant": lambda model, ids: {**GREEDY, "assistant_model": copy.deepcopy(model)},
    "prompt look-up": call(**GREEDY, prompt_lookup_num_tokens=2),
    "early exit": call(**GREEDY, assistant_early_exit=1),
    **{
        f"{name} cache": call(**GREEDY, cache_implementation=name, disable_compile=True)
        for name in sorted(ALL_CACHE_IMPLEMENTATIONS)
    },
}
OTHERS: dict[str, Callable[[Any, torch.Tensor], dict[str, Any]]] = {
    GenerationMode.SAMPLE.value: call(do_sample=True, num_return_sequences=2),
    GenerationMode.BEAM_SEARCH.value: call(**GREEDY, num_beams=3),
    GenerationMode.BEAM_SAMPLE.value: call(do_sample=True, num_beams=3),
    GenerationMode.CONTRASTIVE_SEARCH.value: call(penalty_alpha=0.6, top_k=4),
    GenerationMode.GROUP_BEAM_SEARCH.value: call(
        num_beams=4, num_beam_groups=2, diversity_penalty=1.0
    ),
    GenerationMode.CONSTRAINED_BEAM_SEARCH.value: call(num_beams=3, force_words_ids=[[40]]),
    GenerationMode.DOLA_GENERATION.value: call(**GREEDY, dola_layers="low"),
    "assisted sampling": lambda model, ids: {"do_sample": True, "assistant_model": model},
    "guidance": call(**GREEDY, guidance_scale=1.5),
}
WAYS = SAME_AS_GREEDY | OTHERS


@pytest.fixture
def prompt() -> dict[str, torch.Tensor]:
    return dict(TOKENIZER(["ACGTTGCAACGT"], return_tensors="pt"))


def generate(model: Any, way: str, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    torch.manual_seed(0)
    options = WAYS[way](model, inputs["input_ids"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.generate(**inputs, max_new_tokens=8, **options)


def test_every_mode_of_transformers_is_among_the_ways() -> None:
    assert {mode.value for mode in GenerationMode} <= set(WAYS)


def refusal_of_gpt2(way: str, prompt: dict[str, torch.Tensor]) -> str | None:
    """What this release of Transformers says where it cannot generate so with GPT-2 either."""
    try:
        generate(make_gpt2(), way, prompt)
    except Exception as error:
        return str(error)
    return None


@pytest.mark.parametrize("way", WAYS)
def test_what_gpt2_does_is_done(way: str, prompt: dict[str, torch.Tensor]) -> None:
    ids_alone = {name: prompt[name] for name in ("input_ids", "attention_mask")}
    model = make_dnagpt()
    try:
        ids = generate(model, way, prompt)
    except Exception as error:
        assert str(error) == refusal_of_gpt2(way, ids_alone)
        return
    assert ids.shape[1] == prompt["input_ids"].shape[1] + 8
    if way in SAME_AS_GREEDY:
        assert torch.equal(ids, model.generate(**prompt, max_new_tokens=8, do_sample=False))
    # all that the tokenizer gives means what ids alone mean, where there is no number
    assert torch.equal(generate(make_dnagpt(), way, ids_alone), ids)


@pytest.mark.parametrize("way", ["cache", "assisted_generation", "prompt look-up", "early exit"])
def test_numbers_of_the_prompt_are_read(way: str) -> None:
    inputs = dict(TOKENIZER(["<R>ACGT<+><M>0.5 -2<=>"], return_tensors="pt"))
    model = make_dnagpt()
    # far below the others, since candidates are tokens
    model.token_head.out_proj.weight.data[INSTRUCTION] = 0
    expected = model.generate(
        **inputs, max_new_tokens=8, do_sample=False, suppress_tokens=[INSTRUCTION]
    )
    try:
        assert torch.equal(generate(model, way, inputs), expected)
    except (AttributeError, TypeError) as error:
        # faults of the first releases of Transformers 5
        assert str(error) == refusal_of_gpt2(way, {"input_ids": inputs["input_ids"]})


@pytest.mark.parametrize("way", ["assisted_generation", "prompt look-up", "beam_search"])
def test_numbers_are_not_asked_of_candidates(way: str) -> None:
    inputs = dict(TOKENIZER(["<R>ACGT<=><M>"], return_tensors="pt"))
    with pytest.raises(ValueError, match=r"prompt 0 ends in <M>, .*call generate without beams"):
        generate(make_dnagpt(), way, inputs)


# the cache fills the memory of the machine, which takes minutes
@pytest.mark.slow
def test_continuous_batching() -> None:
    prompts = TOKENIZER(["ACGTTGCAACGT", "<R>TT", "GATTACA"])["input_ids"]
    options = GenerationConfig(
        max_new_tokens=6, do_sample=False, eos_token_id=-1, pad_token_id=TOKENIZER.pad_token_id
    )
    model = make_dnagpt()
    # the most probable token, if it could be written
    model.token_head.out_proj.weight.data[INSTRUCTION] *= 50
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not make_gpt2().generate_batch(prompts, generation_config=options):
            pytest.skip("this release does not finish with GPT-2 either")
        outputs = model.generate_batch(prompts, generation_config=options)
    assert len(outputs) == 3
    for output in outputs.values():
        ids = torch.tensor([output.prompt_ids])
        options = {"do_sample": False, "suppress_tokens": [INSTRUCTION]}
        plain = make_dnagpt().generate(ids, max_new_tokens=6, **options)
        assert (output.error, output.generated_tokens) == (None, plain[0, ids.shape[1] :].tolist())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<R>AC<+><M>0.5<=>", "prompt 1 holds numbers, which generate_batch cannot read"),
        ("<R>AC<=><M>", "prompt 1 ends in <M>"),
    ],
)
def test_continuous_batching_refuses_numbers(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_dnagpt().generate_batch(TOKENIZER(["ACGT", text])["input_ids"])


@pytest.mark.parametrize("stop", ["AC", "TTG", ["GGGGG", "ACG"]])
def test_stop_strings_may_begin_and_end_within_tokens(stop: str | list[str]) -> None:
    model = make_dnagpt()
    wanted = [stop] if isinstance(stop, str) else stop
    # of the same seed, so that the first is the beginning of the second
    options = {"max_new_tokens": 50, "do_sample": True, "top_k": 0}
    lengths = []
    for seed in range(12):
        inputs = TOKENIZER(["<R>TT"], return_tensors="pt")
        torch.manual_seed(seed)
        stopped = model.generate(**inputs, **options, stop_strings=stop, tokenizer=TOKENIZER)
        torch.manual_seed(seed)
        (free,) = model.generate(**inputs, **options).tolist()
        tokens = TOKENIZER.convert_ids_to_tokens(free)
        texts = ["".join(tokens[: end + 1]) for end in range(len(tokens))]
        ends = [end for end, text in enumerate(texts, 1) if any(one in text for one in wanted)]
        lengths.append(min([*ends, len(free)]))
        assert stopped[0].tolist() == free[: lengths[-1]]
    assert min(lengths) < len(free)


def test_stop_strings_need_the_tokenizer() -> None:
    inputs = TOKENIZER(["ACGT"], return_tensors="pt")
    with pytest.raises(ValueError, match="tokenizer"):
        make_dnagpt().generate(**inputs, max_new_tokens=4, stop_strings="AC")
