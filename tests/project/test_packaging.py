"""What is installed, what it needs, and what importing it does."""

import ast
import configparser
import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import dnagpt_hf

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "dnagpt_hf"
TRAVELLING = (
    "configuration_dnagpt",
    "generation_dnagpt",
    "modeling_dnagpt",
    "tokenization_dnagpt",
)
# The name under which a distribution is imported, where it is another one.
IMPORT_NAMES = {
    "huggingface-hub": "huggingface_hub",
    "liger-kernel": "liger_kernel",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def requirements(section: str, option: str) -> list[Requirement]:
    lines = setup_cfg()[section][option].splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def import_names(listed: list[Requirement]) -> set[str]:
    return {IMPORT_NAMES.get(canonicalize_name(entry.name), entry.name) for entry in listed}


def imports(tree: ast.AST) -> Iterator[str]:
    """Top-level names of the absolute imports in a tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


def at_import(tree: ast.Module) -> ast.Module:
    """What runs when a module is imported: without functions and what only type checkers read."""
    kept: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.ClassDef):
            kept += [part for part in node.body if not isinstance(part, ast.FunctionDef)]
        elif not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            kept.append(node)
    return ast.Module(body=kept, type_ignores=[])


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def run_python(program: str) -> str:
    """Standard output of a program in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", TRAVELLING)
def test_code_of_a_checkpoint_stands_alone(name: str) -> None:
    tree = parse(PACKAGE / f"{name}.py")
    allowed = {"numpy", "torch", "transformers", *sys.stdlib_module_names}
    assert set(imports(tree)) <= allowed
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            # transformers copies what is imported in this form, and only in this form
            assert node.level == 1 and node.module in TRAVELLING


def test_imports_are_declared() -> None:
    required = import_names(requirements("options", "install_requires"))
    optional = {
        name
        for extra in setup_cfg()["options.extras_require"]
        if extra != "dev"
        for name in import_names(requirements("options.extras_require", extra))
    }
    own = {"dnagpt_hf", *sys.stdlib_module_names}
    # a class cannot be derived from another one later
    bases = {PACKAGE / "finetuning" / "sft_trainer.py": {"trl"}}
    for path in PACKAGE.rglob("*.py"):
        tree = parse(path)
        assert set(imports(at_import(tree))) <= required | own | bases.get(path, set()), path
        assert set(imports(tree)) <= required | optional | own, path


def test_library_does_not_know_the_command_line() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] not in ("cli", "__main__.py"):
            assert not re.search(r"^\s*(from|import) \S*\bcli\b", path.read_text(), re.M), path


def test_import_is_light() -> None:
    program = """
import json, logging, random, sys
random.seed(0)
state = random.getstate()
import dnagpt_hf
assert random.getstate() == state and not logging.getLogger().handlers
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
    heavy = {"accelerate", "datasets", "evaluate", "huggingface_hub", "numpy", "pandas", "pyfaidx"}
    heavy |= {"safetensors", "tokenizers", "torch", "transformers", "typer", "rich"}
    assert not heavy & set(json.loads(run_python(program)))


def test_models_need_nothing_but_transformers() -> None:
    program = """
import sys
sys.modules.update(dict.fromkeys(["accelerate", "datasets", "evaluate", "matplotlib", "pyfaidx"]))
from dnagpt_hf import DNAGPTConfig, DNAGPTForMultiTask, DNAGPTTokenizer
print(DNAGPTForMultiTask.config_class.__name__, DNAGPTTokenizer.__name__)
"""
    assert run_python(program) == "DNAGPTConfig DNAGPTTokenizer"


def test_every_module_can_be_imported_alone() -> None:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in PACKAGE.rglob("*.py")
        if path.name != "__main__.py"
    ]
    program = f"""
import importlib, sys
for name in {sorted(names)!r}:
    for loaded in [key for key in sys.modules if key.partition(".")[0] == "dnagpt_hf"]:
        del sys.modules[loaded]
    importlib.import_module(name)
"""
    run_python(program)


def test_version_is_the_same_everywhere() -> None:
    version = setup_cfg()["metadata"]["version"]
    assert dnagpt_hf.__version__ == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {version}\n" in (ROOT / "CHANGELOG.md").read_text()


def test_constraints_satisfy_the_requirements() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    pinned = {canonicalize_name(name): version for name, version in pinned.items()}
    listed = requirements("options", "install_requires")
    for extra in setup_cfg()["options.extras_require"]:
        listed += requirements("options.extras_require", extra)
    for entry in listed:
        assert entry.specifier.contains(pinned[canonicalize_name(entry.name)]), entry


def test_no_file_names_a_place_on_one_machine() -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    place = re.compile(r"(?<![\w.}])/(home|root|work|Users)/\w")
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".cfg", ".txt", ".cff", ".json", ""}:
            found = place.search(path.read_text(encoding="utf-8")) if path.is_file() else None
            assert found is None, f"{name}: {found}"


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheel and source distribution, built from a copy of the source tree."""
    folder = tmp_path_factory.mktemp("build")
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")
    shutil.copytree(ROOT, folder / "source", ignore=ignored)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), "source"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_wheel_holds_the_whole_package(distributions: Path) -> None:
    with zipfile.ZipFile(next(distributions.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        scripts = wheel.read(metadata.replace("METADATA", "entry_points.txt")).decode()
        text = wheel.read(metadata).decode()
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.suffix
        in {".py", ".md", ".typed", ".yaml", ".json", ".jinja", ".safetensors", ".fasta"}
    }
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert "dnagpt = dnagpt_hf.cli:main" in scripts
    assert "License-Expression: Apache-2.0" in text or "License: Apache-2.0" in text
    assert any(name.endswith("LICENSE") for name in names)


def test_source_distribution_holds_tests_and_tools(distributions: Path) -> None:
    with tarfile.open(next(distributions.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"Makefile", "constraints.txt", "tests/conftest.py", "dnagpt_hf/py.typed"} <= names
    assert {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.py")} <= names
