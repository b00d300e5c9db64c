"""The model behind verbs, as a notebook uses it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dnagpt_hf
from dnagpt_hf.checkpoints.validation import CheckpointFolderError

CLASS = {"template": "<R>{sequence}<=><B>", "answers": {"A": "yes", "N": "no"}}
SEQUENCES = ["ACGTACGTACGTAA", "TTTTTT", "GCGCGCGCGATATATAT"]


@pytest.fixture(scope="module")
def model() -> dnagpt_hf.LoadedModel:
    return dnagpt_hf.load("dnagpt-tiny", device="cpu")


def test_a_notebook_shows_a_model_in_one_line() -> None:
    shown = repr(dnagpt_hf.load("dnagpt-tiny-pas", device="cpu"))
    assert shown.endswith(
        "dnagpt-tiny-pas', DNAGPTForMultiTask, parameters=952,064, "
        "template='<R>{sequence}<=><B>{label}')"
    )


def test_every_form_of_records_gives_the_same(model: dnagpt_hf.LoadedModel, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    table = pd.DataFrame({"name": list("abc"), "sequence": SEQUENCES})
    table.to_csv(path, index=False)
    found = model.predict(table, **CLASS).to_pandas()
    assert found.columns.tolist() == ["name", "predicted", "probability_yes", "probability_no"]
    assert found["name"].tolist() == ["a", "b", "c"]
    pd.testing.assert_frame_equal(found, model.predict(path, **CLASS).to_pandas())
    others = model.predict(SEQUENCES, **CLASS).to_pandas()
    pd.testing.assert_frame_equal(found.drop(columns="name"), others.drop(columns="name"))


def test_predictions_are_a_stream_on_request(model: dnagpt_hf.LoadedModel) -> None:
    def endless() -> Iterator[str]:
        while True:
            yield "ACGT"

    assert next(model.iter_predictions(endless(), **CLASS)).labels in (("yes",), ("no",))


def test_numbers_and_columns_to_keep(model: dnagpt_hf.LoadedModel) -> None:
    rows = [{"sequence": "ACGT" * 9, "group": "x"}]
    found = model.predict(rows, template="<R>{sequence}<=><M>").to_pandas(keep=["group"])
    assert found.columns.tolist() == ["name", "group", "predicted"]
    assert found["predicted"].dtype == float


def test_embeddings(model: dnagpt_hf.LoadedModel) -> None:
    means = model.embed(SEQUENCES)
    tokens = model.embed(SEQUENCES, pooling="token")
    assert means.shape == (3, model.config.hidden_size) and means.dtype == np.float32
    np.testing.assert_allclose(means, [one.mean(0) for one in tokens], atol=1e-5)


def test_generation_asks_for_bases_or_tokens(model: dnagpt_hf.LoadedModel) -> None:
    assert [len(dna) for dna in model.generate(["<R>ACG", "<S>"], num_bases=[7, 8])] == [7, 8]
    assert model.generate("<R>ACGTTT<=><M>", max_new_tokens=1, do_sample=False)
    for wrong in ({}, {"num_bases": 1, "max_new_tokens": 1}):
        with pytest.raises(ValueError, match="give num_bases for DNA alone, or max_new_tokens"):
            model.generate("<R>ACG", **wrong)


def test_attention_and_attribution(model: dnagpt_hf.LoadedModel) -> None:
    number = {"template": "<R>{sequence}<=><M>"}
    maps = model.attention({"sequence": SEQUENCES[0]}, layers=[-1], heads="mean", **number)
    np.testing.assert_allclose(maps.weights.sum(-1), 1, atol=1e-5)
    renamed = {"columns": {"sequence": "seq"}, "set": {"x": 1}}
    with_number = {"template": "<R>{sequence}<+><M>{x}<=><M>"}
    other = model.attention({"seq": SEQUENCES[0]}, **with_number, **renamed)
    assert other.weights.shape[-1] == maps.weights.shape[-1] + 3
    assert model.attribute({"seq": SEQUENCES[1]}, **with_number, **renamed).effects.shape == (6, 4)
    effects = model.attribute(SEQUENCES[1], **number).effects
    some = model.attribute(SEQUENCES[1], start=2, end=5, **number).effects
    np.testing.assert_allclose(some, effects[2:5], atol=1e-5)
    assert effects.shape == (6, 4)
    for method in ("gradient", "integrated"):
        assert np.isfinite(model.attribute(SEQUENCES[1], method, steps=4, **number).values).all()
    with pytest.raises(ValueError, match="choose gradient, integrated or mutagenesis"):
        model.attribute(SEQUENCES[1], "shap", **number)


def test_what_cannot_be_loaded_or_predicted(tmp_path: Path) -> None:
    with pytest.raises(CheckpointFolderError, match="nothing-here"):
        dnagpt_hf.load(tmp_path / "nothing-here")
    body = dnagpt_hf.load("dnagpt-tiny")
    bare = dnagpt_hf.LoadedModel(body.model.base_model, body.tokenizer)
    with pytest.raises(ValueError, match="has no head to predict with"):
        bare.predict(["ACGT"])
    assert bare.embed(["ACGT"]).shape == (1, 128)
