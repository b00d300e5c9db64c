"""The convolutional baseline learns what is there, and treats lengths, N and numbers as it says."""

from typing import Any

import numpy as np
import pytest
import torch

from dnagpt_hf.evaluation import convolutional_baseline
from dnagpt_hf.evaluation.convolutional_baseline import ConvolutionalBaseline
from dnagpt_hf.evaluation.metrics import (
    classification_metrics,
    multilabel_metrics,
    regression_metrics,
)

MOTIFS = ("GATTACAG", "CCGCTTGA")


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolutional_baseline, "LEAST_STEPS", 60)


def sequences_with(holds: Any, seed: int) -> list[str]:
    """Random bases with the motifs whose columns hold; `holds` is `(records, motifs)`."""
    rng = np.random.default_rng(seed)
    texts = []
    for row in np.asarray(holds):
        halves = ["".join(rng.choice(list("ACGT"), 40)) for _ in MOTIFS]
        for index, motif in enumerate(MOTIFS):
            if row[index]:
                start = int(rng.integers(32))
                half = halves[index]
                halves[index] = half[:start] + motif + half[start + len(motif) :]
        texts.append("".join(halves))
    return texts


def split(*arrays: Any, at: int = 320) -> tuple[list[Any], list[Any]]:
    return [one[:at] for one in arrays], [one[at:] for one in arrays]


def test_classes() -> None:
    classes = np.random.default_rng(0).integers(3, size=480)
    texts = sequences_with(np.column_stack([classes == 1, classes == 2]), 0)
    training, others = split(texts, classes)
    baseline = ConvolutionalBaseline().fit(*training, validation=(*others, None))
    probabilities = baseline.predict_proba(others[0])
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert classification_metrics(others[1], probabilities)["auroc"] > 0.8
    assert np.array_equal(baseline.predict(others[0]), probabilities.argmax(1))


def test_labels_of_which_several_hold() -> None:
    holds = np.random.default_rng(0).integers(2, size=(480, 2))
    training, others = split(sequences_with(holds, 0), holds)
    baseline = ConvolutionalBaseline(problem_type="multi_label_classification")
    baseline.fit(*training, validation=(*others, None))
    assert multilabel_metrics(others[1], baseline.predict_proba(others[0]))["auroc"] > 0.8
    assert set(np.unique(baseline.predict(others[0]))) <= {0, 1}


def test_numbers_join_and_their_units_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    # so that few steps are enough
    monkeypatch.setattr(convolutional_baseline, "LEARNING_RATE", 0.03)
    rng = np.random.default_rng(0)
    texts, dose = sequences_with(rng.integers(2, size=(480, 2)), 0), rng.normal(size=480)
    found = []
    for unit in (1.0, 1e6):
        training, others = split(texts, 500 + unit * dose, unit * dose)
        baseline = ConvolutionalBaseline(problem_type="regression")
        baseline.fit(*training, validation=tuple(others))
        predicted = baseline.predict(others[0], others[2])
        assert predicted.shape == (160,)
        found.append(regression_metrics(others[1], predicted)["r2"])
    assert found[0] > 0.5 and found[0] == pytest.approx(found[1], abs=0.05)


def test_a_seed_gives_one_model_and_leaves_the_random_state(monkeypatch: Any) -> None:
    holds = np.random.default_rng(0).integers(2, size=(64, 2))
    texts, classes = sequences_with(holds, 0), holds[:, 0]
    records = (texts, classes, None)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, again, other = (
        ConvolutionalBaseline(seed=seed).fit(*records, validation=records).predict_proba(texts)
        for seed in (1, 1, 2)
    )
    assert torch.equal(torch.rand(1), expected)
    assert np.array_equal(first, again) and not np.allclose(first, other)


def test_the_best_epoch_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.5, 0.9, 0.7] + [0.6] * 1000)
    states: list[Any] = []

    def score(self: ConvolutionalBaseline, *records: Any) -> float:
        states.append(self.network.output.bias.detach().clone())
        return next(scores)

    monkeypatch.setattr(ConvolutionalBaseline, "_validation_score", score)
    records = (["ACGT" * 9, "GGCA" * 9] * 8, [0, 1] * 8, None)
    baseline = ConvolutionalBaseline().fit(*records, validation=records)
    assert len(states) == 60 and not torch.equal(states[1], states[-1])
    assert torch.equal(baseline.network.output.bias, states[1])


def test_lengths_and_unknown_bases(caplog: pytest.LogCaptureFixture) -> None:
    texts = ["ACGTTGCA" * 5, "GGCATTAC" * 4] * 8
    records = (texts, [0, 1] * 8, None)
    baseline = ConvolutionalBaseline().fit(*records, validation=records)
    # padding and N are the same, and no base
    padded = baseline.predict_proba([texts[1], texts[1] + "N" * 8])
    assert np.array_equal(padded[0], padded[1])
    assert not caplog.records
    cut = baseline.predict_proba([texts[0], texts[0] + "ACGT"])
    assert "1 sequence is longer than those of the training records" in caplog.text
    assert np.array_equal(cut[0], cut[1])
    with pytest.raises(ValueError, match="sequence 2: '!' at position 3 is no nucleotide letter"):
        baseline.predict(["ACGT", "AC!T"])


def test_several_sequences_of_a_record() -> None:
    holds = np.random.default_rng(0).integers(2, size=(480, 2))
    texts = sequences_with(holds, 0)
    pairs = [(text[:40], text[40:]) for text in texts]
    training, others = split(pairs, holds[:, 1])
    baseline = ConvolutionalBaseline().fit(*training, validation=(*others, None))
    found = classification_metrics(others[1], baseline.predict_proba(others[0]))
    assert found["auroc"] > 0.8
    with pytest.raises(ValueError, match="record 2 has 1 sequences, and the first one 2"):
        baseline.predict([("ACGT", "ACGT"), ("ACGT",)])


def test_an_unknown_problem_is_refused() -> None:
    with pytest.raises(ValueError, match="'ranking': choose one of single_label"):
        ConvolutionalBaseline(problem_type="ranking")  # type: ignore[arg-type]
