"""A disk without room: one line says so, nothing is left half-written, and what was there stays.

A limit on the size of files stands for the full disk, since it needs no rights.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from finetuning_runs import content_of, planted, write_base, write_table
from haplotype_sets import make_haplotypes
from typer.testing import CliRunner
from variant_files import lines, write_genome, write_vcf

from dnagpt_hf.cli import app
from dnagpt_hf.haplotypes.files.formats import write_haplotypes

MODEL, TABLE = "dnagpt-tiny-pas", "windows.fa"
WINDOWS = ("windows", "sites.bed", "windows.fa", "--anchor", "start")


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file grow beyond a number of bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_base(folder / "base")
    rows = planted(24, bases=606)
    (folder / "windows.fa").write_text(
        "".join(f">r{number}\n{row['sequence']}\n" for number, row in enumerate(rows))
    )
    write_table(folder / "table.csv", rows)
    (folder / "sites.bed").write_text("".join(f"r{n}\t300\t301\n" for n in range(24)))
    write_haplotypes(make_haplotypes(30), folder / "real.hapt")
    assert invoke("export", folder / "base", folder / "base.pth").exit_code == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        # writes the index of the genome
        assert invoke("data", *WINDOWS, "--upstream", 9, "--downstream", 9).exit_code == 0
    return folder


@pytest.mark.parametrize(
    ("output", "size", "arguments"),
    [
        ("model", 20_000, ("init", "{}", "--preset", "dnagpt-test")),
        ("model", 100_000, ("init", "{}", "--preset", "dnagpt-test")),
        ("model", 100_000, ("convert", "base.pth", "{}", "--num-heads", 4)),
        ("base.pth", 20_000, ("export", "base", "{}")),
        ("a.csv", 200, ("predict", MODEL, TABLE, "--output", "{}")),
        ("a.tsv.gz", 50, ("predict", MODEL, TABLE, "--output", "{}")),
        ("a.npz", 2_000, ("embed", MODEL, TABLE, "--output", "{}")),
        ("a.npz", 13_000, ("embed", MODEL, TABLE, "--output", "{}")),
        ("a.parquet", 13_000, ("embed", MODEL, TABLE, "--output", "{}")),
        ("a.safetensors", 12_400, ("embed", MODEL, TABLE, "--output", "{}")),
        ("a.fa", 100, ("generate", "base", "-p", "<R>ACGT", "--bases", 150, "--output", "{}")),
        ("a.png", 5_000, ("attention", MODEL, TABLE, "--record", 1, "--output", "{}")),
        ("a.pdf", 5_000, ("attention", MODEL, TABLE, "--record", 1, "--output", "{}")),
        ("a.npz", 5_000, ("attention", MODEL, TABLE, "--record", 1, "--arrays", "{}")),
        ("a.csv", 500, ("data", *WINDOWS, "--upstream", 9, "--downstream", 9, "--output", "{}")),
        ("a.bedgraph", 5_000, ("score", "base", TABLE, "--per-base", "{}")),
        ("a.bg.gz", 5_000, ("score", "base", TABLE, "--per-base", "{}")),
        ("a.parquet", 5_000, ("score", "base", TABLE, "--per-base", "{}", "--all-bases")),
        ("a.npz", 5_000, ("score", "base", TABLE, "--per-base", "{}", "--all-bases")),
        ("a.hapt", 5_000, ("haplotypes", "convert", "real.hapt", "{}")),
        ("a.npz", 1_000, ("haplotypes", "convert", "real.hapt", "{}")),
        ("a.npy", 1_000, ("haplotypes", "convert", "real.hapt", "{}")),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_a_command_says_which_file_has_no_room(
    inputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    output: str,
    size: int,
    arguments: tuple[object, ...],
) -> None:
    monkeypatch.chdir(inputs)
    folder = tmp_path / "outputs"
    folder.mkdir()
    target = folder / output
    if target.suffix:
        target.write_text("of an earlier run")
    else:
        target.mkdir()
        (target / "config.json").write_text("of an earlier run")
    before = contents(folder), contents(inputs)
    command = [str(argument).replace("{}", str(target)) for argument in arguments]
    with room_for(size):
        result = invoke(*command, "--overwrite")
    assert result.exit_code == 1, result.output
    said = result.stderr.splitlines()[-1]
    assert said.startswith(f"dnagpt: error: {target}") and said.endswith(": File too large")
    assert "Traceback" not in result.stderr
    assert (contents(folder), contents(inputs)) == before


def test_an_evaluation_is_written_whole_or_not_at_all(inputs: Path, tmp_path: Path) -> None:
    task = "<R>{sequence}<=><B>{label}"
    output = tmp_path / "evaluation"
    command: Any = ("evaluate", inputs / "base", inputs / "table.csv", "--template", task)
    command += ("--answers", "A=signal,N=none", "--truncate", "left", "--output", output)
    with room_for(20_000):
        result = invoke(*command)
    assert result.exit_code == 1
    assert f"{output}/roc.png: File too large" in result.stderr
    assert not output.exists()
    assert invoke(*command).exit_code == 0
    assert {"metrics.json", "metrics.md", "roc.png"} <= set(contents(output))


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (600, "data.json: File too large"),
        # model.safetensors, and optimizer.pt
        (100_000, "could not be written (File too large): make room and start"),
        (200_000, "could not be written (File too large): make room and start"),
    ],
)
def test_a_training_keeps_what_it_can_resume_from(
    inputs: Path, tmp_path: Path, size: int, said: str
) -> None:
    table = write_table(tmp_path / "table.csv", planted(24))
    content = content_of(inputs / "base", table, tmp_path / "out", num_train_epochs=1)
    (tmp_path / "task.yaml").write_text(yaml.safe_dump(content))
    with room_for(size):
        result = invoke("finetune", tmp_path / "task.yaml")
    assert result.exit_code == 1
    assert said in result.stderr.splitlines()[-1]
    assert not list(tmp_path.glob("out/checkpoint-*")) and not list(tmp_path.glob("out/*partial*"))
    assert invoke("finetune", tmp_path / "task.yaml").exit_code == 0


def test_the_final_model_replaces_that_of_an_earlier_run_when_it_is_whole(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = write_table(tmp_path / "table.csv", planted(24))
    content = content_of(inputs / "base", table, tmp_path / "out", num_train_epochs=1)
    (tmp_path / "task.yaml").write_text(yaml.safe_dump(content))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.safetensors").write_text("of an earlier run")
    from dnagpt_hf.finetuning.run import write_model

    def write_without_room(*arguments: Any) -> None:
        with room_for(100_000):
            write_model(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("dnagpt_hf.finetuning.run.write_model", write_without_room)
        result = invoke("finetune", tmp_path / "task.yaml")
    assert result.exit_code == 1
    assert result.stderr.endswith(f"dnagpt: error: {tmp_path / 'out'}: File too large\n")
    assert (tmp_path / "out" / "model.safetensors").read_text() == "of an earlier run"
    assert not (tmp_path / "out" / "config.json").exists()
    (checkpoint,) = tmp_path.glob("out/checkpoint-*")
    written = checkpoint.stat().st_mtime_ns
    assert invoke("finetune", tmp_path / "task.yaml").exit_code == 0
    assert (tmp_path / "out" / "model.safetensors").stat().st_size > 100_000
    assert checkpoint.stat().st_mtime_ns == written


def test_a_device_without_room(inputs: Path) -> None:
    result = invoke("predict", MODEL, inputs / TABLE, "--output", "/dev/full")
    assert result.exit_code == 1
    assert result.stderr == "dnagpt: error: /dev/full: No space left on device\n"


@pytest.mark.parametrize(
    ("command", "format"),
    [
        *(("variants", format) for format in ("tsv", "vcf", "vcf.gz", "bcf")),
        *(("convert", format) for format in ("vcf", "vcf.gz", "bcf")),
    ],
)
def test_files_of_variants(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, format: str
) -> None:
    for package in ("cyvcf2", "pysam"):
        pytest.importorskip(package)
    genome = write_genome(tmp_path)
    variants = write_vcf(tmp_path / "in.vcf", lines())
    arguments: tuple[object, ...] = ("haplotypes", "convert", inputs / "real.hapt")
    if command == "variants":
        arguments = ("variants", "dnagpt-tiny", variants, genome, "--output")
        assert invoke(*arguments, tmp_path / "first.tsv").exit_code == 0
    before = contents(tmp_path)
    output = tmp_path / f"out.{format}"
    with room_for(300):
        result = invoke(*arguments, output)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == f"dnagpt: error: {output}: File too large"
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("> /dev/full", "dnagpt: error: standard output: No space left on device\n"),
        (">&-", "dnagpt: error: standard output is closed: state a file (--output)\n"),
        ("| true", ""),
    ],
)
def test_standard_output_without_room_and_closed_pipes(
    inputs: Path, output: str, said: str
) -> None:
    table = f"{inputs}/sites.bed {inputs}/windows.fa --anchor start --upstream 9 --downstream 9"
    program = f"{sys.executable} -m dnagpt_hf data windows {table}"
    status = "status=${PIPESTATUS[0]}; exit $status"
    result = subprocess.run(
        ["bash", "-c", f"{program} {output}; {status}"], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr.replace("24 signal\n", "")) == (1, said)
