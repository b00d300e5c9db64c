"""Records that are read as a stream, through `datasets` and `Trainer`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import Trainer, TrainingArguments

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
from dnagpt_hf.pretraining.collator import DNAGPTDataCollator

datasets = pytest.importorskip("datasets", reason="datasets is not installed")

RECORDS = ["<R>ACGTACGGA<+><M>0.5<=><B>A", "<R>TTTACG<=><B>N", "<S>GG<=><M>-1.5", "<R>ACG<=><B>A"]


def records() -> Iterator[dict[str, str]]:
    while True:
        for text in RECORDS:
            yield {"text": text}


def stream(tokenizer: DNAGPTTokenizer, batched: bool) -> datasets.IterableDataset:
    dataset = datasets.IterableDataset.from_generator(records)
    return dataset.map(
        lambda row: dict(tokenizer(row["text"])), batched=batched, remove_columns=["text"]
    )


@pytest.mark.parametrize("batched", [False, True])
def test_a_stream_is_tokenized_as_it_is_read(
    tiny_tokenizer: DNAGPTTokenizer, batched: bool
) -> None:
    rows = list(stream(tiny_tokenizer, batched).take(5))
    for text, row in zip([*RECORDS, RECORDS[0]], rows, strict=True):
        assert row == dict(tiny_tokenizer(text))
    loader = torch.utils.data.DataLoader(
        stream(tiny_tokenizer, batched).take(4), batch_size=4, collate_fn=tiny_tokenizer.pad
    )
    (batch,) = loader
    expected = tiny_tokenizer(RECORDS, padding=True)
    for key, rows in expected.items():
        assert torch.as_tensor(batch[key]).tolist() == rows, key


def test_trainer_learns_from_a_stream(
    tiny_model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer, tmp_path: Path
) -> None:
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        max_steps=15,
        learning_rate=5e-3,
        per_device_train_batch_size=4,
        logging_steps=1,
        report_to="none",
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = Trainer(
        tiny_model,
        arguments,
        train_dataset=stream(tiny_tokenizer, batched=True),
        data_collator=DNAGPTDataCollator(tiny_tokenizer),
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == 15
    assert losses[-1] < losses[0] - 2
