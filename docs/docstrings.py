"""Convert docstrings in the form of Transformers for mkdocstrings.

Names such as [`DNAGPTModel`], which Transformers turns into links, become plain code, and
`Example:` becomes the section of examples that mkdocstrings knows.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^( *)Example:$", re.MULTILINE)
_NAME = re.compile(r"\[(`[^`\]]+`)\](?![\[(])")


class TransformersDocstrings(griffe.Extension):
    """Change a docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            text = _NAME.sub(r"\1", obj.docstring.value)
            obj.docstring.value = _EXAMPLE.sub(r"\1Examples:", text)
