"""The start of a command: what is not imported, what is not said, and in which encoding."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dnagpt_hf.cli import app
from dnagpt_hf.cli.application import GROUPS

RECORD = f">плазмида\n{'ACGTAC' * 101}\n"
NOT_NEEDED = ("torch._dynamo.eval_frame", "torch.distributed.tensor", "scipy", "pandas", "pyarrow")
PROGRAM = f"""
import sys
from dnagpt_hf.cli import main
try:
    main()
finally:
    print(*(name for name in {NOT_NEEDED} if name in sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_prediction_imports_little_says_nothing_and_writes_utf8(
    encoding: str, tmp_path: Path
) -> None:
    fasta = tmp_path / "records.fa"
    fasta.write_text(RECORD, encoding="utf-8")
    quiet = ("HF_HUB_DISABLE_PROGRESS_BARS", "TRANSFORMERS_VERBOSITY")
    environment = {name: text for name, text in os.environ.items() if name not in quiet}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "predict", "dnagpt-tiny-pas", fasta],
        env={**environment, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=True,
    )
    assert done.stderr.decode().strip() == ""
    assert done.stdout.decode().splitlines()[1].startswith("плазмида,")


def test_the_compiler_is_loaded_when_it_is_used() -> None:
    program = (
        "from dnagpt_hf.cli.start import prepare; prepare([]); "
        "import dnagpt_hf.modeling_dnagpt, torch; "
        "print(torch.compile(lambda x: x + 1, backend='eager')(torch.ones(2)).tolist())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.split() == [b"[2.0,", b"2.0]"]


def test_help_names_each_command_once_and_all_settings() -> None:
    groups = " ".join(GROUPS.values()).split()
    names = [one.callback.__name__ for one in app.registered_commands if one.callback]
    assert sorted(groups) == sorted([*names, "data", "genomes", "haplotypes"])
    shown = CliRunner().invoke(app, ["finetune", "--help"]).output
    assert "--early_stopping " in shown and "<bool>" not in shown
    # brackets are no markup
    assert "split: [6, 1.5, 2.5]" in shown
