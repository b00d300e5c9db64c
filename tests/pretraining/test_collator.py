"""Batches: padding on either side, masks and targets."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Trainer, TrainingArguments

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
from dnagpt_hf.presets import preset_config
from dnagpt_hf.pretraining.collator import DNAGPTDataCollator

TEXTS = ["<R>ACGTACGG<=><M>0.25", "<R>AC<=><B>A", "<R>ACGT<+><M>1.5 2<=><B>N<M>-1"]


@pytest.fixture(scope="module")
def tokenizer() -> DNAGPTTokenizer:
    return DNAGPTTokenizer()


def test_all_tokens_and_numbers_are_targets_without_labels(tokenizer: DNAGPTTokenizer) -> None:
    batch = DNAGPTDataCollator(tokenizer)([tokenizer(text) for text in TEXTS])
    assert {name: tensor.dtype for name, tensor in batch.items()} == {
        "input_ids": torch.int64,
        "attention_mask": torch.int64,
        "number_values": torch.float32,
        "labels": torch.int64,
        "number_labels": torch.float32,
    }
    ids, labels, numbers = batch["input_ids"], batch["labels"], batch["number_labels"]
    is_number = ids == tokenizer.number_token_id
    is_token = ~is_number & (batch["attention_mask"] == 1)
    assert torch.equal(labels, torch.where(is_token, ids, -100))
    assert torch.equal(~numbers.isnan(), is_number)
    assert numbers[is_number].tolist() == [0.25, 1.5, 2, -1]
    assert (ids[batch["attention_mask"] == 0] == tokenizer.pad_token_id).all()


def test_answers_only_trains_behind_the_last_connection(tokenizer: DNAGPTTokenizer) -> None:
    batch = DNAGPTDataCollator(tokenizer, answers_only=True)([tokenizer(text) for text in TEXTS])
    targets = [[label for label in row if label != -100] for row in batch["labels"].tolist()]
    assert [tokenizer.convert_ids_to_tokens(row) for row in targets] == [
        ["<M>"],
        ["<B>", "A"],
        ["<B>", "N", "<M>"],
    ]
    assert [row[~row.isnan()].tolist() for row in batch["number_labels"]] == [[0.25], [], [-1.0]]


def test_answers_only_needs_an_answer(tokenizer: DNAGPTTokenizer) -> None:
    collate = DNAGPTDataCollator(tokenizer, answers_only=True)
    with pytest.raises(ValueError, match="example 1 of the batch has no <=>"):
        collate([tokenizer(TEXTS[0]), tokenizer("<R>ACGT")])


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_goes_to_the_side_of_the_tokenizer(side: str) -> None:
    tokenizer = DNAGPTTokenizer(padding_side=side)
    batch = DNAGPTDataCollator(tokenizer, pad_to_multiple_of=8)([tokenizer(t) for t in TEXTS])
    assert batch["input_ids"].shape[1] % 8 == 0
    for row, text in enumerate(TEXTS):
        real = tokenizer(text)
        length = len(real["input_ids"])
        part = slice(-length, None) if side == "left" else slice(0, length)
        assert batch["input_ids"][row, part].tolist() == real["input_ids"]
        assert batch["number_values"][row, part].tolist() == real["number_values"]
        assert batch["attention_mask"][row].sum() == batch["attention_mask"][row, part].sum()
        assert batch["attention_mask"][row].sum() == length


def test_given_labels_are_kept(tokenizer: DNAGPTTokenizer) -> None:
    example = {"input_ids": np.array([21, 40, 41]), "labels": [-100, 40, -100]}
    batch = DNAGPTDataCollator(tokenizer)([example])
    assert batch["labels"].tolist() == [[-100, 40, -100]]
    assert batch["number_labels"].isnan().all()
    assert batch["number_values"].tolist() == [[0, 0, 0]]


def test_positions_masked_in_an_example_are_no_targets(tokenizer: DNAGPTTokenizer) -> None:
    padded = tokenizer("<R>ACGT", padding="max_length", max_length=5)
    batch = DNAGPTDataCollator(tokenizer)([padded])
    assert batch["attention_mask"].tolist() == [[1, 1, 0, 0, 0]]
    assert batch["labels"][0, 2:].tolist() == [-100] * 3


def test_loss_does_not_depend_on_padding(
    tokenizer: DNAGPTTokenizer, tiny_model: DNAGPTForMultiTask
) -> None:
    examples = [tokenizer(text) for text in TEXTS]
    collate = DNAGPTDataCollator(tokenizer)
    together = tiny_model(**collate(examples))
    alone = [(tiny_model(**batch), batch) for batch in (collate([one]) for one in examples)]
    counts = torch.tensor([float((b["labels"][:, 1:] != -100).sum()) for _, b in alone])
    losses = torch.stack([output.token_loss for output, _ in alone])
    torch.testing.assert_close(together.token_loss, (losses * counts).sum() / counts.sum())
    numbers = torch.tensor([float((~b["number_labels"].isnan()).sum()) for _, b in alone])
    errors = torch.stack([output.number_loss for output, _ in alone])
    torch.testing.assert_close(together.number_loss, (errors * numbers).sum() / numbers.sum())


@pytest.mark.parametrize(
    ("example", "message"),
    [
        ({"input_ids": [21, 40], "number_values": [0.0]}, "example 1 .* number_values"),
        ({"input_ids": [21, 40], "labels": [1, 2, 3]}, "example 1 .* labels"),
        ({"input_ids": [[21, 40]]}, "example 1 .* input_ids"),
    ],
)
def test_misaligned_examples_are_named(
    tokenizer: DNAGPTTokenizer, example: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        DNAGPTDataCollator(tokenizer)([tokenizer("<R>ACGT"), example])


def test_an_empty_batch_is_refused(tokenizer: DNAGPTTokenizer) -> None:
    with pytest.raises(ValueError, match="at least one example"):
        DNAGPTDataCollator(tokenizer)([])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_trainer_that_keeps_the_labels_back_is_noticed(
    tokenizer: DNAGPTTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smoothing: float
) -> None:
    said: list[str] = []
    monkeypatch.setattr("dnagpt_hf.modeling_dnagpt.logger.warning_once", said.append)
    options: Any = {"label_smoothing_factor": smoothing, "max_steps": 1, "use_cpu": True}
    trainer = Trainer(
        DNAGPTForMultiTask(preset_config("dnagpt-test")),
        TrainingArguments(tmp_path, report_to="none", disable_tqdm=True, **options),
        data_collator=DNAGPTDataCollator(tokenizer),
        train_dataset=[dict(tokenizer(text)) for text in TEXTS],
    )
    trainer.train()
    assert [text for text in said if "label_smoothing_factor" in text] == said
    assert bool(said) == bool(smoothing)
