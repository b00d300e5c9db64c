"""YAML as manifests are written in it: names are what stands there, and nothing stands there twice.

YAML reads the plain words 21, 010, 1:20 and no as 21, 8, 80 and false. Contigs have such names.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

_NULL = "tag:yaml.org,2002:null"
_TEXT = "tag:yaml.org,2002:str"


def read_yaml(text: str, names_under: frozenset[str]) -> Any:
    """What a text in YAML says.

    Args:
        text: the text.
        names_under: keys whose values are text, or lists of it, whatever they look like.

    Raises:
        yaml.YAMLError: it is no YAML, or a key stands twice in the same place.

    Example:

        >>> read_yaml("leave_out: [21, 010, no]\\nweight: 21", frozenset({"leave_out"}))
        {'leave_out': ['21', '010', 'no'], 'weight': 21}
    """
    loader = _Loader(text)
    loader.names_under = names_under
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    names_under: frozenset[str] = frozenset()

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # an error of YAML below
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value} stands there twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
            if key.value in self.names_under:
                items = value.value if isinstance(value, yaml.SequenceNode) else [value]
                for item in items:
                    if isinstance(item, yaml.ScalarNode) and item.tag != _NULL:
                        item.tag = _TEXT
        return super().construct_mapping(node, deep)
