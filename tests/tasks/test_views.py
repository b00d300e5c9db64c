"""Views of records: what is read of a sequence, of a record, and in which epoch."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from finetuning_runs import ANSWERS, as_records, planted
from torch.utils.data import DataLoader

from dnagpt_hf import DNAGPTTokenizer
from dnagpt_hf.records.files import RecordError
from dnagpt_hf.records.reading import Record
from dnagpt_hf.tasks.encoding import RecordEncoder
from dnagpt_hf.tasks.examples import Examples, RandomViews, encode_records, prompt_encoder
from dnagpt_hf.tasks.task import Task
from dnagpt_hf.tasks.views import View, Views

CLASS = "<R>{sequence}<=><B>{label}"
TWO = "<R>{first}<+>{second}<+><M>{x}<=><M>{y}"
ALL = Views("all", "both")
OTHER = str.maketrans("ACGTN", "TGCAN")


def dna(length: int, seed: int = 0) -> str:
    return "".join(random.Random(seed).choices("ACGTN", k=length))


def record(**values: Any) -> Record:
    return Record(values, "r1", "a.csv", 1, 2)


def encoder_of(task: Task, tokenizer: DNAGPTTokenizer, **options: Any) -> RecordEncoder:
    return prompt_encoder(task, tokenizer, **{"max_length": 64, **options})


def test_the_views_of_a_task() -> None:
    assert Views().expand(6) == (View(0, False),)
    assert Views("all").expand(3) == (View(0), View(1), View(2))
    assert Views(strands="both").expand(6) == (View(), View(0, True))
    assert ALL.expand(2) == (View(), View(1), View(0, True), View(1, True))


@pytest.mark.parametrize("unit", [1, 3])
def test_positions_are_those_of_the_bases_that_are_read(unit: int) -> None:
    for length in range(1, 14):
        sequence = dna(length, length)
        for view in ALL.expand(6):
            letters = "".join(sequence[at] for at in view.positions(length, unit))
            read = view.read(sequence, unit)
            assert read == (letters.translate(OTHER) if view.is_reverse else letters)
            if unit == 1:
                # a sequence of as many bases as are dropped, or fewer, is read whole
                assert len(read) == (length - view.phase if length > view.phase else length)
            elif view.phase:
                assert len(read) % unit == 0 or len(read) == length
                assert len(read) > length - view.phase - unit


def test_each_column_of_dna_is_read_in_each_view(tiny_tokenizer: DNAGPTTokenizer) -> None:
    """Windows and cut-outs come first, and numbers and tokens are the same in all views."""
    task = Task.from_dict(
        {
            "template": TWO,
            "sequences": {"first": {"window": [2, 20], "cut_out": [8, 11]}},
            "views": {"phases": "all", "strands": "both"},
            "standardization": [[1.0, 2.0], [0.0, 1.0]],
        }
    )
    first, second = dna(25, 1), dna(13, 2)
    values = {"first": f"{first[:9]} {first[9:]}\n", "second": second.lower(), "x": 5}
    cut = first[2:8] + first[11:20]
    found = encoder_of(task, tiny_tokenizer).in_views(record(**values))
    assert len(found) == 12
    for number, encoded in enumerate(found):
        phase = number % 6
        texts = [
            (text.translate(OTHER)[::-1] if number >= 6 else text)[phase:] for text in (cut, second)
        ]
        wanted = tiny_tokenizer(f"<R>{texts[0]}<+>{texts[1]}<+><M>2<=><M>")
        assert encoded.input_ids.tolist() == wanted["input_ids"]
        assert encoded.number_values.tolist() == wanted["number_values"]
    assert len({encoded.input_ids.tobytes() for encoded in found}) == 12


def test_the_first_view_is_that_of_a_task_without_views(tiny_tokenizer: DNAGPTTokenizer) -> None:
    one = record(first=" acgtRN\n", second="A<R>C", x=1)
    plain, several = Task(TWO), Task(TWO, views=ALL)
    wanted = encoder_of(plain, tiny_tokenizer)(one)
    found = encoder_of(several, tiny_tokenizer)(one)
    assert found.input_ids.tolist() == wanted.input_ids.tolist()
    assert found.values == wanted.values
    with pytest.raises(RecordError, match=r"record r1 \(line 2\): second: it holds instructions"):
        encoder_of(several, tiny_tokenizer).in_views(one)


@pytest.mark.parametrize("remainder", ["error", "drop", "pad"])
def test_phases_of_a_vocabulary_of_whole_k_mers(remainder: str) -> None:
    tokenizer = DNAGPTTokenizer(kmer_size=3, dynamic_kmer=False, remainder=remainder)
    encoder = encoder_of(Task("{sequence}", views=ALL), tokenizer)
    found = encoder.in_views(record(sequence="AACCGGTTT"))
    texts = [tokenizer.decode(encoded.input_ids) for encoded in found]
    if remainder == "pad":
        assert texts[:3] == ["AACCGGTTT", "ACCGGTTTN", "CCGGTTTNN"]
    else:
        assert texts == ["AACCGGTTT", "ACCGGT", "CCGGTT", "AAACCGGTT", "AACCGG", "ACCGGT"]
        # no token fits into the second and third phase
        assert [one.values["sequence"] for one in encoder.in_views(record(sequence="ACG"))][:3] == [
            "ACG"
        ] * 3
    if remainder == "error":
        with pytest.raises(RecordError, match="the last 1 bases"):
            encoder.in_views(record(sequence="ACGA"))


@pytest.mark.parametrize("side", ["left", "right"])
def test_both_strands_are_cut_at_the_same_end(tiny_tokenizer: DNAGPTTokenizer, side: Any) -> None:
    task = Task("<R>{sequence}<=><B>{label}", answers=ANSWERS, views=ALL)
    encoder = encoder_of(task, tiny_tokenizer, max_length=7, truncation=side)
    sequence = dna(40, 3)
    for encoded in encoder.in_views(record(sequence=sequence)):
        assert len(encoded.input_ids) == 7
        read = encoded.values["sequence"]
        forward = read.translate(OTHER)[::-1] if encoded.view.is_reverse else read
        assert len(forward) == 24
        lacking = sequence.index(forward) if side == "right" else 16 - sequence.index(forward)
        # nothing but the phase is left out at the other end
        is_other_end = encoded.view.is_reverse == (side == "left")
        assert lacking == (encoded.view.phase if is_other_end else 0)


# -- the setting -----------------------------------------------------------------------------------


def test_views_are_kept_with_the_task() -> None:
    stated = {"template": CLASS, "answers": ANSWERS, "views": {"phases": "all"}}
    task = Task.from_dict(stated)
    assert task.views == Views(phases="all", strands="forward")
    assert task.as_dict()["views"] == {"phases": "all"}
    assert Task.from_dict(task.as_dict()).views == task.views
    assert "views" not in Task(CLASS).as_dict()


@pytest.mark.parametrize(
    ("views", "message"),
    [
        ({"phases": "some"}, "phases"),
        ({"strand": "both"}, "strand"),
        ("all", "views"),
        ({"phases": True}, "phases"),
    ],
)
def test_unknown_views_are_named(views: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Task.from_dict({"template": CLASS, "views": views})


def test_numbers_alone_have_no_views() -> None:
    with pytest.raises(ValueError, match="reads no sequence, and numbers have no views"):
        Task.from_dict({"template": "<M>{x}<=><M>{y}", "views": {"phases": "all"}})


def test_other_views_are_chosen() -> None:
    task = Task(CLASS, views=Views(strands="both"))
    assert task.with_views(None) is task
    assert task.with_views("first").views == Views()
    assert task.with_views({"phases": "all"}).views == ALL
    assert task.with_views(Views("all")).views == Views("all")
    with pytest.raises(ValueError, match="views is 'every'"):
        task.with_views("every")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="strand"):
        task.with_views({"strand": "both"})


# -- training --------------------------------------------------------------------------------------


def examples_of(kmer_size: int, views: Views, count: int = 40, bases: int = 24) -> Examples:
    task = Task(CLASS, answers=ANSWERS, views=views)
    tokenizer = DNAGPTTokenizer(kmer_size=kmer_size)
    rows = as_records(planted(count, bases=bases))
    return encode_records(task, tokenizer, rows, max_length=512)[1]


def shown(examples: Examples, seed: int, epoch: int) -> list[int]:
    dataset = RandomViews(examples, seed)
    dataset.epoch = epoch
    found = []
    for index in range(len(dataset)):
        ids = dataset[index]["input_ids"]
        [view] = [n for n, one in enumerate(examples.ids[index]) if np.array_equal(one, ids)]
        found.append(view)
    return found


def test_the_view_follows_from_seed_epoch_and_index() -> None:
    examples = examples_of(3, ALL)
    assert shown(examples, 1, 2) == shown(examples, 1, 2)
    assert shown(examples, 1, 2) != shown(examples, 1, 3)
    assert shown(examples, 1, 2) != shown(examples, 2, 2)
    counts = Counter(view for epoch in range(30) for view in shown(examples, 0, epoch))
    assert sorted(counts) == list(range(6))
    assert min(counts.values()) > 160 and max(counts.values()) < 240
    # that of no record goes through them in the order of epochs
    first = [shown(examples, 0, epoch)[0] for epoch in range(12)]
    assert len(set(first)) > 3 and first != [epoch % 6 for epoch in range(12)]


def test_workers_that_outlive_an_epoch_follow() -> None:
    """Those that are forked, too, which share no other memory with the training."""
    dataset = RandomViews(examples_of(3, ALL, 8), 5)
    loader: Any = DataLoader(
        dataset,
        batch_size=None,
        num_workers=1,
        persistent_workers=True,
        multiprocessing_context="fork",
        collate_fn=lambda example: example["input_ids"].tolist(),
    )
    for epoch in (0, 1, 4):
        dataset.epoch = epoch
        wanted = [dataset[index]["input_ids"].tolist() for index in range(8)]
        assert list(loader) == wanted


def test_three_views_take_the_memory_of_one() -> None:
    """That is ids in 4 bytes and values of numbers in 4."""
    for kmer_size, kind in ((3, np.uint8), (6, np.uint16)):
        examples = examples_of(kmer_size, Views("all"), bases=300)
        assert examples.num_views == kmer_size
        assert {one.dtype for ids in examples.ids for one in ids} == {np.dtype(kind)}
        size = sum(one.nbytes for ids in examples.ids for one in ids[:3])
        assert size <= 8 * examples.lengths.sum()


def test_examples_give_the_views_of_the_encoder(tiny_tokenizer: DNAGPTTokenizer) -> None:
    task = Task.from_dict({"template": TWO, "views": {"phases": "all"}})
    rows = as_records([{"first": dna(20, n), "second": dna(9, n), "x": n, "y": 1} for n in (1, 2)])
    _, examples = encode_records(task, tiny_tokenizer, rows, max_length=64)
    for number, one in enumerate(rows):
        for found, wanted in zip(
            examples.in_views(number),
            encoder_of(task, tiny_tokenizer).in_views(one),
            strict=True,
        ):
            np.testing.assert_array_equal(found.input_ids, wanted.input_ids)
            np.testing.assert_array_equal(found.number_values, wanted.number_values)
