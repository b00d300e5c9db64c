"""The command as a whole, and the commands on checkpoints."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTForSequenceClassification, DNAGPTTokenizer
from dnagpt_hf.cli import app
from dnagpt_hf.cli.application import one_line
from dnagpt_hf.presets import PRESETS, preset_config

COMMANDS = ["convert", "export", "init", "info", "generate", "predict", "embed", "plan", "pretrain"]


def run(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == status, result.output
    return result.output


def refused(*arguments: object) -> str:
    """The one line on standard error of a command that ends with status 1."""
    output = run(*arguments, status=1)
    assert output.startswith("dnagpt: error: ")
    assert output.count("\n") == 1
    return output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoints") / "tiny"
    run("init", path, "--preset", "dnagpt-test")
    return path


def weights(path: Path) -> dict[str, torch.Tensor]:
    return DNAGPTForMultiTask.from_pretrained(path).state_dict()


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(command: str) -> None:
    assert "--help" in run(command, "--help")


def test_help_is_quick_because_it_imports_little() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "dnagpt_hf", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert all(command in result.stdout for command in COMMANDS)
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & {"torch", "transformers", "numpy", "pyarrow", "safetensors", "datasets"}
    # the processor's time, which does not depend on what else runs
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


def test_version_and_errors_in_the_command() -> None:
    assert run("--version").startswith("dnagpt ")
    assert "No such command" in run("translate", status=2)
    assert "Missing argument" in run("predict", status=2)
    assert "--pooling" in run("embed", "a", "b", "-o", "c", "--pooling", "median", status=2)


def test_init_makes_a_complete_folder(folder: Path) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer_config.json", "README.md"):
        assert (folder / name).is_file()
    assert weights(folder)["model.embed_positions.weight"].shape == (64, 32)


def test_init_takes_sizes_and_seeds(tmp_path: Path, folder: Path) -> None:
    sizes = ("--positions", 32, "--layers", 1, "--hidden-size", 16, "--heads", 2)
    run("init", tmp_path / "a", "--preset", "dnagpt-test", "--seed", 5, *sizes)
    run("init", tmp_path / "b", "--preset", "dnagpt-test", "--seed", 5, *sizes)
    run("init", tmp_path / "c", "--preset", "dnagpt-test", "--seed", 6, *sizes)
    assert equal(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not equal(weights(tmp_path / "a"), weights(tmp_path / "c"))
    facts = json.loads(run("info", tmp_path / "a", "--json"))
    assert (facts["positions"], facts["layers"], facts["hidden_size"], facts["heads"]) == (
        32,
        1,
        16,
        2,
    )


def test_init_with_other_kmers(tmp_path: Path, folder: Path) -> None:
    run("init", tmp_path / "a", "--preset", "dnagpt-test", "--kmer-size", 3)
    tokenizer = DNAGPTTokenizer.from_pretrained(tmp_path / "a")
    model = DNAGPTForMultiTask.from_pretrained(tmp_path / "a")
    assert tokenizer.kmer_size == model.config.kmer_size == 3
    assert tokenizer.number_token_id == model.config.number_token_id == 34 + 5 + 25 + 125
    before = json.loads((folder / "tokenizer_config.json").read_text())
    after = json.loads((tmp_path / "a" / "tokenizer_config.json").read_text())
    assert after == before | {"kmer_size": 3}
    facts = json.loads(run("info", tmp_path / "a", "--json"))
    assert facts["longest_sequence_bp"] == 64 * 3


def test_init_refuses(tmp_path: Path, folder: Path) -> None:
    assert "exists" in refused("init", folder)
    assert "dnagpt-h" in refused("init", tmp_path / "a", "--preset", "dnagpt-x")
    assert "not a multiple" in refused(
        "init", tmp_path / "a", "--preset", "dnagpt-test", "--heads", 5
    )
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("keep")
    assert "config.json" in refused("init", tmp_path / "notes", "--overwrite")
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_export_and_convert_give_the_same_weights_back(tmp_path: Path, folder: Path) -> None:
    run("export", folder, tmp_path / "a.pth")
    assert "exists" in refused("export", folder, tmp_path / "a.pth")
    output = run("convert", tmp_path / "a.pth", tmp_path / "back", "--num-heads", 4)
    assert "2 layers, 4 heads, width 32, 64 positions, 19,565 tokens, float32" in output
    run("export", tmp_path / "back", tmp_path / "b.pth")
    one, other = (torch.load(tmp_path / name, weights_only=True) for name in ("a.pth", "b.pth"))
    assert equal(one, other)
    assert equal(
        other,
        one | {"transformer.wte.weight": weights(folder)["model.embed_tokens.weight"][:19564]},
    )
    run("export", tmp_path / "back", tmp_path / "a.pth", "--overwrite")
    half = ("--dtype", "float16", "--max-shard-size", "1MB")
    run("convert", tmp_path / "a.pth", tmp_path / "back", "--num-heads", 4, "--overwrite", *half)
    assert weights(tmp_path / "back")["model.norm.weight"].dtype == torch.float16
    assert len(list((tmp_path / "back").glob("*.safetensors"))) > 1


def test_convert_says_which_head_a_file_lacks(tmp_path: Path, folder: Path) -> None:
    run("export", folder, tmp_path / "a.pth")
    state_dict = torch.load(tmp_path / "a.pth", weights_only=True)
    kept = {name: value for name, value in state_dict.items() if "num_regression" not in name}
    torch.save({"model": kept}, tmp_path / "b.pth")
    output = run("convert", tmp_path / "b.pth", tmp_path / "b", "--num-heads", 4)
    assert "dnagpt: warning: b.pth lacks num_regression" in output


def test_convert_refuses(tmp_path: Path, folder: Path) -> None:
    run("export", folder, tmp_path / "a.pth")
    content = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "text.pth").write_text("ACGT")
    torch.save({"other.weight": torch.ones(2)}, tmp_path / "other.pth")
    torch.save({"code": Path("x")}, tmp_path / "code.pth")
    before = sorted(tmp_path.iterdir())
    assert "--num-heads" in refused("convert", tmp_path / "a.pth", tmp_path / "new")
    for name in ("cut", "empty", "text", "other", "code", "none"):
        assert f"{name}.pth" in refused("convert", tmp_path / f"{name}.pth", tmp_path / "new")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("preset", ["dnagpt-h", "dnagpt-b-512"])
def test_info_of_a_preset(preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    facts = json.loads(run("info", preset, "--json"))
    assert facts["hidden_size"] == PRESETS[preset].hidden_size
    assert facts["longest_sequence_bp"] == 6 * PRESETS[preset].max_position_embeddings
    size = facts["parameters"] / 1e9
    assert size == pytest.approx({"dnagpt-h": 0.1, "dnagpt-b-512": 3}[preset], rel=0.15)
    assert facts["vocabulary"] == {"dnagpt-h": "fixed", "dnagpt-b-512": "dynamic"}[preset]


def test_info_of_a_folder(tmp_path: Path, folder: Path) -> None:
    facts = json.loads(run("info", folder, "--json"))
    assert facts["parameters"] == sum(weight.numel() for weight in weights(folder).values())
    assert facts["dtype"] == "float32"
    assert "labels" not in facts
    assert "longest sequence bp  384" in run("info", folder)
    config = preset_config(
        "dnagpt-test", id2label={0: "exon", 1: "intron"}, problem_type="multi_label_classification"
    )
    DNAGPTForSequenceClassification(config).save_pretrained(tmp_path / "labels")
    DNAGPTTokenizer().save_pretrained(tmp_path / "labels")
    facts = json.loads(run("info", tmp_path / "labels", "--json"))
    assert facts["labels"] == {"0": "exon", "1": "intron"}
    assert "0: exon, 1: intron" in run("info", tmp_path / "labels")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is an empty folder"),
        ("{", "config.json is not JSON"),
        ("[]", "config.json holds a list"),
        ('{"model_type": "gpt2"}', "model_type is 'gpt2', not 'dnagpt'"),
        ('{"model_type": "dnagpt"}', r"architectures is []"),
    ],
)
def test_wrong_folders(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    assert message in refused("info", tmp_path)


def test_info_of_what_a_model_was_trained_for() -> None:
    facts = json.loads(run("info", "dnagpt-tiny-pas", "--json"))
    assert facts["template"] == "<R>{sequence}<=><B>{label}"
    assert facts["sequences"] == {"sequence": {"cut_out": [300, 306], "length": 606}}


def test_a_missing_folder_beside_others_is_no_name_of_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "a.fa").write_text(">a\nACGT\n")
    monkeypatch.chdir(tmp_path)
    assert "runs/best: no such checkpoint folder" in refused("predict", "runs/best", "a.fa")
    assert "runs/best: no such checkpoint folder" in refused("info", "runs/best")


def test_neither_folder_nor_preset() -> None:
    assert "neither a folder, a bundled model nor a preset" in refused("info", "dnagpt-x")


def test_errors_are_shown_in_full_when_asked_for(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--debug", "info", str(tmp_path)])
    assert isinstance(result.exception, ValueError)
    result = CliRunner().invoke(app, ["info", str(tmp_path)], env={"DNAGPT_DEBUG": "1"})
    assert isinstance(result.exception, ValueError)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("two\nlines"), "two lines"),
        (MemoryError(), "out of memory: give a smaller --batch-tokens or --batch-size"),
        (torch.OutOfMemoryError("CUDA"), "out of memory: give a smaller"),
        (RuntimeError("a"), "RuntimeError: a (dnagpt --debug shows where)"),
        (OSError("a"), "a"),
    ],
)
def test_errors_on_one_line(error: Exception, line: str) -> None:
    assert one_line(error).startswith(line)
