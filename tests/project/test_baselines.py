"""The Markov model against its definition."""

import numpy as np
import pytest
from baselines import UNIFORM_LOSS, MarkovModel

from dnagpt_hf.genomes.bases import normalize_bases


def plain_losses(training: list[str], text: str, order: int, concentration: float) -> list[float]:
    """The definition, written out."""

    def probability(base: str, context: str) -> float:
        shorter = 0.25 if not context else probability(base, context[1:])
        if not context:
            windows = [letter for one in training for letter in one if letter != "N"]
        else:
            size = len(context)
            windows = [
                one[i + size]
                for one in training
                for i in range(len(one) - size)
                if one[i : i + size] == context and one[i + size] != "N"
            ]
        return (windows.count(base) + concentration * shorter) / (len(windows) + concentration)

    losses = []
    for i, base in enumerate(text):
        context = text[max(0, i - order) : i].rpartition("N")[2]
        losses.append(np.nan if base == "N" else -np.log(probability(base, context)))
    return losses


@pytest.mark.parametrize("order", [0, 1, 3])
def test_equals_the_definition(order: int) -> None:
    rng = np.random.default_rng(0)
    training = ["".join(rng.choice(list("AACGTN"), size)) for size in (200, 90, 2)]
    text = "".join(rng.choice(list("AACGTN"), 60))
    model = MarkovModel(order, concentration=3.0)
    model.fit([normalize_bases(one.encode()) for one in training])
    expected = plain_losses(training, text, order, 3.0)
    np.testing.assert_allclose(model.losses(normalize_bases(text.encode())), expected)


def test_probabilities_sum_to_one_and_little_data_means_uniform() -> None:
    model = MarkovModel(order=4).fit([normalize_bases(b"ACGTACGTTTGACA")])
    for table in model.probabilities:
        np.testing.assert_allclose(table.sum(1), 1)
    empty = MarkovModel(order=2).fit([])
    np.testing.assert_allclose(empty.losses(normalize_bases(b"ACGT")), UNIFORM_LOSS)


def test_another_concentration_needs_no_new_counts() -> None:
    training = [normalize_bases(b"ACGTACGTTTGACAGGCATTACA")]
    smoothed = MarkovModel(3, concentration=2.0).fit(training).smooth(50.0)
    fitted = MarkovModel(3, concentration=50.0).fit(training)
    for table, expected in zip(smoothed.probabilities, fitted.probabilities, strict=True):
        np.testing.assert_array_equal(table, expected)


def test_bad_markov_models_are_refused() -> None:
    with pytest.raises(ValueError, match="order 13"):
        MarkovModel(order=13)
    with pytest.raises(ValueError, match="concentration 0"):
        MarkovModel(concentration=0)
