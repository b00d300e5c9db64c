"""What adapters train, and what they leave."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTForSequenceClassification, DNAGPTTokenizer
from dnagpt_hf.finetuning.model import (
    TARGET_MODULES,
    Adapter,
    add_adapter,
    modules_to_save,
    train_head_only,
)
from dnagpt_hf.presets import preset_config
from dnagpt_hf.tasks.task import Task

CLASS = "<R>{s}<=><B>{y}"


@pytest.mark.parametrize(
    ("template", "head", "whole"),
    [
        (CLASS, False, set()),
        (CLASS, True, {"score"}),
        ("<R>{s}<=><M>{y}", False, {"number_head"}),
        ("<R>{s}<=><M>{y}", True, {"score"}),
        ("<R>{s}<+><M>{x}<=><B>{y}", False, {"number_embedding"}),
        ("<R>{s}<+><M>{x}<=><M>{y}", True, {"score", "number_embedding"}),
        ("<R>{s}<+><M>{x}<=><M>{y}", False, {"number_head", "number_embedding"}),
        # the first answer is read before the second is given
        ("<R>{s}<=><M>{y} {z}", False, {"number_head", "number_embedding"}),
    ],
)
def test_what_is_modules_to_save(template: str, head: bool, whole: set[str]) -> None:
    kind: Any = DNAGPTForSequenceClassification if head else DNAGPTForMultiTask
    model = kind(preset_config("dnagpt-test", kmer_size=3))
    found = modules_to_save(model, Task(template))
    assert {name.split(".")[0] for name in found} == whole
    modules = [name for name, _ in model.named_modules()]
    assert all(any(name.endswith(one) for name in modules) for one in found)


@pytest.mark.parametrize("adapter", get_args(Adapter))
def test_nothing_else_has_a_gradient(adapter: str) -> None:
    pytest.importorskip("peft")
    model = DNAGPTForMultiTask(preset_config("dnagpt-test", kmer_size=3))
    adapted = add_adapter(model, adapter, Task("<R>{s}<=><M>{y}"), rank=4)
    trained = [name for name, one in adapted.named_parameters() if one.requires_grad]
    parts = ("lora_", "ia3_", "modules_to_save")
    assert trained and all(any(part in name for part in parts) for name in trained)
    # of each layer all six linear maps, and those of the head for numbers
    beside = {name.split(".lora_")[0].split(".ia3_")[0] for name in trained}
    assert len([name for name in beside if ".layers." in name]) == 2 * 6
    assert all("number_head" in name for name in beside if ".layers." not in name)


def test_the_rank_is_that_of_the_matrices() -> None:
    pytest.importorskip("peft")
    model = DNAGPTForMultiTask(preset_config("dnagpt-test", kmer_size=3))
    adapted = add_adapter(model, "lora", Task(CLASS), rank=3)
    shapes = {tuple(one.shape) for name, one in adapted.named_parameters() if "lora_A" in name}
    assert shapes == {(3, 32), (3, 128)}


def test_an_unknown_adapter_and_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    model = DNAGPTForMultiTask(preset_config("dnagpt-test", kmer_size=3))
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ImportError, match=r"pip install 'dnagpt_hf\[peft\]'"):
        add_adapter(model, "lora", Task(CLASS))
    monkeypatch.undo()
    pytest.importorskip("peft")
    with pytest.raises(ValueError, match="unknown adapter 'lara': choose one of lora"):
        add_adapter(model, "lara", Task(CLASS))


def test_a_frozen_model_keeps_its_heads_alone() -> None:
    for kind in (DNAGPTForMultiTask, DNAGPTForSequenceClassification):
        model = kind(preset_config("dnagpt-test", kmer_size=3))
        train_head_only(model)
        trained = {n.split(".")[0] for n, one in model.named_parameters() if one.requires_grad}
        assert trained in ({"token_head", "number_head"}, {"score"})
    tied = DNAGPTForMultiTask(preset_config("dnagpt-test", kmer_size=3, tie_word_embeddings=True))
    train_head_only(tied)
    assert not tied.model.embed_tokens.weight.requires_grad


def test_checkpoints_of_activations_change_no_gradient() -> None:
    """The frozen weights below an adapter do not cut its gradients off."""
    pytest.importorskip("peft")
    found = []
    for recompute in (False, True):
        torch.manual_seed(0)
        model = DNAGPTForMultiTask(preset_config("dnagpt-test", kmer_size=3))
        adapted = add_adapter(model, "lora", Task(CLASS), rank=2).train()
        if recompute:
            model.enable_input_require_grads()
            model.gradient_checkpointing_enable({"use_reentrant": True})
        ids = torch.randint(34, 150, (2, 9))
        loss = adapted(input_ids=ids, labels=ids).loss
        loss.backward()
        gradients = {
            name: weight.grad for name, weight in adapted.named_parameters() if "lora_" in name
        }
        found.append((float(loss.detach()), gradients))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    for name, gradient in found[0][1].items():
        torch.testing.assert_close(found[1][1][name], gradient, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("kind", [DNAGPTForMultiTask, DNAGPTForSequenceClassification])
def test_peft_alone_saves_loads_and_merges(kind: Any, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    torch.manual_seed(0)
    model = kind(preset_config("dnagpt-test", initializer_range=0.2)).eval()
    model.save_pretrained(tmp_path / "base")
    # as anyone would, who knows the names of the layers alone
    config = peft.LoraConfig(
        r=4, target_modules=list(TARGET_MODULES), init_lora_weights=False, lora_dropout=0.0
    )
    inputs = DNAGPTTokenizer()(
        ["<R>ACGTACGGA<+><M>0.5<=><M>", "<S>GT"], padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        before = model(**inputs).logits
        adapted = peft.get_peft_model(model, config).eval()
        expected = adapted(**inputs).logits
        assert not torch.allclose(expected, before, atol=1e-2)
        adapted.save_pretrained(tmp_path / "adapter")
        base = kind.from_pretrained(tmp_path / "base").eval()
        loaded = peft.PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
        torch.testing.assert_close(loaded(**inputs).logits, expected, atol=1e-5, rtol=0)
        merged = loaded.merge_and_unload()
        torch.testing.assert_close(merged(**inputs).logits, expected, atol=1e-4, rtol=0)
        merged.save_pretrained(tmp_path / "merged")
        again, loading = kind.from_pretrained(tmp_path / "merged", output_loading_info=True)
        assert not loading["missing_keys"] and not loading["unexpected_keys"]
        torch.testing.assert_close(again.eval()(**inputs).logits, expected, atol=1e-4, rtol=0)
