"""The Trainer of pre-training: its averages, its reports, and that it resumes exactly."""

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import TrainingArguments

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
from dnagpt_hf.genomes.bases import Bases
from dnagpt_hf.presets import preset_config
from dnagpt_hf.pretraining.dataset import PretrainingDataset, SpeciesSequences, stack_sequences
from dnagpt_hf.pretraining.objectives import Objectives
from dnagpt_hf.pretraining.trainer import ObjectiveMetrics, PretrainingTrainer
from dnagpt_hf.training.checkpoints import CheckpointError, check_checkpoint, checkpoints

SAVED = dict(save_strategy="steps", save_steps=2)


@pytest.fixture(scope="module")
def contig() -> Bases:
    return np.random.default_rng(0).choice(np.frombuffer(b"ACGT", dtype=np.uint8), 5000)


def rows(contig: Bases, tokenizer: DNAGPTTokenizer, **arguments: Any) -> PretrainingDataset:
    defaults: dict[str, Any] = {"context_length": 32, "length": 24, "shortest_segment": 12}
    species = [SpeciesSequences("<U>", [contig])]
    return PretrainingDataset(species, tokenizer, **(defaults | arguments))


def make_trainer(
    contig: Bases,
    tokenizer: DNAGPTTokenizer,
    folder: Path,
    objectives: Objectives | None = None,
    **arguments: Any,
) -> PretrainingTrainer:
    defaults: dict[str, Any] = {
        "per_device_train_batch_size": 4,
        "num_train_epochs": 2,
        "learning_rate": 1e-2,
        "logging_steps": 1,
        "save_strategy": "no",
        "remove_unused_columns": False,
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
    }
    torch.manual_seed(0)
    return PretrainingTrainer(
        model=DNAGPTForMultiTask(preset_config("dnagpt-test", number_loss_weight=1.0)),
        args=TrainingArguments(output_dir=str(folder), **(defaults | arguments)),
        train_dataset=rows(contig, tokenizer, objectives=objectives),
        eval_dataset={"yeast": rows(contig, tokenizer, length=8)},
        data_collator=stack_sequences,
        processing_class=tokenizer,
        matmul_flops=1e12,
    )


def losses(trainer: PretrainingTrainer) -> list[float]:
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.fixture(scope="module")
def tokenizer() -> DNAGPTTokenizer:
    return DNAGPTTokenizer(model_max_length=64)


@pytest.fixture(scope="module")
def uninterrupted(
    contig: Bases, tokenizer: DNAGPTTokenizer, tmp_path_factory: pytest.TempPathFactory
) -> PretrainingTrainer:
    trainer = make_trainer(contig, tokenizer, tmp_path_factory.mktemp("run"), **SAVED)
    trainer.train()
    return trainer


def test_loss_falls_and_everything_is_reported(uninterrupted: PretrainingTrainer) -> None:
    history = [entry for entry in uninterrupted.state.log_history if "loss" in entry]
    assert len(history) == 12
    assert history[-1]["loss"] < history[0]["loss"] - 0.2
    for entry in history:
        assert entry["bits_per_base"] == pytest.approx(entry["nats_per_base"] / math.log(2))
        # a step need not hold every kind of record
        assert 0 <= entry.get("gc_error", 0) < 2
        assert 0 <= entry.get("order_accuracy", 0) <= 1
        assert entry["mbp_per_second"] > 0
        assert 0 < entry["model_flops_utilisation"] < 1
        # k-mers of at most six bases
        assert 0 < entry["nats_per_base"] < entry["token_loss"]
    assert any("gc_error" in entry for entry in history)
    assert any("order_accuracy" in entry for entry in history)
    # the joint loss is averaged over the targets of the step
    assert history[0]["loss"] > history[0]["token_loss"]


def test_each_row_is_read_once_in_an_epoch(
    contig: Bases, tokenizer: DNAGPTTokenizer, tmp_path: Path
) -> None:
    seen: list[int] = []
    trainer = make_trainer(contig, tokenizer, tmp_path)
    dataset = trainer.train_dataset

    class Recorded(torch.utils.data.Dataset):
        context_length = dataset.context_length

        def __len__(self) -> int:
            return len(dataset)

        def __getitem__(self, index: int) -> Any:
            seen.append(index)
            return dataset[index]

    trainer.train_dataset = Recorded()
    trainer.train()
    assert seen == list(range(48))


@pytest.mark.parametrize(("batch", "accumulation"), [(2, 4), (8, 1), (1, 8)])
def test_loss_does_not_depend_on_accumulation(
    contig: Bases, tokenizer: DNAGPTTokenizer, tmp_path: Path, batch: int, accumulation: int
) -> None:
    # numbers are few, so that batches differ in how many they hold
    objectives = Objectives(1, 0.3, 1)
    whole, divided = (
        make_trainer(
            contig,
            tokenizer,
            tmp_path,
            objectives,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=steps,
            num_train_epochs=1,
        )
        for size, steps in ((8, 1), (batch, accumulation))
    )
    whole.train()
    divided.train()
    assert len(losses(whole)) == 3
    np.testing.assert_allclose(losses(divided), losses(whole), rtol=2e-4)
    for one, other in zip(whole.model.parameters(), divided.model.parameters(), strict=True):
        # Adam divides by gradients that may be nothing but rounding
        torch.testing.assert_close(one, other, rtol=0, atol=2e-2)


def test_the_reported_loss_is_that_of_the_model(
    contig: Bases, tokenizer: DNAGPTTokenizer, tmp_path: Path
) -> None:
    trainer = make_trainer(contig, tokenizer, tmp_path, per_device_train_batch_size=8, max_steps=1)
    torch.manual_seed(0)
    model = DNAGPTForMultiTask(preset_config("dnagpt-test", number_loss_weight=1.0))
    with torch.no_grad():
        batch = stack_sequences([trainer.train_dataset[index] for index in range(8)])
        expected = float(model(**batch).loss)
    trainer.train()
    assert losses(trainer)[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("step", [2, 8])
def test_resuming_gives_the_same_losses_and_weights(
    contig: Bases,
    tokenizer: DNAGPTTokenizer,
    tmp_path: Path,
    uninterrupted: PretrainingTrainer,
    step: int,
) -> None:
    """In the middle of the first and of the second epoch of six steps each."""
    folder = Path(uninterrupted.args.output_dir) / f"checkpoint-{step}"
    trainer = make_trainer(contig, tokenizer, tmp_path, **SAVED)
    trainer.train(resume_from_checkpoint=str(folder))
    assert losses(trainer)[step:] == losses(uninterrupted)[step:]
    for one, other in zip(
        trainer.model.parameters(), uninterrupted.model.parameters(), strict=True
    ):
        assert torch.equal(one, other)


def test_resuming_goes_on_with_the_same_dropout(
    contig: Bases, tokenizer: DNAGPTTokenizer, tmp_path: Path
) -> None:
    trainers = [
        make_trainer(contig, tokenizer, tmp_path / name, max_steps=4, **SAVED)
        for name in ("whole", "resumed")
    ]
    for trainer, checkpoint in zip(trainers, (None, "checkpoint-2"), strict=True):
        for module in trainer.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.3
        # what was drawn before in this process does not matter
        torch.manual_seed(0 if checkpoint is None else 1)
        folder = None if checkpoint is None else str(tmp_path / "whole" / checkpoint)
        trainer.train(resume_from_checkpoint=folder)
    whole, resumed = (losses(trainer) for trainer in trainers)
    assert len(whole) == 4
    assert resumed[2:] == whole[2:]


def test_checkpoints_are_sealed_and_rotated(
    contig: Bases, tokenizer: DNAGPTTokenizer, tmp_path: Path
) -> None:
    trainer = make_trainer(
        contig, tokenizer, tmp_path, **SAVED, save_total_limit=2, num_train_epochs=1
    )
    trainer.train()
    assert [path.name for path in checkpoints(tmp_path)] == ["checkpoint-4", "checkpoint-6"]
    for folder in checkpoints(tmp_path):
        check_checkpoint(folder)
    assert trainer.model.config.use_cache
    # complete: it loads as a model with its own tokenizer
    assert {"config.json", "model.safetensors", "tokenizer_config.json"} <= {
        path.name for path in folder.iterdir()
    }


def test_a_training_that_diverged_saves_nothing(
    contig: Bases, tokenizer: DNAGPTTokenizer, tmp_path: Path
) -> None:
    options = {**SAVED, "learning_rate": 1e30, "num_train_epochs": 1}
    trainer = make_trainer(contig, tokenizer, tmp_path, **options)
    with pytest.raises(FloatingPointError, match=r"not finite in step 2, .* lower learning_rate"):
        trainer.train()
    with pytest.raises(FloatingPointError, match="not finite"):
        trainer.save_model()
    assert checkpoints(tmp_path) == [] and not list(tmp_path.rglob("*.safetensors"))


def test_a_limit_of_0_keeps_all_checkpoints_as_in_trainer(
    contig: Bases, tokenizer: DNAGPTTokenizer, tmp_path: Path
) -> None:
    options = {**SAVED, "save_total_limit": 0, "num_train_epochs": 1}
    make_trainer(contig, tokenizer, tmp_path, **options).train()
    assert len(checkpoints(tmp_path)) == 3


def test_a_checkpoint_that_cannot_be_written_costs_no_other(
    contig: Bases, tokenizer: DNAGPTTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(contig, tokenizer, tmp_path, **SAVED, save_total_limit=1)
    save = trainer._save_optimizer_and_scheduler

    def fail_later(folder: str) -> None:
        if folder.endswith("-4"):
            raise OSError(28, "No space left on device")
        save(folder)

    monkeypatch.setattr(trainer, "_save_optimizer_and_scheduler", fail_later)
    with pytest.raises(
        CheckpointError, match=r"checkpoint-4 could not.*resumes from .*checkpoint-2"
    ):
        trainer.train()
    assert [path.name for path in checkpoints(tmp_path)] == ["checkpoint-2"]
    check_checkpoint(tmp_path / "checkpoint-2")


def test_weights_of_linear_layers_decay_and_nothing_else(
    contig: Bases, tokenizer: DNAGPTTokenizer, tmp_path: Path
) -> None:
    trainer = make_trainer(contig, tokenizer, tmp_path, weight_decay=0.1)
    trainer.create_optimizer()
    names = {id(value): name for name, value in trainer.model.named_parameters()}
    groups = trainer.optimizer.param_groups
    decaying = {names[id(p)] for group in groups if group["weight_decay"] for p in group["params"]}
    steady = {
        names[id(p)] for group in groups if not group["weight_decay"] for p in group["params"]
    }
    assert decaying | steady == set(names.values())
    assert all("norm" not in name and "embed_" not in name for name in decaying)
    assert all("norm" in name or "embed_" in name for name in steady)
    assert "token_head.out_proj.weight" in decaying


def test_evaluation_reports_all_objectives(uninterrupted: PretrainingTrainer) -> None:
    metrics = uninterrupted.evaluate()
    names = ("loss", "token_loss", "bits_per_base", "nats_per_base", "gc_error", "order_accuracy")
    assert {f"eval_yeast_{name}" for name in names} <= set(metrics)
    expected = ObjectiveMetrics(uninterrupted.processing_class, 1.0)
    dataset = uninterrupted.eval_dataset["yeast"]
    with torch.no_grad():
        for index in range(8):
            batch = stack_sequences([dataset[index]])
            expected.update(batch, uninterrupted.model(**batch))
    figures = expected.compute()
    for name in names:
        assert metrics[f"eval_yeast_{name}"] == pytest.approx(figures[name], rel=1e-4)


def test_metrics_equal_a_plain_computation(
    contig: Bases, tokenizer: DNAGPTTokenizer, tiny_model: DNAGPTForMultiTask
) -> None:
    dataset = rows(contig, tokenizer)
    metrics = ObjectiveMetrics(tokenizer, number_loss_weight=0.01)
    loss = bases = 0.0
    errors, right = [], []
    for index in range(12):
        batch = stack_sequences([dataset[index]])
        with torch.no_grad():
            output = tiny_model(**batch)
        metrics.update(batch, output)
        log_probabilities = output.logits[0].log_softmax(-1)
        ids, labels = batch["input_ids"][0].tolist(), batch["labels"][0].tolist()
        for position in range(1, len(ids)):
            true_number = float(batch["number_labels"][0, position])
            if not math.isnan(true_number):
                errors.append(abs(float(output.number_predictions[0, position - 1]) - true_number))
            if labels[position] == -100:
                continue
            token = tokenizer.convert_ids_to_tokens(labels[position])
            probability = float(log_probabilities[position - 1, labels[position]])
            if tokenizer.convert_ids_to_tokens(ids[position - 1]) == "<B>":
                right.append(probability > math.log(0.5))
            else:
                loss -= probability
                bases += len(token)
    figures = metrics.compute()
    assert figures["bases"] == bases
    assert figures["nats_per_base"] == pytest.approx(loss / bases, rel=1e-5)
    assert figures["gc_error"] == pytest.approx(np.mean(errors), rel=1e-5)
    assert figures["order_accuracy"] == pytest.approx(np.mean(right))
    assert metrics.compute() == {}


def test_damaged_checkpoints_are_named(uninterrupted: PretrainingTrainer, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-2"
    shutil.copytree(Path(uninterrupted.args.output_dir) / "checkpoint-2", folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match=r"model\.safetensors has .* bytes instead of"):
        check_checkpoint(folder)
    weights.unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors is missing"):
        check_checkpoint(folder)
    (folder / "contents.json").unlink()
    with pytest.raises(CheckpointError, match="was cut off"):
        check_checkpoint(folder)
    with pytest.raises(CheckpointError, match="no folder"):
        check_checkpoint(tmp_path / "nothing")
