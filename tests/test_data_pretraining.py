"""Records of the three objectives: what stands in them, what is learned, what may differ."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
from dnagpt_hf.data.collator import DNAGPTDataCollator
from dnagpt_hf.data.genomes import Bases, gc_content, normalise_bases, reverse_complement
from dnagpt_hf.data.pretraining import Objectives, PretrainingDataset, Record, RecordWriter
from dnagpt_hf.presets import preset_config

ONLY_NEXT_TOKEN = Objectives(1, 0, 0)
ONLY_GC = Objectives(0, 1, 0)
ONLY_ORDER = Objectives(0, 0, 1)


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
        "window": 120,
        "shortest_segment": 30,
        "species": "<U>",
    }
    return PretrainingDataset(sequences, tokenizer, **(defaults | arguments))


def as_text(record: Record, tokenizer: DNAGPTTokenizer) -> str:
    return tokenizer.decode(record["input_ids"].tolist(), number_values=record["number_values"])


def bases_of(record: Record, tokenizer: DNAGPTTokenizer) -> Bases:
    text = as_text(record, tokenizer).removeprefix("<U>").split("<=>")[0]
    return normalise_bases(text.encode())


def same(first: Record, second: Record) -> bool:
    return all(np.array_equal(first[key], second[key], equal_nan=True) for key in first)


def test_next_token_records_are_windows_of_the_contig(
    contig: Bases, tokenizer: DNAGPTTokenizer
) -> None:
    dataset = make_dataset([contig], tokenizer, objectives=ONLY_NEXT_TOKEN)
    phases = set()
    for index in range(len(dataset)):
        window = bases_of(dataset[index], tokenizer)
        start = contig.tobytes().find(window.tobytes())
        assert len(window) == 120
        assert start >= 0
        phases.add(start % 6)
    assert phases == set(range(6))


def test_gc_records_state_the_gc_content(contig: Bases, tokenizer: DNAGPTTokenizer) -> None:
    dataset = make_dataset([contig], tokenizer, objectives=ONLY_GC, length=300)
    lengths = set()
    for index in range(len(dataset)):
        record = dataset[index]
        segment = bases_of(record, tokenizer)
        assert as_text(record, tokenizer).count("<=><M>") == 1
        known = segment[segment != ord("N")]
        expected = np.isin(known, [ord("G"), ord("C")]).mean()
        assert record["number_labels"][-1] == pytest.approx(expected, abs=1e-6)
        assert record["number_values"][-1] == record["number_labels"][-1]
        lengths.add(len(segment))
    assert min(lengths) >= 30
    assert max(lengths) <= 120
    assert len(lengths) > 60


def test_order_records_say_whether_the_window_was_reversed(
    contig: Bases, tokenizer: DNAGPTTokenizer
) -> None:
    dataset = make_dataset([contig], tokenizer, objectives=ONLY_ORDER, length=200)
    answers = []
    for index in range(len(dataset)):
        record = dataset[index]
        window, answer = bases_of(record, tokenizer), as_text(record, tokenizer)[-4:]
        forward = window.tobytes() in contig.tobytes()
        backward = window[::-1].tobytes() in contig.tobytes()
        assert (forward, backward) == ((False, True) if answer == "<B>A" else (True, False))
        answers.append(answer)
    assert 70 < answers.count("<B>A") < 130


def test_reverse_complement_can_be_the_flip(contig: Bases, tokenizer: DNAGPTTokenizer) -> None:
    flip = Objectives(0, 0, 1, flip="reverse_complement", flip_probability=1.0)
    dataset = make_dataset([contig], tokenizer, objectives=flip)
    window = bases_of(dataset[0], tokenizer)
    assert as_text(dataset[0], tokenizer).endswith("<=><B>A")
    assert reverse_complement(window).tobytes() in contig.tobytes()


def test_both_strands_are_read(contig: Bases, tokenizer: DNAGPTTokenizer) -> None:
    dataset = make_dataset([contig], tokenizer, objectives=ONLY_NEXT_TOKEN, both_strands=True)
    windows = [bases_of(dataset[index], tokenizer) for index in range(len(dataset))]
    forward = [window.tobytes() in contig.tobytes() for window in windows]
    backward = [reverse_complement(window).tobytes() in contig.tobytes() for window in windows]
    assert 0 < sum(forward) < len(windows)
    assert all(one != other for one, other in zip(forward, backward, strict=True))


def test_sequence_answers_and_numbers_are_targets_but_not_questions(
    tokenizer: DNAGPTTokenizer,
) -> None:
    writer = RecordWriter(tokenizer, "<U>")
    bases = normalise_bases(b"ACGTACGG")
    sequence = tokenizer.encode_dna(bases).tolist()
    a = tokenizer("A")["input_ids"]
    order = writer.sequence_order(bases, True)
    assert order["labels"].tolist() == [-100, *sequence, -100, -100, *a]
    assert np.isnan(order["number_labels"]).all()
    gc = writer.gc_content(bases)
    assert gc["labels"].tolist() == [-100, *sequence, -100, -100, -100]
    assert np.flatnonzero(~np.isnan(gc["number_labels"])).tolist() == [5]


def test_ids_are_those_of_the_text(contig: Bases, tokenizer: DNAGPTTokenizer) -> None:
    dataset = make_dataset([contig], tokenizer, objectives=Objectives(1, 1, 1))
    for index in range(len(dataset)):
        record = dataset[index]
        encoding = tokenizer(as_text(record, tokenizer))
        assert encoding["input_ids"] == record["input_ids"].tolist()
        assert encoding["number_values"] == pytest.approx(record["number_values"].tolist())


def test_a_record_depends_on_seed_epoch_and_index_only(
    contig: Bases, tokenizer: DNAGPTTokenizer
) -> None:
    first, second = (make_dataset([contig], tokenizer, seed=3) for _ in range(2))
    order = np.random.default_rng(1).permutation(len(first))
    shuffled = {int(index): second[int(index)] for index in order}
    assert all(same(first[index], shuffled[index]) for index in range(len(first)))
    second.set_epoch(1)
    other_seed = make_dataset([contig], tokenizer, seed=4)
    assert not any(same(first[index], second[index]) for index in range(len(first)))
    assert not any(same(first[index], other_seed[index]) for index in range(len(first)))


def test_workers_make_the_same_records(contig: Bases, tokenizer: DNAGPTTokenizer) -> None:
    dataset = make_dataset([contig], tokenizer, length=12)
    collate = DNAGPTDataCollator(tokenizer)
    loaders = [
        torch.utils.data.DataLoader(dataset, 4, collate_fn=collate, num_workers=workers)
        for workers in (0, 2)
    ]
    for alone, parallel in zip(*loaders, strict=True):
        torch.testing.assert_close(dict(alone), dict(parallel), rtol=0, atol=0, equal_nan=True)


def test_sequences_are_drawn_by_length(tokenizer: DNAGPTTokenizer) -> None:
    sequences = [normalise_bases(b"A" * 1119), normalise_bases(b"C" * 3119)]
    dataset = make_dataset(sequences, tokenizer, objectives=ONLY_NEXT_TOKEN, length=400)
    share = np.mean([gc_content(bases_of(dataset[index], tokenizer)) for index in range(400)])
    assert share == pytest.approx(0.75, abs=0.08)


def test_windows_of_n_are_not_drawn(tokenizer: DNAGPTTokenizer) -> None:
    bases = normalise_bases(b"N" * 2000 + b"ACGTA" * 60 + b"N" * 2000)
    dataset = make_dataset([bases], tokenizer, length=100)
    for index in range(len(dataset)):
        segment = bases_of(dataset[index], tokenizer)
        assert (segment == ord("N")).sum() <= 0.05 * 120
    with pytest.raises(ValueError, match="none of the 1 sequences has a window"):
        make_dataset([normalise_bases(b"N" * 500)], tokenizer)


def test_fixed_vocabulary_needs_answers(contig: Bases) -> None:
    fixed = DNAGPTTokenizer(dynamic_kmer=False, model_max_length=64)
    with pytest.raises(ValueError, match="no token A"):
        make_dataset([contig], fixed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window": 400}, "records of 71 tokens, but the model has 64"),
        ({"shortest_segment": 121}, "shortest_segment 121"),
        ({"shortest_segment": 6, "window": 120}, "could be all N"),
        ({"length": 0}, "epoch of 0"),
        ({"species": "<nobody>"}, "no token <nobody>"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    contig: Bases, tokenizer: DNAGPTTokenizer, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_dataset([contig], tokenizer, **arguments)


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
    batch = DNAGPTDataCollator(tokenizer)([dataset[index] for index in range(8)])
    output = tiny_model(**batch)
    output.loss.backward()
    token_gradient = tiny_model.token_head.out_proj.weight.grad
    number_gradient = tiny_model.number_head.out_proj.weight.grad
    assert token_gradient is not None
    assert token_gradient.abs().sum() > 0
    assert bool(number_gradient.abs().sum() > 0) == (objectives is ONLY_GC)
    answers = {tokenizer("A")["input_ids"][0], tokenizer("N")["input_ids"][0]}
    assert bool(answers & set(batch["labels"].flatten().tolist())) == (objectives is ONLY_ORDER)


def train(contig: Bases, tokenizer: DNAGPTTokenizer, steps: int) -> list[tuple[float, float]]:
    torch.manual_seed(0)
    model = DNAGPTForMultiTask(preset_config("dnagpt-test", number_loss_weight=1.0))
    dataset = make_dataset([contig], tokenizer, length=8, window=60, seed=1)
    batch = DNAGPTDataCollator(tokenizer)([dataset[index] for index in range(8)])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(steps):
        output = model(**batch)
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append((output.token_loss.item(), output.number_loss.item()))
    return losses


def test_eight_records_can_be_learned_by_heart(contig: Bases, tokenizer: DNAGPTTokenizer) -> None:
    losses = train(contig, tokenizer, steps=80)
    assert losses[0][0] > 9
    # the first k-mers of the eight cannot be told apart: ln 8 for one of about 11 tokens
    assert losses[-1][0] < 0.4
    assert losses[-1][1] < 1e-3


def test_training_twice_with_one_seed_is_the_same(
    contig: Bases, tokenizer: DNAGPTTokenizer
) -> None:
    assert train(contig, tokenizer, steps=3) == train(contig, tokenizer, steps=3)
