"""Compare the peak memory of a real training step with that of `dnagpt plan`.

    OMP_NUM_THREADS=1 python benchmarks/benchmark_planned_memory.py --layers 6 --hidden-size 384
    python benchmarks/benchmark_planned_memory.py --preset dnagpt-s-512 --device cuda --rows 32

Three optimizer steps of plain training (the plan's ddp on one GPU) run in a process of their own.
On a processor, the peak is that of the resident memory, less the memory before the model was made;
on a GPU, it is the peak of PyTorch's allocator. Neither includes the CUDA context, for which the
plan has an allowance. The plan is that of a GPU, where the token loss is computed in larger chunks:
on a processor, use a preset of few tokens, which needs one chunk. Prints one JSON object.
"""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys

import torch

from dnagpt_hf import DNAGPTConfig, DNAGPTForMultiTask, preset_config
from dnagpt_hf.planning.plan import CONTEXT, training_memory
from dnagpt_hf.planning.step import PRECISIONS, TrainingStep
from dnagpt_hf.token_loss import chunked_token_loss

STEPS = 3
# freed memory is returned to the system at once, so that resident memory is memory in use
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


def make_config(arguments: argparse.Namespace) -> DNAGPTConfig:
    sizes = {
        "num_hidden_layers": arguments.layers,
        "hidden_size": arguments.hidden_size,
        "max_position_embeddings": arguments.positions,
    }
    stated = {name: value for name, value in sizes.items() if value is not None}
    return preset_config(arguments.preset, **stated)


def make_step(arguments: argparse.Namespace) -> TrainingStep:
    config = make_config(arguments)
    return TrainingStep(config, config.max_position_embeddings, arguments.precision)


def make_batch(step: TrainingStep, rows: int, device: str) -> dict[str, torch.Tensor]:
    """Make packed sequences of two records each, with an input number and a target number."""
    shape = (rows, step.positions)
    ids = torch.randint(34, step.config.number_token_id, shape, device=device)
    ids[:, 3] = step.config.number_token_id
    number_labels = torch.full(shape, float("nan"), device=device)
    number_labels[:, 3] = 0.5
    positions = torch.arange(step.positions, device=device) % (step.positions // 2)
    return {
        "input_ids": ids,
        "position_ids": positions.expand(shape),
        "number_values": torch.zeros(shape, device=device),
        "labels": ids,
        "number_labels": number_labels,
    }


def train(step: TrainingStep, rows: int, gradient_checkpointing: bool, device: str) -> None:
    """Train for some optimizer steps of two micro-batches."""
    model = DNAGPTForMultiTask(step.config).to(device).train()
    if gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    batch = make_batch(step, rows, device)
    autocast = (
        contextlib.nullcontext()
        if step.precision == "float32"
        else torch.autocast(device, getattr(torch, step.precision))
    )
    for _ in range(STEPS):
        for _ in range(2):
            with autocast:
                loss = model(**batch, token_loss_function=chunked_token_loss, use_cache=False).loss
            loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def resident() -> int:
    """Read the resident memory of this process, in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def measure(step: TrainingStep, rows: int, gradient_checkpointing: bool, device: str) -> int:
    """Measure the peak memory of training, in a fresh process, in bytes."""
    # a first step loads libraries
    small = TrainingStep(preset_config("dnagpt-test"), 64, step.precision)
    train(small, 1, gradient_checkpointing, device)
    torch.manual_seed(0)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        train(step, rows, gradient_checkpointing, device)
        return torch.cuda.max_memory_allocated()
    before = resident()
    train(step, rows, gradient_checkpointing, device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before


def measure_in_child(arguments: list[str]) -> int:
    child = subprocess.run(
        [sys.executable, __file__, *arguments, "--child"],
        env={**os.environ, **ALLOCATOR},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return int(child.stdout)


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="dnagpt-tiny")
    parser.add_argument("--layers", type=int, help="instead of the preset's")
    parser.add_argument("--hidden-size", type=int, help="instead of the preset's")
    parser.add_argument("--positions", type=int, help="instead of the preset's")
    parser.add_argument("--rows", type=int, default=8, help="rows of a micro-batch")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(stated: list[str]) -> None:
    arguments = parse(stated)
    step = make_step(arguments)
    checkpointing = arguments.gradient_checkpointing
    if arguments.child:
        print(measure(step, arguments.rows, checkpointing, arguments.device))
        return
    memory = training_memory(step, rows=arguments.rows, gradient_checkpointing=checkpointing)
    planned = memory["total"] - CONTEXT
    measured = measure_in_child(stated)
    result = {
        "preset": arguments.preset,
        "layers": step.config.num_hidden_layers,
        "hidden_size": step.config.hidden_size,
        "positions": step.positions,
        "rows": arguments.rows,
        "precision": step.precision,
        "gradient_checkpointing": checkpointing,
        "device": arguments.device,
        "planned_bytes": planned,
        "measured_bytes": measured,
        "measured_of_planned": round(measured / planned, 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
