"""Checkpoint folders: complete, loadable with and without the package, whole or absent."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTForSequenceClassification
from dnagpt_hf.atomic_files import DestinationError
from dnagpt_hf.checkpoints.saving import init_checkpoint, save_checkpoint
from dnagpt_hf.presets import preset_config, preset_tokenizer

CODE = {
    "configuration_dnagpt.py",
    "generation_dnagpt.py",
    "modeling_dnagpt.py",
    "tokenization_dnagpt.py",
}
FILES = CODE | {
    "README.md",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer_config.json",
}
AUTO_MAP = {
    "AutoConfig": "configuration_dnagpt.DNAGPTConfig",
    "AutoModel": "modeling_dnagpt.DNAGPTModel",
    "AutoModelForCausalLM": "modeling_dnagpt.DNAGPTForMultiTask",
    "AutoModelForSequenceClassification": "modeling_dnagpt.DNAGPTForSequenceClassification",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return init_checkpoint("dnagpt-test", tmp_path_factory.mktemp("init") / "dnagpt-test")


def assert_complete(folder: Path, architecture: str = "DNAGPTForMultiTask") -> None:
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == [architecture]
    assert config["auto_map"] == AUTO_MAP
    assert config["model_type"] == "dnagpt"
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    assert tokenizer["tokenizer_class"] == "DNAGPTTokenizer"
    assert tokenizer["auto_map"] == {"AutoTokenizer": ["tokenization_dnagpt.DNAGPTTokenizer", None]}
    source = Path(sys.modules["dnagpt_hf"].__file__ or "").parent
    for name in CODE:
        assert (folder / name).read_bytes() == (source / name).read_bytes()


def test_a_new_folder_is_complete(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} >= FILES
    assert_complete(folder)
    assert ModelCard.load(folder / "README.md").data.license == "apache-2.0"
    card = (folder / "README.md").read_text()
    assert "has not been trained" in card
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert len(modes) == 1


def test_the_auto_classes_load_it(folder: Path) -> None:
    assert type(AutoConfig.from_pretrained(folder)).__name__ == "DNAGPTConfig"
    assert type(AutoTokenizer.from_pretrained(folder)).__name__ == "DNAGPTTokenizer"
    assert type(AutoModel.from_pretrained(folder)).__name__ == "DNAGPTModel"
    assert isinstance(AutoModelForCausalLM.from_pretrained(folder), DNAGPTForMultiTask)
    classifier = AutoModelForSequenceClassification.from_pretrained(folder)
    assert isinstance(classifier, DNAGPTForSequenceClassification)


def test_the_same_seed_gives_the_same_weights(tmp_path: Path, folder: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    same = init_checkpoint("dnagpt-test", tmp_path / "same")
    # The caller's random numbers go on as if nothing had happened.
    assert torch.equal(torch.rand(3), expected)
    other = init_checkpoint("dnagpt-test", tmp_path / "other", seed=1)
    weights = [(path / "model.safetensors").read_bytes() for path in (folder, same, other)]
    assert weights[0] == weights[1] != weights[2]


def test_new_weights_of_a_published_preset_do_not_pass_for_trained_ones(tmp_path: Path) -> None:
    small = {"hidden_size": 12, "num_hidden_layers": 1, "max_position_embeddings": 4}
    folder = init_checkpoint("dnagpt-h", tmp_path / "dnagpt-h", **small)
    card = (folder / "README.md").read_text()
    assert "has not been trained" in card
    assert "re-trained on" not in card


def test_dtype_shards_and_overrides(tmp_path: Path) -> None:
    folder = init_checkpoint(
        "dnagpt-test",
        tmp_path / "small",
        dtype="bfloat16",
        max_shard_size="1MB",
        max_position_embeddings=10,
    )
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    assert (folder / "model.safetensors.index.json").is_file()
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.dtype == torch.bfloat16
    assert model.config.max_position_embeddings == 10
    assert AutoTokenizer.from_pretrained(folder).model_max_length == 10


def test_bad_arguments_write_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown preset 'x'"):
        init_checkpoint("x", tmp_path / "folder")
    with pytest.raises(ValueError, match="unknown dtype 'int8'"):
        init_checkpoint("dnagpt-test", tmp_path / "folder", dtype="int8")
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match="is a file"):
        init_checkpoint("dnagpt-test", tmp_path / "file")


def test_a_classifier_is_saved_whole(tmp_path: Path) -> None:
    model = DNAGPTForSequenceClassification(preset_config("dnagpt-test", num_labels=3))
    tokenizer = preset_tokenizer("dnagpt-test")
    folder = save_checkpoint(model, tokenizer, tmp_path / "classifier", model_card="# card\n")
    assert_complete(folder, "DNAGPTForSequenceClassification")
    again = AutoModelForSequenceClassification.from_pretrained(folder)
    assert torch.equal(again.score.weight, model.score.weight)


def test_saved_and_loaded_twice_it_is_still_complete(folder: Path, tmp_path: Path) -> None:
    for step in ("one", "two"):
        model = AutoModelForCausalLM.from_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        folder = tmp_path / step
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        assert_complete(folder)


LOAD = """
import importlib.util, json, sys
from pathlib import Path

assert importlib.util.find_spec("dnagpt_hf") is None
import torch
from transformers import (
    AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
)

folder, out = Path(sys.argv[1]), Path(sys.argv[2])
logits = []
for step in ("one", "two", "three"):
    trust = {"trust_remote_code": True}
    AutoConfig.from_pretrained(folder, **trust)
    AutoModel.from_pretrained(folder, **trust)
    AutoModelForSequenceClassification.from_pretrained(folder, **trust)
    model = AutoModelForCausalLM.from_pretrained(folder, **trust).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, **trust)
    assert not {"dnagpt_hf", "datasets", "pyfaidx"} & set(sys.modules)
    inputs = tokenizer(["<R>ATCGAT<+><M>0.5<=><M>"], return_tensors="pt")
    with torch.no_grad():
        logits.append(model(**inputs).logits)
    folder = out / step
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
assert torch.equal(logits[0], logits[1]) and torch.equal(logits[0], logits[2])
"""


def test_it_loads_where_the_package_is_not_installed(folder: Path, tmp_path: Path) -> None:
    # A path that has the site packages only, so that the package cannot be found.
    site = tmp_path / "site"
    site.mkdir()
    copied = shutil.copytree(folder, tmp_path / "elsewhere" / "dnagpt-test")
    environment = {
        **{key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    hide = (
        "import sys\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'dnagpt_hf':\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hide())\n"
        "import importlib.util\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda n, p=None: None if n == 'dnagpt_hf' else real(n, p)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", hide + LOAD, str(copied), str(tmp_path / "out")],
        cwd=site,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for step in ("one", "two", "three"):
        assert_complete(tmp_path / "out" / step)
