"""Scores of answers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from interpreted_models import ANSWERS, CLASS, NUMBER, classifier, dna, louder, record

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
from dnagpt_hf.inference.prediction import predict_records
from dnagpt_hf.inference.scored_records import score_answer
from dnagpt_hf.records.files import RecordError
from dnagpt_hf.tasks.preparation import SequenceCut
from dnagpt_hf.tasks.task import Task


@pytest.fixture
def model(tiny_model: DNAGPTForMultiTask) -> DNAGPTForMultiTask:
    return louder(tiny_model)


def test_the_score_of_a_class_is_its_log_odds(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    answers = {"A": "a", "N": "b", "<W>": "c"}
    options: dict[str, Any] = {"template": CLASS, "answers": answers}
    one = record(dna(50, 1))
    (predicted,) = predict_records(model, tiny_tokenizer, [one], **options)
    for label, probability in predicted.probabilities.items():
        found = score_answer(model, tiny_tokenizer, one, **options, target=label)
        assert found.score == pytest.approx(math.log(probability / (1 - probability)), abs=1e-3)
        assert (found.answer, found.kind, found.unit) == (label, "class", f"log-odds of {label}")
    default = score_answer(model, tiny_tokenizer, one, **options)
    assert default.answer == predicted.labels[0]


def test_the_score_of_a_number_is_the_number(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    one = record(dna(50, 1), x="-0.5")
    (predicted,) = predict_records(model, tiny_tokenizer, [one], template=NUMBER)
    found = score_answer(model, tiny_tokenizer, one, template=NUMBER)
    assert found.score == pytest.approx(predicted.numbers["number"], abs=1e-5)
    assert (found.answer, found.kind, found.unit) == ("number", "number", "number")


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"id2label": {0: "x", 1: "y", 2: "z"}}, "class"),
        ({"id2label": {0: "x", 1: "y"}, "problem_type": "multi_label_classification"}, "label"),
        ({"id2label": {0: "x", 1: "y"}, "problem_type": "regression"}, "number"),
        ({"num_labels": 1}, "number"),
    ],
)
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_the_answers_of_a_head(
    tiny_tokenizer: DNAGPTTokenizer, config: dict[str, Any], kind: str, pooling: str
) -> None:
    model = classifier(**config, classifier_pooling=pooling)
    one = record(dna(50, 1))
    (predicted,) = predict_records(model, tiny_tokenizer, [one])
    for name, value in {**predicted.probabilities, **predicted.numbers}.items():
        chosen = {"answer": name} if kind == "number" else {"target": name}
        found = score_answer(model, tiny_tokenizer, one, **chosen)
        expected = value if kind == "number" else math.log(value / (1 - value))
        assert found.score == pytest.approx(expected, abs=1e-3)
        assert found.kind == kind


def test_scores_of_other_inputs_are_those_of_the_records(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    options: dict[str, Any] = {"template": CLASS, "answers": ANSWERS, "target": "motif"}
    first, second = (
        score_answer(model, tiny_tokenizer, record(dna(50, seed)), **options) for seed in (1, 2)
    )
    both = {
        name: torch.cat([first.inputs()[name], value]) for name, value in second.inputs().items()
    }
    scores = second.score_of(**both)
    assert scores.tolist() == pytest.approx([first.score, second.score], abs=1e-5)
    assert scores.requires_grad


def test_a_checkpoint_knows_its_task(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    one = record(dna(50, 1), x="2", y="0.3")
    with pytest.raises(ValueError, match="state a template"):
        score_answer(model, tiny_tokenizer, one)
    task = Task(
        "<R>{sequence}<+><M>{x}<=><M>{y}",
        sequences={"sequence": SequenceCut(cut_out=(20, 26))},
        standardization=((1.5, 0.5), (10.0, 3.0)),
    )
    model.config.task = task.as_dict()
    (predicted,) = predict_records(model, tiny_tokenizer, [one])
    found = score_answer(model, tiny_tokenizer, one)
    assert found.score == pytest.approx(predicted.numbers["y"], abs=1e-4)
    assert found.unit == "y"
    assert found.tokenized.columns["sequence"].bases == one.values["sequence"]
    stated = score_answer(model, tiny_tokenizer, one, task=task)
    assert stated.score == found.score


def test_each_of_several_answers_follows_those_before(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    one = record(dna(50, 1))
    task = Task(
        "<R>{sequence}<=><B>{a}<M>{y}<B>{b}",
        answers={"a": {"A": "yes", "N": "no"}, "b": {"A": "x", "N": "y", "<W>": "z"}},
        standardization=((10.0, 3.0),),
    )
    (predicted,) = predict_records(model, tiny_tokenizer, [one], task=task)
    for column in ("a", "b"):
        for label, probability in predicted.answers[column].probabilities.items():
            found = score_answer(model, tiny_tokenizer, one, task=task, answer=column, target=label)
            expected = math.log(probability / (1 - probability))
            assert found.score == pytest.approx(expected, abs=1e-3)
    number = score_answer(model, tiny_tokenizer, one, task=task, answer="y")
    assert number.score == pytest.approx(predicted.answers["y"].numbers["y"], abs=1e-4)
    first = score_answer(model, tiny_tokenizer, one, task=task)
    assert first.answer == predicted.answers["a"].labels[0]
    with pytest.raises(ValueError, match="no answer 'c': choose one of a, y, b"):
        score_answer(model, tiny_tokenizer, one, task=task, answer="c")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"template": NUMBER, "answers": ANSWERS}, "asks for a number"),
        ({"template": CLASS}, "does not name the tokens that are answers"),
        ({"template": CLASS, "answers": {"A": "yes"}}, "'yes' is the only answer"),
        ({"template": CLASS, "answers": ANSWERS, "target": "x"}, "'x': choose one of motif, none"),
    ],
)
def test_questions_that_do_not_fit(
    model: DNAGPTForMultiTask,
    tiny_tokenizer: DNAGPTTokenizer,
    options: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        score_answer(model, tiny_tokenizer, record("ACGT", x="1"), **options)


def test_questions_that_do_not_fit_a_head(tiny_tokenizer: DNAGPTTokenizer) -> None:
    several = classifier(id2label={0: "x", 1: "y"}, problem_type="regression")
    assert score_answer(several, tiny_tokenizer, record("ACGT")).answer == "x"
    with pytest.raises(ValueError, match="has a classification head"):
        score_answer(several, tiny_tokenizer, record("ACGT"), answers=ANSWERS)


def test_an_output_that_is_not_finite(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    with torch.no_grad():
        model.number_head.out_proj.weight.fill_(math.nan)
    with pytest.raises(RecordError, match=r"a\.csv, record r1 .*not finite"):
        score_answer(model, tiny_tokenizer, record("ACGT", x="1"), template=NUMBER)
