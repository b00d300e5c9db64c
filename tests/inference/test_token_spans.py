"""Where tokens stand."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from interpreted_models import dna, record

from dnagpt_hf import DNAGPTTokenizer
from dnagpt_hf.inference.token_spans import TokenizedRecord, tokenize_record
from dnagpt_hf.records.files import RecordError
from dnagpt_hf.records.reading import Record
from dnagpt_hf.records.templates import Template
from dnagpt_hf.tasks.encoding import RecordEncoder
from dnagpt_hf.tasks.preparation import SequenceCut
from dnagpt_hf.tasks.task import Task


def placed(
    template: str, one: Record, positions: int = 64, truncation: Any = None, **tokenizer: Any
) -> TokenizedRecord:
    encoder = RecordEncoder(DNAGPTTokenizer(**tokenizer), Template(template), positions, truncation)
    return tokenize_record(encoder, one)


def places(found: TokenizedRecord) -> list[tuple[Any, ...]]:
    return [(one.text, one.kind, one.column, one.start, one.end) for one in found.tokens]


def test_every_kind_of_token_has_its_place() -> None:
    one = record("ACGTACGT", x="0.5 -1")
    found = placed("<R>{sequence}<+><M>{x} 7<=><B>A", one)
    assert places(found) == [
        ("<R>", "property", None, 0, 0),
        ("ACGTAC", "sequence", "sequence", 0, 6),
        ("GT", "sequence", "sequence", 6, 8),
        ("<+>", "property", None, 0, 0),
        ("<M>", "property", None, 0, 0),
        ("<number>", "number", "x", 0, 1),
        ("<number>", "number", "x", 1, 2),
        ("<number>", "number", None, 0, 0),
        ("<=>", "property", None, 0, 0),
        ("<B>", "property", None, 0, 0),
        ("A", "sequence", None, 0, 0),
    ]
    assert found.columns["sequence"].bases == "ACGTACGT"
    assert list(found.columns) == ["sequence"]


@pytest.mark.parametrize("length", [1, 5, 6, 7, 12, 59])
@pytest.mark.parametrize("template", ["{sequence}", "<R>AC{sequence}T<=><M>", "{utr}{sequence}"])
def test_tokens_and_their_bases_are_those_of_the_text(template: str, length: int) -> None:
    one = record(dna(length, 1), utr="GGTCA")
    found = placed(template, one)
    for name, column in found.columns.items():
        assert column.bases == one.values[name]
        for base, token, place in zip(column.bases, column.token, column.offset, strict=True):
            assert found.tokens[token].text[place] == base
    text = Template(template).fill(one.values)
    assert found.bases_of_token.sum() == len(re.sub("<.>|<=>", "", text))


def test_values_of_tokens_are_divided_among_all_their_bases() -> None:
    found = placed("<R>AC{sequence}", record("GTACGTA"))
    # ACGTAC, of which four bases are of the column, and GTA
    shares = found.per_base(np.array([1.0, 6.0, 3.0]), "sequence")
    assert shares.tolist() == [1.0] * 7
    assert places(found)[1][2:] == ("sequence", 0, 4)


def test_neighbouring_columns_share_a_token() -> None:
    found = placed("{utr}{sequence}", record("GTACGTA", utr="AC"))
    assert places(found) == [
        ("ACGTAC", "sequence", "utr", 0, 2),
        ("GTA", "sequence", "sequence", 4, 7),
    ]
    assert found.per_base(np.array([6.0, 3.0]), "utr").tolist() == [1.0, 1.0]
    assert found.columns["sequence"].token.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert found.column() == "sequence"


def test_letters_are_read_as_the_tokenizer_reads_them() -> None:
    found = placed("{sequence}", record("acg uRA\tcgt <R>A<A>C"))
    assert found.columns["sequence"].bases == "ACGTNACGTAC"
    assert [token.text for token in found.tokens] == ["ACGTNA", "CGT", "<R>", "A", "A", "C"]
    # what is written <A> is an answer rather than a base
    assert found.bases_of_token.tolist() == [6, 3, 0, 1, 0, 1]


@pytest.mark.parametrize("side", ["left", "right"])
def test_what_is_cut_off_keeps_its_place(side: str) -> None:
    sequence = dna(100, 2)
    found = placed("<R>{sequence}<=><M>", record(f"{sequence[:50]}\n{sequence[50:]}"), 9, side)
    column = found.columns["sequence"]
    assert column.bases == sequence
    read = np.flatnonzero(column.token >= 0)
    assert read.tolist() == list(range(64, 100) if side == "left" else range(36))
    first = found.tokens[1]
    assert sequence[first.start : first.end] == first.text
    by_base = found.per_base(np.ones(9, np.float32), "sequence")
    assert by_base.dtype == np.float32
    assert by_base.sum() == pytest.approx(6)
    assert not by_base[column.token < 0].any()


@pytest.mark.parametrize(
    ("cut", "truncation", "positions", "read"),
    [
        (SequenceCut(cut_out=(10, 16)), None, 64, [*range(10), *range(16, 60)]),
        (SequenceCut((3, 40), (10, 16)), None, 64, [*range(3, 10), *range(16, 40)]),
        (SequenceCut(window=(5, 50)), None, 64, [*range(5, 50)]),
        (SequenceCut(window=(12, 50), cut_out=(10, 16)), None, 64, [*range(16, 50)]),
        (SequenceCut(cut_out=(10, 16)), "left", 5, [*range(42, 60)]),
        (SequenceCut(cut_out=(10, 16)), "right", 5, [*range(10), *range(16, 24)]),
    ],
)
def test_what_a_task_cuts_out_keeps_its_place(
    cut: SequenceCut, truncation: Any, positions: int, read: list[int]
) -> None:
    sequence = dna(60, 2)
    cuts = {"sequence": cut}
    encoder = RecordEncoder(
        DNAGPTTokenizer(),
        Template("<R>{sequence}<B>"),
        positions,
        truncation,
        Task("<R>{sequence}<B>", sequences=cuts).prepare,
    )
    found = tokenize_record(encoder, record(sequence), cuts)
    column = found.columns["sequence"]
    assert column.bases == sequence
    assert np.flatnonzero(column.token >= 0).tolist() == read
    for base in read:
        assert found.tokens[column.token[base]].text[column.offset[base]] == sequence[base]
    for token in found.tokens[1:-1]:
        assert sequence[token.start] == token.text[0]
        assert sequence[token.end - 1] == token.text[-1]


@pytest.mark.parametrize(("remainder", "token"), [("drop", -1), ("pad", 1)])
def test_remainders_of_a_fixed_vocabulary(remainder: str, token: int) -> None:
    found = placed("{sequence}", record("ACGTACGT"), dynamic_kmer=False, remainder=remainder)
    assert found.columns["sequence"].bases == "ACGTACGT"
    assert found.columns["sequence"].token.tolist() == [0] * 6 + [token] * 2
    values = np.arange(1.0, len(found.tokens) + 1)
    assert found.per_base(values, "sequence")[-1] == (0 if remainder == "drop" else 1.0)


def test_columns_that_cannot_be_placed() -> None:
    with pytest.raises(RecordError, match=r"a\.csv, record r1 .*'sequence' stands twice"):
        placed("{sequence}<+>{sequence}", record("ACGT"))
    found = placed("{sequence}<M>{x}", record("ACGT", x="1"))
    with pytest.raises(RecordError, match="'x' is no DNA in the template: choose sequence"):
        found.column("x")
    with pytest.raises(RecordError, match="no column of it in the template holds DNA"):
        placed("<R>ACGT<M>{x}", record("", x="1")).column()
