"""Training on haplotypes: what is learned, how individuals are divided, stopping and going on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from haplotype_runs import SITES, arguments, write_set, write_table
from haplotype_sets import make_haplotypes

from dnagpt_hf import DNAGPTConfig, DNAGPTForMultiTask, DNAGPTTokenizer
from dnagpt_hf.haplotypes.files.formats import read_haplotypes
from dnagpt_hf.haplotypes.files.hapt import read_legend
from dnagpt_hf.haplotypes.format import HaplotypeFormat
from dnagpt_hf.haplotypes.generation import generate_haplotypes
from dnagpt_hf.haplotypes.settings import HaplotypeSettings, parse_haplotype_settings
from dnagpt_hf.haplotypes.trainer import HaplotypeTrainer
from dnagpt_hf.haplotypes.training import new_model, read_splits, train_haplotypes


def settings_of(haplotypes: Path, output: Path, **settings: Any) -> HaplotypeSettings:
    return parse_haplotype_settings(arguments(haplotypes, output, **settings))


def correlation_of_neighbors(alleles: np.ndarray, lag: int) -> np.ndarray:
    """Correlation of each site with that `lag` behind it."""
    correlations = np.corrcoef(alleles.T)
    return np.nan_to_num(np.diag(correlations, lag))


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mapping[str, Any]]:
    """A model that was trained until it knows a set of few ancestors."""
    folder = tmp_path_factory.mktemp("learned")
    settings = settings_of(
        write_set(folder / "real.hapt", individuals=200),
        folder / "model",
        num_train_epochs=30,
        test=0.1,
        eval_strategy="no",
        save_strategy="no",
        load_best_model_at_end=False,
    )
    return folder / "model", train_haplotypes(settings)


def test_what_it_learns(learned: tuple[Path, Mapping[str, Any]]) -> None:
    folder, results = learned
    for part in ("validation", "test"):
        loss = results[part]["bits_per_site"]
        assert loss < 0.75 * results[part]["bits_per_site_of_independent_sites"]
        assert loss == pytest.approx(results[part]["nats_per_site"] / np.log(2))
    model = DNAGPTForMultiTask.from_pretrained(folder)
    tokenizer = DNAGPTTokenizer.from_pretrained(folder)
    generated = generate_haplotypes(model, tokenizer, 1000, temperature=1.0, batch_size=500)
    assert sum(generated.rejected.values()) < 200
    real = make_haplotypes(200, SITES).alleles
    new = generated.haplotypes.alleles
    assert np.corrcoef(real.mean(0), new.mean(0))[0, 1] > 0.95
    # within a token, and in different ones
    for lag in (1, 4):
        wanted, found = (correlation_of_neighbors(one, lag) for one in (real, new))
        assert np.corrcoef(wanted, found)[0, 1] > 0.9
        # independent sites would be wrong by all of it
        assert np.abs(found - wanted).mean() < 0.5 * np.abs(wanted).mean()


def test_what_stands_in_the_folder(learned: tuple[Path, Mapping[str, Any]]) -> None:
    folder, results = learned
    assert json.loads((folder / "results.json").read_text()) == results
    assert [results[part]["haplotypes"] for part in ("train", "validation", "test")] == [
        288,
        72,
        40,
    ]
    config = DNAGPTConfig.from_pretrained(folder)
    assert HaplotypeFormat.of_model(config) == HaplotypeFormat(SITES)
    assert config.use_cache
    sites = read_legend(folder / "sites.legend")
    assert sites.positions.tolist() == make_haplotypes(2, SITES).sites.positions.tolist()
    assert "haplotypes" in (folder / "README.md").read_text()


def test_parts_share_no_person(tmp_path: Path) -> None:
    settings = settings_of(write_set(tmp_path / "real.hapt"), tmp_path / "model", test=0.25)
    parts = read_splits(settings.data)
    individuals = [set(part.samples) for part in parts.values()]
    assert [len(one) for one in individuals] == [36, 9, 15]
    assert len(set.union(*individuals)) == 60
    assert parts["train"].populations is None


def test_a_test_file(tmp_path: Path) -> None:
    real = write_set(tmp_path / "a" / "real.hapt")
    other = write_set(tmp_path / "b" / "other.hapt", individuals=10, seed=5, prefix="Q")
    parts = read_splits(settings_of(real, tmp_path / "model", test=other, min_maf=0.2).data)
    assert parts["test"].num_haplotypes == 20
    assert parts["train"].num_sites < SITES
    assert np.array_equal(parts["test"].sites.positions, parts["train"].sites.positions)
    frequencies = read_haplotypes(real).minor_allele_frequencies()
    assert parts["train"].num_sites == (frequencies >= 0.2).sum()
    with pytest.raises(ValueError, match=r"60 samples of .* are in .* as well, such as P0"):
        read_splits(settings_of(real, tmp_path / "model", test=real).data)


def test_populations(tmp_path: Path) -> None:
    real, table = write_set(tmp_path / "real.hapt"), write_table(tmp_path / "table.tsv")
    settings = settings_of(
        real, tmp_path / "model", populations=table, max_steps=1, num_train_epochs=1
    )
    train_haplotypes(settings)
    config = DNAGPTConfig.from_pretrained(tmp_path / "model")
    assert config.haplotypes["populations"] == {"EAST": "<0>", "WEST": "<1>"}
    only = settings_of(
        real, tmp_path / "model", populations=table, only_populations="WEST", validation=0.1
    )
    assert set(read_splits(only.data)["train"].populations) == {"WEST"}


def test_regions(tmp_path: Path) -> None:
    real = write_set(tmp_path / "real.hapt", chromosomes=2)
    parts = read_splits(settings_of(real, tmp_path / "model", region="2").data)
    assert parts["train"].num_sites == SITES // 2
    assert set(parts["train"].sites.chromosomes) == {"2"}


def test_a_run_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = write_set(tmp_path / "real.hapt")
    whole = train_haplotypes(settings_of(real, tmp_path / "whole"))

    step, steps = HaplotypeTrainer.training_step, []

    def stop_at_fifth(trainer: Any, *args: Any, **kwargs: Any) -> Any:
        steps.append(trainer.state.global_step)
        if len(steps) == 5:
            raise KeyboardInterrupt
        return step(trainer, *args, **kwargs)

    monkeypatch.setattr(HaplotypeTrainer, "training_step", stop_at_fifth)
    with pytest.raises(KeyboardInterrupt):
        train_haplotypes(settings_of(real, tmp_path / "stopped"))
    monkeypatch.setattr(HaplotypeTrainer, "training_step", step)
    assert (tmp_path / "stopped" / "checkpoint-3").is_dir()
    again = train_haplotypes(settings_of(real, tmp_path / "stopped"))
    assert again["validation"] == pytest.approx(whole["validation"], rel=1e-5)
    with pytest.raises(
        ValueError, match=r"is of a run with seed .*, which cannot go on with seed 7"
    ):
        train_haplotypes(settings_of(real, tmp_path / "stopped", seed=7))
    write_set(real, seed=1)
    with pytest.raises(
        ValueError, match=r"of a run on other data \(train: 96 haplotypes of 40 sites"
    ):
        train_haplotypes(settings_of(real, tmp_path / "stopped"))


def test_training_stops_early(tmp_path: Path) -> None:
    real = write_set(tmp_path / "real.hapt")
    # steps of no size, after which no evaluation is better than the first one
    train_haplotypes(
        settings_of(
            real,
            tmp_path / "model",
            num_train_epochs=12,
            early_stopping=2,
            learning_rate=0.0,
            warmup_steps=0,
        )
    )
    state = json.loads((tmp_path / "model" / "trainer_state.json").read_text())
    assert state["epoch"] < 12
    losses = [
        row["eval_bits_per_site"]
        for row in state["log_history"]
        if "eval_loss" in row or "eval_bits_per_site" in row
    ]
    assert state["best_metric"] == min(losses)


def test_models_to_start_from(tmp_path: Path) -> None:
    form = HaplotypeFormat(SITES)
    given, tokenizer = new_model(
        parse_haplotype_settings(["--haplotypes", "x", "--model", "dnagpt-tiny"]).model, form
    )
    assert (tokenizer.kmer_size, given.config.haplotypes) == (3, form.as_dict())
    new, tokenizer = new_model(
        parse_haplotype_settings(
            ["--haplotypes", "x", "--model", "dnagpt-tiny", "--from_scratch"]
        ).model,
        form,
    )
    assert tokenizer.kmer_size == 3
    assert new.config.hidden_size == given.config.hidden_size
    weights = [one.model.layers[0].mlp.up_proj.weight for one in (given, new)]
    assert not torch.equal(*weights)
    arguments = ["--model", "dnagpt-tiny", "--from_scratch", "--config", "{kmer_size: 4}"]
    other, tokenizer = new_model(
        parse_haplotype_settings(["--haplotypes", "x", *arguments]).model, form
    )
    assert (tokenizer.kmer_size, other.config.num_tokens) == (4, len(tokenizer))


def test_sizes_of_a_checkpoint_with_new_weights(tmp_path: Path) -> None:
    from dnagpt_hf.presets import preset_config, preset_tokenizer

    folder = tmp_path / "model"
    DNAGPTForMultiTask(preset_config("dnagpt-test", hidden_size=64)).save_pretrained(folder)
    preset_tokenizer("dnagpt-test").save_pretrained(folder)
    settings = parse_haplotype_settings(
        [
            "--haplotypes",
            "x",
            "--model",
            str(folder),
            "--from_scratch",
            "--config",
            "{kmer_size: 2, max_position_embeddings: 100}",
        ]
    )
    model, tokenizer = new_model(settings.model, HaplotypeFormat(SITES))
    sizes = model.config.hidden_size, model.config.max_position_embeddings
    assert (sizes, tokenizer.kmer_size) == ((64, 100), 2)
    assert model.config.num_tokens == len(tokenizer)


def test_haplotypes_that_do_not_fit(tmp_path: Path) -> None:
    real = write_set(tmp_path / "real.hapt")
    settings = settings_of(
        real, tmp_path / "model", config="{kmer_size: 3, max_position_embeddings: 10}"
    )
    with pytest.raises(ValueError, match=r"40 sites are 16 tokens of 3 sites, .* 10 positions"):
        train_haplotypes(settings)
