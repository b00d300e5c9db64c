"""Adapters are merged into their base, whatever class of model is made of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from finetuning_runs import planted, settings_of, write_base, write_table

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTForSequenceClassification, DNAGPTModel
from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.checkpoints.validation import CheckpointFolderError
from dnagpt_hf.finetuning.run import finetune

pytest.importorskip("peft")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, and two adapters on it: one as it is, one merged."""
    work = tmp_path_factory.mktemp("adapters")
    write_base(work / "base")
    write_table(work / "a.csv", planted(48))
    for name, merge in (("beside", False), ("merged", True)):
        finetune(stated(work, "base", name, lora=True, merge=merge))
    return work


def stated(work: Path, base: str, output: str, **options: Any) -> Any:
    options = {"num_train_epochs": 1, **options}
    return settings_of(work / base, work / "a.csv", work / output, **options)


def test_it_answers_as_the_merged_model(work: Path) -> None:
    inputs = torch.tensor([[21, 40, 50, 60]])
    for model_type in (DNAGPTForMultiTask, DNAGPTModel):
        beside = open_checkpoint(work / "beside").load_model(model_type)
        merged = open_checkpoint(work / "merged").load_model(model_type)
        base = open_checkpoint(work / "base").load_model(model_type)
        assert type(beside) is model_type
        with torch.no_grad():
            found, expected, before = (model(inputs)[0] for model in (beside, merged, base))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
        assert not torch.allclose(found, before, atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"head": "classification"},
        {"lora": True},
        {"lora": True, "head": "classification"},
    ],
    ids=["whole", "another head", "one more adapter", "one more adapter of another head"],
)
def test_training_goes_on_from_it(work: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    """What is trained from an adapter is what is trained from the model it was merged into."""
    found, expected = (
        finetune(stated(work, base, f"{tmp_path.name}-{base}", **options)).metrics
        for base in ("beside", "merged")
    )
    assert found == pytest.approx(expected, rel=1e-2, abs=1e-3)
    classifies = options.get("head") == "classification"
    wanted: Any = DNAGPTForSequenceClassification if classifies else DNAGPTForMultiTask
    pair = [
        open_checkpoint(work / f"{tmp_path.name}-{base}").load_model(wanted).state_dict()
        for base in ("beside", "merged")
    ]
    for name, weight in pair[0].items():
        torch.testing.assert_close(weight, pair[1][name], atol=1e-2, rtol=1e-2)


def test_a_base_of_other_weights_is_noticed(
    work: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    adapter = open_checkpoint(work / "beside")
    again = tmp_path / "base"
    # the same weights in several files
    open_checkpoint(work / "base").load_model().save_pretrained(again, max_shard_size="50KB")
    assert len(list(again.glob("*.safetensors"))) > 1
    replace(adapter, base=open_checkpoint(again)).load_model()
    assert not caplog.messages
    other = open_checkpoint(write_base(tmp_path / "other", seed=1))
    replace(adapter, base=other).load_model()
    (said,) = caplog.messages
    assert said.startswith(f"{work / 'beside'}: its adapter was trained on other weights than")
    assert "adapter_base" not in adapter.load_model().config.to_dict()


def test_an_adapter_of_other_sizes_is_refused(work: Path, tmp_path: Path) -> None:
    import json
    import shutil

    folder = shutil.copytree(work / "beside", tmp_path / "adapter")
    wide = write_base(tmp_path / "wide", hidden_size=64)
    content = json.loads((folder / "adapter_config.json").read_text())
    content["base_model_name_or_path"] = str(wide)
    (folder / "adapter_config.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointFolderError, match=r"adapter cannot be merged .*wide") as error:
        open_checkpoint(folder).load_model(DNAGPTForMultiTask)
    assert "\n" not in str(error.value)
