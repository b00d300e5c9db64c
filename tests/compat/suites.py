"""The fast tests with the oldest, the middle and the newest of what is supported.

    python tests/compat/suites.py                      # all three
    python tests/compat/suites.py --oldest --newest    # some of them

Each has its own virtual environment in `.cache`, which is kept for the next time. The newest and
the oldest PyTorch are those that pip installs: with CUDA, unless a CPU build is where it looks.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from environments import CACHE, MIDDLE, OLDEST, ROOT, interpreters, is_recent, oldest_torch

EXTRAS = "dev,demo,docs"


def suites() -> dict[str, tuple[str, list[str]]]:
    """The interpreter of each, and what pip is asked for beside the package."""
    pythons = list(interpreters().values())
    return {
        "oldest": (pythons[0], [f"torch=={oldest_torch()}", f"transformers=={OLDEST}"]),
        "middle": (sys.executable, [f"torch=={version('torch')}", f"transformers=={MIDDLE}"]),
        "newest": (pythons[-1], []),
    }


def environment(name: str, python: str, packages: list[str]) -> Path:
    """The interpreter of a virtual environment, which is made unless there is a recent one."""
    folder = CACHE / f"suite-{name}"
    ready, own = folder / ".ready", folder / "bin" / "python"
    if not is_recent(ready):
        print(f"==> environment of the {name}", flush=True)
        subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(own), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        package = f"{ROOT}[{EXTRAS}]"
        subprocess.run([*pip, "--no-input", *packages, "--editable", package], check=True)
        ready.touch()
    return own


def run(python: Path) -> bool:
    """Run the fast tests with an interpreter; whether all passed."""
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    jobs = os.environ.get("JOBS", "2")
    tests = ["-q", "-n", jobs, "--dist", "loadfile", "-m", "not slow and not gpu"]
    for command in (["tests/upstream/download.py"], ["-m", "pytest", *tests]):
        done = subprocess.run([str(python), *command], cwd=ROOT, env=variables, check=False)
        if done.returncode:
            return False
    return True


def main() -> int:
    known = suites()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in known:
        parser.add_argument(f"--{name}", action="store_true", help="this one, if not all")
    chosen = [name for name, is_chosen in vars(parser.parse_args()).items() if is_chosen]
    failed = []
    for name in chosen or known:
        python = environment(name, *known[name])
        freeze = [str(python), "-m", "pip", "freeze"]
        frozen = subprocess.run(freeze, capture_output=True, text=True, check=True)
        found = re.findall(r"^(?:torch|transformers)==.*", frozen.stdout, re.MULTILINE)
        print(f"==> tests with the {name}: {', '.join(found)}", flush=True)
        if not run(python):
            failed.append(name)
    if failed:
        print(f"failed with the {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
