"""The public names: they exist, have examples, and stand in the reference."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import dnagpt_hf

NAMES = [name for name in dnagpt_hf.__all__ if name != "__version__"]
REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_documented_with_an_example(name: str) -> None:
    if name == "DNAGPTSFTTrainer":
        pytest.importorskip("trl")
    text = inspect.getdoc(getattr(dnagpt_hf, name)) or ""
    assert len(text.splitlines()) > 3, f"{name} has no docstring"
    own = [text]
    if inspect.isclass(getattr(dnagpt_hf, name)):
        members = inspect.getmembers(getattr(dnagpt_hf, name), inspect.isfunction)
        own += [inspect.getdoc(member) or "" for _, member in members]
    assert any(">>> " in one for one in own), f"{name} has no example"


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(dnagpt_hf.__file__).read_text(encoding="utf-8"))
    (guarded,) = [node for node in tree.body if isinstance(node, ast.If)]
    found = {
        alias.name: str(node.module).removeprefix("dnagpt_hf.")
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert found == dnagpt_hf._MODULES


def test_the_reference_has_every_name() -> None:
    pages = "\n".join(path.read_text(encoding="utf-8") for path in REFERENCE.glob("*.md"))
    documented = set(re.findall(r"^::: dnagpt_hf\.([\w.]+)", pages, re.MULTILINE))
    assert set(NAMES) <= documented


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'lode'"):
        dnagpt_hf.lode  # noqa: B018
