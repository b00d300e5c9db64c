"""Presets: sizes and recipes against the paper's tables, and their sources."""

import dataclasses
import subprocess
import sys

import pytest

from dnagpt_hf.presets import (
    PRESETS,
    get_preset,
    preset_config,
    preset_tokenizer,
    presets_of_sizes,
    vocabulary_size,
)

# Fig. S3, Fig. S4 and the released code: layers, heads, width, positions, dynamic vocabulary,
# epochs, warm-up, learning rate, precision, learning rate of fine-tuning.
PUBLISHED = {
    "dnagpt-h": (12, 12, 768, 4096, False, 10, (1, None), 1e-4, "float16", 3e-5),
    "dnagpt-m": (12, 12, 768, 4096, True, 10, (1, None), 1e-4, "float16", 3e-5),
    "dnagpt-s-512": (12, 12, 768, 512, True, 1, (None, 10_000), 6e-5, "float16", 1e-5),
    "dnagpt-b-512": (60, 64, 2048, 512, True, 1, (None, 10_000), 1e-5, "bfloat16", 3e-6),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_presets_have_the_figures_of_the_paper(name: str) -> None:
    preset = get_preset(name)
    before, after = preset.pretraining, preset.finetuning
    assert PUBLISHED[name] == (
        preset.num_hidden_layers,
        preset.num_attention_heads,
        preset.hidden_size,
        preset.max_position_embeddings,
        preset.dynamic_kmer,
        before.epochs,
        (before.warmup_epochs, before.warmup_steps),
        before.learning_rate,
        before.precision,
        after.learning_rate,
    )
    for recipe in (before, after):
        assert (recipe.optimizer, recipe.scheduler) == ("adamw", "cosine")
        assert (recipe.betas, recipe.weight_decay) == ((0.9, 0.98), 0.1)
        assert (recipe.max_grad_norm, recipe.number_loss_weight) == (1.0, 0.01)
    assert (before.gradient_accumulation_steps, after.gradient_accumulation_steps) == (5, 1)
    assert (after.epochs, after.warmup_epochs, after.batch_size) == (10, 1, 8)
    assert after.precision == "float32"


@pytest.mark.parametrize("name", PUBLISHED)
def test_disagreements_are_stated(name: str) -> None:
    notes = " ".join(get_preset(name).notes)
    assert "momentum" in notes
    assert ("15 epochs" in notes) == (name in ("dnagpt-h", "dnagpt-m"))
    assert ("512" in notes) == (name == "dnagpt-m")


@pytest.mark.parametrize("name", PRESETS)
def test_every_figure_has_a_source(name: str) -> None:
    preset = get_preset(name)
    for record in (preset, preset.pretraining, preset.finetuning):
        figures = {field.name for field in dataclasses.fields(record)}
        assert set(record.sources) <= figures
        assert all(record.source_of(figure) for figure in figures)


def test_presets_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        get_preset("dnagpt-h").hidden_size = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        PRESETS["dnagpt-h"] = get_preset("dnagpt-m")  # type: ignore[index]


def test_unknown_preset_lists_those_that_exist() -> None:
    with pytest.raises(ValueError, match=r"'dnagpt-x'.*dnagpt-h.*dnagpt-test"):
        get_preset("dnagpt-x")


@pytest.mark.parametrize("name", PRESETS)
def test_config_and_tokenizer_agree(name: str) -> None:
    config, tokenizer = preset_config(name), preset_tokenizer(name)
    assert config.number_token_id == tokenizer.number_token_id
    assert config.num_tokens == tokenizer.vocab_size == len(tokenizer)
    assert config.vocab_size % 64 == 0
    assert 0 <= config.vocab_size - config.num_tokens < 64
    assert config.pad_token_id == tokenizer.pad_token_id
    assert config.max_position_embeddings == tokenizer.model_max_length
    assert tokenizer.dynamic_kmer == get_preset(name).dynamic_kmer


@pytest.mark.parametrize(("kmer_size", "dynamic"), [(1, True), (2, False), (3, True), (6, False)])
def test_vocabulary_size_is_that_of_the_tokenizer(kmer_size: int, dynamic: bool) -> None:
    tokenizer = preset_tokenizer("dnagpt-test", kmer_size=kmer_size, dynamic_kmer=dynamic)
    assert vocabulary_size(kmer_size, dynamic) == tokenizer.number_token_id


def test_overrides_reach_config_and_tokenizer() -> None:
    config = preset_config("dnagpt-test", max_position_embeddings=7, hidden_dropout=0.5)
    assert (config.max_position_embeddings, config.hidden_dropout) == (7, 0.5)
    assert preset_tokenizer("dnagpt-h", remainder="drop").remainder == "drop"


def test_presets_of_sizes() -> None:
    assert presets_of_sizes(preset_config("dnagpt-s-512")) == ["dnagpt-m", "dnagpt-s-512"]
    assert presets_of_sizes(preset_config("dnagpt-h")) == ["dnagpt-h"]
    assert presets_of_sizes(preset_config("dnagpt-h", num_hidden_layers=3)) == []


def test_importing_presets_loads_neither_torch_nor_transformers() -> None:
    code = (
        "import sys, dnagpt_hf.presets as presets\n"
        "presets.get_preset('dnagpt-h')\n"
        "sys.exit(bool({'torch', 'transformers', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
