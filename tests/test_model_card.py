"""Model cards: valid metadata, true statements, and the files in `model_cards/`."""

from pathlib import Path

import pytest
from huggingface_hub import ModelCard, ModelCardData

from dnagpt_hf import DNAGPTForMultiTask
from dnagpt_hf.model_card import count_parameters, render_model_card, render_preset_card
from dnagpt_hf.presets import PRESETS, get_preset, preset_config

CARDS = Path(__file__).parent.parent / "model_cards"
PUBLISHED = [name for name in PRESETS if get_preset(name).source == "Fig. S3"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_cards_of_the_repository_are_up_to_date(name: str) -> None:
    assert (CARDS / f"{name}.md").read_text(encoding="utf-8") == render_preset_card(name), (
        "write it again: python -c 'from dnagpt_hf.model_card import write_preset_cards; "
        'write_preset_cards("model_cards")\''
    )


@pytest.mark.parametrize("name", PRESETS)
def test_metadata_and_text(name: str) -> None:
    text = render_preset_card(name)
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
    for note in get_preset(name).notes:
        assert note in text


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
    assert "one shorter k-mer" in render_preset_card("dnagpt-m")


@pytest.mark.parametrize("tied", [False, True])
def test_parameters_are_counted_as_the_model_has_them(tied: bool) -> None:
    config = preset_config("dnagpt-test", tie_word_embeddings=tied)
    assert count_parameters(config) == DNAGPTForMultiTask(config).num_parameters()
