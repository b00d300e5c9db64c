"""Lean environments to load checkpoints in: a folder of packages for each release of Transformers.

They hold Transformers, NumPy, safetensors and what these need, and a PyTorch that is linked from
the running environment, so that nothing large is fetched. Where another Python or another release
of PyTorch is wanted, its CPU build is installed if pip knows one (its name ends in `+cpu`); if not,
the environment has no PyTorch, and configuration and tokenizer alone are tried there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
OLDEST, MIDDLE = "5.0.0", "5.11.0"
LINKED, NONE = "linked", "none"


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
        torch: a release to install, `"linked"` for that of this process, or `"none"`.
    """
    release = transformers or _newest_transformers(python)
    label = f"{_python_version(python)}-{torch}-{release}"
    folder = CACHE / f"lean-{label}"
    if not (folder / ".ready").exists():
        print(f"==> packages for Python {label.replace('-', ', ')}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        wanted = [f"transformers=={release}", "numpy", "safetensors"]
        if torch not in (LINKED, NONE):
            wanted.append(f"torch=={torch}")
        _pip(python, "install", "--quiet", "--no-compile", "--target", str(folder), *wanted)
        if torch == LINKED:
            link_distribution("torch", folder)
        (folder / ".ready").touch()
    shown = {LINKED: version("torch"), NONE: ""}.get(torch, torch)
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
    """Every supported Python that starts here, by its version: on the path, or kept by pyenv."""
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


def cpu_builds(python: str) -> list[str]:
    """The supported CPU builds of PyTorch that pip finds for an interpreter, oldest first."""
    done = _pip(python, "index", "versions", "torch", check=False)
    floor = re.search(r"torch>=(\S+)", (ROOT / "setup.cfg").read_text(encoding="utf-8"))
    least = Version(floor[1]) if floor else Version("0")
    builds = {build for build in re.findall(r"[\d.]+\+cpu", done) if Version(build) >= least}
    return sorted(builds, key=Version)


def _newest_transformers(python: str) -> str:
    listed = _pip(python, "index", "versions", "transformers")
    releases = re.findall(r"(?<= )\d+(?:\.\d+)+(?=,|\n)", listed)
    return str(max(map(Version, filter(lambda release: Version(release) < Version("6"), releases))))


def _pip(python: str, *arguments: str, check: bool = True) -> str:
    command = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode:
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
