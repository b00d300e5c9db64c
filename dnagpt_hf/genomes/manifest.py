"""Manifests: the genomes that a model is trained on, without left-out and held-out regions.

    species:
      - name: homo_sapiens
        token: <R>
        files: [Homo_sapiens.GRCh38.dna.primary_assembly.fa]
        leave_out: [MT, "KI27*"]
        held_out: ["21", "X:1000001-2000000"]

Files are relative to the manifest. `leave_out` and `held_out` name contigs, regions or patterns; an
exact name has priority over a region, a region over a pattern.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from dnagpt_hf.genomes.bases import Interval
from dnagpt_hf.genomes.contigs import Contig, ContigPart
from dnagpt_hf.genomes.fasta import open_genome
from dnagpt_hf.genomes.regions import find_intervals, parts_of, without
from dnagpt_hf.genomes.sources import Source
from dnagpt_hf.messages import count
from dnagpt_hf.yaml_files import Settings, expanded, read_yaml, validated

logger = logging.getLogger(__name__)

READY_MANIFESTS = Path(__file__).parent / "manifests"
# models that were trained on the same genomes
_SHARED = {"dnagpt-s-512": "dnagpt-s-b-512", "dnagpt-b-512": "dnagpt-s-b-512"}
# keys below which 21, 010 and no are text: contigs have such names
TEXT_KEYS = ("name", "token", "files", "leave_out", "held_out", "md5", "sha256")
# suffixes of files that earlier runs may have left beside a genome
_DERIVED = (".fai", ".gzi", ".unpacked", ".lock", ".partial")


def _as_tuple(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return () if value is None else (value,)
    return tuple(value) if isinstance(value, list) else value


def _check_token(token: str) -> str:
    if not re.fullmatch(r"<[^<>\s]+>", token):
        raise ValueError(f"{token!r} is not an instruction token: write it as <R>")
    return token


Names = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class SpeciesEntry(Settings):
    """One species of a manifest.

    Args:
        name: name of the species, such as homo_sapiens.
        token: instruction token of its records, such as `<R>`.
        files: names or patterns of FASTA files; none where they are still to be fetched.
        leave_out: contigs, regions and patterns that are not used at all.
        held_out: contigs, regions and patterns that are kept for evaluation.
        weight: share of the training records; by default the number of bases decides.
        source: source from which the files can be fetched.
    """

    name: str
    token: Annotated[str, AfterValidator(_check_token)]
    files: Names = ()
    leave_out: Names = ()
    held_out: Names = ()
    weight: float | None = Field(None, gt=0, allow_inf_nan=False)
    source: Source | None = None


class SpeciesList(Settings):
    """The content of a manifest."""

    species: tuple[SpeciesEntry, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Manifest:
    """A manifest and its file."""

    path: Path
    species: tuple[SpeciesEntry, ...]

    def files(self, entry: SpeciesEntry) -> list[Path]:
        """List the FASTA files of a species.

        Raises:
            ValueError: a file is missing, and no source tells where it can be fetched.
        """
        return [file for name in entry.files for file in self._matching(name, entry)]

    def _matching(self, name: str, entry: SpeciesEntry) -> list[Path]:
        file = self.path.parent / name
        is_pattern = any(character in name for character in "*?[") and not Path(name).is_absolute()
        if file.is_file() or (entry.source is not None and not is_pattern):
            return [file]
        matching = self.path.parent.glob(name) if is_pattern else ()
        found = sorted(one for one in matching if one.is_file() and one.suffix not in _DERIVED)
        if not found:
            raise ValueError(
                f"{self.path}: species {entry.name}, file {file} is missing: correct its name, or "
                "get it by dnagpt genomes fetch"
            )
        return found


@dataclass(frozen=True)
class SpeciesGenome:
    """The opened genome of a species, divided into training and held-out parts."""

    name: str
    token: str
    training: tuple[Contig | ContigPart, ...]
    held_out: tuple[Contig | ContigPart, ...] = ()
    weight: float | None = None


def manifest_path(name_or_path: str | Path) -> Path:
    """Find the file of a manifest, or of the ready one with that name.

    Raises:
        ValueError: neither exists; the message lists the ready ones.
    """
    path = Path(name_or_path)
    name = str(name_or_path)
    ready = READY_MANIFESTS / f"{_SHARED.get(name, name)}.yaml"
    if path.is_file():
        return path
    if ready.is_file():
        return ready
    names = ", ".join(sorted(file.stem for file in READY_MANIFESTS.glob("*.yaml")))
    raise ValueError(f"{name_or_path}: no such file, and no ready manifest: those are {names}")


def load_manifest(path: str | Path) -> Manifest:
    """Read a manifest; genomes are not opened yet.

    Raises:
        ValueError: the file is missing or not YAML, a value does not fit, a file of a species is
            missing, or a species or file is listed twice; the message names file, key and value.
    """
    path = Path(path)
    species = validated(SpeciesList, expanded(read_yaml(path, TEXT_KEYS)), path).species
    manifest = Manifest(path, species)
    names = Counter(one.name for one in species)
    files = Counter(str(file.resolve()) for one in species for file in manifest.files(one))
    for kind, counts in (("species", names), ("file", files)):
        twice = next((value for value, number in counts.items() if number > 1), None)
        if twice is not None:
            raise ValueError(f"{path}: {kind} {twice} is listed twice")
    weighted = sum(one.weight is not None for one in species)
    if weighted not in (0, len(species)):
        raise ValueError(f"{path}: {weighted} of {len(species)} species have a weight: all or none")
    return manifest


def open_species(
    manifest: Manifest, cache_folder: Path | None = None, shortest: int = 1
) -> list[SpeciesGenome]:
    """Open all genomes and divide them into training and held-out parts.

    Args:
        manifest: the manifest.
        cache_folder: folder for indexes and unpacked files; by default next to the files.
        shortest: parts with fewer bases are dropped, which is logged.

    Raises:
        ValueError: files are still to be fetched, or a name does not fit the contigs.
        GenomeError: a file cannot be used.
    """
    return [_open(manifest, entry, cache_folder, shortest) for entry in manifest.species]


def _open(
    manifest: Manifest, entry: SpeciesEntry, cache_folder: Path | None, shortest: int
) -> SpeciesGenome:
    where = f"{manifest.path}: species {entry.name}"
    contigs = _open_contigs(manifest, entry, cache_folder, where)
    left_out = _covered(f"{where}, leave_out", entry.leave_out, contigs)
    held_out = _covered(f"{where}, held_out", entry.held_out, contigs, left_out)
    training: list[Contig | ContigPart] = []
    evaluation: list[Contig | ContigPart] = []
    for name, contig in contigs.items():
        whole = [Interval(0, len(contig))]
        left, held = left_out.get(name, []), held_out.get(name, [])
        training += parts_of(contig, without(whole, left + held))
        # the complement of the complement, so that parts do not overlap
        evaluation += parts_of(contig, without(whole, without(whole, held) + left))
    short = [part for part in (*training, *evaluation) if len(part) < shortest]
    if short:
        logger.info(
            "%s: %s of less than %d bases, %s in all, are not used",
            *(where, count(len(short), "part"), shortest, count(sum(map(len, short)), "base")),
        )
    training = [part for part in training if len(part) >= shortest]
    evaluation = [part for part in evaluation if len(part) >= shortest]
    if not training:
        raise ValueError(f"{where}: nothing is left to train on: hold out or leave out less")
    return SpeciesGenome(entry.name, entry.token, tuple(training), tuple(evaluation), entry.weight)


def _open_contigs(
    manifest: Manifest, entry: SpeciesEntry, cache_folder: Path | None, where: str
) -> dict[str, Contig]:
    files = manifest.files(entry)
    missing = next((file for file in files if not file.is_file()), None)
    if missing is not None or not files:
        problem = "has no files yet" if missing is None else f"has no file {missing}"
        name = manifest.path.stem if manifest.path.parent == READY_MANIFESTS else manifest.path
        folder = "GENOMES" if missing is None else missing.parent
        raise ValueError(
            f"{where} {problem}: fetch it first, by dnagpt genomes fetch {name} --folder {folder}, "
            "and use the manifest.yaml in that folder"
        )
    contigs: dict[str, Contig] = {}
    for file in files:
        for name, contig in open_genome(file, cache_folder).contigs.items():
            if name in contigs:
                raise ValueError(f"{where}: contig {name} of {file} is in another file too")
            contigs[name] = contig
    return contigs


def _covered(
    where: str,
    names: Sequence[str],
    contigs: Mapping[str, Contig],
    removed: Mapping[str, Sequence[Interval]] | None = None,
) -> dict[str, list[Interval]]:
    """Resolve a list of contigs, regions and patterns to intervals by contig.

    Raises:
        ValueError: a name does not fit the contigs, or all of it is removed anyway.
    """
    covered: dict[str, list[Interval]] = {}
    for name in names:
        try:
            found = find_intervals(name, contigs)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        if not any(without([one], (removed or {}).get(contig, [])) for contig, one in found):
            raise ValueError(f"{where}: {name} is left out as well: name it once")
        for contig, one in found:
            covered.setdefault(contig, []).append(one)
    return covered
