"""Compare a training step of DNAGPT with one of Transformers' GPT-2 of the same size.

    python benchmarks/benchmark_training_step.py
    python benchmarks/benchmark_training_step.py --device cuda --profile

On the CPU, a step is a forward pass, a backward pass and AdamW. Both models have the same layers,
heads, width, positions, rows of the vocabulary, activation and attention, no dropout, output
weights of their own as in the preset, and read the same batch. They take turns, so that a change of
the machine's speed affects both. With one thread, times are processor times. Memory is the peak of
a process that trains one of the two, and the part of it that the steps add to the weights.

On CUDA, DNAGPT alone trains in bfloat16 autocast; the line has tokens per second and model FLOPs
utilization, relative to the rate of large matrix products measured before. `--profile` prints the
operations that take most of the time.

Every line is one JSON object.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from dnagpt_hf import DNAGPTConfig, DNAGPTForMultiTask, preset_config
from dnagpt_hf.planning.hardware import measured_matmul_rate
from dnagpt_hf.planning.step import training_flops_per_token
from dnagpt_hf.token_loss import chunked_token_loss

# (preset, rows of a batch); each row fills all positions of the model
SIZES = {"cpu": {"dnagpt-s-512": 2, "dnagpt-tiny": 8}, "cuda": {"dnagpt-m": 8, "dnagpt-b-512": 16}}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def make_model(name: str, preset: str, dtype: torch.dtype) -> torch.nn.Module:
    """Make DNAGPT of a preset, or GPT-2 of its sizes."""
    torch.manual_seed(0)
    config = preset_config(preset, attn_implementation="sdpa")
    if name == "dnagpt":
        return DNAGPTForMultiTask(config).to(dtype).train()
    return GPT2LMHeadModel(gpt2_config(config)).to(dtype).train()


def gpt2_config(config: DNAGPTConfig, **fields: object) -> GPT2Config:
    """Make the configuration of a GPT-2 of the sizes of a DNAGPT, without dropout."""
    return GPT2Config(
        vocab_size=config.vocab_size,
        n_positions=config.max_position_embeddings,
        n_embd=config.hidden_size,
        n_layer=config.num_hidden_layers,
        n_head=config.num_attention_heads,
        activation_function=config.hidden_act,
        layer_norm_epsilon=config.layer_norm_eps,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=None,
        tie_word_embeddings=config.tie_word_embeddings,
        attn_implementation="sdpa",
        **fields,
    )


def make_step(name: str, preset: str, rows: int, dtype: torch.dtype) -> Callable[[], float]:
    """Make a training step on a fixed batch of random k-mers; it returns the loss."""
    model = make_model(name, preset, dtype)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    config = preset_config(preset)
    ids = torch.randint(
        34,
        config.number_token_id,
        (rows, config.max_position_embeddings),
        generator=torch.Generator().manual_seed(0),
    )
    options = {"token_loss_function": chunked_token_loss} if name == "dnagpt" else {}

    def step() -> float:
        loss = model(input_ids=ids, labels=ids, use_cache=False, **options).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach())

    return step


def seconds_of(step: Callable[[], float], clock: Callable[[], float]) -> float:
    start = clock()
    step()
    return clock() - start


def measure_speed(
    preset: str, rows: int, dtype: torch.dtype, threads: int, rounds: int
) -> dict[str, float]:
    """Measure steps per second of both, and the median ratio over rounds."""
    torch.set_num_threads(threads)
    clock = time.thread_time if threads == 1 else time.perf_counter
    steps = {name: make_step(name, preset, rows, dtype) for name in ("dnagpt", "gpt2")}
    for step in steps.values():
        step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds):
        # alternate the order, since the second one finds caches filled by the first
        for name in sorted(steps, reverse=number % 2 == 1):
            seconds[name].append(seconds_of(steps[name], clock))
    return {
        "dnagpt_steps_per_second": round(1 / statistics.median(seconds["dnagpt"]), 4),
        "gpt2_steps_per_second": round(1 / statistics.median(seconds["gpt2"]), 4),
        "times_gpt2": round(
            statistics.median(
                theirs / own for own, theirs in zip(seconds["dnagpt"], seconds["gpt2"], strict=True)
            ),
            3,
        ),
    }


def peak_mb() -> float:
    """Read the peak memory of this process, in MB."""
    status = Path("/proc/self/status")
    if status.is_file():
        # on Linux, getrusage includes the peak of the parent process
        return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def print_peak(name: str, preset: str, rows: int, dtype: torch.dtype) -> None:
    """Train one model, and print the peak memory and the part that steps added."""
    torch.set_num_threads(1)
    step = make_step(name, preset, rows, dtype)
    before = peak_mb()
    for _ in range(3):
        step()
    print(json.dumps([peak_mb(), peak_mb() - before]))


def measure_memory(preset: str, rows: int, dtype: str) -> dict[str, float]:
    """Measure the peak memory of each model in its own process, and their ratio."""
    peaks = {}
    for name in ("dnagpt", "gpt2"):
        arguments = ["--peak-of", name, "--models", preset, "--rows", str(rows), "--dtype", dtype]
        done = subprocess.run(
            [sys.executable, __file__, *arguments], check=True, capture_output=True, text=True
        )
        peaks[name] = json.loads(done.stdout)
    return {
        "dnagpt_peak_mb": round(peaks["dnagpt"][0]),
        "gpt2_peak_mb": round(peaks["gpt2"][0]),
        "of_gpt2_peak": round(peaks["dnagpt"][0] / peaks["gpt2"][0], 3),
        "dnagpt_added_mb": round(peaks["dnagpt"][1]),
        "gpt2_added_mb": round(peaks["gpt2"][1]),
    }


def measure_cuda(preset: str, rows: int, rate: float, rounds: int, profile: bool) -> dict:
    """Measure tokens per second, model FLOPs utilization and peak memory of DNAGPT on CUDA."""
    device = torch.device("cuda")
    model = make_model("dnagpt", preset, torch.float32).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    positions = model.config.max_position_embeddings
    ids = torch.randint(34, model.config.number_token_id, (rows, positions), device=device)

    def step() -> float:
        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = model(
                input_ids=ids,
                labels=ids,
                use_cache=False,
                token_loss_function=chunked_token_loss,
            ).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        torch.cuda.synchronize()
        return float(loss.detach())

    for _ in range(3):
        step()
    seconds = statistics.median(seconds_of(step, time.perf_counter) for _ in range(rounds))
    if profile:
        with torch.profiler.profile() as profiler:
            step()
        table = profiler.key_averages().table(sort_by="self_cuda_time_total", row_limit=25)
        print(table, file=sys.stderr)
    tokens = rows * positions / seconds
    return {
        "device": torch.cuda.get_device_name(),
        "tokens_per_second": round(tokens),
        "model_flops_utilisation": round(
            tokens * training_flops_per_token(model.config, positions) / rate, 3
        ),
        "matmul_tflops": round(rate / 1e12, 1),
        "peak_mb": round(torch.cuda.max_memory_allocated() / 1e6),
    }


def profile_cpu(preset: str, rows: int, dtype: torch.dtype) -> None:
    """Profile a step of both models in one thread."""
    torch.set_num_threads(1)
    for name in ("dnagpt", "gpt2"):
        step = make_step(name, preset, rows, dtype)
        step()
        with torch.profiler.profile() as profiler:
            step()
        print(name, file=sys.stderr)
        table = profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=25)
        print(table, file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=SIZES, default="cpu")
    parser.add_argument("--models", nargs="+", help="presets; by default those of the device")
    parser.add_argument("--rows", type=int, help="rows of a batch")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="on the CPU")
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="on the CPU")
    parser.add_argument("--rounds", type=int, default=9, help="steps of each model")
    parser.add_argument("--profile", action="store_true", help="print where time is spent")
    parser.add_argument("--peak-of", choices=("dnagpt", "gpt2"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    dtype = DTYPES[arguments.dtype]
    versions = {name: version(name) for name in ("torch", "transformers")}
    sizes = SIZES[arguments.device]
    for preset in arguments.models or sizes:
        rows = arguments.rows or sizes.get(preset, 8)
        name = {"model": preset, "rows": rows, "positions": 0}
        name["positions"] = preset_config(preset).max_position_embeddings
        if arguments.peak_of:
            print_peak(arguments.peak_of, preset, rows, dtype)
        elif arguments.device == "cuda":
            rate = measured_matmul_rate("cuda", torch.bfloat16)
            result = measure_cuda(preset, rows, rate, arguments.rounds, arguments.profile)
            print(json.dumps({**name, **result, **versions}), flush=True)
        else:
            if arguments.profile:
                profile_cpu(preset, rows, dtype)
            memory = measure_memory(preset, rows, arguments.dtype)
            for threads in arguments.threads:
                speed = measure_speed(preset, rows, dtype, threads, arguments.rounds)
                setting = {**name, "dtype": arguments.dtype, "threads": threads}
                print(json.dumps({**setting, **speed, **memory, **versions}), flush=True)


if __name__ == "__main__":
    main()
