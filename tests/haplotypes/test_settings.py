"""Settings of training on haplotypes."""

from __future__ import annotations

import pytest

from dnagpt_hf.haplotypes.settings import parse_haplotype_settings
from dnagpt_hf.presets import get_preset


def test_the_recipe_of_the_model() -> None:
    tuned = parse_haplotype_settings(["--haplotypes", "x.hapt", "--model", "dnagpt-tiny"])
    recipe = get_preset("dnagpt-tiny")
    assert tuned.training.learning_rate == recipe.finetuning.learning_rate
    assert tuned.training.metric_for_best_model == "bits_per_site"
    assert not tuned.training.greater_is_better
    new = parse_haplotype_settings(
        ["--haplotypes", "x.hapt", "--model", "dnagpt-m", "--from_scratch"]
    )
    large = get_preset("dnagpt-m")
    assert new.training.learning_rate == large.pretraining.learning_rate
    assert new.training.num_train_epochs == large.finetuning.epochs
    stated = parse_haplotype_settings(
        ["--haplotypes", "x.hapt", "--learning_rate", "0.5", "--only_populations", "AFR", "EUR"]
    )
    assert stated.training.learning_rate == 0.5
    assert stated.data.only_populations == ["AFR", "EUR"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no haplotypes are given"),
        (["--haplotypes", "x", "--config", "{hidden_size: 64}"], "add --from_scratch"),
        (["--haplotypes", "x", "--from_scratch", "--config", "64"], "config is 64: write fields"),
        (["--haplotypes", "x", "--min_mafs", "0.1"], "did you mean min_maf"),
        (["--haplotypes", "x", "--model", "no-such-model"], "no-such-model: no such checkpoint"),
    ],
)
def test_bad_settings(arguments: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_haplotype_settings(arguments)
