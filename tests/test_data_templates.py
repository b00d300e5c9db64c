"""Templates of the token language."""

from __future__ import annotations

from typing import Any

import pytest

from dnagpt_hf.data.templates import Template


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
