"""Registration of DNAGPT with the Auto classes of Transformers, without importing Transformers.

Transformers imports its Auto classes when they are first used. DNAGPT is registered right after
that, whether this package or Transformers was imported first.
"""

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


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
    from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification

    from dnagpt_hf import modeling_dnagpt as models
    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig

    AutoModel.register(DNAGPTConfig, models.DNAGPTModel, exist_ok=True)
    AutoModelForCausalLM.register(DNAGPTConfig, models.DNAGPTForMultiTask, exist_ok=True)
    AutoModelForSequenceClassification.register(
        DNAGPTConfig, models.DNAGPTForSequenceClassification, exist_ok=True
    )


# (module of the Auto classes, module of this package) → the function that registers
_REGISTRATIONS: dict[tuple[str, str], Callable[[], None]] = {
    (f"transformers.models.auto.{kind}_auto", f"dnagpt_hf.{kind}_dnagpt"): register
    for kind, register in {
        "configuration": _register_config,
        "tokenization": _register_tokenizer,
        "modeling": _register_models,
    }.items()
}


class _ReportingLoader(Loader):
    """Loads a module as its own loader does, and reports the end of that."""

    def __init__(self, loader: Loader, report: Callable[[str], None]) -> None:
        self.loader = loader
        self.report = report

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        self.report(module.__name__)


class _AutoClassFinder(MetaPathFinder):
    """Finds modules as Python does, and registers when the modules of a pair are loaded."""

    def __init__(self) -> None:
        self.followed = {name for pair in _REGISTRATIONS for name in pair}
        self.loaded = self.followed & set(sys.modules)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname in self.followed else None
        if spec and spec.loader:
            spec.loader = _ReportingLoader(spec.loader, self.report_loaded)
        return spec

    def report_loaded(self, name: str) -> None:
        self.loaded.add(name)
        self.register()

    def register(self) -> None:
        for (auto, own), register in _REGISTRATIONS.items():
            # our own module may be half loaded, and be the one that imports the Auto classes
            if auto in self.loaded and (own in self.loaded or own not in sys.modules):
                register()


def register_when_imported() -> None:
    """Register DNAGPT with the Auto classes, now or when Transformers imports them."""
    if not any(isinstance(finder, _AutoClassFinder) for finder in sys.meta_path):
        finder = _AutoClassFinder()
        sys.meta_path.insert(0, finder)
        finder.register()
