"""Templates of the token language."""

from __future__ import annotations

from typing import Any

import pytest

from dnagpt_hf.records.templates import Template


@pytest.mark.parametrize(
    ("text", "values", "filled"),
    [
        ("{sequence}", {"sequence": "ACGT"}, "ACGT"),
        (
            "<R>{a}<+><M>{x} { y }<=><M>",
            {"a": "AC", "x": "0.50", "y": 2},
            "<R>AC<+><M>0.5 2.0<=><M>",
        ),
        ("<R>A<+><M>{x}", {"x": [1, "2e-3", -0.5]}, "<R>A<+><M>1.0 0.002 -0.5"),
        ("<R>A<+><M>{x}", {"x": " 1 2 "}, "<R>A<+><M>1.0 2.0"),
        ("{species}{a}<=><B>", {"species": "<S>", "a": "GG"}, "<S>GG<=><B>"),
        ("<M>{x}<+>{a}", {"x": "3", "a": "GG"}, "<M>3.0<+>GG"),
    ],
)
def test_fill(text: str, values: dict[str, Any], filled: str) -> None:
    assert Template(text).fill(values) == filled


@pytest.mark.parametrize(
    "value", ["nan", "inf", "", " ", "0,5", "1_000", None, True, [], ["x"], {}]
)
def test_what_follows_the_number_instruction_is_a_finite_number(value: Any) -> None:
    with pytest.raises(ValueError, match="column 'x'"):
        Template("<R>A<+><M>{x}").fill({"x": value})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "its a is empty"),
        (" \n", "its a is empty"),
        (0.5, "holds 0.5, not a text"),
        (None, "None"),
    ],
)
def test_a_sequence_is_a_text(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Template("<R>{a}").fill({"a": value})


def test_a_missing_column_is_named_beside_those_that_exist() -> None:
    with pytest.raises(ValueError, match="there is no column 'halflife', only name, sequence"):
        Template("<R>{sequence}<+><M>{halflife}").fill({"name": "a", "sequence": "A"})


@pytest.mark.parametrize("text", ["{a", "a}", "{a}}", "{}", "{ }", "{{a}"])
def test_braces_are_checked(text: str) -> None:
    with pytest.raises(ValueError, match="template"):
        Template(text)


def test_asks_for_number() -> None:
    assert Template("<R>{a}<=><M> ").asks_for_number
    assert not Template("<R>{a}<+><M>{x}<=><B>").asks_for_number


# -- several columns, tokens -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "columns", "resolved"),
    [
        ("<M>{half…}<=><M>{y}", ["half_2", "y", "half_1"], "<M>{half_2} {half_1}<=><M>{y}"),
        ("<M>{half...}<=><M>{y}", ["half_1", "y"], "<M>{half_1}<=><M>{y}"),
        ("<M>{a, half…}<=><M>{y}", ["half_1", "a", "y"], "<M>{a} {half_1}<=><M>{y}"),
        # the answer and columns that stand elsewhere are not among them
        ("<M>{half…}<=><M>{halved}", ["half_1", "halved"], "<M>{half_1}<=><M>{halved}"),
        ("<M>{half_1}<+><M>{half…}", ["half_1", "half_2"], "<M>{half_1}<+><M>{half_2}"),
        ("<{species}>{sequence}<=><B>{label}", [], "<{species}>{sequence}<=><B>{label}"),
    ],
)
def test_columns_named_by_their_beginning(text: str, columns: list[str], resolved: str) -> None:
    assert Template(text).resolve(columns).text == resolved


@pytest.mark.parametrize("columns", [["y"], ["halfway", "y"]])
def test_a_beginning_that_no_column_has(columns: list[str]) -> None:
    with pytest.raises(ValueError, match=r"no column begins with 'half_', there are only .*y"):
        Template("<M>{half_…}<=><M>{y}").resolve(columns)


def test_several_columns_in_one_pair_of_braces() -> None:
    template = Template("<R>{a}<+><M>{x, y}<=><M>{z}")
    assert template.columns == ("a", "x", "y", "z")
    assert template.fill({"a": "AC", "x": 1, "y": "2", "z": 3}) == "<R>AC<+><M>1.0 2.0<=><M>3.0"


@pytest.mark.parametrize(
    ("value", "token"),
    [
        ("R", "<R>"),
        ("<R>", "<R>"),
        (" S ", "<S>"),
        ("Homo sapiens", "<R>"),
        ("mus_musculus", "<S>"),
        ("Saccharomyces  cerevisiae", "<U>"),
        (0, "<0>"),
    ],
)
def test_a_token_of_a_column(value: Any, token: str) -> None:
    assert Template("<{species}>{a}").fill({"species": value, "a": "AC"}) == f"{token}AC"


@pytest.mark.parametrize("value", ["", "Homo", "<RS>", None])
def test_what_is_no_token(value: Any) -> None:
    with pytest.raises(ValueError, match=r"column 'species' holds .* which is no token"):
        Template("<{species}>{a}").fill({"species": value, "a": "AC"})
