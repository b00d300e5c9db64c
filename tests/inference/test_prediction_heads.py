"""Answers of models: several in the token language, and those of heads."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from finetuning_runs import as_records, planted

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTForSequenceClassification, DNAGPTTokenizer
from dnagpt_hf.inference.batching import padded_batch
from dnagpt_hf.inference.prediction import predict_records, to_predictions
from dnagpt_hf.inference.prediction_heads import (
    ClassificationHead,
    LanguageHead,
    Output,
    checkpoint_task,
    prediction_head,
)
from dnagpt_hf.presets import preset_config
from dnagpt_hf.tasks.encoding import RecordEncoder
from dnagpt_hf.tasks.task import Task

SEVERAL = Task.from_dict(
    {
        "template": "<R>{sequence}<+><M>{dose}<=><B>{a}<M>{x} {y}<B>{b}<M>{z}",
        "answers": {"a": {"A": "yes", "N": "no"}, "b": {"<2>": "two", "<0>": "none", "<1>": "one"}},
        "standardization": [[5.0, 2.0], [0.5, 3.0], [-2.0, 0.25], [10.0, 4.0]],
    }
)


@pytest.fixture
def model() -> DNAGPTForMultiTask:
    """Weights so large that every token and number changes what comes after it."""
    torch.manual_seed(0)
    model = DNAGPTForMultiTask(preset_config("dnagpt-test")).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2:
                weight.mul_(40 if "number_embedding" in name else 12)
    return model


def rows(count: int = 12) -> list[dict[str, Any]]:
    return [
        {**row, "sequence": row["sequence"][: 1 + 2 * n]} for n, row in enumerate(planted(count))
    ]


@torch.no_grad()
def asked_plainly(
    model: DNAGPTForMultiTask, tokenizer: DNAGPTTokenizer, task: Task, row: dict[str, Any]
) -> list[float]:
    """All scores of one record, by the whole stream so far for each answer: no cache, no batch."""
    (mean, deviation), *_ = task.input_standardization
    prompt = f"<R>{row['sequence']}<+><M>{(row['dose'] - mean) / deviation!r}<=><B>"
    encoding = tokenizer(prompt)
    ids, values = list(encoding["input_ids"]), list(encoding["number_values"])
    scores: list[float] = []
    for answer, (mean, deviation) in zip(task.answer_list, task.answer_scales, strict=True):
        between = tokenizer(answer.before.strip())["input_ids"] if answer.before.strip() else []
        ids, values = [*ids, *between], [*values, *[0.0] * len(between)]
        output = model(
            input_ids=torch.tensor([ids]), number_values=torch.tensor([values]), use_cache=False
        )
        if answer.is_number:
            number = float(output.number_predictions[0, -1])
            scores.append(number * deviation + mean)
            ids, values = [*ids, int(tokenizer.number_token_id)], [*values, number]
            continue
        choices = [tokenizer(token)["input_ids"][0] for token in answer.tokens]
        probabilities = output.logits[0, -1, choices].softmax(-1)
        scores += probabilities.tolist()
        ids, values = [*ids, choices[int(probabilities.argmax())]], [*values, 0.0]
    return scores


def test_several_answers_are_those_of_a_plain_loop(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    """Records of 1 to 23 bases in one left-padded batch, with a cache, against each alone."""
    encoder = RecordEncoder(
        tiny_tokenizer,
        SEVERAL.prompt,
        64,
        standardization=SEVERAL.input_standardization,
    )
    answers = LanguageHead(model, tiny_tokenizer, SEVERAL)
    batch = padded_batch([encoder(record) for record in as_records(rows())], 20)
    assert (batch["attention_mask"] == 0).any()
    with torch.no_grad():
        scores = answers.scores(batch).numpy()
    wanted = np.array([asked_plainly(model, tiny_tokenizer, SEVERAL, row) for row in rows()])
    np.testing.assert_allclose(scores, wanted, rtol=1e-4, atol=1e-4)
    # the model does answer differently from record to record, and the order is that of the task
    assert (wanted.std(0) > 1e-3).all()
    assert [(output.name, output.labels) for output in answers.outputs] == [
        ("a", ("yes", "no")),
        ("x", ()),
        ("y", ()),
        ("b", ("two", "none", "one")),
        ("z", ()),
    ]


def test_later_answers_see_the_earlier_ones(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    forward = model.forward
    seen: list[tuple[list[int], list[float]]] = []

    def recorded(**inputs: Any) -> Any:
        output = forward(**inputs)
        seen.append((inputs["input_ids"][0].tolist(), inputs["number_values"][0].tolist()))
        return output

    model.forward = recorded  # type: ignore[method-assign]
    (found,) = predict_records(model, tiny_tokenizer, as_records(rows(1)), task=SEVERAL)
    number = int(tiny_tokenizer.number_token_id)
    answer = tiny_tokenizer({"yes": "A", "no": "N"}[found.answers["a"].labels[0]])["input_ids"][0]
    assert seen[1][0] == [answer, 18]
    assert seen[2][0] == [number]
    # as a number of the stream it is standardised
    assert seen[2][1][0] == pytest.approx((found.answers["x"].numbers["x"] - 0.5) / 3, rel=1e-5)
    assert seen[3][0] == [number, 19]


@pytest.mark.parametrize(
    "options", [{}, {"max_records": 1}, {"max_records": 5}, {"max_tokens": 40}]
)
def test_several_answers_do_not_depend_on_batches(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer, options: dict[str, int]
) -> None:
    found = predict_records(model, tiny_tokenizer, as_records(rows()), task=SEVERAL, **options)
    for row, prediction in zip(rows(), found, strict=True):
        wanted = asked_plainly(model, tiny_tokenizer, SEVERAL, row)
        scores = [
            value
            for answer in prediction.answers.values()
            for value in (*answer.probabilities.values(), *answer.numbers.values())
        ]
        np.testing.assert_allclose(scores, wanted, rtol=1e-4, atol=1e-4)
        assert prediction.first is prediction.answers["a"]


def test_numbers_are_put_back_exactly(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    plain = Task("<R>{sequence}<=><M>{x}")
    scaled = Task("<R>{sequence}<=><M>{x}", standardization=((250.0, 8.0),))
    raw = [
        one.numbers["x"]
        for one in predict_records(model, tiny_tokenizer, as_records(rows()), task=plain)
    ]
    found = [
        one.numbers["x"]
        for one in predict_records(model, tiny_tokenizer, as_records(rows()), task=scaled)
    ]
    np.testing.assert_allclose(found, np.array(raw) * 8 + 250, rtol=1e-6)


def test_answers_take_positions_of_the_model(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    """Prompts as long as they can be; what is cut leaves room for all answers."""
    row = {**rows(1)[0], "sequence": "ACGT" * 100}
    (found,) = predict_records(
        model, tiny_tokenizer, as_records([row]), task=SEVERAL, truncation="right"
    )
    assert list(found.answers) == ["a", "x", "y", "b", "z"]
    with pytest.raises(ValueError, match="exceed the model's 57 positions"):
        list(predict_records(model, tiny_tokenizer, as_records([row]), task=SEVERAL))


def test_answers_in_a_vocabulary_of_6_mers_are_reserved_tokens() -> None:
    config = preset_config("dnagpt-test", **fixed_fields())
    tokenizer = DNAGPTTokenizer(dynamic_kmer=False)
    task = Task("<R>{sequence}<=><B>{label}").with_labels({"label": ["1", "0"]}, tokenizer)
    assert task.answer_list[0].tokens == {"<0>": "0", "<1>": "1"}
    model = DNAGPTForMultiTask(config).eval()
    records = as_records([{"sequence": "ACGTAC"}])
    (found,) = predict_records(model, tokenizer, records, task=task)
    assert list(found.probabilities) == ["0", "1"]
    letters = Task("<R>{sequence}<=><B>{label}", answers={"A": "1", "N": "0"})
    with pytest.raises(ValueError, match="A"):
        list(predict_records(model, tokenizer, records, task=letters))


def fixed_fields() -> dict[str, Any]:
    from dnagpt_hf.presets import vocabulary_fields

    return vocabulary_fields(6, False)


# -- heads -----------------------------------------------------------------------------------------


def head(task: Task, **config: Any) -> DNAGPTForSequenceClassification:
    torch.manual_seed(0)
    config = preset_config("dnagpt-test", task=task.as_dict(), **config)
    model = DNAGPTForSequenceClassification(config).eval()
    with torch.no_grad():
        model.score.weight.mul_(100)
    return model


def logits(model: Any, tokenizer: DNAGPTTokenizer, row: dict[str, Any]) -> np.ndarray[Any, Any]:
    with torch.no_grad():
        inputs = tokenizer(f"<R>{row['sequence']}", return_tensors="pt")
        return model(**inputs).logits[0].numpy()


def test_numbers_of_a_head_are_put_back(tiny_tokenizer: DNAGPTTokenizer) -> None:
    task = Task("<R>{sequence}<=><M>{x} {y}", standardization=((7.0, 2.0), (-1.0, 0.5)))
    model = head(task, id2label={0: "x", 1: "y"}, problem_type="regression")
    found = list(predict_records(model, tiny_tokenizer, as_records(rows())))
    for row, one in zip(rows(), found, strict=True):
        wanted = logits(model, tiny_tokenizer, row) * [2.0, 0.5] + [7.0, -1.0]
        assert list(one.first.numbers) == ["x", "y"]
        np.testing.assert_allclose(list(one.first.numbers.values()), wanted, rtol=1e-4, atol=1e-4)


def test_classes_of_a_head_are_those_of_its_configuration(
    tiny_tokenizer: DNAGPTTokenizer, tmp_path: Path
) -> None:
    """Also when the checkpoint was saved, and more than ten classes are not in text order."""
    labels = {number: f"c{11 - number}" for number in range(12)}
    model = head(Task("<R>{sequence}<=><B>{label}"), id2label=labels)
    model.save_pretrained(tmp_path)
    again = DNAGPTForSequenceClassification.from_pretrained(tmp_path).eval()
    outputs = ClassificationHead(again, checkpoint_task(again.config)).outputs
    assert outputs == [Output("label", tuple(labels.values()))]
    for row, one in zip(
        rows(), predict_records(again, tiny_tokenizer, as_records(rows())), strict=True
    ):
        assert one.labels == (labels[int(logits(model, tiny_tokenizer, row).argmax())],)


def test_several_labels_of_a_head(tiny_tokenizer: DNAGPTTokenizer) -> None:
    task = Task("<R>{sequence}<=><B>{a}<B>{b}", answers={"A": "yes", "N": "no"})
    problem = "multi_label_classification"
    model = head(task, id2label={0: "a", 1: "b"}, problem_type=problem)
    for row, one in zip(
        rows(), predict_records(model, tiny_tokenizer, as_records(rows())), strict=True
    ):
        wanted = 1 / (1 + np.exp(-logits(model, tiny_tokenizer, row)))
        assert one.first.multilabel and list(one.probabilities) == ["a", "b"]
        np.testing.assert_allclose(list(one.probabilities.values()), wanted, rtol=1e-4, atol=1e-5)


# -- what there is to ask --------------------------------------------------------------------------


def test_scores_are_read_by_outputs() -> None:
    outputs = [Output("a", ("yes", "no")), Output("x"), Output("b", ("u", "v"), multilabel=True)]
    scores = np.float32([0.25, 0.75, -3, 0.5, 0.625])
    first, second, third = to_predictions(outputs, scores).values()
    assert first.labels == ("no",) and first.probabilities == {"yes": 0.25, "no": 0.75}
    assert second.numbers == {"x": -3.0} and second.labels == ()
    # more probable than not
    assert third.labels == ("v",) and third.multilabel
    (numbers,) = to_predictions([Output("x"), Output("y")], np.float32([0.1, 2])).values()
    assert numbers.numbers == {"x": 0.1, "y": 2.0}


@pytest.mark.parametrize("template", ["<R>{sequence}<=><B>", "<R>{sequence}<=><B>{label}"])
def test_a_stated_template_keeps_what_the_checkpoint_knows(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer, template: str
) -> None:
    trained = Task.from_dict(
        {
            "template": "<R>{sequence}<=><B>{label}",
            "answers": {"A": "true", "N": "false"},
            "sequences": {"sequence": {"window": [0, 12]}},
        }
    )
    model.config.task = trained.as_dict()
    model.config.id2label = {35: "true", 34: "false"}
    records = as_records([{"sequence": "ACGTACGTACGTGGGG"}])
    (asked,) = predict_records(model, tiny_tokenizer, records)
    (stated,) = predict_records(model, tiny_tokenizer, records, template=template)
    assert stated.probabilities == asked.probabilities
    (other,) = predict_records(model, tiny_tokenizer, records, answers={"<0>": "u", "<1>": "v"})
    assert list(other.probabilities) == ["u", "v"]


def test_a_language_model_without_a_task(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    with pytest.raises(ValueError, match="state a template"):
        prediction_head(model, tiny_tokenizer, None)
    combinations = itertools.product(["<M>", "<+><M>"], ["", " "])
    for end in map("".join, combinations):
        (found,) = predict_records(
            model, tiny_tokenizer, as_records(rows(1)), template="{sequence}" + end
        )
        assert list(found.numbers) == ["number"]
