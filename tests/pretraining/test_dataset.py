"""Rows of the three objectives: what stands in them, what is learned, what may differ."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
import torch

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
from dnagpt_hf.genomes.bases import Bases, gc_content, normalize_bases, reverse_complement
from dnagpt_hf.presets import preset_config
from dnagpt_hf.pretraining.dataset import (
    EpochSampler,
    PretrainingDataset,
    SpeciesSequences,
    join_sequences,
    permuted,
    stack_sequences,
)
from dnagpt_hf.pretraining.objectives import Objectives, Record, RecordWriter

ONLY_NEXT_TOKEN = Objectives(1, 0, 0)
ONLY_GC = Objectives(0, 1, 0)
ONLY_ORDER = Objectives(0, 0, 1)
POSITIONS = 24


@pytest.fixture(scope="module")
def tokenizer() -> DNAGPTTokenizer:
    return DNAGPTTokenizer(model_max_length=64)


@pytest.fixture(scope="module")
def contig() -> Bases:
    """Random bases, so that a window of 60 occurs once; a few N."""
    bases = np.random.default_rng(0).choice(np.frombuffer(b"ACGT", dtype=np.uint8), 5000)
    bases[100:102] = ord("N")
    return bases


def make_dataset(
    sequences: Sequence[Bases], tokenizer: DNAGPTTokenizer, **arguments: object
) -> PretrainingDataset:
    defaults: dict[str, object] = {
        "length": 40,
        "context_length": POSITIONS,
        "shortest_segment": 30,
        "both_strands": False,
    }
    species = [SpeciesSequences("<U>", sequences, name="yeast")]
    return PretrainingDataset(species, tokenizer, **(defaults | arguments))


def records_of(row: Record) -> list[Record]:
    """The records of a row, padding left out."""
    starts = [*np.flatnonzero(row["position_ids"] == 0), len(row["position_ids"])]
    parts = [{name: row[name][a:b] for name in row} for a, b in pairwise(starts)]
    return [part for part in parts if part["input_ids"][0] != 20]


def all_records(dataset: PretrainingDataset) -> list[Record]:
    return [record for index in range(len(dataset)) for record in records_of(dataset[index])]


def as_text(record: Record, tokenizer: DNAGPTTokenizer) -> str:
    return tokenizer.decode(record["input_ids"].tolist(), number_values=record["number_values"])


def bases_of(record: Record, tokenizer: DNAGPTTokenizer) -> Bases:
    text = as_text(record, tokenizer).removeprefix("<U>").split("<=>")[0]
    return normalize_bases(text.encode())


def same(first: Record, second: Record) -> bool:
    return all(np.array_equal(first[key], second[key], equal_nan=True) for key in first)


def test_next_token_rows_are_full_windows_of_the_contig(
    contig: Bases, tokenizer: DNAGPTTokenizer
) -> None:
    dataset = make_dataset([contig], tokenizer, objectives=ONLY_NEXT_TOKEN)
    phases = set()
    for index in range(len(dataset)):
        (record,) = records_of(dataset[index])
        window = bases_of(record, tokenizer)
        start = contig.tobytes().find(window.tobytes())
        assert len(window) == (POSITIONS - 1) * 6
        assert start >= 0
        phases.add(start % 6)
    assert phases == set(range(6))


def test_gc_records_state_the_gc_content(contig: Bases, tokenizer: DNAGPTTokenizer) -> None:
    dataset = make_dataset([contig], tokenizer, objectives=ONLY_GC, length=300, context_length=64)
    lengths = set()
    for record in all_records(dataset):
        segment = bases_of(record, tokenizer)
        assert as_text(record, tokenizer).count("<=><M>") == 1
        known = segment[segment != ord("N")]
        expected = np.isin(known, [ord("G"), ord("C")]).mean()
        assert record["number_labels"][-1] == pytest.approx(expected, abs=1e-6)
        assert record["number_values"][-1] == record["number_labels"][-1]
        lengths.add(len(segment))
    assert min(lengths) >= 30
    assert max(lengths) == 60 * 6
    assert len(lengths) > 150


def test_order_records_say_whether_the_window_was_reversed(
    contig: Bases, tokenizer: DNAGPTTokenizer
) -> None:
    answers = []
    for record in all_records(make_dataset([contig], tokenizer, objectives=ONLY_ORDER, length=200)):
        window, answer = bases_of(record, tokenizer), as_text(record, tokenizer)[-4:]
        forward = window.tobytes() in contig.tobytes()
        backward = window[::-1].tobytes() in contig.tobytes()
        assert (forward, backward) == ((False, True) if answer == "<B>A" else (True, False))
        answers.append(answer)
    assert 70 < answers.count("<B>A") < 130


def test_reverse_complement_can_be_the_flip(contig: Bases, tokenizer: DNAGPTTokenizer) -> None:
    flip = Objectives(0, 0, 1, flip="reverse_complement", flip_probability=1.0)
    (record,) = records_of(make_dataset([contig], tokenizer, objectives=flip)[0])
    assert as_text(record, tokenizer).endswith("<=><B>A")
    assert reverse_complement(bases_of(record, tokenizer)).tobytes() in contig.tobytes()


def test_both_strands_are_read(contig: Bases, tokenizer: DNAGPTTokenizer) -> None:
    dataset = make_dataset([contig], tokenizer, objectives=ONLY_NEXT_TOKEN, both_strands=True)
    windows = [bases_of(record, tokenizer) for record in all_records(dataset)]
    forward = [window.tobytes() in contig.tobytes() for window in windows]
    backward = [reverse_complement(window).tobytes() in contig.tobytes() for window in windows]
    assert 0 < sum(forward) < len(windows)
    assert all(one != other for one, other in zip(forward, backward, strict=True))


def test_rows_are_full(contig: Bases, tokenizer: DNAGPTTokenizer) -> None:
    dataset = make_dataset([contig], tokenizer, objectives=Objectives(1, 3, 1), length=200)
    several = 0
    for index in range(len(dataset)):
        row = dataset[index]
        assert {name: len(values) for name, values in row.items()} == dict.fromkeys(row, POSITIONS)
        records = records_of(row)
        several += len(records) > 1
        # where there is room for another record it is filled
        assert sum(len(record["input_ids"]) for record in records) == POSITIONS
        for record in records:
            assert record["position_ids"].tolist() == list(range(len(record["input_ids"])))
            assert record["labels"][0] == -100
    assert several > 20


def test_sequence_answers_and_numbers_are_targets_but_not_questions(
    tokenizer: DNAGPTTokenizer,
) -> None:
    writer = RecordWriter(tokenizer, "<U>")
    bases = normalize_bases(b"ACGTACGG")
    sequence = tokenizer.encode_dna(bases).tolist()
    a = tokenizer("A")["input_ids"]
    assert writer.next_token(bases)["labels"].tolist() == [-100, *sequence]
    order = writer.sequence_order(bases, True)
    assert order["labels"].tolist() == [-100, *sequence, -100, -100, *a]
    assert np.isnan(order["number_labels"]).all()
    gc = writer.gc_content(bases)
    assert gc["labels"].tolist() == [-100, *sequence, -100, -100, -100]
    assert np.flatnonzero(~np.isnan(gc["number_labels"])).tolist() == [5]


def test_ids_are_those_of_the_text(contig: Bases, tokenizer: DNAGPTTokenizer) -> None:
    for record in all_records(make_dataset([contig], tokenizer)):
        encoding = tokenizer(as_text(record, tokenizer))
        assert encoding["input_ids"] == record["input_ids"].tolist()
        assert encoding["number_values"] == pytest.approx(record["number_values"].tolist())


def test_a_row_depends_on_seed_epoch_and_index_only(
    contig: Bases, tokenizer: DNAGPTTokenizer
) -> None:
    first, second = (make_dataset([contig], tokenizer, seed=3) for _ in range(2))
    order = np.random.default_rng(1).permutation(len(first))
    shuffled = {int(index): second[int(index)] for index in order}
    assert all(same(first[index], shuffled[index]) for index in range(len(first)))
    other_seed = make_dataset([contig], tokenizer, seed=4)
    for index in range(len(first)):
        assert not same(first[index], second[len(first) + index])
        assert not same(first[index], other_seed[index])


def test_rows_stay_what_they_are(contig: Bases, tokenizer: DNAGPTTokenizer) -> None:
    """A run that goes on with another release must see the rows that it would have seen."""
    dataset = make_dataset([contig], tokenizer, seed=1)
    assert dataset[0]["input_ids"][:4].tolist() == [28, 9936, 18306, 15560]
    assert int(dataset[41]["input_ids"].sum()) == 307324


def test_an_epoch_is_spread_over_the_genome(contig: Bases, tokenizer: DNAGPTTokenizer) -> None:
    dataset = make_dataset([contig], tokenizer, objectives=ONLY_NEXT_TOKEN, length=50)
    starts = {}
    for epoch in range(2):
        rows = [records_of(dataset[epoch * 50 + index])[0] for index in range(50)]
        found = [contig.tobytes().find(bases_of(row, tokenizer).tobytes()) for row in rows]
        # every row has a fiftieth of the genome of its own to start in
        assert sorted(int(start / (5000 - 138 + 1) * 50) for start in found) == list(range(50))
        assert found != sorted(found)
        starts[epoch] = found
    assert len(set(starts[0]) & set(starts[1])) < 10


def test_workers_make_the_same_rows(contig: Bases, tokenizer: DNAGPTTokenizer) -> None:
    dataset = make_dataset([contig], tokenizer, length=12)
    loaders = [
        torch.utils.data.DataLoader(dataset, 4, collate_fn=stack_sequences, num_workers=workers)
        for workers in (0, 2)
    ]
    for alone, parallel in zip(*loaders, strict=True):
        torch.testing.assert_close(dict(alone), dict(parallel), rtol=0, atol=0, equal_nan=True)


def test_the_sampler_counts_on_from_epoch_to_epoch() -> None:
    epoch = 0
    sampler = EpochSampler(3, epoch=lambda: epoch)
    assert list(sampler) == [0, 1, 2]
    epoch = 2
    assert list(sampler) == [6, 7, 8]
    assert len(sampler) == 3


@pytest.mark.parametrize("size", [1, 2, 3, 10, 97, 1024])
def test_permuted_is_a_permutation(size: int) -> None:
    orders = [[permuted(index, size, key) for index in range(size)] for key in (0, 1)]
    assert all(sorted(order) == list(range(size)) for order in orders)
    if size >= 10:
        assert orders[0] != orders[1]
        assert orders[0] != list(range(size))


def test_sequences_are_drawn_by_length(tokenizer: DNAGPTTokenizer) -> None:
    sequences = [normalize_bases(b"A" * 1000), normalize_bases(b"C" * 3000)]
    dataset = make_dataset(sequences, tokenizer, objectives=ONLY_NEXT_TOKEN, length=400)
    share = np.mean([gc_content(bases_of(one, tokenizer)) for one in all_records(dataset)])
    assert share == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize(("weights", "expected"), [((None, None), 0.75), ((1.0, 1.0), 0.5)])
def test_species_are_drawn_by_bases_or_by_weight(
    tokenizer: DNAGPTTokenizer, weights: tuple[float | None, float | None], expected: float
) -> None:
    species = [
        SpeciesSequences("<U>", [normalize_bases(b"A" * 1000)], weights[0]),
        SpeciesSequences("<R>", [normalize_bases(b"C" * 3000)], weights[1]),
    ]
    dataset = PretrainingDataset(
        species, tokenizer, context_length=24, length=400, objectives=ONLY_NEXT_TOKEN
    )
    human = tokenizer("<R>")["input_ids"][0]
    share = np.mean([dataset[index]["input_ids"][0] == human for index in range(400)])
    assert share == pytest.approx(expected, abs=0.01)
    assert dataset.num_bases == 4000


def test_an_epoch_holds_the_bases_once(contig: Bases, tokenizer: DNAGPTTokenizer) -> None:
    dataset = make_dataset([contig], tokenizer, length=None)
    assert len(dataset) == -(-5000 // ((POSITIONS - 1) * 6))


def test_windows_of_n_are_not_drawn(tokenizer: DNAGPTTokenizer) -> None:
    bases = normalize_bases(b"N" * 2000 + b"ACGTA" * 60 + b"N" * 2000)
    for record in all_records(make_dataset([bases], tokenizer, length=100)):
        segment = bases_of(record, tokenizer)
        assert (segment == ord("N")).sum() <= 0.05 * len(segment)
    with pytest.raises(ValueError, match="species yeast: 1,000 windows"):
        make_dataset([normalize_bases(b"N" * 500)], tokenizer)


def test_contigs_shorter_than_a_row_are_read_whole(tokenizer: DNAGPTTokenizer) -> None:
    contigs = [normalize_bases(b"ACGTTGCA" * 6), normalize_bases(b"GGCCA" * 3)]
    dataset = make_dataset(contigs, tokenizer, objectives=ONLY_NEXT_TOKEN)
    records = records_of(dataset[0])
    assert len(records) > 1
    # the second contig is shorter than the shortest segment
    assert bases_of(records[0], tokenizer).tobytes() == b"ACGTTGCA" * 6
    with pytest.raises(ValueError, match="species yeast has no sequence of 30 bases"):
        make_dataset(contigs[1:], tokenizer)


def test_fixed_vocabulary_answers_with_reserved_tokens(contig: Bases) -> None:
    fixed = DNAGPTTokenizer(dynamic_kmer=False, model_max_length=64)
    dataset = make_dataset([contig], fixed, objectives=Objectives(1, 2, 2), length=100)
    texts = [as_text(record, fixed) for record in all_records(dataset)]
    ends = {text.split("<=><B>")[1] for text in texts if "<B>" in text}
    assert ends == {"<0>", "<1>"}
    assert any("<=><M>" in text for text in texts)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"context_length": 8}, "a context of 8 tokens holds no segment of 30 bases"),
        ({"shortest_segment": 0}, "shortest_segment of 1"),
        ({"length": 0}, "epoch of 0"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    contig: Bases, tokenizer: DNAGPTTokenizer, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_dataset([contig], tokenizer, **arguments)


def test_species_that_cannot_be_are_refused(contig: Bases, tokenizer: DNAGPTTokenizer) -> None:
    for species, message in [
        ([], "no species"),
        ([SpeciesSequences("<nobody>", [contig])], "no token <nobody>"),
        ([SpeciesSequences("<U>", [contig], weight=0)], "weight 0"),
        ([SpeciesSequences("<U>", [contig], 1), SpeciesSequences("<R>", [contig])], "all or none"),
    ]:
        with pytest.raises(ValueError, match=message):
            PretrainingDataset(species, tokenizer, context_length=24)


@pytest.mark.parametrize(
    "arguments", [(-1, 1, 1), (0, 0, 0), (1, 1, 1, "turn"), (1, 1, 1, "reverse", 2)]
)
def test_impossible_objectives_are_refused(arguments: tuple[object, ...]) -> None:
    with pytest.raises(ValueError):
        Objectives(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("objectives", [ONLY_NEXT_TOKEN, ONLY_GC, ONLY_ORDER])
def test_each_objective_has_a_gradient_where_it_should(
    contig: Bases,
    tokenizer: DNAGPTTokenizer,
    tiny_model: DNAGPTForMultiTask,
    objectives: Objectives,
) -> None:
    dataset = make_dataset([contig], tokenizer, objectives=objectives)
    batch = stack_sequences([dataset[index] for index in range(8)])
    output = tiny_model(**batch)
    output.loss.backward()
    token_gradient = tiny_model.token_head.out_proj.weight.grad
    number_gradient = tiny_model.number_head.out_proj.weight.grad
    assert token_gradient is not None
    assert token_gradient.abs().sum() > 0
    assert bool(number_gradient.abs().sum() > 0) == (objectives is ONLY_GC)
    answers = {tokenizer("A")["input_ids"][0], tokenizer("N")["input_ids"][0]}
    assert bool(answers & set(batch["labels"].flatten().tolist())) == (objectives is ONLY_ORDER)


def test_records_of_a_row_do_not_see_each_other(
    contig: Bases, tokenizer: DNAGPTTokenizer, tiny_model: DNAGPTForMultiTask
) -> None:
    dataset = make_dataset([contig], tokenizer, objectives=Objectives(1, 3, 1))
    rows = [dataset[index] for index in range(8)]
    packed = tiny_model(**stack_sequences(rows)).logits
    for row, logits in zip(rows, packed, strict=True):
        start = 0
        for record in records_of(row):
            alone = tiny_model(
                input_ids=torch.tensor(record["input_ids"][None]),
                number_values=torch.tensor(record["number_values"][None]),
            ).logits[0]
            torch.testing.assert_close(logits[start : start + len(alone)], alone)
            start += len(alone)


def test_joined_rows_have_the_losses_of_stacked_ones(
    contig: Bases, tokenizer: DNAGPTTokenizer, tiny_model: DNAGPTForMultiTask
) -> None:
    dataset = make_dataset([contig], tokenizer, objectives=Objectives(1, 2, 1))
    rows = [dataset[index] for index in range(5)]
    stacked, joined = (tiny_model(**collate(rows)) for collate in (stack_sequences, join_sequences))
    assert joined.logits.shape[:2] == (1, 5 * POSITIONS)
    torch.testing.assert_close(joined.logits.view_as(stacked.logits), stacked.logits)
    torch.testing.assert_close(joined.loss, stacked.loss)


def test_flash_attention_refuses_several_packed_rows(
    contig: Bases, tokenizer: DNAGPTTokenizer, tiny_model: DNAGPTForMultiTask
) -> None:
    dataset = make_dataset([contig], tokenizer, objectives=ONLY_GC)
    tiny_model.config._attn_implementation = "flash_attention_2"
    with pytest.raises(ValueError, match="8 packed rows: join them"):
        tiny_model(**stack_sequences([dataset[index] for index in range(8)]))


def train(contig: Bases, tokenizer: DNAGPTTokenizer, steps: int) -> list[tuple[float, float]]:
    torch.manual_seed(0)
    model = DNAGPTForMultiTask(preset_config("dnagpt-test", number_loss_weight=1.0))
    dataset = make_dataset([contig], tokenizer, length=8, context_length=14, seed=1)
    batch = stack_sequences([dataset[index] for index in range(8)])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(steps):
        output = model(**batch)
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append((output.token_loss.item(), output.number_loss.item()))
    return losses


def test_eight_rows_can_be_learned_by_heart(contig: Bases, tokenizer: DNAGPTTokenizer) -> None:
    losses = train(contig, tokenizer, steps=80)
    assert losses[0][0] > 9
    # the first k-mers of the records cannot be told apart: ln 8 for one of about 11 tokens
    assert losses[-1][0] < 0.4
    assert losses[-1][1] < 1e-3


def test_training_twice_with_one_seed_is_the_same(
    contig: Bases, tokenizer: DNAGPTTokenizer
) -> None:
    assert train(contig, tokenizer, steps=3) == train(contig, tokenizer, steps=3)
