"""The manifest of the genomes in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dnagpt_hf.atomic_files import new_file
from dnagpt_hf.genomes.download.fetch import FetchError, Found

NAME = "manifest.yaml"
HEADER = (
    "# Written by `dnagpt genomes fetch`, which adds what it fetches later and keeps the settings\n"
    "# of species that are here, but not comments.\n"
)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Keep other processes from fetching into the same folder.

    Raises:
        FetchError: another one does.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".fetch.lock", timeout=0):
            yield
    except Timeout as error:
        raise FetchError(
            f"{folder}: another process fetches genomes into this folder: wait for its end or "
            "choose another folder"
        ) from error


def read_entries(path: Path) -> list[dict[str, Any]]:
    """What a manifest says of each species; nothing if there is no such file.

    Raises:
        FetchError: the file is no manifest.
    """
    import yaml

    if not path.exists():
        return []
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return [{"name": entry["name"], **entry} for entry in content["species"]]
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise FetchError(
            f"{path} is there, but it is no manifest of genomes: move it away or choose another "
            "folder"
        ) from error


def merged_entries(path: Path, found: Sequence[Found]) -> list[dict[str, Any]]:
    """What a manifest will say of the species that it has and of those that are added.

    Raises:
        FetchError: the file is no manifest, or some species have a weight and others have none.
    """
    entries = read_entries(path)
    for genome in found:
        _put(entries, genome)
    weighted = [entry["name"] for entry in entries if entry.get("weight") is not None]
    if weighted and len(weighted) < len(entries):
        other = next(entry["name"] for entry in entries if entry["name"] not in weighted)
        raise FetchError(
            f"{path}: {weighted[0]} has a weight and {other} has none: give weights to all species "
            "or to none, or choose another folder"
        )
    return entries


def update_manifest(folder: Path, found: Sequence[Found]) -> Path:
    """Write which genomes are in a folder.

    What the manifest says there of a species stays, except for its files and source, and the
    records to leave out where the file has become another one.

    Raises:
        FetchError: as in `merged_entries`.
    """
    import yaml

    path = folder / NAME
    entries = merged_entries(path, found)
    if entries != read_entries(path):
        text = yaml.safe_dump({"species": entries}, sort_keys=False, allow_unicode=True, width=100)
        with new_file(path, overwrite=True) as new:
            new.write_text(HEADER + text, encoding="utf-8")
    return path


def _put(entries: list[dict[str, Any]], genome: Found) -> None:
    accession = genome.remote.accession
    by_source = [
        entry for entry in entries if accession and entry.get("source") == {"accession": accession}
    ]
    by_name = [entry for entry in entries if entry["name"] == genome.name]
    if not by_source and by_name and accession:
        # another assembly of the species
        genome = genome.renamed()
        by_name = [entry for entry in entries if entry["name"] == genome.name]
    new = _entry(genome)
    for entry in (by_source or by_name)[:1]:
        if entry.get("files") != new["files"]:
            entry.pop("leave_out", None)
            entry.update({key: new[key] for key in ("files", "leave_out", "source") if key in new})
        return
    entries.append(new)


def _entry(genome: Found) -> dict[str, Any]:
    settings = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in genome.wanted.settings.items()
    }
    entry = {
        "name": genome.name,
        "token": genome.wanted.token,
        "files": [genome.path.name],
        **settings,
        "source": dict(genome.wanted.fields),
    }
    return {name: value for name, value in entry.items() if value not in (None, [])}
