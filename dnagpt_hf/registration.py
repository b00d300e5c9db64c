"""Makes the Auto classes of Transformers know DNAGPT, without importing Transformers for it.

Transformers imports its Auto classes when they are first used. DNAGPT is registered right after
that, whether this package or Transformers was imported first.
"""

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_AUTO = "transformers.models.auto."


def _register_config() -> None:
    from transformers import AutoConfig

    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig

    AutoConfig.register(DNAGPTConfig.model_type, DNAGPTConfig, exist_ok=True)


def _register_tokenizer() -> None:
    from transformers import AutoTokenizer

    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

    AutoTokenizer.register(DNAGPTConfig, slow_tokenizer_class=DNAGPTTokenizer, exist_ok=True)


def _register_models() -> None:
    from transformers import (
        AutoModel,
        AutoModelForCausalLM,
        AutoModelForSequenceClassification,
    )

    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
    from dnagpt_hf.modeling_dnagpt import (
        DNAGPTForMultiTask,
        DNAGPTForSequenceClassification,
        DNAGPTModel,
    )

    AutoModel.register(DNAGPTConfig, DNAGPTModel, exist_ok=True)
    AutoModelForCausalLM.register(DNAGPTConfig, DNAGPTForMultiTask, exist_ok=True)
    AutoModelForSequenceClassification.register(
        DNAGPTConfig, DNAGPTForSequenceClassification, exist_ok=True
    )


_REGISTRATIONS: dict[str, Callable[[], None]] = {
    _AUTO + "configuration_auto": _register_config,
    _AUTO + "tokenization_auto": _register_tokenizer,
    _AUTO + "modeling_auto": _register_models,
}


class _ThenRegister(Loader):
    """Loads a module as its own loader does, then registers what belongs into it."""

    def __init__(self, loader: Loader, register: Callable[[], None]) -> None:
        self.loader = loader
        self.register = register

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        self.register()


class _AutoClassFinder(MetaPathFinder):
    """Finds the modules of the Auto classes as Python does, and follows their import."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        register = _REGISTRATIONS.get(fullname)
        spec = PathFinder.find_spec(fullname, path, target) if register else None
        if register and spec and spec.loader:
            spec.loader = _ThenRegister(spec.loader, register)
        return spec


def register_when_imported() -> None:
    """Register DNAGPT with the Auto classes, now or when Transformers imports them."""
    for module, register in _REGISTRATIONS.items():
        if module in sys.modules:
            register()
    if not any(isinstance(finder, _AutoClassFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AutoClassFinder())
