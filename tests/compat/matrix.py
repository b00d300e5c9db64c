"""The matrix of versions: each environment loads what each other one has written.

    python tests/compat/matrix.py            # every environment that can be made here
    python tests/compat/matrix.py --quick    # this one and the oldest Transformers

Prints one line for each pair of writer and reader; the exit status is 1 if any differs.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tempfile
import time
from pathlib import Path

import torch

# for tests, which import this file from elsewhere
sys.path.insert(0, str(Path(__file__).parent))

from crossload import load, observe, record
from environments import (
    MIDDLE,
    NEWEST,
    NONE,
    OLDEST,
    Environment,
    interpreters,
    lean_environment,
    oldest_torch,
    running_environment,
)

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTForSequenceClassification, DNAGPTTokenizer
from dnagpt_hf.checkpoints.saving import save_checkpoint
from dnagpt_hf.presets import preset_config

PROGRAM = Path(__file__).with_name("crossload.py")
TASK = {
    "name": "signals",
    "template": "<R>{sequence}<+><M>{x}<=><B>{label}<M>{y}",
    "answers": {"label": [["N", "none"], ["A", "signal"]]},
    "standardization": [[0.1, 3.0], [1e-30, 0.3333333333333333]],
}


def write_with_package(folder: Path) -> Path:
    """Checkpoints of the package, whose weights are large enough for their outputs to differ."""
    torch.manual_seed(0)
    config = preset_config(
        "dnagpt-test",
        initializer_range=0.3,
        task=TASK,
        id2label={0: "none", 1: "signal", 2: "other"},
    )
    for kind, name in (
        (DNAGPTForMultiTask, "multi-task"),
        (DNAGPTForSequenceClassification, "classifier"),
    ):
        # saving a model writes its class into its configuration
        model = kind(copy.deepcopy(config))
        save_checkpoint(model, DNAGPTTokenizer(), folder / name, model_card="# card\n")
    record(observe(load(folder)), folder)
    return folder


def every_environment() -> list[Environment]:
    """Releases of Transformers, then the Pythons here, the oldest with the oldest of everything."""
    running = running_environment()
    found = [lean_environment(OLDEST), lean_environment(MIDDLE), running, lean_environment("")]
    pythons = interpreters()
    names = list(pythons)
    found.append(lean_environment(OLDEST, pythons[names[0]], oldest_torch()))
    # PyTorch is large: between the oldest and the newest Python, configuration and tokenizer
    own = "{}.{}".format(*sys.version_info)
    found += [lean_environment("", pythons[name], NONE) for name in names[1:-1] if name != own]
    found.append(lean_environment("", pythons[names[-1]], NEWEST))
    # the newest release may be the pinned one
    return list({environment.name: environment for environment in found}.values())


def write(environment: Environment, source: Path, folder: Path, work: Path) -> str | None:
    """Have an environment write `source` anew; what went wrong, or None."""
    done = environment.run(PROGRAM, "write", str(source), str(folder), work=work)
    if done.returncode == 0:
        return None
    print(done.stderr, file=sys.stderr)
    return done.stderr.strip().splitlines()[-1]


def check(environment: Environment, folders: list[Path], work: Path) -> dict[str, list[str]]:
    """Have an environment check every folder: what differs, by folder."""
    done = environment.run(PROGRAM, "check", str(work), *map(str, folders), work=work)
    print(done.stderr if "Traceback" in done.stderr else "", end="", file=sys.stderr)
    if done.returncode:
        return {str(folder): [done.stderr.strip().splitlines()[-1]] for folder in folders}
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def run_matrix(environments: list[Environment], work: Path) -> int:
    """Write with each, read with each, print a line for each pair; how many differ."""
    source = write_with_package(work / "package")
    writers, failed = {source: "the package"}, 0
    for number, environment in enumerate(environments):
        folder = work / f"written-{number}"
        error = write(environment, source, folder, work / f"writer-{number}")
        if error:
            failed += 1
            print(f"{environment.name} cannot write: {error}")
        else:
            writers[folder] = environment.name
    width = max(map(len, writers.values()))
    for number, reader in enumerate(environments):
        found = check(reader, list(writers), work / f"reader-{number}")
        for folder, writer in writers.items():
            wrong = found[str(folder)]
            failed += bool(wrong)
            print(
                f"{writer:{width}} -> {reader.name:{width}} {'; '.join(wrong) or 'ok'}", flush=True
            )
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two environments only")
    quick = parser.parse_args().quick
    begin = time.perf_counter()
    chosen = [lean_environment(OLDEST), running_environment()] if quick else every_environment()
    with tempfile.TemporaryDirectory(prefix="dnagpt-compat-") as work:
        failed = run_matrix(chosen, Path(work).resolve())
    seconds = time.perf_counter() - begin
    print(f"{len(chosen)} environments, {failed} pairs that differ, {seconds:.0f} s")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
