"""Outputs that would take the place of what a command reads, and links that lead nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from dnagpt_hf.cli import app

VCF = (
    "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\nc\t9\t.\tA\tC\t.\t.\t.\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.fa").write_text(">c\n" + "ACGT" * 50 + "\n")
    (tmp_path / "a.vcf").write_text(VCF)
    (tmp_path / "a.csv").write_text("sequence\nACGT\n")
    (tmp_path / "b.csv").symlink_to("a.csv")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("{}")
    (tmp_path / "m" / "model.safetensors").write_text("weights")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


READ = "is read by this command, which would replace it: choose another name"
TWICE = "is stated twice, as output and per_base: choose two"
LOOP = "is a link that leads to itself: remove it"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("predict dnagpt-tiny-pas a.csv -o a.csv", f"a.csv {READ}"),
        ("predict dnagpt-tiny-pas a.csv -o ./b.csv", f"./b.csv {READ}"),
        ("score dnagpt-tiny a.csv -o a.csv", f"a.csv {READ}"),
        ("score dnagpt-tiny a.fa -o c.tsv --per-base c.tsv", f"c.tsv {TWICE}"),
        ("variants dnagpt-tiny a.vcf a.fa -o a.vcf", f"a.vcf {READ}"),
        ("embed m a.fa -o m/model.safetensors", f"m/model.safetensors {READ}"),
        ("export m m/model.safetensors", f"m/model.safetensors {READ}"),
        ("haplotypes convert a.vcf a.vcf", f"a.vcf {READ}"),
        ("data genes a.vcf a.fa -o a.vcf", f"a.vcf {READ}"),
        ("predict dnagpt-tiny-pas a.csv -o loop.csv", f"loop.csv {LOOP}"),
        ("init loop --preset dnagpt-test", f"loop {LOOP}"),
    ],
)
def test_an_output_that_must_not_be_written(folder: Path, command: str, said: str) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    result = CliRunner().invoke(app, [*command.split(), "--overwrite"])
    assert result.output == f"dnagpt: error: {said}\n"
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
