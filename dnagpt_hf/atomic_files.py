"""Files and folders that appear whole or not at all, and that one process writes at a time."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import shutil
import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

# of a full disk, a used-up quota, and a limit on the size of files
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# libraries in Rust, safetensors among them, pass on the number of an error in the message alone
_RUST_ERROR = re.compile(r"\(os error (\d+)\)")
_PROBE = bytes(1 << 16)


class DestinationError(ValueError):
    """A file or folder that cannot be written; the message names it and says what to do."""


@contextmanager
def named_write_errors(
    target: str | os.PathLike[str], partial: Path | None = None
) -> Iterator[None]:
    """Raise errors of writing as an `OSError` that names the file, whichever library wrote it.

    Args:
        target: the file or folder.
        partial: the file or folder that is written, and deleted after an error.

    Example:

        >>> with named_write_errors("answers.csv"):
        ...     raise OSError(errno.ENOSPC, "No space left on device")
        Traceback (most recent call last):
        OSError: [Errno 28] No space left on device: 'answers.csv'
    """
    try:
        yield
    except ValueError:  # it says what is wrong
        raise
    except Exception as error:
        cause = _system_error(error, partial)
        if cause is None or cause.errno is None:
            raise
        place = cause.filename2 or cause.filename
        name = Path(target) if place is None else Path(os.fsdecode(place))
        if partial is not None and name.is_relative_to(partial):
            name = Path(target) / name.relative_to(partial)
        raise OSError(cause.errno, os.strerror(cause.errno), str(name)) from error


def _system_error(error: Exception, partial: Path | None) -> OSError | None:
    """Find the system's refusal to write under the error of a library."""
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, OSError) and _is_of_writing(below, partial):
            return below
        if number := _RUST_ERROR.search(str(below)):
            return OSError(int(number[1]), "", None)
        below = below.__cause__ or below.__context__
    # PyTorch and NumPy report that bytes are missing, without the reason
    if partial is None:
        return None
    files = [partial, *partial.rglob("*")]
    newest = max((path for path in files if path.is_file()), key=_modified, default=None)
    if newest is None:
        return None
    try:
        with open(newest, "ab") as stream:
            stream.write(_PROBE)
    except OSError as refusal:
        return OSError(refusal.errno, "", str(newest))
    return None


def _is_of_writing(error: OSError, partial: Path | None) -> bool:
    place = error.filename2 or error.filename
    if partial is None or place is None or not Path(os.fsdecode(place)).is_relative_to(partial):
        return error.errno in _DISK_ERRORS
    return error.errno is not None


def _modified(path: Path) -> int:
    return path.stat().st_mtime_ns


def check_new_folder(destination: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Refuse a folder that must not be replaced, before any work is done.

    Raises:
        DestinationError: it is a file, a loop of links, or a folder with content; with `overwrite`,
            only if that content is no checkpoint.
    """
    path = Path(destination)
    _resolved(path)
    if not path.exists():
        return
    if not path.is_dir():
        raise DestinationError(f"{path} is a file: choose another name for the folder")
    if not any(path.iterdir()):
        return
    if not overwrite:
        raise DestinationError(
            f"{path} exists: choose another folder, or overwrite it (--overwrite)"
        )
    if not (path / "config.json").is_file():
        raise DestinationError(
            f"{path} has no config.json, so it is no checkpoint and not overwritten: delete it "
            "yourself or choose another folder"
        )


def check_new_file(destination: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Refuse a file that must not be replaced, before any work is done.

    Raises:
        DestinationError: it is a folder or a loop of links, or exists and `overwrite` is not given.
    """
    path = Path(destination)
    _resolved(path)
    if path.is_dir():
        raise DestinationError(f"{path} is a folder: choose another name for the file")
    if path.exists() and not overwrite:
        raise DestinationError(f"{path} exists: choose another file, or overwrite it (--overwrite)")


@contextmanager
def sole_writer_of_folder(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Make a folder, and keep all other processes from writing to it at the same time.

    Raises:
        DestinationError: it is a file or a loop of links, or another process writes to it; then the
            message names the process and its host.
    """
    path = Path(folder)
    is_new = not _resolved(path).exists()
    if path.exists() and not path.is_dir():
        raise DestinationError(f"{path} is a file: choose another name for the folder")
    # Trainer does not upload names that begin with an underscore
    try:
        with _sole_writer(path, path / "_in_use"):
            yield
    finally:
        if is_new:
            with suppress(OSError):  # it has content
                path.rmdir()


@contextmanager
def sole_writer_of_file(destination: str | os.PathLike[str]) -> Iterator[None]:
    """Keep all other processes from writing a file, or a new folder, at the same time.

    Raises:
        DestinationError: another process writes it; the message names the process and its host.
    """
    path = Path(destination)
    with _sole_writer(path, path.with_name(f".{path.name}.in_use")):
        yield


@contextmanager
def _sole_writer(destination: Path, holder: Path) -> Iterator[None]:
    """Hold a lock of the system, which ends with its process, however that ends."""
    holder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(holder)
    try:
        with named_write_errors(destination, holder):
            lock.acquire(timeout=0)
    except Timeout:
        writer = "another process"
        with suppress(OSError, ValueError):  # it has just begun or ended
            process, host, *_ = holder.read_text(encoding="utf-8").split()
            writer = f"process {process} on {host}"
        raise DestinationError(
            f"{destination} is being written by {writer}: wait for its end, or choose another name"
        ) from None
    try:
        with suppress(OSError):  # a message without them is better than no output
            holder.write_text(f"{os.getpid()}\n{socket.gethostname()}\n", encoding="utf-8")
        yield
    finally:
        # before the release: afterwards it may be the file of the next process
        holder.unlink(missing_ok=True)
        lock.release()


@contextmanager
def new_folder(destination: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Give a folder to write into, which takes the place of `destination` without an error.

    It stands beside its destination, so that the last step is a rename. An old folder is moved
    away in that moment only, and comes back if the rename fails.
    """
    target = _resolved(Path(destination))
    with sole_writer_of_file(target):
        check_new_folder(destination, overwrite=overwrite)
        partial, old = _beside(target, "partial"), _beside(target, "old")
        try:
            with named_write_errors(destination, partial):
                partial.mkdir()
                yield partial
                if target.exists():
                    target.rename(old)
                partial.rename(target)
        except BaseException:
            if old.exists():
                old.rename(target)
            raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def new_file(
    destination: str | os.PathLike[str], *, overwrite: bool = False, shared: bool = False
) -> Iterator[Path]:
    """Give a path to write to, which takes the place of `destination` without an error.

    Args:
        destination: the file.
        overwrite: whether it may exist.
        shared: whether several processes may write it at once, as they have the same content.
    """
    target = _resolved(Path(destination))
    with nullcontext() if shared else sole_writer_of_file(target):
        check_new_file(destination, overwrite=overwrite)
        partial = _beside(target, "partial")
        try:
            with named_write_errors(destination, partial):
                yield partial
                partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def new_files(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a folder to write files into, which are moved to `folder` together, without an error.

    Files of the same names are replaced; others in the folder stay.
    """
    target = Path(folder)
    is_new = not target.exists()
    target.mkdir(parents=True, exist_ok=True)
    # Trainer does not upload names that begin with an underscore
    partial = target / f"_{uuid.uuid4().hex[:8]}.partial"
    try:
        with named_write_errors(target, partial):
            partial.mkdir()
            yield partial
            for path in sorted(partial.rglob("*")):
                place = target / path.relative_to(partial)
                if path.is_dir():
                    place.mkdir(exist_ok=True)
                else:
                    path.replace(place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if is_new:
            with suppress(OSError):  # it has content
                target.rmdir()


def write_json(destination: str | os.PathLike[str], content: Any) -> None:
    """Write plain data as JSON that every program reads: NaN and infinite numbers become null.

    Example:

        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "metrics.json"
        >>> write_json(path, {"mcc": 0.5, "auroc": float("nan")})
        >>> json.loads(path.read_text())
        {'mcc': 0.5, 'auroc': None}
    """
    text = json.dumps(_finite(content), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(destination, text + "\n")


def write_text(destination: str | os.PathLike[str], text: str) -> None:
    """Write a text, in place of that of a file that exists."""
    with new_file(destination, overwrite=True, shared=True) as partial:
        partial.write_text(text, encoding="utf-8")


def _resolved(path: Path) -> Path:
    """Follow links to the place that is written."""
    try:
        os.path.realpath(path, strict=True)
    except OSError as error:  # mostly a file that does not exist yet
        if error.errno == errno.ELOOP:
            raise DestinationError(f"{path} is a link that leads to itself: remove it") from None
    return path.resolve()


def _finite(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _beside(target: Path, role: str) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.{role}")
