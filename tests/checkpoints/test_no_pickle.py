"""A pickle can run code: none is loaded, wherever one may stand among files that are read."""

from __future__ import annotations

import ast
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from finetuning_runs import planted, settings_of, write_base, write_table
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

import dnagpt_hf
from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.checkpoints.validation import CheckpointFolderError
from dnagpt_hf.finetuning.run import finetune
from dnagpt_hf.haplotypes.files.formats import read_haplotypes
from dnagpt_hf.haplotypes.haplotypes import HaplotypeError
from dnagpt_hf.training.checkpoints import CheckpointError, seal_checkpoint

PACKAGE = Path(dnagpt_hf.__file__).parent
SAFE = {"torch.load": ("weights_only", True), "numpy.load": ("allow_pickle", False)}
UNSAFE = {"pickle.load", "pickle.loads", "pickle.Unpickler", "pandas.read_pickle", "eval", "exec"}
UNSAFE |= {"yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "torch.jit.load"}
# libraries that read nothing but pickles
UNSAFE_LIBRARIES = {"cloudpickle", "dill", "joblib", "marshal", "shelve"}


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.proof}",)


def calls(source: str) -> Iterator[tuple[str, dict[str | None, Any]]]:
    """Every call in a program by its full name, with the constants among its arguments."""
    tree = ast.parse(source)
    imported: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            imported |= {one.asname: module + one.name for one in node.names if one.asname}
            if module:
                imported |= {one.name: module + one.name for one in node.names if not one.asname}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            constants = {
                keyword.arg: keyword.value.value
                for keyword in node.keywords
                if isinstance(keyword.value, ast.Constant)
            }
            first, dot, rest = ast.unparse(node.func).partition(".")
            yield imported.get(first, first) + dot + rest, constants


def unsafe_calls(source: str) -> list[str]:
    found = []
    for name, constants in calls(source):
        argument, value = SAFE.get(name, (None, None))
        is_unsafe = name in UNSAFE or name.partition(".")[0] in UNSAFE_LIBRARIES
        if is_unsafe or (argument and constants.get(argument) is not value):
            found.append(name)
    return found


def test_the_package_has_no_call_that_would_load_one() -> None:
    paths = sorted(PACKAGE.rglob("*.py"))
    assert len(paths) > 100
    for path in paths:
        assert unsafe_calls(path.read_text(encoding="utf-8")) == [], path
    wrong = [
        "torch.load(a)",
        "import numpy as np; np.load(a, allow_pickle=True)",
        "import numpy as np; np.load(a)",
        "pickle.loads(a)",
        "from torch import load; load(a)",
        "from pickle import load as read; read(a)",
        "import joblib; joblib.load(a)",
    ]
    assert all(unsafe_calls(one) for one in wrong)


@pytest.fixture
def proof(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "proof"
    assert not (tmp_path / "proof").exists(), "code in a pickle was run"


def test_the_pickles_of_these_tests_do_run_code(tmp_path: Path) -> None:
    torch.save(Hostile(tmp_path / "proof"), tmp_path / "a.bin")
    torch.load(tmp_path / "a.bin", weights_only=False)
    assert (tmp_path / "proof").exists()


def test_in_a_checkpoint_folder(tmp_path: Path, proof: Path) -> None:
    folder = write_base(tmp_path / "base")
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "tokenizer.pkl"):
        torch.save(Hostile(proof), folder / name)
    open_checkpoint(folder).check()
    AutoModelForCausalLM.from_pretrained(folder)
    AutoTokenizer.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointFolderError, match=r"pytorch_model\.bin is a pickle"):
        open_checkpoint(folder).check()
    for options in ({}, {"use_safetensors": False}, {"use_safetensors": None}):
        with pytest.raises((OSError, ValueError)):
            AutoModel.from_pretrained(folder, **options)


def test_as_one_of_several_files_of_weights(tmp_path: Path, proof: Path) -> None:
    folder = write_base(tmp_path / "base", max_shard_size="40KB")
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"]["model.norm.weight"] = "model-00001-of-00002.bin"
    index.write_text(json.dumps(content))
    torch.save({"model.norm.weight": Hostile(proof)}, folder / "model-00001-of-00002.bin")
    with pytest.raises(CheckpointFolderError, match=r"only \.safetensors files"):
        open_checkpoint(folder).check()
    with pytest.raises(Exception, match=r"weights_only|[Uu]npickl|safetensors"):
        AutoModel.from_pretrained(folder)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "b.npy"])
def test_in_arrays(tmp_path: Path, proof: Path, name: str) -> None:
    hostile = np.array([Hostile(proof)], dtype=object)
    path = tmp_path / name
    if name == "a.npz":
        np.savez(path, alleles=np.zeros((2, 3), np.uint8), names=hostile)
    elif name == "a.npy":
        np.save(path, hostile, allow_pickle=True)
    else:
        # a pickle under the name of an array
        hostile.dump(path)
    with pytest.raises(HaplotypeError, match=name):
        read_haplotypes(path)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of work with a run of two epochs, of which the first one is left."""
    work = tmp_path_factory.mktemp("interrupted")
    write_base(work / "base")
    write_table(work / "a.csv", planted(24))
    run(work)
    shutil.rmtree(max((work / "out").glob("checkpoint-*"), key=os.path.getmtime))
    return work


def run(work: Path) -> None:
    settings = settings_of(
        work / "base", work / "a.csv", work / "out", save_total_limit=9, num_train_epochs=2
    )
    finetune(settings)


@pytest.mark.parametrize(
    "name", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"]
)
def test_in_a_checkpoint_of_training(
    interrupted: Path, tmp_path: Path, proof: Path, name: str
) -> None:
    work = shutil.copytree(interrupted, tmp_path / "work")
    (checkpoint,) = (work / "out").glob("checkpoint-*")
    assert (checkpoint / name).is_file()
    torch.save({"state": Hostile(proof)}, checkpoint / name)
    seal_checkpoint(checkpoint)
    if name == "training_args.bin":
        # written for people, never read
        run(work)
    else:
        with pytest.raises(CheckpointError, match=r"checkpoint-\d+ cannot be loaded"):
            run(work)
