"""Lean environments to load checkpoints in: a folder of packages for each release of Transformers.

They hold Transformers, NumPy, safetensors and what these need, and a PyTorch that is linked from
the running environment, so that nothing large is fetched; or another release of PyTorch, which pip
installs: with CUDA, unless a CPU build is where it looks
(`PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu`); or none, and configuration and
tokenizer alone are tried there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
OLDEST, MIDDLE = "5.0.0", "5.11.0"
LINKED, NONE, NEWEST = "linked", "none", "newest"


@dataclass(frozen=True)
class Environment:
    """An interpreter and the folders in which it finds packages."""

    name: str
    python: str
    folders: tuple[str, ...]

    def run(self, program: Path, *arguments: str, work: Path) -> subprocess.CompletedProcess[str]:
        """Run a program that sees these packages and no others; `work` is its home."""
        work.mkdir(parents=True, exist_ok=True)
        # -I and -S: no environment variables, no current folder, no site-packages
        start = "import json, runpy, sys; folders, *sys.argv = json.loads(sys.argv[1]); "
        start += "sys.path += folders; runpy.run_path(sys.argv[0], run_name='__main__')"
        line = json.dumps([list(self.folders), str(program), *arguments])
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(work),
            "HF_HOME": str(work / "home"),
            "HF_MODULES_CACHE": str(work / "modules"),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
        return subprocess.run(
            [self.python, "-I", "-S", "-c", start, line],
            cwd=work,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )


def running_environment() -> Environment:
    """The packages of this process, without those that are installed for editing."""
    return Environment(
        _name(sys.executable, version("transformers"), version("torch")),
        sys.executable,
        (sysconfig.get_path("purelib"),),
    )


def lean_environment(
    transformers: str, python: str = sys.executable, torch: str = LINKED
) -> Environment:
    """Make one, or find it made before in `.cache`.

    Args:
        transformers: a release, or `""` for the newest below 6.
        python: the interpreter.
        torch: what pip installs, such as `"2.6.*"`, or `"newest"`; `"linked"` for that of this
            process; or `"none"`.
    """
    release = transformers or _newest_transformers(python)
    label = f"{_python_version(python)}-{torch}-{release}".replace(".*", "")
    folder = CACHE / f"lean-{label}"
    ready = folder / ".ready"
    if not is_recent(ready):
        print(f"==> packages for Python {label.replace('-', ', ')}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        wanted = [f"transformers=={release}", "numpy", "safetensors"]
        if torch not in (LINKED, NONE):
            wanted.append("torch" if torch == NEWEST else f"torch=={torch}")
        _pip(python, "install", "--quiet", "--no-compile", "--target", str(folder), *wanted)
        if torch == LINKED:
            link_distribution("torch", folder)
        ready.touch()
    if torch == LINKED:
        shown = version("torch")
    else:
        found = next(folder.glob("torch-*.dist-info"), None)
        shown = found.name.removesuffix(".dist-info").removeprefix("torch-") if found else ""
    return Environment(_name(python, release, shown), python, (str(folder),))


def link_distribution(name: str, folder: Path) -> None:
    """Link an installed distribution, and those it requires, into a folder of packages."""
    try:
        found = distribution(name)
    except PackageNotFoundError:  # for another platform
        return
    tops = {file.parts[0] for file in found.files or []} - {"..", "__pycache__"}
    new = [top for top in tops if not (folder / top).exists()]
    for top in new:
        (folder / top).symlink_to(Path(str(found.locate_file(top))))
    # links that stood there already were made with their requirements
    for requirement in map(Requirement, (found.requires or []) if new else []):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            link_distribution(requirement.name, folder)


def interpreters() -> dict[str, str]:
    """Every supported Python that starts here, oldest first: on the path, or kept by pyenv."""
    supported = re.findall(r"Python :: (3\.\d+)", (ROOT / "setup.cfg").read_text(encoding="utf-8"))
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = {}
    for wanted in supported:
        candidates = [shutil.which(f"python{wanted}"), *pyenv.glob(f"{wanted}.*/bin/python")]
        for candidate in filter(None, candidates):
            if _starts(str(candidate)):
                found[wanted] = str(candidate)
                break
    return found


def is_recent(ready: Path) -> bool:
    """Whether an environment was made this week, and since the package last changed its needs."""
    if not ready.exists():
        return False
    made = ready.stat().st_mtime
    return made > max(time.time() - 7 * 24 * 3600, (ROOT / "setup.cfg").stat().st_mtime)


def oldest_torch() -> str:
    """The oldest supported releases of PyTorch, as pip is asked for them."""
    (floor,) = re.findall(r"torch>=(\S+)", (ROOT / "setup.cfg").read_text(encoding="utf-8"))
    return f"{floor}.*"


def _newest_transformers(python: str) -> str:
    listed = _pip(python, "index", "versions", "transformers")
    releases = re.findall(r"(?<= )\d+(?:\.\d+)+(?=,|\n)", listed)
    return str(max(map(Version, filter(lambda release: Version(release) < Version("6"), releases))))


def _pip(python: str, *arguments: str) -> str:
    command = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _python_version(python: str) -> str:
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _starts(python: str) -> bool:
    # the shims of pyenv stand on the path for versions that are not chosen
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


def _name(python: str, transformers: str, torch: str) -> str:
    return (
        f"Python {_python_version(python)}, torch {torch or 'missing'}, Transformers {transformers}"
    )
