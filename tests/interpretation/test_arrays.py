"""Arrays of attention, gradients and mutagenesis."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interpreted_models import NUMBER, dna, louder, record

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
from dnagpt_hf.inference.scored_records import score_answer
from dnagpt_hf.interpretation.arrays import attention_arrays, save_arrays, track_arrays
from dnagpt_hf.interpretation.attention import attention_maps
from dnagpt_hf.interpretation.attribution import input_gradients, integrated_gradients
from dnagpt_hf.interpretation.mutagenesis import in_silico_mutagenesis


@pytest.fixture
def model(tiny_model: DNAGPTForMultiTask) -> DNAGPTForMultiTask:
    return louder(tiny_model)


def saved(path: Path) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, Any]]:
    with np.load(path) as archive:
        arrays = dict(archive)
    return arrays, json.loads(str(arrays.pop("description")))


def test_attention_as_arrays(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer, tmp_path: Path
) -> None:
    one = record(dna(20, 1), x="0.5")
    maps = attention_maps(model, tiny_tokenizer, one, template=NUMBER, layers=[2])
    chosen = {"template": NUMBER, "layers": [2]}
    answer = attention_maps(model, tiny_tokenizer, one, queries="answer", **chosen)
    save_arrays(tmp_path / "maps.npz", *attention_arrays(maps, answer, "sequence"))
    arrays, description = saved(tmp_path / "maps.npz")
    np.testing.assert_array_equal(arrays["weights"], maps.weights)
    np.testing.assert_array_equal(arrays["received"], answer.in_bases())
    assert arrays["layers"].tolist() == [2]
    assert arrays["token_text"].tolist()[-4:] == ["<M>", "<number>", "<=>", "<M>"]
    assert arrays["token_kind"].tolist()[:2] == ["property", "sequence"]
    assert arrays["token_column"].tolist()[:2] == ["", "sequence"]
    assert arrays["token_start"].tolist()[:4] == [0, 0, 6, 12]
    assert arrays["token_end"].tolist()[:5] == [0, 6, 12, 18, 20]
    assert description == {
        "record": "r1",
        "source": "a.csv",
        "column": "sequence",
        "bases": dna(20, 1),
        "heads": "all",
        "views": 1,
    }


def test_tracks_as_arrays(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer, tmp_path: Path
) -> None:
    one = record(dna(20, 1), x="0.5")
    scored = score_answer(model, tiny_tokenizer, one, template=NUMBER)
    gradient = input_gradients(scored)
    integrated = integrated_gradients(scored, steps=4)
    effects = in_silico_mutagenesis(scored, start=2, end=9)
    path = tmp_path / "tracks.npz"
    save_arrays(path, *track_arrays([gradient, integrated, effects], "sequence"))
    arrays, description = saved(path)
    np.testing.assert_array_equal(arrays["gradient"], gradient.values)
    np.testing.assert_array_equal(arrays["gradient_by_base"], gradient.per_base())
    np.testing.assert_array_equal(arrays["number_gradients"], gradient.number_gradients)
    np.testing.assert_array_equal(arrays["integrated"], integrated.values)
    np.testing.assert_array_equal(arrays["integrated_by_base"], integrated.per_base())
    np.testing.assert_array_equal(arrays["effects"], effects.effects)
    assert description["score"] == scored.score
    assert description["baseline_score"] == integrated.baseline_score
    assert (description["start"], description["end"], description["letters"]) == (2, 9, "ACGT")
    assert (description["answer"], description["kind"]) == ("number", "number")


def test_files_of_arrays(tmp_path: Path) -> None:
    arrays = {"a": np.arange(3)}
    with pytest.raises(ValueError, match=r"arrays are written as \.npz"):
        save_arrays(tmp_path / "a.npy", arrays, {})
    save_arrays(tmp_path / "a.npz", arrays, {})
    with pytest.raises(ValueError, match="exists"):
        save_arrays(tmp_path / "a.npz", arrays, {})
    save_arrays(tmp_path / "a.npz", {"a": np.arange(4)}, {}, overwrite=True)
    assert saved(tmp_path / "a.npz")[0]["a"].tolist() == [0, 1, 2, 3]
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
