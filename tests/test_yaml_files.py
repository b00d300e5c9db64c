"""Settings in YAML: how words are read, and errors in one line."""

from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field

from dnagpt_hf.yaml_files import Settings, parse_yaml, read_yaml, validated


class Species(Settings):
    name: str
    weight: float | None = Field(None, gt=0, allow_inf_nan=False)
    files: tuple[Path, ...] = ()


class Genomes(Settings):
    species: list[Species]
    order: Literal["given", "shuffled"] = "given"
    seeds: dict[str, int] | None = None


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("On", "On"),
        ("true", True),
        ("1e-4", 1e-4),
        ("1.5E+3", 1500.0),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("21", 21),
        ("-3", -3),
        ("010", "010"),
        ("1:20", "1:20"),
        ("0x1F", "0x1F"),
        ("2020-01-01", "2020-01-01"),
        ("null", None),
        ("", None),
        ("'21'", "21"),
    ],
)
def test_words(written: str, value: Any) -> None:
    assert parse_yaml(f"key: {written}") == {"key": value}
    assert type(parse_yaml(written)) is type(value)


def test_text_under_some_keys() -> None:
    text = "{labels: {1: 1.0, b: [true, 1e5], c: null}, n: 1}"
    assert parse_yaml(text, {"labels"}) == {
        "labels": {1: "1.0", "b": ["true", "1e5"], "c": None},
        "n": 1,
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\nb: [", "not valid YAML in line 2: expected the node content"),
        (b"a: 1\nb: {c: 1, c: 2}", "not valid YAML in line 2: c is given twice"),
        (b"[a, b]: 1", "not valid YAML in line 1: found unhashable key"),
        (b"a: !!python/object:x 1", "not valid YAML in line 1: could not determine"),
        (b"a: \x07", "not valid YAML: unacceptable character"),
        (b"[" * 5000, "not valid YAML: maximum recursion depth"),
        (b"\xff", "not UTF-8 text: save it"),
        (b"- a", "expected settings, one `name: value` on a line"),
        (b"", "expected settings"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"settings.yaml: {message}") as error:
        read_yaml(path)
    assert "\n" not in str(error.value)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.yaml: no such file"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        read_yaml(tmp_path)


def test_settings_that_fit() -> None:
    content = {"species": [{"name": "yeast", "weight": 1, "files": ["a.fa"]}], "seeds": {3: 4}}
    genomes = validated(Genomes, content, "file")
    assert genomes.species == [Species(name="yeast", weight=1, files=(Path("a.fa"),))]
    assert genomes.seeds == {"3": 4}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"species": []} | {"ordr": 1}, "unknown key 'ordr': did you mean order? (choose from"),
        ({"species": [{"nam": "a"}]}, "species 1: unknown key 'nam': did you mean name?"),
        ({"species": [{"weight": 1}]}, "species 1, name is missing"),
        ({}, "species is missing"),
        ({"species": "a"}, "species is 'a': should be a list"),
        ({"species": [{"name": "yeast", "weight": 0}]}, "species yeast, weight is 0: should be gr"),
        ({"species": [{"name": "a", "weight": float("nan")}]}, "species a, weight is nan: should"),
        ({"species": [{"name": "a", "weight": True}]}, "species a, weight is True: should be"),
        ({"species": [{"name": "a", "files": ["b", 1]}]}, "species a, files 2 is 1: should be"),
        ({"species": [], "order": "x"}, "order is 'x': should be 'given' or 'shuffled'"),
        ({"species": [], "seeds": {"a": "1"}}, "seeds, a is '1': should be a valid integer"),
        ([], "content is []: should be a mapping"),
        ({"species": {1, 2}}, "only text, numbers, true, false, null, lists and mappings are"),
    ],
)
def test_settings_that_do_not_fit(content: Any, message: str) -> None:
    with pytest.raises(ValueError) as error:
        validated(Genomes, content, "a.yaml")
    assert str(error.value).startswith(f"a.yaml: {message}")
