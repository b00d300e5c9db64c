"""The checkpoint that comes with the package: it loads without a network, and its card is true."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

import dnagpt_hf
from dnagpt_hf.presets import preset_config, preset_tokenizer

ROOT = Path(__file__).resolve().parents[2]
FOLDER = dnagpt_hf.bundled("dnagpt-tiny")

SCRIPT = """
import dnagpt_hf
from transformers import AutoModelForCausalLM, AutoTokenizer
folder = dnagpt_hf.bundled("dnagpt-tiny")
model, loading = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
assert not any(loading.values()), loading
tokenizer = AutoTokenizer.from_pretrained(folder)
print(type(model).__name__, model(**tokenizer("<U>ACGTACG", return_tensors="pt")).logits.shape)
"""


def test_it_is_small_and_has_no_code_of_its_own() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 16e6
    assert not list(FOLDER.glob("*.py"))


def test_it_loads_in_a_fresh_process() -> None:
    process = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:dnagpt_hf", "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert "DNAGPTForMultiTask torch.Size([1, 4, 192])" in process.stdout


@pytest.mark.parametrize("loader", [AutoModel, AutoModelForSequenceClassification])
def test_all_classes_load_it(loader: type) -> None:
    model = loader.from_pretrained(FOLDER)  # type: ignore[attr-defined]
    assert model.config.hidden_size == 128


def test_it_is_the_preset() -> None:
    model = AutoModelForCausalLM.from_pretrained(FOLDER)
    expected = preset_config("dnagpt-tiny").to_dict()
    config = model.config.to_dict()
    different = {key for key in expected if expected[key] != config.get(key)}
    assert different <= {"architectures", "dtype", "_name_or_path", "transformers_version"}
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    same = preset_tokenizer("dnagpt-tiny")
    assert tokenizer("<U>ACGTACG")["input_ids"] == same("<U>ACGTACG")["input_ids"]
    assert tokenizer.model_max_length == 512


def test_saved_again_it_brings_its_code(tmp_path: Path) -> None:
    AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(FOLDER).save_pretrained(tmp_path)
    assert (tmp_path / "modeling_dnagpt.py").is_file()
    assert (tmp_path / "tokenization_dnagpt.py").is_file()


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no checkpoint 'dnagpt-xl'.*dnagpt-tiny"):
        dnagpt_hf.bundled("dnagpt-xl")


def test_its_card_states_that_it_beats_the_baseline_everywhere() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert text == (ROOT / "model_cards" / "dnagpt-tiny.md").read_text(encoding="utf-8")
    assert ModelCard(text).data.license == "apache-2.0"
    rows = re.findall(r"^\| (\w+_\w+) \| \d+ \| ([\d.]+) \| ([\d.]+) \|", text, re.MULTILINE)
    assert len(rows) == 6
    for species, model, markov in rows:
        assert float(model) < float(markov), species


def test_it_reads_gc_content_and_order() -> None:
    """Answers to the two questions of its training, on made-up sequences."""
    model = AutoModelForCausalLM.from_pretrained(FOLDER).eval()
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    texts = [f"<R>{unit * 60}<=><M>" for unit in ("ATTAAT", "ACGTCA", "GCCGCG")]
    inputs = tokenizer(texts, return_tensors="pt")
    with torch.no_grad():
        low, middle, high = model(**inputs).number_predictions[:, -1].tolist()
    assert low < middle < high
    order = tokenizer(f"<R>{'ACGTTGCA' * 40}<=><B>", return_tensors="pt")
    with torch.no_grad():
        probabilities = model(**order).logits[0, -1].softmax(-1)
    answers = [tokenizer(letter)["input_ids"][0] for letter in "AN"]
    assert probabilities[answers].sum() > 0.95
