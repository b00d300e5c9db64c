"""Classes and numbers of records."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTForSequenceClassification, DNAGPTTokenizer
from dnagpt_hf.inference.batching import map_in_batches, padded_batch, padded_views
from dnagpt_hf.inference.prediction import predict_records
from dnagpt_hf.inference.prediction_heads import answer_tokens, stated_labels
from dnagpt_hf.presets import preset_config
from dnagpt_hf.records.files import RecordError
from dnagpt_hf.records.reading import Record
from dnagpt_hf.records.templates import Template
from dnagpt_hf.tasks.encoding import RecordEncoder
from dnagpt_hf.tasks.views import Views

CLASS = "<R>{sequence}<=><B>"
NUMBER = "<R>{sequence}<+><M>{x}<=><M>"
ANSWERS = {"A": "false", "N": "true"}


def record(sequence: Any, number: int = 1, **values: Any) -> Record:
    return Record({"sequence": sequence, **values}, f"r{number}", "a.csv", number, number + 1)


def dna(length: int, seed: int) -> str:
    return "".join(random.Random(seed).choices("ACGT", k=length))


def records(count: int = 40) -> list[Record]:
    lengths = random.Random(1).choices(range(1, 300), k=count)
    return [
        record(dna(length, seed), seed + 1, x=str(seed / 10)) for seed, length in enumerate(lengths)
    ]


@pytest.fixture
def model(tiny_model: DNAGPTForMultiTask) -> DNAGPTForMultiTask:
    return louder(tiny_model)


def louder(model: Any) -> Any:
    """Weights so large that every token changes the answer."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.mul_(10)
    return model


def classifier(**config: Any) -> DNAGPTForSequenceClassification:
    torch.manual_seed(0)
    model = DNAGPTForSequenceClassification(preset_config("dnagpt-test", **config))
    return louder(model).eval()


def test_a_class_is_the_most_probable_answer(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    for one in records(5):
        (found,) = predict_records(model, tiny_tokenizer, [one], template=CLASS, answers=ANSWERS)
        inputs = tiny_tokenizer(f"<R>{one.values['sequence']}<=><B>", return_tensors="pt")
        with torch.no_grad():
            logits = model(**inputs).logits[0, -1]
        wanted = logits[[35, 34]].softmax(-1)
        assert found.probabilities["false"] == pytest.approx(float(wanted[0]), abs=1e-5)
        assert math.isclose(sum(found.probabilities.values()), 1, abs_tol=1e-6)
        assert found.labels == (("false",) if wanted[0] > wanted[1] else ("true",))


def test_a_number_is_what_the_regression_head_says(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    one = record("ACGTACGT", x="-0.5")
    (found,) = predict_records(model, tiny_tokenizer, [one], template=NUMBER)
    inputs = tiny_tokenizer("<R>ACGTACGT<+><M>-0.5<=><M>", return_tensors="pt")
    with torch.no_grad():
        wanted = float(model(**inputs).number_predictions[0, -1])
    assert found.numbers == {"number": pytest.approx(wanted, abs=1e-5)}
    assert found.labels == ()
    other = record("ACGTACGT", x="0.5")
    (changed,) = predict_records(model, tiny_tokenizer, [other], template=NUMBER)
    assert abs(changed.numbers["number"] - found.numbers["number"]) > 1e-3


@pytest.mark.parametrize("template", [CLASS, NUMBER])
@pytest.mark.parametrize("sizes", [{"max_records": 7}, {"max_tokens": 100}, {"max_tokens": 1}])
def test_batches_change_nothing_and_keep_the_order(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer, template: str, sizes: dict[str, int]
) -> None:
    answers = ANSWERS if template == CLASS else None
    options: dict[str, Any] = {"template": template, "answers": answers}
    together = list(predict_records(model, tiny_tokenizer, records(), **options, **sizes))
    assert [found.record.name for found in together] == [one.name for one in records()]
    for one, found in zip(records(), together, strict=True):
        (alone,) = predict_records(model, tiny_tokenizer, [one], **options)
        assert found.labels == alone.labels
        for name, value in {**alone.numbers, **alone.probabilities}.items():
            assert {**found.numbers, **found.probabilities}[name] == pytest.approx(value, abs=1e-5)


def test_records_are_read_ahead_by_a_bounded_number(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    taken = 0

    def endless() -> Iterator[Record]:
        nonlocal taken
        while True:
            taken += 1
            yield record("ACGT", taken)

    found = predict_records(model, tiny_tokenizer, endless(), template=CLASS, answers=ANSWERS)
    assert next(found).record.name == "r1"
    assert taken <= 1024


def test_answers_are_one_token_each(tiny_tokenizer: DNAGPTTokenizer) -> None:
    config = preset_config("dnagpt-test")
    same = answer_tokens(tiny_tokenizer, config, {"<A>": "no", "n": "yes"})
    assert same == answer_tokens(tiny_tokenizer, config, {"A": "no", "N": "yes"})
    for answers, message in [
        ({"ACGTACG": "no"}, "answer 'ACGTACG' is 2 tokens"),
        ({"": "no"}, "answer '' is 0 tokens"),
        ({"A": "no", "<A>": "yes"}, "stands twice"),
        ({"A": "no", "N": "no"}, "stands twice"),
        ({"<H>": "no"}, "<H>"),
        ({"<P>": "no"}, "answer '<P>'"),
    ]:
        with pytest.raises(ValueError, match=message):
            answer_tokens(tiny_tokenizer, config, answers)


def test_a_number_to_predict_may_be_missing(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    """A task may take the logarithm of what it predicts, of which a new record knows nothing."""
    logarithms = {"y": "log2(x)", "x": "log2(x)"}
    model.config.task = {"template": f"{NUMBER}{{y}}", "transforms": logarithms}
    known, unknown = (record("ACGT", x="2", y=y) for y in ("4", "NA"))
    first, second = predict_records(model, tiny_tokenizer, [known, unknown])
    assert first.numbers == pytest.approx(second.numbers, rel=1e-4)
    with pytest.raises(RecordError, match=r"record r1 .*column 'x' holds 'NA', a missing value"):
        list(predict_records(model, tiny_tokenizer, [record("ACGT", x="NA")]))


def test_answers_of_the_checkpoint(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    one = record("ACGTAC")
    with pytest.raises(ValueError, match="does not name the tokens that are answers"):
        list(predict_records(model, tiny_tokenizer, [one], template=CLASS))
    assert stated_labels(model.config) == {}
    model.config.id2label = {35: "false", 34: "true"}
    (from_config,) = predict_records(model, tiny_tokenizer, [one], template=CLASS)
    (stated,) = predict_records(model, tiny_tokenizer, [one], template=CLASS, answers=ANSWERS)
    assert from_config.probabilities == stated.probabilities
    model.config.id2label = {35: "false", 99999: "true"}
    with pytest.raises(ValueError, match="names token 99999, which does not exist"):
        list(predict_records(model, tiny_tokenizer, [one], template=CLASS))


def test_settings_that_do_not_fit_the_model(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    for network, options, message in [
        (model, {}, "state a template"),
        (model, {"template": NUMBER, "answers": ANSWERS}, "asks for a number"),
        (model, {"template": "<H>{sequence}<=><M>"}, "template .*<H>"),
        (model, {"template": NUMBER, "max_records": 0}, "are empty"),
        (classifier(num_labels=2), {"answers": ANSWERS}, "has a classification head"),
    ]:
        with pytest.raises(ValueError, match=message):
            list(predict_records(network, tiny_tokenizer, records(1), **options))


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (record(""), "its sequence is empty"),
        (record("ACGZ"), "sequence: character 'Z' at position 4"),
        (record("AC0.5"), "sequence: .*'0'"),
        (record("AC<M>nan"), "nan"),
        (record("<H>ACG"), "<H>"),
        (record("A" * 400), r"70 tokens \(up to 420 bp\) exceed the model's 64 positions"),
        (record(5), "holds 5, not a text"),
        (Record({"seq": "A"}, "r1", "a.csv", 1, 2), "there is no column 'sequence', only seq"),
    ],
)
def test_bad_records_are_named(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer, one: Record, message: str
) -> None:
    stream = [record("ACGT"), one]
    with pytest.raises(RecordError, match=rf"^a\.csv, record r1 \(line 2\): .*{message}"):
        list(predict_records(model, tiny_tokenizer, stream, template=CLASS, answers=ANSWERS))


def test_an_output_that_is_not_finite_is_an_error(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    with torch.no_grad():
        model.number_head.out_proj.weight.fill_(math.nan)
    with pytest.raises(RecordError, match=r"record r1 .*output is not finite"):
        list(predict_records(model, tiny_tokenizer, records(1), template=NUMBER))


@pytest.mark.parametrize("length", [1, 5, 6, 7, 359, 360, 361, 365, 366, 367, 2000])
@pytest.mark.parametrize("side", ["left", "right"])
def test_truncation_cuts_whole_tokens_of_the_sequence_alone(
    tiny_tokenizer: DNAGPTTokenizer, length: int, side: Any
) -> None:
    template = Template(NUMBER)
    encoder = RecordEncoder(tiny_tokenizer, template, 64, side)
    sequence = dna(length, 3)
    encoded = encoder(record(sequence, x="0.25"))
    text = tiny_tokenizer.decode(encoded.input_ids, number_values=encoded.number_values)
    kept = text.removeprefix("<R>").removesuffix("<+><M>0.25<=><M>")
    # 58 tokens of 6 bases are left beside the six of the template
    if length <= 58 * 6:
        assert kept == sequence
    else:
        assert len(encoded.input_ids) == 64
        assert kept == (sequence[-58 * 6 :] if side == "left" else sequence[: 58 * 6])


def test_truncation_of_neighbours_and_of_what_cannot_be_cut(
    tiny_tokenizer: DNAGPTTokenizer,
) -> None:
    both = RecordEncoder(tiny_tokenizer, Template("{utr}{sequence}"), 64, "right")
    encoded = both(record(dna(381, 1), utr="ACGTA"))
    assert len(encoded.input_ids) == 64
    assert tiny_tokenizer.decode(encoded.input_ids).startswith("ACGTA" + dna(381, 1)[:370])
    whole = RecordEncoder(tiny_tokenizer, Template("{sequence}"), 64, "right")
    with pytest.raises(RecordError, match="no sequence in it can be cut"):
        whole(record("<R>" + dna(400, 1)))
    numbers = RecordEncoder(tiny_tokenizer, Template("{sequence}<+><M>{x}"), 8, "right")
    with pytest.raises(RecordError, match="no sequence in it can be cut"):
        numbers(record("ACG", x=[0.5] * 10))


def test_exactly_the_positions_of_the_model_fit(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer
) -> None:
    fitting = record("A" * (61 * 6))
    list(predict_records(model, tiny_tokenizer, [fitting], template=CLASS, answers=ANSWERS))


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_one_class_of_a_classification_head(tiny_tokenizer: DNAGPTTokenizer, pooling: str) -> None:
    labels = {0: "exon", 1: "intron", 2: "other"}
    model = classifier(id2label=labels, classifier_pooling=pooling)
    found = list(predict_records(model, tiny_tokenizer, records(20), max_records=6))
    for one, prediction in zip(records(20), found, strict=True):
        with torch.no_grad():
            inputs = tiny_tokenizer(one.values["sequence"], return_tensors="pt")
            wanted = model(**inputs).logits[0].softmax(-1).numpy()
        np.testing.assert_allclose(list(prediction.probabilities.values()), wanted, atol=1e-5)
        assert prediction.labels == (labels[int(wanted.argmax())],)
        assert list(prediction.probabilities) == list(labels.values())


def test_several_labels(tiny_tokenizer: DNAGPTTokenizer) -> None:
    model = classifier(id2label={0: "a", 1: "b", 2: "c"}, problem_type="multi_label_classification")
    for found in predict_records(model, tiny_tokenizer, records(10)):
        assert found.first.multilabel
        likely = [label for label, value in found.probabilities.items() if value > 0.5]
        assert list(found.labels) == likely


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({"num_labels": 1}, ["number"]),
        ({"id2label": {0: "x", 1: "y"}, "problem_type": "regression"}, ["x", "y"]),
    ],
)
def test_numbers_of_a_classification_head(
    tiny_tokenizer: DNAGPTTokenizer, config: dict[str, Any], names: list[str]
) -> None:
    model = classifier(**config)
    for one, found in zip(
        records(10), predict_records(model, tiny_tokenizer, records(10)), strict=True
    ):
        with torch.no_grad():
            inputs = tiny_tokenizer(one.values["sequence"], return_tensors="pt")
            wanted = model(**inputs).logits[0].numpy()
        assert list(found.numbers) == names
        np.testing.assert_allclose(list(found.numbers.values()), wanted, atol=1e-5)


@pytest.mark.parametrize("phases", ["first", "all"])
def test_batches_hold_no_more_than_was_allowed(
    tiny_tokenizer: DNAGPTTokenizer, phases: Any
) -> None:
    views = Views(phases).expand(tiny_tokenizer.kmer_size)
    encoder = RecordEncoder(tiny_tokenizer, Template("{sequence}"), 64, views=views)
    shapes = []

    def function(batch: list[Any]) -> list[int]:
        shapes.append(tuple(padded_views(batch, 20)["input_ids"].shape))
        assert {len(one) for one in batch} == {len(views)}
        return [len(first.input_ids) for first, *_ in batch]

    stream = map(encoder.in_views, records(200))
    results = list(map_in_batches(function, stream, max_records=16, max_tokens=384))
    assert [encoded.record.name for encoded, _ in results] == [one.name for one in records(200)]
    assert all(len(encoded.input_ids) == length for encoded, length in results)
    assert all(rows <= 16 and rows * length <= 384 for rows, length in shapes)
    tokens = len(views) * sum(length for _, length in results)
    assert sum(rows * length for rows, length in shapes) < 1.2 * tokens


def test_batches_are_padded_on_the_left(tiny_tokenizer: DNAGPTTokenizer) -> None:
    encoder = RecordEncoder(tiny_tokenizer, Template("{sequence}<M>{x}"), 64)
    batch = [encoder(record("ACGTACG", x="0.5")), encoder(record("ACG", x="1.5"))]
    inputs = padded_batch(batch, 20)
    assert inputs["attention_mask"].tolist() == [[1, 1, 1, 1], [0, 1, 1, 1]]
    assert inputs["input_ids"][1, 0] == 20
    assert inputs["number_values"].tolist() == [[0, 0, 0, 0.5], [0, 0, 0, 1.5]]
