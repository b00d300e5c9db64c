"""Compare a step of fine-tuning with one of Transformers' `GPT2ForSequenceClassification`.

    python benchmarks/benchmark_finetuning.py
    python benchmarks/benchmark_finetuning.py --models dnagpt-tiny --positions 128 --rounds 3
    python benchmarks/benchmark_finetuning.py --device cuda --models dnagpt-m --dtype bfloat16
    python benchmarks/benchmark_finetuning.py --models dnagpt-m --rounds 0 --lengths 834 1667 3334

A step is a forward pass with the loss of two classes, a backward pass and AdamW. DNAGPT answers in
the token language, or by a classification head over the mean; GPT-2 has the same layers, heads,
width, positions, rows of the vocabulary, activation and attention, no dropout, and reads the same
tokens with the same mask. Both take turns in one process, so that a change of the machine's speed
affects both. On the CPU with one thread, times are processor times. bfloat16 is autocast, and the
weights are float32.

The program then measures the memory that a step on one record, of a sequence and eight numbers,
adds to weights and optimizer. Each length runs in a process of its own: with sdpa, which stores
nothing of the size (length x length), and with eager attention, which does. `--rounds 0` leaves the
speed out.

Every line is one JSON object; `result` is speed or memory.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import torch
from benchmark_training_step import gpt2_config, peak_mb, seconds_of
from transformers import GPT2ForSequenceClassification, TrainingArguments

from dnagpt_hf import (
    DNAGPTForMultiTask,
    DNAGPTForSequenceClassification,
    Record,
    Task,
    preset_config,
    preset_tokenizer,
)
from dnagpt_hf.finetuning.model import freeze_unused
from dnagpt_hf.finetuning.trainer import FineTuningTrainer, TaskCollator
from dnagpt_hf.tasks.examples import encode_records

HEADS = ("language", "classification")
ANSWERS = {"N": "0", "A": "1"}
TASK = Task("{sequence}<=><B>{label}", answers=ANSWERS)
NUMBERS = "abcdefgh"
TASK_WITH_NUMBERS = Task(
    f"{{sequence}}<+><M>{{{', '.join(NUMBERS)}}}<=><B>{{label}}", answers=ANSWERS
)
Batch = dict[str, torch.Tensor]


def make_batch(preset: str, head: str, rows: int, positions: int, task: Task) -> Batch:
    """Make records of random bases that fill all positions, and their classes."""
    tokenizer = preset_tokenizer(preset, model_max_length=positions)
    # a token answers behind <=> and <B>; <+> and <M> come before numbers
    others = (2 if head == "language" else 0) + (task is not TASK) * (2 + len(NUMBERS))
    bases = tokenizer.kmer_size * (positions - others)
    generator = np.random.default_rng(0)
    records = [
        Record(
            {
                "sequence": "".join(generator.choice(list("ACGT"), bases)),
                "label": str(row % 2),
                **dict.fromkeys(NUMBERS, 0.5),
            },
            *(str(row), "random", row + 1, row + 1),
        )
        for row in range(rows)
    ]
    _, examples = encode_records(task, tokenizer, records, head=head, max_length=positions)
    return TaskCollator(task, tokenizer, head)([examples[row] for row in range(rows)])


def make_loss(
    name: str, preset: str, head: str, positions: int, attention: str, task: Task
) -> tuple[torch.nn.Module, Callable[[Batch], torch.Tensor]]:
    """Make a model and its fine-tuning loss."""
    torch.manual_seed(0)
    fields = {"max_position_embeddings": positions, "attn_implementation": attention}
    config = preset_config(preset, classifier_pooling="mean", num_labels=2, **fields)
    if name == "gpt2":
        model = GPT2ForSequenceClassification(
            gpt2_config(config, pad_token_id=config.pad_token_id, num_labels=2)
        )

        def loss_of(batch: Batch) -> torch.Tensor:
            return model(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                labels=batch["targets"][:, 0].long(),
                use_cache=False,
            ).loss

        return model, loss_of
    config.problem_type = "single_label_classification"
    kind = DNAGPTForMultiTask if head == "language" else DNAGPTForSequenceClassification
    arguments = TrainingArguments(output_dir="unused", report_to="none", use_cpu=True)
    trainer = FineTuningTrainer(
        kind(config),
        args=arguments,
        task=task,
        head=head,
        processing_class=preset_tokenizer(preset),
    )
    freeze_unused(trainer.model, task, reads_numbers=task is not TASK)
    return trainer.model, lambda batch: trainer.compute_loss(trainer.model, batch)


def make_step(
    name: str,
    head: str,
    rows: int,
    positions: int,
    arguments: argparse.Namespace,
    preset: str,
    task: Task = TASK,
) -> Callable[[], float]:
    """Make a training step on a fixed batch; it returns the loss."""
    device = torch.device(arguments.device)
    model, loss_of = make_loss(name, preset, head, positions, arguments.attention, task)
    model.to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    records = make_batch(preset, head, rows, positions, task)
    batch = {key: value.to(device) for key, value in records.items()}
    autocast = torch.autocast(device.type, torch.bfloat16, arguments.dtype == "bfloat16")

    def step() -> float:
        with autocast:
            loss = loss_of(batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        # waits for the device
        return float(loss.detach())

    return step


def measure_speed(
    preset: str, head: str, positions: int, arguments: argparse.Namespace
) -> dict[str, float]:
    """Measure steps per second of both, and the median ratio over rounds."""
    torch.set_num_threads(arguments.threads)
    one_thread = arguments.threads == 1 and arguments.device == "cpu"
    clock = time.thread_time if one_thread else time.perf_counter
    steps = {
        name: make_step(name, head, arguments.rows, positions, arguments, preset)
        for name in ("dnagpt", "gpt2")
    }
    for step in steps.values():
        step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(arguments.rounds):
        # alternate the order, since the second one finds caches filled by the first
        for name in sorted(steps, reverse=number % 2 == 1):
            seconds[name].append(seconds_of(steps[name], clock))
    tokens = arguments.rows * positions
    ratios = (theirs / own for own, theirs in zip(seconds["dnagpt"], seconds["gpt2"], strict=True))
    return {
        "dnagpt_tokens_per_second": round(tokens / statistics.median(seconds["dnagpt"])),
        "gpt2_tokens_per_second": round(tokens / statistics.median(seconds["gpt2"])),
        "times_gpt2": round(statistics.median(ratios), 3),
    }


def print_added(preset: str, head: str, positions: int, arguments: argparse.Namespace) -> None:
    """Train on one record, and print the MB that later steps have added."""
    torch.set_num_threads(1)
    # a short record first, so that weights and optimizer state are in memory
    make_step("dnagpt", head, 1, 20, arguments, preset, TASK_WITH_NUMBERS)()
    step = make_step("dnagpt", head, 1, positions, arguments, preset, TASK_WITH_NUMBERS)
    before = peak_mb()
    for _ in range(2):
        step()
    if arguments.device == "cuda":
        print(torch.cuda.max_memory_allocated() / 1e6)
    else:
        print(peak_mb() - before)


def measure_memory(
    preset: str, head: str, positions: int, arguments: argparse.Namespace
) -> dict[str, float]:
    """Measure the memory of steps on one record, by implementation of attention."""
    added = {}
    for attention in ("sdpa", "eager"):
        command = [sys.executable, __file__, "--models", preset, "--heads", head]
        command += ["--added-by", str(positions), "--attention", attention]
        command += ["--device", arguments.device, "--dtype", arguments.dtype]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        # libraries may have written before
        added[attention] = float(done.stdout.splitlines()[-1])
    return {
        "sdpa_mb": round(added["sdpa"], 1),
        "sdpa_kb_per_token": round(1000 * added["sdpa"] / positions, 1),
        "eager_mb": round(added["eager"], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=["dnagpt-tiny"], help="presets")
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=HEADS)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--rows", type=int, default=8, help="records of a batch")
    parser.add_argument("--positions", type=int, help="tokens; by default those of the preset")
    parser.add_argument("--rounds", type=int, default=9, help="steps of each model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--lengths", type=int, nargs="*", default=[512, 1024, 2048, 4096], help="for memory"
    )
    parser.add_argument("--attention", default="sdpa", help=argparse.SUPPRESS)
    parser.add_argument("--added-by", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    versions = {name: version(name) for name in ("torch", "transformers")}
    setting = {"device": arguments.device, "dtype": arguments.dtype}
    for preset in arguments.models:
        positions = arguments.positions or preset_config(preset).max_position_embeddings
        for head in arguments.heads:
            if arguments.added_by:
                print_added(preset, head, arguments.added_by, arguments)
                continue
            name = {"model": preset, "head": head, **setting}
            sizes = {"rows": arguments.rows, "tokens": positions, "threads": arguments.threads}
            if arguments.rounds:
                speed = measure_speed(preset, head, positions, arguments)
                line = {"result": "speed", **name, **sizes, **speed, **versions}
                print(json.dumps(line), flush=True)
            for length in arguments.lengths:
                memory = measure_memory(preset, head, length, arguments)
                line = {"result": "memory", **name, "rows": 1, "tokens": length, **memory}
                print(json.dumps({**line, **versions}), flush=True)


if __name__ == "__main__":
    main()
