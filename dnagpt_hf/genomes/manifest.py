"""Manifests: which genomes a model is trained on, and what of them is left out or held out.

    species:
      - name: homo_sapiens
        token: <R>
        files: [Homo_sapiens.GRCh38.dna.primary_assembly.fa]
        leave_out: [MT, "KI27*"]
        held_out: ["21", "X:1000001-2000000"]

Files are relative to the manifest. `leave_out` and `held_out` name contigs, regions (positions from
1, the last one included) or patterns; an exact name wins over a region, a region over a pattern.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from dnagpt_hf.genomes.bases import Interval
from dnagpt_hf.genomes.fasta import Contig, ContigPart, open_genome
from dnagpt_hf.genomes.manifest_yaml import read_yaml
from dnagpt_hf.genomes.regions import intervals_of, parts_of, without

logger = logging.getLogger(__name__)

READY_MANIFESTS = Path(__file__).parent / "manifests"
_KEYS = ("name", "token", "files", "leave_out", "held_out", "weight", "source")
_NAMES = frozenset(("name", "token", "files", "leave_out", "held_out"))
# models that were trained on the same genomes
_SHARED = {"dnagpt-s-512": "dnagpt-s-b-512", "dnagpt-b-512": "dnagpt-s-b-512"}
# what earlier runs may have left beside a genome
_DERIVED = (".fai", ".gzi", ".unpacked", ".lock", ".partial", ".json")


class ManifestError(ValueError):
    """A manifest that cannot be used; the message names it and the entry."""


@dataclass(frozen=True)
class SpeciesEntry:
    """One species of a manifest.

    Args:
        name: such as homo_sapiens.
        token: instruction token of its records, such as `<R>`.
        files: FASTA files; empty where they are still to be fetched.
        leave_out: contigs, regions and patterns that are not used at all.
        held_out: those that are kept for evaluation.
        weight: its share of the training records; by bases where it is `None`.
        source: where its files can be fetched.
    """

    name: str
    token: str
    files: tuple[Path, ...] = ()
    leave_out: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    weight: float | None = None
    source: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Manifest:
    """A file and its species."""

    path: Path
    species: tuple[SpeciesEntry, ...]


@dataclass(frozen=True)
class SpeciesGenome:
    """The opened genome of a species, divided into what is trained on and what is held out."""

    name: str
    token: str
    training: tuple[Contig | ContigPart, ...]
    held_out: tuple[Contig | ContigPart, ...] = ()
    weight: float | None = None


def manifest_path(name_or_path: str | Path) -> Path:
    """The file of a manifest, or of the ready one with that name.

    Raises:
        ManifestError: there is neither; the message lists the ready ones.
    """
    path = Path(name_or_path)
    name = str(name_or_path)
    ready = READY_MANIFESTS / f"{_SHARED.get(name, name)}.yaml"
    if path.is_file():
        return path
    if ready.is_file():
        return ready
    names = ", ".join(sorted(file.stem for file in READY_MANIFESTS.glob("*.yaml")))
    raise ManifestError(f"{name_or_path}: no such file, and no ready manifest: those are {names}")


def load_manifest(path: str | Path) -> Manifest:
    """Read a manifest; genomes are not opened yet.

    Raises:
        ManifestError: the file is missing, no YAML, or an entry is not as it must be.
    """
    path = Path(path)
    try:
        content = read_yaml(path.read_text(encoding="utf-8"), _NAMES)
    except FileNotFoundError:
        raise ManifestError(f"{path}: no such file") from None
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or not isinstance(content.get("species"), list):
        raise ManifestError(f"{path}: expected a list `species:`, one entry for each")
    if len(content) > 1:
        other = next(key for key in content if key != "species")
        raise ManifestError(f"{path}: unknown entry {other!r} beside `species:`: remove it")
    species = tuple(
        _entry(path, number, fields) for number, fields in enumerate(content["species"], start=1)
    )
    if not species:
        raise ManifestError(f"{path}: there is no species in it: list at least one")
    _check_together(path, species)
    return Manifest(path, species)


def _entry(path: Path, number: int, fields: Any) -> SpeciesEntry:
    where = f"{path}, species {number}"
    if not isinstance(fields, dict):
        raise ManifestError(f"{where}: expected entries {', '.join(_KEYS)}")
    if fields.get("name"):
        where = f"{path}, species {fields['name']}"
    for key in fields:
        if key not in _KEYS:
            raise ManifestError(f"{where}: unknown entry {key!r}: choose from {', '.join(_KEYS)}")
    for key in ("name", "token"):
        if not isinstance(fields.get(key), str):
            raise ManifestError(f"{where}: {key} is missing: state it as text")
    if not re.fullmatch(r"<[^<>\s]+>", fields["token"]):
        raise ManifestError(
            f"{where}: token {fields['token']!r} is no instruction token: write it as <R>"
        )
    weight = fields.get("weight")
    if weight is not None and not (type(weight) in (int, float) and 0 < weight < float("inf")):
        raise ManifestError(f"{where}: weight {weight!r} is not a number above 0")
    if fields.get("source") is not None and not isinstance(fields["source"], dict):
        raise ManifestError(f"{where}: source must say what it is, as `accession: GCF_…`")
    names = partial(_names, where, fields)
    return SpeciesEntry(
        name=fields["name"],
        token=fields["token"],
        files=tuple(
            file
            for name in names("files")
            for file in _files(path, where, name, may_be_fetched=fields.get("source") is not None)
        ),
        leave_out=names("leave_out"),
        held_out=names("held_out"),
        weight=weight,
        source=fields.get("source"),
    )


def _names(where: str, fields: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = fields.get(key) or []
    if isinstance(values, str):
        values = [values]
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise ManifestError(f"{where}: {key} must be a list of names, as [X, Y]")
    return tuple(values)


def _files(path: Path, where: str, name: str, may_be_fetched: bool) -> list[Path]:
    """The file of that name, or those that fit the pattern."""
    file = path.parent / name
    is_pattern = any(character in name for character in "*?[") and not Path(name).is_absolute()
    if file.is_file() or (may_be_fetched and not is_pattern):
        return [file]
    fitting = path.parent.glob(name) if is_pattern else ()
    found = sorted(file for file in fitting if file.is_file() and file.suffix not in _DERIVED)
    if not found:
        raise ManifestError(
            f"{where}: file {file} is missing: correct its name, or get it by dnagpt genomes fetch"
        )
    return found


def _check_together(path: Path, species: Sequence[SpeciesEntry]) -> None:
    names = Counter(one.name for one in species)
    files = Counter(str(file.resolve()) for one in species for file in one.files)
    for kind, counts in (("species", names), ("file", files)):
        twice = next((value for value, count in counts.items() if count > 1), None)
        if twice is not None:
            raise ManifestError(f"{path}: {kind} {twice} stands there twice")
    weighted = sum(one.weight is not None for one in species)
    if weighted not in (0, len(species)):
        raise ManifestError(
            f"{path}: {weighted} of {len(species)} species have a weight: all or none"
        )


def open_species(
    manifest: Manifest, cache_folder: Path | None = None, shortest: int = 1
) -> list[SpeciesGenome]:
    """Open all genomes and divide them into training and held-out parts.

    Args:
        manifest: what to open.
        cache_folder: where indexes and unpacked files are kept; by default next to the files.
        shortest: parts with fewer bases are dropped, which is logged.

    Raises:
        ManifestError: files are still to be fetched, or a name does not fit the contigs.
        GenomeError: a file cannot be used.
    """
    return [_open(manifest.path, entry, cache_folder, shortest) for entry in manifest.species]


def _open(
    path: Path, entry: SpeciesEntry, cache_folder: Path | None, shortest: int
) -> SpeciesGenome:
    where = f"{path}, species {entry.name}"
    missing = next((file for file in entry.files if not file.is_file()), None)
    if missing is not None or not entry.files:
        what = "has no files yet" if missing is None else f"has no file {missing}"
        raise ManifestError(f"{where} {what}: fetch it first, by {_fetch_command(path, missing)}")
    contigs: dict[str, Contig] = {}
    for file in entry.files:
        for name, contig in open_genome(file, cache_folder).contigs.items():
            if name in contigs:
                raise ManifestError(f"{where}: contig {name} of {file} stands in another file too")
            contigs[name] = contig
    left_out = _covered(where, "leave_out", entry.leave_out, contigs)
    held_out = _covered(where, "held_out", entry.held_out, contigs, left_out)
    training: list[Contig | ContigPart] = []
    evaluation: list[Contig | ContigPart] = []
    for name, contig in contigs.items():
        whole = [Interval(0, len(contig))]
        left, held = left_out.get(name, []), held_out.get(name, [])
        training += parts_of(contig, without(whole, left + held))
        # what is left when everything else is taken away, so that parts do not overlap
        evaluation += parts_of(contig, without(whole, without(whole, held) + left))
    short = [part for part in (*training, *evaluation) if len(part) < shortest]
    if short:
        bases = sum(map(len, short))
        logger.info(
            "%s: %s parts of less than %d bases, %s bases in all, are not used",
            *(where, f"{len(short):,}", shortest, f"{bases:,}"),
        )
    training = [part for part in training if len(part) >= shortest]
    evaluation = [part for part in evaluation if len(part) >= shortest]
    if not training:
        raise ManifestError(f"{where}: nothing is left to train on: hold out or leave out less")
    return SpeciesGenome(entry.name, entry.token, tuple(training), tuple(evaluation), entry.weight)


def _covered(
    where: str,
    key: str,
    names: Sequence[str],
    contigs: Mapping[str, Contig],
    removed: Mapping[str, Sequence[Interval]] | None = None,
) -> dict[str, list[Interval]]:
    """What a list of contigs, regions and patterns covers of each contig.

    Raises:
        ManifestError: a name does not fit the contigs, or all of it is removed anyway.
    """
    covered: dict[str, list[Interval]] = {}
    try:
        found = intervals_of(names, contigs)
    except ValueError as error:
        raise ManifestError(f"{where}: {key}: {error}") from error
    for name, intervals in found.items():
        rest = [without(some, (removed or {}).get(one, [])) for one, some in intervals.items()]
        if not any(rest):
            raise ManifestError(f"{where}: {key}: {name} is left out as well: name it once")
        for contig, some in intervals.items():
            covered.setdefault(contig, []).extend(some)
    return covered


def _fetch_command(path: Path, missing: Path | None) -> str:
    name = path.stem if path.parent == READY_MANIFESTS else path
    folder = "GENOMES" if missing is None else missing.parent
    return (
        f"dnagpt genomes fetch {name} --folder {folder}, and use the manifest.yaml in that folder"
    )
