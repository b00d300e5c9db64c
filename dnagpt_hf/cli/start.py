"""The start of a command: libraries import and say only what it needs.

Importing Transformers takes longer than a small command itself: for tensor parallelism, losses of
object detection and the compiler of PyTorch, none of which a command of one process needs.
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

Change = Callable[[Any], None]

_COMPILER = "torch._dynamo"
# what Transformers takes from it, which does not need the rest
_ALONE = f"{_COMPILER}._trace_wrapped_higher_order_op"
_COMPILER_MARKS = ("disable", "allow_in_graph", "assume_constant_result")
_TRAININGS = {"pretrain", "finetune", "baseline", "train"}
# what the user has set stays
_QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_VERBOSITY": "error",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "TOKENIZERS_PARALLELISM": "false",
}


def prepare(arguments: Sequence[str]) -> None:
    """Prepare the process of a command, before it imports a library.

    Args:
        arguments: those of the command line.
    """
    # what is imported stays: the collector would look through it again and again, and at the end
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
    changes: dict[str, Change] = {}
    if "--debug" not in arguments and not os.environ.get("DNAGPT_DEBUG"):
        _silence_libraries()
        changes["transformers.utils.logging"] = _without_bars
    # trainings use several processes, compile, and resume
    if not _TRAININGS & set(arguments[:3]) and int(os.environ.get("WORLD_SIZE", 1)) == 1:
        changes["transformers.utils.import_utils"] = _for_one_process
        changes[_COMPILER] = _mark_nothing
    sys.meta_path.insert(0, _ChangingFinder(changes))
    for stream in (sys.stdout, sys.stderr):
        # a console shows what it can; a file or a pipe gets what every output file has
        if stream is not None:  # closed by the caller
            stream.reconfigure(  # type: ignore[union-attr]
                encoding=None if stream.isatty() else "utf-8", errors="backslashreplace"
            )


def _silence_libraries() -> None:
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    # it writes to standard output, as soon as Accelerate finds it
    logging.getLogger("DeepSpeed").addFilter(lambda record: record.levelno >= logging.ERROR)


def _without_bars(module: Any) -> None:
    """Hide the bars of Transformers, of a second each; downloads and trainings keep theirs."""
    module._tqdm_active = False


def _for_one_process(module: Any) -> None:
    module.is_torch_distributed_available = module.is_scipy_available = lambda: False
    # its cache holds fewer folders than there are models, so that all were read twice
    folders = module.create_import_structure_from_path
    module.create_import_structure_from_path = cache(folders.__wrapped__)


def _mark_nothing(module: Any) -> None:
    """Accept the marks that the compiler puts on functions, without loading it."""
    for name in _COMPILER_MARKS:
        setattr(module, name, _unmarked)


def _unmarked(function: Any = None, *_: Any, **__: Any) -> Any:
    return function if callable(function) else _unmarked


class _Deferred(ModuleType):
    """A module whose code runs when a name is asked of it that it does not have yet."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.execute(), name)

    def execute(self) -> ModuleType:
        self.__class__ = ModuleType  # type: ignore[assignment]
        self.__spec__.loader.exec_module(self)  # type: ignore[union-attr]
        return self


class _Loaded(Loader):
    """Loads a module that is there by now."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        pass


class _ChangingFinder(MetaPathFinder):
    """Finds modules as Python does, and changes some of them when they are imported."""

    def __init__(self, changes: dict[str, Change]) -> None:
        self.changes = changes

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package = sys.modules.get(_COMPILER)
        if (
            isinstance(package, _Deferred)
            and fullname.startswith(f"{_COMPILER}.")
            and fullname != _ALONE
        ):
            # a package is executed before its modules, and imports them in its own order
            package.execute()
            return ModuleSpec(fullname, _Loaded()) if fullname in sys.modules else None
        # once, so that a module that is executed again is as it was written
        change = self.changes.pop(fullname, None)
        spec = None if change is None else PathFinder.find_spec(fullname, path, target)
        if change is not None and spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            if fullname == _COMPILER:
                loader.create_module = lambda spec: _Deferred(spec.name)
            loader.exec_module = partial(_execute, loader, change)
        return spec


def _execute(loader: Any, change: Change, module: ModuleType) -> None:
    del loader.exec_module  # that of the class is back
    if not isinstance(module, _Deferred):
        loader.exec_module(module)
    change(module)
