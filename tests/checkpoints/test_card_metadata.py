"""Metadata of model cards: what the Hub reads of it, and what is refused before it is uploaded."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from dnagpt_hf import bundled
from dnagpt_hf.checkpoints.bundled import is_hub_name
from dnagpt_hf.checkpoints.card import (
    CARD,
    CardError,
    evaluation_results,
    is_noncommercial,
    read_card,
    render_model_card,
)
from dnagpt_hf.presets import preset_config


def written(folder: Path, metadata: object) -> Path:
    path = folder / "README.md"
    path.write_text(f"---\n{metadata}\n---\n\n# A model\n", encoding="utf-8")
    return path


def card_of(folder: Path, released: bool | None = False, **card: Any) -> Any:
    """Metadata of a card that was written to a folder."""
    config = preset_config("dnagpt-test")
    text = render_model_card("mine", config, origin="", released=released, **card)
    (folder / CARD).write_text(text, encoding="utf-8")
    return read_card(folder / CARD).data


def test_figures_of_several_data_sets_stay_apart(tmp_path: Path) -> None:
    results = [
        result
        for species, value in (("yeast", 1.9), ("fly", float("nan")), ("worm", 1.8))
        for result in evaluation_results(
            {"bits_per_base": value, "nothing": None},
            species,
            task="other",
            task_name="the next base",
            config=species,
        )
    ]
    index = card_of(tmp_path, measured=results).to_dict()["model-index"]
    assert [
        (one["dataset"]["name"], one["metrics"][0]["value"]) for one in index[0]["results"]
    ] == [("yeast", 1.9), ("worm", 1.8)]
    assert index[0]["name"] == "mine"


def test_only_names_of_the_hub_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here" / "model").mkdir(parents=True)
    for name in ("dnagpt-tiny", "../org/model", "here/model", "a/b/c", ""):
        assert not is_hub_name(name)
        data = card_of(tmp_path, base_model=name, datasets=[name])
        assert data.get("base_model") is None and data.get("datasets") is None
    data = card_of(tmp_path, None, base_model="o/m", datasets=["o/d"])
    assert (data.get("base_model"), data.get("datasets")) == ("o/m", ["o/d"])
    assert data.get("license") == "unknown"


def test_the_licence_of_weights_is_that_of_what_they_were_made_from(tmp_path: Path) -> None:
    assert is_noncommercial(bundled()) is False
    for released in (True, False, None):
        card_of(tmp_path, released)
        assert is_noncommercial(tmp_path) is released
    shutil.rmtree(tmp_path)
    assert is_noncommercial(tmp_path) is None
    # offline, a card on the Hub cannot be read
    assert is_noncommercial("org/dnagpt-m") is None


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("license: mit\nlibrary_name: transformers", "has no pipeline_tag: write pipeline_tag:"),
        ("license: mit\npipeline_tag: other", "has no library_name: write library_name:"),
        ("library_name: transformers\npipeline_tag: other", "has no license: write license:"),
        ("[1, 2]", "metadata is damaged"),
        ("license: mit: no", "metadata is damaged"),
        ("model-index: [{name: x}]", "metadata is damaged"),
    ],
)
def test_metadata_that_the_hub_cannot_use(tmp_path: Path, metadata: str, message: str) -> None:
    with pytest.raises(CardError, match=message) as caught:
        read_card(written(tmp_path, metadata))
    assert str(tmp_path / "README.md") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("value", "said"), [("true", "True"), (".nan", "nan"), ("-.inf", "-inf")])
def test_a_figure_is_a_number(tmp_path: Path, value: str, said: str) -> None:
    metadata = (
        "license: mit\nlibrary_name: transformers\npipeline_tag: other\n"
        "model-index:\n- name: x\n  results:\n  - task: {type: t}\n"
        f"    dataset: {{type: d, name: d}}\n    metrics: [{{type: mcc, value: {value}}}]"
    )
    with pytest.raises(CardError, match=f"its model-index gives {said} for mcc: state what was"):
        read_card(written(tmp_path, metadata))
