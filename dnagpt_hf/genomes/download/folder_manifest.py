"""The manifest of the genomes in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from dnagpt_hf.atomic_files import new_file
from dnagpt_hf.genomes.download.requests import LocatedGenome
from dnagpt_hf.genomes.manifest import TEXT_KEYS, SpeciesList
from dnagpt_hf.yaml_files import read_yaml, validated

MANIFEST = "manifest.yaml"
HEADER = (
    "# Written by `dnagpt genomes fetch`, which adds what it fetches later and keeps the settings\n"
    "# of species that are here, but not comments.\n"
)


def read_entries(path: Path) -> list[dict[str, Any]]:
    """Read the entries of a manifest; none if there is no such file.

    Raises:
        ValueError: the file is not a manifest.
    """
    if not path.exists():
        return []
    try:
        content = read_yaml(path, TEXT_KEYS)
        validated(SpeciesList, content, path)
    except ValueError as error:
        raise ValueError(f"{error}; correct it, move it away or choose another folder") from error
    return list(content["species"])


def merge_entries(path: Path, genomes: Sequence[LocatedGenome]) -> list[dict[str, Any]]:
    """Merge the entries of a manifest with those of genomes that are added.

    An entry stays as it is, except for its files and source and, where the file has become another
    one, its records to leave out.

    Raises:
        ValueError: the file is not a manifest, or some species have a weight and others have none.
    """
    entries = read_entries(path)
    for genome in genomes:
        _merge(entries, genome)
    weighted = [entry["name"] for entry in entries if entry.get("weight") is not None]
    if weighted and len(weighted) < len(entries):
        other = next(entry["name"] for entry in entries if entry["name"] not in weighted)
        raise ValueError(
            f"{path}: {weighted[0]} has a weight and {other} has none: give weights to all species "
            "or to none, or choose another folder"
        )
    return entries


def write_manifest(path: Path, entries: list[dict[str, Any]]) -> None:
    """Write the entries of a manifest; one that has them already is left alone."""
    if entries != read_entries(path):
        text = yaml.safe_dump({"species": entries}, sort_keys=False, allow_unicode=True, width=100)
        with new_file(path, overwrite=True) as new:
            new.write_text(HEADER + text, encoding="utf-8")


def _merge(entries: list[dict[str, Any]], genome: LocatedGenome) -> None:
    new = dict(genome.entry)
    same = next((entry for entry in entries if _is_same(entry, genome)), None)
    if same is None:
        if any(entry["name"] == new["name"] for entry in entries):
            # another assembly of the species
            new["name"] += f"_{genome.remote.accession or genome.remote.name}"
        entries.append(new)
    elif same.get("files") != new["files"]:
        same.pop("leave_out", None)
        kept = ("files", "leave_out", "source")
        same.update({key: new[key] for key in kept if key in new})


def _is_same(entry: dict[str, Any], genome: LocatedGenome) -> bool:
    """Test whether an entry is that of a genome, by its accession or else by its name."""
    source = entry.get("source") or {}
    if genome.remote.accession is not None:
        return bool(source == genome.entry["source"])
    return entry["name"] == genome.name and "accession" not in source
