"""Files and folders appear whole or not at all."""

import errno
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dnagpt_hf.atomic_files import (
    DestinationError,
    new_file,
    new_files,
    new_folder,
    sole_writer_of_folder,
    write_json,
)


def checkpoint(path: Path, content: str = "old") -> Path:
    path.mkdir()
    (path / "config.json").write_text(content)
    return path


def test_a_new_folder_appears_at_the_end_only(tmp_path: Path) -> None:
    target = tmp_path / "a" / "model"
    with new_folder(target) as folder:
        (folder / "config.json").write_text("{}")
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["config.json"]
    assert os.listdir(target.parent) == ["model"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with new_folder(tmp_path / "model") as folder:
        (folder / "config.json").write_text("{}")
    assert (tmp_path / "model" / "config.json").is_file()


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "model") as folder:
        (folder / "config.json").write_text("{")
        raise KeyboardInterrupt
    with pytest.raises(OSError, match="disk full"), new_file(tmp_path / "file") as file:
        file.write_text("half")
        raise OSError("disk full")
    assert os.listdir(tmp_path) == []


def test_a_folder_with_content_is_refused(tmp_path: Path) -> None:
    old = checkpoint(tmp_path / "model")
    with pytest.raises(DestinationError, match="model exists"), new_folder(old):
        pass
    assert (old / "config.json").read_text() == "old"


def test_overwriting_replaces_the_whole_folder(tmp_path: Path) -> None:
    old = checkpoint(tmp_path / "model")
    (old / "stale").touch()
    with new_folder(old, overwrite=True) as folder:
        (folder / "config.json").write_text("new")
        assert (old / "config.json").read_text() == "old"
    assert os.listdir(old) == ["config.json"]
    assert (old / "config.json").read_text() == "new"
    assert os.listdir(tmp_path) == ["model"]


def test_a_failure_keeps_the_old_folder(tmp_path: Path) -> None:
    old = checkpoint(tmp_path / "model")
    with pytest.raises(RuntimeError), new_folder(old, overwrite=True) as folder:
        (folder / "config.json").write_text("new")
        raise RuntimeError
    assert (old / "config.json").read_text() == "old"
    assert os.listdir(tmp_path) == ["model"]


def test_the_old_folder_comes_back_if_the_last_step_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = checkpoint(tmp_path / "model")
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name.endswith(".partial"):
            raise OSError("no rename")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="no rename"), new_folder(old, overwrite=True):
        pass
    assert (old / "config.json").read_text() == "old"
    assert os.listdir(tmp_path) == ["model"]


def test_a_folder_that_is_no_checkpoint_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").touch()
    with (
        pytest.raises(DestinationError, match="no checkpoint"),
        new_folder(tmp_path / "home", overwrite=True),
    ):
        pass
    assert (tmp_path / "home" / "thesis.tex").exists()


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    old = checkpoint(tmp_path / "model")
    (tmp_path / "link").symlink_to(old)
    with new_folder(tmp_path / "link", overwrite=True) as folder:
        (folder / "config.json").write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (old / "config.json").read_text() == "new"


def test_files_and_folders_are_not_mixed_up(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(DestinationError, match="is a file"),
        new_folder(tmp_path / "file", overwrite=True),
    ):
        pass
    with pytest.raises(DestinationError, match="is a folder"), new_file(tmp_path, overwrite=True):
        pass


def test_a_file_is_replaced_only_if_asked(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    with pytest.raises(DestinationError, match="file exists"), new_file(file):
        pass
    with new_file(file, overwrite=True) as partial:
        partial.write_text("new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert os.listdir(tmp_path) == ["file"]


def test_files_are_moved_into_their_folder_together(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(RuntimeError), new_files(folder) as partial:
        (partial / "a.json").write_text("half")
        raise RuntimeError
    assert os.listdir(tmp_path) == []
    folder.mkdir()
    (folder / "a.json").write_text("old")
    (folder / "mine.txt").write_text("mine")
    with new_files(folder) as partial:
        (partial / "a.json").write_text("new")
        (partial / "adapter").mkdir()
        (partial / "adapter" / "b.json").write_text("new")
        assert (folder / "a.json").read_text() == "old"
    assert sorted(os.listdir(folder)) == ["a.json", "adapter", "mine.txt"]
    assert (folder / "a.json").read_text() == (folder / "adapter" / "b.json").read_text() == "new"


def test_an_error_of_writing_names_the_file_and_another_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(PermissionError) as error, new_folder(tmp_path / "model") as folder:
        raise PermissionError(errno.EACCES, "", str(folder / "config.json"))
    assert error.value.filename == str(tmp_path / "model" / "config.json")
    for failure in (KeyError, RuntimeError):
        with pytest.raises(OSError, match="No space") as found, new_file(tmp_path / "a.npz"):
            # as Matplotlib raises another error while it closes the file
            raise failure("inconsistent stream") from OSError(errno.ENOSPC, "")
        assert found.value.filename == str(tmp_path / "a.npz")
    with pytest.raises(OSError, match="No space"), new_file(tmp_path / "a.safetensors"):
        raise Exception("I/O error: No space left on device (os error 28)")
    other = tmp_path / "input.csv"
    with pytest.raises(FileNotFoundError) as error, new_file(tmp_path / "a.npz"):
        other.read_text()
    assert error.value.filename == str(other)


@pytest.mark.parametrize("write", [new_file, new_folder, sole_writer_of_folder])
def test_one_writes_at_a_time(tmp_path: Path, write: Callable[[Path], Any]) -> None:
    output = tmp_path / "output"
    said = f"output is being written by process {os.getpid()} on {socket.gethostname()}: wait"
    with write(output) as partial:
        if write is new_file:
            partial.write_text("first")
        with pytest.raises(DestinationError, match=re.escape(said)), write(output):
            pass
    assert os.listdir(tmp_path) in ([], ["output"])
    if write is new_file:
        assert output.read_text() == "first"


def test_processes_of_one_run_note_the_same_at_once(tmp_path: Path) -> None:
    path = tmp_path / "genomes.json"
    with new_file(path, shared=True) as partial:
        partial.write_text("1")
        write_json(path, 1)
    assert path.read_text() == "1"


def test_one_that_was_killed_is_in_nobodys_way(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from dnagpt_hf.atomic_files import sole_writer_of_folder\n"
        "with sole_writer_of_folder(sys.argv[1]):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert killed.returncode == -9 and os.listdir(tmp_path) == ["_in_use"]
    with sole_writer_of_folder(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


def test_a_folder_is_not_made_for_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no data"), sole_writer_of_folder(tmp_path / "run"):
        raise ValueError("no data")
    assert os.listdir(tmp_path) == []
