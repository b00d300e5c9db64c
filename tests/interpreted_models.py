"""Models and records for the tests of interpretation."""

from __future__ import annotations

import random
from typing import Any

import torch

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTForSequenceClassification, DNAGPTTokenizer
from dnagpt_hf.presets import preset_config
from dnagpt_hf.records.reading import Record

CLASS = "<R>{sequence}<=><B>"
NUMBER = "<R>{sequence}<+><M>{x}<=><M>"
ANSWERS = {"A": "motif", "N": "none"}
MOTIF = "GATTAC"


def record(sequence: str, **values: Any) -> Record:
    return Record({"sequence": sequence, **values}, "r1", "a.csv", 1, 2)


def dna(length: int, seed: int) -> str:
    return "".join(random.Random(seed).choices("ACGT", k=length))


def louder(model: Any) -> Any:
    """Weights so large that every token changes the answer."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.mul_(10)
    return model.eval()


def classifier(**config: Any) -> DNAGPTForSequenceClassification:
    torch.manual_seed(0)
    return louder(DNAGPTForSequenceClassification(preset_config("dnagpt-test", **config)))


def with_motif(seed: int) -> tuple[str, int]:
    """A sequence of 36 bases with the motif in it, and where it starts."""
    start = 3 * random.Random(seed).randrange(0, 11)
    sequence = dna(36, seed)
    return sequence[:start] + MOTIF + sequence[start + len(MOTIF) :], start


def motif_model() -> tuple[DNAGPTForMultiTask, DNAGPTTokenizer]:
    """A model of 3-mers, trained for a second to answer whether the motif is there."""
    tokenizer = DNAGPTTokenizer(kmer_size=3)
    torch.manual_seed(0)
    model = DNAGPTForMultiTask(preset_config("dnagpt-test", kmer_size=3, initializer_range=0.1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    targets = torch.tensor(tokenizer(["A", "N"])["input_ids"]).repeat(24, 1).flatten()
    for step in range(100):
        seeds = range(24 * step, 24 * step + 24)
        texts = [text for seed in seeds for text in (with_motif(seed)[0], dna(36, -1 - seed))]
        prompts = [CLASS.format(sequence=text) for text in texts]
        inputs = tokenizer(prompts, return_tensors="pt")
        logits = model(**inputs, logits_to_keep=1, use_cache=False).logits[:, -1]
        torch.nn.functional.cross_entropy(logits, targets).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval(), tokenizer
