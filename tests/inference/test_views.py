"""Predictions over several views, against means that are made by hand of single views."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from interpreted_models import dna, louder

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTForSequenceClassification, DNAGPTTokenizer
from dnagpt_hf.inference.prediction import predict_records, resolve_task
from dnagpt_hf.inference.scored_records import score_answer
from dnagpt_hf.interpretation.attention import attention_maps
from dnagpt_hf.interpretation.attribution import input_gradients, integrated_gradients
from dnagpt_hf.interpretation.mutagenesis import BASES, in_silico_mutagenesis
from dnagpt_hf.loaded_model import LoadedModel
from dnagpt_hf.presets import preset_config, vocabulary_fields
from dnagpt_hf.records.reading import Record
from dnagpt_hf.tasks.task import Task
from dnagpt_hf.tasks.views import Views

OTHER = str.maketrans("ACGT", "TGCA")
ALL = {"phases": "all", "strands": "both"}
ONE = {
    "template": "<R>{sequence}<=><B>{label}",
    "answers": {"A": "yes", "N": "no", "<W>": "maybe"},
    "sequences": {"sequence": {"cut_out": [4, 9]}},
    "views": ALL,
}
SEVERAL = {
    "template": "<R>{first}<+>{second}<+><M>{dose}<=><B>{a}<M>{x} {y}<B>{b}",
    "answers": {"a": {"A": "yes", "N": "no"}, "b": {"<2>": "two", "<0>": "none", "<1>": "one"}},
    "standardization": [[5.0, 2.0], [0.5, 3.0], [-2.0, 0.25]],
    "views": ALL,
}
HEADS = {
    "single_label_classification": {"A": "yes", "N": "no"},
    "multi_label_classification": {"a": {"A": "1", "N": "0"}, "b": {"A": "1", "N": "0"}},
    "regression": {},
}


def record(number: int = 0, **values: Any) -> Record:
    return Record(values, f"r{number}", "a.csv", number + 1, number + 2)


def rows(count: int = 9) -> list[Record]:
    return [
        record(
            n,
            sequence=dna(10 + 3 * n, n),
            first=dna(1 + 2 * n, 50 + n),
            second=dna(20 - n, 90 + n),
            dose=float(n),
        )
        for n in range(count)
    ]


def model_of(kmer_size: int, kind: Any = DNAGPTForMultiTask, **config: Any) -> LoadedModel:
    torch.manual_seed(0)
    model = louder(kind(preset_config("dnagpt-test", kmer_size=kmer_size, **config)))
    return LoadedModel(model, DNAGPTTokenizer(kmer_size=kmer_size))


def seen(sequence: str, kmer_size: int) -> list[str]:
    """The sequence in all views."""
    return [
        strand[phase:] if len(strand) > phase else strand
        for strand in (sequence, sequence.translate(OTHER)[::-1])
        for phase in range(kmer_size)
    ]


@torch.no_grad()
def plain(model: LoadedModel, text: str, numbers: list[float] | None = None) -> Any:
    """What a model gives for a text, alone and without padding or cache."""
    inputs = model.tokenizer(text, return_tensors="pt")
    values = inputs["number_values"]
    if numbers is not None:
        # with all digits, as a text does not hold them
        values[inputs["input_ids"] == model.tokenizer.number_token_id] = torch.tensor(numbers)
    return model.model(input_ids=inputs["input_ids"], number_values=values, use_cache=False)


@pytest.mark.parametrize("kmer_size", [3, 6])
def test_logits_of_tokens_are_averaged(kmer_size: int) -> None:
    model, task = model_of(kmer_size), Task.from_dict(ONE)
    choices = [int(model.tokenizer(token)["input_ids"][0]) for token in ("A", "N", "<W>")]
    found = model.predict(rows(), task=task, batch_size=20)
    differ = 0
    for one, prediction in zip(rows(), found, strict=True):
        cut = one.values["sequence"][:4] + one.values["sequence"][9:]
        logits = [
            plain(model, f"<R>{text}<=><B>").logits[0, -1, choices] for text in seen(cut, kmer_size)
        ]
        wanted = torch.stack(logits).mean(0).softmax(-1)
        np.testing.assert_allclose(list(prediction.probabilities.values()), wanted, atol=1e-4)
        differ += int(abs(logits[0].softmax(-1) - wanted).max() > 0.01)
        [first] = model.predict([one], task=task, views="first")
        np.testing.assert_allclose(
            list(first.probabilities.values()), logits[0].softmax(-1), atol=1e-4
        )
    assert differ > 5


@pytest.mark.parametrize("kmer_size", [3, 6])
def test_each_view_goes_on_with_the_mean_answer(kmer_size: int) -> None:
    """Two columns of DNA and a number; a class, two numbers and a class."""
    model, task = model_of(kmer_size), Task.from_dict(SEVERAL)
    number_token = "<M>"
    yes_no = [int(model.tokenizer(token)["input_ids"][0]) for token in ("A", "N")]
    digits = [int(model.tokenizer(token)["input_ids"][0]) for token in ("<2>", "<0>", "<1>")]
    disagree = 0
    for one, found in zip(rows(), model.predict(rows(), task=task), strict=True):
        pairs = zip(
            *(seen(one.values[name], kmer_size) for name in ("first", "second")), strict=True
        )
        texts = [f"<R>{first}<+>{second}<+><M>0<=><B>" for first, second in pairs]
        numbers = [(one.values["dose"] - 5) / 2]
        outputs = [plain(model, text, numbers) for text in texts]
        label = torch.stack([output.logits[0, -1, yes_no] for output in outputs]).mean(0)
        np.testing.assert_allclose(
            list(found.answers["a"].probabilities.values()), label.softmax(-1), atol=1e-4
        )
        answer = "AN"[int(label.argmax())]
        # what a view alone would have gone on with
        disagree += len({int(output.logits[0, -1, yes_no].argmax()) for output in outputs}) > 1
        texts = [f"{text}{answer}{number_token}" for text in texts]
        for name, mean, deviation in (("x", 0.5, 3.0), ("y", -2.0, 0.25)):
            outputs = [plain(model, text, numbers) for text in texts]
            value = float(np.mean([float(out.number_predictions[0, -1]) for out in outputs]))
            predicted = found.answers[name].numbers[name]
            assert predicted == pytest.approx(value * deviation + mean, abs=1e-3, rel=1e-3)
            numbers.append(value)
            texts = [f"{text} 0" for text in texts]
        outputs = [plain(model, f"{text}<B>", numbers) for text in texts]
        label = torch.stack([output.logits[0, -1, digits] for output in outputs]).mean(0)
        np.testing.assert_allclose(
            list(found.answers["b"].probabilities.values()), label.softmax(-1), atol=1e-3
        )
        # the same for one record, and differentiable
        scored = score_answer(
            model.model, model.tokenizer, one, task=task, answer="b", target="none"
        )
        others = torch.stack([label[0], label[2]]).logsumexp(0)
        assert scored.score == pytest.approx(float(label[1] - others), abs=1e-3)
    assert disagree > 1


@pytest.mark.parametrize("kmer_size", [3, 6])
@pytest.mark.parametrize("problem", list(HEADS))
def test_a_classification_head_averages_too(problem: str, kmer_size: int) -> None:
    labels = {"multi_label_classification": ["a", "b"], "regression": ["value"]}
    template = {
        "single_label_classification": "<R>{sequence}<=><B>{label}",
        "multi_label_classification": "<R>{sequence}<=><B>{a}<B>{b}",
        "regression": "<R>{sequence}<=><M>{value}",
    }[problem]
    names = labels.get(problem, ["yes", "no"])
    task = Task.from_dict({"template": template, "answers": HEADS[problem], "views": ALL})
    model = model_of(
        kmer_size,
        DNAGPTForSequenceClassification,
        problem_type=problem,
        id2label=dict(enumerate(names)),
    )
    for one, found in zip(rows(), model.predict(rows(), task=task), strict=True):
        texts = seen(one.values["sequence"], kmer_size)
        raw = torch.stack([plain(model, f"<R>{text}").logits[0] for text in texts]).mean(0)
        wanted = raw if problem == "regression" else raw.softmax(-1)
        wanted = raw.sigmoid() if problem.startswith("multi") else wanted
        answer = found.first
        values = answer.numbers if problem == "regression" else answer.probabilities
        np.testing.assert_allclose(list(values.values()), wanted, atol=1e-3, rtol=1e-3)


def test_views_are_chosen_without_a_task_that_has_them() -> None:
    model = model_of(3)
    arguments: dict[str, Any] = {"template": "<R>{sequence}<=><M>"}
    sequence = dna(20, 1)
    numbers = [
        float(plain(model, f"<R>{text}<=><M>").number_predictions[0, -1])
        for text in seen(sequence, 3)
    ]
    for views, wanted in (
        (None, numbers[:1]),
        ("first", numbers[:1]),
        ({"phases": "all"}, numbers[:3]),
        (Views(strands="both"), numbers[::3]),
        (ALL, numbers),
    ):
        [found] = model.predict([sequence], views=views, **arguments)
        assert found.numbers["number"] == pytest.approx(np.mean(wanted), abs=1e-4)


def test_a_stated_template_keeps_the_views_of_the_checkpoint() -> None:
    config = preset_config("dnagpt-test", task={**ONE, "sequences": {}})
    for template, wanted in (
        ("<S>{sequence}<=><B>", Views("all", "both")),
        ("<M>{x}<=><B>{label}", Views()),
    ):
        task = resolve_task(config, template, None)
        assert task is not None and task.views == wanted


def test_embeddings_are_averaged() -> None:
    model = model_of(3)
    for pooling in ("mean", "last", "max"):
        arguments: dict[str, Any] = {"template": "<R>{sequence}", "pooling": pooling}
        found = model.embed(rows(), views=ALL, **arguments)
        for one, vector in zip(rows(), found, strict=True):
            by_view = model.embed(seen(one.values["sequence"], 3), **arguments)
            np.testing.assert_allclose(vector, by_view.mean(0), atol=1e-3, rtol=1e-3)
    with pytest.raises(ValueError, match="tokens of several views have no mean"):
        model.embed(rows(), pooling="token", views=ALL)


# -- interpretation --------------------------------------------------------------------------------


def interpreted() -> tuple[LoadedModel, Task, Record]:
    """A class of two whose log-odds are linear in the logits, with a number in the input."""
    task = Task.from_dict(
        {
            "template": "<R>{sequence}<+><M>{dose}<=><B>{label}",
            "answers": {"A": "yes", "N": "no"},
            "sequences": {"sequence": {"window": [1, 24], "cut_out": [5, 9]}},
            "views": ALL,
        }
    )
    return model_of(3), task, record(sequence=dna(26, 4), dose=0.5)


@pytest.mark.parametrize("method", [input_gradients, integrated_gradients])
def test_attributions_are_means_over_views_at_the_bases_of_the_record(method: Any) -> None:
    model, task, one = interpreted()
    scored = score_answer(model.model, model.tokenizer, one, task=task, target="yes")
    found = method(scored)
    places = [*range(1, 5), *range(9, 24)]
    sequence = "".join(one.values["sequence"][place] for place in places)
    by_base = np.zeros(26)
    scores, numbers = [], []
    single = {"template": task.template, "answers": {"A": "yes", "N": "no"}}
    for number, text in enumerate(seen(sequence, 3)):
        alone = score_answer(
            model.model,
            model.tokenizer,
            record(sequence=text, dose=0.5),
            task=Task.from_dict(single),
            target="yes",
        )
        of_view = method(alone)
        order = places[::-1] if number >= 3 else places
        by_base[order[number % 3 :]] += of_view.per_base() / 6
        scores.append(alone.score)
        numbers.append(of_view)
    assert scored.score == pytest.approx(np.mean(scores), abs=1e-4)
    np.testing.assert_allclose(found.per_base(), by_base, atol=2e-4, rtol=1e-3)
    assert np.abs(by_base).max() > 0.05
    assert (found.per_base()[[0, 5, 8, 24, 25]] == 0).all()
    # the tokens of the first view have it all
    assert found.values.shape == (len(scored.tokenized.tokens),)
    assert found.values.sum() == pytest.approx(found.total, abs=1e-3)
    assert found.total == pytest.approx(np.mean([one.values.sum() for one in numbers]), abs=1e-3)
    if found.number_gradients is not None:
        wanted = np.mean([np.nansum(one.number_gradients) for one in numbers])
        assert np.isfinite(found.number_gradients).sum() == 1
        assert np.nansum(found.number_gradients) == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("target", ["yes", "maybe"])
def test_effects_are_those_of_mutated_records(target: str) -> None:
    """Also of three answers, whose log-odds are no mean of those of the views."""
    model, task = (
        model_of(3),
        Task.from_dict({**ONE, "sequences": {"sequence": {"cut_out": [4, 6]}}}),
    )
    sequence = dna(14, 7)
    arguments: dict[str, Any] = {"task": task, "target": target}

    def score(text: str) -> float:
        return score_answer(model.model, model.tokenizer, record(sequence=text), **arguments).score

    scored = score_answer(model.model, model.tokenizer, record(sequence=sequence), **arguments)
    found = in_silico_mutagenesis(scored, max_records=5).effects
    before = score(sequence)
    for base in range(14):
        for place, letter in enumerate(BASES):
            if base in (4, 5):
                assert np.isnan(found[base, place])
                continue
            changed = score(sequence[:base] + letter + sequence[base + 1 :])
            assert found[base, place] == pytest.approx(changed - before, abs=2e-3)
    assert np.nanmax(np.abs(found)) > 0.05


def test_mutated_bases_that_a_view_drops_leave_it_as_it_is() -> None:
    """In a vocabulary of whole k-mers, phases lack the last bases of a record."""
    tokenizer = DNAGPTTokenizer(kmer_size=3, dynamic_kmer=False)
    torch.manual_seed(0)
    config = preset_config("dnagpt-test", **vocabulary_fields(3, False))
    model = louder(DNAGPTForMultiTask(config))
    task = Task("<R>{sequence}<=><M>", views=Views("all", "both"))
    sequence = dna(12, 3)

    def number(text: str) -> float:
        [found] = predict_records(model, tokenizer, [record(sequence=text)], task=task)
        return found.numbers["number"]

    scored = score_answer(model, tokenizer, record(sequence=sequence), task=task)
    effects = in_silico_mutagenesis(scored).effects
    for base in (0, 1, 10, 11):
        changed = number(sequence[:base] + "A" + sequence[base + 1 :]) - number(sequence)
        assert effects[base, 0] == pytest.approx(changed, abs=1e-3)


def test_attention_is_that_of_the_first_view() -> None:
    model, task, one = interpreted()
    maps = attention_maps(model.model, model.tokenizer, one, task=task)
    alone = attention_maps(model.model, model.tokenizer, one, task=task.with_views("first"))
    np.testing.assert_array_equal(maps.weights, alone.weights)
    assert (maps.name, alone.name) == ("r0 (first of 6 views)", "r0")
