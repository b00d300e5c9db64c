"""`tokenizer.json`: the token language for programs that know the `tokenizers` library alone."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from dnagpt_hf import DNAGPTTokenizer
from dnagpt_hf.checkpoints.saving import init_checkpoint
from dnagpt_hf.tokenization_dnagpt import PROPERTY_TOKENS

CHOICES: dict[str, dict[str, Any]] = {
    "dynamic": {},
    "fixed": {"dynamic_kmer": False},
    "3-mers": {"kmer_size": 3},
    "fixed, padded": {"dynamic_kmer": False, "remainder": "pad"},
}

dna = st.text(alphabet="ACGTN", max_size=30)
loose_dna = st.text(alphabet="ACGTNacgtnuURYSWKMBDHVrykm \n\r\t\v\f", max_size=30)
names = st.sampled_from([*PROPERTY_TOKENS, "<A>", "<N>"])
anything = st.text(max_size=20) | st.text(alphabet="<>ACGTRMPUm=+-.01 \nxnab|", max_size=20)


def records(letters: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Tokens in angle brackets with DNA before, between and behind them."""
    return st.lists(names | letters, max_size=8).map("".join)


def with_added_tokens(**choices: Any) -> DNAGPTTokenizer:
    tokenizer = DNAGPTTokenizer(**choices)
    tokenizer.add_tokens(["<EUR>"])
    tokenizer.add_special_tokens({"eos_token": "<STOP>"})
    return tokenizer


@pytest.fixture(scope="module", params=CHOICES)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[DNAGPTTokenizer, Tokenizer]:
    """A tokenizer that refuses remainders, and `tokenizers` with the file of one of its kind."""
    choices = CHOICES[request.param]
    writer = with_added_tokens(**choices)
    (path,) = writer.save_vocabulary(str(tmp_path_factory.mktemp("vocabulary")))
    return with_added_tokens(**choices | {"remainder": "error"}), Tokenizer.from_file(path)


def ids_of(tokenizer: DNAGPTTokenizer, text: str) -> list[int] | None:
    """Ids of a text, or None where it is an error or holds what the file cannot express."""
    try:
        encoding = tokenizer(text)
    except ValueError:
        return None
    ids: list[int] = encoding["input_ids"]
    return None if tokenizer.number_token_id in ids else ids


def assert_agree(tokenizer: DNAGPTTokenizer, other: Tokenizer, text: str) -> None:
    expected = ids_of(tokenizer, text)
    if expected is None:
        with pytest.raises(Exception, match="WordLevel"):
            other.encode(text)
    else:
        assert other.encode(text).ids == expected


def test_every_token_has_its_id(pair) -> None:
    tokenizer, other = pair
    assert other.get_vocab() == tokenizer.get_vocab()
    assert other.get_vocab_size() == len(tokenizer)
    special = {
        token.content for token in other.get_added_tokens_decoder().values() if token.special
    }
    assert special == set(tokenizer.all_special_tokens)


@pytest.mark.parametrize("rest", range(13))
def test_tails_of_all_lengths(pair, rest: int) -> None:
    tokenizer, other = pair
    for head in ("", "<R>", "ACGTAC<=>"):
        assert_agree(tokenizer, other, head + "GATTACAGATTACA"[:rest])
    fixed = not tokenizer.dynamic_kmer and rest % tokenizer.kmer_size
    assert (ids_of(tokenizer, "GATTACAGATTACA"[:rest]) is None) == bool(fixed)


@given(records(loose_dna))
@example("<R>ACGTACA<B>A<B><N>")
@example("ACG<A><N>acg\nuryN ACGT<U>U")
@example("<EUR>ACGTAC<STOP><P><P>")
@settings(max_examples=60, deadline=None)
def test_ids_agree(pair, text: str) -> None:
    assert_agree(*pair, text)


@given(anything | records(anything))
@example("<number>")
@example("<unknown>")
@example("<M>0.5")
@example("<M>A")
@example("<M> <A>")
@example("<r>ACG")
@example("<a>")
@example("<R >")
@example("<\n>")
@example("ACG>")
@example("ß")
@settings(max_examples=60, deadline=None)
def test_nothing_becomes_another_token(pair, text: str) -> None:
    assert_agree(*pair, text)


@given(records(dna))
@settings(max_examples=30, deadline=None)
def test_decoding_joins_back(pair, text: str) -> None:
    tokenizer, other = pair
    text = text.replace("<A>", "").replace("<N>", "")
    ids = ids_of(tokenizer, text)
    if ids is not None:
        assert other.decode(ids, skip_special_tokens=False) == text
        assert other.decode(ids) == text.replace("<P>", "")
    assert other.decode([tokenizer.number_token_id]) == "<number>"


def test_batches_are_padded_as_asked(pair) -> None:
    tokenizer, other = pair
    other.enable_padding(direction="left", pad_id=tokenizer.pad_token_id, pad_token="<P>")
    texts = ["<R>ACGTACGGGTTT", "<R>"]
    expected = tokenizer(texts, padding=True, padding_side="left")
    encodings = other.encode_batch(texts)
    other.no_padding()
    assert [encoding.ids for encoding in encodings] == expected["input_ids"]
    assert [encoding.attention_mask for encoding in encodings] == expected["attention_mask"]


def test_prefix_and_path(tmp_path: Path) -> None:
    assert DNAGPTTokenizer().save_vocabulary(str(tmp_path), "old") == (
        str(tmp_path / "old-tokenizer.json"),
    )
    saved = DNAGPTTokenizer().save_pretrained(tmp_path)
    assert str(tmp_path / "tokenizer.json") in saved


@pytest.mark.parametrize("preset", ["dnagpt-test", "dnagpt-h"])
def test_checkpoint_folders_carry_it(tmp_path: Path, preset: str) -> None:
    small = {"hidden_size": 12, "num_hidden_layers": 1, "max_position_embeddings": 4}
    folder = init_checkpoint(preset, tmp_path / preset, **small)
    text = "<R>ACGTACGGGTTT<=>"
    ours = AutoTokenizer.from_pretrained(folder)
    assert type(ours) is DNAGPTTokenizer
    other = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert other.encode(text).ids == ours(text)["input_ids"]
    # the general class for such files reads it as well
    fast = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    assert fast(text)["input_ids"] == ours(text)["input_ids"]
    # no path of this machine is kept, and loading does not look into the file
    assert str(tmp_path) not in (folder / "tokenizer_config.json").read_text()
    (folder / "tokenizer.json").write_text("{}")
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    assert str(tmp_path) not in (folder / "tokenizer_config.json").read_text()
    assert json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]["<R>"] == 21


PROGRAM = """
import sys
sys.modules["dnagpt_hf"] = None
from transformers import AutoTokenizer
try:
    found = type(AutoTokenizer.from_pretrained(sys.argv[1], trust_remote_code=False)).__name__
except ValueError as error:
    found = "trust_remote_code" in str(error)
ours = AutoTokenizer.from_pretrained(sys.argv[1], trust_remote_code=True)
print(found, type(ours).__name__, ours("<M>0.5")["number_values"])
"""


def test_without_the_package_it_does_not_replace_our_class(tmp_path: Path) -> None:
    folder = init_checkpoint("dnagpt-test", tmp_path / "folder")
    environment = os.environ | {"HF_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "True DNAGPTTokenizer [0.0, 0.5]"
