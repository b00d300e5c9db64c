"""Constraints, seeded sampling, and generation of DNA and records in batches."""

import math
import re

import pytest
import torch

from dnagpt_hf import DNAGPTConfig, DNAGPTForMultiTask, DNAGPTTokenizer
from dnagpt_hf.generation import (
    AnswersOnly,
    DNAOnly,
    ExactBases,
    SeededNoise,
    WellFormedText,
    generate_dna,
    generate_records,
    sequence_keys,
    split_remainder,
)

POSITIONS = 48
STOP = "<X>"
DNA = "ACGTTGCATTGAC"


def make_model(tokenizer: DNAGPTTokenizer) -> DNAGPTForMultiTask:
    config = DNAGPTConfig(
        vocab_size=-(-(tokenizer.number_token_id + 1) // 64) * 64,
        num_tokens=tokenizer.number_token_id + 1,
        number_token_id=tokenizer.number_token_id,
        kmer_size=tokenizer.kmer_size,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=POSITIONS,
    )
    model = DNAGPTForMultiTask(config).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for _, weight in sorted(model.named_parameters()):
            if weight.ndim == 2:
                weight.normal_(0, 0.5, generator=generator)
    return model


@pytest.fixture(scope="module")
def tokenizer() -> DNAGPTTokenizer:
    return DNAGPTTokenizer()


@pytest.fixture(scope="module")
def model(tokenizer: DNAGPTTokenizer) -> DNAGPTForMultiTask:
    return make_model(tokenizer)


@pytest.fixture(scope="module")
def fixed_tokenizer() -> DNAGPTTokenizer:
    return DNAGPTTokenizer(dynamic_kmer=False)


@pytest.fixture(scope="module")
def fixed_model(fixed_tokenizer: DNAGPTTokenizer) -> DNAGPTForMultiTask:
    return make_model(fixed_tokenizer)


@pytest.fixture(scope="module")
def small_tokenizer() -> DNAGPTTokenizer:
    return DNAGPTTokenizer(kmer_size=2)


@pytest.fixture(scope="module")
def small_model(small_tokenizer: DNAGPTTokenizer) -> DNAGPTForMultiTask:
    model = make_model(small_tokenizer)
    with torch.no_grad():
        model.token_head.out_proj.weight[model.config.number_instruction_token_id] *= 4
    return model


def encode(tokenizer, prompts):
    return tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left")


def without_padding(tokenizer, ids):
    return [token for token in ids.tolist() if token != tokenizer.pad_token_id]


# -- exact lengths ---------------------------------------------------------------------------------


def test_exact_length_behind_prompts_of_any_length(model, tokenizer):
    cases = [(length, n) for length in range(14) for n in range(1, 26)]
    prompts = ["<R>" + DNA[:length] for length, _ in cases]
    lengths = [n for _, n in cases]
    results = generate_dna(model, tokenizer, prompts, lengths, batch_size=64, seed=4)
    assert [len(bases) for bases in results] == lengths
    assert set("".join(results)) == set("ACGT")
    assert len(set(results)) > 300


def test_exact_length_in_the_fixed_vocabulary(fixed_model, fixed_tokenizer):
    for length in range(14):
        prompt = "<R>" + DNA[:length]
        fits = [n for n in range(1, 26) if (length + n) % 6 == 0]
        results = generate_dna(fixed_model, fixed_tokenizer, [prompt] * len(fits), fits)
        assert [len(bases) for bases in results] == fits
        assert set("".join(results)) <= set("ACGT")
        for n in set(range(1, 26)) - set(fits):
            nearest = [n + d for d in range(-5, 6) if n + d > 0 and (length + n + d) % 6 == 0]
            message = rf"num_bases {n}\b.*k-mers of 6.*ask for {' or '.join(map(str, nearest))}$"
            with pytest.raises(ValueError, match=message):
                generate_dna(fixed_model, fixed_tokenizer, prompt, n)


@pytest.mark.parametrize("vocabulary", ["dynamic", "fixed"])
def test_prompt_and_new_bases_are_cut_as_the_tokenizer_cuts_them(vocabulary, request):
    """Rows of different remainder and length in one batch; text and ids say the same."""
    prefix = "fixed_" if vocabulary == "fixed" else ""
    model = request.getfixturevalue(f"{prefix}model")
    tokenizer = request.getfixturevalue(f"{prefix}tokenizer")
    prompts = ["<R>" + DNA[:length] for length in range(14)]
    lengths = [12 - length % 6 if prefix else 3 + length for length in range(14)]
    heads, remainders = zip(*(split_remainder(tokenizer, text) for text in prompts), strict=True)
    assert [len(bases) for bases in remainders] == [length % 6 for length in range(14)]
    inputs = encode(tokenizer, list(heads))
    width = inputs["input_ids"].shape[1]
    exact = ExactBases(tokenizer, lengths, width, remainders)
    sequences = model.generate(
        **inputs, max_new_tokens=int(exact.total.max()), logits_processor=[exact]
    )
    for row, (prompt, n, remainder) in enumerate(zip(prompts, lengths, remainders, strict=True)):
        ids = without_padding(tokenizer, sequences[row])
        bases = tokenizer.decode_dna(without_padding(tokenizer, sequences[row, width:]))
        assert bases.startswith(remainder)
        bases = bases[len(remainder) :]
        assert len(bases) == n
        assert tokenizer(prompt + bases)["input_ids"] == ids
        # the call on text gives the same
        assert generate_dna(model, tokenizer, prompt, n, do_sample=False) == [bases]


@torch.no_grad()
def plain_dna(model, tokenizer, prompt, n):
    """Greedy search over a list of the tokens that are allowed, for one row."""
    head, remainder = split_remainder(tokenizer, prompt)
    ids = tokenizer(head)["input_ids"]
    kmers = {
        token: i
        for i, token in enumerate(tokenizer.convert_ids_to_tokens(range(len(tokenizer))))
        if set(token) <= set("ACGT")
    }
    written = ""
    while len(written) < len(remainder) + n:
        size = min(6, len(remainder) + n - len(written))
        begin = "" if written else remainder
        fits = [kmer for kmer in kmers if len(kmer) == size and kmer.startswith(begin)]
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
        best = max(fits, key=lambda kmer: float(logits[kmers[kmer]]))
        ids = [*ids, kmers[best]]
        written += best
    return written[len(remainder) :]


def test_most_probable_dna_is_that_of_a_plain_search(model, tokenizer):
    prompts, lengths = ["<R>ACGTAC", "<S>AC", "<S>ACGTACGTT", "<V>"], [8, 17, 3, 13]
    expected = [plain_dna(model, tokenizer, *row) for row in zip(prompts, lengths, strict=True)]
    assert generate_dna(model, tokenizer, prompts, lengths, do_sample=False) == expected


def test_n_in_the_prompt_and_on_request(model, tokenizer):
    for seed in range(3):
        dna = generate_dna(model, tokenizer, "<R>ACGTACNN", 30, seed=seed, num_return_sequences=4)
        assert not any("N" in bases for bases in dna)
    dna = generate_dna(model, tokenizer, "<R>ACGT", 30, allow_n=True, num_return_sequences=4)
    assert any("N" in bases for bases in dna)


def test_padding_behind_the_last_base(model, tokenizer):
    inputs = encode(tokenizer, ["<R>ACGTAC", "<R>"])
    width = inputs["input_ids"].shape[1]
    exact = ExactBases(tokenizer, [20, 6], width)
    new = model.generate(**inputs, max_new_tokens=5, logits_processor=[exact])[:, width:]
    assert new[:, 4].tolist() == [20, 20] and new[1, 1:].tolist() == [20] * 4
    assert len(tokenizer.decode_dna(new[0, :4])) == 20
    assert len(tokenizer.decode_dna(new[1, :1])) == 6


def test_arguments_of_exact_length(tokenizer):
    with pytest.raises(ValueError, match="2 lengths do not fit 3 remainders"):
        ExactBases(tokenizer, [5, 6], 1, ["", "A", "C"])
    with pytest.raises(ValueError, match="2 lengths or remainders do not fit 3 rows"):
        ExactBases(tokenizer, [5, 6], 1).allowed(torch.zeros(3, 1, dtype=torch.long))


def test_rows_that_generate_repeats_keep_their_length(model, tokenizer):
    inputs = encode(tokenizer, ["<R>ACGTAC", "<S>"])
    width = inputs["input_ids"].shape[1]
    exact = ExactBases(tokenizer, [14, 5], width, ["", "GA"])
    beams = model.generate(
        **inputs,
        max_new_tokens=4,
        logits_processor=[exact],
        num_beams=3,
        num_return_sequences=2,
    )
    dna = [tokenizer.decode_dna(without_padding(tokenizer, row[width:])) for row in beams]
    assert [len(bases) for bases in dna] == [14, 14, 7, 7]
    assert all(bases.startswith("GA") for bases in dna[2:])
    assert dna[0] != dna[1]


# -- other constraints -----------------------------------------------------------------------------


def test_only_dna_is_whole_kmers(small_model, small_tokenizer):
    torch.manual_seed(0)
    inputs = encode(small_tokenizer, ["<R>AC"] * 16)
    options = {"max_new_tokens": 20, "do_sample": True, "temperature": 5.0, "top_k": 0}
    for allow_n, number in ((False, 4**2), (True, 5**2)):
        output = small_model.generate(
            **inputs, logits_processor=[DNAOnly(small_tokenizer, allow_n)], **options
        )
        assert len(output[:, -20:].unique()) == number
        text = small_tokenizer.decode_dna(output[:, -20:].flatten())
        assert set(text) == set("ACGTN" if allow_n else "ACGT")


def test_only_dna_may_end_with_a_stop_token(small_model, small_tokenizer):
    torch.manual_seed(0)
    stop = small_tokenizer.convert_tokens_to_ids(STOP)
    output = small_model.generate(
        **encode(small_tokenizer, ["<R>AC"] * 64),
        logits_processor=[DNAOnly(small_tokenizer, stop_tokens=[STOP])],
        eos_token_id=stop,
        max_new_tokens=20,
        do_sample=True,
        temperature=5.0,
        top_k=0,
    )
    texts = small_tokenizer.batch_decode(output[:, 2:], skip_special_tokens=True)
    assert any(len(text.removesuffix(STOP)) % 2 for text in texts)
    for text in texts:
        assert re.fullmatch(rf"[ACGT]*({STOP})?", text)
        # a shorter k-mer stands at the end only, so that the text is read as it was written
        again = small_tokenizer(text)["input_ids"]
        assert again == without_padding(small_tokenizer, output[texts.index(text), 2:])


def test_only_answers_for_the_next_token(small_model, small_tokenizer):
    torch.manual_seed(0)
    inputs = encode(small_tokenizer, ["<R>AC<=><B>"] * 16 + ["<B>"])
    width = inputs["input_ids"].shape[1]
    answers = {small_tokenizer.convert_tokens_to_ids(base) for base in "AN"}
    for spelled in (["A", "N"], ["<A>", "<N>"], sorted(answers)):
        output = small_model.generate(
            **inputs,
            logits_processor=[AnswersOnly(small_tokenizer, spelled, prompt_length=width)],
            max_new_tokens=3,
            do_sample=True,
            temperature=5.0,
        )
        assert set(output[:, width].tolist()) == answers
        assert not set(output[:, width + 1 :].flatten().tolist()) <= answers
    everywhere = small_model.generate(
        **inputs, logits_processor=[AnswersOnly(small_tokenizer, ["A", "N"])], max_new_tokens=3
    )
    assert set(everywhere[:, width:].flatten().tolist()) <= answers


def test_answers_must_be_tokens(tokenizer):
    with pytest.raises(ValueError, match="'ACGTACGT' is 2 tokens"):
        AnswersOnly(tokenizer, ["A", "ACGTACGT"])
    with pytest.raises(ValueError, match="id 19565 does not lie between 0 and 19564"):
        AnswersOnly(tokenizer, [19565])
    with pytest.raises(ValueError, match="'AN': pass a list"):
        AnswersOnly(tokenizer, "AN")
    with pytest.raises(ValueError, match=r"\[\]: pass a list"):
        AnswersOnly(tokenizer, [])


# -- sampling --------------------------------------------------------------------------------------


def test_noise_draws_from_the_softmax():
    rows = 40_000
    scores = torch.tensor([2.0, 1.0, 0.0, -1.0, -torch.inf, 1.5, -3.0])
    keys = sequence_keys(0, torch.arange(rows), torch.zeros(rows, dtype=torch.long))
    noise = SeededNoise(keys, prompt_length=1)
    for length in (1, 2):
        ids = torch.zeros(rows, length, dtype=torch.long)
        drawn = noise(ids, scores.expand(rows, -1)).argmax(-1)
        found = drawn.bincount(minlength=len(scores)) / rows
        expected = scores.softmax(-1)
        deviation = (expected * (1 - expected) / rows).sqrt()
        assert ((found - expected).abs() <= 4 * deviation).all()


def test_noise_is_gumbel_and_uncorrelated():
    keys = sequence_keys(7, torch.arange(64).repeat(2), torch.arange(2).repeat_interleave(64))
    ids = torch.zeros(128, 3, dtype=torch.long)
    scores = torch.zeros(128, 2048)
    noise = torch.stack([SeededNoise(keys, start)(ids, scores) for start in (3, 2, 1)])
    assert noise.isfinite().all()
    assert noise.mean() == pytest.approx(0.5772, abs=0.006)
    assert noise.var() == pytest.approx(math.pi**2 / 6, abs=0.02)
    standard = (noise - noise.mean()) / noise.std()
    for axis in range(3):
        neighbours = standard.narrow(axis, 1, standard.shape[axis] - 1)
        products = neighbours * standard.narrow(axis, 0, standard.shape[axis] - 1)
        assert abs(products.mean()) < 0.006
    assert len(set(keys.tolist())) == 128
    copies = standard[:, :64] * standard[:, 64:]
    assert abs(copies.mean()) < 0.006


def test_a_sequence_does_not_depend_on_its_batch(model, tokenizer):
    prompts = ["<R>ACGTACGTTA", "<S>", "<V>GATTACAGA", "<R>AC", "<L>ACGTTGCATTGACC"]
    lengths = [40, 31, 17, 60, 25]
    arguments = {"num_return_sequences": 2, "temperature": 0.8, "top_k": 200, "top_p": 0.95}
    expected = generate_dna(model, tokenizer, prompts, lengths, batch_size=1, seed=5, **arguments)
    for batch_size in (3, 8):
        assert expected == generate_dna(
            model, tokenizer, prompts, lengths, batch_size=batch_size, seed=5, **arguments
        )
    assert len(set(expected)) == 10
    # more copies and more prompts leave the first ones as they are
    more = generate_dna(
        model,
        tokenizer,
        [*prompts, "<R>"],
        [*lengths, 9],
        seed=5,
        **{**arguments, "num_return_sequences": 3},
    )
    assert [bases for i, bases in enumerate(more[:15]) if i % 3 < 2] == expected
    other = generate_dna(model, tokenizer, prompts, lengths, seed=6, **arguments)
    assert not set(other) & set(expected)
    # nor on what PyTorch has drawn before
    torch.manual_seed(123)
    assert expected == generate_dna(model, tokenizer, prompts, lengths, seed=5, **arguments)


def test_the_limits_of_sampling_hold(model, tokenizer):
    greedy = generate_dna(model, tokenizer, "<R>ACGT", 20, do_sample=False)
    assert generate_dna(model, tokenizer, "<R>ACGT", 20, top_k=1) == greedy
    assert generate_dna(model, tokenizer, "<R>ACGT", 20, top_p=1e-6) == greedy
    assert generate_dna(model, tokenizer, "<R>ACGT", 20, temperature=1e-4) == greedy
    assert generate_dna(model, tokenizer, "<R>ACGT", 20) != greedy


def test_options_of_generate_are_passed_on(model, tokenizer):
    prompts, reported = ["<R>ACGTACG", "<S>", "<V>AC"], []
    expected = generate_dna(model, tokenizer, prompts, 30)
    assert expected == generate_dna(
        model,
        tokenizer,
        prompts,
        30,
        cache_implementation="static",
        disable_compile=True,
        batch_size=2,
        on_batch=reported.append,
    )
    assert reported == [2, 3]


# -- lengths and mistakes --------------------------------------------------------------------------


def test_positions_are_used_up_to_the_last(model, tokenizer):
    long = "<R>" + "ACGTAC" * 30
    prompts = [long, "<R>", long + "AC", "<R>AC"]
    lengths = [6 * (POSITIONS - 31), 6 * (POSITIONS - 1), 1, 3]
    dna = generate_dna(model, tokenizer, prompts, lengths)
    # no two of the first three fit into one batch with the padding of the other
    assert [len(bases) for bases in dna] == lengths
    with pytest.raises(
        ValueError,
        match=r"prompt 1 of 1 tokens and 48 new tokens \(up to 288 bp\) exceed the model's 48 "
        r"positions \(288 bp\)",
    ):
        generate_dna(model, tokenizer, prompts, [1, 6 * (POSITIONS - 1) + 1, 1, 1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompts": []}, "no prompt was given"),
        ({"num_bases": 0}, "num_bases is 0"),
        ({"num_bases": -4}, "num_bases is -4"),
        ({"num_bases": [3, 4]}, "2 values of num_bases do not fit 1 prompts"),
        ({"prompts": ""}, "prompt 0 .* no whole token"),
        ({"prompts": ["<R>", "ACG"]}, r"prompt 1 \('ACG'\) holds no whole token.*<R>"),
        ({"prompts": "<R>ACGTAC<=><M>"}, "prompt 0 ends in <M> or a number"),
        ({"prompts": "<R>ACGTAC<=><M>0.5"}, "prompt 0 ends in <M> or a number"),
        ({"prompts": "<R>ACGTACZ"}, "Z"),
        ({"num_return_sequences": 0}, "num_return_sequences is 0"),
        ({"num_return_sequences": 2, "do_sample": False}, "without sampling"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"temperature": 0.0}, "temperature"),
    ],
)
def test_mistakes_are_named_before_anything_is_generated(
    small_model, tokenizer, model, monkeypatch, arguments, message
):
    monkeypatch.setattr(model.model.embed_tokens, "forward", None)
    with pytest.raises(ValueError, match=message):
        generate_dna(
            **{"model": model, "tokenizer": tokenizer, "prompts": "<R>", "num_bases": 6} | arguments
        )


def test_tokenizer_of_another_model_is_refused(model, fixed_tokenizer):
    with pytest.raises(ValueError, match="number_token_id 15659 is not the model's 19564"):
        generate_dna(model, fixed_tokenizer, "<R>", 6)


def test_remainders(tokenizer, fixed_tokenizer):
    for each in (tokenizer, fixed_tokenizer):
        assert split_remainder(each, "<R>") == ("<R>", "")
        assert split_remainder(each, "<R>ACGTAC") == ("<R>ACGTAC", "")
        assert split_remainder(each, "<R>ACG<+>GT") == ("<R>ACG<+>", "GT")
        assert split_remainder(each, "<R>ACGTAC g u\nRa ") == ("<R>ACGTAC ", "GTNA")
        assert split_remainder(each, "<M>0.5") == ("<M>0.5", "")


# -- records ---------------------------------------------------------------------------------------

RECORDS = ["<R>ACGTAC<+><M>-0.5<=><M>", "<S>GATTAC", "<R>ACGTACGGTT<+><M>0.25 1e-3<=>"]


NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?(?=$|[ <A-Z])")


def assert_same_records(found, expected):
    """Equal texts, and equal numbers but for rounding inside the model."""
    for text, other in zip(found, expected, strict=True):
        assert NUMBER.sub("#", text) == NUMBER.sub("#", other)
        numbers, others = ([float(x) for x in NUMBER.findall(each)] for each in (text, other))
        assert numbers == pytest.approx(others, rel=1e-4)


def test_records_are_what_generate_writes(small_model, small_tokenizer):
    inputs = encode(small_tokenizer, RECORDS)
    width = inputs["input_ids"].shape[1]
    output = small_model.generate(
        **inputs,
        max_new_tokens=20,
        suppress_tokens=[small_tokenizer.pad_token_id],
        logits_processor=[WellFormedText(small_tokenizer, width)],
        return_dict_in_generate=True,
    )
    expected = small_tokenizer.batch_decode(
        output.sequences[:, width:], number_values=output.number_values[:, width:]
    )
    texts = generate_records(small_model, small_tokenizer, RECORDS, 20, do_sample=False)
    assert_same_records(texts, expected)
    assert sum(text.count("<M>") for text in texts) >= 3


def test_records_read_as_they_were_written(small_model, small_tokenizer):
    """Each new token is found again in the text of prompt and continuation."""
    texts = generate_records(
        small_model, small_tokenizer, RECORDS, 20, num_return_sequences=20, temperature=2.0
    )
    for prompt, text in zip([each for each in RECORDS for _ in range(20)], texts, strict=True):
        read = small_tokenizer(prompt + text)
        assert len(read["input_ids"]) == len(small_tokenizer(prompt)["input_ids"]) + 20
        assert (
            small_tokenizer.decode(read) == small_tokenizer.decode(small_tokenizer(prompt)) + text
        )
    written = "".join(texts)
    # the cases in which text could have become unreadable have come up
    assert re.search(r"<M>[-0-9.]+<", written)
    assert re.search(r">(?:[ACGTN]{2})*[ACGTN]<", written)


def test_readable_text_gives_way_to_other_constraints(small_model, small_tokenizer):
    prompts = ["<R>ACGTAC<=><M>0.5", "<R>AC<=><B>"]
    answers = generate_records(
        small_model, small_tokenizer, prompts, 2, logits_processor=[DNAOnly(small_tokenizer)]
    )
    assert all(re.fullmatch("[ACGT]{4}", text.strip()) for text in answers)


def test_records_do_not_depend_on_their_batch(small_model, small_tokenizer):
    drawn = [
        generate_records(
            small_model, small_tokenizer, RECORDS, 20, batch_size=size, num_return_sequences=3
        )
        for size in (1, 3, 8)
    ]
    assert_same_records(drawn[1], drawn[0])
    assert_same_records(drawn[2], drawn[0])
    assert any(NUMBER.search(text) for text in drawn[0])
    assert len(set(drawn[0])) == 9


def test_records_end_at_their_stop_token(small_model, small_tokenizer):
    free = generate_records(small_model, small_tokenizer, RECORDS, 20, do_sample=False)
    stop = re.search(r"<[^>BMP]>", free[1]).group()
    ended = generate_records(
        small_model, small_tokenizer, RECORDS, 20, do_sample=False, stop_token=stop
    )
    assert ended == [
        text[: text.index(stop) + len(stop)] if stop in text else text for text in free
    ]
    assert ended[1].endswith(stop)


def test_records_take_constraints(small_model, small_tokenizer):
    answers = generate_records(
        small_model,
        small_tokenizer,
        ["<R>ACGTAC<=><B>", "<S>AC<=><B>"],
        1,
        logits_processor=[AnswersOnly(small_tokenizer, ["A", "N"])],
        num_return_sequences=8,
        temperature=5.0,
    )
    assert set(answers) == {"A", "N"}


def test_mistakes_in_records_are_named(small_model, small_tokenizer):
    with pytest.raises(ValueError, match="no prompt was given"):
        generate_records(small_model, small_tokenizer, [], 5)
    with pytest.raises(ValueError, match="max_new_tokens is 0"):
        generate_records(small_model, small_tokenizer, "<R>", 0)
    with pytest.raises(ValueError, match=r"48 new tokens \(up to 96 bp\) exceed the model's 48"):
        generate_records(small_model, small_tokenizer, "<R>", POSITIONS)
    with pytest.raises(ValueError, match=r"prompt 0 .* no whole token"):
        generate_records(small_model, small_tokenizer, [" "], 5)
