"""Figures of attention, gradients and mutagenesis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interpreted_models import ANSWERS, CLASS, dna, louder, record

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
from dnagpt_hf.evaluation.figures import save_figure
from dnagpt_hf.inference.scored_records import ScoredRecord, score_answer
from dnagpt_hf.interpretation import figures as interpretation_figures
from dnagpt_hf.interpretation.attention import attention_maps
from dnagpt_hf.interpretation.attribution import input_gradients, integrated_gradients
from dnagpt_hf.interpretation.figures import (
    Region,
    attention_figure,
    attention_grid,
    track_figure,
)
from dnagpt_hf.interpretation.mutagenesis import in_silico_mutagenesis

pytest.importorskip("matplotlib")
REGIONS = [Region("5'UTR", 0, 10), Region("signal", 10, 16), Region("5'UTR", 16, 31)]


@pytest.fixture
def model(tiny_model: DNAGPTForMultiTask) -> DNAGPTForMultiTask:
    return louder(tiny_model)


@pytest.fixture
def scored(model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer) -> ScoredRecord:
    one = record(dna(30, 1) + "N")
    return score_answer(model, tiny_tokenizer, one, template=CLASS, answers=ANSWERS)


def legend(figure: Any) -> list[str]:
    return [text.get_text() for one in figure.legends for text in one.get_texts()]


@pytest.mark.parametrize(
    ("options", "titles"),
    [
        ({"heads": "mean"}, ["layer 1", "layer 2"]),
        ({"layers": [2]}, [f"layer 2, head {head}" for head in (1, 2, 3, 4)]),
        ({}, [f"layer {layer}, head {head}" for layer in (1, 2) for head in (1, 2, 3, 4)]),
    ],
)
def test_a_grid_has_a_panel_for_each_map(
    model: DNAGPTForMultiTask,
    tiny_tokenizer: DNAGPTTokenizer,
    options: dict[str, Any],
    titles: list[str],
) -> None:
    one = record(dna(31, 1))
    maps = attention_maps(model, tiny_tokenizer, one, template=CLASS, **options)
    figure = attention_grid(maps, regions=REGIONS)
    assert [panel.get_title() for panel in figure.axes] == titles
    assert legend(figure) == ["5'UTR", "signal"]
    assert {panel.get_xlim() for panel in figure.axes} == {(0.5, 31.5)}
    for panel, by_base in zip(figure.axes, maps.in_bases().reshape(-1, 31, 31), strict=True):
        drawn = panel.images[0].get_array()
        later = drawn.mask
        token = np.arange(31) // 6
        np.testing.assert_array_equal(later, token > token[:, None])
        np.testing.assert_allclose(drawn[~later], by_base[~later], atol=1e-6)
        assert not by_base[later].any()


def test_one_layer_with_what_the_answer_looks_at(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    one = record(dna(31, 1))
    maps = attention_maps(model, tiny_tokenizer, one, template=CLASS)
    answer = attention_maps(model, tiny_tokenizer, one, template=CLASS, queries="answer")
    figure = attention_figure(maps, answer, layer=2, regions=REGIONS)
    panel, track, _ = figure.axes
    np.testing.assert_allclose(
        panel.images[0].get_array().filled(0), maps.in_bases()[1].mean(0), atol=1e-6
    )
    heights, edges, _ = track.patches[0].get_data()
    np.testing.assert_allclose(heights, answer.in_bases()[1].mean(0))
    assert (edges[0], edges[-1]) == (0.5, 31.5)
    assert f"{heights.sum():.0%} of its attention" in track.get_xlabel()
    with pytest.raises(ValueError, match="layer 3 is not among the maps"):
        attention_figure(maps, answer, layer=3)


def test_tracks_stand_under_each_other(scored: ScoredRecord) -> None:
    tracks = [
        input_gradients(scored),
        integrated_gradients(scored, steps=4),
        in_silico_mutagenesis(scored),
    ]
    figure = track_figure(tracks, regions=REGIONS)
    names = [panel.get_ylabel() for panel in figure.axes[:4]]
    assert names == ["gradient x input", "integrated\ngradients", "substitution", "mean effect"]
    assert {panel.get_xlim() for panel in figure.axes[:4]} == {(0.5, 31.5)}
    heat_map = figure.axes[2].images[0].get_array()
    effects = tracks[2].effects
    np.testing.assert_array_equal(heat_map.mask, np.isnan(effects.T))
    np.testing.assert_array_equal(heat_map[:, :30], effects[:30].T)
    letters = [label.get_text() for label in figure.axes[3].get_xticklabels(minor=True)]
    assert "".join(letters) == scored.tokenized.columns["sequence"].bases
    assert scored.unit in figure.get_suptitle()
    with pytest.raises(ValueError, match="no tracks"):
        track_figure([])


def test_the_mutated_part_is_drawn(scored: ScoredRecord, tmp_path: Path) -> None:
    tracks = [input_gradients(scored), in_silico_mutagenesis(scored, start=12, end=20)]
    figure = track_figure(tracks, regions=REGIONS)
    assert {panel.get_xlim() for panel in figure.axes[:3]} == {(12.5, 20.5)}
    np.testing.assert_allclose(
        figure.axes[2].patches[0].get_data().values, np.maximum(tracks[1].mean_effects, 0)
    )
    unknown = in_silico_mutagenesis(scored, start=30)
    save_figure(track_figure([unknown]), tmp_path / "unknown.png")


def test_only_the_mutated_column_can_be_drawn(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    one = record(dna(30, 1), utr="ACGT")
    template = "<R>{utr}<+>{sequence}<=><B>"
    both = score_answer(model, tiny_tokenizer, one, template=template, answers=ANSWERS)
    found = in_silico_mutagenesis(both, column="utr")
    with pytest.raises(ValueError, match="'utr' was mutated, not 'sequence'"):
        track_figure([found])
    assert track_figure([found], column="utr").axes[0].get_xlim() == (0.5, 4.5)


def test_long_maps_are_drawn_by_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpretation_figures, "_PIXELS", 4)
    values = np.arange(49, dtype=np.float32).reshape(7, 7)
    hidden = np.triu(np.ones((7, 7), bool), 1)
    image = interpretation_figures._mean_of_blocks(values, hidden)
    assert image.shape == (4, 4)
    assert image[1, 0] == values[2:4, :2].mean()
    assert image[0, 0] == pytest.approx(values[[0, 1, 1], [0, 0, 1]].mean())
    assert image.mask.tolist() == np.triu(np.ones((4, 4), bool), 1).tolist()


def test_figures_leave_pyplot_alone(scored: ScoredRecord, tmp_path: Path) -> None:
    from matplotlib import pyplot

    save_figure(track_figure([input_gradients(scored)]), tmp_path / "a.png")
    assert pyplot.get_fignums() == []
