"""Supervised fine-tuning with TRL: the loss is the model's own, on the tokens that are learned."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer, preset_config

pytest.importorskip("trl", reason="trl is not installed")
from trl import SFTConfig

from dnagpt_hf.finetuning.sft_trainer import DNAGPTSFTTrainer

STOP = 17
RECORDS = ["<R>ACGTACGGATTA<=><B>A", "<R>TTTACG<=><B>N", "<S>GGCC", "<R>ACGTACACG<=><B>A"]


def trainer(model: Any, tmp_path: Path, dataset: Dataset, **arguments: Any) -> DNAGPTSFTTrainer:
    defaults: dict[str, Any] = {
        "output_dir": str(tmp_path),
        "eos_token": "<!>",
        "max_length": 64,
        "max_steps": 40,
        "learning_rate": 5e-3,
        "per_device_train_batch_size": 4,
        "logging_steps": 1,
        "report_to": "none",
        "save_strategy": "no",
        "use_cpu": True,
        "bf16": False,
        "disable_tqdm": True,
    }
    return DNAGPTSFTTrainer(
        model=model,
        args=SFTConfig(**defaults | arguments),
        train_dataset=dataset,
        processing_class=DNAGPTTokenizer(model_max_length=64),
    )


def losses(run: DNAGPTSFTTrainer) -> list[float]:
    run.train()
    return [entry["loss"] for entry in run.state.log_history if "loss" in entry]


def test_text_column(tiny_model: DNAGPTForMultiTask, tmp_path: Path) -> None:
    run = trainer(tiny_model, tmp_path, Dataset.from_dict({"text": RECORDS}))
    # each record ends in the stop token, and every token is learned
    for ids, labels in zip(
        run.train_dataset["input_ids"], run.train_dataset["labels"], strict=True
    ):
        assert ids[-1] == STOP
        assert labels == ids
    first = trainer(tiny_model, tmp_path, Dataset.from_dict({"text": RECORDS}))
    batch = next(iter(first.get_train_dataloader()))
    with torch.no_grad():
        expected = tiny_model(**batch).loss.item()
    found = losses(run)
    assert found[0] == pytest.approx(expected, rel=1e-3)
    assert found[-1] < found[0] - 2
    assert tiny_model.generation_config.eos_token_id in (STOP, [STOP])

    run.save_model(str(tmp_path / "saved"))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "saved").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert tokenizer.eos_token_id == STOP
    output = model.generate(**tokenizer(RECORDS[1], return_tensors="pt"), max_new_tokens=9)
    assert output[0, -1] == STOP
    assert output.shape[1] < len(tokenizer(RECORDS[1])["input_ids"]) + 9


def test_prompt_and_completion(tiny_model: DNAGPTForMultiTask, tmp_path: Path) -> None:
    records = [record.rpartition("<B>") for record in RECORDS if "<B>" in record]
    columns = {
        "prompt": [head + answer for head, answer, _ in records],
        "completion": [label for _, _, label in records],
    }
    run = trainer(tiny_model, tmp_path, Dataset.from_dict(columns))
    rows = zip(run.train_dataset["input_ids"], run.train_dataset["labels"], strict=True)
    for ids, labels in rows:
        assert labels[-2:] == ids[-2:]
        assert ids[-1] == STOP
        assert set(labels[:-2]) == {-100}
    found = losses(run)
    assert found[-1] < found[0] - 2


def test_accumulated_batches_count_as_one(tiny_model: DNAGPTForMultiTask, tmp_path: Path) -> None:
    dataset = Dataset.from_dict({"text": ["<R>ACGTACGGATTA"] * 4})
    state = {name: tensor.clone() for name, tensor in tiny_model.state_dict().items()}
    found = []
    for batch, steps in ((4, 1), (1, 4)):
        tiny_model.load_state_dict(state)
        run = trainer(
            tiny_model,
            tmp_path,
            dataset,
            max_steps=1,
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=steps,
        )
        found.append(losses(run)[0])
    assert found[0] == pytest.approx(found[1], rel=1e-3)


def test_numbers_are_refused(tiny_model: DNAGPTForMultiTask, tmp_path: Path) -> None:
    run = trainer(tiny_model, tmp_path, Dataset.from_dict({"text": ["<R>ACG<=><M>0.5"]}))
    with pytest.raises(ValueError, match=r"a record holds numbers.* dnagpt finetune"):
        run.train()


def test_with_an_adapter(tiny_model: DNAGPTForMultiTask, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    from dnagpt_hf.finetuning.model import TARGET_MODULES

    config = peft.LoraConfig(r=4, target_modules=list(TARGET_MODULES))
    model = peft.get_peft_model(tiny_model, config)
    found = losses(trainer(model, tmp_path, Dataset.from_dict({"text": RECORDS})))
    assert found[-1] < found[0]


def test_without_trl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "dnagpt_hf.finetuning.sft_trainer")
    monkeypatch.setitem(sys.modules, "trl", None)
    with pytest.raises(ImportError, match=r"pip install 'dnagpt_hf\[trl\]'"):
        importlib.import_module("dnagpt_hf.finetuning.sft_trainer")


def test_smoothed_labels_are_refused(tmp_path: Path) -> None:
    """Trainer would not shift them: the model would learn to repeat each token."""
    model = DNAGPTForMultiTask(preset_config("dnagpt-test"))
    with pytest.raises(
        ValueError, match=r"label_smoothing_factor is 0\.1, but Trainer would train"
    ):
        trainer(model, tmp_path, Dataset.from_dict({"text": RECORDS}), label_smoothing_factor=0.1)
