"""Manifests: what they may say, and how genomes are divided by them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from dnagpt_hf.genomes import manifest as manifest_module
from dnagpt_hf.genomes.bases import GenomeError
from dnagpt_hf.genomes.composition import PUBLISHED_BASES
from dnagpt_hf.genomes.download.http import HttpClient
from dnagpt_hf.genomes.download.requests import manifest_requests
from dnagpt_hf.genomes.manifest import (
    READY_MANIFESTS,
    Manifest,
    SpeciesGenome,
    load_manifest,
    manifest_path,
    open_species,
)
from dnagpt_hf.genomes.sources import EnsemblSource, TaxonSource
from dnagpt_hf.tokenization_dnagpt import SPECIES

READY = sorted(path.stem for path in READY_MANIFESTS.glob("*.yaml"))


def write(folder: Path, *species: dict[str, Any], name: str = "manifest.yaml") -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump({"species": list(species)}))
    return path


def entry(**fields: Any) -> dict[str, Any]:
    return {"name": "yeast", "token": "<U>", "files": ["yeast.fa"], **fields}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Contigs of 100, 60, 40 and 5 bases, each in bases of another kind."""
    text = ">1\n{}\n>2 two\n{}\n>MT\n{}\n>scaffold:7\n{}\n"
    (tmp_path / "yeast.fa").write_text(text.format("A" * 100, "C" * 60, "G" * 40, "T" * 5))
    return tmp_path


def divided(path: Path, **options: Any) -> SpeciesGenome:
    (species,) = open_species(load_manifest(path), **options)
    return species


def parts(sequences: Any) -> dict[str, int]:
    return {one.name: len(one) for one in sequences}


def test_all_of_it_is_trained_on_unless_said_otherwise(folder: Path) -> None:
    species = divided(write(folder, entry()))
    assert (species.name, species.token, species.weight) == ("yeast", "<U>", None)
    assert parts(species.training) == {"1": 100, "2": 60, "MT": 40, "scaffold:7": 5}
    assert species.held_out == ()


def test_contigs_regions_and_patterns(folder: Path) -> None:
    fields = {"leave_out": ["MT", "scaff*"], "held_out": [2, "1:11-20", "1:1-5"]}
    species = divided(write(folder, entry(**fields)))
    assert parts(species.training) == {"1:6-10": 5, "1:21-100": 80}
    assert parts(species.held_out) == {"1:1-5": 5, "1:11-20": 10, "2": 60}
    assert species.held_out[2][:3].tobytes() == b"CCC"


def test_exact_names_win_over_regions_and_patterns(tmp_path: Path) -> None:
    (tmp_path / "yeast.fa").write_text(">a*\nAC\n>ab\nAC\n>c:1-2\nGG\n>c\nTTTT\n")
    species = divided(write(tmp_path, entry(leave_out=["a*", "c:1-2"])))
    assert parts(species.training) == {"ab": 2, "c": 4}


def test_what_is_left_out_is_not_held_out_and_parts_do_not_overlap(folder: Path) -> None:
    fields = {"leave_out": ["1:1-10", "2:6-60", "MT"], "held_out": ["1:6-30", "1:21-40", "2"]}
    species = divided(write(folder, entry(**fields)))
    assert parts(species.held_out) == {"1:11-40": 30, "2:1-5": 5}
    assert parts(species.training) == {"1:41-100": 60, "scaffold:7": 5}


def test_names_are_what_stands_there(tmp_path: Path) -> None:
    names = ["21", "010", "1:20", "no", "1e5", "0x1F", "2020-01-01", "Y", "1.0", "other"]
    (tmp_path / "yeast.fa").write_text("".join(f">{name}\nACGT\n" for name in names))
    path = tmp_path / "manifest.yaml"
    listed = ", ".join(names[:-1])
    text = f"species: [{{name: 5, token: <U>, files: yeast.fa, held_out: [{listed}]}}]"
    path.write_text(text)
    species = divided(path)
    assert species.name == "5"
    assert list(parts(species.held_out)) == names[:-1]
    assert list(parts(species.training)) == ["other"]


def test_what_earlier_runs_left_is_no_genome(folder: Path) -> None:
    (folder / "more.fa.gz").write_bytes(gzip.compress(b">3\nACGT\n"))
    path = write(folder, entry(files=["*.fa*"]))
    for _ in range(2):
        assert list(parts(divided(path).training)) == ["3", "1", "2", "MT", "scaffold:7"]
    assert (folder / "yeast.fa.fai").exists() and len(list(folder.glob("more.fa.gz.*"))) > 1


def test_random_regions_against_a_plain_reading(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    bases = "".join(rng.choice(list("ACGT"), 50))
    (tmp_path / "yeast.fa").write_text(f">1\n{bases}\n>2\nA\n")
    for _ in range(100):
        kinds = np.full(50, "t")
        fields: dict[str, list[str]] = {}
        for key, kind in (("held_out", "h"), ("leave_out", "-")):
            borders = np.sort(rng.integers(1, 51, (3, 2)))
            for start, end in borders:
                kinds[start - 1 : end] = kind
            fields[key] = [f"1:{start}-{end}" for start, end in borders]
            if key == "held_out":
                held_out = [kinds[start - 1 : end] for start, end in borders]
        path = write(tmp_path, entry(**fields))
        if any((region == "-").all() for region in held_out):
            with pytest.raises(ValueError, match="is left out as well"):
                divided(path)
            continue
        species = divided(path)
        for kind, sequences in (("t", species.training[:-1]), ("h", species.held_out)):
            expected = "".join(base for base, one in zip(bases, kinds, strict=True) if one == kind)
            assert "".join(one[:].tobytes().decode() for one in sequences) == expected


def test_short_parts_are_dropped(folder: Path) -> None:
    fields = {"held_out": ["MT", "1:1-39"]}
    species = divided(write(folder, entry(**fields)), shortest=40)
    assert parts(species.training) == {"1:40-100": 61, "2": 60}
    assert parts(species.held_out) == {"MT": 40}


def test_several_files_and_patterns_of_files(folder: Path) -> None:
    (folder / "more.fa").write_text(">3\nACGT\n")
    species = divided(write(folder, entry(files=["*.fa"])))
    assert list(parts(species.training)) == ["3", "1", "2", "MT", "scaffold:7"]
    (folder / "more.fa").write_text(">2\nACGT\n")
    with pytest.raises(ValueError, match=r"contig 2 of .*yeast\.fa is in another file too"):
        divided(write(folder, entry(files=["*.fa"])))


def test_indexes_go_to_the_cache_folder(folder: Path) -> None:
    divided(write(folder, entry()), cache_folder=folder / "cache")
    assert sorted(file.name for file in folder.iterdir()) == ["cache", "manifest.yaml", "yeast.fa"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"leave_out": ["other"]},
            "leave_out: the genome has no contig other; its contigs are 1, 2, MT, scaffold:7$",
        ),
        ({"held_out": ["X*"]}, r"held_out: the genome has no contig X\*"),
        ({"held_out": ["1:0-5"]}, "held_out: region 1:0-5: positions count from 1"),
        ({"held_out": ["1:5-101"]}, "has the positions 1 to 100"),
        ({"held_out": ["1:7-6"]}, "the end does not lie before the start"),
        ({"held_out": ["*"]}, "nothing is left to train on"),
        ({"held_out": ["Mt"]}, "no contig Mt; its contigs are 1, 2, MT, "),
        ({"leave_out": ["M*"], "held_out": ["1", "MT"]}, "held_out: MT is left out as well"),
    ],
)
def test_names_that_do_not_fit_the_genome(
    folder: Path, fields: dict[str, Any], message: str
) -> None:
    manifest = load_manifest(write(folder, entry(**fields)))
    with pytest.raises(ValueError, match=message) as error:
        open_species(manifest)
    assert str(error.value).startswith(f"{manifest.path}: species yeast")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": None}, "species 1, name is None: should be a valid string"),
        ({"token": "U"}, "token: 'U' is not an instruction token: write it as <R>"),
        ({"token": 5}, "token: '5' is not an instruction token"),
        ({"file": "yeast.fa"}, "unknown key 'file': did you mean files"),
        ({"files": ["other.fa"]}, r"other\.fa is missing: correct its name, or get it by"),
        ({"files": ["*.fasta"]}, r"\*\.fasta is missing"),
        ({"files": {"a": 1}}, "files is {'a': '1'}: should be a list"),
        ({"leave_out": [["X"]]}, r"leave_out 1 is \['X'\]: should be a valid string"),
        ({"leave_out": [None]}, "leave_out 1 is None: should be a valid string"),
        ({"weight": 0}, "weight is 0: should be greater than 0"),
        ({"weight": float("nan")}, "weight is nan: should be"),
        ({"weight": float("inf")}, "weight is inf: should be a finite number"),
        ({"weight": True}, "weight is True: should be a valid number"),
        ({"weight": "much"}, "weight is 'much': should be a valid number"),
    ],
)
def test_entries_that_are_wrong(folder: Path, fields: dict[str, Any], message: str) -> None:
    path = write(folder, entry(**fields))
    with pytest.raises(ValueError, match=message) as error:
        load_manifest(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("species: [", "not valid YAML in line 1"),
        ("- a\n", "expected settings"),
        ("{}", "species is missing"),
        ("species: []", "species is \\[\\]: should have at least 1 item"),
        ("species: [a]", "species 1 is 'a': should be"),
        ("species: [{held_out: X, token: <R>, held_out: Y}]", "held_out is given twice"),
        ("species: [{name: a, token: <R>}]\nfolder: b", "unknown key 'folder'"),
    ],
)
def test_files_that_are_no_manifest(tmp_path: Path, content: bytes | str, message: str) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ValueError, match=message) as error:
        load_manifest(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_what_must_fit_together(folder: Path) -> None:
    (folder / "b.fa").write_text(">b\nACGT\n")
    twice = [entry(), entry(files=["b.fa"])]
    with pytest.raises(ValueError, match="species yeast is listed twice"):
        load_manifest(write(folder, *twice))
    with pytest.raises(ValueError, match=r"file .*yeast\.fa is listed twice"):
        load_manifest(write(folder, entry(), entry(name="b", files=["./yeast.fa"])))
    with pytest.raises(ValueError, match="1 of 2 species have a weight: all or none"):
        load_manifest(write(folder, entry(), entry(name="b", files=["b.fa"], weight=1)))


def test_genomes_that_are_still_to_be_fetched(folder: Path) -> None:
    source = {"accession": "GCF_000146045.2"}
    path = write(folder, entry(files=[], source=source, leave_out=["not looked at"]))
    with pytest.raises(ValueError, match=f"no files yet: .* genomes fetch {path} --folder"):
        open_species(load_manifest(path))
    # a file that was deleted can be fetched again
    path = write(folder, entry(files=["gone.fa.gz"], source=source))
    manifest = load_manifest(path)
    assert manifest.files(manifest.species[0]) == [folder / "gone.fa.gz"]
    with pytest.raises(ValueError, match=rf"no file .*gone\.fa\.gz: .*fetch {path} --folder"):
        open_species(manifest)


def test_a_bad_genome_is_named(folder: Path) -> None:
    (folder / "yeast.fa").write_text("no FASTA")
    with pytest.raises(GenomeError, match=r"yeast\.fa: no FASTA file"):
        divided(write(folder, entry()))


def test_where_manifests_are_found(tmp_path: Path) -> None:
    path = write(tmp_path, entry(files=[]))
    assert manifest_path(path) == manifest_path(str(path)) == path
    with pytest.raises(ValueError, match="ready manifest: those are dnagpt-h, dnagpt-m"):
        manifest_path("dnagpt-x")
    with pytest.raises(ValueError, match="no such file"):
        load_manifest(tmp_path / "none.yaml")
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        load_manifest(tmp_path)
    assert manifest_path("dnagpt-s-512") == manifest_path("dnagpt-b-512")


@pytest.mark.parametrize("name", READY)
def test_ready_manifests_are_understood_by_fetch(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = load_manifest(manifest_path(name))
    monkeypatch.setattr("dnagpt_hf.genomes.download.requests.reference_genomes", lambda *_: [])
    requests = manifest_requests(manifest, HttpClient())
    expected = [] if name == "dnagpt-s-b-512" else [one.token for one in manifest.species]
    assert [one.entry["token"] for one in requests] == expected
    with pytest.raises(ValueError, match=f"fetch it first, by dnagpt genomes fetch {name} "):
        open_species(manifest)


def test_ready_manifests_are_those_of_the_models() -> None:
    assert READY == ["dnagpt-h", "dnagpt-m", "dnagpt-s-b-512"]
    human, nine, mammals = (load_manifest(manifest_path(name)) for name in READY)
    assert nine.species[0] == human.species[0]
    assert {one.token: one.name for one in nine.species} == {
        token: name.lower() for token, name in SPECIES.items()
    }
    assert {one.name for one in nine.species} == set(PUBLISHED_BASES)
    assert all(isinstance(one.source, EnsemblSource) for one in nine.species)
    (mammal,) = mammals.species
    assert mammal.source == TaxonSource(taxon="40674")


def test_ready_manifests_leave_out_scaffolds_and_organelles(tmp_path: Path) -> None:
    records = {
        "homo_sapiens": "1 2 21 22 X Y MT KI270728.1 GL000009.2",
        "mus_musculus": "1 19 X Y MT GL456210.1 JH584299.1 MU069434.1",
        "bos_taurus": "1 25 29 X MT NKLS02000009.1",
        "danio_rerio": "1 25 MT KN149696.2 KZ114996.1",
        "drosophila_melanogaster": "2L 2R 3L 3R 4 X Y mitochondrion_genome rDNA 211000022278279",
        "saccharomyces_cerevisiae": "I II XVI Mito",
    }
    left_out = {
        "homo_sapiens": {"KI270728.1", "GL000009.2"},
        "mus_musculus": {"MT", "GL456210.1", "JH584299.1", "MU069434.1"},
        "bos_taurus": {"MT", "NKLS02000009.1"},
        "danio_rerio": {"MT", "KN149696.2", "KZ114996.1"},
        "drosophila_melanogaster": {"mitochondrion_genome", "rDNA", "211000022278279"},
        "saccharomyces_cerevisiae": {"Mito"},
    }
    nine = load_manifest(manifest_path("dnagpt-m"))
    for one in nine.species:
        if one.name not in records:
            continue
        names = records[one.name].split()
        (tmp_path / f"{one.name}.fa").write_text("".join(f">{name}\nACGT\n" for name in names))
        fields = {key: list(getattr(one, key)) for key in ("leave_out", "held_out")}
        species = divided(write(tmp_path, entry(files=[f"{one.name}.fa"], **fields)))
        assert len(species.held_out) == 1
        used = {part.name for part in (*species.training, *species.held_out)}
        assert set(names) - used == left_out[one.name]


def test_manifests_are_values(folder: Path) -> None:
    path = write(folder, entry())
    assert load_manifest(path) == load_manifest(str(path))
    assert isinstance(load_manifest(path), Manifest)
    assert manifest_module.READY_MANIFESTS.is_dir()
