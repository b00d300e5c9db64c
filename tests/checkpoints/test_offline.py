"""Nothing connects to the network unless it is asked to, whatever the environment says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from finetuning_runs import content_of, planted, write_table

import dnagpt_hf

# Ends the process's attempt, and remembers it: libraries may swallow the error. Sockets are bound,
# to find out which kinds of addresses there are; that reaches no other machine.
FORBID = """
import json, sys
from pathlib import Path

attempts = []
FORBIDDEN = {
    "socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname",
    "urllib.Request", "http.client.connect",
}

def forbid(event, arguments):
    if event in FORBIDDEN:
        attempts.append(f"{event}{arguments}")
        raise OSError(f"the network is forbidden here: {event}{arguments}")

sys.addaudithook(forbid)
folder = Path(sys.argv[1])

def command(*arguments):
    from typer.testing import CliRunner
    from dnagpt_hf.cli.application import app

    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, (arguments, result.output)

def write_records():
    (folder / "a.fa").write_text(">a\\nACGTACGTACGTACGT\\n>b\\nGGCCTTAAGGCCTTAA\\n")
"""

IMPORT = """
import dnagpt_hf
for name in dnagpt_hf.__all__:
    getattr(dnagpt_hf, name)
dnagpt_hf.bundled("dnagpt-tiny")
"""

AUTO_CLASSES = """
import dnagpt_hf
from transformers import (
    AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, pipeline
)

bundled = dnagpt_hf.bundled("dnagpt-tiny")
tokenizer = AutoTokenizer.from_pretrained(bundled)
for auto_class in (AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification):
    model = auto_class.from_pretrained(bundled)
batch = tokenizer(
    ["<U>ACGTAC", "<U>ACG"], padding=True, padding_side="left", return_tensors="pt"
)
model = AutoModelForCausalLM.from_pretrained(bundled)
model.generate(**batch, max_new_tokens=2, do_sample=False)
model.save_pretrained(folder / "again")
tokenizer.save_pretrained(folder / "again")
generator = pipeline("text-generation", model=model, tokenizer=tokenizer)
generator("<U>ACGTAC", max_new_tokens=2)
# code of the folder, as where the package is not installed
AutoModelForCausalLM.from_pretrained(folder / "again", trust_remote_code=True)
AutoTokenizer.from_pretrained(folder / "again", trust_remote_code=True)
"""

COMMANDS = """
write_records()
tiny, a = "dnagpt-tiny", folder / "a.fa"
number = ("--template", "<U>{sequence}<=><M>")
command("info", "dnagpt-h")
command("predict", tiny, a, *number, "-o", folder / "p.csv")
(folder / "pas.fa").write_text(">a\\n" + "ACGTTG" * 101 + "\\n")
command("predict", "dnagpt-tiny-pas", folder / "pas.fa", "-o", folder / "pas.csv")
command("embed", tiny, a, "-o", folder / "e.npz")
command("generate", tiny, "-p", "<U>ACG", "--bases", 9, "-o", folder / "g.fa")
table = folder / "a.csv"
table.write_text("sequence,y\\nACGTACGT,0.5\\nGGTTCCAA,0.25\\nACGTAAAA,0.1\\n")
answered = ("--template", "<U>{sequence}<=><M>{y}")
command("evaluate", tiny, table, *answered, "-o", folder / "out")
command("attention", tiny, a, *number, "--record", 1, "-o", folder / "attention.png")
command("attribute", tiny, a, *number, "--record", 1, "-o", folder / "attribution.png")
command("init", folder / "new", "--preset", "dnagpt-test")
command("export", folder / "new", folder / "new.pth")
command("convert", folder / "new.pth", folder / "converted", "--num-heads", 4)
"""

FINE_TUNING = """
import importlib.util
command("finetune", folder / "whole.yaml")
if importlib.util.find_spec("peft"):
    command("finetune", folder / "adapter.yaml")
    command("predict", folder / "out-adapter", folder / "rows.csv", "-o", folder / "r.csv")
"""

METRICS = """
import evaluate
from dnagpt_hf.evaluation.metrics import METRICS

metric = evaluate.load(METRICS, "classification")
metric.compute(predictions=[[0.9, 0.1], [0.2, 0.8]], references=[0, 1])
"""


def run(program: str, folder: Path) -> list[str]:
    """What a process tried to connect to, in which nothing says that it is offline."""
    hidden = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "PYTEST_")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(hidden)},
        "HF_HOME": str(folder / "home"),
        "MPLBACKEND": "agg",
        "CUDA_VISIBLE_DEVICES": "",
    }
    last = "\nPath(sys.argv[1], 'attempts.json').write_text(json.dumps(attempts))\n"
    done = subprocess.run(
        [sys.executable, "-c", FORBID + program + last, str(folder)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[str] = json.loads((folder / "attempts.json").read_text())
    return found


def test_nothing_is_connected_to(tmp_path: Path) -> None:
    """From the import to the last command, in one process, since each of them imports PyTorch."""
    table = write_table(tmp_path / "rows.csv", planted(24))
    for name, adapter in (("whole", None), ("adapter", "lora")):
        settings = content_of(
            dnagpt_hf.bundled("dnagpt-tiny"), table, tmp_path / f"out-{name}", num_train_epochs=1
        )
        (tmp_path / f"{name}.yaml").write_text(json.dumps(settings | {"adapter": adapter}))
    program = IMPORT + AUTO_CLASSES + COMMANDS + METRICS + FINE_TUNING
    assert run(program, tmp_path) == []


def test_a_connection_would_be_seen(tmp_path: Path) -> None:
    program = """
import urllib.request
try:
    urllib.request.urlopen("http://127.0.0.1:9/", timeout=1)
except OSError:
    pass
"""
    assert run(program, tmp_path)
