"""Fetch the common model tests of the installed release of Transformers.

Transformers ships them in its source distribution, not in its wheel. They are unpacked as the
package `transformers_tests` into `.cache/transformers-VERSION`, once for each release.

    python tests/upstream/download.py
"""

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache"
RELEASE = version("transformers")

# Modules that the tests import and that no source distribution holds. The mixins only mark a class
# of tests; the dictionary holds arguments that every configuration must accept.
STAND_INS = {
    "generation/test_utils.py": "class GenerationTesterMixin:\n    pass\n",
    "exporters/test_export.py": "class ExportTesterMixin:\n    pass\n",
    "utils/test_configuration_utils.py": (
        'config_common_kwargs = {"dtype": "float16", "num_labels": 3, "return_dict": False}\n'
    ),
}


def folder_of(release: str) -> Path:
    """Where the tests of a release are unpacked: the folder to put on `sys.path`."""
    return CACHE / f"transformers-{release}"


def unpack(archive: Path, destination: Path) -> None:
    """Put the folder `tests` of a source distribution there, as an importable package."""
    with (
        tempfile.TemporaryDirectory(dir=destination.parent) as scratch,
        tarfile.open(archive) as tar,
    ):
        members = [member for member in tar if member.name.split("/")[1:2] == ["tests"]]
        tar.extractall(scratch, members=members, filter="data")
        package = Path(scratch, "transformers_tests")
        next(Path(scratch).glob("*/tests")).rename(package)
        (package / "__init__.py").touch()
        for name, content in STAND_INS.items():
            module = package / name
            if not module.exists():
                module.parent.mkdir(exist_ok=True)
                (module.parent / "__init__.py").touch()
                module.write_text(content, encoding="utf-8")
        shutil.rmtree(destination, ignore_errors=True)
        destination.mkdir()
        package.rename(destination / package.name)


def download(release: str, folder: Path) -> Path:
    """The source distribution of a release, fetched with pip into `folder`."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-binary", "transformers", "--dest", str(folder)]
    subprocess.run([*command, f"transformers=={release}"], check=True)
    return next(folder.glob("*.tar.gz"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--release", default=RELEASE, help="default: the installed one")
    parser.add_argument("--archive", type=Path, help="a source distribution to use, not pip's")
    arguments = parser.parse_args()

    destination = folder_of(arguments.release)
    if (destination / "transformers_tests" / "__init__.py").exists():
        return
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        print(f"==> fetching the tests of Transformers {arguments.release}", flush=True)
        unpack(arguments.archive or download(arguments.release, Path(folder)), destination)


if __name__ == "__main__":
    main()
