"""The example scripts of fine-tuning, run on small files."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dnagpt_hf.cli import app

EXAMPLES = Path(__file__).parents[2] / "examples"
FEATURES = (
    *("UTR5LEN", "CDSLEN", "INTRONLEN", "UTR3LEN"),
    *("UTR5GC", "CDSGC", "UTR3GC", "ORFEXONDENSITY"),
)
QUICK = [
    *("--max_steps", "2", "--eval_strategy", "steps", "--eval_steps", "2"),
    *("--save_strategy", "steps", "--save_steps", "2", "--disable_tqdm", "true"),
    *("--use_cpu", "true", "--per_device_train_batch_size", "4"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the smallest sizes."""
    from dnagpt_hf.checkpoints.saving import init_checkpoint

    return init_checkpoint("dnagpt-test", tmp_path_factory.mktemp("model") / "small")


def dna(generator: np.random.Generator, length: int) -> str:
    return "".join(generator.choice(list("ACGT"), length))


def run(name: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


@pytest.mark.parametrize("head", ["language", "classification"])
def test_gsr(
    head: str,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    generator = np.random.default_rng(0)
    for name in ("positives", "negatives"):
        records = [f">{n}\n{dna(generator, 30)}AATAAA{dna(generator, 30)}\n" for n in range(24)]
        (tmp_path / f"{name}.fa").write_text("".join(records))
    output = tmp_path / "tuned"
    files = [
        *("--positives", str(tmp_path / "positives.fa")),
        *("--negatives", str(tmp_path / "negatives.fa")),
    ]
    run(
        "finetune_gsr.py",
        [
            *files,
            *("--flank", "30", "--model", str(model), "--output_dir", str(output)),
            *("--head", head, "--bootstrap", "20", *QUICK),
        ],
        monkeypatch,
    )
    assert "mcc" in capsys.readouterr().out
    config = json.loads((output / "config.json").read_text())
    # the signal is not read: 60 bases are 10 tokens, and the species is one
    assert config["task"]["sequences"]["sequence"] == {"cut_out": [30, 36], "length": 66}
    tokens = json.loads((output / "data.json").read_text())["parts"]["train"]["tokens"]
    assert tokens["most"] == (13 if head == "language" else 11)


def test_mrna(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    generator = np.random.default_rng(0)
    lines = ["\t".join(("ENSID", "EXPRESSION", *FEATURES, "PROMOTER"))]
    for number in range(30):
        values = generator.uniform(0.1, 5, 1 + len(FEATURES))
        lines.append("\t".join((f"g{number}", *map(str, values), dna(generator, 80))))
    (tmp_path / "genes.tsv").write_text("\n".join(lines) + "\n")
    run(
        "finetune_mrna.py",
        [
            *("--data", f"{{files: {tmp_path / 'genes.tsv'}}}", "--window", "10", "70"),
            *("--model", str(model), "--output_dir", str(tmp_path / "tuned")),
            *("--bootstrap", "20", *QUICK),
        ],
        monkeypatch,
    )
    assert "r2" in capsys.readouterr().out
    task = json.loads((tmp_path / "tuned" / "config.json").read_text())["task"]
    # eight features and the answer
    assert len(task["standardization"]) == 9
    assert "{species}" not in task["template"]


def test_classification(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    generator = np.random.default_rng(0)
    for name in ("train", "test"):
        rows = [f"{dna(generator, 40)},{number % 3}" for number in range(12)]
        rows[5:5] = ["NANA,NA", "ACGT,"]
        (tmp_path / f"{name}.csv").write_text("\n".join(["sequence,label", *rows]) + "\n")
    run(
        "finetune_classification.py",
        [
            *("--train_file", str(tmp_path / "train.csv")),
            *("--test_file", str(tmp_path / "test.csv")),
            *("--model", str(model), "--output_dir", str(tmp_path / "tuned")),
            *("--max_steps", "2", "--use_cpu", "true", "--report_to", "none"),
        ],
        monkeypatch,
    )
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    metrics = {line[0]: float(line[1]) for line in printed if line[0].startswith("eval_")}
    config = json.loads((tmp_path / "tuned" / "config.json").read_text())
    assert config["id2label"] == {"0": "0", "1": "1", "2": "2"}
    # the command line reads the same prompt, and gives the same figures
    folder, output = tmp_path / "tuned", tmp_path / "evaluated"
    table = ["evaluate", str(folder), str(tmp_path / "test.csv"), "--no-plots", "-o", str(output)]
    result = CliRunner().invoke(app, table)
    assert result.exit_code == 0, result.output
    found = json.loads((output / "metrics.json").read_text())
    assert found["records"] == 12
    for name in ("loss", "accuracy", "mcc", "auroc"):
        assert found["metrics"][name] == pytest.approx(metrics[f"eval_{name}"], abs=1e-4), name


def test_benchmark_is_run_once_for_each_task(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    generator = np.random.default_rng(0)
    for task in ("first", "second"):
        (tmp_path / task).mkdir()
        for part in ("train", "dev", "test"):
            rows = [f"{dna(generator, 36)},{number % 2}" for number in range(16)]
            text = "\n".join(["sequence,label", *rows]) + "\n"
            (tmp_path / task / f"{part}.csv").write_text(text)
    arguments = [
        *("--kind", "gue", "--folders", str(tmp_path / "first"), str(tmp_path / "second")),
        *("--model", str(model), "--output_dir", str(tmp_path / "results")),
        *("--seeds", "[0, 1]", "--bootstrap", "0", *QUICK),
    ]
    run("run_benchmark.py", arguments, monkeypatch)
    table = (tmp_path / "results" / "results.md").read_text()
    assert capsys.readouterr().out.endswith(table)
    assert [line.split(" | ")[0] for line in table.splitlines()[2:]] == [
        "| first",
        "| second",
        "| mean",
    ]
    assert "±" in table
    monkeypatch.setattr("dnagpt_hf.finetuning.run.finetune", None)
    run("run_benchmark.py", arguments, monkeypatch)
    assert capsys.readouterr().out == table


@pytest.mark.parametrize(
    "name", ["finetune_gsr.py", "finetune_mrna.py", "finetune_classification.py"]
)
def test_an_error_is_one_line(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.csv")
    arguments = {
        "finetune_gsr.py": ["--positives", missing, "--negatives", missing],
        "finetune_mrna.py": ["--data", f"{{files: {missing}}}"],
        "finetune_classification.py": ["--train_file", missing, "--test_file", missing],
    }[name]
    with pytest.raises(SystemExit) as error:
        run(name, [*arguments, "--output_dir", str(tmp_path / "out")], monkeypatch)
    assert str(error.value).startswith(f"{name}: error: ")
    assert "missing.csv" in str(error.value)
    assert "\n" not in str(error.value)
