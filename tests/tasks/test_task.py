"""Tasks as data: prompts, answers, labels, and how they are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from dnagpt_hf import DNAGPTConfig, DNAGPTTokenizer
from dnagpt_hf.tasks.sources import TEXT_KEYS
from dnagpt_hf.tasks.task import Task
from dnagpt_hf.yaml_files import parse_yaml

BINARY = {"A": "yes", "N": "no"}


@pytest.mark.parametrize(
    ("template", "prompt", "input", "answers"),
    [
        ("<R>{s}<=><B>{y}", "<R>{s}<=><B>", "<R>{s}", [("y", "", False)]),
        ("<R>{s}<=><R>{y}", "<R>{s}<=><R>", "<R>{s}", [("y", "", False)]),
        (
            "<R>{s}<+><M>{x}<=><M>{y}",
            "<R>{s}<+><M>{x}<=><M>",
            "<R>{s}<+><M>{x}",
            [("y", "", True)],
        ),
        (
            "{s}<=><B>{a}<B>{b}",
            "{s}<=><B>",
            "{s}",
            [("a", "", False), ("b", "<B>", False)],
        ),
        (
            "{s}<=><B>{a}<M>{b, c}",
            "{s}<=><B>",
            "{s}",
            [("a", "", False), ("b", "<M>", True), ("c", " ", True)],
        ),
        # the last <=> counts
        ("{s}<=>{x}<=><B>{y}", "{s}<=>{x}<=><B>", "{s}<=>{x}", [("y", "", False)]),
        # prompts alone
        ("{s}<=><B>", "{s}<=><B>", "{s}", [("answer", "", False)]),
        ("{s}<=><M>", "{s}<=><M>", "{s}", [("answer", "", True)]),
        ("{s}<+><M>", "{s}<+><M>", "{s}<+><M>", [("answer", "", True)]),
        ("<M>{x}", "<M>{x}", "<M>{x}", [("answer", "", False)]),
    ],
)
def test_prompt_input_and_answers(
    template: str, prompt: str, input: str, answers: list[tuple[str, str, bool]]
) -> None:
    task = Task(template)
    assert task.prompt.text == prompt
    assert task.input.text == input
    found = [(answer.column, answer.before, answer.is_number) for answer in task.answer_list]
    assert found == answers
    assert task.is_answered == (answers[0][0] != "answer")


def test_answers_of_all_columns_or_of_each() -> None:
    template = "{s}<=><B>{a}<B>{b}<M>{y}"
    for answer in Task(template, answers=BINARY).answer_list[:2]:
        assert answer.tokens == BINARY
    other = {"0": "low", "1": "high"}
    first, second, third = Task(template, answers={"a": BINARY, "b": other}).answer_list
    assert (first.tokens, second.tokens, third.tokens) == (BINARY, other, {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"template": "{s}<=><B>{y}", "answers": {"a": BINARY}}, "name column 'a': .* asks for y"),
        ({"template": "{s}<=><M>{y}", "answers": BINARY}, "asks for a number"),
        ({"template": "{s}<=><B>{y}", "answers": {"A": "x", "N": "x"}}, "a label stands twice"),
        (
            {"template": "{s}<=><B>{y}", "answers": {"y": BINARY, "A": "x"}},
            "mix tokens and columns",
        ),
        ({"template": "{s}<=><B>{y}", "answers": ["A", "N"]}, "answers is .*: should be a mapping"),
        ({"template": "{s}<=><B>{y}", "transforms": {"x": "log(x)"}}, "'x', which the template"),
        ({"template": "{s}<=><B>{y}", "sequences": {"x": {}}}, "'x', which the template has not"),
        (
            {"template": "{s}<=><B>{y}", "sequences": {"s": {"start": 1}}},
            r"s: unknown key 'start' \(choose from window, cut_out",
        ),
        ({"template": "{s}<=><B>{y}", "sequences": {"s": {"window": 300}}}, "window is 300"),
        ({"template": "{s}<=><B>{y}", "colour": 1}, "unknown key 'colour'"),
        ({"template": 5}, "template is 5: should be a valid string"),
        ({}, "template is missing"),
    ],
)
def test_tasks_that_cannot_be(content: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Task.from_dict(content)


def test_labels_that_are_words_of_yaml() -> None:
    text = "{template: '{s}<=><B>{y}', answers: {A: yes, N: 0.50}, positive: yes}"
    assert Task.from_dict(parse_yaml(text, TEXT_KEYS)).answer_list[0].labels == ("yes", "0.50")
    numbers = {"template": "{s}<=><B>{y}", "answers": {"A": 1, "N": 0}, "positive": 1}
    assert Task.from_dict(numbers).answer_list[0].labels == ("1", "0")
    with pytest.raises(ValueError, match="answers, A is True: should be a valid string"):
        Task.from_dict({**numbers, "answers": {"A": True, "N": False}})


@pytest.mark.parametrize(
    ("template", "answers", "problem"),
    [
        ("{s}<=><B>{a}", {}, "single_label_classification"),
        ("{s}<=><M>{a}", {}, "regression"),
        ("{s}<=><M>{a} {b}", {}, "regression"),
        ("{s}<=><B>{a}<B>{b}", {}, "multi_label_classification"),
        ("{s}<=><B>{a}<B>{b}", {"0": "x", "1": "y", "2": "z"}, "says yes or no to each"),
        ("{s}<=><B>{a}<M>{b}", BINARY, "gives one kind: use head: language"),
    ],
)
def test_problem_types(template: str, answers: dict[str, str], problem: str) -> None:
    task = Task(template, answers=answers)
    if " " not in problem:
        assert task.problem_type == problem
        return
    with pytest.raises(ValueError, match=problem):
        _ = task.problem_type


@pytest.mark.parametrize("value", ["1", 1, 1.0, "1.0", " 1 "])
def test_spellings_of_a_label(value: Any) -> None:
    (answer,) = Task("{s}<=><B>{y}", answers={"A": "1", "N": "0"}).answer_list
    assert answer.label(value) == "1"


@pytest.mark.parametrize("value", ["2", "", None, "1.5", True])
def test_a_label_outside_the_answers(value: Any) -> None:
    (answer,) = Task("{s}<=><B>{y}", answers={"A": "1", "N": "0"}).answer_list
    with pytest.raises(ValueError, match=r"column 'y' holds .*, which is none of the answers A=1"):
        answer.label(value)


# -- labels from data ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "dynamic", "tokens"),
    [
        (["1", "0", "1"], True, {"N": "0", "A": "1"}),
        (["true", "false"], True, {"N": "false", "A": "true"}),
        # letters are no tokens of a vocabulary of 6-mers
        (["1", "0"], False, {"<0>": "0", "<1>": "1"}),
        (["b", "c", "a"], True, {"<0>": "a", "<1>": "b", "<2>": "c"}),
    ],
)
def test_tokens_for_labels(labels: list[str], dynamic: bool, tokens: dict[str, str]) -> None:
    tokenizer = DNAGPTTokenizer(dynamic_kmer=dynamic)
    task = Task("{s}<=><B>{y}").with_labels({"y": labels}, tokenizer)
    assert dict(task.answer_list[0].tokens) == tokens
    assert list(task.answer_list[0].tokens) == list(tokens)


def test_stated_answers_stay() -> None:
    tokenizer = DNAGPTTokenizer()
    task = Task("{s}<=><B>{a}<B>{b}", answers={"a": {"A": "no", "N": "yes"}})
    labelled = task.with_labels({"a": ["yes", "no"], "b": ["x", "w"]}, tokenizer)
    assert labelled.answer_list[0].tokens == {"A": "no", "N": "yes"}
    assert labelled.answer_list[1].tokens == {"N": "w", "A": "x"}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a"], r"column 'y' holds 1 labels \(a\)"),
        (
            [str(number) for number in range(11)],
            "holds 11 labels .*: only 10 get tokens by themselves",
        ),
        (["yes", "no", "Yes"], "holds 'Yes' and 'yes', which seem to be one label"),
        (["0", "1", "1.0"], "holds '1' and '1.0', which seem to be one label"),
    ],
)
def test_labels_that_are_no_answers(labels: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Task("{s}<=><B>{y}").with_labels({"y": labels}, DNAGPTTokenizer())


# -- the positive label ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "positive", "label"),
    [
        ({"A": "yes", "N": "no"}, None, "yes"),
        ({"N": "no", "A": "yes"}, None, "yes"),
        # the answers of the released classifier are the other way round
        ({"A": "false", "N": "true"}, "true", "true"),
        ({"<A>": "yes", "<N>": "no"}, None, "yes"),
        ({"0": "no", "1": "yes"}, None, "yes"),
        ({"0": "a", "1": "b", "2": "c"}, None, None),
    ],
)
def test_the_positive_label(
    answers: dict[str, str], positive: str | None, label: str | None
) -> None:
    task = Task("{s}<=><B>{y}", answers=answers, positive=positive)
    assert task.positive_label(task.answer_list[0]) == label


def test_a_positive_label_that_no_answer_has() -> None:
    task = Task("{s}<=><B>{y}", positive="sginal")
    with pytest.raises(ValueError, match="positive is 'sginal': choose one of none, signal"):
        task.with_labels({"y": ["signal", "none"]}, DNAGPTTokenizer())
    both = Task("{s}<=><B>{a}<B>{b}", answers={"a": BINARY, "b": {"A": "up", "N": "down"}})
    both = Task.from_dict({**both.as_dict(), "positive": "down"}).with_labels({}, DNAGPTTokenizer())
    assert [both.positive_label(answer) for answer in both.answer_list] == ["yes", "down"]


# -- text, standardisation, plain data -------------------------------------------------------------


PREPARED = Task.from_dict(
    {
        "template": "{dna}<=><M>{x}",
        "sequences": {"dna": {"window": [1, 5]}},
        "transforms": {"x": "log10(x)"},
    }
)


def test_columns_are_prepared_and_the_others_left() -> None:
    values = {"dna": "AC GT\nAC", "x": "100", "other": 1}
    assert PREPARED.prepare(values) == {"dna": "CGTA", "x": 2.0, "other": 1}
    assert values["x"] == "100"
    # a column that is missing is the template's to miss
    assert PREPARED.prepare({"other": 1}) == {"other": 1}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dna": "ACG"}, "dna: sequence of 3 bp"),
        ({"x": "much"}, "column 'x' holds 'much', not a finite number"),
        ({"x": "-1"}, r"column 'x': -1.0 has no log10\(x\)"),
    ],
)
def test_the_column_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PREPARED.prepare(values)


def test_scales_of_inputs_and_answers() -> None:
    scales = ((1.0, 2.0), (3.0, 4.0), (5.0, 6.0))
    task = Task("{s}<+><M>{x}<=><M>{a}<B>{b}<M>{c}", standardization=scales)
    assert task.input_standardization == ((1.0, 2.0),)
    assert task.answer_scales == [(3.0, 4.0), (0.0, 1.0), (5.0, 6.0)]
    plain = Task("{s}<+><M>{x}<=><M>{a}")
    assert plain.input_standardization == () and plain.answer_scales == [(0.0, 1.0)]


FULL = Task.from_dict(
    {
        "name": "all",
        "template": "<R>{s}<+><M>{x}<=><B>{a}<B>{b}<M>{y}",
        # neither in the order of the alphabet
        "answers": {"a": {"N": "no", "A": "yes"}, "b": {"<9>": "x", "<2>": "y", "<5>": "z"}},
        "positive": "no",
        "metric": "mcc",
        "sequences": {"s": {"window": [0, 20], "cut_out": [2, 4], "length": 30}},
        "transforms": {"y": "log10(x + 0.1)"},
        "standardization": [[0.1, 1 / 3], [1e-30, 2.0]],
    }
)


def test_plain_data_and_back() -> None:
    assert Task.from_dict(FULL.as_dict()) == FULL
    again = Task.from_dict(yaml.safe_load(yaml.safe_dump(FULL.as_dict())))
    assert again == FULL


def test_the_order_of_classes_is_kept_in_a_checkpoint(tmp_path: Path) -> None:
    """Files of Transformers have sorted keys, while classes of a head are numbered."""
    DNAGPTConfig(task=FULL.as_dict()).save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())["task"]
    for content in (saved, DNAGPTConfig.from_pretrained(tmp_path).task):
        task = Task.from_dict(content)
        assert task == FULL
        assert [answer.labels for answer in task.answer_list] == [
            ("no", "yes"),
            ("x", "y", "z"),
            (),
        ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"answers": {"A": ["yes"]}}, r"answers, A is \['yes'\]: should be a valid string"),
        ({"answers": {"A": [1]}}, r"answers, A is \[1\]"),
        ({"standardization": [1]}, "standardization 1 is 1: should be a list"),
        ({"standardization": [["a", "b"]]}, "standardization 1 1 is 'a': should be a valid number"),
    ],
)
def test_lists_that_are_no_pairs(content: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Task.from_dict({"template": "{s}<=><B>{y}", **content})
