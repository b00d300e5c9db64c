"""`dnagpt plan`, the page that shows what it prints, and the job script that starts it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from dnagpt_hf.cli.plan import PAPER_RUNS, plan
from dnagpt_hf.planning.hardware import GIB
from dnagpt_hf.presets import PRESETS, get_preset

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "slurm" / "pretrain.sbatch"
PAGE = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
# a command in a block of its own, and the table or block that stands below it
COMMANDS = re.findall(
    r"```bash\n(dnagpt plan[^\n]*)\n```\n\n(```text\n.*?```|(?:\|[^\n]*\n)+)", PAGE, re.DOTALL
)

app = typer.Typer()
app.command()(plan)


@pytest.fixture(autouse=True)
def width_of_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(ROOT)


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def run(*arguments: object) -> str:
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: object) -> str:
    result = invoke(*arguments)
    assert isinstance(result.exception, ValueError), result.output
    return str(result.exception)


# -- the page --------------------------------------------------------------------------------------


def test_the_page_has_tables() -> None:
    assert len(COMMANDS) == PAGE.count("\ndnagpt plan") >= 7
    assert "OUTPUT" not in PAGE
    assert all(name in PAGE for name in PRESETS if name not in ("dnagpt-tiny", "dnagpt-test"))


@pytest.mark.parametrize(("command", "shown"), COMMANDS)
def test_what_the_page_shows_is_what_the_command_prints(command: str, shown: str) -> None:
    printed = run(*shlex.split(command)[2:])
    lines = [line for line in shown.splitlines() if not line.startswith("```")]
    assert [line.rstrip() for line in printed.rstrip().splitlines()] == lines


# -- the command -----------------------------------------------------------------------------------


def test_a_recommendation_and_what_to_start() -> None:
    printed = run("--preset", "dnagpt-b-512", "--gpus", 8, "--gpu", "h200")
    assert "recommended: ddp, 1,000 rows or 512,000 tokens in a step" in printed
    assert "per_device_train_batch_size: 25" in printed
    assert "gradient_accumulation_steps: 5" in printed
    assert "bf16: true" in printed
    assert "--config_file dnagpt_hf/planning/accelerate/ddp.yaml --num_processes 8 " in printed
    assert "at an assumed 40% of the rate of H200 141 GB" in printed
    # nothing is cut off
    assert "…" not in printed


def test_one_gpu_is_started_plainly() -> None:
    result = invoke("--memory", "24GB", "--global-batch", 64)
    assert "start: dnagpt pretrain SETTINGS.yaml" in result.stdout
    assert "hours" not in result.stdout
    assert result.stderr == ""


def test_a_stated_strategy_and_micro_batch() -> None:
    facts = json.loads(
        run(
            *("--preset", "dnagpt-b-512", "--gpus", 16, "--memory", "32GB", "--json"),
            *("--strategy", "zero2", "--micro-batch", 4, "--global-batch", 512),
            *("--precision", "float16", "--positions", 256, "--attention", "flash_attention_2"),
        )
    )
    assert [each["strategy"] for each in facts["candidates"]] == ["zero2", "zero2"]
    best = facts["recommended"]
    assert (best["micro_batch"], best["accumulation_steps"]) == (4, 8)
    assert best["fits"] and not best["gradient_checkpointing"]
    assert best["bytes"]["total"] == sum(
        value for name, value in best["bytes"].items() if name != "total"
    )
    assert facts["memory"] == 32 * GIB
    assert (facts["precision"], facts["positions"]) == ("float16", 256)
    assert facts["global_batch"] == 512
    assert facts["config_file"] == "dnagpt_hf/planning/accelerate/zero2.yaml"
    assert facts["estimate"] is None
    assert facts["warnings"] == []


def test_time_follows_from_genome_epochs_and_utilisation() -> None:
    def hours(*stated: object) -> float:
        facts = json.loads(run("--gpu", "a100-80", "--gpus", 2, "--json", *stated))
        return float(facts["estimate"]["gpu_hours"])

    genome = ("--preset", "dnagpt-s-512", "--genome-bp", "3e9")
    once = hours(*genome, "--epochs", 1, "--mfu", 0.2)
    assert hours(*genome, "--epochs", 2.5, "--mfu", 0.2) == pytest.approx(2.5 * once)
    assert hours(*genome, "--epochs", 1) == pytest.approx(once / 2)
    # the paper's genomes and epochs
    assert hours("--preset", "dnagpt-s-512") == pytest.approx(once / 2 * 200 / 3)


def test_bases_of_the_paper_belong_to_presets() -> None:
    assert set(PAPER_RUNS) == {
        name for name in PRESETS if get_preset(name).pretraining.source == "Fig. S3"
    }
    for name, (bases, _) in PAPER_RUNS.items():
        stated = get_preset(name).data
        assert f"{bases:,}" in stated or f"{round(bases / 1e9)} billion" in stated


def test_why_there_is_no_time() -> None:
    unknown = invoke("--gpu", "a100-80")
    assert "without the size of the genomes: give --genome-bp" in unknown.stderr
    no_unit = invoke("--preset", "dnagpt-b-512", "--gpus", 16, "--gpu", "v100")
    assert "V100 32 GB has no matrix unit for bfloat16" in no_unit.stderr
    assert "recommended: fsdp2" in no_unit.stdout


def test_nothing_fits() -> None:
    result = invoke("--preset", "dnagpt-b-512", "--gpus", 2, "--memory", "16GB")
    assert result.exit_code == 0
    assert "recommended" not in result.stdout
    assert "warning: nothing fits: the least, fsdp2 with gradient checkpointing" in result.stderr


def test_mistakes_say_what_to_give() -> None:
    known = refused("--preset", "dnagpt-x", "--memory", "32GB")
    assert "dnagpt-h" in known and "dnagpt-b-512" in known
    assert "v100-16, v100, a100-40, a100-80, h100, h200" in refused("--gpu", "b200")
    assert "give --gpu a100-80 or --memory 32GB" in refused("--gpus", 8)
    assert "give one as 32GB" in refused("--memory", "much")
    assert "needs a kind of GPU" in refused("--table", "time")
    assert "513 tokens exceed" in refused("--memory", "32GB", "--positions", 513)
    assert "no matrix unit" in refused("--table", "time", "--gpu", "v100")
    time = ("--preset", "dnagpt-h", "--gpu", "h100")
    assert "a utilization of 40.0 cannot be" in refused(*time, "--mfu", 40)
    assert "bases is -5.0: give more than 0" in refused(*time, "--genome-bp", -5)
    assert "epochs is 0.0" in refused(*time, "--epochs", 0)


# -- the job script --------------------------------------------------------------------------------

STAND_INS = {
    # the names come slowly, so that who stops reading after the first breaks the pipe
    "scontrol": '[ "$*" = "show hostnames gpu[3-4]" ] && echo gpu3 && sleep 0.2 && echo gpu4',
    "srun": 'shift\nfor SLURM_PROCID in 0 1; do export SLURM_PROCID; "$@" || exit; done',
    "accelerate": 'echo "$*" >> calls',
}


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    """A folder with settings, a configuration and programs that stand in for those of Slurm."""
    (tmp_path / "bin").mkdir()
    for name, text in STAND_INS.items():
        program = tmp_path / "bin" / name
        program.write_text(f"#!/usr/bin/env bash\n{text}\n")
        program.chmod(0o755)
    configs = tmp_path / "dnagpt_hf" / "planning" / "accelerate"
    configs.mkdir(parents=True)
    (configs / "fsdp2.yaml").touch()
    (tmp_path / "dnagpt b.yaml").touch()
    return tmp_path


def submit(cluster: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    job = {
        "SLURM_JOB_NODELIST": "gpu[3-4]",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_JOB_ID": "40007",
        "SLURM_GPUS_ON_NODE": "4",
        "PATH": f"{cluster / 'bin'}:{os.environ['PATH']}",
    }
    command = ["bash", str(SCRIPT), *arguments]
    return subprocess.run(command, cwd=cluster, env=job, capture_output=True, text=True)


def test_the_job_starts_a_launcher_on_each_node(cluster: Path) -> None:
    result = submit(cluster, "dnagpt b.yaml", "fsdp2", "--learning_rate", "1e-4")
    assert (result.returncode, result.stderr) == (0, "")
    calls = (cluster / "calls").read_text().splitlines()
    assert [call.split()[:3] for call in calls] == [
        ["launch", "--machine_rank", "0"],
        ["launch", "--machine_rank", "1"],
    ]
    for stated in (
        "--config_file dnagpt_hf/planning/accelerate/fsdp2.yaml",
        "--num_machines 2 --num_processes 8",
        "--main_process_ip gpu3 --main_process_port 20007",
        "-m dnagpt_hf pretrain dnagpt b.yaml --learning_rate 1e-4",
    ):
        assert stated in calls[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dnagpt b.yaml"], "usage: sbatch pretrain.sbatch SETTINGS.yaml STRATEGY"),
        (["dnagpt b.yaml", "zero9"], "zero9.yaml: no such file"),
        (["missing.yaml", "fsdp2"], "missing.yaml: no such file"),
    ],
)
def test_the_job_does_not_start_without_its_files(
    cluster: Path, arguments: list[str], message: str
) -> None:
    result = submit(cluster, *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert not (cluster / "calls").exists()


def test_the_job_ends_where_a_process_fails(cluster: Path) -> None:
    (cluster / "bin" / "accelerate").write_text("#!/usr/bin/env bash\nexit 7\n")
    assert submit(cluster, "dnagpt b.yaml", "fsdp2").returncode == 7
