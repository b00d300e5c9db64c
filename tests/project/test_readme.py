"""Every Python block and every `dnagpt` command of the README, executed in its order."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from parity import STAND_IN, make_state_dict
from typer.testing import CliRunner

from dnagpt_hf.cli import app

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
# the task of the section on fine-tuning, whose first line names its file
TASK = re.search(r"^```yaml\n# (promoters\.yaml)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
BLOCKS = re.findall(r"^```(bash|python)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme")
    torch.save({"model": make_state_dict(STAND_IN)}, folder / "dna_gpt0.1b_m.pth")
    (folder / "sequences.fasta").write_text(">one\nATCGTAGGCTTAGC\n>two\nGGGCCCAAAT\n")
    (folder / "genes.csv").write_text("promoter,halflife\nATCGTAGG,0.5\nGGCCTTAA,-1.25\n")
    dna = "".join(np.random.default_rng(0).choice(list("ACGT"), 4000))
    (folder / "genome.fa").write_text(f">chr1\n{dna}\n")
    (folder / "calls.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        f"chr1\t2001\t.\t{dna[2000]}\t{'CGTA'['ACGT'.index(dna[2000])]}\t.\t.\t.\n"
    )
    (folder / "genomes.yaml").write_text(
        "species:\n  - {name: yeast, token: <U>, files: [genome.fa], held_out: ['chr1:1-1000']}\n"
    )
    (folder / "pretrain.yaml").write_text(
        "preset: dnagpt-test\ngenomes: genomes.yaml\nuse_cpu: true\neval_rows: 2\n"
        "per_device_train_batch_size: 2\neval_strategy: steps\n"
    )
    assert TASK is not None
    (folder / TASK[1]).write_text(TASK[2])
    generator = np.random.default_rng(1)
    rows = ["".join(generator.choice(list("ACGT"), 60)) + f",{n % 2}" for n in range(60)]
    (folder / "promoters.csv").write_text("\n".join(["sequence,label", *rows]) + "\n")
    window = "".join(generator.choice(list("ACGT"), 606))
    (folder / "windows.fasta").write_text(f">one\n{window}\n")
    return folder


def test_the_readme_has_what_this_file_looks_for():
    assert {language for language, _ in BLOCKS} == {"bash", "python"}
    assert sum(text.count("dnagpt ") for language, text in BLOCKS if language == "bash") >= 15


def test_blocks_in_order(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    for language, text in BLOCKS:
        if language == "python":
            exec(text, names)
            continue
        for line in text.strip().splitlines():
            program, *arguments = shlex.split(line)
            assert program == "dnagpt", line
            if arguments[0] == "convert":
                arguments += ["--num-heads", "2"]
            if arguments[1] == "pas-classifier":
                arguments[1] = "dnagpt-m"
            result = CliRunner().invoke(app, arguments)
            assert result.exit_code == 0, f"{line}: {result.output}"
    printed = capsys.readouterr().out
    assert "<R>ATCGTAGGCTTAGC<+><M>-0.5 0.25<=><M>" in printed
    assert "torch.Size([2, 12, 192])" in printed
    assert Path("expression.tsv").read_text().count("\n") == 3
    assert Path("embeddings.npz").is_file()
    assert "DNAGPT_LLR=" in Path("scored.vcf").read_text()
    assert Path("promoters/predictions.parquet").is_file()
    assert Path("evaluation/roc.png").is_file()
    assert Path("answers.tsv").read_text().count("\n") == 61
    assert Path("attention.png").is_file()
    assert Path("tracks.svg").is_file()
