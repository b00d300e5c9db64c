"""Train the dnagpt-small of the package, for a stated time on one core of a processor.

    python model_cards/train_dnagpt_small.py genomes/dnagpt-tiny.yaml small --minutes 97

The manifest is `examples/manifests/dnagpt-tiny.yaml`, beside its files. Matrices of the layers are
trained by Muon, all other weights by AdamW; the learning rates are constant for three fifths of the
time and fall to 0 in the rest. The program ends with a checkpoint and a line of `training.json`.
`--start dnagpt-small --seed 8` trains these weights further, on other positions of the genomes.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from dnagpt_hf import DNAGPTConfig, DNAGPTForMultiTask, load
from dnagpt_hf.genomes.manifest import load_manifest, open_species
from dnagpt_hf.presets import preset_config, preset_tokenizer
from dnagpt_hf.pretraining.dataset import (
    PretrainingDataset,
    SpeciesSequences,
    stack_sequences,
)
from dnagpt_hf.pretraining.objectives import Objectives

SIZES = {"hidden_size": 256, "intermediate_size": 1024, "hidden_act": "relu2"}
ROWS, WARMUP_STEPS, DECAY = 16, 100, 0.4
MUON_RATE, ADAM_RATE, WEIGHT_DECAY = 2.5e-3, 4.0e-3, 0.05


def optimizers_of(model: DNAGPTForMultiTask) -> list[torch.optim.Optimizer]:
    """Give the matrices of the layers to Muon, and the other weights to AdamW."""
    matrices, tables, vectors = [], [], []
    for name, weight in model.named_parameters():
        group = vectors if weight.ndim < 2 else matrices if ".layers." in name else tables
        group.append(weight)
    muon = torch.optim.Muon(
        matrices, lr=MUON_RATE, weight_decay=WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"
    )
    groups = [
        {"params": tables, "weight_decay": WEIGHT_DECAY},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return [muon, torch.optim.AdamW(groups, lr=ADAM_RATE, betas=(0.9, 0.98))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--cache-folder", type=Path)
    parser.add_argument("--start", help="weights to begin with, a folder or a bundled name")
    parser.add_argument("--seed", type=int, default=7, help="of the positions of the rows")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    tokenizer = preset_tokenizer("dnagpt-tiny")
    config = DNAGPTConfig(**{**preset_config("dnagpt-tiny").to_dict(), **SIZES})
    model = DNAGPTForMultiTask(config)
    if options.start:
        model = load(options.start, device="cpu", dtype="float32").model
    model.train()
    species = open_species(load_manifest(options.manifest), options.cache_folder)
    rows = PretrainingDataset(
        [SpeciesSequences(one.token, one.training, one.weight, one.name) for one in species],
        tokenizer,
        context_length=config.max_position_embeddings,
        length=1 << 20,
        objectives=Objectives(next_token=1.0, gc_content=0.1, sequence_order=0.15),
        seed=options.seed,
    )
    optimizers = optimizers_of(model)
    rates = [MUON_RATE, ADAM_RATE]
    start, step = time.time(), 0
    while (done := (time.time() - start) / 60 / options.minutes) < 1:
        scale = min(1.0, (step + 1) / WARMUP_STEPS, (1 - done) / DECAY)
        batch = stack_sequences([rows[step * ROWS + row] for row in range(ROWS)])
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(**batch, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, rate in zip(optimizers, rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * scale
            optimizer.step()
            optimizer.zero_grad()
        step += 1
        if step % 20 == 0:
            print(json.dumps({"step": step, "done": done, "loss": loss.item()}), flush=True)
    model.save_pretrained(options.output)
    tokenizer.save_pretrained(options.output)
    facts = {"steps": step, "hours": time.process_time() / 3600}
    (options.output / "training.json").write_text(json.dumps(facts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
