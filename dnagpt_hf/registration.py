"""Registration of DNAGPT with the Auto classes of Transformers, without importing Transformers.

Transformers imports its Auto classes when they are first used. DNAGPT is registered right after
that, whether this package or Transformers was imported first.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

# kind of a module of Transformers and of this package → pairs of Auto class and own class
_CLASSES = {
    "configuration": {"AutoConfig": "DNAGPTConfig"},
    "tokenization": {"AutoTokenizer": "DNAGPTTokenizer"},
    "modeling": {
        "AutoModel": "DNAGPTModel",
        "AutoModelForCausalLM": "DNAGPTForMultiTask",
        "AutoModelForSequenceClassification": "DNAGPTForSequenceClassification",
    },
}


def _modules(kind: str) -> tuple[str, str]:
    return f"transformers.models.auto.{kind}_auto", f"dnagpt_hf.{kind}_dnagpt"


_FOLLOWED = {module for kind in _CLASSES for module in _modules(kind)}


def _register(kind: str) -> None:
    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig

    theirs, ours = map(import_module, _modules(kind))
    for auto_name, name in _CLASSES[kind].items():
        register: Any = getattr(theirs, auto_name).register
        own = getattr(ours, name)
        if kind == "configuration":
            register(own.model_type, own, exist_ok=True)
        elif kind == "tokenization":
            register(DNAGPTConfig, slow_tokenizer_class=own, exist_ok=True)
        else:
            register(DNAGPTConfig, own, exist_ok=True)


class _AutoClassFinder(MetaPathFinder):
    """Finds modules as Python does, and registers when the modules of a pair are loaded."""

    def __init__(self) -> None:
        self.loaded = _FOLLOWED & set(sys.modules)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _FOLLOWED:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and spec.loader:
            loader: Any = spec.loader
            loader.exec_module = partial(self._load, loader.exec_module)
        return spec

    def _load(self, exec_module: Callable[[ModuleType], None], module: ModuleType) -> None:
        exec_module(module)
        self.loaded.add(module.__name__)
        self.register()

    def register(self) -> None:
        for kind in _CLASSES:
            theirs, ours = _modules(kind)
            # our own module may be half loaded, and be the one that imports the Auto classes
            if theirs in self.loaded and (ours in self.loaded or ours not in sys.modules):
                _register(kind)


def register_when_imported() -> None:
    """Register DNAGPT with the Auto classes, now or when Transformers imports them."""
    if not any(isinstance(finder, _AutoClassFinder) for finder in sys.meta_path):
        finder = _AutoClassFinder()
        sys.meta_path.insert(0, finder)
        finder.register()
