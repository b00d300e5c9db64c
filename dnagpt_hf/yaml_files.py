"""Files of settings in YAML: reading them, and checking them against pydantic models.

Plain words are read as YAML 1.2 reads them: `no` is text, `1e-4` a number, `1:20`, `010` and
`2020-01-01` are text. PyYAML alone follows YAML 1.1, to which they are false, text, 80, 8 and a
date.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args, get_type_hints

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from dnagpt_hf.messages import did_you_mean

_SCALARS = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(0|[1-9]\d*)",
    "float": r"[-+]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][-+]?\d+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    "merge": r"<<",
}
# of models and of dataclasses
_UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")
_TEXT = "tag:yaml.org,2002:str"
_VARIABLE = re.compile(r"\$(\{[A-Za-z_]\w*\}|[A-Za-z_]\w*)")
_OPTION = re.compile(r"(--\w+=|)(.*)", re.DOTALL)
_NULL = "tag:yaml.org,2002:null"


class Settings(BaseModel):
    """Base of models of settings: values are not converted, unknown keys are errors."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


ModelT = TypeVar("ModelT")


def read_yaml(path: str | Path, text_under: Collection[str] = ()) -> dict[str, Any]:
    """Read a file of settings.

    Args:
        path: the file, in UTF-8.
        text_under: keys below which every value is text as written, such as names of contigs.

    Raises:
        ValueError: the file cannot be read, is not YAML, has a key twice or is not a mapping; the
            message names file and line.
    """
    try:
        content = parse_yaml(Path(path).read_text(encoding="utf-8-sig"), text_under)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not UTF-8 text: save it as UTF-8") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected settings, one `name: value` on a line")
    return content


def expanded(content: Any) -> Any:
    """Replace `~` and environment variables in the paths among settings.

    A path is a text that has a slash, or begins with `~` or `$`.

    Args:
        content: a text, such as a path or `--option=path`, or lists and mappings of them.

    Raises:
        ValueError: there is no such variable.

    Example:

        >>> os.environ["SCRATCH"] = "/scratch/7"
        >>> expanded({"output_dir": "$SCRATCH/run", "template": "{sequence}"})
        {'output_dir': '/scratch/7/run', 'template': '{sequence}'}
    """
    if isinstance(content, Mapping):
        return {key: expanded(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [expanded(value) for value in content]
    parts = _OPTION.fullmatch(content) if isinstance(content, str) else None
    if parts is None or not ("/" in parts[2] or parts[2].startswith(("~", "$"))):
        return content
    option, path = parts.groups()
    path = os.path.expandvars(os.path.expanduser(path))
    if unknown := _VARIABLE.search(path):
        raise ValueError(f"{content}: there is no environment variable {unknown[0]}")
    return option + path


def parse_yaml(text: str, text_under: Collection[str] = ()) -> Any:
    """Parse a text in YAML, as `read_yaml` does.

    Raises:
        ValueError: the text is not YAML, or a mapping has a key twice; the message names the line.

    Example:

        >>> parse_yaml("{held_out: [21, 1e5], rate: 1e-4, save: no}", text_under={"held_out"})
        {'held_out': ['21', '1e5'], 'rate': 0.0001, 'save': 'no'}
    """
    loader = None
    try:
        loader = _Loader(text)
        loader.text_under = text_under
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ValueError(f"not valid YAML{line}: {error.problem}") from error
    # characters that YAML forbids, values that a tag does not fit, brackets nested by thousands
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"not valid YAML: {' '.join(str(error).split())}") from error
    finally:
        if loader is not None:
            loader.dispose()


def validated(model_class: type[ModelT], content: Any, source: object) -> ModelT:
    """Check settings against a model.

    Args:
        model_class: a model, or a dataclass with a strict `__pydantic_config__`.
        content: plain data: text, numbers, truth values, lists and mappings.
        source: their origin, with which an error message begins, such as the path of the file.

    Raises:
        ValueError: a value does not fit; the message is one line that names source, key and value.

    Example:

        >>> class Run(Settings):
        ...     learning_rate: float
        >>> validated(Run, {"learning_rate": "fast"}, "run.yaml")
        Traceback (most recent call last):
        ...
        ValueError: run.yaml: learning_rate is 'fast': should be a valid number
    """
    try:
        # as JSON, in which strict models take a list for a tuple and text for a path
        return TypeAdapter(model_class).validate_json(json.dumps(content))
    except ValidationError as error:
        message = _first_problem(error, model_class, content)
    except (TypeError, ValueError):
        message = "only text, numbers, true, false, null, lists and mappings are possible"
    raise ValueError(f"{source}: {message}")


def _first_problem(error: ValidationError, model_class: type, content: Any) -> str:
    # a mistyped key is also a missing one, but says more
    details = min(error.errors(), key=lambda details: details["type"] not in _UNKNOWN_KEY)
    *parents, key = details["loc"] or [""]
    where = ", ".join(_location(details["loc"], content))
    if details["type"] == "missing":
        return f"{', '.join([*_location(parents, content), str(key)])} is missing"
    if details["type"] in _UNKNOWN_KEY:
        known = _known_keys(model_class, parents)
        place = ", ".join(_location(parents, content))
        problem = f"unknown key {key!r}{did_you_mean(str(key), known)}"
        return f"{place}: {problem} (choose from {', '.join(known)})".removeprefix(": ")
    if details["type"] == "value_error":
        return f"{where}: {details['ctx']['error']}".removeprefix(": ")
    # without its first word, the kind of the value: Input, String, Tuple
    problem = re.sub(r"^\w+ (?=should)", "", details["msg"])
    problem = problem.replace("an object", "a mapping").replace("a valid array", "a list")
    return f"{where or 'content'} is {details['input']!r}: {problem}"


def _location(keys: Sequence[str | int], content: Any) -> list[str]:
    """Name the keys on the way to a value; entries of a list by their `name`, or from 1."""
    names: list[str] = []
    for key in keys:
        if isinstance(content, Mapping) and key in content:
            content = content[key]
            names.append(str(key))
        elif isinstance(content, list | tuple) and isinstance(key, int):
            content = content[key]
            name = content.get("name") if isinstance(content, Mapping) else None
            names.append(f"{names.pop() if names else 'entry'} {name or key + 1}")
        # any other key is pydantic's own: the type or tag of a member of a union
    return names


def _known_keys(model_class: type, keys: Sequence[str | int]) -> list[str]:
    """List the fields of the models that `keys` lead to."""
    models = [model_class]
    for key in keys:
        inner = [
            found
            for model in models
            if key in _fields(model)
            for found in _models_in(_fields(model)[str(key)])
        ]
        models = inner or models
    return [name for model in models for name in _fields(model)]


def _fields(model: type) -> dict[str, Any]:
    """Types of the fields of a model or dataclass by their names."""
    if issubclass(model, BaseModel):
        return {name: field.annotation for name, field in model.model_fields.items()}
    types = get_type_hints(model)
    return {field.name: types[field.name] for field in fields(model)}  # type: ignore[arg-type]


def _models_in(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type) and (
        issubclass(annotation, BaseModel) or is_dataclass(annotation)
    ):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}
    text_under: Collection[str] = ()

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # an error of SafeLoader
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value} is given twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
            if key.value in self.text_under:
                _as_text(value)
        return super().construct_mapping(node, deep)


def _as_text(node: Any) -> None:
    if isinstance(node, yaml.ScalarNode):
        node.tag = node.tag if node.tag == _NULL else _TEXT
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _as_text(item)
    else:
        for _, value in node.value:
            _as_text(value)


for _kind, _pattern in _SCALARS.items():
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_kind}", re.compile(f"(?:{_pattern})$"), None
    )
