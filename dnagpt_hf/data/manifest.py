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

import difflib
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from dnagpt_hf.data.genome_files import Contig, ContigPart, open_genome
from dnagpt_hf.data.genomes import Interval

logger = logging.getLogger(__name__)

READY_MANIFESTS = Path(__file__).parent / "manifests"
_KEYS = ("name", "token", "files", "leave_out", "held_out", "weight", "source")
_REGION = re.compile(r"(.+):([\d,]+)-([\d,]+)")


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
    ready = READY_MANIFESTS / f"{name_or_path}.yaml"
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
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ManifestError(f"{path}: no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or not isinstance(content.get("species"), list):
        raise ManifestError(f"{path}: expected a list `species:`, one entry for each")
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
    if isinstance(values, str | int):
        values = [values]
    # YAML reads chromosome 21 as a number
    if not isinstance(values, list) or not all(type(one) in (str, int) for one in values):
        raise ManifestError(f'{where}: {key} must be a list of names: quote those like "1.2"')
    return tuple(map(str, values))


def _files(path: Path, where: str, name: str, may_be_fetched: bool) -> list[Path]:
    """The file of that name, or those that fit the pattern."""
    file = path.parent / name
    is_pattern = any(character in name for character in "*?[") and not Path(name).is_absolute()
    if file.is_file() or (may_be_fetched and not is_pattern):
        return [file]
    found = sorted(filter(Path.is_file, path.parent.glob(name))) if is_pattern else []
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
    left_out = _intervals(where, "leave_out", entry.leave_out, contigs)
    held_out = _intervals(where, "held_out", entry.held_out, contigs)
    training: list[Contig | ContigPart] = []
    evaluation: list[Contig | ContigPart] = []
    for name, contig in contigs.items():
        whole = [Interval(0, len(contig))]
        training += _parts(contig, _without(whole, left_out[name] + held_out[name]))
        # what is left when everything else is taken away, so that parts do not overlap
        others = _without(whole, held_out[name])
        evaluation += _parts(contig, _without(whole, others + left_out[name]))
    short = [part for part in training if len(part) < shortest]
    if short:
        logger.info("%s: %d parts of less than %d bases are not used", where, len(short), shortest)
    training = [part for part in training if len(part) >= shortest]
    evaluation = [part for part in evaluation if len(part) >= shortest]
    if not training:
        raise ManifestError(f"{where}: nothing is left to train on: hold out or leave out less")
    return SpeciesGenome(entry.name, entry.token, tuple(training), tuple(evaluation), entry.weight)


def _fetch_command(path: Path, missing: Path | None) -> str:
    name = path.stem if path.parent == READY_MANIFESTS else path
    folder = "GENOMES" if missing is None else missing.parent
    return (
        f"dnagpt genomes fetch {name} --folder {folder}, and use the manifest.yaml in that folder"
    )


def _intervals(
    where: str, key: str, names: Sequence[str], contigs: Mapping[str, Contig]
) -> dict[str, list[Interval]]:
    """What a list of contigs, regions and patterns covers of each contig."""
    covered: dict[str, list[Interval]] = {name: [] for name in contigs}
    for name in names:
        for contig, interval in _resolve(f"{where}: {key}", name, contigs):
            covered[contig].append(interval)
    return covered


def _resolve(
    where: str, name: str, contigs: Mapping[str, Contig]
) -> Iterator[tuple[str, Interval]]:
    region = _REGION.fullmatch(name)
    if name in contigs:
        yield name, Interval(0, len(contigs[name]))
    elif region and region.group(1) in contigs:
        contig = region.group(1)
        start, end = (int(region.group(group).replace(",", "")) for group in (2, 3))
        if not 1 <= start <= end <= len(contigs[contig]):
            raise ManifestError(
                f"{where} {name}: contig {contig} has the positions 1 to {len(contigs[contig]):,}"
            )
        yield contig, Interval(start - 1, end)
    else:
        found = [contig for contig in contigs if fnmatchcase(contig, name)]
        if not found:
            close = difflib.get_close_matches(name, contigs, n=3) or list(contigs)[:5]
            raise ManifestError(f"{where}: no contig {name}; there are {', '.join(close)}, …")
        for contig in found:
            yield contig, Interval(0, len(contigs[contig]))


def _without(intervals: Sequence[Interval], removed: Sequence[Interval]) -> list[Interval]:
    """What remains of intervals, in their order."""
    rest = list(intervals)
    for gap in removed:
        rest = [
            part
            for one in rest
            for part in (
                Interval(one.start, min(one.end, gap.start)),
                Interval(max(one.start, gap.end), one.end),
            )
            if part.start < part.end
        ]
    return rest


def _parts(contig: Contig, intervals: Sequence[Interval]) -> list[Contig | ContigPart]:
    return [
        contig if len(contig) == one.end - one.start else contig.part(one.start, one.end)
        for one in intervals
    ]
