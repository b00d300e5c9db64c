"""`model.generate`: tokens and numbers, compared with a plain loop of one row without a cache."""

import pytest
import torch

from dnagpt_hf import DNAGPTConfig, DNAGPTForMultiTask, DNAGPTTokenizer
from dnagpt_hf.modeling_dnagpt import DNAGPTGenerateOutput

NUMBER_INSTRUCTION = 18
SEED = 36
# prompts of different length with and without numbers, one of which is to be answered by a number
PROMPTS = [
    "<R>ACGTAC<+><M>-0.5<=><M>",
    "<S>GATTAC",
    "<R>ACGTACGGTT<+><M>0.25 1e-3<=>",
    "<V>AA<=><M>",
]


@pytest.fixture(scope="module")
def tokenizer() -> DNAGPTTokenizer:
    # 65 tokens, so that searches and draws come across all of them
    return DNAGPTTokenizer(kmer_size=2)


@pytest.fixture(scope="module")
def model(tokenizer: DNAGPTTokenizer) -> DNAGPTForMultiTask:
    return make_model(tokenizer)


def make_model(tokenizer: DNAGPTTokenizer, **sizes: int) -> DNAGPTForMultiTask:
    config = DNAGPTConfig(
        **{
            "vocab_size": 128,
            "num_tokens": tokenizer.number_token_id + 1,
            "number_token_id": tokenizer.number_token_id,
            "kmer_size": tokenizer.kmer_size,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 64,
            **sizes,
        }
    )
    model = DNAGPTForMultiTask(config).eval()
    # by name, as releases of Transformers initialise in different orders
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for _, weight in sorted(model.named_parameters()):
            if weight.ndim == 2:
                weight.normal_(0, 0.5, generator=generator)
        # far above and far below the others, so that <M> is written every few tokens
        model.token_head.out_proj.weight[NUMBER_INSTRUCTION] *= 4
    return model


def encode(tokenizer, prompts):
    return tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left")


@torch.no_grad()
def plain_generate(model, tokenizer, prompt, new_tokens):
    """Greedy search as it is defined: read everything again for each new token or number."""
    encoded = tokenizer([prompt], return_tensors="pt")
    ids, values = encoded["input_ids"], encoded["number_values"].float()
    for _ in range(new_tokens):
        output = model(input_ids=ids, number_values=values, use_cache=False)
        if ids[0, -1] == NUMBER_INSTRUCTION:
            token, value = torch.tensor(tokenizer.number_token_id), output.number_predictions[0, -1]
        else:
            token, value = output.logits[0, -1].argmax(), torch.tensor(0.0)
        ids = torch.cat([ids, token[None, None]], dim=1)
        values = torch.cat([values, value[None, None]], dim=1)
    return ids[0], values[0]


def assert_rows_are_plain(output, model, tokenizer, prompts, new_tokens):
    """Each row of a left-padded batch, numbers included, is what the plain loop gives alone."""
    for row, prompt in enumerate(prompts):
        ids, values = plain_generate(model, tokenizer, prompt, new_tokens)
        assert output.sequences[row, -len(ids) :].tolist() == ids.tolist()
        torch.testing.assert_close(
            output.number_values[row, -len(ids) :], values, atol=1e-4, rtol=1e-4
        )
        assert output.number_values[row, : -len(ids)].eq(0).all()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_cache": False},
        {"cache_implementation": "static", "disable_compile": True},
        # Transformers 5.0 wants to be told to use a cache here
        {"prefill_chunk_size": 3, "cache_implementation": "dynamic"},
    ],
    ids=["dynamic cache", "no cache", "static cache", "chunked prefill"],
)
def test_tokens_and_numbers_are_those_of_the_plain_loop(model, tokenizer, options):
    output = model.generate(
        **encode(tokenizer, PROMPTS), max_new_tokens=24, return_dict_in_generate=True, **options
    )
    is_number = output.sequences == tokenizer.number_token_id
    new_numbers = is_number[:, -24:].sum(1)
    assert new_numbers.min() >= 3
    assert_rows_are_plain(output, model, tokenizer, PROMPTS, 24)


def test_single_prompt_is_the_plain_loop(model, tokenizer):
    for prompt in PROMPTS:
        output = model.generate(
            **tokenizer([prompt], return_tensors="pt"),
            max_new_tokens=12,
            return_dict_in_generate=True,
        )
        assert_rows_are_plain(output, model, tokenizer, [prompt], 12)


@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 5])
def test_prompt_without_padding_in_chunks(model, tokenizer, chunk):
    # the mask is all ones then, and Transformers leaves it out
    for prompt in PROMPTS:
        output = model.generate(
            **tokenizer([prompt], return_tensors="pt"),
            max_new_tokens=8,
            return_dict_in_generate=True,
            prefill_chunk_size=chunk,
            cache_implementation="dynamic",
        )
        assert_rows_are_plain(output, model, tokenizer, [prompt], 8)


def test_prompt_of_embeddings(model, tokenizer):
    inputs = tokenizer(["<R>ACGT<M>0.5<=>"], return_tensors="pt")
    embeds = model.model.embed(inputs["input_ids"], inputs["number_values"])
    options = {"max_new_tokens": 8, "return_dict_in_generate": True}
    from_ids = model.generate(**inputs, **options)
    from_embeds = model.generate(
        inputs_embeds=embeds, attention_mask=inputs["attention_mask"], **options
    )
    length = inputs["input_ids"].shape[1]
    assert torch.equal(from_embeds.sequences, from_ids.sequences[:, length:])


def test_numbers_stand_behind_the_instruction_and_nowhere_else(model, tokenizer):
    torch.manual_seed(0)
    inputs = encode(tokenizer, PROMPTS)
    output = model.generate(
        **inputs, max_new_tokens=40, do_sample=True, top_k=0, return_dict_in_generate=True
    )
    width = inputs["input_ids"].shape[1]
    before, after = output.sequences[:, width - 1 : -1], output.sequences[:, width:]
    assert torch.equal(after == tokenizer.number_token_id, before == NUMBER_INSTRUCTION)
    assert output.number_values[output.sequences != tokenizer.number_token_id].eq(0).all()


def test_a_written_number_changes_what_follows(model, tokenizer):
    """The number is read back by its value, not only by its position."""
    inputs = tokenizer(["<R>ACGTAC<=><M>"], return_tensors="pt")
    output = model.generate(
        **inputs, max_new_tokens=2, return_dict_in_generate=True, output_logits=True
    )
    ids, values = output.sequences[:, :-1], output.number_values[:, :-1]
    with torch.no_grad():
        read = model(input_ids=ids, number_values=values).logits[:, -1]
        other = model(input_ids=ids, number_values=values + 1.0).logits[:, -1]
    torch.testing.assert_close(output.logits[-1], read, atol=1e-4, rtol=1e-4)
    assert (output.logits[-1] - other).abs().max() > 1e-2


def test_sampling_follows_the_seed_of_torch(model, tokenizer):
    inputs = encode(tokenizer, PROMPTS)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(model.generate(**inputs, max_new_tokens=10, do_sample=True))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_num_return_sequences_carry_their_own_numbers(model, tokenizer):
    torch.manual_seed(3)
    inputs = encode(tokenizer, PROMPTS[:2])
    output = model.generate(
        **inputs,
        max_new_tokens=12,
        do_sample=True,
        num_return_sequences=3,
        return_dict_in_generate=True,
    )
    width = inputs["input_ids"].shape[1]
    assert output.sequences.shape == output.number_values.shape == (6, width + 12)
    assert torch.equal(output.sequences[:, :width], inputs["input_ids"].repeat_interleave(3, dim=0))
    assert len({tuple(row) for row in output.sequences[:3].tolist()}) > 1
    numbers = 0
    with torch.no_grad():
        for row, (ids, values) in enumerate(
            zip(output.sequences, output.number_values, strict=True)
        ):
            start = width - int(inputs["attention_mask"][row // 3].sum())
            read = model(input_ids=ids[None, start:], number_values=values[None, start:])
            expected = read.number_predictions[0, width - start - 1 : -1]
            is_number = ids[width:] == tokenizer.number_token_id
            numbers += int(is_number.sum())
            torch.testing.assert_close(
                values[width:][is_number], expected[is_number], atol=1e-4, rtol=1e-4
            )
    assert numbers > 3


def test_unused_rows_are_never_generated(model, tokenizer):
    torch.manual_seed(0)
    drawn = model.generate(
        **encode(tokenizer, ["<R>AC"] * 32),
        max_new_tokens=40,
        do_sample=True,
        temperature=1e4,
        top_k=0,
    )
    assert drawn.max() <= tokenizer.number_token_id
    assert len(drawn.unique()) == tokenizer.number_token_id + 1


def test_a_prompt_with_numbers_needs_their_values(model, tokenizer):
    inputs = tokenizer([PROMPTS[0]], return_tensors="pt")
    with pytest.raises(ValueError, match=r"number_values is missing: call model"):
        model.generate(input_ids=inputs["input_ids"], max_new_tokens=2)


def test_a_prompt_without_numbers_needs_no_values(model, tokenizer):
    inputs = tokenizer(["<R>ACGT"], return_tensors="pt")
    with_values = model.generate(**inputs, max_new_tokens=8)
    assert torch.equal(model.generate(inputs["input_ids"], max_new_tokens=8), with_values)


@torch.no_grad()
def plain_beam_search(model, tokenizer, prompt, new_tokens, num_beams):
    """Keep the most probable continuations, without a cache; numbers cannot be written."""
    encoded = tokenizer([prompt], return_tensors="pt")
    values = encoded["number_values"].float()
    beams = [(0.0, encoded["input_ids"][0].tolist())]
    for _ in range(new_tokens):
        longer = []
        for score, ids in beams:
            padded = torch.nn.functional.pad(values, (0, len(ids) - values.shape[1]))
            logits = model(
                input_ids=torch.tensor([ids]), number_values=padded, use_cache=False
            ).logits
            scores = logits[0, -1].log_softmax(-1)
            scores[NUMBER_INSTRUCTION] = -torch.inf
            best = scores.topk(num_beams)
            longer += [
                (score + new, [*ids, token])
                for new, token in zip(best.values.tolist(), best.indices.tolist(), strict=True)
            ]
        beams = sorted(longer, reverse=True)[:num_beams]
    return [ids for _, ids in beams]


def test_beams_are_those_of_a_plain_search(model, tokenizer):
    prompts = ["<R>ACGTAC<+><M>-0.5<=>", "<S>GA"]
    output = model.generate(
        **encode(tokenizer, prompts), max_new_tokens=6, num_beams=3, num_return_sequences=3
    )
    for row, prompt in enumerate(prompts):
        expected = plain_beam_search(model, tokenizer, prompt, 6, num_beams=3)
        found = output[3 * row : 3 * row + 3, -len(expected[0]) :].tolist()
        assert found == expected
    assert not (output[:, -6:] == NUMBER_INSTRUCTION).any()


def test_beams_refuse_a_prompt_that_asks_for_a_number(model, tokenizer):
    with pytest.raises(ValueError, match=r"ends in <M>.*num_beams=1"):
        model.generate(**encode(tokenizer, PROMPTS), max_new_tokens=2, num_beams=2)


def test_too_long_is_refused_before_generating(model, tokenizer, monkeypatch):
    inputs = tokenizer(["<R>ACGT"], return_tensors="pt")
    length = inputs["input_ids"].shape[1]
    output = model.generate(**inputs, max_new_tokens=64 - length)
    assert output.shape == (1, 64)
    monkeypatch.setattr(model.model.embed_tokens, "forward", None)
    with pytest.raises(ValueError, match=r"65 tokens \(up to 130 bp\) exceeds the model's 64"):
        model.generate(**inputs, max_new_tokens=65 - length)


def test_rows_are_padded_behind_their_stop_token(model, tokenizer):
    inputs = encode(tokenizer, PROMPTS)
    free = model.generate(**inputs, max_new_tokens=16, return_dict_in_generate=True)
    width = inputs["input_ids"].shape[1]
    candidates = [int(token) for token in free.sequences[1, width + 2 : width + 8].unique()]
    stop = next(token for token in candidates if token != tokenizer.number_token_id)
    output = model.generate(
        **inputs, max_new_tokens=16, eos_token_id=stop, return_dict_in_generate=True
    )
    ended = False
    for ids, values, expected in zip(
        output.sequences, output.number_values, free.sequences, strict=True
    ):
        new = ids[width:].tolist()
        end = new.index(stop) + 1 if stop in new else len(new)
        assert new[:end] == expected[width : width + end].tolist()
        assert set(new[end:]) <= {tokenizer.pad_token_id}
        assert values[width + end :].eq(0).all()
        ended |= end < len(new)
    assert ended


def test_bfloat16(model, tokenizer):
    half = make_model(tokenizer).to(torch.bfloat16)
    inputs = encode(tokenizer, PROMPTS)
    output = half.generate(**inputs, max_new_tokens=12, return_dict_in_generate=True)
    width = inputs["input_ids"].shape[1]
    assert output.number_values.dtype == torch.float32
    assert output.sequences.max() <= tokenizer.number_token_id
    # the first number of the first row, read behind the prompt
    assert output.sequences[0, width] == tokenizer.number_token_id
    with torch.no_grad():
        expected = model(**inputs).number_predictions[0, -1]
    torch.testing.assert_close(output.number_values[0, width], expected, atol=0.1, rtol=0.1)


def test_return_types(model, tokenizer):
    inputs = encode(tokenizer, PROMPTS)
    in_dict = model.generate(
        **inputs, max_new_tokens=4, return_dict_in_generate=True, output_scores=True
    )
    plain = model.generate(**inputs, max_new_tokens=4)
    assert isinstance(in_dict, DNAGPTGenerateOutput)
    assert torch.equal(plain, in_dict.sequences)
    assert in_dict.number_values.shape == in_dict.sequences.shape
    assert in_dict.number_values.dtype == torch.float32
    assert len(in_dict.scores) == 4


def test_decoded_text_reads_as_what_was_generated(tokenizer):
    """Text of prompt and continuation, numbers included, encodes to the same ids and numbers."""
    model = make_model(tokenizer)
    inputs = encode(tokenizer, ["<R>ACGTAC<+><M>-0.5<=><M>", "<V>AA<=><M>"])
    output = model.generate(**inputs, max_new_tokens=1, return_dict_in_generate=True)
    texts = tokenizer.batch_decode(output, skip_special_tokens=True)
    again = encode(tokenizer, texts)
    assert torch.equal(again["input_ids"], output.sequences)
    assert torch.equal(again["number_values"].float(), output.number_values)
    assert texts[0].startswith("<R>ACGTAC<+><M>-0.5<=><M>")
    assert float(texts[0].rsplit(">", 1)[1]) == pytest.approx(float(output.number_values[0, -1]))
