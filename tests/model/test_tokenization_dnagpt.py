"""The tokenizer against a plain reference, and everything that Transformers asks of a tokenizer."""

import copy
import gc
import inspect
import itertools
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader
from transformers import BatchEncoding, DataCollatorWithPadding
from transformers.utils import ModelOutput

from dnagpt_hf import DNAGPTForMultiTask, tokenization_dnagpt
from dnagpt_hf.tokenization_dnagpt import NUMBER_TOKEN, PROPERTY_TOKENS, SPECIES, DNAGPTTokenizer

DYNAMIC = DNAGPTTokenizer()
FIXED = DNAGPTTokenizer(dynamic_kmer=False)
M, P, NUMBER = 18, 20, 19564


@cache
def reference_vocabulary(kmer_size: int = 6, dynamic: bool = True) -> dict[str, int]:
    words = [f"<{token}>" for token in "0123456789+-*/=&|!MBPRIKLOQSUVWYXZ"]
    for length in range(1 if dynamic else kmer_size, kmer_size + 1):
        words += ["".join(letters) for letters in itertools.product("NAGCT", repeat=length)]
    return {word: index for index, word in enumerate([*words, "<number>"])}


def reference_encode(text: str, kmer_size: int = 6) -> tuple[list[int], list[float]]:
    """Ids and numbers of a valid text in the dynamic vocabulary, one look-up at a time."""
    vocabulary = reference_vocabulary(kmer_size)
    ids: list[int] = []
    numbers: list[float] = []
    token = ""
    for piece in re.split(r"(<[^<>]*>)", text):
        if piece.startswith("<"):
            token = piece
            ids.append(vocabulary[piece if piece not in ("<A>", "<N>") else piece[1]])
            numbers.append(0.0)
        elif token == "<M>":
            for number in piece.split():
                ids.append(vocabulary["<number>"])
                numbers.append(float(np.float32(number)))
        else:
            bases = "".join(piece.split()).upper().replace("U", "T")
            bases = re.sub("[RYSWKMBDHV]", "N", bases)
            for start in range(0, len(bases), kmer_size):
                ids.append(vocabulary[bases[start : start + kmer_size]])
                numbers.append(0.0)
    return ids, numbers


def same(left: BatchEncoding, right: BatchEncoding) -> bool:
    return (
        left["input_ids"] == right["input_ids"] and left["number_values"] == right["number_values"]
    )


dna = st.text(alphabet="ACGTN", max_size=40)
loose_dna = st.text(alphabet="ACGTNacgtnuURYSWKMBDHVrykm \n\r\t", max_size=40)
finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
numbers_of_text = st.lists(finite.map(lambda value: repr(value)), max_size=4).map(" ".join)


@st.composite
def records(draw: st.DrawFn, letters: st.SearchStrategy[str] = dna) -> str:
    pieces = [draw(letters)]
    names = [*PROPERTY_TOKENS, "<A>", "<N>"]
    for token in draw(st.lists(st.sampled_from(names) | st.just("<M>"), max_size=6)):
        pieces.append(token)
        pieces.append(draw(numbers_of_text if token == "<M>" else letters))
    return "".join(pieces)


# -- vocabulary --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kmer_size", "dynamic"), [(6, True), (6, False), (1, True), (3, True), (4, False)]
)
def test_vocabulary_equals_the_reference(kmer_size: int, dynamic: bool) -> None:
    tokenizer = DNAGPTTokenizer(kmer_size=kmer_size, dynamic_kmer=dynamic)
    vocabulary = reference_vocabulary(kmer_size, dynamic)
    assert tokenizer.get_vocab() == vocabulary
    assert tokenizer.vocab_size == len(tokenizer) == len(vocabulary)
    assert tokenizer.number_token_id == len(vocabulary) - 1
    assert tokenizer.convert_ids_to_tokens(list(range(len(vocabulary)))) == list(vocabulary)
    assert tokenizer.convert_tokens_to_ids(list(vocabulary)) == list(range(len(vocabulary)))


def test_released_vocabularies() -> None:
    assert (DYNAMIC.number_token_id, len(DYNAMIC)) == (19564, 19565)
    assert (FIXED.number_token_id, len(FIXED)) == (15659, 15660)
    assert DYNAMIC.pad_token_id == FIXED.pad_token_id == P
    assert DYNAMIC.number_token == NUMBER_TOKEN
    assert set(SPECIES) < set(PROPERTY_TOKENS)
    assert DYNAMIC.convert_tokens_to_ids(["<A>", "<N>"]) == DYNAMIC.convert_tokens_to_ids(
        ["A", "N"]
    )


@pytest.mark.parametrize(
    "arguments",
    [
        {"kmer_size": 0},
        {"kmer_size": 9},
        {"kmer_size": True},
        {"kmer_size": 2.0},
        {"remainder": "keep"},
        {"dynamic_kmer": 1},
    ],
)
def test_bad_arguments(arguments: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        DNAGPTTokenizer(**arguments)


@pytest.mark.parametrize("token", ["<foo>", "ACGTACG", "acgtac", "", "<>", "(A)", "xRx"])
def test_unknown_token_has_no_id(token: str) -> None:
    with pytest.raises(ValueError, match="unknown token"):
        DYNAMIC.convert_tokens_to_ids(token)
    with pytest.raises(ValueError, match="id 19565 is not in the vocabulary"):
        DYNAMIC.convert_ids_to_tokens([19565])


# -- text to ids -------------------------------------------------------------------------------


@given(records(loose_dna))
@example("<1><2>")
@example("")
@example("R")
@settings(deadline=None, max_examples=300)
def test_encoding_equals_the_reference(text: str) -> None:
    ids, numbers = reference_encode(text)
    encoding = DYNAMIC(text)
    assert encoding["input_ids"] == ids
    assert encoding["number_values"] == numbers
    assert encoding["attention_mask"] == [1] * len(ids)


@pytest.mark.parametrize("kmer_size", range(1, 9))
@given(st.data())
@settings(deadline=None, max_examples=25)
def test_every_kmer_size(kmer_size: int, data: st.DataObject) -> None:
    tokenizer = DNAGPTTokenizer(kmer_size=kmer_size)
    sequence = data.draw(st.text(alphabet="ACGTN", max_size=40))
    vocabulary = tokenizer.get_vocab()
    cut = [sequence[at : at + kmer_size] for at in range(0, len(sequence), kmer_size)]
    ids = tokenizer.encode_dna(sequence).tolist()
    assert ids == [vocabulary[kmer] for kmer in cut] == tokenizer(sequence)["input_ids"]
    assert tokenizer.decode_dna(ids) == sequence == tokenizer.decode(ids)
    text = f"<A>{sequence}<N>{sequence}<A>"
    assert tokenizer(tokenizer.decode(tokenizer(text)))["input_ids"] == tokenizer(text)["input_ids"]


def test_long_sequences_cross_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    letters = np.random.default_rng(0).choice(np.frombuffer(b"ACGTNacgu", np.uint8), 6 * 1000 + 5)
    whole = DYNAMIC.encode_dna(letters)
    monkeypatch.setattr(tokenization_dnagpt, "_BLOCK", 64)
    assert (DYNAMIC.encode_dna(letters) == whole).all()
    assert whole.tolist() == reference_encode(letters.tobytes().decode())[0]
    letters[3001] = ord("-")
    with pytest.raises(ValueError, match="'-' at position 3002"):
        DYNAMIC.encode_dna(letters)


@given(st.text(max_size=30) | st.text(alphabet="<>ACGTRM=+-.0123eE \n_xnaifN", max_size=30))
@example("\u017f\u212a")
@example("<M>1_0")
@example("<M>0x1")
@example("<M>٣")
@example("<M>\u20031")
@example("ACG\x00")
@example("\ud800")
@settings(deadline=None, max_examples=500)
def test_any_text_encodes_or_raises_value_error(text: str) -> None:
    try:
        encoding = DYNAMIC(text)
    except ValueError as error:
        assert str(error) and "\n" not in str(error)
        return
    assert encoding["input_ids"].count(0) == text.count("<0>")
    assert reference_encode(text) == (encoding["input_ids"], encoding["number_values"])


BAD_TEXTS = [
    ("ACG-T", "character '-' at position 4"),
    ("<R>ACG*T", "character '\\*' at position 7"),
    ("<R>ACG.T", "character '.' at position 7 .* behind <M>"),
    ("ACGTÉ", "character 'É' at position 5"),
    ("A\u00a0C", "position 2"),
    ("JACGT", "character 'J' at position 1"),
    ("<R>AC 0.5", "character '0' at position 7 .* behind <M>"),
    ("<M>0.5<=>0.5", "character '0' at position 10"),
    ("<M>ACGT", "'ACGT' at position 4 is not a decimal number"),
    ("<M>0.5 ACGT", "'ACGT' at position 8"),
    ("<M>1,5", "'1,5' at position 4"),
    ("<M>nan", "'nan' at position 4"),
    ("<M>-inf", "'-inf'"),
    ("<M>1e39", "1e39 at position 4 is not finite"),
    ("<M>1e999", "1e999 at position 4 is not finite"),
    ("<M>.", "'.' at position 4"),
    ("<M>1e", "'1e' at position 4"),
    ("<R", "'<' at position 1 is not closed"),
    ("A<R>C<", "'<' at position 6"),
    ("A>", "character '>' at position 2"),
    ("<<R>", "'<' at position 1"),
    ("AC<foo>", "unknown token '<foo>' at position 3: the tokens are <0> <1>"),
    ("<r>", "unknown token '<r>'"),
    ("<>", "unknown token '<>'"),
    ("< R>", "unknown token '< R>'"),
    ("<number>", "unknown token '<number>' at position 1: write the number itself"),
]


@pytest.mark.parametrize(("text", "message"), BAD_TEXTS)
def test_bad_text_names_what_and_where(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DYNAMIC(text)
    with pytest.raises(ValueError, match=f"record 1: .*{message}"):
        DYNAMIC(["<R>ACGT", text])


def test_numbers_are_float32() -> None:
    texts = {"3.4028235e38": 3.4028234663852886e38, "-0": -0.0, "+.5": 0.5, "1.": 1.0, "1E-3": 1e-3}
    for text, value in texts.items():
        assert DYNAMIC(f"<M>{text}")["number_values"] == [0.0, float(np.float32(value))]
    encoding = DYNAMIC("<M> 1\n2\t3 <=>")
    assert encoding["input_ids"] == [M, NUMBER, NUMBER, NUMBER, 14]
    assert encoding["number_values"] == [0, 1, 2, 3, 0]
    assert DYNAMIC("<M>")["input_ids"] == [M]


def test_no_tokens_are_added() -> None:
    for flag in (True, False):
        assert DYNAMIC("<P><R>ACGTAC<P>", add_special_tokens=flag)["input_ids"] == [
            20,
            21,
            9297,
            20,
        ]
    assert DYNAMIC.num_special_tokens_to_add() == 0


def test_what_it_gives_are_the_inputs_of_a_model() -> None:
    encoding = DYNAMIC("<R>ACGTAC<+><M>0.5")
    assert list(encoding) == DYNAMIC.model_input_names
    assert {*encoding} <= {*inspect.signature(DNAGPTForMultiTask.forward).parameters}


def test_empty_input() -> None:
    assert dict(DYNAMIC("")) == {"input_ids": [], "attention_mask": [], "number_values": []}
    assert DYNAMIC(["", "<R>"], padding=True)["input_ids"] == [[20], [21]]
    assert DYNAMIC("", return_tensors="pt")["input_ids"].shape == (1, 0)
    assert DYNAMIC([])["input_ids"] == []
    assert DYNAMIC([], return_tensors="np")["input_ids"].shape == (0, 0)
    assert DYNAMIC.encode_dna("").tolist() == []
    assert DYNAMIC.decode([]) == DYNAMIC.decode_dna([]) == ""
    assert DYNAMIC.batch_decode([]) == []


# -- fixed vocabulary --------------------------------------------------------------------------


def test_remainder_of_the_fixed_vocabulary() -> None:
    assert FIXED("<R>ACG TAC<=>")["input_ids"] == [21, FIXED.get_vocab()["ACGTAC"], 14]
    for call in (FIXED, FIXED.encode_dna):
        with pytest.raises(ValueError, match=r"last 2 bases .*remainder='drop' or 'pad'"):
            call("ACGTAC GT")
    for choice, expected in {"drop": "ACGTAC", "pad": "ACGTACGTNNNN"}.items():
        tokenizer = DNAGPTTokenizer(dynamic_kmer=False, remainder=choice)
        for text in ("ACGTACGT", "acguac\ngu \n"):
            assert tokenizer.decode(tokenizer(text)) == expected
            assert tokenizer.decode_dna(tokenizer.encode_dna(text)) == expected
        assert tokenizer("ACGTAC \n")["input_ids"] == FIXED("ACGTAC")["input_ids"]
        for bad in ("ACGTACG-", "ACGTACé"):
            with pytest.raises(ValueError, match="position"):
                tokenizer(bad)
            with pytest.raises(ValueError, match="position"):
                tokenizer.encode_dna(bad)


def test_answers_in_the_fixed_vocabulary() -> None:
    with pytest.raises(ValueError, match=r"<A>.*no 1-mers"):
        FIXED("<R>ACGTAC<=><A>")
    tokenizer = DNAGPTTokenizer(dynamic_kmer=False)
    assert tokenizer.add_tokens(["<A>", "<N>"]) == 2
    assert tokenizer("ACGTAC<A>")["input_ids"][1:] == [15660]
    assert tokenizer.decode(tokenizer("ACGTAC<A>")) == "ACGTAC<A>"


# -- encode_dna and decode_dna -----------------------------------------------------------------


def test_encode_dna_reads_every_form() -> None:
    text = "ACGTNacgtnuURYKMSWBDHVrykmswbdhvACG"
    ids = DYNAMIC.encode_dna(text)
    assert ids.dtype == np.int32 and ids.tolist() == DYNAMIC(text)["input_ids"]
    raw = np.frombuffer(text.encode(), np.uint8)
    strided = np.repeat(raw, 2)[::2]
    wrapped = "\n".join(text[at : at + 7] for at in range(0, len(text), 7)) + "\r\n"
    for form in (
        text.encode(),
        bytearray(raw),
        memoryview(raw),
        raw,
        strided,
        memoryview(strided),
        wrapped,
        wrapped.encode(),
    ):
        assert (DYNAMIC.encode_dna(form) == ids).all()


@pytest.mark.parametrize("bad", [b"ACG\xc9", "ACGé", "ACG<R>", "ACG1", b"ACG-ACGT", "ACGACG\0"])
def test_encode_dna_names_what_is_not_dna(bad: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"at position [47] is not DNA"):
        DYNAMIC.encode_dna(bad)


@pytest.mark.parametrize("bad", [None, 5, ["A"], np.zeros((2, 2), np.uint8), np.zeros(3)])
def test_encode_dna_refuses_other_types(bad: object) -> None:
    with pytest.raises(ValueError, match="uint8"):
        DYNAMIC.encode_dna(bad)


def test_decode_dna() -> None:
    sequence = "ACGTNNACGTAACGTCG"
    ids = DYNAMIC.encode_dna(sequence)
    for form in (ids, ids.tolist(), torch.from_numpy(ids)):
        assert DYNAMIC.decode_dna(form) == sequence
    for wrong in (21, NUMBER, -1, 30000):
        with pytest.raises(ValueError, match=f"id {wrong} at position 1"):
            DYNAMIC.decode_dna([9297, wrong])


# -- ids to text -------------------------------------------------------------------------------


@given(records(), st.sampled_from(["left", "right"]))
@example("<A>ACGTAC", "left")
@example("ACGT<A>", "left")
@example("A<A><N>ACGTACA<N>", "right")
@example("<M><A>", "left")
@example("<M>1<N>ACGTAC", "left")
@example("<M>0.1 1e-45 3.4028235e38 -0", "right")
@settings(deadline=None, max_examples=300)
def test_encode_decode_encode_is_the_identity(text: str, side: str) -> None:
    encoding = DYNAMIC(text)
    assert same(DYNAMIC(DYNAMIC.decode(encoding)), encoding)
    assert DYNAMIC.decode(encoding["input_ids"], number_values=encoding["number_values"]) == (
        DYNAMIC.decode(encoding)
    )
    padded = DYNAMIC([text, "<R>" * 30], padding=True, padding_side=side)
    assert DYNAMIC.batch_decode(padded, skip_special_tokens="<P>" not in text)[0].replace(
        "<P>", ""
    ) == DYNAMIC.decode(encoding).replace("<P>", "")
    again = DYNAMIC(DYNAMIC.batch_decode(padded))
    assert same(again, padded)


@pytest.mark.parametrize(
    "text",
    [
        "<R>ATCGTA<=><B>A",
        "<S>GTAGCT<=><B>A<B>N",
        "<R>ATTCCT<=><M>0.3",
        "<R>AACCGT<+><M>-0.5<=><M>0.3",
        "<V>CCTGGA<+><M>0.3<+><M>0.48<=><M>0.96",
        "<R>ACG<+><M>1 2 3 4 5 6 7 8<=><M>",
        "<P><P>ACGTACA",
        "ACGT<A>",
        "<A>ACGT",
        "<M>1e-5 1e20 -0.25 16777216",
    ],
)
def test_canonical_text_is_kept(text: str) -> None:
    assert DYNAMIC.decode(DYNAMIC(text)) == text


def test_decode_takes_batches_and_outputs() -> None:
    texts = ["<R>ACGTAC<=><M>0.5", "<M>1 2"]
    batch = DYNAMIC(texts, padding=True, return_tensors="pt")
    output = ModelOutput(
        sequences=batch["input_ids"], number_values=batch["number_values"].bfloat16()
    )
    assert DYNAMIC.batch_decode(batch, skip_special_tokens=True) == texts
    assert DYNAMIC.decode(output, skip_special_tokens=True) == texts
    assert DYNAMIC.decode(batch)[1] == "<M>1 2<P><P>"
    assert (
        DYNAMIC.batch_decode(batch["input_ids"].numpy(), number_values=batch["number_values"])[0]
        == texts[0]
    )
    assert DYNAMIC.batch_decode(DYNAMIC(texts)["input_ids"]) == [
        "<R>ACGTAC<=><M><number>",
        "<M><number> <number>",
    ]
    assert DYNAMIC.decode(M) == DYNAMIC.decode(torch.tensor(M)) == "<M>"
    assert DYNAMIC.batch_decode([[]]) == [""]
    assert DYNAMIC.decode([M, NUMBER], number_values=[0, float("nan")]) == "<M>nan"


def test_decode_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="1 values for 2 ids"):
        DYNAMIC.decode([M, NUMBER], number_values=[0.5])
    with pytest.raises(ValueError, match="1 rows"):
        DYNAMIC.decode([[M], [M]], number_values=[[0.5]])
    for wrong in (-100, 19570):
        with pytest.raises(ValueError, match=f"id {wrong}"):
            DYNAMIC.decode([wrong])


def test_skip_special_tokens_removes_padding_only() -> None:
    everything = "".join(PROPERTY_TOKENS) + "ACGTAC"
    assert DYNAMIC.decode(DYNAMIC(everything), skip_special_tokens=True) == everything.replace(
        "<P>", ""
    )
    assert DYNAMIC.all_special_tokens == ["<P>"]


def test_tokenize() -> None:
    text = "<R>ACGTACG<+><M>0.5<A>"
    tokens = DYNAMIC.tokenize(text)
    assert tokens == ["<R>", "ACGTAC", "G", "<+>", "<M>", "<number>", "A"]
    assert (
        DYNAMIC.convert_tokens_to_ids(tokens) == DYNAMIC.encode(text) == DYNAMIC(text)["input_ids"]
    )
    assert DYNAMIC.convert_tokens_to_string(["ACGT", "A"]) == "ACGT<A>"


# -- padding, truncation, tensors --------------------------------------------------------------

TEXTS = ["<R>ACGTACGG<=><M>0.5 -1", "<M>2", "ACGTAC"]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("tensors", [None, "np", "pt"])
@pytest.mark.parametrize(
    ("arguments", "width"),
    [
        ({"padding": True}, 7),
        ({"padding": "longest", "pad_to_multiple_of": 8}, 8),
        ({"padding": "max_length", "max_length": 10}, 10),
        ({"padding": "max_length", "max_length": 10, "pad_to_multiple_of": 4}, 12),
    ],
)
def test_padding(side: str, tensors: str | None, arguments: dict, width: int) -> None:
    batch = DYNAMIC(
        TEXTS,
        padding_side=side,
        return_tensors=tensors,
        return_special_tokens_mask=True,
        return_offsets_mapping=True,
        return_length=True,
        **arguments,
    )
    assert np.asarray(batch["input_ids"]).shape == (3, width)
    for row, text in enumerate(TEXTS):
        alone = DYNAMIC(text, return_offsets_mapping=True)
        count = len(alone["input_ids"])
        missing = width - count
        real = slice(missing, width) if side == "left" else slice(0, count)
        expected = {
            "input_ids": P,
            "attention_mask": 0,
            "number_values": 0.0,
            "offset_mapping": (0, 0),
        }
        for key, fill in expected.items():
            values = np.asarray(batch[key])[row].tolist()
            assert values[real] == np.asarray(alone[key]).tolist()
            del values[real]
            assert values == np.asarray([fill] * missing).tolist()
        assert np.asarray(batch["special_tokens_mask"])[row].sum() == missing
    assert list(batch["length"]) == [width] * 3
    if tensors:
        assert "float32" in str(batch["number_values"].dtype)
        assert "int64" in str(batch["input_ids"].dtype) and "int64" in str(
            batch["attention_mask"].dtype
        )


def test_padding_side_of_the_tokenizer() -> None:
    tokenizer = DNAGPTTokenizer(padding_side="left", model_max_length=9)
    assert tokenizer(TEXTS, padding=True)["attention_mask"][1] == [0, 0, 0, 0, 0, 1, 1]
    assert len(tokenizer(TEXTS, padding="max_length")["input_ids"][0]) == 9
    with pytest.raises(ValueError, match="padding_side is 'top'"):
        tokenizer(TEXTS, padding=True, padding_side="top")


@pytest.mark.parametrize("tensors", [None, "np"])
def test_truncation(tensors: str | None) -> None:
    tokenizer = DNAGPTTokenizer(model_max_length=5)
    whole = DYNAMIC(TEXTS[0], return_offsets_mapping=True)
    for side, kept in {"right": slice(0, 5), "left": slice(2, 7)}.items():
        tokenizer.truncation_side = side
        for arguments in (
            {"truncation": True},
            {"truncation": True, "max_length": 5},
            {"max_length": 5},
        ):
            short = tokenizer(
                [TEXTS[0]], return_offsets_mapping=True, return_tensors=tensors, **arguments
            )
            for key in whole:
                assert np.asarray(short[key])[0].tolist() == np.asarray(whole[key]).tolist()[kept]
    tokenizer.truncation_side = "left"
    assert tokenizer(TEXTS[0], truncation=True, max_length=2)["number_values"] == [0.5, -1.0]
    assert tokenizer(TEXTS[0], truncation=True, max_length=1)["number_values"] == [-1.0]
    assert tokenizer.encode(TEXTS[0], truncation=True, max_length=3) == [M, NUMBER, NUMBER]


def test_ragged_rows_do_not_make_a_tensor() -> None:
    with pytest.raises(ValueError, match=r"rows of 1 to 7 tokens .*padding=True"):
        DYNAMIC(TEXTS, return_tensors="pt")
    with pytest.raises(ValueError, match=r"rows of 1 to 7 tokens .*truncation=True"):
        DYNAMIC(TEXTS, return_tensors="pt", padding="max_length", max_length=4)
    assert DYNAMIC(TEXTS[:1], return_tensors="pt")["number_values"].tolist() == [
        [0, 0, 0, 0, 0, 0.5, -1]
    ]
    assert "attention_mask" not in DYNAMIC(TEXTS, return_attention_mask=False)


@pytest.mark.parametrize(
    "arguments",
    [
        {"text_pair": "ACGT"},
        {"is_split_into_words": True},
        {"stride": 2, "truncation": True, "max_length": 4},
        {"return_overflowing_tokens": True},
        {"return_token_type_ids": True},
        {"split_special_tokens": True},
    ],
)
def test_what_the_language_does_not_know_is_refused(arguments: dict) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(arguments))} has no meaning"):
        DYNAMIC("<R>ACGT", **arguments)


@pytest.mark.parametrize("text", [5, [5, 6], [["A", "C"]], b"ACGT", {"text": "A"}])
def test_other_types_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match="must be str"):
        DYNAMIC(text)


# -- pad as a collator -------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("tensors", [None, "np", "pt"])
def test_pad_equals_the_call(side: str, tensors: str | None) -> None:
    tokenizer = DNAGPTTokenizer(padding_side=side)
    expected = tokenizer(TEXTS, padding=True, return_tensors=tensors)
    lists = tokenizer(TEXTS)
    rows = [tokenizer(text) for text in TEXTS]
    arrays = [{key: np.array(value) for key, value in row.items()} for row in rows]
    plain = [{key: row[key] for key in ("input_ids", "number_values")} for row in rows]
    for form in (lists, dict(lists), rows, tuple(rows), arrays, plain):
        if form is arrays and tensors is None:
            continue
        padded = tokenizer.pad(form, return_tensors=tensors)
        assert padded.keys() == expected.keys()
        for key in expected:
            assert np.asarray(padded[key]).tolist() == np.asarray(expected[key]).tolist()
            if tensors:
                assert padded[key].dtype == expected[key].dtype


def test_pad_keeps_the_kind_of_tensor() -> None:
    rows = [DYNAMIC(text, return_tensors="pt") for text in TEXTS]
    padded = DYNAMIC.pad([{key: value[0] for key, value in row.items()} for row in rows])
    assert (
        isinstance(padded["input_ids"], torch.Tensor)
        and padded["number_values"].dtype == torch.float32
    )
    assert isinstance(DYNAMIC.pad([{"input_ids": np.array([1, 2])}])["input_ids"], np.ndarray)


def test_pad_of_one_example() -> None:
    single = DYNAMIC.pad(DYNAMIC(TEXTS[1]), padding="max_length", max_length=4)
    assert single["input_ids"] == [M, NUMBER, P, P] and single["number_values"] == [0, 2, 0, 0]
    assert DYNAMIC.pad(DYNAMIC(TEXTS[1]), return_tensors="pt")["input_ids"].tolist() == [
        [M, NUMBER]
    ]


def test_pad_of_labels() -> None:
    rows = [
        {
            "input_ids": [21, 35],
            "labels": [-100, 35],
            "number_labels": [float("nan"), 1.5],
            "name": 3,
        },
        {"input_ids": [21], "labels": [21], "number_labels": [float("nan")], "name": 4},
    ]
    padded = DYNAMIC.pad(rows, return_tensors="pt")
    assert padded["labels"].tolist() == [[-100, 35], [21, -100]]
    assert padded["number_labels"].dtype == torch.float32
    assert padded["number_labels"].isnan().tolist() == [[True, False], [True, True]]
    assert padded["name"].tolist() == [3, 4]
    scalar = DYNAMIC.pad([{"input_ids": [21, 35], "labels": 1}, {"input_ids": [21], "labels": 0}])
    assert scalar["labels"] == [1, 0]
    collator = DataCollatorWithPadding(DYNAMIC)
    batch = collator([{**DYNAMIC(text), "label": 0.5} for text in TEXTS])
    assert batch["labels"].tolist() == [0.5] * 3 and batch["number_values"].shape == (3, 7)


def test_pad_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="input_ids"):
        DYNAMIC.pad([{"labels": [1]}])
    with pytest.raises(ValueError, match="example 0 is list: it must be a dict"):
        DYNAMIC.pad([[1, 2]])
    with pytest.raises(ValueError, match="example 1 has the keys"):
        DYNAMIC.pad([DYNAMIC("<R>"), {"input_ids": [1]}])
    with pytest.raises(ValueError, match="number_values of example 1"):
        DYNAMIC.pad({"input_ids": [[1], [2]], "number_values": [[0.0], [0.0, 1.0]]})
    with pytest.raises(ValueError, match="labels has 1 rows"):
        DYNAMIC.pad({"input_ids": [[1], [2]], "labels": [1]})
    assert DYNAMIC.pad([])["input_ids"] == []


# -- offsets -----------------------------------------------------------------------------------


@given(records(loose_dna))
@settings(deadline=None, max_examples=200)
def test_offsets_cut_the_text_into_the_tokens(text: str) -> None:
    encoding = DYNAMIC(text, return_offsets_mapping=True)
    spans = encoding["offset_mapping"]
    assert len(spans) == len(encoding["input_ids"])
    for (start, end), token, value in zip(
        spans, DYNAMIC.tokenize(text), encoding["number_values"], strict=True
    ):
        piece = text[start:end]
        if token == NUMBER_TOKEN:
            assert np.float32(piece) == np.float32(value)
        else:
            assert reference_encode(piece)[0] == DYNAMIC.convert_tokens_to_ids([token])
    covered = sum(len(re.sub(r"\s", "", text[start:end])) for start, end in spans)
    assert covered == len(re.sub(r"\s", "", text))


def test_offsets_with_a_dropped_remainder() -> None:
    tokenizer = DNAGPTTokenizer(dynamic_kmer=False, remainder="drop")
    encoding = tokenizer("<R>AC GTACGT<=>", return_offsets_mapping=True)
    assert encoding["offset_mapping"] == [(0, 3), (3, 10), (12, 15)]


# -- added tokens, save and load, copies -------------------------------------------------------


def test_added_tokens() -> None:
    tokenizer = DNAGPTTokenizer()
    assert tokenizer.add_tokens(["<EUR>", "<R>"]) == 1
    assert tokenizer.add_special_tokens({"eos_token": "<STOP>"}) == 1
    assert (len(tokenizer), tokenizer.vocab_size) == (19567, 19565)
    text = "<EUR>ACG<A><STOP>"
    encoding = tokenizer(text)
    assert encoding["input_ids"][0] == 19565 and tokenizer.eos_token_id == 19566
    assert tokenizer.decode(encoding) == text
    assert tokenizer.decode(encoding, skip_special_tokens=True) == "<EUR>ACG<A>"
    assert "<EUR>" not in DYNAMIC.get_vocab()
    with pytest.raises(ValueError, match=r"<Z> <EUR> <STOP>"):
        tokenizer("<foo>")
    for bad in ("EUR", "ACGT", "<A>", "<number>", "<E R>", "<a><b>"):
        with pytest.raises(ValueError, match="cannot be added"):
            tokenizer.add_tokens(bad)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"dynamic_kmer": False, "remainder": "drop"},
        {"kmer_size": 3, "padding_side": "left"},
        {"model_max_length": 512, "truncation_side": "left", "pad_token": "<Z>"},
    ],
)
def test_save_and_load_twice(tmp_path: Path, arguments: dict) -> None:
    tokenizer = DNAGPTTokenizer(**arguments)
    tokenizer.add_tokens(["<EUR>"])
    tokenizer.add_special_tokens({"eos_token": "<STOP>"})
    for turn in ("first", "second"):
        tokenizer.save_pretrained(tmp_path / turn)
        loaded = DNAGPTTokenizer.from_pretrained(tmp_path / turn)
        for name in (
            "kmer_size",
            "dynamic_kmer",
            "remainder",
            "padding_side",
            "truncation_side",
            "model_max_length",
            "model_input_names",
            "pad_token_id",
            "eos_token_id",
            "special_tokens_map",
            "init_kwargs",
        ):
            if name != "init_kwargs":
                assert getattr(loaded, name) == getattr(tokenizer, name), name
        assert loaded.get_vocab() == tokenizer.get_vocab()
        text = "<EUR>" + "ACGTAC" * 3 + "<STOP>"
        assert same(loaded(text), tokenizer(text))
        tokenizer = loaded


def test_auto_tokenizer_from_a_bare_folder(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    DYNAMIC.save_pretrained(folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config["auto_map"] = {"AutoTokenizer": ["tokenization_dnagpt.DNAGPTTokenizer", None]}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    shutil.copy(tokenization_dnagpt.__file__, folder)
    program = (
        "import sys; from transformers import AutoTokenizer\n"
        "t = AutoTokenizer.from_pretrained(sys.argv[1], trust_remote_code=True)\n"
        "t.save_pretrained(sys.argv[2])\n"
        "t = AutoTokenizer.from_pretrained(sys.argv[2], trust_remote_code=True)\n"
        "assert 'dnagpt_hf' not in sys.modules\n"
        "e = t(['<R>ACGTAC<M>0.5', '<R>'], padding=True, return_tensors='pt')\n"
        "assert t.batch_decode(e, skip_special_tokens=True) == ['<R>ACGTAC<M>0.5', '<R>']\n"
        "print(type(t).__name__, e['input_ids'].tolist())\n"
    )
    environment = os.environ | {
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder), str(tmp_path / "again")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (
        done.stdout.split("\n")[-2] == "DNAGPTTokenizer [[21, 9297, 18, 19564], [21, 20, 20, 20]]"
    )


def test_copies_are_equal_and_small() -> None:
    tokenizer = DNAGPTTokenizer(dynamic_kmer=False, padding_side="left", remainder="pad")
    tokenizer.add_tokens(["<EUR>"])
    tokenizer("ACGT")
    pickled = pickle.dumps(tokenizer)
    assert len(pickled) < 100_000
    for twin in (pickle.loads(pickled), copy.deepcopy(tokenizer)):
        assert twin.get_vocab() == tokenizer.get_vocab() and twin.padding_side == "left"
        assert same(twin("<EUR>ACGT<M>0.5"), tokenizer("<EUR>ACGT<M>0.5"))


def test_data_loader_workers() -> None:
    texts = [f"<R>{'ACGTNA' * (n % 5)}CG<+><M>{n}" for n in range(24)]
    batches = [
        list(DataLoader(texts, batch_size=4, num_workers=workers, collate_fn=collate))
        for workers in (0, 2)
    ]
    for serial, parallel in zip(*batches, strict=True):
        assert all(torch.equal(serial[key], parallel[key]) for key in serial)


def collate(texts: list[str]) -> dict[str, torch.Tensor]:
    return dict(DYNAMIC(texts, padding=True, return_tensors="pt"))


# -- the original implementation ---------------------------------------------------------------


@pytest.fixture(scope="module")
def parity() -> dict:
    folder = os.environ.get("DNAGPT_PARITY")
    if not folder:
        pytest.skip("DNAGPT_PARITY does not name the folder of the parity cases")
    return json.loads((Path(folder) / "cases.json").read_text())


def test_ids_of_the_original(parity: dict) -> None:
    tokenizers = {
        model["name"]: DYNAMIC if model["dynamic_kmer"] else FIXED for model in parity["models"]
    }
    compared = 0
    for case in parity["cases"]:
        tokenizer = tokenizers[case["model"]]
        if 0 in case["input_ids"]:
            # The original gives a remainder of the fixed vocabulary the id of <0>.
            with pytest.raises(ValueError, match="bases"):
                tokenizer(case["text"])
            continue
        assert tokenizer(case["text"])["input_ids"] == case["input_ids"], case["key"]
        compared += 1
        if "greedy_ids" in case:
            assert tokenizer.decode(case["greedy_ids"]) == case["greedy_text"], case["key"]
        if "numbers" in case:
            after = case["numbers_after_token"]
            count = len(case["numbers"])
            inline = tokenizer(case["inline_text"])
            ids = case["input_ids"]
            assert inline["input_ids"] == [
                *ids[:after],
                *[tokenizer.number_token_id] * count,
                *ids[after:],
            ]
            numbers = np.array(case["numbers"], np.float32).tolist()
            assert inline["number_values"][after : after + count] == numbers
            assert sum(value != 0 for value in inline["number_values"]) == count
    assert compared > 10


def test_targets_of_whole_records_are_not_padded_as_tokens():
    tokenizer = DNAGPTTokenizer()
    examples = [
        dict(tokenizer("<R>ACG"), labels=[0.3, 0.7]),
        dict(tokenizer("<S>C"), labels=[1, 0.9]),
    ]
    labels = tokenizer.pad(examples, return_tensors="pt", pad_to_multiple_of=4)["labels"]
    assert labels.flatten().tolist() == pytest.approx([0.3, 0.7, 1.0, 0.9])


def test_negative_max_length_is_refused():
    with pytest.raises(ValueError, match="max_length is -1"):
        DNAGPTTokenizer()("ACGT", truncation=True, max_length=-1)


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_left_as_it_was(enabled):
    tokenizer = DNAGPTTokenizer()
    try:
        (gc.enable if enabled else gc.disable)()
        tokenizer(["ACGT"])
        assert gc.isenabled() is enabled
        with pytest.raises(ValueError, match="not DNA"):
            tokenizer(["ACGT!"])
        assert gc.isenabled() is enabled
    finally:
        gc.enable()
