"""`dnagpt haplotypes generate`, from a checkpoint folder to files of haplotypes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from haplotype_sets import make_haplotypes, make_sites
from typer.testing import CliRunner, Result

from dnagpt_hf import DNAGPTForMultiTask
from dnagpt_hf.cli.application import app
from dnagpt_hf.haplotypes.files.formats import read_haplotypes, write_haplotypes
from dnagpt_hf.haplotypes.files.hapt import write_legend
from dnagpt_hf.haplotypes.format import LEGEND, HaplotypeFormat
from dnagpt_hf.presets import preset_config, preset_tokenizer

SITES = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    form = HaplotypeFormat.of_populations(SITES, ["AFR", "EUR"])
    config = preset_config("dnagpt-test", haplotypes=form.as_dict())
    DNAGPTForMultiTask(config).save_pretrained(folder)
    preset_tokenizer("dnagpt-test").save_pretrained(folder)
    write_legend(make_sites(SITES), folder / LEGEND, overwrite=True)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["haplotypes", "generate", *map(str, arguments)])


def generate(folder: Path, output: Path, *arguments: object) -> Result:
    result = run(
        folder, "--number", 7, "--constrained", "--device", "cpu", "-o", output, *arguments
    )
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize("ending", [".hapt", ".hapt.gz", ".npz", ".vcf.gz"])
def test_files(folder: Path, tmp_path: Path, ending: str) -> None:
    if ending == ".vcf.gz":
        pytest.importorskip("cyvcf2")
    output = tmp_path / f"genomes{ending}"
    result = generate(folder, output, "--population", "EUR")
    assert "7 genomes of 40 sites; 0 sequences rejected" in result.output
    genomes = read_haplotypes(output)
    assert genomes.alleles.shape == (7, SITES)
    assert genomes.sites.positions.tolist() == make_sites(SITES).positions.tolist()
    assert not list(tmp_path.glob("*.partial"))
    again = tmp_path / f"again{ending}"
    generate(folder, again, "--population", "EUR", "--batch-size", 2)
    assert np.array_equal(read_haplotypes(again).alleles, genomes.alleles)


def test_prefix(folder: Path, tmp_path: Path) -> None:
    known = make_haplotypes(1, SITES).take_sites(np.arange(9))
    write_haplotypes(known, tmp_path / "known.npz")
    output = tmp_path / "genomes.npz"
    generate(folder, output, "--population", "AFR", "--prefix", tmp_path / "known.npz")
    alleles = read_haplotypes(output).alleles
    assert np.array_equal(alleles[:, :9], known.alleles[np.arange(7) % 2])
    moved = make_haplotypes(1, SITES).take_sites(np.arange(1, 9))
    write_haplotypes(moved, tmp_path / "moved.npz")
    arguments = ("--population", "AFR", "--prefix", tmp_path / "moved.npz")
    result = run(folder, "-o", tmp_path / "no.npz", *arguments)
    assert result.exit_code != 0
    assert "is not the model's site 1" in result.stderr


def test_what_is_refused_before_work_begins(folder: Path, tmp_path: Path) -> None:
    for output, message in (
        (tmp_path / "genomes.txt", "its ending names no format"),
        (folder / "config.json", "is read by this command"),
    ):
        result = run(folder, "-o", output)
        assert result.exit_code != 0
        assert message in result.stderr
    (tmp_path / "genomes.legend").write_text("mine")
    result = run(folder, "-o", tmp_path / "genomes.hapt")
    assert "genomes.legend exists" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["genomes.legend"]


def test_rejection_is_reported(folder: Path, tmp_path: Path) -> None:
    arguments = ("--number", 2, "--max-tries", 2, "-o", tmp_path / "genomes.npz")
    result = run(folder, *arguments)
    assert "was not valid in 2 tries" in result.stderr


def test_a_run_whose_output_had_no_room_resumes(folder: Path, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    pytest.importorskip("cyvcf2")
    output = tmp_path / "genomes.vcf"
    arguments = (folder, "--population", "EUR", "--number", 40, "--constrained", "-o", output)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # the finished sequences fit, the genomes do not
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, limits[1]))
    try:
        result = run(*arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert result.exit_code == 1 and f"error: {output}" in result.stderr
    partial = tmp_path / "genomes.vcf.partial"
    assert list(tmp_path.iterdir()) == [partial]
    before = partial.read_bytes()
    assert "40 genomes" in run(*arguments, "--device", "cpu").output
    assert len(before) > 2_000 and list(tmp_path.iterdir()) == [output]
