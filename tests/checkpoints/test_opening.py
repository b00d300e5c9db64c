"""A checkpoint is opened once, whatever names it, and its weights are read once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTForSequenceClassification, DNAGPTModel, bundled
from dnagpt_hf.checkpoints.opening import find_device, open_checkpoint
from dnagpt_hf.checkpoints.validation import CheckpointFolderError


def test_a_folder_and_a_bundled_name_are_the_same() -> None:
    by_name, by_folder = open_checkpoint("dnagpt-tiny"), open_checkpoint(bundled())
    assert by_name.folder == by_folder.folder == bundled()
    assert by_name.source == "dnagpt-tiny"
    assert by_name.config.to_dict() == by_folder.config.to_dict()
    assert (by_name.architecture, by_name.base) == ("DNAGPTForMultiTask", None)
    assert open_checkpoint("dnagpt-tiny-pas").config.task["template"].startswith("<R>{sequence}")


def test_the_tokenizer_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from dnagpt_hf import DNAGPTTokenizer

    calls = []
    load = DNAGPTTokenizer.from_pretrained
    monkeypatch.setattr(
        DNAGPTTokenizer, "from_pretrained", lambda *a, **k: calls.append(a) or load(*a, **k)
    )
    checkpoint = open_checkpoint("dnagpt-tiny")
    assert calls == []
    checkpoint.check()
    assert checkpoint.tokenizer is checkpoint.tokenizer
    assert len(calls) == 1


@pytest.mark.parametrize(
    "model_class", [None, DNAGPTModel, DNAGPTForMultiTask, DNAGPTForSequenceClassification]
)
def test_models_of_all_classes(model_class: type | None) -> None:
    model = open_checkpoint("dnagpt-tiny").load_model(model_class, dtype="bfloat16")
    assert type(model) is (model_class or DNAGPTForMultiTask)
    assert not model.training
    assert model.dtype == torch.bfloat16
    expected = DNAGPTModel.from_pretrained(bundled()).norm.weight.bfloat16()
    assert torch.equal(model.base_model.norm.weight, expected)


def test_the_model_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    make = DNAGPTForMultiTask.__init__
    monkeypatch.setattr(
        DNAGPTForMultiTask,
        "__init__",
        lambda self, config: built.append(config) or make(self, config),
    )
    open_checkpoint("dnagpt-tiny").load_model()
    assert len(built) == 1


def test_attention_and_another_configuration() -> None:
    checkpoint = open_checkpoint("dnagpt-tiny")
    config = DNAGPTForSequenceClassification.config_class.from_pretrained(bundled(), num_labels=5)
    model = checkpoint.load_model(DNAGPTForSequenceClassification, config=config, attention="eager")
    assert model.score.weight.shape == (5, 128)
    assert model.config._attn_implementation == "eager"
    assert checkpoint.config.num_labels == 2
    with pytest.raises(CheckpointFolderError, match=r"no model can be made of config\.json"):
        checkpoint.load_model(attention="unknown")


def test_shapes_alone() -> None:
    model = open_checkpoint("dnagpt-tiny").load_model(device="meta")
    assert {weight.device.type for weight in model.parameters()} == {"meta"}


@pytest.mark.parametrize("name", ["org/nothing", "nothing", "no/such/folder"])
def test_names_of_nothing(name: str) -> None:
    with pytest.raises(CheckpointFolderError, match=f"^{name}: no such checkpoint folder") as error:
        open_checkpoint(name)
    assert "\n" not in str(error.value)


def test_the_base_of_an_adapter_is_not_downloaded_unasked(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    from peft import LoraConfig, get_peft_model

    folder = tmp_path / "adapter"
    tuned = get_peft_model(
        open_checkpoint("dnagpt-tiny").load_model(), LoraConfig(target_modules=["q_proj"])
    )
    tuned.peft_config["default"].base_model_name_or_path = "org/base"
    tuned.save_pretrained(folder)
    for name in ("config.json", "tokenizer_config.json"):
        shutil.copy(bundled() / name, folder)
    with pytest.raises(CheckpointFolderError, match="org/base: no such checkpoint folder"):
        open_checkpoint(folder)
    shutil.copytree(bundled(), tmp_path / "base")
    tuned.peft_config["default"].base_model_name_or_path = str(tmp_path / "base")
    tuned.save_pretrained(folder)
    checkpoint = open_checkpoint(folder)
    assert checkpoint.base is not None and checkpoint.base.folder == tmp_path / "base"
    random = torch.get_rng_state()
    assert isinstance(checkpoint.load_model(), DNAGPTForMultiTask)
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize(
    ("cuda", "mps", "found"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_auto_is_the_fastest_device(
    cuda: bool, mps: bool, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert find_device("auto").type == found


def test_devices_that_do_not_exist() -> None:
    with pytest.raises(ValueError, match="unknown device 'tpu': choose auto, cpu, cuda or mps"):
        find_device("tpu")
    with pytest.raises(ValueError, match="'cuda:99' does not exist here"):
        find_device("cuda:99")
