"""Several processes load the code of one folder for the first time, at the same moment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dnagpt_hf.checkpoints.saving import init_checkpoint

# PyTorch is imported once; the processes that then load are forks, which start together, each time
# with an empty cache for code. No library beside PyTorch, Transformers and safetensors is there.
PROGRAM = """
import json, os, sys, traceback
from multiprocessing import get_context

folder, work, rounds, processes, absent = json.loads(sys.argv[1])
sys.modules.update(dict.fromkeys(absent))
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, dynamic_module_utils

def load(barrier, cache, results):
    dynamic_module_utils.HF_MODULES_CACHE = cache
    barrier.wait()
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
        model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True).eval()
        assert type(model).__module__.startswith("transformers_modules.")
        with torch.no_grad():
            logits = model(**tokenizer("<R>ACGTACGTA<=>", return_tensors="pt")).logits
        results.put([round(value, 6) for value in logits[0, -1, :20].tolist()])
    except BaseException:
        results.put(traceback.format_exc())

context = get_context("fork")
found = []
for turn in range(rounds):
    barrier, results = context.Barrier(processes), context.SimpleQueue()
    cache = os.path.join(work, f"modules-{turn}")
    loaders = [
        context.Process(target=load, args=(barrier, cache, results)) for _ in range(processes)
    ]
    for loader in loaders:
        loader.start()
    found.append([results.get() for _ in loaders])
    for loader in loaders:
        loader.join()
print(json.dumps(found))
"""
ABSENT = ["dnagpt_hf", "accelerate", "datasets", "evaluate", "pandas", "pyarrow", "pyfaidx"]


def load_together(folder: Path, work: Path, rounds: int) -> list[list[str]]:
    """What four processes find at each of several first loads: logits, or the error."""
    argument = json.dumps([str(folder), str(work), rounds, 4, ABSENT])
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(work),
        "HF_HOME": str(work / "home"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    # -I: neither the current folder nor PYTHONPATH are searched for modules
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM, argument],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return init_checkpoint("dnagpt-test", tmp_path_factory.mktemp("together") / "m", kmer_size=3)


def test_all_of_them_load_the_same(folder: Path, tmp_path: Path) -> None:
    found = load_together(folder, tmp_path, rounds=3)
    assert {len(one) for one in found} == {4}
    for one in (logits for turn in found for logits in turn):
        assert one == found[0][0] and isinstance(one, list), one
