"""Model cards: valid metadata, true statements, and the files in `model_cards/`."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard, ModelCardData

from dnagpt_hf import DNAGPTForMultiTask, bundled
from dnagpt_hf.checkpoints.card import count_parameters, read_card, render_model_card
from dnagpt_hf.presets import PRESETS, get_preset, preset_config

CARDS = Path(__file__).parents[2] / "model_cards"
ALL = sorted(CARDS.glob("*.md"))
MEASURED = ("dnagpt-tiny", "dnagpt-small", "dnagpt-tiny-pas")


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The program that writes the cards of the paper's models."""
    monkeypatch.syspath_prepend(str(CARDS))
    return importlib.import_module("published")


def test_the_cards_of_the_repository_are_up_to_date(published: Any) -> None:
    assert len(published.PUBLISHED) == 4
    for name, preset in published.PUBLISHED.items():
        text = (CARDS / f"{name}.md").read_text(encoding="utf-8")
        assert text == published.card(preset), "write it again: python model_cards/published.py"


@pytest.mark.parametrize("name", MEASURED)
def test_the_cards_of_the_bundled_models_are_up_to_date(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(CARDS))
    program = importlib.import_module(name.replace("-", "_"))
    text = program.card(json.loads((CARDS / f"{name}.json").read_text(encoding="utf-8")))
    for path in (CARDS / f"{name}.md", bundled(name) / "README.md"):
        assert path.read_text(encoding="utf-8") == text, (
            f"write it again: python model_cards/{program.__name__}.py"
        )


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_every_card_says_what_a_reader_has_to_know(path: Path) -> None:
    card = read_card(path)
    text = " ".join(card.text.split())
    for part in (
        *("The token language", "Intended use", "Training data and recipe", "Results", "Limits"),
        *("License", "Citation", "`plant-dnagpt`, a different model", "arXiv:2307.05628"),
        *("Apache License 2.0", "trust_remote_code=True", "Not intended for medical decisions"),
    ):
        assert part in text
    assert "A DNAGPT model." not in text
    if path.stem in MEASURED:
        assert "Not measured:" in text
        assert card.data.get("eval_results")
    else:
        assert "None were measured with these weights" in text
        assert card.data.get("eval_results") is None
    if card.data.get("license") == "other":
        assert "they may not be used commercially" in text
        assert "dnagpt convert" in text


def test_the_index_of_a_card_holds_the_figures_of_its_table() -> None:
    card = read_card(CARDS / "dnagpt-tiny.md")
    results = card.data.get("eval_results")
    assert len({one.dataset_config for one in results}) == 6
    for one in results:
        if one.metric_type == "bits_per_base":
            assert f"| {one.dataset_config} | " in card.text
            assert f"| {one.metric_value:.3f} |" in card.text


@pytest.mark.parametrize("name", PRESETS)
def test_metadata_and_text(name: str, published: Any) -> None:
    text = published.card(get_preset(name))
    data = ModelCard(text).data
    assert isinstance(data, ModelCardData)
    assert data.library_name == "transformers"
    assert data.eval_results is None
    assert "dnagpt" in data.tags
    if get_preset(name).released_file:
        assert (data.license, data.license_name) == ("other", "polyform-noncommercial-1.0.0")
        assert get_preset(name).released_file in text
    else:
        assert data.license == "apache-2.0"
    assert "$" not in text
    assert "plant-dnagpt" in text
    assert "2307.05628" in text
    assert "None were measured" in text
    if get_preset(name).source == "Fig. S3":
        for note in get_preset(name).notes:
            assert f"\n- {note}\n" in text
    else:
        assert "Not trained yet." in text


def test_the_parts_that_vary() -> None:
    text = render_model_card(
        "mine",
        preset_config("dnagpt-h"),
        origin="Made here.",
        released=False,
        training="Trained on yeast.",
        results="Loss 1.3.",
    )
    for part in ("# mine", "Made here.", "Trained on yeast.", "Loss 1.3.", "24,576 bp"):
        assert part in text
    assert "PolyForm" not in text
    assert '`"pad"`' in text
    assert "k-mers of 1 to" not in text
    text = render_model_card("mine", preset_config("dnagpt-m"), origin="", released=False)
    assert "one shorter k-mer" in text and "Not known from the file." in text


@pytest.mark.parametrize("tied", [False, True])
def test_parameters_are_counted_as_the_model_has_them(tied: bool) -> None:
    config = preset_config("dnagpt-test", tie_word_embeddings=tied)
    assert count_parameters(config) == DNAGPTForMultiTask(config).num_parameters()


def test_the_use_of_a_task_is_shown() -> None:
    config = preset_config("dnagpt-test")
    config.task = {"template": "<R>{sequence}<+><M>{level}<=><B>{label}"}
    text = render_model_card("mine", config, origin="", released=False)
    assert "It reads the columns `sequence`, `level`:" in text
    assert 'dnagpt_hf.load(folder).predict("FILE")' in text
    assert "dnagpt predict mine FILE" in text and "model.generate(" not in text
