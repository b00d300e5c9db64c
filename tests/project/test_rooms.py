"""The rooms of the package and their order: which may import which."""

import ast
from collections.abc import Iterator
from pathlib import Path

import dnagpt_hf

PACKAGE = Path(dnagpt_hf.__file__).parent
# from the ground up: a room imports only from rooms above it in this list
ROOMS = [
    "configuration_dnagpt",
    "tokenization_dnagpt",
    "generation_dnagpt",
    "modeling_dnagpt",
    "token_loss",
    "messages",
    "presets",
    "atomic_files",
    "yaml_files",
    "registration",
    "records",
    "genomes",
    "annotation",
    "checkpoints",
    "generation",
    "tasks",
    "inference",
    "evaluation",
    "interpretation",
    "likelihoods",
    "variants",
    "loaded_model",
    "planning",
    "training",
    "pretraining",
    "finetuning",
    "haplotypes",
    "cli",
    "__main__",
]
TRAVELS_WITH_A_CHECKPOINT = {
    "configuration_dnagpt.py",
    "generation_dnagpt.py",
    "modeling_dnagpt.py",
    "tokenization_dnagpt.py",
}
MOST_LINES, MOST_FILES = 400, 16


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Lines and rooms of the imports of a file, those inside of functions included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            # only the files that travel, which a checkpoint folder holds beside each other
            assert path.name in TRAVELS_WITH_A_CHECKPOINT, f"{path}: a relative import"
            yield node.lineno, str(node.module).split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module == "dnagpt_hf":
            for alias in node.names:
                if (PACKAGE / alias.name).is_dir() or (PACKAGE / f"{alias.name}.py").is_file():
                    yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("dnagpt_hf."):
            yield node.lineno, str(node.module).split(".")[1]


def test_rooms_import_downwards_only() -> None:
    upwards = []
    for path in sorted(PACKAGE.rglob("*.py")):
        room = _room(path)
        if room == "__init__":
            continue
        below = ROOMS[: ROOMS.index(room)]
        for line, imported in _imports(path):
            if imported != room and imported not in below:
                upwards.append(f"{path.relative_to(PACKAGE)}:{line} imports {imported}")
    assert not upwards


def test_rooms_and_files_stay_small() -> None:
    for folder in {path.parent for path in PACKAGE.rglob("*.py")}:
        own = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(own) <= MOST_FILES, f"{folder} has {len(own)} files: make a room of its own"
    for path in PACKAGE.rglob("*.py"):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if path.name not in TRAVELS_WITH_A_CHECKPOINT:
            assert lines <= MOST_LINES, f"{path} has {lines} lines: split it by meaning"
