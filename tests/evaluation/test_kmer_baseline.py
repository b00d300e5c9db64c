"""K-mers against plain counts, and their regression on sequences made to be told apart."""

from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pytest

from dnagpt_hf.evaluation.kmer_baseline import FloorBaseline, KmerBaseline, count_kmers
from dnagpt_hf.evaluation.metrics import (
    classification_metrics,
    multilabel_metrics,
    regression_metrics,
)


def plain_counts(sequence: str, kmer_size: int, parts: int) -> list[int]:
    """The definition, written out."""
    kmers = ["".join(kmer) for kmer in product("ACGT", repeat=kmer_size)]
    text = sequence.upper().replace("U", "T")
    counts = []
    for part in range(parts):
        piece = text[len(text) * part // parts : len(text) * (part + 1) // parts]
        windows = range(len(piece) - kmer_size + 1)
        seen = Counter(piece[start : start + kmer_size] for start in windows)
        counts += [seen[kmer] for kmer in kmers]
    return counts


@pytest.mark.parametrize("kmer_size", [1, 2, 4, 7])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_equals_a_plain_count(kmer_size: int, parts: int) -> None:
    rng = np.random.default_rng(kmer_size)
    letters = list("ACGTACGTACGTacgtuNR")
    lengths = [0, 1, 2, 3, 5, 8, 0, 60, 61, 300]
    sequences = ["".join(rng.choice(letters, length)) for length in lengths]
    counts = count_kmers(sequences, kmer_size, parts)
    assert counts.tolist() == [plain_counts(one, kmer_size, parts) for one in sequences]


def test_no_sequences() -> None:
    assert count_kmers([], 4, 2).shape == (0, 512)
    assert not count_kmers(["", "AC"], 4).any()


def test_bad_sequences_are_refused() -> None:
    with pytest.raises(ValueError, match="sequence 2: '!' at position 3 is no nucleotide letter"):
        count_kmers(["ACGT", "AC!T"])
    with pytest.raises(ValueError, match="sequence 1: 'é'"):
        count_kmers(["é"])
    with pytest.raises(ValueError, match="k-mers of 9 bases in 1 parts: choose 1 to 8"):
        count_kmers(["ACGT"], kmer_size=9)
    with pytest.raises(ValueError, match="in 0 parts"):
        count_kmers(["ACGT"], parts=0)


def sequences_of(labels: Any, seed: int) -> list[str]:
    """Random bases; behind the middle the first class is rich in A and T, the last in G and C."""
    rng = np.random.default_rng(seed)
    texts = []
    for label in labels:
        gc = 0.35 + 0.15 * label
        left = rng.choice(list("ACGT"), 40)
        right = rng.choice(list("ACGT"), 40, p=[(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2])
        texts.append("".join([*left, *right]))
    return texts


def labels_of(records: int, classes: int) -> Any:
    return np.random.default_rng(records).integers(classes, size=records)


@pytest.mark.parametrize("classes", [2, 3])
def test_classes(classes: int) -> None:
    labels, held_out = labels_of(200, classes), labels_of(201, classes)
    baseline = KmerBaseline(kmer_size=2).fit(sequences_of(labels, 0), labels)
    probabilities = baseline.predict_proba(sequences_of(held_out, 1))
    assert probabilities.shape == (201, classes) and np.allclose(probabilities.sum(1), 1)
    assert classification_metrics(held_out, probabilities)["auroc"] > 0.8
    predicted = baseline.predict(sequences_of(held_out, 1))
    assert np.array_equal(predicted, probabilities.argmax(1))


def test_parts_tell_left_from_right() -> None:
    """What only changes places is seen by two parts and not by one."""
    rng = np.random.default_rng(0)
    labels = labels_of(120, 2)
    rich, poor = (["".join(rng.choice(list(s), 30)) for _ in labels] for s in ("GGGCA", "AAATC"))
    texts = [r + p if label else p + r for r, p, label in zip(rich, poor, labels, strict=True)]
    for parts, reached in ((1, False), (2, True)):
        baseline = KmerBaseline(kmer_size=1, parts=parts, C=1.0).fit(texts[:80], labels[:80])
        assert (np.mean(baseline.predict(texts[80:]) == labels[80:]) > 0.95) == reached


def test_labels_of_which_several_hold() -> None:
    labels = np.random.default_rng(0).integers(2, size=(300, 3))
    labels[:, 2] = 0
    texts = sequences_of(labels[:, 0] * 2, 0)
    texts = [
        text[40:] if label else text[40:] + "CACACA"
        for text, label in zip(texts, labels[:, 1], strict=True)
    ]
    baseline = KmerBaseline(2, 1, problem_type="multi_label_classification")
    with pytest.warns(UserWarning, match="Label not 2 is present"):
        baseline.fit(texts[:200], labels[:200])
    probabilities = baseline.predict_proba(texts[200:])
    metrics = multilabel_metrics(labels[200:], probabilities)
    assert metrics["auroc_0"] > 0.8 and metrics["auroc_1"] > 0.8 and metrics["accuracy_2"] == 1
    assert baseline.predict(texts[200:]).shape == (100, 3)


def test_numbers_from_sequences_and_from_numbers() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 2)) * [1, 1000]
    richness = rng.random(300)
    texts = sequences_of(richness * 2, 0)
    targets = richness + features[:, 1] / 1000
    scores = {}
    for name, numbers in (("sequences", None), ("both", features)):
        baseline = KmerBaseline(1, problem_type="regression")
        baseline.fit(texts[:200], targets[:200], None if numbers is None else numbers[:200])
        predicted = baseline.predict(texts[200:], None if numbers is None else numbers[200:])
        scores[name] = regression_metrics(targets[200:], predicted)["r2"]
    assert scores["both"] > 0.9 > 0.5 > scores["sequences"]
    pairs = KmerBaseline(1, problem_type="regression", C=0.1)
    pairs.fit(texts, np.column_stack([targets, richness]))
    assert pairs.predict(texts).shape == (300, 2)


def test_the_penalty_is_chosen_by_the_data() -> None:
    """Labels without meaning want a strong penalty, so that the probabilities say little."""
    labels = labels_of(120, 2)
    meaningless = sequences_of(np.ones(120), 0)
    chosen = KmerBaseline(3).fit(meaningless, labels)
    fitted = KmerBaseline(3, C=1.0).fit(meaningless, labels)
    spread = [
        np.ptp(one.predict_proba(sequences_of(np.ones(60), 1))[:, 1]) for one in (chosen, fitted)
    ]
    assert spread[0] < 0.3 < spread[1]


def test_the_same_data_give_the_same_model() -> None:
    labels = labels_of(60, 2)
    texts = sequences_of(labels, 0)
    first, second = (KmerBaseline(2).fit(texts, labels).predict_proba(texts) for _ in range(2))
    assert np.array_equal(first, second)


def test_the_unit_of_a_number_does_not_matter() -> None:
    labels = labels_of(80, 2)
    numbers = labels + np.random.default_rng(0).normal(size=80)
    texts = sequences_of(np.ones(80), 0)
    metres, nanometres = (
        KmerBaseline(1, C=0.1)
        .fit(texts, labels, unit * numbers)
        .predict_proba(texts, unit * numbers)
        for unit in (1, 1e9)
    )
    assert np.allclose(metres, nanometres)
    assert classification_metrics(labels, metres)["auroc"] > 0.7


@pytest.mark.filterwarnings("error")
def test_a_class_with_one_member_and_classes_with_names() -> None:
    labels = ["exon"] * 5 + ["intron"] * 5 + ["neither"]
    texts = sequences_of([0] * 5 + [2] * 5 + [1], 0)
    baseline = KmerBaseline(2).fit(texts, labels)
    assert baseline.pipeline.classes_.tolist() == ["exon", "intron", "neither"]
    assert set(baseline.predict(texts)) <= set(labels)


TEXTS = ["ACGTACGT", "GGGGCCCC", "AAAATTTT"]


@pytest.mark.parametrize(
    ("targets", "options", "numbers"),
    [
        ([0, 1], {}, None),
        ([1, 1, 1], {}, None),
        ([0, 1, 0], {}, [1.0, np.nan, 2.0]),
        ([0, 1, 0], {}, [1.0, 2.0]),
        ([0.0, np.inf, 1.0], {"problem_type": "regression"}, None),
        ([[0, 2]] * 3, {"problem_type": "multi_label_classification"}, None),
    ],
)
def test_bad_records(targets: Any, options: Any, numbers: Any) -> None:
    with pytest.raises(ValueError):
        KmerBaseline(2, **options).fit(TEXTS, targets, numbers)


def test_bad_use() -> None:
    with pytest.raises(ValueError, match="'ranking': choose one of single_label"):
        KmerBaseline(problem_type="ranking")  # type: ignore[arg-type]
    baseline = KmerBaseline(1, problem_type="regression", C=1.0)
    baseline.fit(TEXTS, [0.1, 0.2, 0.3], [1, 2, 3])
    with pytest.raises(ValueError, match=r"X has 8 features, but .* 9 features"):
        baseline.predict(TEXTS)


def test_the_floor_answers_without_reading() -> None:
    floor = FloorBaseline().fit(["A"] * 4, [2, 0, 2, 2])
    assert floor.predict(["C", "G"]).tolist() == [2, 2]
    assert floor.classes.tolist() == [0, 2]
    assert floor.predict_proba(["C"]).tolist() == [[0.25, 0.75]]
    numbers = FloorBaseline("regression").fit(["A", "C"], [1.0, 2.0])
    assert numbers.predict(["G"] * 3).tolist() == [1.5] * 3
    labels = FloorBaseline("multi_label_classification").fit(
        ["A", "C", "G"], [[0, 1], [0, 1], [1, 0]]
    )
    assert labels.predict(["T"]).tolist() == [[0, 1]]


def test_several_sequences_have_counts_of_their_own() -> None:
    pairs = [("ACGT", "TTTT"), ("", "AC")]
    both = [count_kmers(list(one), 2, 2) for one in zip(*pairs, strict=True)]
    assert np.array_equal(count_kmers(pairs, 2, 2), np.hstack(both))
    with pytest.raises(ValueError, match="record 2 has 1 sequences, and the first one 2"):
        count_kmers([("A", "C"), ("A",)])
